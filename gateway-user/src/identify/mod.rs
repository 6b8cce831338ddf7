//! origin → `Caller`: which workload and session the connection belongs to.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    prim::{AccountId, CgroupId, CgroupPath, Region, SessionId, WorkloadName},
    secret::SecretText,
};

/// What a workload's connections may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Only AWS and the metadata endpoint.
    Aws,
    /// AWS is intercepted, everything else passes through untouched.
    Open,
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
