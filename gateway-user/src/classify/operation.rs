//! Which operation a request is: by the services behind its host, its protocol, and what the protocol
//! names it by.
//!
//! `rpc` reads the protocols that name the operation, `rest` those that describe it. A request that
//! shows marks of two protocols, or that two operations fit, is refused.

use std::borrow::Cow;

use super::{ClassifyError, coding, protocol::content_type, query};
use crate::{
    catalog::{Operation, Protocol, Service},
    parse::{AwsRequest, Candidate, PayloadMode, VerifiedRequest},
};

mod path;
mod rest;
mod routes;
mod rpc;

/// A request's operation.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) service: &'static Service,
    pub(super) operation: &'static Operation,
    pub(super) protocol: Protocol,
    /// What stands in path and host: names of members, decoded values.
    pub(super) labels: Vec<(&'static str, String)>,
    /// The same call as other services have it, whose members may be called otherwise.
    pub(super) twins: Vec<Found>,
}

/// Finds the operation of a request to any service but S3.
///
/// # Errors
/// [`ClassifyError`]: no operation fits, or more than one.
pub(super) fn find(request: &VerifiedRequest) -> Result<Found, ClassifyError> {
    let head = request.request();
    identify(head, || match request.body() {
        Some(body) => coding::of_service(head, body),
        None => Err(ClassifyError::BadBody("it was not read".to_owned())),
    })
}

/// `body` is asked for only where the operation's name is in it.
pub(super) fn identify<'a>(
    head: &AwsRequest,
    body: impl FnOnce() -> Result<Cow<'a, [u8]>, ClassifyError>,
) -> Result<Found, ClassifyError> {
    let candidates = Candidates::of(head);
    let form = content_type(head) == "application/x-www-form-urlencoded";
    // In REST it is a parameter like any other.
    let rest = candidates.speak(&[Protocol::RestJson, Protocol::RestXml]);
    let action = head.query().pairs().any(|(name, _)| name.eq_ignore_ascii_case("Action"));
    let marks = [
        head.headers().contains_key("x-amz-target").then_some(Mark::Json),
        head.headers().contains_key("smithy-protocol").then_some(Mark::Cbor),
        (form || action && !rest).then_some(Mark::Query),
    ];
    let mut marks = marks.into_iter().flatten();
    let (mark, other) = (marks.next(), marks.next());
    if other.is_some() {
        return Err(ClassifyError::Ambiguous("it speaks two protocols at once".to_owned()));
    }
    let found = match mark {
        Some(Mark::Json) => rpc::json(head, &candidates)?,
        Some(Mark::Cbor) => rpc::cbor(head, &candidates)?,
        Some(Mark::Query) => rpc::query(head, &query::action(head, &body()?)?, &candidates)?,
        None if rest => rest::find(head, &candidates)?,
        None => return Err(candidates.unknown("no X-Amz-Target, Action or smithy-protocol")),
    };
    one(found, &candidates, head)
}

/// The mark of a protocol that names its operation.
enum Mark {
    Json,
    Cbor,
    Query,
}

/// The services that a request may be for: behind its host, and of the name it is signed for.
struct Candidates<'a> {
    services: Vec<Candidate>,
    head: &'a AwsRequest,
}

/// An operation that fits, before it is known to be the only one.
#[derive(Debug)]
struct Fit {
    candidate: Candidate,
    operation: &'static Operation,
    protocol: Protocol,
    labels: Vec<(&'static str, String)>,
}

impl<'a> Candidates<'a> {
    fn of(head: &'a AwsRequest) -> Self {
        let all = head.endpoint().candidates().iter();
        // Requests of S3's own API are not read here.
        let signed = all
            .filter(|candidate| candidate.signing_name == head.service() && candidate.service.name != "s3");
        Self { services: signed.copied().collect(), head }
    }

    fn speak(&self, protocols: &[Protocol]) -> bool {
        self.services.iter().any(|candidate| protocols.iter().any(|one| candidate.service.speaks(*one)))
    }

    /// The candidates that speak one of `protocols`, each with the first that it speaks.
    fn speaking(&self, protocols: &'a [Protocol]) -> impl Iterator<Item = (Candidate, Protocol)> {
        self.services.iter().filter_map(move |candidate| {
            let protocol = protocols.iter().find(|protocol| candidate.service.speaks(**protocol))?;
            Some((*candidate, *protocol))
        })
    }

    /// The error for a request that fits no operation.
    fn unknown(&self, detail: &str) -> ClassifyError {
        let name = |candidate: &Candidate| {
            let service = candidate.service;
            if service.prefix.is_empty() { service.name } else { service.prefix }
        };
        let first = self.services.first().map_or_else(|| self.head.service(), name);
        ClassifyError::UnknownOperation {
            service: first.to_owned(),
            detail: detail.chars().take(200).collect(),
        }
    }
}

impl Candidate {
    /// The operation, if this host serves it.
    fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.service.operation(name).filter(|operation| operation.host_prefix == self.host_prefix)
    }
}

/// The one that fits. Twins (services that share hosts, an IAM prefix and the operation's name) are one:
/// it is the same call, and IAM does not tell them apart either. The service with the most operations
/// is the one the others were made from.
fn one(mut fits: Vec<Fit>, candidates: &Candidates<'_>, head: &AwsRequest) -> Result<Found, ClassifyError> {
    fits.sort_by_key(|fit| std::cmp::Reverse(fit.candidate.service.operations().len()));
    let mut fits = fits.into_iter();
    let first = fits.next().ok_or_else(|| candidates.unknown(&asked_for(head)))?;
    let others: Vec<Fit> = fits.collect();
    let twin = |other: &Fit| {
        let (one, two) = (first.candidate.service, other.candidate.service);
        !one.prefix.is_empty() && one.prefix == two.prefix && first.operation.name == other.operation.name
    };
    if let Some(other) = others.iter().find(|other| !twin(other)) {
        return Err(ClassifyError::Ambiguous(format!(
            "{} of {} and {} of {} fit",
            first.operation.name,
            first.candidate.service.name,
            other.operation.name,
            other.candidate.service.name
        )));
    }
    let operation = first.operation;
    if let Some(id) = head.query().get("x-id")
        && id != operation.name
    {
        return Err(ClassifyError::Ambiguous(format!("x-id says {id:?}, the request is {}", operation.name)));
    }
    if *head.payload() == PayloadMode::Unsigned && !operation.unsigned_body {
        let why = format!("the signature does not cover the body, which {} does not allow", operation.name);
        return Err(ClassifyError::Ambiguous(why));
    }
    let twins = others.into_iter().map(|fit| fit.at(head)).collect();
    Ok(Found { twins, ..first.at(head) })
}

impl Fit {
    /// The one that it is, with what stands in the host.
    fn at(self, head: &AwsRequest) -> Found {
        let Self { candidate, operation, protocol, mut labels } = self;
        let in_host = candidate.host_prefix.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        if let (Some((name, _)), Some(subject)) = (in_host, head.endpoint().subject()) {
            labels.push((name, subject.to_owned()));
        }
        Found { service: candidate.service, operation, protocol, labels, twins: Vec::new() }
    }
}

fn asked_for(head: &AwsRequest) -> String {
    match head.headers().get("x-amz-target") {
        Some(target) => target.to_str().unwrap_or_default().to_owned(),
        None => format!("{} {}", head.method(), head.path()),
    }
}

#[cfg(test)]
mod tests;
