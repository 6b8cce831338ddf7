//! `x-amz-content-sha256`: how the signature covers the body.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>

use http::HeaderMap;

use super::Endpoint;

/// How the signature covers the body. The mode of a request is never changed on its way: the wrong
/// mode would corrupt objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadMode {
    /// The header gives the body's SHA-256: 64 lower-case hexadecimal digits.
    Hash(String),
    /// No header: the signature covers the SHA-256 of the body all the same.
    Absent,
    /// `UNSIGNED-PAYLOAD`: the signature does not cover the body (S3 over TLS, and a few operations of
    /// other services).
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with or without `-TRAILER`: every chunk has a signature that
    /// follows from that of the head, so it can only be passed on as it is.
    SignedChunks(String),
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: aws-chunked with a checksum trailer, body not covered.
    StreamingUnsignedTrailer,
}

/// Why the announced payload is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Every chunk carries a signature of its own; the gateway cannot re-sign chunks yet.
    #[error("payloads with signed chunks ({0}) are not supported; SDKs use another mode over TLS by default")]
    SignedChunks(String),
    /// An event stream whose messages are signed.
    #[error("signed event streams are not supported")]
    EventStream,
    /// A mode that no operation behind this host has.
    #[error("no operation of this service takes a body that the signature does not cover")]
    MustBeSigned,
    /// aws-chunked without the headers that describe it, or the headers without the mode.
    #[error("the headers of the aws-chunked body do not fit together: {0}")]
    Chunked(&'static str),
    /// Not a hash, and no mode that exists.
    #[error("x-amz-content-sha256 is neither a lower-case SHA-256 nor a known payload mode")]
    Unknown,
}

impl PayloadMode {
    /// Reads the mode of a request for `path` at `endpoint`. Outside S3 only the host is known here: whether
    /// the operation is one that may leave out its body is for `classify` to check.
    pub(crate) fn read(headers: &HeaderMap, path: &str, endpoint: &Endpoint) -> Result<Self, PayloadError> {
        let s3 = endpoint.is_s3(path);
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let mode = match text("x-amz-content-sha256") {
            None => Self::Absent,
            Some("UNSIGNED-PAYLOAD") => Self::Unsigned,
            Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Self::StreamingUnsignedTrailer,
            Some("STREAMING-AWS4-HMAC-SHA256-EVENTS") => return Err(PayloadError::EventStream),
            Some(mode) if SIGNED_CHUNKS.contains(&mode) => Self::SignedChunks(mode.to_owned()),
            Some(mode) if mode.starts_with("STREAMING-AWS4-") => {
                return Err(PayloadError::SignedChunks(mode.chars().take(60).collect()));
            }
            Some(hash) if is_sha256(hash) => Self::Hash(hash.to_owned()),
            Some(_) => return Err(PayloadError::Unknown),
        };
        let taken = match mode {
            Self::Hash(_) | Self::Absent => true,
            Self::Unsigned => s3 || endpoint.has_unsigned_bodies(),
            Self::StreamingUnsignedTrailer | Self::SignedChunks(_) => s3,
        };
        if !taken {
            return Err(PayloadError::MustBeSigned);
        }
        let coding_is_chunked = text("content-encoding").is_some_and(|codings| {
            codings.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked"))
        });
        let streaming = matches!(mode, Self::StreamingUnsignedTrailer | Self::SignedChunks(_));
        // Signed chunks were there before the coding had a name, which some SDKs leave out to this day.
        if mode == Self::StreamingUnsignedTrailer && !coding_is_chunked {
            return Err(PayloadError::Chunked("content-encoding is not aws-chunked"));
        }
        if !streaming && coding_is_chunked {
            return Err(PayloadError::Chunked(
                "content-encoding is aws-chunked, x-amz-content-sha256 is not",
            ));
        }
        if streaming && text("x-amz-decoded-content-length").is_none() {
            return Err(PayloadError::Chunked("x-amz-decoded-content-length is missing"));
        }
        let trailer = match &mode {
            Self::SignedChunks(mode) => mode.ends_with("-TRAILER"),
            _ => streaming,
        };
        if !trailer && text("x-amz-trailer").is_some() {
            return Err(PayloadError::Chunked("x-amz-trailer without a trailer"));
        }
        Ok(mode)
    }
}

/// Modes with signed chunks that may be passed on unread.
const SIGNED_CHUNKS: [&str; 2] =
    ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"];

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
