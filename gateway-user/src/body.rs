//! HTTP bodies: streams with constant memory, and the bounded exception.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer (agent or upstream) broke off or violated HTTP framing.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// No byte arrived for the configured time.
    #[error("no data for {0:?}")]
    Stalled(std::time::Duration),
    /// What follows may not be passed on.
    #[error("the rest is withheld: {0}")]
    Withheld(String),
}

/// A streamed body, in either direction.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Makes the headers those of a body of other bytes than its author's: what is said of the bytes goes. `length`: how many there
/// are, where that is known.
pub fn rewritten(headers: &mut HeaderMap, length: Option<usize>) {
    const OF_THE_BYTES: [HeaderName; 8] = [
        header::TRAILER,
        HeaderName::from_static("x-amz-trailer"),
        header::CONTENT_LENGTH,
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("repr-digest"),
        HeaderName::from_static("x-amz-crc32"),
    ];
    for name in OF_THE_BYTES {
        headers.remove(name);
    }
    let checksums: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-checksum-")).cloned().collect();
    for name in checksums {
        headers.remove(name);
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body without bytes.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It has more bytes than may be held in memory.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// The configured bound, in bytes.
        limit: usize,
    },
    /// It carries HTTP trailers, which a whole body has no place for.
    #[error("the body has trailers where none are expected")]
    Trailers,
    /// It broke off.
    #[error(transparent)]
    Broken(#[from] BodyError),
}

/// Reads a whole body of at most `limit` bytes into memory.
///
/// # Errors
/// [`CollectError::TooLarge`] as soon as the bound is passed; the rest is not read.
pub async fn collect(mut body: Body, limit: usize) -> Result<Bytes, CollectError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { return Err(CollectError::Trailers) };
        if whole.len().saturating_add(data.len()) > limit {
            return Err(CollectError::TooLarge { limit });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_head_says_of_the_bytes_goes() {
        let headers = |lines: &[(&'static str, &'static str)]| -> HeaderMap {
            let line = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            lines.iter().map(line).collect()
        };
        let mut found = headers(&[
            ("content-length", "7"),
            ("x-amz-crc32", "1"),
            ("x-amz-checksum-sha256", "y"),
            ("content-md5", "z"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amzn-requestid", "r"),
        ]);
        rewritten(&mut found, Some(9));
        assert_eq!(found, headers(&[("content-length", "9"), ("x-amzn-requestid", "r")]));
        rewritten(&mut found, None);
        assert_eq!(found, headers(&[("x-amzn-requestid", "r")]));
    }
}
