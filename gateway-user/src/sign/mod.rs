//! `Permit` + request + keys → `SignedRequest`; consumes the permit. *pure*

use http::request::Parts;
use time::OffsetDateTime;

use crate::{
    body::Body,
    credentials::Keys,
    decide::Permit,
    parse::VerifiedRequest,
    prim::{HostName, SessionId},
};

/// A request that may leave the host: signed with the gateway's keys. One constructor: [`sign`].
#[derive(Debug)]
pub struct SignedRequest {
    parts: Parts,
    body: Body,
    host: HostName,
}

impl SignedRequest {
    /// The AWS host it goes to.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }
    /// Taken apart for the HTTP client.
    #[must_use]
    pub fn into_http(self) -> http::Request<Body> {
        http::Request::from_parts(self.parts, self.body)
    }
}

/// Why a permitted request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The permit was given for another request.
    #[error("the permit is bound to another request")]
    PermitMismatch,
    /// The signer refused the head.
    #[error("signing failed: {0}")]
    Signing(String),
}

/// Signs `request` with `keys`. `stream` is the body where it was not inspected.
///
/// # Errors
/// [`SignError`].
pub fn sign(
    permit: Permit,
    request: VerifiedRequest,
    stream: Option<Body>,
    keys: &Keys,
    session: SessionId,
    now: OffsetDateTime,
) -> Result<SignedRequest, SignError> {
    let _ = (permit, request, stream, keys, session, now);
    todo!("helper")
}
