//! origin → `Caller`: which workload and session the connection belongs to.

use std::{path::PathBuf, sync::Arc};

use time::OffsetDateTime;

use crate::{
    prim::{AccountId, CgroupId, CgroupPath, Region, SessionId, WorkloadName},
    secret::SecretText,
};

/// The boot that cgroup ids belong to.
pub mod boot;
/// The cgroup v2 tree.
pub mod cgroup;
/// The host's master key.
pub mod master_key;
/// Placeholder keys, derived from the master key and the session.
pub mod placeholder;
/// The sessions that live.
pub mod registry;
/// The cgroups the launcher makes.
pub mod scope;
/// Which workload a cgroup belongs to.
pub mod workload;

#[cfg(test)]
pub(crate) mod fake;
mod handle;

pub use self::{
    boot::BootId,
    cgroup::{CgroupError, CgroupFs, CgroupTree, Scopes, TAG_MAX},
    master_key::{MasterKey, MasterKeyError},
    placeholder::Placeholders,
    registry::{EndReason, IdentifyError, Registry, StoredSession},
    workload::{WorkloadError, Workloads},
};

/// Bounds on sessions, and where the placeholders' master key is.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sessions open at once; further cgroups are refused until one ends.
    pub max_sessions: usize,
    /// How often ended sessions are looked for, in seconds.
    pub sweep_secs: u64,
    /// The 32-byte master key of placeholders (mode 0600), made at the first start.
    pub placeholder_key: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_sessions: 4096,
            sweep_secs: 5,
            placeholder_key: "/var/lib/chaperone/placeholder.key".into(),
        }
    }
}

/// What a workload's connections may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Only AWS and the metadata endpoint.
    Aws,
    /// AWS is intercepted, everything else passes through untouched.
    Open,
}

/// What becomes of a workload's calls that policy objects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are refused.
    Enforce,
    /// They are made all the same, and what policy would have said is recorded: to see what rules
    /// would do before they do it.
    Observe,
}

/// Whose keys a workload's calls are made with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialSource {
    /// The gateway's: agents sign with a placeholder, which is worthless outside their session.
    #[default]
    Gateway,
    /// The agents' own, which AWS knows and the gateway does not: calls are decided and recorded, and forwarded
    /// as they were signed.
    Passthrough,
}

/// A configured kind of agent, as the configuration file writes it (`[[workload]]`).
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadConfig {
    /// Its name in policies, records and on the command line.
    pub name: WorkloadName,
    /// Glob over the cgroup path below the cgroup v2 mount (`agents.slice/claude-*.service`; `*` does not match `/`).
    #[serde(default)]
    pub cgroup: Option<String>,
    /// Value of the extended attribute `trusted.chaperone.workload` on the cgroup.
    #[serde(default)]
    pub tag: Option<String>,
    /// Who vouches for it.
    pub identity: Identity,
    /// What it may reach besides AWS.
    #[serde(default = "default_egress")]
    pub egress: Egress,
    /// Whether policy is enforced. What is not understood or not authentic is refused either way.
    #[serde(default = "default_mode")]
    pub mode: Mode,
    /// Whose keys its calls are made with.
    #[serde(default)]
    pub credentials: CredentialSource,
    /// The region its SDKs are told by the metadata endpoint.
    #[serde(default)]
    pub region: Option<Region>,
    /// The AWS account its calls go to: needed to compute ARNs.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Cedar groups of the principal.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Role the gateway assumes for it; without one the gateway's own credentials sign.
    #[serde(default)]
    pub role_arn: Option<String>,
}

impl WorkloadConfig {
    /// The account its calls act in, as far as the configuration tells: `account`, or that of its role.
    #[must_use]
    pub fn stated_account(&self) -> Option<AccountId> {
        self.account.clone().or_else(|| role_account(self.role_arn.as_deref()?))
    }
}

/// The account of `arn:aws:iam::ACCOUNT:role/…`.
#[must_use]
pub fn role_account(arn: &str) -> Option<AccountId> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let name = resource.strip_prefix("role/")?;
    let ok = *scheme == "arn" && partition.starts_with("aws") && !name.is_empty() && arn.len() <= 2048;
    if ok { account.parse().ok() } else { None }
}

fn default_mode() -> Mode {
    Mode::Enforce
}

fn default_egress() -> Egress {
    Egress::Aws
}

/// Who vouches for a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The host alone: being in the cgroup is the proof.
    Host,
}

/// The per-session key pair the agent's SDK signs with; worthless outside the gateway.
#[derive(Debug, Clone)]
pub struct Placeholder {
    /// 20 characters, shaped like a temporary AWS access key id (`ASIA…`).
    pub access_key_id: String,
    /// 40 characters, as AWS secret access keys have.
    pub secret: SecretText,
    /// The session token the SDK sends along.
    pub session_token: SecretText,
}

/// One run of a workload.
#[derive(Debug)]
pub struct Session {
    /// Its id in records, messages and CloudTrail.
    pub id: SessionId,
    /// The workload it runs.
    pub workload: Arc<WorkloadConfig>,
    /// The session's cgroup: the shallowest one that the workload matches.
    pub cgroup: CgroupPath,
    /// The same cgroup as the kernel numbers it.
    pub cgroup_id: CgroupId,
    /// When it was enrolled.
    pub started: OffsetDateTime,
    /// What its SDKs sign with.
    pub placeholder: Placeholder,
    /// How `chaperone run` started it; `None` for a cgroup that was found in the slice.
    pub launch: Option<Launch>,
}

/// How `chaperone run` started a session: recorded only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The command line, cut to the bound of the API.
    pub command: Vec<String>,
    /// The user who ran it.
    pub uid: u32,
}

/// Who is calling on one connection.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The session the connection belongs to.
    pub session: Arc<Session>,
    /// The connecting process: recorded only.
    pub pid: u32,
    /// The connecting user: recorded only.
    pub uid: u32,
}
