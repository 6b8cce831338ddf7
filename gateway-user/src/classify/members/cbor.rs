//! CBOR bodies.
//!
//! <https://www.rfc-editor.org/rfc/rfc8949> and
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>. Read by hand, because what
//! matters here is what libraries smooth over: duplicate keys, unknown tags and simple values, numbers
//! of more than 64 bits, and bytes after the end.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    Budget, bad_body,
    budget::{check_name, check_text},
    scalar::float_text,
    shortened,
    value::Value,
};
use crate::classify::ClassifyError;

/// The one data item of a CBOR text.
pub(super) fn value(body: &[u8]) -> Result<Value, ClassifyError> {
    let budget = Budget::new();
    let mut reader = Reader { rest: body, budget: &budget };
    let value = reader.value(1).map_err(bad_body)?;
    if !reader.rest.is_empty() {
        return Err(bad_body("trailing bytes after the CBOR value"));
    }
    Ok(value)
}

struct Reader<'a> {
    rest: &'a [u8],
    budget: &'a Budget,
}

/// The head of a data item (RFC 8949 section 3).
struct Head {
    major: u8,
    /// The low five bits.
    info: u8,
    /// What they stand for; `None`: indefinite length, or break.
    argument: Option<u64>,
}

const BREAK: u8 = 0xff;

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.budget.value(depth)?;
        let head = self.head()?;
        match (head.major, head.argument) {
            (0, Some(number)) => {
                Ok(i64::try_from(number).map_or_else(|_| Value::Big(number.to_string()), Value::Integer))
            }
            (1, Some(number)) => {
                let number = -1 - i128::from(number);
                Ok(i64::try_from(number).map_or_else(|_| Value::Big(number.to_string()), Value::Integer))
            }
            (2, length) => self.chunks(2, length).map(Value::Bytes),
            (3, length) => self.text(length).map(Value::Text),
            (4, length) => self.list(length, depth),
            (5, length) => self.record(length, depth),
            (6, Some(tag)) => self.tagged(tag),
            (7, _) => Self::simple(&head),
            _ => Err("it is not CBOR".to_owned()),
        }
    }

    fn head(&mut self) -> Result<Head, String> {
        let [first] = self.array()?;
        let info = first & 31;
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24 => Some(u64::from(u8::from_be_bytes(self.array()?))),
            25 => Some(u64::from(u16::from_be_bytes(self.array()?))),
            26 => Some(u64::from(u32::from_be_bytes(self.array()?))),
            27 => Some(u64::from_be_bytes(self.array()?)),
            31 => None,
            _ => return Err("it is not CBOR".to_owned()),
        };
        Ok(Head { major: first >> 5, info, argument })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.ok_or("the CBOR ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or("the CBOR ends too early")?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Whether the next byte ends a collection of indefinite length; it is taken then.
    fn at_break(&mut self) -> bool {
        match self.rest.split_first() {
            Some((&BREAK, rest)) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Bytes or text: in one piece, or in pieces of the same type, each with its length.
    fn chunks(&mut self, major: u8, length: Option<u64>) -> Result<Vec<u8>, String> {
        if let Some(length) = length {
            return self.take(length).map(<[u8]>::to_vec);
        }
        let mut whole = Vec::new();
        while !self.at_break() {
            let piece = self.head()?;
            let length = piece.argument.filter(|_| piece.major == major).ok_or("it is not CBOR")?;
            let piece = self.take(length)?;
            if major == 3 && std::str::from_utf8(piece).is_err() {
                return Err("a text is not UTF-8".to_owned());
            }
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    fn text(&mut self, length: Option<u64>) -> Result<String, String> {
        let text =
            String::from_utf8(self.chunks(3, length)?).map_err(|_| "a text is not UTF-8".to_owned())?;
        check_text(&text)?;
        Ok(text)
    }

    /// Whether a collection of `length`, with `count` items read, goes on.
    fn goes_on(&mut self, length: Option<u64>, count: u64) -> bool {
        match length {
            Some(length) => count < length,
            None => !self.at_break(),
        }
    }

    fn list(&mut self, length: Option<u64>, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        let mut count = 0;
        while self.goes_on(length, count) {
            items.push(self.value(depth + 1)?);
            count += 1;
        }
        Ok(Value::List(items))
    }

    fn record(&mut self, length: Option<u64>, depth: usize) -> Result<Value, String> {
        let mut record = BTreeMap::new();
        let mut count = 0;
        while self.goes_on(length, count) {
            let head = self.head()?;
            if head.major != 3 {
                return Err("a key that is no text".to_owned());
            }
            let key = self.text(head.argument)?;
            check_name(&key)?;
            match record.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(self.value(depth + 1)?);
                }
                Entry::Occupied(entry) => {
                    return Err(format!("the key {:?} is there twice", shortened(entry.key())));
                }
            }
            count += 1;
        }
        Ok(Value::Record(record))
    }

    /// Only timestamps (tag 1, RFC 8949 section 3.4.2) occur in AWS requests.
    fn tagged(&mut self, tag: u64) -> Result<Value, String> {
        if tag != 1 {
            return Err("a CBOR tag other than a timestamp".to_owned());
        }
        let head = self.head()?;
        let seconds = match (head.major, head.argument, head.info) {
            (0, Some(number), _) => number.to_string(),
            (1, Some(number), _) => (-1 - i128::from(number)).to_string(),
            (7, Some(_), 25..=27) => match Self::simple(&head)? {
                Value::Float(seconds) => seconds,
                _ => return Err("a timestamp that is no number".to_owned()),
            },
            _ => return Err("a timestamp that is no number".to_owned()),
        };
        Ok(Value::Time(seconds))
    }

    /// Major type 7: the two truth values, null, undefined (which Smithy reads as null) and floats.
    fn simple(head: &Head) -> Result<Value, String> {
        match (head.info, head.argument) {
            (20, _) => Ok(Value::Bool(false)),
            (21, _) => Ok(Value::Bool(true)),
            (22 | 23, _) => Ok(Value::Null),
            (25, Some(bits)) => u16::try_from(bits).map(half).map(Value::Float),
            // The shortest spelling of the narrow number, not of the wide one nearest to it.
            (26, Some(bits)) => u32::try_from(bits).map(f32::from_bits).map(narrow).map(Value::Float),
            (27, Some(bits)) => Ok(Value::Float(float_text(f64::from_bits(bits)))),
            _ => return Err("a simple value that is none of AWS's".to_owned()),
        }
        .map_err(|_| "it is not CBOR".to_owned())
    }
}

fn narrow(number: f32) -> String {
    if number.is_finite() { number.to_string() } else { float_text(f64::from(number)) }
}

/// A float of 16 bits (IEEE 754): every value is one of 32 bits as well.
fn half(bits: u16) -> String {
    let sign = if bits & 0x8000 == 0 { 1.0_f32 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if bits & 1023 == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    };
    narrow(sign * size)
}
