//! What the protocols have in common, and the members of a request by its protocol.

use std::collections::BTreeMap;

use http::Method;

use super::{ClassifyError, Param, cbor, json, members, operation::Found, query};
use crate::{
    catalog::Protocol,
    parse::{AwsRequest, VerifiedRequest},
};

/// The members of a request.
pub(super) fn members(
    found: &Found,
    request: &VerifiedRequest,
) -> Result<BTreeMap<String, Param>, ClassifyError> {
    match found.protocol {
        Protocol::Json => json::members(plain_body(request)?),
        Protocol::Cbor => {
            let body = plain_body(request)?;
            // Operations without input have no body and say nothing of its type.
            if body.is_empty() != (content_type(request.request()) != "application/cbor") {
                return Err(ClassifyError::Ambiguous("rpc-v2-cbor with a body that is not CBOR".to_owned()));
            }
            cbor::members(body)
        }
        Protocol::Query | Protocol::Ec2 => query::members(found.service.prefix, request),
        Protocol::RestJson | Protocol::RestXml => {
            let read = members::read(found.service, found.operation, found.protocol, &found.labels, request)?;
            Ok(read.values)
        }
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
