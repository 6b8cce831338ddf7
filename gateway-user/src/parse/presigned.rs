//! Presigned URLs: Signature Version 4 in the query string.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! A URL says with parameters what else is said with headers: the signature itself, and for S3 also headers of
//! the request (`x-amz-acl=…`), which some SDKs move there so that the URL is enough. [`Presigned::read`] tells
//! the two apart. What is left is the request as it would be if it were signed in the header; that is what is
//! classified, decided and, signed in the header, forwarded. AWS takes both forms alike; only in the header form
//! is what was a header one for every reader, and the gateway's own token never gets into a URL, which servers
//! log.

use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use time::Duration;

use super::{
    authorization::{Authorization, AuthorizationError, Claims},
    query::Query,
};

/// What a presigned URL has besides its signature; not verified.
#[derive(Debug)]
pub(super) struct Presigned {
    /// How long after its date it may be used.
    pub(super) expires: Duration,
    /// The session token, and which of the two it is.
    pub(super) token: Option<(Token, String)>,
    /// What the signature covers: every parameter but itself.
    pub(super) signed: Query,
    /// Path and query as sent, without the parameters that sign and those that stand for headers.
    pub(super) target: PathAndQuery,
    /// The headers that came, and those that stood in the query string.
    pub(super) headers: HeaderMap,
    /// The latter.
    pub(super) moved: Vec<HeaderName>,
}

/// Where a signature has its session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// `x-amz-security-token`.
    Security,
    /// `x-amz-s3session-token`: the session of a directory bucket.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html>
    S3Session,
}

impl Token {
    /// The header that has it.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Security => "x-amz-security-token",
            Self::S3Session => "x-amz-s3session-token",
        }
    }
}

/// The longest that a URL may be good for, in seconds: seven days.
const LONGEST: u32 = 604_800;

/// What signs a URL, as every SDK writes it. AWS's own readers may not be agreed on other spellings.
const SIGNING: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-S3session-Token",
];

/// Whether a query string has any parameter that signs by Signature Version 4, in any spelling.
pub(super) fn is_presigned(query: &Query) -> bool {
    query.pairs().any(|(name, _)| signing(name).is_some())
}

fn signing(name: &str) -> Option<&'static str> {
    SIGNING.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// What a URL may have besides the common parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    /// Parameters that stand for headers: S3 alone takes them.
    pub(super) headers: bool,
    /// The token of a directory bucket's session.
    pub(super) s3_session: bool,
}

impl Presigned {
    /// Reads a request whose query string [`is_presigned`]; `raw` is the same as sent, `path` its path. The
    /// second part is the query string that is left.
    pub(super) fn read(
        path: &str,
        raw: &str,
        query: &Query,
        headers: &HeaderMap,
        allowed: Allowed,
    ) -> Result<(Authorization, Query, Self), AuthorizationError> {
        let mut sorted = Sorted { headers: headers.clone(), ..Sorted::default() };
        for ((name, value), raw) in query.pairs().zip(raw.split('&')) {
            sorted.take(name, value, raw, allowed)?;
        }
        let [algorithm, credential, date, expires, signed_headers, signature, token, s3_session] =
            sorted.signing;
        let needed = |value: Option<String>, name| value.ok_or_else(|| malformed(name, "it is missing"));
        match needed(algorithm, "X-Amz-Algorithm")?.as_str() {
            "AWS4-HMAC-SHA256" => {}
            "AWS4-ECDSA-P256-SHA256" => return Err(AuthorizationError::SigV4a),
            _ => return Err(AuthorizationError::Scheme),
        }
        let token = match (token, s3_session) {
            (Some(_), Some(_)) => {
                return Err(malformed("X-Amz-S3session-Token", "there is another token, too"));
            }
            (token, None) => token.map(|token| (Token::Security, token)),
            (None, token) => token.map(|token| (Token::S3Session, token)),
        };
        let claims = Claims {
            credential: &needed(credential, "X-Amz-Credential")?,
            signed_headers: &needed(signed_headers, "X-Amz-SignedHeaders")?,
            signature: &needed(signature, "X-Amz-Signature")?,
            timestamp: &needed(date, "X-Amz-Date")?,
        };
        let authorization = Authorization::from_claims(&claims)?;
        // Of the headers that came: those in the query string are covered with it.
        authorization.check_coverage(headers)?;
        let target = match sorted.rest.join("&") {
            rest if rest.is_empty() => path.to_owned(),
            rest => format!("{path}?{rest}"),
        };
        let presigned = Self {
            expires: seconds(&needed(expires, "X-Amz-Expires")?)?,
            token,
            signed: query.filtered(|name| name != "X-Amz-Signature"),
            target: target.parse().map_err(|_| malformed("the rest", "it is no query string"))?,
            headers: sorted.headers,
            moved: sorted.moved,
        };
        Ok((authorization, query.filtered(|name| !is_amz(name)), presigned))
    }
}

/// The parameters of a URL by what they are.
#[derive(Default)]
struct Sorted<'q> {
    /// In the order of [`SIGNING`].
    signing: [Option<String>; SIGNING.len()],
    headers: HeaderMap,
    moved: Vec<HeaderName>,
    /// As sent.
    rest: Vec<&'q str>,
}

impl<'q> Sorted<'q> {
    fn take(
        &mut self,
        name: &str,
        value: &str,
        raw: &'q str,
        allowed: Allowed,
    ) -> Result<(), AuthorizationError> {
        if !is_amz(name) {
            self.rest.push(raw);
            return Ok(());
        }
        // A header of the name would be a second reading of the same thing.
        let header = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes())
            .map_err(|_| malformed(name, "it is no name of a header"))?;
        if self.headers.contains_key(&header) {
            return Err(malformed(name, "it is there more than once, or in a header, too"));
        }
        if let Some(known) = signing(name) {
            if name != known {
                return Err(malformed(name, "it is not written as AWS writes it"));
            }
            if name == "X-Amz-S3session-Token" && !allowed.s3_session {
                return Err(malformed(name, "this host has no such sessions"));
            }
            let slot = SIGNING.iter().zip(&mut self.signing).find(|(signing, _)| **signing == known);
            return match slot.map(|(_, slot)| slot.replace(value.to_owned())) {
                Some(None) => Ok(()),
                Some(Some(_)) | None => {
                    Err(malformed(name, "it is there more than once, or in a header, too"))
                }
            };
        }
        if header == "x-amz-region-set" {
            return Err(AuthorizationError::SigV4a);
        }
        if !allowed.headers {
            return Err(malformed(name, "it is not known"));
        }
        self.headers.append(&header, header_value(name, value)?);
        self.moved.push(header);
        Ok(())
    }
}

/// A value that is the same text in a header, where outer spaces would be lost and other characters have no
/// agreed encoding.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, AuthorizationError> {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if value.is_empty() || !plain || value.trim() != value {
        return Err(malformed(name, "its value cannot stand in a header"));
    }
    HeaderValue::from_str(value).map_err(|_| malformed(name, "its value cannot stand in a header"))
}

/// `x-amz-…`: a parameter that signs, or one that stands for a header.
pub(super) fn is_amz(name: &str) -> bool {
    name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
}

fn seconds(text: &str) -> Result<Duration, AuthorizationError> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<u32>().ok().filter(|seconds| digits && (1..=LONGEST).contains(seconds));
    seconds
        .map(|seconds| Duration::seconds(seconds.into()))
        .ok_or_else(|| malformed("X-Amz-Expires", "it is not a number from 1 to 604800"))
}

fn malformed(parameter: &str, why: &'static str) -> AuthorizationError {
    AuthorizationError::Presigned { parameter: parameter.chars().take(60).collect(), why }
}
