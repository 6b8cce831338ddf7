//! request head → `AwsRequest` → `VerifiedRequest`: endpoint, signature, payload mode. *pure*
//!
//! An [`AwsRequest`] owns the head exactly as it arrived; nothing between here and `sign` can
//! change it, so policy sees the bytes that are signed.

use bytes::Bytes;
use http::request::Parts;
use time::OffsetDateTime;

use crate::{identify::Placeholder, prim::HostName};

/// How errors are written on the wire; guessed early, because even a request that cannot be parsed
/// deserves an error its SDK can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorShape {
    /// `application/x-amz-json-1.0` or `-1.1`: JSON body with `__type`.
    AwsJson,
    /// REST-JSON: `x-amzn-errortype` header and JSON body.
    RestJson,
    /// AWS query: `<ErrorResponse><Error>…`.
    Query,
    /// EC2 query: `<Response><Errors><Error>…`.
    Ec2,
    /// S3 and other REST-XML services with a bare `<Error>`.
    S3,
    /// `smithy-protocol: rpc-v2-cbor`.
    Cbor,
}

/// A request head that could be read in exactly one way. Private fields: see `impl`.
#[derive(Debug)]
pub struct AwsRequest {
    parts: Parts,
}

/// A request whose SigV4 signature was verified with the session's placeholder.
#[derive(Debug)]
pub struct VerifiedRequest {
    request: AwsRequest,
    /// The whole body where it was inspected; `None` where it streams.
    body: Option<Bytes>,
}

/// SHA-256 of the canonical request: what a permit is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestDigest(pub [u8; 32]);
