//! The test bench: a verifying upstream, a load generator, and a harness that runs the daemon and
//! real clients in real cgroups.

/// Counting what a thread allocates.
pub mod allocation;
/// Requests with a known truth, and what the product makes of them.
pub mod corpus;
/// Reading the session database with plain SQL.
pub mod database;
/// The direct tier: the real gateway in this process, without the kernel.
pub mod direct;
/// The daemon, its cgroups and real clients, started and cleaned up.
pub mod harness;
/// The kernel tier: real cgroups, network namespaces and a private bpffs.
pub mod kernel;
/// The load generator of the bench.
pub mod load;
/// Long answers, for what is measured of masking them.
pub mod masking;
/// Certificates for tests: a CA and what it vouches for.
pub mod pki;
/// Understanding a call and deciding it, stage by stage, for what is measured of it.
pub mod understand;
/// AWS, as strict as the original: verifies every signature and body, and misbehaves when told.
pub mod upstream;
