//! What a session database promises, checked on real files and real servers.

mod append_only;
mod batching;
mod bodies;
mod continuing;
mod crash;
mod disk;
mod durable;
mod following;
mod grounds;
mod hosts;
mod log;
mod network;
mod opening;
pub(crate) mod proxy;
mod questions;
mod reading;
mod retention;
mod search;
mod secure;
pub(crate) mod seed;
pub(crate) mod server;
pub(crate) mod support;
mod used;
