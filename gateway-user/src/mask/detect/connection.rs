//! Passwords in connection strings: in URLs (RFC 3986 section 3.2.1) and as `Password=…;`.

use super::{Found, Name};

/// Characters of a user or a password.
const PART_MAX: usize = 1024;

fn found(start: usize, hide: std::ops::Range<usize>) -> Found {
    Found { start, hide, by: Name::Password, open: false }
}

/// The password of a URL whose `://` is at `colon`.
pub(super) fn in_url(text: &[u8], colon: usize) -> Option<Found> {
    let of_scheme = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let scheme = text.get(..colon)?.iter().rev().take(32).take_while(of_scheme).count();
    let start = colon + 3;
    if scheme == 0 {
        return None;
    }
    let ends = |b: &u8| {
        b.is_ascii_whitespace()
            || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`' | b'|')
    };
    let rest = text.get(start..)?;
    let rest = rest.get(..2 * PART_MAX).unwrap_or(rest);
    let authority = rest.get(..rest.iter().position(ends).unwrap_or(rest.len()))?;
    // Of several the last ends the password: that is how URLs are read that should have been encoded.
    let at = memchr::memrchr(b'@', authority)?;
    let user = memchr::memchr(b':', authority.get(..at)?)?;
    let password = authority.get(user + 1..at)?;
    let shown = password.is_empty() || is_placeholder(password);
    (!shown).then(|| found(colon - scheme, start + user + 1..start + at))
}

/// The value of `password=` or `pwd=`, whose `assw` or `pwd` is at `start`.
pub(super) fn assigned(text: &[u8], start: usize) -> Option<Found> {
    let word = |at: usize, word: &[u8]| {
        let end = at + word.len();
        text.get(at..end).filter(|found| found.eq_ignore_ascii_case(word)).map(|_| end)
    };
    let short = word(start, b"pwd");
    let long = || {
        let first = start.checked_sub(1)?;
        word(first, b"password").or_else(|| word(first, b"passwd"))
    };
    let end = short.or_else(long)?;
    let blank = |at: usize| {
        at + text
            .get(at..)
            .map_or(0, |rest| rest.iter().take(8).take_while(|b| matches!(b, b' ' | b'\t')).count())
    };
    let equals = blank(end);
    if text.get(equals) != Some(&b'=') {
        return None;
    }
    let mut from = blank(equals + 1);
    let quote = text.get(from).copied().filter(|b| matches!(b, b'"' | b'\''));
    from += usize::from(quote.is_some());
    let ends = |b: &u8| match quote {
        Some(quote) => *b == quote,
        None => {
            b.is_ascii_whitespace() || matches!(b, b';' | b'&' | b'"' | b'\'' | b'<' | b'>' | b',' | b'\\')
        }
    };
    let rest = text.get(from..)?;
    let rest = rest.get(..PART_MAX).unwrap_or(rest);
    let value = rest.get(..rest.iter().position(ends).unwrap_or(rest.len()))?;
    // `PWD=/home/x` is a directory, and `==` compares.
    let directory = short.is_some() && value.starts_with(b"/");
    if value.is_empty() || value.starts_with(b"=") || directory || is_placeholder(value) {
        return None;
    }
    Some(found(start.saturating_sub(1), from..from + value.len()))
}

/// What stands for a password: stars, or a place to be filled.
fn is_placeholder(password: &[u8]) -> bool {
    password.iter().all(|b| *b == b'*')
        || [b"${".as_slice(), b"{{", b"$(", b"<", b"%("].iter().any(|open| password.starts_with(open))
        || password == super::super::MASKED.as_bytes()
}
