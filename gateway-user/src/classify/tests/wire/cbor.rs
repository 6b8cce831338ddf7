//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html#shape-serialization>

use std::collections::BTreeMap;

use super::{Shapes, present};
use crate::{
    catalog::{Member, Shape},
    classify::{Param, tests::corpus::decode_base64},
};

const TEXT: u8 = 3;
const BYTES: u8 = 2;

pub(super) fn structure(
    shapes: Shapes,
    members: &'static [Member],
    params: &BTreeMap<String, Param>,
    out: &mut Vec<u8>,
) {
    let entries = present(members, params);
    record(entries.map(|(member, param)| (member.wire, shapes.get(member.shape), param)), shapes, out);
}

/// Of indefinite length.
fn record<'p>(
    entries: impl Iterator<Item = (&'p str, &'static Shape, &'p Param)>,
    shapes: Shapes,
    out: &mut Vec<u8>,
) {
    out.push(0xbf);
    for (name, shape, param) in entries {
        chunk(TEXT, name.as_bytes(), out);
        value(shapes, shape, param, out);
    }
    out.push(0xff);
}

fn value(shapes: Shapes, shape: &'static Shape, param: &Param, out: &mut Vec<u8>) {
    match (shape, param) {
        (Shape::Structure(members), Param::Record(params)) => structure(shapes, members, params, out),
        (Shape::Map { value: of, .. }, Param::Record(entries)) => {
            let of = shapes.get(*of);
            record(entries.iter().map(|(key, entry)| (key.as_str(), of, entry)), shapes, out);
        }
        (_, Param::Record(entries)) => {
            record(entries.iter().map(|(key, entry)| (key.as_str(), shape, entry)), shapes, out);
        }
        (shape, Param::List(items)) => {
            let of = if let Shape::List { member, .. } = shape { shapes.get(*member) } else { shape };
            head(4, items.len() as u64, out);
            items.iter().for_each(|item| value(shapes, of, item, out));
        }
        (Shape::Timestamp(_), Param::Text(seconds)) => {
            head(6, 1, out);
            match seconds.parse() {
                Ok(whole) => integer(whole, out),
                Err(_) => float(seconds, out),
            }
        }
        (Shape::Float, Param::Text(number)) => float(number, out),
        (Shape::Blob, Param::Text(text)) => chunk(BYTES, &decode_base64(text), out),
        (_, Param::Text(text)) => chunk(TEXT, text.as_bytes(), out),
        (_, Param::Number(number)) => integer(*number, out),
        (_, Param::Bool(truth)) => out.push(if *truth { 0xf5 } else { 0xf4 }),
    }
}

fn integer(number: i64, out: &mut Vec<u8>) {
    match u64::try_from(number) {
        Ok(number) => head(0, number, out),
        Err(_) => head(1, u64::try_from(-1 - number).unwrap(), out),
    }
}

fn float(number: &str, out: &mut Vec<u8>) {
    out.push(0xfb);
    out.extend(number.parse::<f64>().unwrap().to_be_bytes());
}

fn chunk(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(major, bytes.len() as u64, out);
    out.extend(bytes);
}

/// The head of a data item (RFC 8949 section 3).
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match argument {
        0..=23 => out.push(major | u8::try_from(argument).unwrap()),
        24..=0xff => out.extend([major | 24, u8::try_from(argument).unwrap()]),
        _ => {
            out.push(major | 27);
            out.extend(argument.to_be_bytes());
        }
    }
}
