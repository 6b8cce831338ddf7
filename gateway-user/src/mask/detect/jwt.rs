//! JSON Web Tokens in compact form (RFC 7519; RFC 7515 section 7.1, RFC 7516 section 7.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Found, Name};

/// Characters of a header.
const HEADER_MAX: usize = 2048;

/// The token that may begin at `start`.
pub(super) fn find(text: &[u8], start: usize) -> Option<Found> {
    let of_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if start.checked_sub(1).and_then(|at| text.get(at)).is_some_and(of_part) {
        return None;
    }
    let part = |at: usize| text.get(at..).map_or(0, |rest| rest.iter().take_while(|b| of_part(b)).count());
    let mut end = start + part(start);
    if !is_header(text.get(start..end)?) {
        return None;
    }
    let mut parts = 1;
    // An encrypted one has five parts.
    while parts < 5 && text.get(end) == Some(&b'.') {
        let length = part(end + 1);
        if parts == 1 && length == 0 {
            return None;
        }
        end += 1 + length;
        parts += 1;
    }
    // A full stop behind it is the sentence's.
    if parts > 3 && text.get(end - 1) == Some(&b'.') {
        end -= 1;
    }
    (parts >= 3).then_some(Found { start, hide: start..end, by: Name::Jwt, open: false })
}

/// A JSON object that names an algorithm.
fn is_header(part: &[u8]) -> bool {
    if part.len() > HEADER_MAX {
        return false;
    }
    let Ok(header) = URL_SAFE_NO_PAD.decode(part) else { return false };
    let header = header.trim_ascii();
    header.starts_with(b"{") && header.ends_with(b"}") && memchr::memmem::find(header, b"\"alg\"").is_some()
}
