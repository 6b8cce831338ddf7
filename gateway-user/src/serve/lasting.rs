//! A body that lasts no longer than its session, in either direction.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{
    body::{Body, BodyError},
    identify::Session,
};

/// Breaks off when the session is over: whoever sends it, an HTTP client with a task of its own too, sends
/// nothing more of it.
struct Lasting {
    inner: Body,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// The same body, as long as `session` lasts.
pub(super) fn lasting(inner: Body, session: &Session) -> Body {
    Lasting { inner, over: Box::pin(session.over_owned()) }.boxed_unsync()
}

impl HttpBody for Lasting {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Broken("the session is over".to_owned()))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
