//! The messages on the daemon's socket, as JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use crate::{
    prim::{CgroupPath, SessionId, WorkloadName},
    record::retention::Report,
    secret::SecretText,
};

/// How the daemon is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// Version of the kernel half's data layout.
    pub abi: u32,
    /// The configured workloads.
    pub workloads: Vec<WorkloadName>,
    /// Those of them that are only observed: policy is recorded and not enforced.
    #[serde(default)]
    pub observed: Vec<WorkloadName>,
    /// Sessions open now.
    pub open_sessions: u64,
    /// Calls since the start.
    pub calls: CallCounts,
    /// The policies in force.
    pub policy: PolicyStatus,
    /// Whether the session database takes records.
    pub store: Health,
    /// Whether agents' connections are captured.
    pub redirect: Health,
    /// What the kernel half counted; `None` where it cannot be read.
    #[serde(default)]
    pub kernel: Option<KernelCounts>,
}

impl Status {
    /// Whether everything works: what `chaperone status` makes its exit code of.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.store.ok && self.redirect.ok && self.policy.last_reload_error.is_none()
    }
}

/// Calls since the daemon started, by outcome.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct CallCounts {
    /// Allowed and answered by AWS, whatever the answer.
    pub allowed: u64,
    /// Refused by policy.
    pub denied: u64,
    /// Allowed, but AWS could not be reached or the exchange broke off.
    pub failed: u64,
}

/// What the kernel half counted since its maps were made; they outlive the daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCounts {
    /// Connections of agents that were sent to the gateway.
    pub redirected: u64,
    /// Of these, the ones whose origin was lost: each was closed.
    pub origins_lost: u64,
    /// Connections, datagrams and binds that were refused.
    pub refused: u64,
    /// Refusals of which no event was written, because the ring buffer was full.
    pub events_lost: u64,
}

/// The policies in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Digest of the set, as records carry it.
    pub digest: String,
    /// Number of policies.
    pub count: u64,
    /// Why the last reload kept this set instead of the files'; `None` when they agree.
    pub last_reload_error: Option<String>,
}

/// Whether a part works.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Health {
    /// It does.
    pub ok: bool,
    /// What is wrong and what to do; empty when nothing is.
    pub detail: String,
}

/// A token on its way through the socket: `Debug` does not show it, the memory is zeroed on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(zeroize::Zeroizing<String>);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl Token {
    /// Takes ownership of the text; the caller keeps no copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }

    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// As the other stages know it.
    #[must_use]
    pub fn into_secret(self) -> SecretText {
        SecretText::new(self.0.to_string())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Presents a newer token for a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The token.
    pub token: Token,
}

/// The session goes on with the newer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// When that one ends, in seconds since 1970.
    pub expires: Option<i64>,
}

/// Asks for a session to start a command in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchRequest {
    /// The workload; not needed where exactly one is configured.
    #[serde(default)]
    pub workload: Option<WorkloadName>,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// The token that vouches for it, where the workload needs one and has no file of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

/// A session that waits for its first process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launched {
    /// The session.
    pub session: SessionId,
    /// The workload it runs.
    pub workload: WorkloadName,
    /// Its cgroup, below the cgroup v2 mount.
    pub cgroup: CgroupPath,
    /// How the process gets into it.
    pub placement: Placement,
    /// What the process's environment needs.
    pub environment: Environment,
    /// When its token ends, in seconds since 1970; `None` where it has none.
    #[serde(default)]
    pub token_expires: Option<i64>,
}

/// How a launched process gets into its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The launcher may start it there: `clone3(CLONE_INTO_CGROUP)` needs root.
    Clone,
    /// The launcher starts it, and the daemon moves it before it runs anything.
    Adopt,
}

/// How the environment of a launched command differs from the launcher's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Names to drop, before anything is set.
    pub remove: Vec<String>,
    /// Names and values that replace what the launcher has.
    pub set: Vec<(String, String)>,
    /// Names and values for what is not set otherwise.
    pub default: Vec<(String, String)>,
}

/// Asks to move a process into its session's cgroup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// A child of the process that asks.
    pub pid: u32,
}

/// Asks to remove what is old.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRequest {
    /// Bodies of calls from before this.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub bodies_before: Option<OffsetDateTime>,
    /// Sessions that ended before this, and events from before it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub rows_before: Option<OffsetDateTime>,
    /// The clock is right, although nothing was recorded for long.
    #[serde(default)]
    pub clock_is_right: bool,
    /// Why; it is recorded.
    pub reason: String,
}

/// A removal goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionBegun {
    /// What the run is called, in [`Report::run`] and in its event.
    pub run: String,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub began: OffsetDateTime,
}

/// How a removal goes, or how the last one ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionStatus {
    /// It goes on.
    pub running: bool,
    /// What is removed so far.
    pub report: Report,
    /// Why it ended early.
    pub error: Option<String>,
}

/// Asks to keep something whatever its age: a session, a workload's sessions, or what was open between two times.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// This session.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// The sessions of this workload.
    #[serde(default)]
    pub workload: Option<WorkloadName>,
    /// From this time on.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// Before this time.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// Why; it is recorded.
    pub reason: String,
}

/// A hold is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPlaced {
    /// Its id.
    pub hold: String,
    /// How many sessions it holds now.
    pub sessions: u64,
}

/// Asks to release a hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Why; it is recorded.
    pub reason: String,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub next_step: String,
}
