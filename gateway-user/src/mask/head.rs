//! What the head of an answer says of its body: whether it can be read, and how detectors read it.

use http::{HeaderMap, header};

use super::{Format, MESSAGE_MAX};

/// Whether a body with this head is one that could be looked through for secrets: no compression, and a media type of text.
#[must_use]
pub fn is_readable(headers: &HeaderMap) -> bool {
    !is_encoded(headers) && by_media_type(headers).is_some()
}

/// Whether the body is compressed.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// How detectors read an answer of this media type; `None` for what is no text.
pub(super) fn by_media_type(headers: &HeaderMap) -> Option<Format> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Some(Format::Text) };
    let value = value.to_str().ok()?.to_ascii_lowercase();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let (kind, sub) = essence.split_once('/')?;
    match (kind, sub) {
        ("application", "vnd.amazon.eventstream") => Some(Format::EventStream { message_max: MESSAGE_MAX }),
        ("application", "cbor") => Some(Format::Cbor),
        ("application", sub) if sub == "json" || sub.starts_with("x-amz-json-") || sub.ends_with("+json") => {
            Some(Format::Json)
        }
        ("application" | "text", sub) if sub == "xml" || sub.ends_with("+xml") => {
            Some(Format::Xml { wrappers: 1 })
        }
        // Events that somebody waits for, one by one: to look through them would be to hold them back.
        ("text", "event-stream") => None,
        ("text", _) => Some(Format::Text),
        ("application", "x-yaml" | "yaml" | "toml" | "x-ndjson" | "x-sh" | "javascript") => {
            Some(Format::Text)
        }
        _ => None,
    }
}
