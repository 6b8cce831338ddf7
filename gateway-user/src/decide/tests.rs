//! One `check` per question: what is decided, what does not load, and that slicing changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    classify::{ActionOn, Param},
    identify::{Egress, Identity, Placeholder, Session, WorkloadConfig},
    prim::{CgroupId, CgroupPath, SessionId},
    secret::SecretText,
};

mod decisions;
mod load;
mod slicing;

/// A caller of workload `builds` in these groups.
fn caller(groups: &[&str]) -> Caller {
    let workload = WorkloadConfig {
        name: "builds".parse().unwrap(),
        cgroup: None,
        tag: Some("builds".to_owned()),
        identity: Identity::Host,
        egress: Egress::Aws,
        region: None,
        account: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        role_arn: None,
    };
    let secret = || SecretText::new("none".to_owned());
    let session = Session {
        id: SessionId::generate(),
        workload: Arc::new(workload),
        cgroup: CgroupPath::new("agents.slice/builds"),
        cgroup_id: CgroupId(7),
        started: OffsetDateTime::UNIX_EPOCH,
        launch: None,
        placeholder: Placeholder {
            access_key_id: "ASIA0000000000000000".to_owned(),
            secret: secret(),
            session_token: secret(),
        },
    };
    Caller { session: Arc::new(session), pid: 1, uid: 1 }
}

/// An operation that needs these (action, resource) pairs.
fn operation(pairs: &[(&str, &str)]) -> Operation {
    let (service, name) =
        pairs.first().and_then(|(action, _)| action.split_once(':')).unwrap_or(("s3", "None"));
    Operation {
        service: service.to_owned(),
        name: name.to_owned(),
        region: "eu-central-1".parse().unwrap(),
        account: None,
        actions: pairs
            .iter()
            .map(|(action, resource)| ActionOn {
                action: (*action).to_owned(),
                resource: (*resource).to_owned(),
            })
            .collect(),
        params: BTreeMap::new(),
        digest: RequestDigest([7; 32]),
    }
}

fn facts() -> Facts {
    Facts { now: OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap() }
}

fn policies(text: &str) -> Policies {
    Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The ids of the permitting rules, or why not.
fn decide(text: &str, groups: &[&str], operation: Operation) -> Result<Vec<String>, Reason> {
    match policies(text).decide(&caller(groups), operation, facts()) {
        Verdict::Allow(permit) => Ok(permit.rules().to_vec()),
        Verdict::Deny(denial) => Err(denial.reason),
    }
}

fn forbidden(rules: &[&str]) -> Result<Vec<String>, Reason> {
    Err(Reason::Forbidden { rules: rules.iter().map(|id| (*id).to_owned()).collect() })
}

fn nothing(action: &str, resource: &str) -> Result<Vec<String>, Reason> {
    Err(Reason::NothingPermits { action: action.to_owned(), resource: resource.to_owned() })
}

fn allowed(rules: &[&str]) -> Result<Vec<String>, Reason> {
    Ok(rules.iter().map(|id| (*id).to_owned()).collect())
}
