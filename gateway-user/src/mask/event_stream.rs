//! Answers that are messages one after the other: `application/vnd.amazon.eventstream`
//! (<https://smithy.io/2.0/aws/amazon-eventstream.html>).
//!
//! Each is held until it is whole, up to a bound, masked by what the plan says of its type of event, and framed again
//! where anything was hidden. Checksums are checked.

use zeroize::Zeroizing;

use super::{
    MaskError,
    cbor::Cbor,
    headers::rule,
    hide::{Hider, Why, Wire, append_within},
    json::Json,
    place::What,
    plan::{EventRule, HeaderRule},
    text::Text,
    whole::Whole,
    xml::Xml,
};

mod header;

use header::{Header, Value};

/// Bytes before the headers: two lengths and a checksum.
const PRELUDE: usize = 12;
/// Bytes of a message that are neither headers nor payload.
const FRAME: usize = PRELUDE + 4;
/// Bytes of the headers of a message, by the specification.
const HEADERS_MAX: usize = 128 * 1024;

/// A stream of messages that is being read.
pub(super) struct EventStream {
    /// The message that has not ended.
    held: Zeroizing<Vec<u8>>,
    /// How long it is, as soon as it says so.
    length: Option<usize>,
    message_max: usize,
}

impl EventStream {
    pub(super) fn new(message_max: usize) -> Self {
        Self { held: Zeroizing::default(), length: None, message_max }
    }

    pub(super) fn push(
        &mut self,
        hider: &mut Hider,
        mut chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        while !chunk.is_empty() {
            let wanted = self.length.unwrap_or(PRELUDE);
            let missing = wanted.saturating_sub(self.held.len());
            let (part, rest) = chunk.split_at_checked(missing).unwrap_or((chunk, &[]));
            append_within(&mut self.held, part, wanted);
            chunk = rest;
            if self.held.len() < wanted {
                return Ok(());
            }
            if self.length.is_none() {
                self.length = Some(length(&self.held, self.message_max)?);
                continue;
            }
            let held = std::mem::take(&mut self.held);
            self.length = None;
            message(hider, &held, out)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), MaskError> {
        if self.held.is_empty() { Ok(()) } else { Err(MaskError::Broken) }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Bytes of the message that begins so.
fn length(prelude: &[u8], message_max: usize) -> Result<usize, MaskError> {
    let malformed = MaskError::Malformed("the lengths of a message");
    let field = |at| number(prelude, at).ok_or(malformed);
    if crc32fast::hash(prelude.get(..8).unwrap_or_default()) != field(8)? {
        return Err(MaskError::Checksum);
    }
    let length = usize::try_from(field(0)?).map_err(|_| MaskError::TooLong)?;
    let headers = usize::try_from(field(4)?).map_err(|_| MaskError::TooLong)?;
    if length > message_max || headers > HEADERS_MAX {
        return Err(MaskError::TooLong);
    }
    if length < FRAME || headers > length - FRAME {
        return Err(malformed);
    }
    Ok(length)
}

/// A whole message.
fn message(hider: &mut Hider, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
    let malformed = MaskError::Malformed("a message");
    let (framed, sum) = bytes.split_last_chunk().ok_or(malformed)?;
    if crc32fast::hash(framed) != u32::from_be_bytes(*sum) {
        return Err(MaskError::Checksum);
    }
    let length = number(framed, 4).and_then(|length| usize::try_from(length).ok()).ok_or(malformed)?;
    let inner = framed.get(PRELUDE..).unwrap_or_default();
    let (headers, payload) = inner.split_at_checked(length).ok_or(malformed)?;
    let headers = header::read(headers)?;
    let plan = hider.plan_shared();
    let name = event(&headers)?;
    let rule = plan.event(name);
    hider.within(
        &String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(128).collect::<String>(),
    );
    let headers = masked_headers(hider, &headers, rule.map_or(&[], |rule| &rule.headers))?;
    let payload = masked_payload(hider, &headers, payload, rule)?;
    write(&header::write(&headers)?, &payload, out)
}

/// What kind of event it is; empty for an error, which has none.
fn event<'h>(headers: &'h [Header<'_>]) -> Result<&'h [u8], MaskError> {
    let name = match header::text(headers, b":message-type") {
        Some(b"event") => header::text(headers, b":event-type"),
        Some(b"exception") => header::text(headers, b":exception-type"),
        Some(b"error") => Some(b"".as_slice()),
        _ => None,
    };
    name.ok_or(MaskError::Malformed("a message of no type"))
}

fn masked_headers<'h>(
    hider: &mut Hider,
    headers: &[Header<'h>],
    rules: &[HeaderRule],
) -> Result<Vec<Header<'h>>, MaskError> {
    let mut masked = Vec::with_capacity(headers.len());
    for header in headers {
        let name = String::from_utf8_lossy(header.name);
        let what = rule(rules, &name).map(|rule| hider.field(rule.field));
        let value = match what {
            Some(What::Hide(why)) => hidden(hider, why, &name, &header.value)?,
            _ => header.value.clone(),
        };
        masked.push(Header { name: header.name, value });
    }
    Ok(masked)
}

fn hidden<'h>(hider: &mut Hider, why: Why, name: &str, value: &Value<'h>) -> Result<Value<'h>, MaskError> {
    hider.begin(why);
    let wire = match value {
        Value::Text(text) => {
            hider.update(text)?;
            Wire::Text
        }
        Value::Bytes(bytes) => {
            hider.update_bytes(bytes)?;
            Wire::Bytes
        }
        Value::Fixed(_, bytes) => {
            hider.update_bytes(bytes)?;
            Wire::Given
        }
    };
    let text = hider.end_at(|| name.to_owned(), wire)?.into_owned().into_bytes().into();
    Ok(match value {
        Value::Text(_) => Value::Text(text),
        Value::Bytes(_) => Value::Bytes(text),
        Value::Fixed(kind, bytes) => Value::nothing(*kind, bytes.len()),
    })
}

fn masked_payload(
    hider: &mut Hider,
    headers: &[Header<'_>],
    payload: &[u8],
    rule: Option<&EventRule>,
) -> Result<Vec<u8>, MaskError> {
    let what = rule.and_then(|rule| rule.payload).map_or(What::Free, |node| hider.what(node));
    let mut out = Vec::with_capacity(payload.len());
    let essence = header::text(headers, b":content-type").unwrap_or_default();
    let essence = essence.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    match (essence.as_slice(), what) {
        (b"application/json", _) => {
            let mut json = Json::new(what);
            json.push(hider, payload, &mut out)?;
            json.finish(hider, &mut out)?;
        }
        (b"application/cbor", _) => {
            let mut cbor = Cbor::new(what);
            cbor.push(hider, payload, &mut out)?;
            cbor.finish()?;
        }
        (b"application/xml" | b"text/xml", _) => {
            let mut xml = Xml::new(what, 1);
            xml.push(hider, payload, &mut out)?;
            xml.finish()?;
        }
        (b"text/plain", What::Free) => {
            let mut text = Text::new();
            text.push(hider, payload, &mut out)?;
            text.finish(hider, &mut out)?;
        }
        // Bytes, or of no known type: one value.
        _ => {
            let mut whole = Whole::new(what);
            whole.push(hider, payload, &mut out)?;
            whole.finish(hider, &mut out)?;
        }
    }
    Ok(out)
}

/// A message of these headers, as they are written, and this payload.
fn write(headers: &[u8], payload: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
    let length = |length: usize| u32::try_from(length).map_err(|_| MaskError::TooLong);
    let start = out.len();
    out.extend(length(FRAME + headers.len() + payload.len())?.to_be_bytes());
    out.extend(length(headers.len())?.to_be_bytes());
    out.extend(crc32fast::hash(out.get(start..).unwrap_or_default()).to_be_bytes());
    out.extend_from_slice(headers);
    out.extend_from_slice(payload);
    out.extend(crc32fast::hash(out.get(start..).unwrap_or_default()).to_be_bytes());
    Ok(())
}
