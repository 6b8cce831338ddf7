//! Values of a form: `application/x-www-form-urlencoded`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use zeroize::Zeroizing;

use super::{Escaped, Out};

/// All but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value as forms write it.
pub(super) fn written(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    percent_encode(value.as_bytes(), ESCAPED).for_each(|part| out.extend_from_slice(part.as_bytes()));
    Some(out)
}

/// Copies a form that was read before, with other values in the place of tokens. What is called stays.
pub(super) fn replaced(body: &[u8], written: &Escaped, out: &mut Out) -> Option<()> {
    let text = std::str::from_utf8(body).ok()?;
    for (at, pair) in text.split('&').enumerate() {
        if at > 0 {
            out.keep(b"&")?;
        }
        let (name, value) = pair.split_once('=')?;
        out.keep(name.as_bytes())?;
        out.keep(b"=")?;
        let said = percent_decode_str(value).decode_utf8().ok()?;
        match written.of(&said).filter(|_| !matches!(name, "Action" | "Version")) {
            Some(value) => out.replace(value)?,
            None => out.keep(value.as_bytes())?,
        }
    }
    Some(())
}
