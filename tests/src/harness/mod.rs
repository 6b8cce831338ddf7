//! The daemon, its cgroups and real clients, started and cleaned up.
//!
//! Everything made here is removed on drop, in the reverse order of its making: processes by their
//! pid, cgroups, the private bpffs, temporary directories. Nothing outside loopback is contacted and
//! nothing of the host (`/etc/hosts`, trust store, `/sys/fs/bpf`) is changed.

mod agent;
mod cgroup;
mod daemon;
mod hung;
mod moto;
mod oidc;
mod process;
mod programs;
mod status;
mod store;
mod vouched;

pub use self::{
    agent::{AgentShell, Ran},
    cgroup::Cgroup,
    daemon::{Gateway, GatewayConfig, User},
    hung::Hung,
    moto::Moto,
    oidc::{Oidc, Wanted},
    process::{Running, start_pinned},
    programs::{built, node_modules, peer_scripts, repository, venv},
    status::NoStatus,
    store::Store,
    vouched::{TokenFiles, vouched_workload, vouching_issuer},
};

/// An address of the documentation range that stands for every AWS endpoint: no route leads there,
/// only the redirect answers. RFC 5737.
pub const AWS_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 10);
