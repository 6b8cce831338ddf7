//! `Permit` + request + keys → `SignedRequest`; consumes the permit. *pure*
//!
//! There is no way around it: a [`SignedRequest`] has private fields and two constructors, which take a [`Permit`];
//! that one is made by `decide` alone.
//!
//! ```compile_fail,E0451
//! use gateway_user::sign::SignedRequest;
//! let forge = |parts, body, host| SignedRequest { parts, body, host };
//! ```
//! Whoever has one may look at it:
//! ```
//! use gateway_user::sign::SignedRequest;
//! let look = |signed: SignedRequest| SignedRequest::into_http(signed);
//! ```
//! A permit is good for one request,
//! ```compile_fail,E0382
//! use gateway_user::{credentials::Keys, decide::Permit, parse::VerifiedRequest, prim::SessionId};
//! fn twice(permit: Permit, one: VerifiedRequest, two: VerifiedRequest, keys: &Keys, id: SessionId) {
//!     let now = time::OffsetDateTime::UNIX_EPOCH;
//!     let _ = gateway_user::sign::sign(permit, one, None, None, keys, id, now);
//!     let _ = gateway_user::sign::sign(permit, two, None, None, keys, id, now);
//! }
//! ```
//! and a second request needs its own:
//! ```
//! use gateway_user::{credentials::Keys, decide::Permit, parse::VerifiedRequest, prim::SessionId};
//! fn twice(permit: Permit, its: Permit, one: VerifiedRequest, two: VerifiedRequest, keys: &Keys, id: SessionId) {
//!     let now = time::OffsetDateTime::UNIX_EPOCH;
//!     let _ = gateway_user::sign::sign(permit, one, None, None, keys, id, now);
//!     let _ = gateway_user::sign::sign(its, two, None, None, keys, id, now);
//! }
//! ```

use bytes::Bytes;
use http::{HeaderValue, header, request::Parts};
use time::OffsetDateTime;

use crate::{
    body::{self, Body},
    credentials::Keys,
    decide::Permit,
    insert::Inserted,
    parse::{VerifiedBy, VerifiedRequest},
    prim::{HostName, SessionId},
};

mod head;
mod v4;

pub(crate) use v4::apply as sign_head;

/// A request that may leave the host: signed with the gateway's keys by [`sign`], or with the agent's own where
/// those are allowed ([`SignedRequest::as_received`]). There is no third way.
#[derive(Debug)]
pub struct SignedRequest {
    parts: Parts,
    body: Body,
    host: HostName,
}

impl SignedRequest {
    /// Forwards `request` as the agent signed it with keys of its own: only AWS can verify it, so that nothing
    /// which the signature covers may change. `stream` is the body where it was not inspected.
    ///
    /// # Errors
    /// [`SignError::NotByOwner`] for a request that was signed with a placeholder, which must never leave the
    /// host as it is; the others as [`sign`].
    pub fn as_received(
        permit: Permit,
        request: VerifiedRequest,
        stream: Option<Body>,
    ) -> Result<Self, SignError> {
        if permit.digest() != request.digest() {
            return Err(SignError::PermitMismatch);
        }
        if request.verified_by() != VerifiedBy::Owner {
            return Err(SignError::NotByOwner);
        }
        if !permit.inserted().is_empty() {
            return Err(SignError::Tokens);
        }
        let mut received = request.into_received();
        head::pass_on(&mut received, permit.operation().service == API_GATEWAY)?;
        let body = one_body(received.body, stream)?;
        Ok(Self { parts: received.parts, body, host: received.host })
    }

    /// The AWS host it goes to.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }
    /// Taken apart for the HTTP client. The URI is absolute (`https://host/path?query`); there is
    /// no Host header, the client makes it or `:authority` from the URI, unless the agent signed another text. `Content-Length` is there
    /// if the agent sent one; otherwise a body of unknown length is the client's to frame.
    #[must_use]
    pub fn into_http(self) -> http::Request<Body> {
        http::Request::from_parts(self.parts, self.body)
    }
}

/// IAM's prefix of the service whose answers have two forms: <https://docs.aws.amazon.com/apigateway/latest/api/API_GetApiKeys.html>
const API_GATEWAY: &str = "apigateway";

/// Why a permitted request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The permit was given for another request.
    #[error("the permit is bound to another request")]
    PermitMismatch,
    /// It was signed with keys of the agent's own, which the gateway must not answer for with others.
    #[error("the request is signed by somebody else")]
    ByOwner,
    /// It was not signed with keys of the agent's own.
    #[error("the request is not signed with keys that AWS knows")]
    NotByOwner,
    /// There is a stream although the body was inspected, or neither.
    #[error("the body must be either inspected or streamed")]
    Body,
    /// The permit names tokens, and there is no body with the values in their place; or the other way round.
    #[error("the values of the request's tokens are not those that were permitted")]
    Tokens,
    /// A user agent that the agent signed has the form by which the gateway names sessions.
    #[error("the signed user agent names a session of Chaperone; leave `chaperone/` out of it")]
    NamesSession,
    /// The agent signed a wish for answers in which nothing could be hidden.
    #[error(
        "the signed header {0} must be {1:?}, or not be signed: answers in another form could not be masked"
    )]
    Form(http::HeaderName, &'static str),
    /// The signer refused the head.
    #[error("signing failed: {0}")]
    Signing(String),
}

/// Signs `request` with `keys` at the time `now`. `stream` is the body where it was not inspected
/// ([`crate::parse::BodyPlan::Stream`]); `inserted` the one that leaves in the place of an inspected body with tokens, which
/// `permit` names. `session` is appended to User-Agent, so that CloudTrail
/// rows can be joined with the session's records.
///
/// The payload mode, the path and the query stay what they are; the signature covers what the
/// agent's SDK would have covered. It is always in the header: of a presigned URL what signed it is gone, and
/// what stood for a header is one ([`AwsRequest`](crate::parse::AwsRequest)), so the request means the same
/// and can be read in one way only.
///
/// # Errors
/// [`SignError`].
pub fn sign(
    permit: Permit,
    request: VerifiedRequest,
    inserted: Option<Inserted>,
    stream: Option<Body>,
    keys: &Keys,
    session: SessionId,
    now: OffsetDateTime,
) -> Result<SignedRequest, SignError> {
    if permit.digest() != request.digest() {
        return Err(SignError::PermitMismatch);
    }
    if request.verified_by() != VerifiedBy::Placeholder {
        return Err(SignError::ByOwner);
    }
    let fits = inserted.as_ref().is_none_or(|inserted| inserted.digest() == request.digest());
    if !fits || inserted.is_some() == permit.inserted().is_empty() {
        return Err(SignError::Tokens);
    }
    let mut signable = request.into_signable();
    if let Some(inserted) = inserted {
        head::with_body(&mut signable, inserted.into_bytes());
    }
    // In an answer that is compressed, keys could not be replaced and secrets not be hidden.
    signable.parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if permit.operation().service == API_GATEWAY {
        // Of a client that does not ask for it, answers have another form, in which secrets are not where the model has them.
        signable.parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    }
    head::prepare(&mut signable, session)?;
    v4::apply(&mut signable, keys, now)?;
    let body = one_body(signable.body, stream)?;
    Ok(SignedRequest { parts: signable.parts, body, host: signable.host })
}

fn one_body(inspected: Option<Bytes>, stream: Option<Body>) -> Result<Body, SignError> {
    match (inspected, stream) {
        (Some(bytes), None) => Ok(body::full(bytes)),
        (None, Some(stream)) => Ok(stream),
        (Some(_), Some(_)) | (None, None) => Err(SignError::Body),
    }
}

#[cfg(test)]
mod tests;
