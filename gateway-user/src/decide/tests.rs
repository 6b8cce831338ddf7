//! One `check` per question: what is decided, what does not load, and that slicing changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    testing::{caller, now},
    *,
};
use crate::classify::{ActionOn, Param};

mod approvals;
mod budgets;
mod decisions;
mod fuzzing;
mod insert;
mod levels;
mod load;
mod reveal;
mod roles;
mod slicing;
mod typed;
mod warnings;

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
        unread: Default::default(),
        keys: None,
        withheld: Vec::new(),
        tokens: Vec::new(),
        model: Default::default(),
        digest: RequestDigest([7; 32]),
    }
}

fn judge(policies: &Policies, caller: &Caller, operation: Operation) -> Verdict {
    let facts = Facts { now: now(), session: &SessionUsage::default(), day: &DayUsage::default() };
    policies.decide(caller, operation, facts)
}

fn policies(text: &str) -> Policies {
    Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The ids of the permitting rules, or why not.
fn decide(text: &str, groups: &[&str], operation: Operation) -> Result<Vec<String>, Reason> {
    outcome(&policies(text), groups, operation)
}

/// The same for rules that would not load, because their conditions may fail.
fn decide_untyped(text: &str, groups: &[&str], operation: Operation) -> Result<Vec<String>, Reason> {
    let policies = Policies::parse_untyped(text).unwrap_or_else(|errors| panic!("{errors}"));
    outcome(&policies, groups, operation)
}

fn outcome(policies: &Policies, groups: &[&str], operation: Operation) -> Result<Vec<String>, Reason> {
    match judge(policies, &caller(groups), operation) {
        Verdict::Allow(permit) => Ok(permit.rules().to_vec()),
        Verdict::Ask(question) => panic!("asks {:?}", question.approvals),
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

/// What the doctest of [`Permit`] must not write compiles here, where its fields are to be seen: privacy alone forbids it.
#[test]
fn only_privacy_forbids_to_forge_a_permit() {
    let _forge = |operation| Permit {
        operation,
        rules: vec![],
        role: None,
        objection: None,
        revealed: vec![],
        inserted: vec![],
    };
}
