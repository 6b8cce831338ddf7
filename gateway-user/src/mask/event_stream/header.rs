//! The headers of a message.

use std::borrow::Cow;

use super::super::MaskError;

/// A header of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'h> {
    pub(super) name: &'h [u8],
    pub(super) value: Value<'h>,
}

/// Its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'h> {
    Bytes(Cow<'h, [u8]>),
    Text(Cow<'h, [u8]>),
    /// Of another type, whose values are all as long.
    Fixed(u8, Cow<'h, [u8]>),
}

const TRUE: u8 = 0;
const FALSE: u8 = 1;
const BYTES: u8 = 6;
const TEXT: u8 = 7;

impl Value<'_> {
    /// What stands in the place of a value of this type and length.
    pub(super) fn nothing(kind: u8, length: usize) -> Self {
        let kind = if kind == TRUE { FALSE } else { kind };
        Self::Fixed(kind, vec![0; length].into())
    }
}

/// All headers of a message. No name is there twice.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Header<'_>>, MaskError> {
    let mut headers: Vec<Header<'_>> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (header, others) = one(rest).ok_or(MaskError::Malformed("the headers of a message"))?;
        rest = others;
        headers.push(header);
    }
    let mut names: Vec<&[u8]> = headers.iter().map(|header| header.name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(MaskError::Malformed("a header twice in a message"));
    }
    Ok(headers)
}

fn one(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let fixed = match *kind {
        TRUE | FALSE => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        BYTES | TEXT => {
            let (length, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let value = if *kind == TEXT { Value::Text(value.into()) } else { Value::Bytes(value.into()) };
            return Some((Header { name, value }, rest)).filter(|_| !name.is_empty());
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(fixed)?;
    Some((Header { name, value: Value::Fixed(*kind, value.into()) }, rest)).filter(|_| !name.is_empty())
}

/// What a header says that is a text.
pub(super) fn text<'h>(headers: &'h [Header<'_>], name: &[u8]) -> Option<&'h [u8]> {
    match &headers.iter().find(|header| header.name == name)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Headers as they are written.
pub(super) fn write(headers: &[Header<'_>]) -> Result<Vec<u8>, MaskError> {
    let mut out = Vec::new();
    for Header { name, value } in headers {
        out.push(u8::try_from(name.len()).map_err(|_| MaskError::TooLong)?);
        out.extend_from_slice(name);
        let (kind, bytes) = match value {
            Value::Text(text) => (TEXT, text),
            Value::Bytes(bytes) => (BYTES, bytes),
            Value::Fixed(kind, bytes) => (*kind, bytes),
        };
        out.push(kind);
        if matches!(kind, TEXT | BYTES) {
            out.extend(u16::try_from(bytes.len()).map_err(|_| MaskError::TooLong)?.to_be_bytes());
        }
        out.extend_from_slice(bytes);
    }
    Ok(out)
}
