//! An operation's members → parameters: from path, query, headers and body, by the model's shapes.
//!
//! `head` reads labels, query and headers of the REST protocols, `body` finds out what the body is and
//! hands it to `json`, `cbor`, `form` or `xml`. All of them look members up in a [`Structure`], type
//! texts with `scalar`, and pay for every value from a [`Budget`]. What two parsers could read
//! differently is refused.
//!
//! Members that the model does not have are kept and said to be [`Params::unknown`]: a newer SDK may
//! send what AWS understands and this table does not, and a rule or a check for passed roles must be
//! able to see it. They cannot be taken for a member of the model, because a name that differs from one
//! only in case, or that belongs elsewhere in the request, is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClassifyError, Param};
use crate::{
    catalog::{Operation, Protocol, Service},
    parse::AwsRequest,
};

mod body;
mod budget;
mod cbor;
mod form;
mod head;
mod json;
mod scalar;
mod structure;
mod unknown;
mod value;
mod xml;

use budget::Budget;
pub(super) use budget::MAX_VALUES;
pub(super) use form::pairs as form_pairs;
use structure::Structure;

/// What an operation is asked to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Params {
    /// Parameters by their names in the model; null members are absent. Types are the shapes': whole
    /// numbers are [`Param::Number`], truth values [`Param::Bool`], everything else that is no
    /// collection is [`Param::Text`]. Below what the table holds, types are those of the wire.
    pub(super) values: BTreeMap<String, Param>,
    /// Members that may be there but are not in `values`, because the body they are in is not read:
    /// their names in the model.
    pub(super) unread: BTreeSet<String>,
    /// What of `values`, at any depth, the table does not know: names on the wire.
    pub(super) unknown: BTreeSet<String>,
}

/// Reads the members of `operation`. `labels` are the path's labels (and a virtual host's bucket, and
/// labels of the host) by their members' names, percent-decoded once. No body: it was not inspected.
///
/// # Errors
/// [`ClassifyError`]: a member can be read in two ways, or does not have its shape.
pub(super) fn read(
    service: &Service,
    operation: &Operation,
    protocol: Protocol,
    labels: &[(&str, String)],
    (head, body): (&AwsRequest, Option<&[u8]>),
) -> Result<Params, ClassifyError> {
    let input = Structure::input(service, operation, protocol);
    let mut params = Params::default();
    match protocol {
        Protocol::RestJson | Protocol::RestXml => {
            head::labels(input, labels, &mut params)?;
            head::query(input, operation, head.query(), &mut params)?;
            head::headers(input, labels, head.headers(), &mut params)?;
        }
        // Their members are all in the body; `form` reads the query string of a GET.
        Protocol::Json | Protocol::Cbor | Protocol::Query | Protocol::Ec2 => {}
    }
    body::read(input, operation, head, body, &mut params)?;
    let Params { values, unknown, .. } = &mut params;
    for member in input.members {
        if let Some(value) = values.get(member.name) {
            unknown::collect(service, service.shape(member.shape), value, unknown);
        }
    }
    Ok(params)
}

impl Params {
    /// A member of the model.
    fn insert(&mut self, name: &str, param: Param) -> Result<(), ClassifyError> {
        match self.values.insert(name.to_owned(), param) {
            None => Ok(()),
            Some(_) => Err(twice(name)),
        }
    }

    /// A member that the model does not have.
    fn insert_unknown(&mut self, name: &str, param: Param) -> Result<(), ClassifyError> {
        self.unknown.insert(name.to_owned());
        self.insert(name, param)
    }
}

fn twice(name: &str) -> ClassifyError {
    ClassifyError::Ambiguous(format!("the member {:?} is there twice", shortened(name)))
}

fn bad_member(name: &str, why: impl Into<String>) -> ClassifyError {
    ClassifyError::BadMember { member: shortened(name), why: why.into() }
}

fn bad_body(why: impl Into<String>) -> ClassifyError {
    ClassifyError::BadBody(why.into())
}

/// A name as errors may repeat it.
fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
