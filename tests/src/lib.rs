//! test bench.

/// The kernel tier: real cgroups, network namespaces and a private bpffs.
pub mod kernel;
