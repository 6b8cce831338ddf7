//! Tags, references and the declaration.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::{super::MaskError, is_blank, malformed};

/// A tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag<'a> {
    Start {
        name: &'a [u8],
        /// Behind the name, as they are written.
        attributes: &'a [u8],
        /// It is an end as well.
        empty: bool,
    },
    End(&'a [u8]),
}

/// Bytes until the tag ends. `quote`: the mark in whose value of an attribute it begins, and after that stops.
#[inline]
pub(super) fn length(bytes: &[u8], quote: &mut Option<u8>) -> Option<usize> {
    for (at, byte) in bytes.iter().enumerate() {
        match (*quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => *quote = Some(*byte),
            (Some(mark), byte) if mark == *byte => *quote = None,
            _ => {}
        }
    }
    None
}

/// A tag from `<` to `>`.
pub(super) fn read(bytes: &[u8]) -> Result<Tag<'_>, MaskError> {
    let inner = bytes.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    let inner = inner.ok_or(malformed("a tag"))?;
    if let Some(end) = inner.strip_prefix(b"/") {
        let name = end.split(is_blank).next().unwrap_or_default();
        let rest = end.get(name.len()..).unwrap_or_default();
        if !is_name(name) || !rest.iter().all(is_blank) {
            return Err(malformed("a tag"));
        }
        return Ok(Tag::End(name));
    }
    // Most have neither attributes nor prefix.
    if inner.iter().all(|b| PLAIN.get(usize::from(*b)) == Some(&true))
        && inner.first().is_some_and(begins_name)
    {
        return Ok(Tag::Start { name: inner, attributes: &[], empty: false });
    }
    let (inner, empty) = inner.strip_suffix(b"/").map_or((inner, false), |inner| (inner, true));
    let length = inner.iter().position(is_blank).unwrap_or(inner.len());
    let (name, attributes) = inner.split_at_checked(length).ok_or(malformed("a tag"))?;
    if !is_name(name) {
        return Err(malformed("the name of an element"));
    }
    Ok(Tag::Start { name, attributes, empty })
}

/// The bytes of names of the usual letters.
#[expect(clippy::indexing_slicing, reason = "every byte is below 256, and the compiler runs it")]
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.".as_slice();
    while let [letter, rest @ ..] = letters {
        plain[*letter as usize] = true;
        letters = rest;
    }
    plain
};

fn begins_name(byte: &u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | 0x80..)
}

/// A name with a prefix or none.
fn is_name(name: &[u8]) -> bool {
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | 0x80..);
    let begins = |part: &[u8]| part.first().is_some_and(begins_name);
    let mut parts = name.split(|b| *b == b':');
    name.iter().all(of_name)
        && parts.next().is_some_and(begins)
        && parts.next().is_none_or(begins)
        && parts.next().is_none()
        && (name.is_ascii() || std::str::from_utf8(name).is_ok())
}

/// A name without its prefix.
pub(super) fn local(name: &[u8]) -> &[u8] {
    memchr::memchr(b':', name).and_then(|colon| name.get(colon + 1..)).unwrap_or(name)
}

/// Attributes, as they are written, with what is put in the place of some by `hide`, which is given name and value. `None` where nothing is.
pub(super) fn attributes(
    mut rest: &[u8],
    mut hide: impl FnMut(&[u8], &[u8]) -> Result<Option<Cow<'static, str>>, MaskError>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let bad = malformed("an attribute");
    let mut out = Vec::new();
    let mut changed = false;
    loop {
        let blanks = rest.iter().take_while(|b| is_blank(b)).count();
        let (before, after) = rest.split_at_checked(blanks).ok_or(bad)?;
        out.extend_from_slice(before);
        if after.is_empty() {
            return Ok(changed.then_some(out));
        }
        let length = after.iter().position(|b| *b == b'=' || is_blank(b)).ok_or(bad)?;
        let (name, after) = after.split_at_checked(length).ok_or(bad)?;
        let equals = after.trim_ascii_start().strip_prefix(b"=").ok_or(bad)?.trim_ascii_start();
        let (quote, value) = equals.split_first().ok_or(bad)?;
        let end = memchr::memchr(*quote, value).ok_or(bad)?;
        let (value, after) = value.split_at_checked(end).ok_or(bad)?;
        rest = after.get(1..).unwrap_or_default();
        let apart = !before.is_empty() && rest.first().is_none_or(is_blank);
        if !apart || !is_name(name) || !matches!(quote, b'"' | b'\'') || value.contains(&b'<') {
            return Err(bad);
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b"=");
        out.push(*quote);
        let about_names = name == b"xmlns" || name.starts_with(b"xmlns:") || name.starts_with(b"xsi:");
        let masked = if about_names { None } else { hide(name, value)? };
        match masked {
            Some(text) => {
                changed = true;
                write_text(&text, &mut out);
            }
            None => out.extend_from_slice(value),
        }
        out.push(*quote);
    }
}

/// What the value of an attribute says.
pub(super) fn decoded(value: &[u8]) -> Result<Zeroizing<Vec<u8>>, MaskError> {
    let bad = malformed("a reference to something else than a character");
    let mut says = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let (before, after) = rest.split_at_checked(at).ok_or(bad)?;
        says.extend_from_slice(before);
        let end = memchr::memchr(b';', after).ok_or(bad)? + 1;
        let (written, after) = after.split_at_checked(end).ok_or(bad)?;
        says.extend_from_slice(reference(written).ok_or(bad)?.encode_utf8(&mut [0; 4]).as_bytes());
        rest = after;
    }
    says.extend_from_slice(rest);
    Ok(says)
}

/// A start tag with other attributes.
pub(super) fn written(name: &[u8], attributes: &[u8], empty: bool) -> Vec<u8> {
    let end: &[u8] = if empty { b"/>" } else { b">" };
    [b"<", name, attributes, end].concat()
}

/// The character of a reference, from `&` to `;`.
pub(super) fn reference(written: &[u8]) -> Option<char> {
    let name = written.strip_prefix(b"&")?.strip_suffix(b";")?;
    let number = |digits: &[u8], radix: u32| {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| is_char(*c))
    };
    Some(match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    })
}

/// `Char` of XML 1.0, section 2.2.
fn is_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`, of which all but the version may be missing; or
/// another instruction.
pub(super) fn is_declared(bytes: &[u8]) -> bool {
    let inner = bytes.strip_prefix(b"<?").and_then(|rest| rest.strip_suffix(b"?>"));
    let Some(text) = inner.and_then(|inner| std::str::from_utf8(inner).ok()) else { return false };
    let text = text.replace('\'', "\"");
    let mut words = text.split_ascii_whitespace().peekable();
    match words.next() {
        Some(target) if target.eq_ignore_ascii_case("xml") => {}
        target => return target.is_some(),
    }
    let version = words.next() == Some("version=\"1.0\"");
    let _ = words.next_if(|word| word.eq_ignore_ascii_case("encoding=\"utf-8\""));
    let _ = words.next_if(|word| matches!(*word, "standalone=\"yes\"" | "standalone=\"no\""));
    version && words.next().is_none()
}

/// Text, with references where it would be markup.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\'' => out.extend_from_slice(b"&apos;"),
            '\r' | '\n' | '\t' => out.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
            c if is_char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => out.extend_from_slice(char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
