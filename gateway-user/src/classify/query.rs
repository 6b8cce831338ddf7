//! The query protocols (AWS query and EC2 query): `Action` and `Version`, wherever they stand.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

use std::collections::BTreeMap;

use http::Method;

use super::{ClassifyError, members, protocol::content_type};
use crate::parse::{AwsRequest, Query};

/// `Action` and `Version` of a call: a form by POST, or the same in the URL by GET.
pub(super) fn action(head: &AwsRequest, body: &[u8]) -> Result<(String, String), ClassifyError> {
    let mut members = pairs(head, body)?;
    let mut take = |name: &str| members.remove(name).unwrap_or_default();
    Ok((take("Action"), take("Version")))
}

fn pairs(head: &AwsRequest, body: &[u8]) -> Result<BTreeMap<String, String>, ClassifyError> {
    let form = content_type(head) == "application/x-www-form-urlencoded";
    match *head.method() {
        // What may be in the URL beside a form depends on the operation: see `rpc`.
        Method::POST if form => unique(members::form_pairs(body)?),
        Method::GET if body.is_empty() => unique(own(head.query())),
        _ => Err(ClassifyError::Ambiguous("a query call that is neither a form nor a GET".to_owned())),
    }
}

fn own(query: &Query) -> Vec<(String, String)> {
    query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn unique(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, ClassifyError> {
    if pairs.len() > members::MAX_VALUES {
        return Err(ClassifyError::BadBody(format!("more than {} values", members::MAX_VALUES)));
    }
    let mut seen = BTreeMap::new();
    for (name, value) in pairs {
        let folded = name.to_ascii_lowercase();
        if seen.insert(folded, (name.clone(), value)).is_some() {
            return Err(ClassifyError::Ambiguous(format!("the parameter {name:?} is there twice")));
        }
    }
    Ok(seen.into_values().collect())
}
