//! HTTP bodies: streams with constant memory, and the bounded exception.

use bytes::{Bytes, BytesMut};
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
