//! request head → `AwsRequest` → `VerifiedRequest`: endpoint, signature, payload mode. *pure*
//!
//! An [`AwsRequest`] owns the head exactly as it arrived; nothing between here and `sign` can
//! change it, so policy sees the bytes that are signed.
//!
//! One file per AWS concept, in the order in which [`AwsRequest::read`] uses them: `strict` (HTTP),
//! `endpoint` (host), `query`, `authorization` or `presigned`, `payload`; then `canonical` and `verify`. `shape`
//! guesses how an error must be written.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, request::Parts};

use crate::prim::{HostName, Region};

mod authorization;
mod canonical;
mod endpoint;
mod payload;
mod presigned;
mod query;
mod shape;
mod strict;
mod verify;

pub use authorization::AuthorizationError;
pub use endpoint::{AddressStyle, Candidate, Endpoint, EndpointError, Partition};
pub(crate) use endpoint::{check_bucket, directory_zone};
pub use payload::{PayloadError, PayloadMode};
pub(crate) use presigned::Token;
pub use query::{Query, QueryError};
pub use shape::ErrorShape;
pub use strict::HeadError;
pub use verify::{SignatureError, Signer};

use authorization::{Authorization, Place};
use presigned::{Allowed, Presigned};

/// Why a request head is refused before its signature is even looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The HTTP head itself can be read in two ways, or is not what an AWS client sends.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The host is not an AWS endpoint that the gateway understands.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The query string can be read in two ways.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The request is not signed in the one way that is accepted.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// The payload is announced in a way that is not accepted.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// What has to happen to the body before the call can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyPlan {
    /// Nothing: what matters is in the head, and the body may be of any size.
    Stream,
    /// It must be read whole (within the configured bound): its hash was not announced, or
    /// parameters and resources are in it.
    Inspect,
}

/// A request head that could be read in exactly one way.
///
/// A presigned request is what it would be if it were signed in the header: path, query and headers are
/// without what signs it, and headers that stood in the query string are headers.
#[derive(Debug)]
pub struct AwsRequest {
    /// As it arrived.
    parts: Parts,
    host: HostName,
    endpoint: Endpoint,
    /// Without what signs a presigned request.
    query: Query,
    authorization: Authorization,
    presigned: Option<Box<Presigned>>,
    payload: PayloadMode,
}

impl AwsRequest {
    /// Reads a head as hyper delivered it on a TLS connection to `sni`.
    ///
    /// # Errors
    /// [`ParseError`]. The head is consumed: callers that want to answer in the protocol's own
    /// shape take [`ErrorShape::guess`] and the method first.
    pub fn read(parts: Parts, sni: &HostName) -> Result<Self, ParseError> {
        let host = strict::check(&parts, sni)?;
        let endpoint = Endpoint::read(&host)?;
        Self::at(parts, host, endpoint)
    }

    /// Reads a head whose host is known.
    fn at(parts: Parts, host: HostName, endpoint: Endpoint) -> Result<Self, ParseError> {
        let (path, raw) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let query = Query::read(Some(raw))?;
        let s3 = endpoint.is_s3(path);
        let (authorization, query, presigned) = match Place::of(&parts.headers, &query)? {
            Place::Header => (Authorization::read(&parts.headers)?, query, None),
            Place::Query => {
                let allowed = Allowed { headers: s3, s3_session: endpoint.is_directory_bucket() };
                let (authorization, left, presigned) =
                    Presigned::read(path, raw, &query, &parts.headers, allowed)?;
                (authorization, left, Some(Box::new(presigned)))
            }
        };
        let headers = presigned.as_ref().map_or(&parts.headers, |presigned| &presigned.headers);
        let payload = match PayloadMode::read(headers, path, &endpoint)? {
            // Who presigns for S3 does not know the body yet.
            PayloadMode::Absent if presigned.is_some() && endpoint.signs_as_s3() => PayloadMode::Unsigned,
            mode => mode,
        };
        Ok(Self { parts, host, endpoint, query, authorization, presigned, payload })
    }

    /// Whether the body must be read before the call can be verified and decided.
    #[must_use]
    pub fn body_plan(&self) -> BodyPlan {
        if self.carries_data() && self.payload != PayloadMode::Absent {
            BodyPlan::Stream
        } else {
            BodyPlan::Inspect
        }
    }

    /// Whether the body is an object of S3, a part of one or a list of its parts, which are never looked at;
    /// the bodies of S3's other operations say what is done.
    fn carries_data(&self) -> bool {
        const OF_DATA: [&str; 6] =
            ["annotation", "annotationName", "partNumber", "uploadId", "versionId", "x-id"];
        let has_key = || !self.endpoint.bucket_and_key(self.path()).1.is_empty();
        self.is_s3() && self.query.pairs().all(|(name, _)| OF_DATA.contains(&name)) && has_key()
    }

    /// The access key id the request is signed with: not verified yet.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        self.authorization.access_key_id()
    }

    /// The region of the signature scope.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.authorization.region()
    }

    /// The service of the signature scope, e.g. `s3`, `monitoring`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.authorization.service()
    }

    /// The host it is addressed to; equal to the SNI.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// What the host says: service, partition, region, bucket.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it is asked of S3's own API, whose requests address buckets.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        self.endpoint.is_s3(self.path())
    }

    /// How the body is announced.
    #[must_use]
    pub fn payload(&self) -> &PayloadMode {
        &self.payload
    }

    /// How an error for this request must be written.
    #[must_use]
    pub fn error_shape(&self) -> ErrorShape {
        ErrorShape::guess(&self.parts)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path as it was on the wire: percent-encoded, starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The decoded query string.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.presigned.as_ref().map_or(&self.parts.headers, |presigned| &presigned.headers)
    }

    /// The headers that stood in the query string of a presigned request, in lower case.
    pub(crate) fn moved_headers(&self) -> impl Iterator<Item = &str> {
        self.presigned.iter().flat_map(|presigned| &presigned.moved).map(http::HeaderName::as_str)
    }

    /// Where the session token is. A directory bucket's own session has another place for it than all others.
    pub(crate) fn token_place(&self) -> Token {
        let has = |token: Token| self.parts.headers.contains_key(token.header());
        match &self.presigned {
            Some(presigned) => presigned.token.as_ref().map_or(Token::Security, |(place, _)| *place),
            None if self.endpoint.is_directory_bucket() && has(Token::S3Session) && !has(Token::Security) => {
                Token::S3Session
            }
            None => Token::Security,
        }
    }

    /// The session token, wherever it is.
    fn session_token(&self) -> Option<&[u8]> {
        match &self.presigned {
            Some(presigned) => presigned.token.as_ref().map(|(_, token)| token.as_bytes()),
            None => self.parts.headers.get(self.token_place().header()).map(http::HeaderValue::as_bytes),
        }
    }
}

/// How a request came to be taken for the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedBy {
    /// The gateway, with the session's placeholder: it is signed anew before it is forwarded.
    Placeholder,
    /// AWS alone can do it, because the keys are the agent's own: it is forwarded as it was signed.
    Owner,
}

/// A request whose SigV4 signature was verified, or is left to AWS to verify where the agent's own keys are
/// allowed. One constructor: [`AwsRequest::verify`].
///
/// ```compile_fail,E0451
/// use gateway_user::parse::{RequestDigest, VerifiedRequest};
/// let forged = |request, by| VerifiedRequest { request, body: None, digest: RequestDigest([0; 32]), by };
/// ```
/// Whoever has one may look at it:
/// ```
/// use gateway_user::parse::{RequestDigest, VerifiedRequest};
/// let same = |verified: &VerifiedRequest| verified.digest() == RequestDigest([0; 32]);
/// ```
#[derive(Debug)]
pub struct VerifiedRequest {
    request: AwsRequest,
    /// The whole body where it was inspected; `None` where it streams.
    body: Option<Bytes>,
    digest: RequestDigest,
    by: VerifiedBy,
}

impl VerifiedRequest {
    /// The head.
    #[must_use]
    pub fn request(&self) -> &AwsRequest {
        &self.request
    }

    /// The whole body where it was inspected; `None` where it streams.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// The canonical request's digest, which a permit for this request must carry.
    #[must_use]
    pub fn digest(&self) -> RequestDigest {
        self.digest
    }

    /// Who can tell that the signature is right.
    #[must_use]
    pub fn verified_by(&self) -> VerifiedBy {
        self.by
    }

    /// Taken apart for signing; a presigned request without what signed it.
    pub(crate) fn into_signable(self) -> Signable {
        let token = self.request.token_place();
        let AwsRequest { mut parts, host, endpoint, authorization, presigned, payload, .. } = self.request;
        if let Some(presigned) = presigned {
            // Scheme and authority come from the host.
            parts.uri = Uri::from(presigned.target);
            parts.headers = presigned.headers;
        }
        let (region, service) = authorization.into_scope();
        Signable { parts, host, s3: endpoint.signs_as_s3(), region, service, token, payload, body: self.body }
    }

    /// Taken apart to be forwarded as it arrived.
    pub(crate) fn into_received(self) -> Received {
        let AwsRequest { parts, host, authorization, .. } = self.request;
        Received { parts, host, signed_headers: authorization.into_signed_headers(), body: self.body }
    }
}

/// A request taken apart to be forwarded as it arrived.
pub(crate) struct Received {
    /// The head as it arrived.
    pub(crate) parts: Parts,
    /// Where it goes.
    pub(crate) host: HostName,
    /// What must stay as it is; in lower case.
    pub(crate) signed_headers: Vec<String>,
    /// The whole body where it was inspected.
    pub(crate) body: Option<Bytes>,
}

/// A verified request taken apart for signing.
pub(crate) struct Signable {
    /// The head as it arrived; a presigned one as it would be if it were signed in the header.
    pub(crate) parts: Parts,
    /// Where it goes.
    pub(crate) host: HostName,
    /// Whether S3's signing rules apply.
    pub(crate) s3: bool,
    /// The verified scope's region.
    pub(crate) region: Region,
    /// The verified scope's service.
    pub(crate) service: String,
    /// Where the session token goes.
    pub(crate) token: Token,
    /// How the body is announced.
    pub(crate) payload: PayloadMode,
    /// The whole body where it was inspected.
    pub(crate) body: Option<Bytes>,
}

/// SHA-256 of the canonical request: what a permit is bound to.
///
/// Headers that the agent left unsigned are not part of it. That is no gap: the head is immutable
/// from [`AwsRequest::read`] to `sign`, and every `x-amz-*` header must be signed by the agent
/// ([`AuthorizationError::HeaderNotSigned`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestDigest(pub [u8; 32]);

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
