//! Smithy RPC v2 CBOR: `POST /service/SERVICE/operation/OPERATION`.
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use std::collections::BTreeMap;

use super::{
    Call, ClassifyError, Param,
    catalog::Service,
    protocol::{self, content_type},
    value::{Counted, MAX_DEPTH, unique_ignoring_case},
};
use crate::parse::VerifiedRequest;

/// Reads a call of the CBOR protocol.
pub(super) fn read(service: &'static Service, request: &VerifiedRequest) -> Result<Call, ClassifyError> {
    let head = request.request();
    protocol::require_post(head)?;
    if !head.query().is_empty() {
        return Err(ClassifyError::Ambiguous("a CBOR call with a query string".to_owned()));
    }
    let unknown = || service.unknown_operation(head.path());
    let path: Vec<&str> = head.path().split('/').collect();
    let ["", "service", target, "operation", operation] = path.as_slice() else { return Err(unknown()) };
    if !service.targets.contains(target) {
        return Err(unknown());
    }
    let operation = service.operation(operation).ok_or_else(unknown)?;
    let body = protocol::plain_body(request)?;
    let params = match (content_type(head), body.is_empty()) {
        ("application/cbor", false) => members(body)?,
        // Operations without input have neither.
        ("", true) => BTreeMap::new(),
        _ => return Err(ClassifyError::Ambiguous("rpc-v2-cbor with a body that is not CBOR".to_owned())),
    };
    Ok(Call { service, operation, params })
}

/// The members of a CBOR map, strictly: no duplicates, nothing after its end.
fn members(mut body: &[u8]) -> Result<BTreeMap<String, Param>, ClassifyError> {
    let bad = |what: String| ClassifyError::BadBody(what);
    // One level more, so that the exact bound is the one of `value`.
    let value: Counted = ciborium::de::from_reader_with_recursion_limit(&mut body, MAX_DEPTH + 1)
        .map_err(|error| bad(described(error)))?;
    if !body.is_empty() {
        return Err(bad("trailing bytes after the CBOR value".to_owned()));
    }
    match value.param {
        Some(Param::Record(members)) => {
            unique_ignoring_case(&members).map_err(bad)?;
            Ok(members)
        }
        _ => Err(bad("it is not a CBOR map".to_owned())),
    }
}

/// ciborium's own texts are debug output.
fn described<E>(error: ciborium::de::Error<E>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "the CBOR ends too early".to_owned(),
        ciborium::de::Error::Syntax(at) => format!("it is not CBOR, at byte {at}"),
        ciborium::de::Error::Semantic(_, what) => what,
        ciborium::de::Error::RecursionLimitExceeded => format!("nested deeper than {MAX_DEPTH} levels"),
    }
}
