//! What is left of parameters on the wire: some protocols have no words for some empty things.

use std::collections::BTreeMap;

use crate::{
    catalog::{Location, Operation, Protocol, Service, Shape, ShapeId},
    classify::{Param, tests::wire::members},
};

/// The parameters that a request can say.
pub(super) fn normal(
    service: &'static Service,
    operation: &Operation,
    protocol: Protocol,
    params: &BTreeMap<String, Param>,
) -> BTreeMap<String, Param> {
    let normal = Normal { service, protocol };
    let known = members(service, operation).iter();
    let present = known.filter_map(|member| Some((member, params.get(member.name)?)));
    let said = present.filter_map(|(member, param)| {
        let param = match member.at {
            Location::Body | Location::Attribute => normal.member(member.shape, param)?,
            // A body of no bytes is no payload.
            Location::Payload if matches!(param, Param::Text(text) if text.is_empty()) => return None,
            Location::Payload => normal.value(member.shape, param)?,
            // An empty list or map is not there.
            _ if is_empty(param) => return None,
            // And neither is a key without values.
            _ => match param {
                Param::Record(entries) => {
                    let full = entries.iter().filter(|(_, value)| !is_empty(value));
                    let full: BTreeMap<_, _> =
                        full.map(|(key, value)| (key.clone(), value.clone())).collect();
                    (!full.is_empty()).then_some(Param::Record(full))?
                }
                param => param.clone(),
            },
        };
        Some((member.name.to_owned(), param))
    });
    said.collect()
}

fn is_empty(param: &Param) -> bool {
    match param {
        Param::List(items) => items.is_empty(),
        Param::Record(entries) => entries.is_empty(),
        Param::Text(_) | Param::Number(_) | Param::Bool(_) => false,
    }
}

#[derive(Clone, Copy)]
struct Normal {
    service: &'static Service,
    protocol: Protocol,
}

impl Normal {
    fn member(self, shape: ShapeId, param: &Param) -> Option<Param> {
        let shape_of = self.service.shape(shape);
        let flattened =
            matches!(shape_of, Shape::List { flattened: true, .. } | Shape::Map { flattened: true, .. });
        let param = self.value(shape, param)?;
        // Repeated elements of which there is none.
        let unsaid = self.protocol == Protocol::RestXml && flattened && is_empty(&param);
        (!unsaid).then_some(param)
    }

    fn value(self, shape: ShapeId, param: &Param) -> Option<Param> {
        Some(match (self.service.shape(shape), param) {
            (Shape::Structure(members), Param::Record(params)) => {
                let present = members.iter().filter_map(|member| Some((member, params.get(member.name)?)));
                let said = present.filter_map(|(member, param)| {
                    Some((member.name.to_owned(), self.member(member.shape, param)?))
                });
                let record: BTreeMap<_, _> = said.collect();
                // A form has only the names of what is in a structure.
                if record.is_empty() && matches!(self.protocol, Protocol::Query | Protocol::Ec2) {
                    return None;
                }
                Param::Record(record)
            }
            (Shape::List { member, .. }, Param::List(items)) => {
                Param::List(items.iter().filter_map(|item| self.value(*member, item)).collect())
            }
            (Shape::Map { value, .. }, Param::Record(entries)) => {
                let entry = |(key, param): (&String, &Param)| Some((key.clone(), self.value(*value, param)?));
                Param::Record(entries.iter().filter_map(entry).collect())
            }
            (_, param) => param.clone(),
        })
    }
}
