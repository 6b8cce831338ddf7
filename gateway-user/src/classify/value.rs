//! One strict reader of self-describing data for JSON and CBOR alike.
//!
//! What two parsers could read differently is an error: duplicate keys, keys that are no text,
//! nesting deeper than [`MAX_DEPTH`], more than [`MAX_VALUES`] values. Memory stays within
//! depth × values however the input is built, because a collection stops as soon as it has too many.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use super::Param;

/// Levels of nesting.
pub(super) const MAX_DEPTH: usize = 32;
/// Values in one body: scalars, lists and structures together.
pub(super) const MAX_VALUES: usize = 10_000;

/// A value with what it cost.
pub(super) struct Counted {
    /// `None` for null: an absent parameter.
    pub(super) param: Option<Param>,
    values: usize,
    depth: usize,
}

impl Counted {
    fn scalar<E>(param: Option<Param>) -> Result<Self, E> {
        Ok(Self { param, values: 1, depth: 1 })
    }

    fn collection(param: Param, totals: Totals) -> Self {
        Self { param: Some(param), values: totals.values, depth: totals.depth }
    }
}

/// What a collection and everything in it cost so far.
struct Totals {
    values: usize,
    depth: usize,
}

impl Totals {
    const NEW: Self = Self { values: 1, depth: 1 };

    fn add<E: de::Error>(&mut self, child: &Counted) -> Result<(), E> {
        self.values += child.values;
        self.depth = self.depth.max(child.depth + 1);
        if self.values > MAX_VALUES {
            return Err(E::custom(format_args!("more than {MAX_VALUES} values")));
        }
        if self.depth > MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Counted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Number(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Counted, E> {
        Counted::scalar(Some(
            i64::try_from(value).map_or_else(|_| Param::Text(value.to_string()), Param::Number),
        ))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Text(value.to_string())))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Text(value.to_string())))
    }

    /// Policies know no fractions; as a text they can still be compared for equality.
    fn visit_f64<E>(self, value: f64) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Text(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Text(value)))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Counted, E> {
        Counted::scalar(Some(Param::Text(base64(value))))
    }

    fn visit_unit<E>(self) -> Result<Counted, E> {
        Counted::scalar(None)
    }

    fn visit_none<E>(self) -> Result<Counted, E> {
        Counted::scalar(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Counted, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Counted, A::Error> {
        let (mut list, mut totals) = (Vec::new(), Totals::NEW);
        while let Some(item) = seq.next_element::<Counted>()? {
            totals.add(&item)?;
            list.extend(item.param);
        }
        Ok(Counted::collection(Param::List(list), totals))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counted, A::Error> {
        let (mut record, mut seen, mut totals) =
            (BTreeMap::new(), std::collections::BTreeSet::new(), Totals::NEW);
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format_args!("the key {key:?} is there twice")));
            }
            let value = map.next_value::<Counted>()?;
            totals.add(&value)?;
            if let Some(param) = value.param {
                record.insert(key, param);
            }
        }
        Ok(Counted::collection(Param::Record(record), totals))
    }

    /// CBOR tags: only timestamps (tag 1, RFC 8949 section 3.4.2) occur in AWS requests.
    fn visit_enum<A: de::EnumAccess<'de>>(self, data: A) -> Result<Counted, A::Error> {
        use de::VariantAccess as _;
        struct Tagged;
        impl<'de> Visitor<'de> for Tagged {
            type Value = Counted;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a timestamp")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Counted, A::Error> {
                match seq.next_element::<u64>()? {
                    Some(1) => {}
                    _ => return Err(de::Error::custom("a CBOR tag other than a timestamp")),
                }
                let Some(value) = seq.next_element::<Counted>()? else {
                    return Err(de::Error::custom("a CBOR tag without a value"));
                };
                match value.param {
                    Some(Param::Number(seconds)) => Counted::scalar(Some(Param::Text(seconds.to_string()))),
                    Some(Param::Text(seconds)) => Counted::scalar(Some(Param::Text(seconds))),
                    _ => Err(de::Error::custom("a timestamp that is no number")),
                }
            }
        }
        let (_, variant) = data.variant::<de::IgnoredAny>()?;
        variant.tuple_variant(2, Tagged)
    }
}

/// Checks that a top-level structure does not have two members that differ only in case: services
/// are not agreed on whether these are the same.
pub(super) fn unique_ignoring_case(members: &BTreeMap<String, Param>) -> Result<(), String> {
    let mut names: Vec<String> = members.keys().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => Err(format!("the member {:?} is there twice", pair.first().map_or("", String::as_str))),
        None => Ok(()),
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    #[test]
    fn base64_vectors_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(plain.as_bytes()), encoded);
        }
        assert_eq!(super::base64(&[0xfb, 0xff]), "+/8=");
    }
}
