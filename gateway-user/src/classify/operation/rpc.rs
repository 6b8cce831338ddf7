//! The protocols that name the operation: AWS JSON, RPC v2 CBOR, AWS query and EC2 query.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>,
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>,
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

use http::Method;

use super::{Candidates, Fit};
use crate::{
    catalog::{Protocol, Service},
    classify::{
        ClassifyError,
        protocol::{content_type, require_plain_post, require_post, text_header},
    },
    parse::AwsRequest,
};

/// `X-Amz-Target: PREFIX.Operation`.
pub(super) fn json(head: &AwsRequest, candidates: &Candidates<'_>) -> Result<Vec<Fit>, ClassifyError> {
    spoken(candidates, &[Protocol::Json], "JSON")?;
    require_plain_post(head)?;
    if !matches!(content_type(head), "application/x-amz-json-1.0" | "application/x-amz-json-1.1") {
        return Err(ClassifyError::Ambiguous("X-Amz-Target with a body that is not AWS JSON".to_owned()));
    }
    let target = text_header(head, "x-amz-target");
    let Some((prefix, name)) = target.rsplit_once('.') else { return Ok(Vec::new()) };
    Ok(named(candidates, &[Protocol::Json], name, |service| goes_by(service, prefix)))
}

/// `POST /service/SERVICE/operation/Operation` with `smithy-protocol: rpc-v2-cbor`.
pub(super) fn cbor(head: &AwsRequest, candidates: &Candidates<'_>) -> Result<Vec<Fit>, ClassifyError> {
    spoken(candidates, &[Protocol::Cbor], "CBOR")?;
    if text_header(head, "smithy-protocol") != "rpc-v2-cbor" {
        return Err(candidates.unknown("a smithy-protocol other than rpc-v2-cbor"));
    }
    require_post(head)?;
    if !head.query().is_empty() {
        return Err(ClassifyError::Ambiguous("a CBOR call with a query string".to_owned()));
    }
    // Operations without input have no body and say nothing of its type.
    if !matches!(content_type(head), "application/cbor" | "") {
        return Err(ClassifyError::Ambiguous("rpc-v2-cbor with a body that is not CBOR".to_owned()));
    }
    let path: Vec<&str> = head.path().split('/').collect();
    let ["", "service", named_service, "operation", name] = path.as_slice() else {
        return Err(candidates.unknown(head.path()));
    };
    let fits = named(candidates, &[Protocol::Cbor], name, |service| goes_by(service, named_service));
    if fits.is_empty() { Err(candidates.unknown(head.path())) } else { Ok(fits) }
}

/// `Action=Operation` and `Version`.
pub(super) fn query(
    head: &AwsRequest,
    (action, version): &(String, String),
    candidates: &Candidates<'_>,
) -> Result<Vec<Fit>, ClassifyError> {
    const QUERIES: &[Protocol] = &[Protocol::Query, Protocol::Ec2];
    spoken(candidates, QUERIES, "query")?;
    if head.path() != "/" {
        return Err(ClassifyError::Ambiguous("a query call to a path other than /".to_owned()));
    }
    let fits = named(candidates, QUERIES, action, |service| service.version == version);
    if fits.is_empty() {
        return Err(candidates.unknown(&format!("Action={action}, Version={version}")));
    }
    // Beside a form the URL has nothing but what the operation's own URI has, which is mostly nothing.
    let own = |fit: &Fit| {
        let literals = fit.operation.http.query.iter().map(|literal| (literal.name, literal.value));
        head.query().is_empty() || head.query().pairs().eq(literals)
    };
    if *head.method() == Method::POST && !fits.iter().all(own) {
        return Err(ClassifyError::Ambiguous("a query call that is neither a form nor a GET".to_owned()));
    }
    Ok(fits)
}

fn spoken(candidates: &Candidates<'_>, protocols: &[Protocol], name: &str) -> Result<(), ClassifyError> {
    if candidates.speak(protocols) {
        return Ok(());
    }
    Err(candidates.unknown(&format!("the service does not speak the {name} protocol")))
}

fn named(
    candidates: &Candidates<'_>,
    protocols: &'static [Protocol],
    name: &str,
    is_meant: impl Fn(&Service) -> bool,
) -> Vec<Fit> {
    let meant = candidates.speaking(protocols).filter(|(candidate, _)| is_meant(candidate.service));
    meant
        .filter_map(|(candidate, protocol)| {
            let operation = candidate.operation(name)?;
            Some(Fit { candidate, operation, protocol, labels: Vec::new() })
        })
        .collect()
}

/// Whether `name` is the service's target prefix or the last part of it, which is its name in its own
/// model: SDKs are not agreed on which to send.
fn goes_by(service: &Service, name: &str) -> bool {
    service.target_prefix.is_some_and(|prefix| prefix == name || prefix.rsplit('.').next() == Some(name))
}
