//! Answers whose whole body is one value: a blob or text payload.

use super::{
    MaskError,
    hide::{Hider, Why, Wire},
    place::What,
    plan::Kind,
};

/// Such a body.
#[derive(Debug)]
pub(super) struct Whole {
    /// `None`: it passes.
    why: Option<Why>,
    begun: bool,
}

impl Whole {
    /// What has an inside is hidden as well: nothing is known of how it is written.
    pub(super) fn new(root: What) -> Self {
        let why = match root {
            What::Free | What::Pass => None,
            What::Hide(why) => Some(why),
            What::Node(_) => Some(Why::Shape),
        };
        Self { why, begun: false }
    }

    pub(super) fn push(
        &mut self,
        hider: &mut Hider,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        let Some(why) = self.why else {
            out.extend_from_slice(chunk);
            return Ok(());
        };
        if chunk.is_empty() {
            return Ok(());
        }
        if !self.begun {
            hider.begin(why);
            self.begun = true;
        }
        if hider.is(Kind::Blob) { hider.update_bytes(chunk) } else { hider.update(chunk) }
    }

    pub(super) fn finish(&mut self, hider: &mut Hider, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if self.begun {
            let wire = if hider.is(Kind::Blob) { Wire::Bytes } else { Wire::Text };
            out.extend_from_slice(hider.end_at(String::new, wire)?.as_bytes());
        }
        Ok(())
    }
}
