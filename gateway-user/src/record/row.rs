//! What the other stages hand over to be recorded, in record's own plain types.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use time::OffsetDateTime;

use crate::identify::{Caller, Identity, Launch, Session};
use crate::prim::{CallId, CgroupId, CgroupPath, SessionId, WorkloadName};

/// A session begins.
#[derive(Debug, Clone)]
pub struct SessionStart {
    /// Its id.
    pub id: SessionId,
    /// When it was enrolled.
    pub started: OffsetDateTime,
    /// The workload it runs.
    pub workload: WorkloadName,
    /// Who it is. The token is not stored.
    pub identity: Arc<Identity>,
    /// The machine's host name.
    pub hostname: String,
    /// `/proc/sys/kernel/random/boot_id`: cgroup ids are unique within one boot.
    pub boot_id: String,
    /// The session's cgroup.
    pub cgroup_path: CgroupPath,
    /// The same cgroup as the kernel numbers it.
    pub cgroup_id: CgroupId,
    /// The command line, where a launcher told it. What looks like a secret is not stored.
    pub command: Vec<String>,
    /// The user who launched it, where known.
    pub uid: Option<u32>,
}

/// A session's token was renewed.
#[derive(Debug, Clone)]
pub struct IdentityRenewal {
    /// Which session.
    pub session: SessionId,
    /// Who it is now known to be. The token is not stored.
    pub identity: Arc<Identity>,
}

/// A session ends.
#[derive(Debug, Clone)]
pub struct SessionEnd {
    /// Which session.
    pub session: SessionId,
    /// Why, e.g. `cgroup removed`.
    pub reason: String,
}

/// A session that a former run of the daemon left open: adopt it or end it.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    /// When it was enrolled.
    pub started: OffsetDateTime,
    /// The workload it runs.
    pub workload: WorkloadName,
    /// Who it was last known to be, without the token.
    pub identity: Identity,
    /// How it was launched, where a launcher told it.
    pub launch: Option<Launch>,
    /// The machine it runs on.
    pub hostname: String,
    /// The boot in which `cgroup_id` means something.
    pub boot_id: String,
    /// The session's cgroup.
    pub cgroup_path: CgroupPath,
    /// The same cgroup as the kernel numbered it.
    pub cgroup_id: CgroupId,
}

/// A cgroup whose session a person ended: it gets no other.
#[derive(Debug, Clone)]
pub struct KilledCgroup {
    /// The machine it is on.
    pub hostname: String,
    /// The boot in which `cgroup_id` means something.
    pub boot_id: String,
    /// The cgroup as the kernel numbered it.
    pub cgroup_id: CgroupId,
}

/// What the gateway said to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Policy allowed it.
    Allow,
    /// Policy denied it.
    Deny,
    /// Somebody would have to approve of it.
    Ask,
    /// Policy objected, and the workload is only observed: the call was made.
    Observed,
    /// Policy did not refuse it: it was not understood or not authentic, or the gateway could not.
    Refused,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Deny, Self::Ask, Self::Observed, Self::Refused];

    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Observed => "observed",
            Self::Refused => "refused",
        }
    }
}

/// What a call wants to do and what was decided. Texts that are not known are `None`.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The call's id.
    pub id: CallId,
    /// The session it belongs to; it must have been recorded.
    pub session: SessionId,
    /// The connecting process.
    pub pid: u32,
    /// The connecting user.
    pub uid: u32,
    /// The AWS account it goes to.
    pub account: Option<String>,
    /// The region of the signature scope.
    pub region: Option<String>,
    /// The AWS endpoint's name.
    pub host: Option<String>,
    /// IAM service prefix, e.g. `s3`.
    pub service: Option<String>,
    /// API operation, e.g. `PutObject`.
    pub operation: Option<String>,
    /// HTTP method.
    pub method: Option<String>,
    /// IAM actions, e.g. `s3:PutObject`.
    pub actions: Vec<String>,
    /// ARNs or `*`, in the order of `actions`.
    pub resources: Vec<String>,
    /// Request parameters. Values that look like secrets are not stored.
    pub params: Value,
    /// What was decided.
    pub decision: Decision,
    /// The rules that decided.
    pub rules: Vec<String>,
    /// Why, for a person.
    pub reason: Option<String>,
    /// Digest of the policies that decided.
    pub policy_digest: Option<String>,
    /// The access key id that the agent signed with.
    pub access_key_id: Option<String>,
    /// SHA-256 of the canonical request, in hexadecimal.
    pub request_digest: Option<String>,
}

impl Intent {
    /// An intent of which only the caller is known; the rest is filled in by struct update.
    #[must_use]
    pub fn new(id: CallId, session: SessionId, pid: u32, uid: u32, decision: Decision) -> Self {
        Self {
            id,
            session,
            pid,
            uid,
            account: None,
            region: None,
            host: None,
            service: None,
            operation: None,
            method: None,
            actions: Vec::new(),
            resources: Vec::new(),
            params: Value::Object(serde_json::Map::new()),
            decision,
            rules: Vec::new(),
            reason: None,
            policy_digest: None,
            access_key_id: None,
            request_digest: None,
        }
    }
}

/// A token that was accepted and has not expired, also one that was renewed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedToken {
    /// The SHA-256 of what its signature covers, in hexadecimal.
    pub digest: String,
    /// When it ends.
    pub expires: OffsetDateTime,
    /// The workload of the session that it was accepted for.
    pub workload: WorkloadName,
    /// Who launched that session, if `chaperone run` did it.
    pub uid: Option<u32>,
    /// That session's host.
    pub hostname: String,
    /// That host's boot.
    pub boot_id: String,
    /// That session's cgroup.
    pub cgroup_id: CgroupId,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// AWS answered, and the agent got the whole answer; the status may still be an error.
    Forwarded,
    /// The gateway answered instead of AWS: denied or refused.
    Denied,
    /// AWS could not be reached or broke off.
    Failed,
    /// The agent went away, or the daemon was stopped.
    Aborted,
    /// The daemon died before it could say; found by the next start.
    Unknown,
}

impl OutcomeKind {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// How a call ended, with what is known of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How.
    pub kind: OutcomeKind,
    /// HTTP status that the agent got.
    pub status: Option<u16>,
    /// AWS's id of the request.
    pub aws_request_id: Option<String>,
    /// AWS's or the gateway's error code, e.g. `AccessDenied`.
    pub error_code: Option<String>,
    /// Time from sending the request to the end of AWS's answer.
    pub upstream: Option<Duration>,
    /// Time that the gateway itself took.
    pub gateway: Option<Duration>,
    /// Body bytes from the agent.
    pub bytes_in: Option<u64>,
    /// Body bytes to the agent.
    pub bytes_out: Option<u64>,
    /// What was hidden in the answer.
    pub masked: Vec<MaskedValue>,
}

/// A value that was hidden in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedValue {
    /// Where it stood: `Parameters[3].Value`; empty for a whole body.
    pub path: String,
    /// Why: the member as the API's documentation names it (`Parameters[].Value`), `detector:` and its name, or `shape`
    /// where something else was expected in its place.
    pub cause: String,
    /// By which equal values are known without being known; `None` for those that are only counted.
    pub digest: Option<[u8; 16]>,
    /// How many values this stands for: 1, or those that were too many to be named.
    pub count: u64,
}

impl Outcome {
    /// An outcome of which nothing else is known; the rest is filled in by struct update.
    #[must_use]
    pub fn new(kind: OutcomeKind) -> Self {
        Self {
            kind,
            status: None,
            aws_request_id: None,
            error_code: None,
            upstream: None,
            gateway: None,
            bytes_in: None,
            bytes_out: None,
            masked: Vec::new(),
        }
    }
}

/// Something worth knowing that is not a call: a closed connection, a refusal of the kernel, reloaded
/// policies, a start of the daemon.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened, in a fixed word of the code such as `route-refused`; docs/queries.md lists them.
    pub kind: &'static str,
    /// The session it concerns.
    pub session: Option<SessionId>,
    /// The workload it concerns.
    pub workload: Option<WorkloadName>,
    /// The process it concerns.
    pub pid: Option<u32>,
    /// The user it concerns.
    pub uid: Option<u32>,
    /// For a person.
    pub message: String,
    /// For a query. Values that look like secrets are not stored.
    pub detail: Value,
}

impl Event {
    /// An event that concerns nobody in particular.
    #[must_use]
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            session: None,
            workload: None,
            pid: None,
            uid: None,
            message: message.into(),
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    /// The same, which concerns this caller.
    #[must_use]
    pub fn of(self, caller: &Caller) -> Self {
        Self { pid: Some(caller.pid), uid: Some(caller.uid), ..self.of_session(&caller.session) }
    }

    /// The same, which concerns this session.
    #[must_use]
    pub fn of_session(self, session: &Session) -> Self {
        Self { session: Some(session.id), workload: Some(session.workload.name.clone()), ..self }
    }
}
