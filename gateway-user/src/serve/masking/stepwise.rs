//! A body that passes through one step as it streams, and notes what that found.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::Found;
use crate::{
    body::{self, Body, BodyError},
    mask::{Echo, MaskError, Masker, Plan},
};

/// What is done with the bytes of a body.
pub(super) trait Step: Send + Unpin {
    /// Takes the next bytes, and adds to `out` what may be passed on.
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError>;
    /// There is no more: adds what is left to `out`, and notes all that was found, whatever comes of it.
    fn finish(self, out: &mut Vec<u8>, found: &Found) -> Result<(), MaskError>;
    /// Notes what was found until the body broke off.
    fn note(&self, found: &Found);
}

/// Secrets are hidden.
pub(super) struct Hiding {
    pub(super) masker: Masker,
    pub(super) plan: Arc<Plan>,
}

impl Step for Hiding {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.masker.push(chunk, out)
    }

    fn finish(self, out: &mut Vec<u8>, found: &Found) -> Result<(), MaskError> {
        let so_far = self.masker.report().clone();
        let finished = self.masker.finish(out);
        found.add(finished.as_ref().unwrap_or(&so_far), &self.plan);
        finished.map(|_| ())
    }

    fn note(&self, found: &Found) {
        found.add(self.masker.report(), &self.plan);
    }
}

/// Values that were put into the request are overwritten.
impl Step for Echo {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        Echo::push(self, chunk, out);
        Ok(())
    }

    fn finish(self, out: &mut Vec<u8>, found: &Found) -> Result<(), MaskError> {
        found.add_known(Echo::finish(self, out));
        Ok(())
    }

    fn note(&self, found: &Found) {
        found.add_known(self.found());
    }
}

/// Such a body.
pub(super) struct Stepwise<S: Step> {
    inner: Body,
    /// `None` once it has ended or broken off.
    step: Option<S>,
    found: Found,
}

impl<S: Step> Stepwise<S> {
    pub(super) fn new(inner: Body, step: S, found: Found) -> Self {
        Self { inner, step: Some(step), found }
    }

    /// What is left of it is not passed on.
    fn broken(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.note();
        Poll::Ready(Some(Err(error)))
    }

    /// There is no more.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.step.take().map_or(Ok(()), |step| step.finish(out, &self.found))
    }

    fn note(&mut self) {
        if let Some(step) = self.step.take() {
            step.note(&self.found);
        }
    }
}

impl<S: Step> HttpBody for Stepwise<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut out = Vec::new();
        while let Some(step) = &mut this.step {
            let passed = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    // Who sends an answer of known length does not ask for its end after the last byte: it is there with it.
                    Ok(data) if this.inner.is_end_stream() => {
                        step.push(&data, &mut out).and_then(|()| this.finish(&mut out))
                    }
                    Ok(data) => step.push(&data, &mut out),
                    // Trailers speak of bytes that are no longer these.
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => return this.broken(error),
                None => this.finish(&mut out),
            };
            match passed {
                Err(error) => return this.broken(BodyError::Withheld(error.to_string())),
                Ok(()) if !out.is_empty() => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                Ok(()) => {}
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.step.is_none()
    }
}

impl<S: Step> Drop for Stepwise<S> {
    fn drop(&mut self) {
        // What it is made of notes what it found when it goes: in the order of the steps.
        drop(std::mem::replace(&mut self.inner, body::empty()));
        self.note();
    }
}
