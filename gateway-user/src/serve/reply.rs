//! The answer on its way to the agent, tied to the record of its call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::draft::Ending;
use crate::body::{self, Body, BodyError};

/// A body that finishes its call's record with its last byte, and as `aborted` if it is dropped
/// before (the agent went away).
pub(super) struct Recorded {
    inner: Body,
    ending: Option<Ending>,
}

impl Recorded {
    pub(super) fn new(inner: Body, ending: Ending) -> Self {
        let mut body = Self { inner, ending: Some(ending) };
        body.finish_at_end();
        body
    }

    /// hyper stops polling once a body says that it has ended, so the end is looked for each time.
    fn finish_at_end(&mut self) {
        if self.inner.is_end_stream()
            && let Some(ending) = self.ending.take()
        {
            ending.complete();
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // What masks it tells what it hid when it goes.
        drop(std::mem::replace(&mut self.inner, body::empty()));
        if let Some(ending) = self.ending.take() {
            ending.abandoned();
        }
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(ending), Some(data)) = (&mut self.ending, frame.data_ref()) {
                    ending.passed(data);
                }
                self.finish_at_end();
            }
            Poll::Ready(Some(Err(error))) => {
                // What masks it tells what it hid when it goes.
                self.inner = body::empty();
                if let Some(ending) = self.ending.take() {
                    ending.broken(error);
                }
            }
            Poll::Ready(None) => {
                if let Some(ending) = self.ending.take() {
                    ending.complete();
                }
            }
            Poll::Pending => {}
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
