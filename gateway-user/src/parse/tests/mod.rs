//! The cases, by concept.

mod bad_input;
mod differential;
mod owner;
mod presigned;
mod shape;
mod suite;
mod vectors;
