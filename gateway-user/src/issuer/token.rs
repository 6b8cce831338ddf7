//! A token's form, strictly, and its proof.
//!
//! JWS compact serialization, RFC 7515 §7.1. A token has one spelling: no padding, no bits behind the last byte, no
//! white space, no member twice. Nothing here does input or output or reads a clock.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    Claims, Config, Part, TokenDigest, TokenError, claims,
    header::Header,
    json::{self, JsonError},
    jwk::KeySet,
};

/// A token whose form and claims are right and whose signature nobody has checked: it tells nothing before
/// [`Unproven::prove`].
pub(super) struct Unproven<'t> {
    header: Header,
    claims: Claims,
    /// What is signed.
    message: &'t str,
    signature: &'t str,
}

impl<'t> Unproven<'t> {
    /// Reads a token and checks everything but its signature, so that keys are only asked for a token that would
    /// otherwise do.
    pub(super) fn read(token: &'t str, config: &Config, now: OffsetDateTime) -> Result<Self, TokenError> {
        if token.len() > config.token_max_bytes {
            return Err(TokenError::TooLong { bytes: token.len(), max: config.token_max_bytes });
        }
        let (message, signature) = split(token)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Parts(2))?;
        let (header, payload) = (decode(header, Part::Header)?, decode(payload, Part::Payload)?);
        let proof = decode(signature, Part::Signature)?;
        let header = Header::read(&object(&header, Part::Header)?)?;
        if proof.is_empty() {
            return Err(TokenError::Unsigned);
        }
        let payload = object(&payload, Part::Payload)?;
        let claims = claims::read(&payload, TokenDigest::of(token), config, now)?;
        Ok(Self { header, claims, message, signature })
    }

    /// What it says, if one of these keys proves it.
    pub(super) fn prove(&self, keys: &KeySet) -> Result<Claims, TokenError> {
        let Header { algorithm, kid } = &self.header;
        let key = keys.find(*algorithm, kid.as_deref())?;
        match jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, *algorithm) {
            Ok(true) => Ok(self.claims.clone()),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}

/// `header.payload` and `signature`.
fn split(token: &str) -> Result<(&str, &str), TokenError> {
    match token.split('.').count() {
        3 => token.rsplit_once('.').ok_or(TokenError::Parts(1)),
        5 => Err(TokenError::Encrypted),
        parts => Err(TokenError::Parts(parts)),
    }
}

fn decode(text: &str, part: Part) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Encoding(part))
}

fn object(bytes: &[u8], part: Part) -> Result<Map<String, Value>, TokenError> {
    json::object(bytes).map_err(|error| match error {
        JsonError::NotAnObject => TokenError::Json(part),
        JsonError::Twice(name) => TokenError::Twice { part, name },
    })
}
