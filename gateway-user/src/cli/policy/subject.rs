//! A caller without a daemon: whom a question about policies is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use time::OffsetDateTime;

use crate::{
    decide::{Insertion, Objection, Reveal, Verdict},
    identify::{Caller, Identity, MasterKey, Mode, Placeholder, Placeholders, Session, WorkloadConfig},
    prim::{CgroupId, CgroupPath, SessionId, WorkloadName},
};

/// A workload that is only a name and its groups.
pub(super) fn workload(name: WorkloadName, groups: Vec<String>) -> WorkloadConfig {
    WorkloadConfig { groups, ..WorkloadConfig::named(name) }
}

/// What a token would say of the caller; without any of it, the host vouches.
#[derive(Debug, Clone, Default)]
pub(super) struct Vouched {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) claims: BTreeMap<String, String>,
}

/// A session of `workload` that began at `started`. Policy is enforced on it, so that what is asked
/// shows what policy says.
pub(super) fn caller(
    mut workload: WorkloadConfig,
    vouched: Vouched,
    started: OffsetDateTime,
) -> anyhow::Result<Caller> {
    workload.mode = Mode::Enforce;
    let id = SessionId::generate();
    let cgroup = (CgroupPath::new("none"), CgroupId(0));
    let host = Identity::host(&workload);
    let issuer = vouched.issuer.or_else(|| workload.issuer.as_ref().map(ToString::to_string));
    let identity = Identity {
        issuer: issuer.unwrap_or_else(|| host.issuer.clone()),
        subject: vouched.subject.unwrap_or_else(|| host.subject.clone()),
        claims: vouched.claims,
        ..host
    };
    let session = Session::new(id, Arc::new(workload), cgroup, started, placeholder(id)?, None);
    session.is_known_as(identity);
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
    /// The role that the rules name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    /// What is said of each part of the answer that is withheld unless policy reveals it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reveals: Vec<Reveals>,
    /// What is said of each token in its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) inserts: Vec<Inserts>,
}

/// What is said of a token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Inserts {
    pub(super) field: String,
    pub(super) path: String,
    pub(super) inserted: bool,
    /// The rules that decided.
    pub(super) rules: Vec<String>,
    /// Why nothing is put in its place.
    pub(super) reason: Option<String>,
}

impl Inserts {
    pub(super) fn of(all: &[Insertion]) -> Vec<Self> {
        let of = |Insertion { token, by }: &Insertion| {
            let (inserted, rules, reason) = match by {
                Ok(rules) => (true, rules.clone(), None),
                Err(objection) => (false, objection.rules(), Some(objection.to_string())),
            };
            Self { field: token.field.clone(), path: token.path.clone(), inserted, rules, reason }
        };
        all.iter().map(of).collect()
    }
}

/// What is said of a part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Reveals {
    pub(super) field: Arc<str>,
    pub(super) revealed: bool,
    /// The rules that decided.
    pub(super) rules: Vec<String>,
    /// Why it stays withheld.
    pub(super) reason: Option<String>,
}

impl Reveals {
    pub(super) fn of(all: &[Reveal]) -> Vec<Self> {
        let of = |Reveal { field, by }: &Reveal| match by {
            Ok(rules) => {
                Self { field: Arc::clone(field), revealed: true, rules: rules.clone(), reason: None }
            }
            Err(objection) => {
                let (rules, reason) = (objection.rules(), Some(objection.to_string()));
                Self { field: Arc::clone(field), revealed: false, rules, reason }
            }
        };
        all.iter().map(of).collect()
    }
}

impl Said {
    pub(super) fn of(verdict: &Verdict) -> Self {
        let (verdict, objection) = match verdict {
            Verdict::Allow(permit) => {
                let (rules, role) = (permit.rules().to_vec(), permit.role().map(str::to_owned));
                return Self {
                    verdict: "allow",
                    rules,
                    reason: None,
                    role,
                    reveals: Vec::new(),
                    inserts: Vec::new(),
                };
            }
            Verdict::Ask(question) => ("ask", Objection::Ask(question.approvals.clone())),
            Verdict::Deny(denial) => ("deny", Objection::Deny(denial.reason.clone())),
        };
        let (rules, reason) = (objection.rules(), Some(objection.to_string()));
        Self { verdict, rules, reason, role: None, reveals: Vec::new(), inserts: Vec::new() }
    }

    /// The parts of the answer that are revealed, if there is one.
    pub(super) fn revealed(&self) -> BTreeSet<String> {
        let revealed = self.reveals.iter().filter(|part| part.revealed);
        revealed.map(|part| part.field.to_string()).collect()
    }

    /// The parameters that secrets are put into, if the call is made.
    pub(super) fn inserted(&self) -> BTreeSet<String> {
        self.inserts.iter().filter(|token| token.inserted).map(|token| token.field.clone()).collect()
    }
}
