//! JSON objects in which every name is there once, at every depth.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a reader take the last of two members of one name; another reader takes the
//! first. So such an object is no object.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are not an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonError {
    /// Not JSON, not an object, or more than that.
    NotAnObject,
    /// This name is there twice.
    Twice(String),
}

/// The one object that these bytes are (RFC 8259).
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let twice = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Seed { twice: &twice }.deserialize(&mut deserializer);
    match read.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(JsonError::NotAnObject),
        Err(_) => Err(twice.take().map_or(JsonError::NotAnObject, JsonError::Twice)),
    }
}

/// Reads one value; remembers the name that ended the reading, because an error of serde is only a text.
#[derive(Clone, Copy)]
struct Seed<'t> {
    twice: &'t RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if object.contains_key(&name) {
                // A hostile name may be long; the message stays short.
                self.twice.replace(Some(name.chars().take(80).collect()));
                return Err(A::Error::custom("a name is there twice"));
            }
            let value = map.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}
