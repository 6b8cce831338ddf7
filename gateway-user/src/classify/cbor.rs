//! Smithy RPC v2 CBOR: the body holds the members.
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use std::collections::BTreeMap;

use super::{
    ClassifyError, Param,
    value::{Counted, MAX_DEPTH, unique_ignoring_case},
};

/// The members of a CBOR map, strictly: no duplicates, nothing after its end. Operations without input
/// have no body.
pub(super) fn members(mut body: &[u8]) -> Result<BTreeMap<String, Param>, ClassifyError> {
    if body.is_empty() {
        return Ok(BTreeMap::new());
    }
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
