//! The cases, by concept.

mod bad_input;
mod differential;
mod shape;
mod vectors;
