//! Signatures of links that work without keys: presigned URLs of AWS
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>).
//!
//! The rest of the URL opens nothing without its signature, and tells what it was about.

use super::{Found, MATCH_MAX, Name};

const PARAMETER: &[u8] = b"X-Amz-Signature=";
/// Digits of a signature by HMAC-SHA256. One by ECDSA has more.
const DIGITS: usize = 64;

/// The signature in the URL whose `://` is at `colon`. No word is searched for besides, so that texts without URLs take no
/// longer.
pub(super) fn signature(text: &[u8], colon: usize) -> Option<Found> {
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`');
    // A URL in it is looked at by itself: so no byte is looked at for more than one.
    let over = |part: &[u8]| part == b"://" || part.first().is_some_and(ends);
    let start = colon + 3;
    let rest = text.get(start..)?;
    let rest = rest.get(..MATCH_MAX - 3).unwrap_or(rest);
    let url = rest.get(..rest.windows(3).position(over).unwrap_or(rest.len()))?;
    let value = memchr::memmem::find(url, PARAMETER)? + PARAMETER.len();
    let digits = url.get(value..)?.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let hide = start + value..start + value + digits;
    (digits >= DIGITS).then_some(Found { start: colon, hide, by: Name::Link, open: false })
}
