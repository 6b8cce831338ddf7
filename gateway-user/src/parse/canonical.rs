//! The canonical request of Signature Version 4.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-canonical-request>

use std::borrow::Cow;

use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::query::Query;

/// How the path enters the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathRule {
    /// S3: as it is on the wire, neither normalised nor encoded again.
    AsSent,
    /// Everyone else: dot segments and double slashes resolved, then encoded once more.
    Normalized,
}

/// What a canonical request is made of.
pub(super) struct Canonical<'a> {
    pub(super) method: &'a Method,
    /// The wire path.
    pub(super) path: &'a str,
    pub(super) path_rule: PathRule,
    pub(super) query: &'a Query,
    pub(super) headers: &'a HeaderMap,
    /// The value of `host`: the header, or `:authority` over HTTP/2.
    pub(super) host: &'a str,
    /// Lower case and sorted.
    pub(super) signed_headers: &'a [String],
    /// Hexadecimal hash, or the name of the payload mode.
    pub(super) payload: &'a str,
}

impl Canonical<'_> {
    /// The canonical request as text.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::with_capacity(1024);
        let mut line = |parts: &[&str]| {
            parts.iter().for_each(|part| text.push_str(part));
            text.push('\n');
        };
        line(&[self.method.as_str()]);
        line(&[&canonical_path(self.path, self.path_rule)]);
        line(&[&canonical_query(self.query)]);
        for name in self.signed_headers {
            let value = if name == "host" { Cow::Borrowed(self.host) } else { folded(self.headers, name) };
            line(&[name, ":", &value]);
        }
        line(&[]);
        line(&[&self.signed_headers.join(";")]);
        text.push_str(self.payload);
        text
    }
}

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

fn canonical_path(path: &str, rule: PathRule) -> Cow<'_, str> {
    match rule {
        PathRule::AsSent => Cow::Borrowed(path),
        PathRule::Normalized => {
            Cow::Owned(utf8_percent_encode(&normalized(path), RESERVED_IN_PATH).to_string())
        }
    }
}

/// RFC 3986 section 5.2.4, and no empty segments.
fn normalized(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let is_directory = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if is_directory && !kept.is_empty() { "/" } else { "" };
    Cow::Owned(format!("/{}{end}", kept.join("/")))
}

/// Decoded, encoded again in the one canonical way, then sorted by the encoded bytes.
fn canonical_query(query: &Query) -> String {
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut pairs: Vec<(String, String)> =
        query.pairs().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// All values of a header, trimmed, runs of spaces made one, joined by commas.
fn folded<'a>(headers: &'a HeaderMap, name: &str) -> Cow<'a, str> {
    let mut values = headers.get_all(name).iter().map(|value| {
        // `strict` has made sure that values are UTF-8.
        let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
        single_spaced(text.trim_matches(' '))
    });
    let first = values.next().unwrap_or_default();
    let rest: Vec<_> = values.collect();
    if rest.is_empty() {
        return first;
    }
    Cow::Owned(rest.iter().fold(first.into_owned(), |all, value| all + "," + value))
}

fn single_spaced(text: &str) -> Cow<'_, str> {
    if !text.contains("  ") {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}
