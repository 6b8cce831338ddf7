//! A small database is written as the daemon does, then changed in every way, and each change is found.

mod attacks;
mod flips;
mod histories;
mod model;
