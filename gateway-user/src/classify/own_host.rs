//! Hosts that name the thing a request is about, or the account: the request must be about the same.
//!
//! Which of the two a service goes by is not written anywhere, so what names two things is refused.

use std::collections::BTreeMap;

use super::{ClassifyError, Param, operation::Found};
use crate::{catalog::Operation, parse::Endpoint, prim::AccountId};

/// The members that say what the host says, by service. The last part of an ARN counts, and of a stream's
/// id its two parts, between which the host has a dot.
const NAMED_BY: [(&str, &[&str]); 2] =
    [("kinesis", &["StreamId", "ChannelARN", "QueueARN", "ResourceARN"]), ("opensearchmemory", &["spaceId"])];

/// Checks that a request names what its host names. `account` is the caller's.
///
/// # Errors
/// [`ClassifyError::Ambiguous`]: it names something else, or nothing.
pub(super) fn check(
    endpoint: &Endpoint,
    Found { service, operation, .. }: &Found,
    params: &BTreeMap<String, Param>,
    account: Option<&AccountId>,
) -> Result<(), ClassifyError> {
    of_account(endpoint, operation, params, account)?;
    let Some((_, members)) = NAMED_BY.iter().find(|(name, _)| *name == service.name) else { return Ok(()) };
    // An account's own host names no thing.
    let Some(subject) = endpoint.subject().filter(|subject| !AccountId::is_valid(subject)) else {
        return Ok(());
    };
    let named = members.iter().filter_map(|member| match params.get(*member) {
        Some(Param::Text(text)) => Some(text.as_str()),
        Some(_) | None => None,
    });
    if named.map(thing).any(|name| name.eq_ignore_ascii_case(&subject.replace('.', "-"))) {
        return Ok(());
    }
    Err(ClassifyError::Ambiguous(format!("the host is that of {subject:?}, which the request does not name")))
}

/// A host of another account than the caller's needs an ARN of that account: names are taken for the caller's.
/// Where the account is a member of the operation, its own reader compares the two.
fn of_account(
    endpoint: &Endpoint,
    operation: &Operation,
    params: &BTreeMap<String, Param>,
    account: Option<&AccountId>,
) -> Result<(), ClassifyError> {
    let (Some(subject), Some(account)) = (endpoint.subject(), account) else { return Ok(()) };
    let foreign = AccountId::is_valid(subject) && subject != account.as_str();
    if !foreign || operation.host_prefix.contains('{') || params.values().any(|param| is_of(param, subject)) {
        return Ok(());
    }
    let why = format!("the host is that of account {subject}, of which the request names nothing");
    Err(ClassifyError::Ambiguous(why))
}

/// Whether there is an ARN of this account in a parameter.
fn is_of(param: &Param, account: &str) -> bool {
    match param {
        Param::Text(text) => text.starts_with("arn:") && text.split(':').nth(4) == Some(account),
        Param::List(items) => items.iter().any(|item| is_of(item, account)),
        Param::Record(members) => members.iter().any(|(name, member)| {
            name.starts_with("arn:") && name.split(':').nth(4) == Some(account) || is_of(member, account)
        }),
        Param::Number(_) | Param::Bool(_) => false,
    }
}

/// `arn:aws:kinesis:REGION:ACCOUNT:queue/NAME` → `NAME`; anything else as it is.
fn thing(text: &str) -> &str {
    let Some(resource) = text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4)) else {
        return text;
    };
    resource.split('/').nth(1).unwrap_or(resource)
}
