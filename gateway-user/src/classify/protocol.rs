//! Which protocol a request speaks; two at once are refused.

use http::Method;

use super::{Call, ClassifyError, catalog::Service, cbor, json, query};
use crate::parse::{AwsRequest, VerifiedRequest};

/// Reads the call of a service other than S3.
pub(super) fn read(service: &'static Service, request: &VerifiedRequest) -> Result<Call, ClassifyError> {
    let head = request.request();
    if let Some(name) = head.query().duplicate() {
        return Err(ClassifyError::Ambiguous(format!("the query parameter {name:?} is there twice")));
    }
    let json = head.headers().contains_key("x-amz-target");
    let cbor = head.headers().contains_key("smithy-protocol");
    let form = content_type(head) == "application/x-www-form-urlencoded";
    let action_in_url = head.query().contains("Action");
    let (supported, spoken) = match (json, cbor, form || action_in_url) {
        (true, false, false) => (service.json, "JSON"),
        (false, true, false) => (service.cbor, "CBOR"),
        (false, false, true) => (!service.versions.is_empty(), "query"),
        (false, false, false) => {
            return Err(service.unknown_operation("no X-Amz-Target, Action or smithy-protocol"));
        }
        _ => return Err(ClassifyError::Ambiguous("it speaks two protocols at once".to_owned())),
    };
    if !supported {
        return Err(service.unknown_operation(&format!("the service does not speak the {spoken} protocol")));
    }
    match (json, cbor) {
        (true, _) => json::read(service, request),
        (_, true) if text_header(head, "smithy-protocol") != "rpc-v2-cbor" => {
            Err(service.unknown_operation("a smithy-protocol other than rpc-v2-cbor"))
        }
        (_, true) => cbor::read(service, request),
        (false, false) => query::read(service, request),
    }
}

/// The media type, lower case as SDKs write it, without parameters other than UTF-8. Anything else
/// is returned whole, so that it fits nothing.
pub(super) fn content_type(head: &AwsRequest) -> &str {
    let whole = text_header(head, "content-type");
    match whole.split_once(';') {
        Some((media, parameter)) if parameter.trim().eq_ignore_ascii_case("charset=utf-8") => media,
        Some(_) | None => whole,
    }
}

/// A header as text; empty where it is missing or not ASCII.
pub(super) fn text_header<'a>(head: &'a AwsRequest, name: &str) -> &'a str {
    head.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn require_post(head: &AwsRequest) -> Result<(), ClassifyError> {
    if *head.method() == Method::POST {
        return Ok(());
    }
    Err(ClassifyError::Ambiguous(format!("an RPC call with the method {}", head.method())))
}

/// RPC protocols post to `/`, without a query string.
pub(super) fn require_plain_post(head: &AwsRequest) -> Result<(), ClassifyError> {
    require_post(head)?;
    if head.path() != "/" {
        return Err(ClassifyError::Ambiguous("an RPC call to a path other than /".to_owned()));
    }
    if !head.query().is_empty() {
        return Err(ClassifyError::Ambiguous("an RPC call with a query string".to_owned()));
    }
    Ok(())
}

/// The inspected body, which must not be compressed.
pub(super) fn plain_body(request: &VerifiedRequest) -> Result<&[u8], ClassifyError> {
    let coding = text_header(request.request(), "content-encoding");
    if !coding.is_empty() {
        return Err(ClassifyError::BadBody(format!(
            "it is encoded as {coding:?}; only plain bodies are read"
        )));
    }
    match request.body() {
        Some(body) => Ok(body),
        None => Err(ClassifyError::BadBody("it was not read".to_owned())),
    }
}
