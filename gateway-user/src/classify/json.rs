//! The JSON protocols: the body holds the members.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use std::collections::BTreeMap;

use super::{
    ClassifyError, Param,
    value::{Counted, unique_ignoring_case},
};

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
