//! Members below the top that the model does not have.
//!
//! The readers keep them under their names on the wire, which are never those of the model: a name that
//! could be taken for a member's is refused.

use std::collections::BTreeSet;

use super::shortened;
use crate::{
    catalog::{Service, Shape},
    classify::Param,
};

/// Adds the names of what is in `param` and not in `shape`. What the table says nothing of, and the keys of
/// maps, are anything.
pub(super) fn collect(service: &Service, shape: &Shape, param: &Param, names: &mut BTreeSet<String>) {
    match (shape, param) {
        (Shape::Structure(members), Param::Record(record)) => {
            for (name, value) in record {
                match members.iter().find(|member| member.name == name) {
                    Some(member) => collect(service, service.shape(member.shape), value, names),
                    None => {
                        names.insert(shortened(name));
                    }
                }
            }
        }
        (Shape::List { member, .. }, Param::List(items)) => {
            items.iter().for_each(|item| collect(service, service.shape(*member), item, names));
        }
        (Shape::Map { value, .. }, Param::Record(entries)) => {
            entries.values().for_each(|entry| collect(service, service.shape(*value), entry, names));
        }
        _ => {}
    }
}
