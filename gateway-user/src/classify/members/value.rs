//! Self-describing values, as JSON and CBOR have them → parameters of their shape.

use std::collections::BTreeMap;

use super::{
    Params, shortened,
    structure::{Structure, mismatch, unique},
};
use crate::{
    catalog::{Location, Shape},
    classify::{ClassifyError, Param},
};

/// A value with the type that the wire gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// An absent member.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number of more than 64 bits with sign, in decimal.
    Big(String),
    /// Any other number, as `scalar::float_text` writes it.
    Float(String),
    /// A text.
    Text(String),
    /// Bytes (CBOR only).
    Bytes(Vec<u8>),
    /// A moment that is marked as one (CBOR only): seconds since 1970.
    Time(String),
    /// A list.
    List(Vec<Value>),
    /// A structure or map, without duplicate keys.
    Record(BTreeMap<String, Value>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Big(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "a timestamp",
            Self::List(_) => "a list",
            Self::Record(_) => "a structure",
        }
    }
}

/// The members of `input` that are in its body, read from the outermost value.
pub(super) fn members(input: Structure<'_>, body: Value, params: &mut Params) -> Result<(), ClassifyError> {
    let Value::Record(body) = body else {
        return Err(super::bad_body("it is not an object of members"));
    };
    unique(body.keys().map(String::as_str))?;
    for (name, value) in body {
        match input.find(&name, Location::Body)? {
            Some(member) => {
                if let Some(param) = shaped(member.name, value, input.shape(member.shape), input)? {
                    params.insert(member.name, param)?;
                }
            }
            None => {
                if let Some(param) = open(value) {
                    params.insert_unknown(&name, param)?;
                }
            }
        }
    }
    Ok(())
}

/// `value` as a parameter of `shape`; `None` for null. `name` is the member it belongs to.
pub(super) fn shaped(
    name: &str,
    value: Value,
    shape: &Shape,
    within: Structure<'_>,
) -> Result<Option<Param>, ClassifyError> {
    let param = match (shape, value) {
        (_, Value::Null) => return Ok(None),
        (Shape::Open, value) => return Ok(open(value)),
        (Shape::Structure(members), Value::Record(record)) => {
            structure(within.with(members), record).map(Param::Record)?
        }
        (Shape::List { member, .. }, Value::List(items)) => {
            let items = items.into_iter().map(|item| shaped(name, item, within.shape(*member), within));
            Param::List(items.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        }
        (Shape::Map { value, .. }, Value::Record(record)) => {
            let entry =
                |(key, item)| Ok(shaped(name, item, within.shape(*value), within)?.map(|item| (key, item)));
            Param::Record(
                record.into_iter().map(entry).filter_map(Result::transpose).collect::<Result<_, _>>()?,
            )
        }
        (Shape::Text | Shape::Blob | Shape::Timestamp(_), Value::Text(text)) => Param::Text(text),
        (Shape::Blob, Value::Bytes(bytes)) => Param::Text(base64(&bytes)),
        (Shape::Integer, Value::Integer(number)) => Param::Number(number),
        (Shape::Boolean, Value::Bool(value)) => Param::Bool(value),
        (Shape::Float | Shape::Timestamp(_), Value::Integer(number)) => Param::Text(number.to_string()),
        (Shape::Float | Shape::Timestamp(_), Value::Big(number) | Value::Float(number)) => {
            Param::Text(number)
        }
        (Shape::Timestamp(_), Value::Time(seconds)) => Param::Text(seconds),
        // The numbers that JSON has no words for.
        (Shape::Float, Value::Text(text)) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            Param::Text(text)
        }
        (shape, value) => return Err(mismatch(name, value.kind(), shape)),
    };
    Ok(Some(param))
}

/// A structure below the top: unknown members stay, under their names on the wire.
fn structure(
    within: Structure<'_>,
    record: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Param>, ClassifyError> {
    unique(record.keys().map(String::as_str))?;
    let mut params = BTreeMap::new();
    for (wire, value) in record {
        let (name, param) = match within.find(&wire, Location::Body)? {
            Some(member) => {
                (member.name.to_owned(), shaped(member.name, value, within.shape(member.shape), within)?)
            }
            None => (wire, open(value)),
        };
        if let Some(param) = param
            && let Some(_) = params.insert(name.clone(), param)
        {
            return Err(super::twice(&shortened(&name)));
        }
    }
    Ok(params)
}

/// A value of which the table says nothing; `None` for null.
pub(super) fn open(value: Value) -> Option<Param> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Param::Bool(value),
        Value::Integer(number) => Param::Number(number),
        Value::Big(text) | Value::Float(text) | Value::Text(text) | Value::Time(text) => Param::Text(text),
        Value::Bytes(bytes) => Param::Text(base64(&bytes)),
        Value::List(items) => Param::List(items.into_iter().filter_map(open).collect()),
        Value::Record(members) => Param::Record(
            members.into_iter().filter_map(|(name, value)| Some((name, open(value)?))).collect(),
        ),
    })
}

/// Standard base64 with padding (RFC 4648 section 4): how blobs look in the other protocols.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| ALPHABET.get((bits & 63) as usize).map_or('=', |byte| char::from(*byte));
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(digit(group >> 18));
        text.push(digit(group >> 12));
        text.push(if chunk.len() > 1 { digit(group >> 6) } else { '=' });
        text.push(if chunk.len() > 2 { digit(group) } else { '=' });
    }
    text
}
