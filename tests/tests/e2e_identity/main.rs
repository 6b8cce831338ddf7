//! Identity on the real kernel: workloads that are told apart by tokens of a real OpenID provider, from files
//! and from `chaperone run`; how that ends; and that an agent never comes near the gateway's keys.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod chain;
mod ends;
mod launched;
mod memory;
mod scan;
mod stage;
mod units;
