//! Texts of a JSON document (RFC 8259).

use zeroize::Zeroizing;

use super::{Escaped, Out};

/// A text as JSON writes it, with quotation marks.
pub(super) fn written(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 6 + 2));
    serde_json::to_writer(&mut *out, value).ok()?;
    Some(out)
}

/// Copies a document that was read before, with other texts in the place of tokens. Names of members stay.
pub(super) fn replaced(body: &[u8], written: &Escaped, out: &mut Out) -> Option<()> {
    let mut rest = body;
    while let Some(begin) = memchr::memchr(b'"', rest) {
        let (before, text) = rest.split_at_checked(begin)?;
        out.keep(before)?;
        let (text, after) = text.split_at_checked(length(text)?)?;
        let is_name = after.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':');
        match said(text).filter(|_| !is_name).and_then(|said| written.of(&said)) {
            Some(value) => out.replace(value)?,
            None => out.keep(text)?,
        }
        rest = after;
    }
    out.keep(rest)
}

/// Bytes of the text that this begins with.
fn length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// What a text says, where it could be a token.
fn said(text: &[u8]) -> Option<String> {
    // Even with every character escaped a token is not longer.
    if text.len() > 1024 { None } else { serde_json::from_slice(text).ok() }
}
