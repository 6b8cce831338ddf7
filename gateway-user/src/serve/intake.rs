//! The agent's body on its way in: held where it must be inspected, counted where it streams.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::{
    body::{self, Body, BodyError, CollectError},
    share::NoRoom,
};

/// Bytes that came in, readable while the body is still on its way.
#[derive(Debug, Clone, Default)]
pub(super) struct BytesIn(Arc<AtomicU64>);

impl BytesIn {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The agent's body until some stage wants it.
pub(super) struct Unread {
    body: Option<Body>,
    /// Who waits for `100 Continue` has sent nothing yet; hyper says it when the body is first read.
    awaits_continue: bool,
}

impl Unread {
    /// hyper's body as ours, with a count of what has come in.
    pub(super) fn new(incoming: Incoming, headers: &HeaderMap) -> (Self, BytesIn) {
        let count = BytesIn::default();
        let inner = incoming.map_err(|error| BodyError::Broken(error.to_string())).boxed_unsync();
        let body = Counted { inner, count: count.clone() }.boxed_unsync();
        (Self { body: Some(body), awaits_continue: headers.contains_key(http::header::EXPECT) }, count)
    }

    /// The body; a second call gives an empty one.
    pub(super) fn take(&mut self) -> Body {
        self.body.take().unwrap_or_else(body::empty)
    }

    /// Reads and discards what a refused request still sends, so that its sender reads the answer
    /// instead of a reset. Bounded: who sends more, or slower, gets the reset.
    pub(super) async fn discard(mut self) {
        const MOST: usize = 8 << 20;
        const WITHIN: Duration = Duration::from_secs(5);
        if self.awaits_continue {
            return;
        }
        let mut body = self.take();
        let reading = async {
            let mut seen = 0usize;
            while let Some(Ok(frame)) = body.frame().await {
                seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                if seen > MOST {
                    return;
                }
            }
        };
        // The answer goes out either way.
        let _ = tokio::time::timeout(WITHIN, reading).await;
    }
}

struct Counted {
    inner: Body,
    count: BytesIn,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.count.0.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Why a request is not taken in, or its body is not at hand.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    /// More headers than are read.
    #[error("the headers have more than {limit} bytes")]
    Head {
        /// The bound.
        limit: usize,
    },
    /// Too large, broken off, or with trailers.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// It did not arrive in time.
    #[error("the body did not arrive within {0:?}")]
    Timeout(Duration),
    /// Too many bodies are held at the moment.
    #[error("no memory for the body: {0}")]
    NoRoom(#[from] NoRoom),
}

/// Bounds the headers of either version: name, value and 32 bytes for each (RFC 9113 section 6.5.2).
///
/// # Errors
/// [`IntakeError::Head`].
pub(super) fn head(headers: &HeaderMap, limit: usize) -> Result<(), IntakeError> {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 32;
    let total = headers.iter().map(size).fold(0, usize::saturating_add);
    if total > limit { Err(IntakeError::Head { limit }) } else { Ok(()) }
}

/// How much memory an inspected body may take: its stated length, or the bound where none is stated.
///
/// # Errors
/// A stated length over the bound: refused before a byte of it is read.
pub(super) fn size(body: &Unread, limit: usize) -> Result<usize, IntakeError> {
    let hint = body.body.as_ref().map(HttpBody::size_hint).unwrap_or_default();
    if hint.lower() > limit as u64 {
        return Err(CollectError::TooLarge { limit }.into());
    }
    Ok(hint.upper().and_then(|upper| usize::try_from(upper).ok()).unwrap_or(limit).min(limit))
}

/// Reads a body that must be inspected: whole, bounded in bytes and time.
pub(super) async fn inspect(body: Body, limit: usize, within: Duration) -> Result<Bytes, IntakeError> {
    tokio::time::timeout(within, body::collect(body, limit))
        .await
        .map_err(|_| IntakeError::Timeout(within))?
        .map_err(Into::into)
}
