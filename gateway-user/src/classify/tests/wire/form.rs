//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#query-string-serialization> and
//! <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>

use std::collections::BTreeMap;

use super::{Shapes, percent_encoded, present, text};
use crate::{
    catalog::{Member, Operation, Protocol, Shape},
    classify::Param,
};

pub(super) fn body(shapes: Shapes, operation: &Operation, params: &BTreeMap<String, Param>) -> String {
    let mut form = Form { shapes, pairs: Vec::new() };
    form.pairs.push(("Action".to_owned(), operation.name.to_owned()));
    form.pairs.push(("Version".to_owned(), shapes.service.version.to_owned()));
    form.structure("", super::members(shapes.service, operation), params);
    let encoded = |text: &str| percent_encoded(text).replace("%20", "+");
    let pairs = form.pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

struct Form {
    shapes: Shapes,
    pairs: Vec<(String, String)>,
}

impl Form {
    fn structure(&mut self, prefix: &str, members: &'static [Member], params: &BTreeMap<String, Param>) {
        for (member, param) in present(members, params) {
            let shape = self.shapes.get(member.shape);
            let name = match (shape, param) {
                // A flattened list of named items goes by their name, as long as it has any.
                (Shape::List { item_name, flattened: true, .. }, Param::List(items))
                    if self.shapes.protocol == Protocol::Query
                        && *item_name != "member"
                        && !items.is_empty() =>
                {
                    item_name
                }
                _ => member.wire,
            };
            self.value(&format!("{prefix}{name}"), shape, param);
        }
    }

    fn value(&mut self, name: &str, shape: &'static Shape, param: &Param) {
        let flat = self.shapes.protocol == Protocol::Ec2;
        match (shape, param) {
            (Shape::Structure(members), Param::Record(params)) => {
                self.structure(&format!("{name}."), members, params);
            }
            // An empty list is an empty text.
            (Shape::List { .. }, Param::List(empty)) if empty.is_empty() => {
                self.pairs.push((name.to_owned(), String::new()));
            }
            (Shape::Map { .. }, Param::Record(empty)) if empty.is_empty() => {
                self.pairs.push((name.to_owned(), String::new()));
            }
            (Shape::List { member, item_name, flattened }, Param::List(items)) => {
                let prefix = if *flattened || flat { name.to_owned() } else { format!("{name}.{item_name}") };
                for (item, n) in items.iter().zip(1..) {
                    self.value(&format!("{prefix}.{n}"), self.shapes.get(*member), item);
                }
            }
            (Shape::Map { value, key_name, value_name, flattened, .. }, Param::Record(entries)) => {
                let prefix = if *flattened { name.to_owned() } else { format!("{name}.entry") };
                for ((key, entry), n) in entries.iter().zip(1..) {
                    self.pairs.push((format!("{prefix}.{n}.{key_name}"), key.clone()));
                    self.value(&format!("{prefix}.{n}.{value_name}"), self.shapes.get(*value), entry);
                }
            }
            (_, param) => self.pairs.push((name.to_owned(), text(param))),
        }
    }
}
