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
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::body::{self, Body, BodyError, CollectError};

/// Bytes that came in, readable while the body is still on its way.
#[derive(Debug, Clone, Default)]
pub(super) struct BytesIn(Arc<AtomicU64>);

impl BytesIn {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// hyper's body as ours, counted.
pub(super) fn counted(incoming: Incoming) -> (Body, BytesIn) {
    let count = BytesIn::default();
    let inner = incoming.map_err(|error| BodyError::Broken(error.to_string())).boxed_unsync();
    (Counted { inner, count: count.clone() }.boxed_unsync(), count)
}

struct Counted {
    inner: Body,
    count: BytesIn,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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

/// Why a body that must be inspected is not at hand.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    /// Too large, broken off, or with trailers.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// It did not arrive in time.
    #[error("the body did not arrive within {0:?}")]
    Timeout(Duration),
}

/// Reads a body that must be inspected: whole, bounded in bytes and time.
pub(super) async fn inspect(body: Body, limit: usize, within: Duration) -> Result<Bytes, IntakeError> {
    // A stated length over the bound is refused before a byte of it is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(CollectError::TooLarge { limit }.into());
    }
    tokio::time::timeout(within, body::collect(body, limit)).await.map_err(|_| IntakeError::Timeout(within))?.map_err(Into::into)
}

/// Reads and discards what a refused request still sends, so that its sender reads the answer
/// instead of a reset. Bounded: who sends more gets the reset.
pub(super) async fn discard(mut body: Body) {
    const MOST: usize = 8 << 20;
    const WITHIN: Duration = Duration::from_secs(5);
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
