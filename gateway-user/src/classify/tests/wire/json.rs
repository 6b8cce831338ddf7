//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#shape-serialization>

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Shapes, present};
use crate::{
    catalog::{Member, Shape},
    classify::Param,
};

pub(super) fn structure(
    shapes: Shapes,
    members: &'static [Member],
    params: &BTreeMap<String, Param>,
) -> Value {
    let pair = |(member, param): (&Member, &Param)| {
        (member.wire.to_owned(), value(shapes, shapes.get(member.shape), param))
    };
    Value::Object(present(members, params).map(pair).collect())
}

pub(super) fn value(shapes: Shapes, shape: &'static Shape, param: &Param) -> Value {
    match (shape, param) {
        (Shape::Structure(members), Param::Record(params)) => structure(shapes, members, params),
        (Shape::List { member, .. }, Param::List(items)) => {
            items.iter().map(|item| value(shapes, shapes.get(*member), item)).collect()
        }
        (Shape::Map { value: of, .. }, Param::Record(entries)) => {
            entries.iter().map(|(key, entry)| (key.clone(), value(shapes, shapes.get(*of), entry))).collect()
        }
        // Numbers on the wire, unless they are NaN or infinite, or a moment is written out.
        (Shape::Float | Shape::Timestamp(_), Param::Text(text)) => {
            match (text.parse::<i64>(), text.parse()) {
                (Ok(whole), _) if text != "-0" => whole.into(),
                (_, Ok(number)) if f64::is_finite(number) => number.into(),
                _ => text.as_str().into(),
            }
        }
        (_, param) => param.json(),
    }
}
