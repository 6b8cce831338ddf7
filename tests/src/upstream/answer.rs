//! What AWS answers: errors in the service's own shape, and just enough of a success.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{
    body::{Ending, Generated, ReplyBody},
    sigv4::is_s3,
};

/// Why AWS would refuse a request: the kind decides its code in each protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is.
    pub kind: RefusalKind,
    /// For people; asserted on by nobody.
    pub message: String,
}

/// The reasons AWS distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Not signed.
    MissingToken,
    /// The authorization cannot be read.
    Incomplete,
    /// The access key is not known, or the session token is not its own.
    UnknownKey,
    /// The signature is not ours.
    Signature,
    /// Signed too long ago or ahead.
    Skewed,
    /// The declared SHA-256 is not the body's.
    ContentMismatch,
    /// The trailer's checksum is not the body's.
    BadDigest,
    /// The body's framing or length is wrong.
    BadBody,
    /// A payload mode nobody here speaks.
    NotImplemented,
    /// Its policies do not allow it.
    AccessDenied,
}

impl Refusal {
    fn new(kind: RefusalKind, message: &str) -> Self {
        Self { kind, message: message.to_owned() }
    }
    pub(super) fn missing_token(message: &str) -> Self {
        Self::new(RefusalKind::MissingToken, message)
    }
    pub(super) fn incomplete(message: &str) -> Self {
        Self::new(RefusalKind::Incomplete, message)
    }
    pub(super) fn invalid_token(message: &str) -> Self {
        Self::new(RefusalKind::UnknownKey, message)
    }
    pub(super) fn unknown_key(key_id: &str) -> Self {
        Self::new(RefusalKind::UnknownKey, &format!("the access key id {key_id} does not exist"))
    }
    pub(super) fn unsigned_header(name: &str) -> Self {
        Self::new(RefusalKind::Signature, &format!("header {name} was not signed"))
    }
    pub(super) fn signature(canonical: &str, text: &str) -> Self {
        let message = format!("expected canonical request:\n{canonical}\nstring to sign:\n{text}");
        Self::new(RefusalKind::Signature, &message)
    }
    pub(super) fn skewed(timestamp: &str) -> Self {
        Self::new(RefusalKind::Skewed, &format!("signed at {timestamp}"))
    }
    pub(super) fn content_mismatch() -> Self {
        Self::new(RefusalKind::ContentMismatch, "x-amz-content-sha256 is not the body's hash")
    }
    pub(super) fn bad_digest(name: &str) -> Self {
        Self::new(RefusalKind::BadDigest, &format!("{name} is not the body's checksum"))
    }
    pub(super) fn bad_body(message: &str) -> Self {
        Self::new(RefusalKind::BadBody, message)
    }
    pub(super) fn not_implemented(message: &str) -> Self {
        Self::new(RefusalKind::NotImplemented, message)
    }

    pub(super) fn access_denied(message: &str) -> Self {
        Self::new(RefusalKind::AccessDenied, message)
    }

    /// HTTP status and error code, as the protocol names them.
    fn code(&self, shape: Shape) -> (StatusCode, &'static str) {
        let json = shape == Shape::Json;
        let s3 = shape == Shape::S3;
        let (status, code) = match self.kind {
            RefusalKind::MissingToken if s3 => (403, "AccessDenied"),
            RefusalKind::MissingToken if json => (400, "MissingAuthenticationTokenException"),
            RefusalKind::MissingToken => (403, "MissingAuthenticationToken"),
            RefusalKind::Incomplete if s3 => (400, "AuthorizationHeaderMalformed"),
            RefusalKind::Incomplete if json => (400, "IncompleteSignatureException"),
            RefusalKind::Incomplete => (400, "IncompleteSignature"),
            RefusalKind::UnknownKey if s3 => (403, "InvalidAccessKeyId"),
            RefusalKind::UnknownKey if json => (400, "UnrecognizedClientException"),
            RefusalKind::UnknownKey => (403, "InvalidClientTokenId"),
            RefusalKind::Signature | RefusalKind::Skewed | RefusalKind::ContentMismatch if json => {
                (400, "InvalidSignatureException")
            }
            RefusalKind::Skewed if s3 => (403, "RequestTimeTooSkewed"),
            RefusalKind::ContentMismatch if s3 => (400, "XAmzContentSHA256Mismatch"),
            RefusalKind::Signature | RefusalKind::Skewed | RefusalKind::ContentMismatch => {
                (403, "SignatureDoesNotMatch")
            }
            RefusalKind::BadDigest => (400, "BadDigest"),
            RefusalKind::BadBody => (400, "IncompleteBody"),
            RefusalKind::NotImplemented => (501, "NotImplemented"),
            RefusalKind::AccessDenied if json => (400, "AccessDeniedException"),
            RefusalKind::AccessDenied => (403, "AccessDenied"),
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), code)
    }

    /// The answer to `head`.
    pub(super) fn answer(&self, head: &Parts) -> Response<ReplyBody> {
        let shape = Shape::of(head);
        let (status, code) = self.code(shape);
        error(shape, status, code, &self.message)
    }
}

/// How a service writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    S3,
    Json,
    Query,
}

impl Shape {
    pub(super) fn of(head: &Parts) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let service = header("authorization").and_then(|text| text.split('/').nth(3)).unwrap_or_default();
        if is_s3(service) {
            return Self::S3;
        }
        let host = header("host").or_else(|| head.uri.host()).unwrap_or_default();
        if header("x-amz-target").is_some() {
            Self::Json
        } else if host.split('.').any(|label| label == "s3") {
            Self::S3
        } else {
            Self::Query
        }
    }
}

/// An error in the given shape.
pub(super) fn error(shape: Shape, status: StatusCode, code: &str, message: &str) -> Response<ReplyBody> {
    let safe = message.replace('&', "&amp;").replace('<', "&lt;");
    let (kind, body) = match shape {
        Shape::S3 => (
            "application/xml",
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{safe}</Message></Error>"),
        ),
        Shape::Query => (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{safe}</Message>\
                 </Error><RequestId>0</RequestId></ErrorResponse>"
            ),
        ),
        Shape::Json => (
            "application/x-amz-json-1.0",
            serde_json::json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message })
                .to_string(),
        ),
    };
    reply(status, kind, ReplyBody::whole(body))
}

/// A success in the service's shape; `bytes-N` as the last part of an S3 path is an object of N
/// generated bytes.
pub(super) fn success(head: &Parts, ending: Ending) -> Response<ReplyBody> {
    match Shape::of(head) {
        Shape::S3 => s3(head, ending),
        Shape::Json => {
            let mut response = reply(
                StatusCode::OK,
                "application/x-amz-json-1.0",
                ReplyBody::ending(Bytes::from("{}"), ending),
            );
            let crc32 = HeaderValue::from(crc32fast::hash(b"{}"));
            response.headers_mut().insert("x-amz-crc32", crc32);
            response
        }
        Shape::Query => {
            let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/gateway</Arn>\
                 <UserId>AIDAGATEWAY</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                 <ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
            reply(StatusCode::OK, "text/xml", ReplyBody::ending(Bytes::from(body), ending))
        }
    }
}

fn s3(head: &Parts, ending: Ending) -> Response<ReplyBody> {
    if head.method != Method::GET && head.method != Method::HEAD {
        let mut response = reply(StatusCode::OK, "application/xml", ReplyBody::ending(Bytes::new(), ending));
        response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"0\""));
        return response;
    }
    let size = head.uri.path().rsplit('/').next().and_then(|name| name.strip_prefix("bytes-"));
    let Some(size) = size.and_then(|digits| digits.parse::<u64>().ok()) else {
        let empty = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
             <KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";
        return reply(StatusCode::OK, "application/xml", ReplyBody::ending(Bytes::from(empty), ending));
    };
    let (start, end, status) = match range(head, size) {
        Some((start, end)) => (start, end, StatusCode::PARTIAL_CONTENT),
        None => (0, size, StatusCode::OK),
    };
    let length = end.saturating_sub(start);
    let body = if head.method == Method::HEAD {
        ReplyBody::ending(Bytes::new(), ending)
    } else {
        ReplyBody::generated(Generated { offset: start, left: length }, ending)
    };
    let mut response = reply(status, "binary/octet-stream", body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ETAG, HeaderValue::from_static("\"0\""));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
    if let (StatusCode::PARTIAL_CONTENT, Ok(range)) = (status, HeaderValue::try_from(range)) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

/// `Range: bytes=A-B` as a half-open interval within `size`.
fn range(head: &Parts, size: u64) -> Option<(u64, u64)> {
    let text = head.headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = text.split_once('-')?;
    let start = first.parse::<u64>().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1) };
    Some((start.min(size), end.min(size)))
}

/// A response of this type with a request id.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-amzn-requestid", HeaderValue::from_static("00000000-0000-0000-0000-000000000000"));
    headers.insert("x-amz-request-id", HeaderValue::from_static("0000000000000000"));
    response
}
