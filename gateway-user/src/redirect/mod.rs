//! kernel → origin: loads and pins the eBPF programs, tells where a connection wanted to go.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::prim::{AgentAddr, CgroupId, OriginalDst};

/// What the kernel remembers of an agent's `connect()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The address the agent asked for.
    pub destination: OriginalDst,
    /// The leaf cgroup of the connecting task.
    pub cgroup: CgroupId,
    /// The connecting process (thread group id): recorded, never used to identify.
    pub pid: u32,
    /// The connecting user id: recorded, never used to identify.
    pub uid: u32,
}

/// Why a connection has no origin; it is closed.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The kernel has no record: the connection did not come through the redirect.
    #[error("no origin is known for this connection")]
    Unknown,
    /// The record was written by another version of the kernel half.
    #[error("the kernel half speaks ABI {found}, this daemon {expected}")]
    Abi {
        /// The version in the record.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// The kernel refused the question.
    #[error("reading the origin failed: {0}")]
    Io(#[from] std::io::Error),
}

/// Tells where an accepted connection wanted to go.
///
/// The kernel is the only real implementation; the direct test tier has its own.
pub trait Origins: Send + Sync + 'static {
    /// The origin of `stream`, whose far end is `agent`.
    ///
    /// # Errors
    /// [`OriginError`]; the caller closes the connection.
    fn origin(&self, stream: &TcpStream, agent: AgentAddr) -> Result<Origin, OriginError>;
}

/// Where the listeners are and what is captured.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The cgroup below which every process is an agent, relative to the cgroup v2 mount.
    pub slice: String,
    /// Where links and maps are pinned; must lie on a bpffs.
    pub bpffs: std::path::PathBuf,
    /// Loopback addresses the daemon listens on for IPv4 (at most 8). Several spread the ports.
    pub listen_v4: Vec<SocketAddr>,
    /// Loopback addresses the daemon listens on for IPv6 (at most 8).
    pub listen_v6: Vec<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        let v4 = |last| SocketAddr::from(([127, 65, 87, last], 4143));
        let v6 = |port| SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        Self {
            slice: "agents.slice".to_owned(),
            bpffs: "/sys/fs/bpf/chaperone".into(),
            listen_v4: (1..=4).map(v4).collect(),
            listen_v6: (4143..=4146).map(v6).collect(),
        }
    }
}
