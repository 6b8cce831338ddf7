//! Hosts that name the thing a request is about: the request must name the same.
//!
//! Which of the two a service goes by is not written anywhere, so what names two things is refused.

use std::collections::BTreeMap;

use super::{ClassifyError, Param};
use crate::{catalog::Service, parse::Endpoint, prim::AccountId};

/// The members that say what the host says, by service. The last part of an ARN counts, and of a stream's
/// id its two parts, between which the host has a dot.
const NAMED_BY: [(&str, &[&str]); 2] =
    [("kinesis", &["StreamId", "ChannelARN", "QueueARN", "ResourceARN"]), ("opensearchmemory", &["spaceId"])];

/// Checks that a request names what its host names.
///
/// # Errors
/// [`ClassifyError::Ambiguous`]: it names something else, or nothing.
pub(super) fn check(
    endpoint: &Endpoint,
    service: &Service,
    params: &BTreeMap<String, Param>,
) -> Result<(), ClassifyError> {
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

/// `arn:aws:kinesis:REGION:ACCOUNT:queue/NAME` → `NAME`; anything else as it is.
fn thing(text: &str) -> &str {
    let Some(resource) = text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4)) else {
        return text;
    };
    resource.split('/').nth(1).unwrap_or(resource)
}
