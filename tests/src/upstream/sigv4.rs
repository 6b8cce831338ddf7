//! AWS Signature Version 4, from the verifying side.
//!
//! Written from the AWS documentation alone and sharing no code with the gateway or with the SDKs'
//! signers, so that it can disagree with them.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use anyhow::Result;
use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, header, request::Parts};
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

use super::{Key, answer::Refusal, iam::EXPRESS};

/// What a request says about its signature, checked as far as the head allows.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The access key id.
    pub key_id: String,
    /// Region of the scope.
    pub region: String,
    /// Service of the scope.
    pub service: String,
    /// What the signature says about the body.
    pub payload: Payload,
    date: String,
    timestamp: String,
    signed: Vec<String>,
    signature: Vec<u8>,
}

/// The declared kind of body (`x-amz-content-sha256`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// No header: the signature covers the body's SHA-256.
    Absent,
    /// The SHA-256 in hex.
    Sha256(String),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: aws-chunked with a checksum in the trailer.
    UnsignedTrailer,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: aws-chunked; the signatures of the chunks are not looked at.
    SignedChunks,
}

impl Payload {
    /// What stands in the last line of the canonical request; `None` until the body was hashed.
    fn canonical(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Sha256(hex) => Some(hex),
            Self::Unsigned => Some("UNSIGNED-PAYLOAD"),
            Self::UnsignedTrailer => Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            Self::SignedChunks => Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        }
    }
}

impl Claim {
    /// Reads the claim and checks everything that needs no key: form, scope, age, signed headers.
    ///
    /// # Errors
    /// What AWS would refuse it with.
    pub(super) fn read(head: &Parts, now: OffsetDateTime, max_skew: time::Duration) -> Result<Self, Refusal> {
        let authorization = one(&head.headers, header::AUTHORIZATION.as_str())?
            .ok_or_else(|| Refusal::missing_token("the request is not signed"))?;
        let fields = authorization
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or_else(|| Refusal::incomplete("the algorithm is not AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            let mut values =
                fields.split(',').filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(Refusal::incomplete(&format!("Authorization needs one {name}"))),
            }
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [key_id, date, region, service, "aws4_request"] = scope.as_slice() else {
            return Err(Refusal::incomplete("the credential scope has not five parts"));
        };
        let timestamp =
            one(&head.headers, "x-amz-date")?.ok_or_else(|| Refusal::incomplete("x-amz-date is missing"))?;
        check_age(timestamp, date, now, max_skew)?;

        let signed: Vec<String> = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
        check_signed(head, &signed)?;
        let signature = hex::decode(field("Signature")?)
            .map_err(|_| Refusal::incomplete("the signature is not hexadecimal"))?;
        Ok(Self {
            key_id: (*key_id).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
            payload: payload(&head.headers)?,
            date: (*date).to_owned(),
            timestamp: timestamp.to_owned(),
            signed,
            signature,
        })
    }

    /// Checks the signature against `key`. A body without a declared hash must have been read:
    /// `body_sha256` is its hash in hex, unused for every other body.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`, or a token that does not belong to the key.
    pub(super) fn verify(&self, head: &Parts, key: &Key, body_sha256: &str) -> Result<(), Refusal> {
        // Keys of a session of S3 Express have their token in a header of its own, and work there alone.
        // <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html>
        let express = key.id.starts_with(EXPRESS);
        let tokens =
            [one(&head.headers, "x-amz-security-token")?, one(&head.headers, "x-amz-s3session-token")?];
        let own = key.session_token.as_deref();
        if tokens != (if express { [None, own] } else { [own, None] })
            || (express && self.service != "s3express")
        {
            return Err(Refusal::invalid_token("the session token does not belong to the access key"));
        }
        let payload = self.payload.canonical().unwrap_or(body_sha256);
        let canonical = self.canonical_request(head, payload)?;
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}/{}/{}/aws4_request\n{}",
            self.timestamp,
            self.date,
            self.region,
            self.service,
            hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
        );
        hmac::verify(&self.signing_key(key), text.as_bytes(), &self.signature)
            .map_err(|_| Refusal::signature(&canonical, &text))
    }

    fn signing_key(&self, key: &Key) -> hmac::Key {
        let start = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", key.secret).as_bytes());
        [&self.date, &self.region, &self.service, "aws4_request"].iter().fold(start, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        })
    }

    fn canonical_request(&self, head: &Parts, payload: &str) -> Result<String, Refusal> {
        let mut text = format!(
            "{}\n{}\n{}\n",
            head.method,
            canonical_path(head.uri.path(), is_s3(&self.service)),
            canonical_query(head.uri.query().unwrap_or_default())
        );
        for name in &self.signed {
            let values = values(head, name)?.join(",");
            text.push_str(&format!("{name}:{values}\n"));
        }
        text.push_str(&format!("\n{}\n{payload}", self.signed.join(";")));
        Ok(text)
    }
}

/// Services that take the path as it stands on the wire.
pub(super) fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3-outposts" | "s3-object-lambda" | "s3express")
}

fn payload(headers: &HeaderMap) -> Result<Payload, Refusal> {
    match one(headers, "x-amz-content-sha256")? {
        None => Ok(Payload::Absent),
        Some("UNSIGNED-PAYLOAD") => Ok(Payload::Unsigned),
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Ok(Payload::UnsignedTrailer),
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => Ok(Payload::SignedChunks),
        Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(Payload::Sha256(hex.to_ascii_lowercase()))
        }
        Some(other) => Err(Refusal::not_implemented(&format!("x-amz-content-sha256: {other}"))),
    }
}

fn check_age(
    timestamp: &str,
    date: &str,
    now: OffsetDateTime,
    max_skew: time::Duration,
) -> Result<(), Refusal> {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed_at = PrimitiveDateTime::parse(timestamp, form)
        .map_err(|_| Refusal::incomplete("x-amz-date is not of the form 20060102T150405Z"))?
        .assume_utc();
    if !timestamp.starts_with(date) {
        return Err(Refusal::incomplete("the scope's date is not that of x-amz-date"));
    }
    if (now - signed_at).abs() > max_skew {
        return Err(Refusal::skewed(timestamp));
    }
    Ok(())
}

/// `host`, `content-type` (for JSON and form bodies) and every `x-amz-*` header must be signed, the
/// names sorted, and each one present.
fn check_signed(head: &Parts, signed: &[String]) -> Result<(), Refusal> {
    if !signed.is_sorted() || signed.iter().any(|name| name.bytes().any(|b| b.is_ascii_uppercase())) {
        return Err(Refusal::incomplete("SignedHeaders must be sorted and in lower case"));
    }
    if !signed.iter().any(|name| name == "host") {
        return Err(Refusal::incomplete("host must be signed"));
    }
    for name in head.headers.keys().map(http::HeaderName::as_str) {
        if name.starts_with("x-amz-") && !signed.iter().any(|signed| signed == name) {
            return Err(Refusal::unsigned_header(name));
        }
    }
    Ok(())
}

/// The values of a signed header, trimmed and with single spaces; `host` of HTTP/2 is `:authority`.
fn values(head: &Parts, name: &str) -> Result<Vec<String>, Refusal> {
    if name == "host" && !head.headers.contains_key(header::HOST) {
        return Ok(head.uri.authority().map(|host| host.as_str().to_owned()).into_iter().collect());
    }
    let values: Vec<String> = head
        .headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::incomplete(&format!("{name} is not text")))?;
    if values.is_empty() {
        return Err(Refusal::incomplete(&format!("{name} is signed but absent")));
    }
    Ok(values)
}

/// S3 signs the path as sent; everybody else normalises it and encodes it once more.
fn canonical_path(path: &str, s3: bool) -> String {
    if s3 {
        return if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    encode(format!("/{}{slash}", segments.join("/")).as_bytes(), b"/")
}

/// Names and values encoded in one way only, sorted.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(&decode(name), b""), encode(&decode(value), b"")))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(bytes: &[u8], keep: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = (ahead.next().and_then(nibble), ahead.next().and_then(nibble));
        match (byte, digits) {
            (b'%', (Some(high), Some(low))) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    out
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The value of a header that may stand once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::incomplete(&format!("{name} stands more than once")));
    }
    first
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| Refusal::incomplete(&format!("{name} is not text")))
}

#[cfg(test)]
mod tests;
