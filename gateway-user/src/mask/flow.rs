//! What maskers of documents do with a chunk: most of it passes as it is.

use super::{
    MaskError,
    detect::{Detectors, Hits},
    hide::Hider,
};

/// A chunk that is being read.
pub(super) struct Chunk<'a, 'd> {
    pub(super) hider: &'a mut Hider,
    pub(super) hits: Hits<'d>,
    pub(super) flow: Flow<'a>,
    pub(super) bytes: &'a [u8],
}

impl<'a, 'd> Chunk<'a, 'd> {
    /// `passing`: nothing of what came before is held.
    pub(super) fn new(
        hider: &'a mut Hider,
        detectors: Option<&'d Detectors>,
        bytes: &'a [u8],
        out: &'a mut Vec<u8>,
        passing: bool,
    ) -> Self {
        Self { hider, hits: Hits::new(detectors), flow: Flow::new(bytes, out, passing), bytes }
    }
}

/// What of a chunk is passed on as it is.
pub(super) struct Flow<'a> {
    chunk: &'a [u8],
    pub(super) out: &'a mut Vec<u8>,
    /// Up to where the chunk was dealt with; `None` while it is held or hidden.
    from: Option<usize>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(chunk: &'a [u8], out: &'a mut Vec<u8>, passing: bool) -> Self {
        Self { chunk, out, from: passing.then_some(0) }
    }

    /// What comes before `at` passes; what follows is held or hidden.
    pub(super) fn stop(&mut self, at: usize) {
        if let Some(from) = self.from.take() {
            self.out.extend_from_slice(self.chunk.get(from..at).unwrap_or_default());
        }
    }

    /// What follows from `at` on passes.
    pub(super) fn resume(&mut self, at: usize) {
        self.from = Some(at);
    }

    /// The end of the chunk.
    pub(super) fn end(&mut self) {
        self.stop(self.chunk.len());
    }
}

pub(super) fn malformed(why: &'static str) -> MaskError {
    MaskError::Malformed(why)
}
