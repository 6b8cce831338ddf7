//! AWS's answer with keys → the same answer with a placeholder: real keys stay here. *pure*
//!
//! Only the three values change, every other byte stays. An answer that is not exactly what the operation's model
//! says is not passed on at all.

use std::ops::Range;

use http::{HeaderMap, StatusCode, header};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use crate::{
    body,
    classify::answer::{Account, Format, Keys, LARGE},
    identify::{GivenKeys, Placeholder},
    prim::AccountId,
    secret::SecretText,
};

mod json;
mod xml;

/// Bytes of an answer that may be held. AWS bounds no session token, but none is near this.
pub const ANSWER_MAX: usize = 256 * 1024;

/// Why an answer is not passed on. No text of it is in here: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Neither 200 nor an error.
    #[error("the answer with keys has status {0}")]
    Status(u16),
    /// It is compressed, though that was not asked for.
    #[error("the answer with keys has a Content-Encoding")]
    Encoded,
    /// It is written in another way than its operation answers in.
    #[error("the answer with keys is of another Content-Type than expected")]
    ContentType,
    /// It has more bytes than may be held.
    #[error("the answer with keys has more than {ANSWER_MAX} bytes")]
    TooLarge,
    /// It ended before its end.
    #[error("the answer with keys broke off")]
    Broken,
    /// It cannot be read in one way.
    #[error("the answer with keys cannot be read: {0}")]
    Unreadable(&'static str),
    /// One of the three parts is not there once, at its place.
    #[error("the answer does not carry one pair of keys at its place: {0}")]
    Shape(&'static str),
    /// A part of the keys is somewhere else, too.
    #[error("the answer repeats a part of the keys elsewhere")]
    Repeated,
    /// The session is over, or the system has no random numbers.
    #[error("there is no placeholder for the keys of the answer")]
    NoPlaceholder,
}

/// What the head of an answer says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// It carries keys.
    WithKeys,
    /// It is an error of AWS, which is passed as it is.
    Error,
}

/// Looks at the head of an answer that is to carry keys at `place`.
///
/// # Errors
/// [`MintError::Status`], [`MintError::Encoded`], [`MintError::ContentType`].
pub fn head(place: Keys, status: StatusCode, headers: &HeaderMap) -> Result<Head, MintError> {
    if status.is_client_error() || status.is_server_error() {
        return Ok(Head::Error);
    }
    if status != StatusCode::OK {
        return Err(MintError::Status(status.as_u16()));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(MintError::Encoded);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(sent), None) = (types.next(), types.next()) else { return Err(MintError::ContentType) };
    let sent = sent.to_str().map_err(|_| MintError::ContentType)?.to_ascii_lowercase();
    let (essence, parameters) = sent.split_once(';').unwrap_or((&sent, ""));
    let expected = match place.format {
        Format::Xml { .. } => ["text/xml", "application/xml"],
        Format::Json { .. } => ["application/json", "application/x-amz-json-1.1"],
    };
    let charset = matches!(parameters.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    if expected.contains(&essence.trim()) && charset {
        return Ok(Head::WithKeys);
    }
    Err(MintError::ContentType)
}

/// An answer whose keys were found.
#[derive(Debug)]
pub struct Answer<'a> {
    text: &'a str,
    format: Format,
    keys: GivenKeys,
    /// Where access key id, secret and session token are.
    spans: [Range<usize>; 3],
}

/// A value of an answer.
struct Leaf {
    /// The names of what it is in, outermost first, and its own.
    path: Vec<String>,
    /// Which structure it is directly in.
    parent: usize,
    /// What it says, decoded.
    text: Zeroizing<String>,
    /// Whether it is a text; all are in XML.
    is_text: bool,
    /// Where it stands.
    span: Range<usize>,
}

/// Names and values of an answer, all of them.
#[derive(Default)]
struct Read {
    leaves: Vec<Leaf>,
    names: Vec<String>,
}

/// Values of an answer that are looked at.
const LEAVES_MAX: usize = 4096;

impl Read {
    fn push(&mut self, leaf: Leaf) -> Result<(), MintError> {
        if self.leaves.len() >= LEAVES_MAX {
            return Err(MintError::Unreadable("too many values"));
        }
        self.leaves.push(leaf);
        Ok(())
    }

    /// The one value that is called so, in whatever letters, anywhere.
    fn only(&self, name: &str) -> Result<&Leaf, MintError> {
        let called = |leaf: &&Leaf| leaf.path.last().is_some_and(|last| last.eq_ignore_ascii_case(name));
        let mut found = self.leaves.iter().filter(called);
        match (found.next(), found.next()) {
            (Some(leaf), None) if leaf.is_text && !leaf.text.is_empty() => Ok(leaf),
            (Some(_), None) => Err(MintError::Shape("a part is no text, or empty")),
            (Some(_), Some(_)) => Err(MintError::Shape("a part is there twice")),
            (None, _) => Err(MintError::Shape("a part is missing")),
        }
    }

    /// The account in the ARN of the principal that the keys are of.
    fn told_account(&self) -> Option<AccountId> {
        let principal = |leaf: &&Leaf| {
            let path: Vec<&str> = leaf.path.iter().map(String::as_str).collect();
            matches!(path.as_slice(), [_, _, "AssumedRoleUser" | "FederatedUser", "Arn"])
        };
        let mut found = self.leaves.iter().filter(principal);
        let (Some(leaf), None) = (found.next(), found.next()) else { return None };
        let mut parts = leaf.text.split(':');
        let (Some("arn"), Some(partition), Some("sts"), Some("")) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let account = parts.next()?.parse().ok()?;
        partition.starts_with("aws").then_some(account)
    }
}

/// Finds the keys in the whole body of an answer. `caller`: the account of the keys that asked.
///
/// # Errors
/// [`MintError::Unreadable`], [`MintError::Shape`], [`MintError::Repeated`].
pub fn read<'a>(place: Keys, body: &'a [u8], caller: Option<&AccountId>) -> Result<Answer<'a>, MintError> {
    let text = std::str::from_utf8(body).map_err(|_| MintError::Unreadable("it is not UTF-8"))?;
    let read = match place.format {
        Format::Xml { .. } => xml::read(text)?,
        Format::Json { .. } => json::read(text)?,
    };
    let names = match place.format {
        Format::Xml { .. } => LARGE,
        Format::Json { names, .. } => names,
    };
    let [id, secret, token, expiration] = names;
    let parts = [read.only(id)?, read.only(secret)?, read.only(token)?];
    for (part, name) in parts.iter().zip(names) {
        if part.parent != parts[0].parent || !stands(place.format, &part.path, name) {
            return Err(MintError::Shape("a part is not at its place"));
        }
    }
    let [id, secret, token] = parts;
    // https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !(16..=128).contains(&id.text.len()) || !id.text.bytes().all(plain) {
        return Err(MintError::Shape("the access key id is none"));
    }
    let beside = |leaf: &&Leaf| {
        leaf.parent == id.parent && leaf.path.last().is_some_and(|last| last.eq_ignore_ascii_case(expiration))
    };
    let mut expirations = read.leaves.iter().filter(beside);
    let expires = match (expirations.next(), expirations.next()) {
        (None, _) => None,
        (Some(leaf), None) => Some(date(leaf).ok_or(MintError::Shape("the expiry is no date"))?),
        (Some(_), Some(_)) => return Err(MintError::Shape("the expiry is there twice")),
    };
    let account = match place.account {
        Account::Told => read.told_account(),
        Account::OfCaller => caller.cloned(),
        Account::Unknown => None,
    };
    let keys = GivenKeys {
        access_key_id: id.text.to_string(),
        secret: SecretText::new(secret.text.to_string()),
        session_token: SecretText::new(token.text.to_string()),
        expires,
        account,
        role: None,
    };
    let values = [&id.text, &secret.text, &token.text];
    let repeats = |text: &str| values.iter().any(|value| text.contains(value.as_str()));
    let others = read.leaves.iter().filter(|leaf| parts.iter().all(|part| part.span != leaf.span));
    if read.names.iter().any(|name| repeats(name)) || others.into_iter().any(|leaf| repeats(&leaf.text)) {
        return Err(MintError::Repeated);
    }
    let spans = [id.span.clone(), secret.span.clone(), token.span.clone()];
    Ok(Answer { text, format: place.format, keys, spans })
}

/// Whether a part of the keys stands where the operation has it.
fn stands(format: Format, path: &[String], name: &str) -> bool {
    let Some((last, around)) = path.split_last() else { return false };
    last == name
        && match format {
            Format::Xml { depth } => {
                around.len() == depth + 1 && around.last().is_some_and(|name| name == "Credentials")
            }
            Format::Json { within, .. } => around.iter().eq(within.iter()),
        }
}

/// A date as the protocols write it: RFC 3339, or seconds since 1970 as a number, in whatever form JSON has for it
/// (`1.8934596E9`).
fn date(leaf: &Leaf) -> Option<OffsetDateTime> {
    if leaf.is_text {
        return OffsetDateTime::parse(&leaf.text, &Rfc3339).ok();
    }
    let seconds: f64 = leaf.text.parse().ok()?;
    // Beyond that it is no date of `time`, and no longer exact.
    let exact = seconds.is_finite() && seconds.abs() < 1e12;
    let nanos = exact.then(|| Duration::seconds_f64(seconds.trunc()))?;
    OffsetDateTime::UNIX_EPOCH.checked_add(nanos)
}

impl Answer<'_> {
    /// The keys that it carries.
    #[must_use]
    pub fn keys(&self) -> &GivenKeys {
        &self.keys
    }

    /// The answer with `placeholder` in their place.
    ///
    /// # Errors
    /// [`MintError::Repeated`] where any of them would still be in it.
    pub fn with(&self, placeholder: &Placeholder) -> Result<Vec<u8>, MintError> {
        let values = [
            placeholder.access_key_id.as_str(),
            placeholder.secret.expose(),
            placeholder.session_token.expose(),
        ];
        let mut parts: Vec<(&Range<usize>, &str)> = self.spans.iter().zip(values).collect();
        parts.sort_by_key(|(span, _)| span.start);
        let lost = || MintError::Unreadable("a value is not where it was found");
        let mut out = String::with_capacity(self.text.len() + 512);
        let mut at = 0;
        for (span, value) in parts {
            out.push_str(self.text.get(at..span.start).ok_or_else(lost)?);
            match self.format {
                Format::Xml { .. } => out.push_str(&quick_xml::escape::escape(value)),
                Format::Json { .. } => out.push_str(&serde_json::to_string(value).map_err(|_| lost())?),
            }
            at = span.end;
        }
        out.push_str(self.text.get(at..).ok_or_else(lost)?);
        let keys = &self.keys;
        let real = [keys.access_key_id.as_str(), keys.secret.expose(), keys.session_token.expose()];
        if real.iter().any(|value| out.contains(value)) {
            // Its pieces are a secret still.
            drop(Zeroizing::new(out));
            return Err(MintError::Repeated);
        }
        Ok(out.into_bytes())
    }
}

/// Makes the headers those of a body of `length` bytes that AWS did not write.
pub fn adapt(headers: &mut HeaderMap, length: usize) {
    headers.remove(header::ETAG);
    body::rewritten(headers, Some(length));
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
