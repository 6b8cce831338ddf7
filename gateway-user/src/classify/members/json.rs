//! JSON bodies.
//!
//! <https://www.rfc-editor.org/rfc/rfc8259>; what is stricter here: keys are unique, no byte order
//! mark, nothing after the value, bounds.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    Budget, bad_body,
    budget::{check_name, check_text},
    scalar::float_text,
    shortened,
    value::Value,
};
use crate::classify::ClassifyError;

/// The one value of a JSON text.
pub(super) fn value(body: &[u8]) -> Result<Value, ClassifyError> {
    let budget = Budget::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Seed { budget: &budget, depth: 1 }
        .deserialize(&mut deserializer)
        .map_err(|error| bad_body(error.to_string()))?;
    deserializer.end().map_err(|error| bad_body(error.to_string()))?;
    Ok(value)
}

/// Reads a value at a depth.
#[derive(Clone, Copy)]
struct Seed<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl Seed<'_> {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.budget.value(self.depth).map_err(D::Error::custom)?;
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
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Big(value.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(float_text(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        check_text(value).map_err(E::custom)?;
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.below())? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut record = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            check_name(&key).map_err(A::Error::custom)?;
            match record.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(map.next_value_seed(self.below())?);
                }
                Entry::Occupied(entry) => {
                    let key = shortened(entry.key());
                    return Err(A::Error::custom(format_args!("the key {key:?} is there twice")));
                }
            }
        }
        Ok(Value::Record(record))
    }
}
