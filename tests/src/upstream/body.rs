//! Bodies of answers: given or generated, whole or broken off.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// Generated content repeats after this many bytes.
const PERIOD: usize = 64 * 1024;

/// Two periods of the pattern, so that one piece can begin anywhere in it.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let once: Vec<u8> = std::iter::repeat_with(|| {
        // xorshift: bytes that neither compress nor repeat within a period.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(PERIOD / 8)
    .flatten()
    .collect();
    Bytes::from([once.as_slice(), once.as_slice()].concat())
});

/// SHA-256 in hex of the object `bytes-N`.
#[must_use]
pub fn generated_sha256(length: u64) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut generated = Generated { offset: 0, left: length };
    while let Some(piece) = generated.piece() {
        context.update(&piece);
    }
    hex::encode(context.finish())
}

/// A stretch of generated content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generated {
    /// Where in the object it begins.
    pub(super) offset: u64,
    /// Bytes to come.
    pub(super) left: u64,
}

impl Generated {
    fn piece(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(PERIOD);
        let start = usize::try_from(self.offset % PERIOD as u64).unwrap_or(0);
        self.left -= length as u64;
        self.offset += length as u64;
        (length > 0).then(|| PATTERN.slice(start..start + length))
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With its last byte.
    Whole,
    /// The connection is reset after this many bytes.
    ResetAfter(u64),
    /// Nothing more comes after this many bytes.
    StallAfter(u64),
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct ReplyBody {
    source: Source,
    ending: Ending,
    sent: u64,
    flushed: bool,
    /// After the last byte.
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
enum Source {
    Given(Bytes),
    Generated(Generated),
}

impl ReplyBody {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::ending(bytes.into(), Ending::Whole)
    }

    pub(super) fn ending(bytes: Bytes, ending: Ending) -> Self {
        Self { source: Source::Given(bytes), ending, sent: 0, flushed: false, trailers: None }
    }

    pub(super) fn generated(generated: Generated, ending: Ending) -> Self {
        Self { source: Source::Generated(generated), ending, sent: 0, flushed: false, trailers: None }
    }

    /// The same, of a length that its head does not tell, with these behind it.
    pub(super) fn trailed(self, trailers: HeaderMap) -> Self {
        Self { trailers: Some(trailers), ..self }
    }

    /// Whether the connection is reset on purpose with this body.
    pub(super) fn resets(&self) -> bool {
        matches!(self.ending, Ending::ResetAfter(_))
    }

    fn left(&self) -> u64 {
        match &self.source {
            Source::Given(bytes) => bytes.len() as u64,
            Source::Generated(generated) => generated.left,
        }
    }

    fn piece(&mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Given(bytes) => (!bytes.is_empty()).then(|| std::mem::take(bytes)),
            Source::Generated(generated) => generated.piece(),
        }
    }
}

/// The connection is to be reset here.
#[derive(Debug)]
pub(super) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset on purpose")
    }
}

impl std::error::Error for Reset {}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        let allowed = match self.ending {
            Ending::Whole => u64::MAX,
            Ending::ResetAfter(after) | Ending::StallAfter(after) => after.saturating_sub(self.sent),
        };
        if allowed == 0 {
            return match self.ending {
                Ending::ResetAfter(_) if !self.flushed => {
                    // hyper drops what it still holds when a body fails, but flushes while it waits.
                    self.flushed = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Ending::ResetAfter(_) => Poll::Ready(Some(Err(Reset))),
                // Nobody wakes this task again; it ends with its connection.
                Ending::StallAfter(_) | Ending::Whole => Poll::Pending,
            };
        }
        let Some(mut piece) = self.piece() else {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        piece.truncate(usize::try_from(allowed).unwrap_or(usize::MAX));
        self.sent += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.ending == Ending::Whole && self.left() == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.trailers.is_some() { SizeHint::default() } else { SizeHint::with_exact(self.left()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(offset: u64, left: u64) -> Vec<u8> {
        let mut generated = Generated { offset, left };
        std::iter::from_fn(|| generated.piece()).flatten().collect()
    }

    #[test]
    fn a_range_is_a_part_of_the_whole() {
        let whole = content(0, 200_000);
        for (offset, length) in [(0, 1), (1, 65_536), (65_535, 2), (70_001, 129_999), (200_000, 0)] {
            assert_eq!(content(offset as u64, length as u64), whole[offset..][..length], "{offset}+{length}");
        }
    }
}
