//! Verifies the placeholder's signature: only the session's own SDK can have made it. Of a signature with the
//! agent's own keys, where those are allowed, all that can be checked without their secret is.

use std::borrow::Cow;

use aws_lc_rs::{constant_time, digest, hmac};
use bytes::Bytes;
use http::header;
use time::{
    Duration, OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

use super::{
    AwsRequest, BodyPlan, PayloadError, PayloadMode, RequestDigest, VerifiedBy, VerifiedRequest,
    canonical::{Canonical, PathRule},
};
use crate::identify::{Placeholder, placeholder};

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key is not the session's placeholder; the agent brought keys of its own.
    #[error("the access key id {0} is not the one this session was given; keys of one's own are refused")]
    UnknownAccessKey(String),
    /// The key is a placeholder that stands for no keys, or for expired ones.
    #[error("the keys {0} have expired, or were made before the gateway was restarted: ask for new ones")]
    KeysExpired(String),
    /// The session token is missing or not the placeholder's.
    #[error("the session token is missing or not the one this session was given")]
    SessionToken,
    /// Where agents bring keys of their own: a placeholder, which is worthless outside its session.
    #[error("the access key id {0} is a placeholder; this workload uses keys of its own")]
    PlaceholderKey(String),
    /// Where agents bring keys of their own: a parameter of a presigned URL stands for a header, and whether AWS
    /// takes it for one cannot be told.
    #[error(
        "the parameter {0} of a presigned URL stands for a header; send it as one, with keys of one's own"
    )]
    HeaderInQuery(String),
    /// The date of the signature is too far from the gateway's clock.
    #[error("the signature's date {sent} is more than {max_skew_secs} seconds from {now}")]
    Skew {
        /// `x-amz-date`.
        sent: String,
        /// The gateway's time.
        now: String,
        /// The accepted difference.
        max_skew_secs: i64,
    },
    /// A presigned URL is used later than it may be.
    #[error("the presigned URL was good until {until}, and now it is {now}")]
    Expired {
        /// Its date and `X-Amz-Expires` together.
        until: String,
        /// The gateway's time.
        now: String,
    },
    /// The scope's service is not one that the host serves.
    #[error("the signature is for the service {scope}, which {host} does not serve")]
    Service {
        /// The scope's service.
        scope: String,
        /// The host.
        host: String,
    },
    /// The scope's region is not the host's.
    #[error("the signature is for the region {scope}, which is not that of {host}")]
    Region {
        /// The scope's region.
        scope: String,
        /// The host.
        host: String,
    },
    /// The body was to be inspected and is not there.
    #[error("the body was not read")]
    BodyMissing,
    /// The body does not have the hash that the head announces.
    #[error("the body does not have the SHA-256 that x-amz-content-sha256 announces")]
    BodyHash,
    /// The body is announced in a way that allows no other signature than the agent's.
    #[error(transparent)]
    Payload(PayloadError),
    /// Everything is in its place, but the signature is another.
    #[error("the signature does not match")]
    Mismatch,
}

/// Who signs a session's requests.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// Its SDK, with the placeholder that the session was given.
    Placeholder(&'a Placeholder),
    /// The owner of keys that the gateway does not know: everything but the signature itself is checked here,
    /// and that by AWS.
    Owner,
}

impl<'a> From<&'a Placeholder> for Signer<'a> {
    fn from(placeholder: &'a Placeholder) -> Self {
        Self::Placeholder(placeholder)
    }
}

/// How dates are written.
const DATE: &[BorrowedFormatItem<'static>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

impl AwsRequest {
    /// Verifies the signature as one of `signer`. `body` is the whole body where
    /// [`AwsRequest::body_plan`] says Inspect, else `None`. `now` may differ from the request's
    /// date by at most `max_skew`, or, with a presigned URL, be later by what the URL allows.
    ///
    /// # Errors
    /// [`SignatureError`]; the request is consumed either way.
    pub fn verify<'a>(
        self,
        body: Option<Bytes>,
        signer: impl Into<Signer<'a>>,
        now: OffsetDateTime,
        max_skew: Duration,
    ) -> Result<VerifiedRequest, SignatureError> {
        if body.is_some() != (self.body_plan() == BodyPlan::Inspect) {
            return Err(SignatureError::BodyMissing);
        }
        let signer = signer.into();
        self.check_claims(signer, now, max_skew)?;
        let payload = self.payload_text(body.as_ref())?;
        let (digest, by) = match signer {
            Signer::Placeholder(placeholder) => {
                (self.check_signature(placeholder, &payload)?, VerifiedBy::Placeholder)
            }
            Signer::Owner => (digest_of(&self.canonical_request(&payload, true)), VerifiedBy::Owner),
        };
        Ok(VerifiedRequest { request: self, body, digest, by })
    }

    /// What can be checked of the signature before the body is there: keys, date and scope. A body is
    /// held in memory only for who passes this.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn check_claims<'a>(
        &self,
        signer: impl Into<Signer<'a>>,
        now: OffsetDateTime,
        max_skew: Duration,
    ) -> Result<(), SignatureError> {
        match signer.into() {
            Signer::Placeholder(placeholder) => self.check_keys(placeholder)?,
            Signer::Owner => {
                self.check_no_placeholder()?;
                self.check_moved()?;
            }
        }
        self.check_date(now, max_skew)?;
        self.check_scope()
    }

    fn check_keys(&self, placeholder: &Placeholder) -> Result<(), SignatureError> {
        let sent = self.authorization.access_key_id();
        constant_time::verify_slices_are_equal(sent.as_bytes(), placeholder.access_key_id.as_bytes())
            .map_err(|_| SignatureError::UnknownAccessKey(sent.to_owned()))?;
        let token = self.session_token().ok_or(SignatureError::SessionToken)?;
        constant_time::verify_slices_are_equal(token, placeholder.session_token.expose().as_bytes())
            .map_err(|_| SignatureError::SessionToken)?;
        match &self.payload {
            PayloadMode::SignedChunks(mode) => {
                Err(SignatureError::Payload(PayloadError::SignedChunks(mode.clone())))
            }
            _ => Ok(()),
        }
    }

    fn check_no_placeholder(&self) -> Result<(), SignatureError> {
        let sent = self.authorization.access_key_id();
        if sent.starts_with(placeholder::PREFIX) {
            return Err(SignatureError::PlaceholderKey(sent.to_owned()));
        }
        Ok(())
    }

    /// The request leaves as it came, so it must mean to AWS what it means here: a parameter that stands for a header
    /// may be one for policy and nothing for the service, or the other way round. The hash of the body is let
    /// through: it says what is signed and nothing of what is asked for, and AWS refuses where it does not fit.
    fn check_moved(&self) -> Result<(), SignatureError> {
        match self.moved_headers().find(|name| *name != "x-amz-content-sha256") {
            Some(name) => Err(SignatureError::HeaderInQuery(name.to_owned())),
            None => Ok(()),
        }
    }

    /// What counts is the moment of use, not that at which a URL was made.
    fn check_date(&self, now: OffsetDateTime, max_skew: Duration) -> Result<(), SignatureError> {
        let text = |time: OffsetDateTime| time.format(DATE).unwrap_or_default();
        let sent = self.authorization.timestamp();
        let skew = || SignatureError::Skew {
            sent: sent.to_owned(),
            now: text(now),
            max_skew_secs: max_skew.whole_seconds(),
        };
        let signed = PrimitiveDateTime::parse(sent, DATE).map_err(|_| skew())?.assume_utc();
        let age = now - signed;
        match &self.presigned {
            Some(presigned) if age > presigned.expires => {
                Err(SignatureError::Expired { until: text(signed + presigned.expires), now: text(now) })
            }
            Some(_) if age < -max_skew => Err(skew()),
            None if age.abs() > max_skew => Err(skew()),
            Some(_) | None => Ok(()),
        }
    }

    /// The signature's scope must be one that the host serves: a signature for another service or
    /// region would make policy and AWS see different calls.
    fn check_scope(&self) -> Result<(), SignatureError> {
        let host = || self.host.to_string();
        let service = self.authorization.service();
        if !self.endpoint.serves(service) {
            return Err(SignatureError::Service { scope: service.to_owned(), host: host() });
        }
        let region = self.authorization.region();
        if !self.endpoint.accepts_region(region) {
            return Err(SignatureError::Region { scope: region.to_string(), host: host() });
        }
        Ok(())
    }

    /// The last line of the canonical request; checks an announced hash where the body is known.
    fn payload_text(&self, body: Option<&Bytes>) -> Result<String, SignatureError> {
        let inspected = body.map(|body| hex::encode(digest::digest(&digest::SHA256, body)));
        match (&self.payload, inspected) {
            (PayloadMode::Hash(announced), Some(actual)) if *announced != actual => {
                Err(SignatureError::BodyHash)
            }
            (PayloadMode::Hash(announced), _) => Ok(announced.clone()),
            (PayloadMode::Absent, Some(actual)) => Ok(actual),
            (PayloadMode::Absent, None) => Err(SignatureError::BodyMissing),
            (PayloadMode::Unsigned, _) => Ok("UNSIGNED-PAYLOAD".to_owned()),
            (PayloadMode::SignedChunks(mode), _) => Ok(mode.clone()),
            (PayloadMode::StreamingUnsignedTrailer, _) => Ok("STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned()),
        }
    }

    /// Compares the signature with the one that the placeholder makes.
    pub(super) fn check_signature(
        &self,
        placeholder: &Placeholder,
        payload: &str,
    ) -> Result<RequestDigest, SignatureError> {
        // Some SDKs add the token of a URL after they have signed it, as they may with a header.
        let forms: &[bool] = if self.presigned.is_some() { &[true, false] } else { &[true] };
        for with_token in forms {
            let digest = digest_of(&self.canonical_request(payload, *with_token));
            let expected = self.signature_with(placeholder, &digest.0);
            if constant_time::verify_slices_are_equal(expected.as_ref(), self.authorization.signature())
                .is_ok()
            {
                return Ok(digest);
            }
        }
        Err(SignatureError::Mismatch)
    }

    /// The canonical request; of a presigned one `with_token` or without.
    pub(super) fn canonical_request(&self, payload: &str, with_token: bool) -> String {
        let host = match self.parts.headers.get(header::HOST) {
            Some(value) => value.to_str().unwrap_or_default(),
            None => self.parts.uri.authority().map_or("", http::uri::Authority::as_str),
        };
        let query = match &self.presigned {
            None => Cow::Borrowed(&self.query),
            Some(presigned) if with_token => Cow::Borrowed(&presigned.signed),
            Some(presigned) => {
                let token = self.token_place().header();
                Cow::Owned(presigned.signed.filtered(|name| !name.eq_ignore_ascii_case(token)))
            }
        };
        Canonical {
            method: &self.parts.method,
            path: self.parts.uri.path(),
            path_rule: if self.endpoint.signs_as_s3() { PathRule::AsSent } else { PathRule::Normalized },
            query: &query,
            headers: &self.parts.headers,
            host,
            signed_headers: self.authorization.signed_headers(),
            payload,
        }
        .to_text()
    }

    pub(super) fn signature_with(&self, placeholder: &Placeholder, canonical_hash: &[u8]) -> hmac::Tag {
        let (date, region, service) =
            (self.authorization.date(), self.authorization.region(), self.authorization.service());
        let string_to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{date}/{region}/{service}/aws4_request\n{}",
            self.authorization.timestamp(),
            hex::encode(canonical_hash),
        );
        let first = zeroize::Zeroizing::new(format!("AWS4{}", placeholder.secret.expose()));
        let step =
            |key: &[u8], data: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes());
        let key = step(first.as_bytes(), date);
        let key = step(key.as_ref(), region.as_str());
        let key = step(key.as_ref(), service);
        let key = step(key.as_ref(), "aws4_request");
        step(key.as_ref(), &string_to_sign)
    }
}

fn digest_of(canonical: &str) -> RequestDigest {
    let mut digest = RequestDigest([0; 32]);
    digest.0.copy_from_slice(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    digest
}
