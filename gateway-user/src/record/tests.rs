//! What a session database promises, checked on real files.

mod append_only;
mod batching;
mod crash;
mod disk;
mod durable;
mod opening;
mod questions;
mod reading;
pub(crate) mod seed;
pub(crate) mod support;
mod used;
