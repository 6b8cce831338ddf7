//! Random plans and documents, with names from the same few, and what should become of them, told from the tree.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

/// What a plan may know of a place.
#[derive(Debug, Clone)]
pub(in crate::mask) enum Shape {
    Secret(Kind),
    Structure(BTreeMap<&'static str, Shape>),
    List(Box<Shape>),
    Map(Box<Shape>),
    /// In XML, a repeated member.
    FlatList(Box<Shape>),
    FlatMap(Box<Shape>),
}

impl Shape {
    /// Whether nothing is known.
    pub(in crate::mask) fn is_free(&self) -> bool {
        matches!(self, Self::Structure(members) if members.is_empty())
    }
}

pub(in crate::mask) const NAMES: [&str; 6] = ["A", "Bb", "Value", "secretString", "x-y", "Kéy"];

pub(in crate::mask) fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Text,
        Kind::Blob,
        Kind::Number,
        Kind::Boolean,
        Kind::Timestamp,
        Kind::Any,
    ])
}

pub(in crate::mask) fn shape(names: &'static [&'static str]) -> impl Strategy<Value = Shape> {
    kind().prop_map(Shape::Secret).prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            4 => prop::collection::btree_map(prop::sample::select(names), inner.clone(), 0..4)
                .prop_map(Shape::Structure),
            1 => inner.clone().prop_map(|shape| Shape::List(Box::new(shape))),
            1 => inner.clone().prop_map(|shape| Shape::Map(Box::new(shape))),
            1 => inner.clone().prop_map(|shape| Shape::FlatList(Box::new(shape))),
            1 => inner.prop_map(|shape| Shape::FlatMap(Box::new(shape))),
        ]
    })
}

/// The same as a plan.
pub(in crate::mask) fn plan(shape: &Shape) -> Plan {
    fn node(plan: &mut Builder, shape: &Shape) -> NodeId {
        match shape {
            Shape::Secret(kind) => {
                let field = plan.field("field", *kind);
                plan.secret(field)
            }
            Shape::Structure(members) => {
                let structure = plan.structure();
                for (name, shape) in members {
                    let member = node(plan, shape);
                    plan.member(structure, name, member);
                }
                structure
            }
            Shape::List(element) => {
                let element = node(plan, element);
                plan.list(element)
            }
            Shape::Map(value) => {
                let value = node(plan, value);
                plan.map(value)
            }
            Shape::FlatList(element) => {
                let element = node(plan, element);
                plan.flat_list(element)
            }
            Shape::FlatMap(value) => {
                let value = node(plan, value);
                plan.flat_map(value, "Bb")
            }
        }
    }
    let mut builder = Plan::builder();
    let root = node(&mut builder, shape);
    builder.build(root).unwrap()
}

/// What stands in the place of a text.
pub(in crate::mask) fn constant(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Blob => STANDARD.encode(MASKED),
        Kind::Timestamp if text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            "Thu, 01 Jan 1970 00:00:00 GMT".to_owned()
        }
        Kind::Timestamp if text.as_bytes().get(4) == Some(&b'-') => "1970-01-01T00:00:00Z".to_owned(),
        Kind::Timestamp => "0".to_owned(),
        _ => MASKED.to_owned(),
    }
}
