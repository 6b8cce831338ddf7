//! Time-outs that follow the bytes: a body may take hours, silence may not.

use std::{
    future::Future,
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
use tokio::time::{Instant, Sleep};

use crate::body::{Body, BodyError};

/// Counts the frames that passed, so that a waiter can tell silence from work.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Waits for `work`, but gives up (`None`) once no frame has passed for `after`.
    pub(super) async fn unless_silent<F: Future>(&self, after: Duration, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            match tokio::time::timeout(after, work.as_mut()).await {
                Ok(output) => return Some(output),
                Err(_) => {
                    let now = self.0.load(Ordering::Relaxed);
                    if now == seen {
                        return None;
                    }
                    seen = now;
                }
            }
        }
    }
}

/// A body that fails with [`BodyError::Stalled`] when its source stays silent.
pub(super) struct Watched {
    inner: Body,
    progress: Progress,
    idle: Duration,
    /// Armed only while the source is pending, so that a busy stream never touches the timer.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(inner: Body, idle: Duration) -> (Self, Progress) {
        let progress = Progress::default();
        (Self { inner, progress: progress.clone(), idle, silence: None }, progress)
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.progress.0.fetch_add(1, Ordering::Relaxed);
            self.silence = None;
            return Poll::Ready(frame);
        }
        let idle = self.idle;
        let silence =
            self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
        match silence.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Stalled(idle)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
