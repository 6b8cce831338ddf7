//! The command line.

pub mod calls;
pub mod events;
pub mod sessions;
pub mod table;
