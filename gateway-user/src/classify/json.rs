//! The JSON protocols: `X-Amz-Target` names the operation, the body holds its members.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use std::collections::BTreeMap;

use super::{
    Call, ClassifyError, Param,
    catalog::Service,
    protocol::{self, content_type, text_header},
    value::{Counted, unique_ignoring_case},
};
use crate::parse::VerifiedRequest;

/// Reads a call of the JSON protocols.
pub(super) fn read(service: &'static Service, request: &VerifiedRequest) -> Result<Call, ClassifyError> {
    let head = request.request();
    protocol::require_plain_post(head)?;
    if !matches!(content_type(head), "application/x-amz-json-1.0" | "application/x-amz-json-1.1") {
        return Err(ClassifyError::Ambiguous("X-Amz-Target with a body that is not AWS JSON".to_owned()));
    }
    let target = text_header(head, "x-amz-target");
    let unknown = || service.unknown_operation(target);
    let (prefix, operation) = target.rsplit_once('.').ok_or_else(unknown)?;
    if !service.targets.contains(&prefix) {
        return Err(unknown());
    }
    let operation = service.operation(operation).ok_or_else(unknown)?;
    let params = members(protocol::plain_body(request)?)?;
    Ok(Call { service, operation, params })
}

/// The members of a JSON object, strictly: UTF-8, no duplicates, nothing after its end.
pub(super) fn members(body: &[u8]) -> Result<BTreeMap<String, Param>, ClassifyError> {
    let bad = |what: String| ClassifyError::BadBody(what);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value: Counted =
        serde::Deserialize::deserialize(&mut deserializer).map_err(|error| bad(error.to_string()))?;
    deserializer.end().map_err(|error| bad(error.to_string()))?;
    match value.param {
        Some(Param::Record(members)) => {
            unique_ignoring_case(&members).map_err(bad)?;
            Ok(members)
        }
        _ => Err(bad("it is not a JSON object".to_owned())),
    }
}
