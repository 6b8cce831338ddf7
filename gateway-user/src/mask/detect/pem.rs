//! Private keys in the textual encoding of RFC 7468, and what looks like it (OpenSSH, PGP).

use memchr::memmem;

use super::{Found, Name};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Characters of a label, as of what ends with it.
const LABEL_MAX: usize = 64;

/// The private key that may begin at `start`, with its end if that is there.
pub(super) fn find(text: &[u8], start: usize) -> Option<Found> {
    let label_at = start + BEGIN.len();
    let label = label(text.get(label_at..)?)?;
    if !(label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK")) {
        return None;
    }
    let ended = end(text, label_at);
    Some(Found {
        start,
        hide: start..ended.unwrap_or(text.len()),
        by: Name::PrivateKey,
        open: ended.is_none(),
    })
}

/// What stands before the next dashes.
fn label(rest: &[u8]) -> Option<&[u8]> {
    let head = rest.get(..LABEL_MAX + DASHES.len()).unwrap_or(rest);
    head.get(..memmem::find(head, DASHES)?)
}

/// Where a key ends that has begun before `from`.
pub(super) fn end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let label_at = at + memmem::find(text.get(at..)?, END)? + END.len();
        if let Some(label) = label(text.get(label_at..)?) {
            return Some(label_at + label.len() + DASHES.len());
        }
        at = label_at;
    }
}
