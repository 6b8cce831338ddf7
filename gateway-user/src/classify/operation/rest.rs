//! The REST protocols: method, path and what the query string must have describe the operation.
//!
//! <https://smithy.io/2.0/spec/http-bindings.html#http-trait>

use std::borrow::Cow;

use super::{
    Candidates, Fit,
    path::Segments,
    routes::{Place, Routes},
};
use crate::{
    catalog::{Location, Operation, Protocol, Segment, Service},
    classify::ClassifyError,
    parse::{AwsRequest, Candidate, Query},
};

const RESTS: &[Protocol] = &[Protocol::RestJson, Protocol::RestXml];

/// Every operation that the request fits.
pub(super) fn find(head: &AwsRequest, candidates: &Candidates<'_>) -> Result<Vec<Fit>, ClassifyError> {
    let path = Segments::read(head.path())?;
    let fits = among(head, candidates, path.texts())?;
    // Who decodes before splitting must not find something else.
    if let Some(other) = path.decoded_first() {
        let name = |fit: &Fit| (fit.candidate.service.index, fit.operation.name);
        let known: Vec<_> = fits.iter().map(name).collect();
        let others = among(head, candidates, &other)?;
        if others.iter().any(|fit| !known.contains(&name(fit)) && !cuts_an_arn(fit)) {
            return Err(ClassifyError::Ambiguous("the path has an encoded slash".to_owned()));
        }
    }
    Ok(fits)
}

/// Labels that the models want to be ARNs with a slash in them, whatever the operation: service, label, and
/// how what follows the account begins.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_s3Buckets_ListNamespaces.html>
const ARNS: [(&str, &str, &str); 1] = [("s3tables", "tableBucketARN", "bucket/")];

/// Whether a reading leaves a label with half an ARN: the service takes none, so it does not read so.
fn cuts_an_arn(fit: &Fit) -> bool {
    fit.labels.iter().any(|(label, text)| {
        let known =
            ARNS.iter().find(|(service, name, _)| *service == fit.candidate.service.name && name == label);
        let resource = text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4));
        match (known, resource) {
            (Some((_, _, begin)), Some(resource)) => begin.trim_end_matches('/') == resource,
            _ => false,
        }
    })
}

fn among(
    head: &AwsRequest,
    candidates: &Candidates<'_>,
    path: &[Cow<'_, str>],
) -> Result<Vec<Fit>, ClassifyError> {
    let mut fits = Vec::new();
    for (candidate, protocol) in candidates.speaking(RESTS) {
        if let Some((operation, labels)) = of_service(head, candidate, path)? {
            fits.push(Fit { candidate, operation, protocol, labels });
        }
    }
    Ok(fits)
}

type Labelled = (&'static Operation, Vec<(&'static str, String)>);

fn of_service(
    head: &AwsRequest,
    candidate: Candidate,
    path: &[Cow<'_, str>],
) -> Result<Option<Labelled>, ClassifyError> {
    let routes = Routes::of(candidate.service);
    let method = head.method().as_str();
    if let Some(found) = most_specific(routes.places(method, path), candidate, head.query())? {
        return Ok(Some(found));
    }
    // SDKs are not agreed on a slash at the end; services take both.
    let other = match path.split_last() {
        Some((last, rest)) if last.is_empty() => rest.to_vec(),
        _ => [path, &[Cow::Borrowed("")]].concat(),
    };
    most_specific(routes.places(method, &other), candidate, head.query())
}

fn most_specific(
    places: Vec<Place<'_>>,
    candidate: Candidate,
    query: &Query,
) -> Result<Option<Labelled>, ClassifyError> {
    for place in places {
        let here = place.operations.iter().filter(|operation| operation.host_prefix == candidate.host_prefix);
        let here: Vec<&'static Operation> = here.copied().collect();
        if let Some(operation) = by_query(candidate.service, &here, query)? {
            let names = operation.http.segments.iter().filter_map(|segment| match segment {
                Segment::Label(name) | Segment::Greedy(name) => Some(*name),
                Segment::Literal(_) => None,
            });
            return Ok(Some((operation, names.zip(place.values).collect())));
        }
    }
    Ok(None)
}

/// Of operations with the same path, the one with the most literals that the query string has.
fn by_query(
    service: &Service,
    operations: &[&'static Operation],
    query: &Query,
) -> Result<Option<&'static Operation>, ClassifyError> {
    let has_all = |operation: &&&'static Operation| {
        let mut literals = operation.http.query.iter();
        literals.all(|literal| query.get(literal.name) == Some(literal.value))
    };
    let mut fitting: Vec<&'static Operation> = operations.iter().filter(has_all).copied().collect();
    fitting.sort_by_key(|operation| std::cmp::Reverse(operation.http.query.len()));
    let Some(best) = fitting.first().copied() else { return Ok(None) };
    let as_good = |other: &&&'static Operation| other.http.query.len() == best.http.query.len();
    if let Some(other) = fitting.iter().skip(1).find(as_good) {
        return Err(ClassifyError::Ambiguous(format!("{} and {} fit", best.name, other.name)));
    }
    // What tells the others apart must be there only as this one has it.
    let own = |name: &str| best.http.query.iter().any(|literal| literal.name == name);
    for literal in operations.iter().flat_map(|operation| &operation.http.query) {
        let count = query.pairs().filter(|(name, _)| name.eq_ignore_ascii_case(literal.name)).count();
        let allowed = if own(literal.name) { 1 } else { 0 };
        if count > allowed && !is_member(service, best, literal.name) {
            return Err(ClassifyError::Ambiguous(format!(
                "the query parameter {:?} does not fit {}",
                literal.name, best.name
            )));
        }
    }
    Ok(Some(best))
}

/// Whether `name` is a member of the operation in the query string.
fn is_member(service: &Service, operation: &Operation, name: &str) -> bool {
    service.members(operation).iter().any(|member| member.at == Location::Query && member.wire == name)
}
