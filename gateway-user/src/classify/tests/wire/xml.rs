//! <https://smithy.io/2.0/spec/protocol-traits.html#xml-bindings>

use std::collections::BTreeMap;

use super::{Shapes, present, text};
use crate::{
    catalog::{Location, Member, Shape},
    classify::Param,
};

/// An element called `name` with these members.
pub(super) fn structure(
    shapes: Shapes,
    name: &str,
    members: &'static [Member],
    params: &BTreeMap<String, Param>,
    out: &mut String,
) {
    out.push_str(&format!("<{name}"));
    for (member, param) in present(members, params).filter(|(member, _)| member.at == Location::Attribute) {
        let instance = "http://www.w3.org/2001/XMLSchema-instance";
        out.push_str(&format!(" xmlns:xsi=\"{instance}\" {}=\"{}\"", member.wire, text(param)));
    }
    out.push('>');
    for (member, param) in present(members, params).filter(|(member, _)| member.at == Location::Body) {
        match (shapes.get(member.shape), param) {
            (Shape::List { member: item, flattened: true, .. }, Param::List(items)) => {
                items.iter().for_each(|one| value(shapes, member.wire, shapes.get(*item), one, out));
            }
            (shape @ Shape::Map { flattened: true, .. }, Param::Record(entries)) => {
                entries.iter().for_each(|one| entry(shapes, member.wire, shape, one, out));
            }
            (shape, param) => value(shapes, member.wire, shape, param, out),
        }
    }
    out.push_str(&format!("</{name}>"));
}

pub(super) fn value(shapes: Shapes, name: &str, shape: &'static Shape, param: &Param, out: &mut String) {
    if let (Shape::Structure(members), Param::Record(params)) = (shape, param) {
        return structure(shapes, name, members, params, out);
    }
    out.push_str(&format!("<{name}>"));
    match (shape, param) {
        (Shape::List { member, item_name, .. }, Param::List(items)) => {
            items.iter().for_each(|item| value(shapes, item_name, shapes.get(*member), item, out));
        }
        (Shape::Map { .. }, Param::Record(entries)) => {
            entries.iter().for_each(|one| entry(shapes, "entry", shape, one, out));
        }
        (_, param) => out.push_str(&escaped(&text(param))),
    }
    out.push_str(&format!("</{name}>"));
}

fn entry(
    shapes: Shapes,
    name: &str,
    shape: &'static Shape,
    (key, param): (&String, &Param),
    out: &mut String,
) {
    let Shape::Map { value: of, key_name, value_name, .. } = shape else { panic!("{shape:?}") };
    out.push_str(&format!("<{name}><{key_name}>{}</{key_name}>", escaped(key)));
    value(shapes, value_name, shapes.get(*of), param, out);
    out.push_str(&format!("</{name}>"));
}

/// A carriage return as it is would become a line feed.
fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).replace('\r', "&#xD;")
}
