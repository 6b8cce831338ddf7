//! Texts on the wire → values of their shape, in the one spelling that everyone reads alike.

use super::{bad_member, structure::mismatch};
use crate::{
    catalog::Shape,
    classify::{ClassifyError, Param},
};

/// The value of the member `name` that is written as `text` in a label, query, header, form or XML.
pub(super) fn from_text(name: &str, text: &str, shape: &Shape) -> Result<Param, ClassifyError> {
    match shape {
        Shape::Text | Shape::Timestamp(_) | Shape::Blob | Shape::Open => Ok(Param::Text(text.to_owned())),
        Shape::Integer => integer(text)
            .map(Param::Number)
            .ok_or_else(|| bad_member(name, "it is not a whole number of 64 bits in its shortest spelling")),
        Shape::Float => {
            float(text).map(Param::Text).ok_or_else(|| bad_member(name, "it is not a decimal number"))
        }
        Shape::Boolean => match text {
            "true" => Ok(Param::Bool(true)),
            "false" => Ok(Param::Bool(false)),
            _ => Err(bad_member(name, "it is neither true nor false")),
        },
        Shape::Structure(_) | Shape::List { .. } | Shape::Map { .. } => {
            Err(mismatch(name, "a plain value", shape))
        }
    }
}

/// Without sign `+` and leading zeros, which are an octal number for some parsers.
fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A decimal number as JSON writes it, or one of the three words that AWS has for what is none.
pub(super) fn float(text: &str) -> Option<String> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Some(text.to_owned());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let number: f64 = if plain { text.parse().ok()? } else { return None };
    number.is_finite().then(|| float_text(number))
}

/// One spelling for one number. Policies know no fractions; as a text they can still be compared for
/// equality.
pub(super) fn float_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        number.to_string()
    }
}
