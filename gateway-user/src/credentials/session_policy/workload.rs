//! A workload's rules as a policy of IAM, as far as IAM can say them.
//!
//! It allows at least what the rules permit. Conditions on parameters, time, counters and approvals are
//! left to the gateway, which decides every call before it is signed.

use std::collections::{BTreeMap, BTreeSet};

use super::{ANY, SessionPolicy, Statement, actions::short, literally, write};
use crate::{
    credentials::CredentialsError,
    decide::{Actions, Outline, Piece, Place, Policies},
    identify::{Identity, WorkloadConfig},
};

/// What the rules permit a workload in one role: that which they name, or else its own.
pub(in crate::credentials) fn for_workload(
    policies: &Policies,
    workload: &WorkloadConfig,
    identity: &Identity,
    role: &str,
) -> Result<SessionPolicy, CredentialsError> {
    let own = workload.role_arn.as_deref();
    let (permits, forbids): (Vec<Outline>, Vec<Outline>) =
        policies.outlines(&workload.name, identity).into_iter().partition(|outline| outline.permits);
    let mut allowed: BTreeMap<Vec<String>, Actions> = BTreeMap::new();
    for outline in permits.into_iter().filter(|outline| outline.role.as_deref().or(own) == Some(role)) {
        join(allowed.entry(resources(outline.places.as_deref())).or_default(), outline.actions);
    }
    // What is allowed everywhere need not be said of a place.
    let everywhere = allowed.get(&vec![ANY.to_owned()]).cloned().unwrap_or_default();
    for (_, actions) in allowed.iter_mut().filter(|(places, _)| **places != [ANY]) {
        reduce(actions, &everywhere);
    }
    let mut statements: Vec<Statement> = allowed
        .iter()
        .filter(|(_, actions)| !is_empty(actions))
        .map(|(places, actions)| statement(true, actions, places.clone()))
        .collect();
    let mut refused: BTreeMap<Vec<String>, Actions> = BTreeMap::new();
    for outline in forbids {
        if allowed.values().any(|actions| overlap(actions, &outline.actions)) {
            join(refused.entry(resources(outline.places.as_deref())).or_default(), outline.actions);
        }
    }
    statements.extend(refused.iter().map(|(places, actions)| statement(false, actions, places.clone())));
    if allowed.is_empty() {
        // A policy has a statement.
        let everything = Actions { all: true, ..Actions::default() };
        statements = vec![statement(false, &everything, vec![ANY.to_owned()])];
    }
    write(&statements).map_err(|characters| CredentialsError::RulesTooLarge {
        workload: workload.name.clone(),
        statements: statements.len(),
        characters,
    })
}

fn statement(allows: bool, actions: &Actions, resources: Vec<String>) -> Statement {
    let actions = if actions.all {
        vec![ANY.to_owned()]
    } else {
        let services = actions.services.iter().map(|service| format!("{service}:*"));
        services.chain(short(&actions.names)).collect()
    };
    Statement { allows, actions, resources }
}

/// Both.
fn join(actions: &mut Actions, more: Actions) {
    actions.all |= more.all;
    actions.services.extend(more.services);
    actions.names.extend(more.names);
    let services = &actions.services;
    actions.names.retain(|name| !of_any(name, services));
}

/// What is not in `known` already.
fn reduce(actions: &mut Actions, known: &Actions) {
    if known.all {
        *actions = Actions::default();
    }
    actions.services.retain(|service| !known.services.contains(service));
    actions.names.retain(|name| !known.names.contains(name) && !of_any(name, &known.services));
}

fn is_empty(actions: &Actions) -> bool {
    !actions.all && actions.services.is_empty() && actions.names.is_empty()
}

/// Whether any action is in both.
fn overlap(a: &Actions, b: &Actions) -> bool {
    let named = |a: &Actions, b: &Actions| {
        a.names.iter().any(|name| b.names.contains(name) || of_any(name, &b.services))
    };
    let either = |a: &Actions, b: &Actions| a.all && !is_empty(b) || named(a, b);
    either(a, b) || either(b, a) || !a.services.is_disjoint(&b.services)
}

fn of_any(name: &str, services: &BTreeSet<String>) -> bool {
    name.split_once(':').is_some_and(|(service, _)| services.contains(service))
}

/// Each once, in order; `*` alone where it is among them.
fn resources(places: Option<&[Place]>) -> Vec<String> {
    let resources: BTreeSet<String> = match places {
        None => BTreeSet::from([ANY.to_owned()]),
        Some(places) => places.iter().map(resource).collect(),
    };
    if resources.contains(ANY) { vec![ANY.to_owned()] } else { resources.into_iter().collect() }
}

/// ARNs as IAM writes them. IAM takes no wildcard in an ARN's beginning; such a pattern becomes `*`.
fn resource(Place(pieces): &Place) -> String {
    let begins = |text: &str| text.starts_with("arn:") && text.matches(':').count() >= 3;
    match pieces.first() {
        Some(Piece::Text(text)) if begins(text) => pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => literally(text),
                Piece::Anything => ANY.to_owned(),
            })
            .collect(),
        Some(Piece::Text(_) | Piece::Anything) | None => ANY.to_owned(),
    }
}
