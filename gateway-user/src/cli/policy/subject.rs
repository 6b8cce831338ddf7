//! A caller without a daemon: whom a question about policies is asked for.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    decide::{Objection, Verdict},
    identify::{
        Caller, CredentialSource, Egress, Identity, MasterKey, Mode, Placeholder, Placeholders, Session,
        WorkloadConfig,
    },
    prim::{CgroupId, CgroupPath, SessionId, WorkloadName},
};

/// A workload that is only a name and its groups.
pub(super) fn workload(name: WorkloadName, groups: Vec<String>) -> WorkloadConfig {
    WorkloadConfig {
        name,
        cgroup: None,
        tag: None,
        identity: Identity::Host,
        egress: Egress::Aws,
        mode: Mode::Enforce,
        region: None,
        account: None,
        groups,
        credentials: CredentialSource::Gateway,
        role_arn: None,
    }
}

/// A session of `workload` that began at `started`. Policy is enforced on it, so that what is asked
/// shows what policy says.
pub(super) fn caller(mut workload: WorkloadConfig, started: OffsetDateTime) -> anyhow::Result<Caller> {
    workload.mode = Mode::Enforce;
    let id = SessionId::generate();
    let session = Session {
        id,
        workload: Arc::new(workload),
        cgroup: CgroupPath::new("none"),
        cgroup_id: CgroupId(0),
        started,
        placeholder: placeholder(id)?,
        launch: None,
    };
    Ok(Caller { session: Arc::new(session), pid: 0, uid: 0 })
}

/// Keys that are good for nothing, from a key that is forgotten at once.
fn placeholder(session: SessionId) -> anyhow::Result<Placeholder> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    Ok(Placeholders::new(&MasterKey::from_bytes(key)).of(session))
}

/// A verdict, to be shown and compared.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Said {
    /// `allow`, `ask` or `deny`.
    pub(super) verdict: &'static str,
    /// The rules that decided.
    pub(super) rules: Vec<String>,
    /// Why, where it is not allowed.
    pub(super) reason: Option<String>,
}

impl Said {
    pub(super) fn of(verdict: &Verdict) -> Self {
        let (verdict, objection) = match verdict {
            Verdict::Allow(permit) => {
                return Self { verdict: "allow", rules: permit.rules().to_vec(), reason: None };
            }
            Verdict::Ask(question) => ("ask", Objection::Ask(question.approvals.clone())),
            Verdict::Deny(denial) => ("deny", Objection::Deny(denial.reason.clone())),
        };
        Self { verdict, rules: objection.rules(), reason: Some(objection.to_string()) }
    }
}
