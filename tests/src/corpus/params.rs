//! Parameters: what was given against what was read.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gateway_user::classify::Param;
use serde_json::{Map, Value};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known, macros::format_description};

use super::Truth;

/// Where given and read are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Member names and list positions, e.g. `Tags.0.Key`.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

/// Holds every given member against what was read. Members that were read and not given are no
/// difference: clients add tokens and checksums of their own.
///
/// # Errors
/// The first [`Difference`].
pub fn compare(truth: &Truth, read: &BTreeMap<String, Param>) -> Result<(), Difference> {
    for (name, given) in &truth.params {
        if truth.streaming.as_ref() == Some(name) {
            continue;
        }
        member(name, given, read)?;
    }
    Ok(())
}

/// A member is known by its name in the model. Below the top, the name on the wire (`model|wire`) is
/// right as well: the catalogue does not hold every nested shape.
fn member(name: &str, given: &Value, read: &BTreeMap<String, Param>) -> Result<(), Difference> {
    let (model, wire) = name.split_once('|').unwrap_or((name, name));
    match read.get(model).or_else(|| read.get(wire)) {
        Some(param) => value(given, param).map_err(|inner| inner.below(model)),
        None if is_nothing(given) => Ok(()),
        None => Err(Difference { path: model.to_owned(), what: format!("not read; given {given}") }),
    }
}

/// What no protocol can tell from an absent member.
fn is_nothing(given: &Value) -> bool {
    match given {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() || members.contains_key("$open"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn value(given: &Value, read: &Param) -> Result<(), Difference> {
    let same = match (given, read) {
        (Value::String(given), Param::Text(read)) => given == read,
        (Value::Bool(given), Param::Bool(read)) => given == read,
        (Value::Number(given), Param::Number(read)) => given.as_i64() == Some(*read),
        (Value::Array(given), Param::List(read)) => return list(given, read),
        (Value::Object(given), read) => return object(given, read),
        _ => false,
    };
    if same { Ok(()) } else { Err(Difference::here(given, read)) }
}

fn list(given: &[Value], read: &[Param]) -> Result<(), Difference> {
    if given.len() != read.len() {
        let what = format!("{} items read, {} given", read.len(), given.len());
        return Err(Difference { path: String::new(), what });
    }
    for (at, (given, read)) in given.iter().zip(read).enumerate() {
        value(given, read).map_err(|inner| inner.below(&at.to_string()))?;
    }
    Ok(())
}

/// A structure or map, or a value that has several spellings.
fn object(given: &Map<String, Value>, read: &Param) -> Result<(), Difference> {
    let text = match read {
        Param::Text(text) => text.clone(),
        Param::Number(number) => number.to_string(),
        Param::Bool(_) | Param::List(_) | Param::Record(_) => String::new(),
    };
    let same =
        match given.iter().next().filter(|_| given.len() == 1).map(|(key, value)| (key.as_str(), value)) {
            Some(("$open", _)) => true,
            Some(("$time", seconds)) => {
                seconds.as_i64().is_some_and(|seconds| moment(&text) == Some(seconds))
            }
            Some(("$float", number)) => text.parse::<f64>().ok() == number.as_f64(),
            Some(("$blob", blob)) => blob.as_str().is_some_and(|blob| is_blob(blob, &text)),
            _ => match read {
                Param::Record(read) => {
                    return given.iter().try_for_each(|(name, given)| member(name, given, read));
                }
                Param::Text(_) | Param::Number(_) | Param::Bool(_) | Param::List(_) => false,
            },
        };
    if same { Ok(()) } else { Err(Difference::here(&Value::Object(given.clone()), read)) }
}

/// The moment that a text names, in Unix seconds: `1751605567`, RFC 3339, or an HTTP date.
fn moment(text: &str) -> Option<i64> {
    let http_date = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let whole = text.trim_end_matches('0').trim_end_matches('.');
    let seconds = if text.contains('.') { whole.parse() } else { text.parse() };
    seconds
        .ok()
        .or_else(|| {
            OffsetDateTime::parse(text, &well_known::Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
        })
        .or_else(|| PrimitiveDateTime::parse(text, http_date).ok().map(|at| at.assume_utc().unix_timestamp()))
}

/// Blobs are read as base64; where one is the payload of a request, also as the text that it is.
fn is_blob(given: &str, read: &str) -> bool {
    given == read || BASE64_STANDARD.encode(read) == given
}

impl Difference {
    fn here(given: &Value, read: &Param) -> Self {
        Self { path: String::new(), what: format!("read as {read:?}; given {given}") }
    }

    fn below(self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        Self { path, what: self.what }
    }
}

#[cfg(test)]
mod tests;
