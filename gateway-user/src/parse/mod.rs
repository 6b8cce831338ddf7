//! request head → `AwsRequest` → `VerifiedRequest`: endpoint, signature, payload mode. *pure*
//!
//! An [`AwsRequest`] owns the head exactly as it arrived; nothing between here and `sign` can
//! change it, so policy sees the bytes that are signed.
//!
//! One file per AWS concept, in the order in which [`AwsRequest::read`] uses them: `strict` (HTTP),
//! `endpoint` (host), `query`, `authorization`, `payload`; then `canonical` and `verify`. `shape`
//! guesses how an error must be written.

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};

use crate::prim::{HostName, Region};

mod authorization;
mod canonical;
mod endpoint;
mod payload;
mod query;
mod shape;
mod strict;
mod verify;

pub use authorization::AuthorizationError;
pub use endpoint::{AddressStyle, Candidate, Endpoint, EndpointError, Partition};
pub(crate) use endpoint::{check_bucket, directory_zone};
pub use payload::{PayloadError, PayloadMode};
pub use query::{Query, QueryError};
pub use shape::ErrorShape;
pub use strict::HeadError;
pub use verify::SignatureError;

use authorization::Authorization;

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
#[derive(Debug)]
pub struct AwsRequest {
    parts: Parts,
    host: HostName,
    endpoint: Endpoint,
    query: Query,
    authorization: Authorization,
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
        let query = Query::read(parts.uri.query())?;
        let authorization = Authorization::read(&parts.headers, &query)?;
        let payload = PayloadMode::read(&parts.headers, parts.uri.path(), &endpoint)?;
        Ok(Self { parts, host, endpoint, query, authorization, payload })
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

    /// The headers as they arrived.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }
}

/// A request whose SigV4 signature was verified with the session's placeholder. One constructor:
/// [`AwsRequest::verify`].
///
/// ```compile_fail,E0451
/// use gateway_user::parse::{RequestDigest, VerifiedRequest};
/// let forged = |request| VerifiedRequest { request, body: None, digest: RequestDigest([0; 32]) };
/// ```
#[derive(Debug)]
pub struct VerifiedRequest {
    request: AwsRequest,
    /// The whole body where it was inspected; `None` where it streams.
    body: Option<Bytes>,
    digest: RequestDigest,
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

    /// Taken apart for signing.
    pub(crate) fn into_signable(self) -> Signable {
        let AwsRequest { parts, host, endpoint, authorization, payload, .. } = self.request;
        let (region, service) = authorization.into_scope();
        Signable { parts, host, s3: endpoint.signs_as_s3(), region, service, payload, body: self.body }
    }
}

/// A verified request taken apart for signing.
pub(crate) struct Signable {
    /// The head as it arrived.
    pub(crate) parts: Parts,
    /// Where it goes.
    pub(crate) host: HostName,
    /// Whether S3's signing rules apply.
    pub(crate) s3: bool,
    /// The verified scope's region.
    pub(crate) region: Region,
    /// The verified scope's service.
    pub(crate) service: String,
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

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
