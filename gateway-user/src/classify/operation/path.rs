//! A path in the one way it can be read: raw segments with their decoded texts.

use std::borrow::Cow;

use crate::classify::ClassifyError;

/// More segments than any operation has; greedy labels are object keys at most.
const MAX_SEGMENTS: usize = 128;

/// The decoded segments of a path, of which no decoder makes anything else.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    texts: Vec<Cow<'a, str>>,
}

impl<'a> Segments<'a> {
    /// Reads a path as it was on the wire.
    ///
    /// # Errors
    /// Dot segments in any spelling; letters, digits and `-._~` that are percent-encoded, which no SDK
    /// does and which RFC 3986 section 2.3 makes the same as the plain ones; slashes that only show
    /// after decoding twice.
    pub(super) fn read(path: &'a str) -> Result<Self, ClassifyError> {
        let ambiguous = |what: &str| ClassifyError::Ambiguous(format!("the path has {what}"));
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut texts = Vec::new();
        for raw in path.split('/') {
            if texts.len() == MAX_SEGMENTS {
                return Err(ambiguous("too many segments"));
            }
            if encodes_unreserved(raw) {
                return Err(ambiguous("a percent-encoded letter, digit or dot"));
            }
            let text = decoded(raw).ok_or_else(|| ambiguous("bytes that are not UTF-8"))?;
            let twice =
                decoded(&text).ok_or_else(|| ambiguous("bytes that are not UTF-8 when decoded twice"))?;
            if twice.matches('/').count() != text.matches('/').count() {
                return Err(ambiguous("a slash that is encoded twice"));
            }
            if text.split('/').chain(twice.split('/')).any(|part| matches!(part, "." | "..")) {
                return Err(ambiguous("a dot segment"));
            }
            texts.push(text);
        }
        Ok(Self { texts })
    }

    /// The segments' decoded texts.
    pub(super) fn texts(&self) -> &[Cow<'a, str>] {
        &self.texts
    }

    /// The segments as a reader sees them who decodes before it splits; `None` where that is the same.
    pub(super) fn decoded_first(&self) -> Option<Vec<Cow<'_, str>>> {
        let hidden = self.texts.iter().any(|text| text.contains('/'));
        hidden.then(|| self.texts.iter().flat_map(|text| text.split('/')).map(Cow::Borrowed).collect())
    }
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok()
}

fn encodes_unreserved(raw: &str) -> bool {
    raw.split('%').skip(1).any(|rest| {
        let byte = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    })
}
