//! The body of an upload on its way to AWS: counted and hashed as it leaves.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::{
    body::{Body, BodyError},
    record::Capture,
};

/// The same body, every byte of which passes `capture`.
pub(super) fn uploading(inner: Body, capture: Capture) -> Body {
    Uploading { inner, capture }.boxed_unsync()
}

struct Uploading {
    inner: Body,
    capture: Capture,
}

impl HttpBody for Uploading {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.capture.push(data);
                }
                // Who sends it need not ask again.
                if self.inner.is_end_stream() {
                    self.capture.end();
                }
            }
            Poll::Ready(None) => self.capture.end(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
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
