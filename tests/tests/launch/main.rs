//! Kernel tier: the launcher on real cgroups, as root and as an unprivileged user. No eBPF is needed.
//!
//! Every test has an agent slice of its own, directly below the cgroup v2 root, and serves the API in
//! its own process; what it made is removed on drop.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test: that is how it fails, in helpers too"
)]

mod access;
mod bench;
mod command;
mod ends;
mod signals;
mod tree;
