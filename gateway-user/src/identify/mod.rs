//! origin → `Caller`: which workload and session the connection belongs to.

use std::{path::PathBuf, sync::Arc};

use crate::{
    prim::{AccountId, IssuerName, Region, WorkloadName},
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

mod bindings;
#[cfg(test)]
pub(crate) mod fake;
mod handle;
mod identity;
mod minted;
mod removals;
mod session;
mod subjects;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
mod token_file;
mod vouch;

pub use self::{
    boot::BootId,
    cgroup::{CgroupError, CgroupFs, CgroupTree, Scopes, TAG_MAX},
    identity::Identity,
    master_key::MasterKey,
    minted::{GivenKeys, Minted},
    placeholder::{Nobody, Placeholders},
    registry::{Host, IdentifyError, Registry, StoredSession, StoredToken},
    removals::Removals,
    session::{EndReason, Session},
    subjects::Subjects,
    token_file::TokenFileError,
    vouch::{VouchError, Vouchers},
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
    /// Keys kept for a session that AWS gave it by its calls (`sts:AssumeRole`); where there are more, those that
    /// expire first stop working.
    pub minted_per_session: usize,
    /// Tokens that were accepted and have not expired, each bound to its cgroup; further ones are refused until
    /// one expires.
    pub max_tokens: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_sessions: 4096,
            sweep_secs: 5,
            placeholder_key: "/var/lib/chaperone/placeholder.key".into(),
            minted_per_session: MINTED_PER_SESSION,
            max_tokens: 65_536,
        }
    }
}

/// See [`Config::minted_per_session`].
const MINTED_PER_SESSION: usize = 64;

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
    /// Those of its role, assumed with the token by which the workload proved who it is: the gateway needs none
    /// of its own.
    WebIdentity,
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
    pub identity: Voucher,
    /// The `[[issuer]]` whose tokens it needs, where `identity = "oidc"`.
    #[serde(default)]
    pub issuer: Option<IssuerName>,
    /// Where its token is, read again whenever it changes; `{unit}` stands for the last part of the session's
    /// cgroup (`claude-1.service`). Without it `chaperone run` must present one.
    #[serde(default)]
    pub token_file: Option<String>,
    /// Globs of which the token's subject must fit one; any subject where there is none.
    #[serde(default)]
    pub subjects: Subjects,
    /// What it may reach besides AWS.
    #[serde(default = "default_egress")]
    pub egress: Egress,
    /// Whether policy is enforced. What is not understood or not authentic is refused either way.
    #[serde(default = "default_mode")]
    pub mode: Mode,
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
    /// Role that is assumed with the workload's token; with its keys then [`WorkloadConfig::role_arn`] is, or that of
    /// a rule. Without it the token is for the latter.
    #[serde(default)]
    pub web_identity_role: Option<String>,
    /// How far the keys of its role reach; [`Scope::Call`] where nothing is said. Only keys of a role
    /// can be limited.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// Whose keys its calls are made with.
    #[serde(default)]
    pub credentials: CredentialSource,
}

/// How far the keys of a role reach that sign a workload's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each call has keys of its own, good for the actions on resources that the call needs.
    #[default]
    Call,
    /// Each session has keys that are good for what the rules permit its workload.
    Session,
    /// Each session has keys that are good for all that the role may do.
    Role,
}

impl WorkloadConfig {
    /// A workload that is only a name: the host vouches, and everything else is as if not configured.
    #[must_use]
    pub fn named(name: WorkloadName) -> Self {
        Self {
            name,
            cgroup: None,
            tag: None,
            identity: Voucher::Host,
            issuer: None,
            token_file: None,
            subjects: Subjects::default(),
            egress: default_egress(),
            mode: default_mode(),
            region: None,
            account: None,
            groups: Vec::new(),
            role_arn: None,
            web_identity_role: None,
            scope: None,
            credentials: CredentialSource::Gateway,
        }
    }

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
    // The characters of paths and names of roles; a wildcard names no role.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
    let named = !name.is_empty() && !name.ends_with('/') && name.bytes().all(plain);
    let ok = *scheme == "arn" && partition.starts_with("aws") && named && arn.len() <= 2048;
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
pub enum Voucher {
    /// The host alone: being in the cgroup is the proof.
    Host,
    /// An OIDC issuer, by a token: from `token_file`, or presented by `chaperone run`.
    Oidc,
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
