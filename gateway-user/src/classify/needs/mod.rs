//! needs + parameters → actions on resources.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::BTreeMap;

use super::{ActionOn, Param};
use crate::{
    catalog::{Ask, Condition, Need, Resource},
    tokens::is_token,
};

mod arn;
mod case;
mod form;
mod named;
mod reach;
mod resource;

use reach::{Found, Scope, find, items};
pub(super) use resource::Arns;

/// Every action that a call needs, with its resources, in the order of `needs`.
///
/// `needs` are an operation's, `params` what its request says.
pub(super) fn of(needs: &[Need<'_>], params: &BTreeMap<String, Param>, arns: &Arns<'_>) -> Vec<ActionOn> {
    let mut actions = Vec::new();
    // Needed on something that the request could name and does not.
    let mut unnamed: Vec<&str> = Vec::new();
    for need in needs {
        let (resources, absent) = resources(need, params, arns);
        actions.extend(resources.into_iter().map(|resource| on(need.action, resource)));
        if absent {
            unnamed.push(need.action);
        }
    }
    for action in unnamed {
        if !actions.iter().any(|on| on.action == action) {
            actions.push(on(action, "*".to_owned()));
        }
    }
    actions
}

fn on(action: &str, resource: String) -> ActionOn {
    ActionOn { action: action.to_owned(), resource }
}

/// The resources of one need, and whether an optional one was not named.
fn resources(need: &Need<'_>, params: &BTreeMap<String, Param>, arns: &Arns<'_>) -> (Vec<String>, bool) {
    let request = Scope { request: params, item: None };
    let Some(list) = &need.each else { return once(need, &request, arns) };
    let (mut resources, mut absent) = (Vec::new(), false);
    let items = items(list, params);
    for item in items.iter().flatten() {
        let Param::Record(item) = item else {
            resources.push("*".to_owned());
            continue;
        };
        let (more, none) = once(need, &Scope { request: params, item: Some(item) }, arns);
        resources.extend(more);
        absent |= none;
    }
    // A list that is not there, is none or is empty may stand for anything.
    if items.is_none_or(|items| items.is_empty()) {
        resources.push("*".to_owned());
    }
    (resources, absent)
}

fn once(need: &Need<'_>, scope: &Scope<'_>, arns: &Arns<'_>) -> (Vec<String>, bool) {
    if !need.conditions.iter().all(|condition| holds(condition, scope)) {
        return (Vec::new(), false);
    }
    match &need.resource {
        Resource::Any => (vec!["*".to_owned()], false),
        Resource::Roles => (named::roles(scope.request, arns), false),
        Resource::Objects => (named::objects(scope.request, arns), false),
        Resource::Arn { template, optional } => match arns.fill(template, scope) {
            Some(filled) => (filled, false),
            None if *optional => (Vec::new(), true),
            None => (vec!["*".to_owned()], false),
        },
    }
}

/// Whether a condition holds. Where a member is not what it should be, the need stands.
fn holds(condition: &Condition<'_>, scope: &Scope<'_>) -> bool {
    let any = condition.tests.iter().any(|test| {
        find(&test.path, scope).iter().any(|found| match (found, test.ask) {
            (Found::Text(text), Ask::Named) => !text.is_empty(),
            // A value will stand there that could be the one that is asked for.
            (Found::Text(text), Ask::Is(_) | Ask::Contains(_)) if is_token(text) => condition.when,
            (Found::Text(text), Ask::Is(value)) => text.eq_ignore_ascii_case(value),
            (Found::Text(text), Ask::Contains(part)) => {
                text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
            }
            (Found::Record, Ask::Named) => true,
            (Found::Record, Ask::Is(_) | Ask::Contains(_)) | (Found::Other, _) => condition.when,
        })
    });
    any == condition.when
}

#[cfg(test)]
mod tests;
