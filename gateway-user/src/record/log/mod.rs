//! The Merkle log: every row of the record is a leaf, and signed checkpoints say what the leaves were.
//!
//! A row has one canonical form (`leaf`), whose hash is a leaf of an append-only Merkle tree as RFC 6962
//! builds it (`tree`, `proof`). From time to time the log's key (`key`) signs how many leaves there are and
//! what their root is (`checkpoint`), in the form that other people's tools read (`note`). Whoever has kept
//! one checkpoint can tell for ever whether what it covers was changed.
//!
//! The writer appends through `Log` (`writer`), says when a checkpoint is due (`cadence`), and rows that
//! retention removes leave a `tombstone`. `verify` reads everything again and names the first thing
//! that does not fit.
//!
//! Nothing here reads the clock or the database; only `key` and `file` touch files.

pub mod blocks;
pub mod cadence;
pub mod checkpoint;
mod config;
pub mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hash;
pub mod key;
pub mod leaf;
pub mod note;
pub mod tombstone;
pub mod tree;
pub mod verify;
pub mod writer;

pub use config::{Bucket, Config};
