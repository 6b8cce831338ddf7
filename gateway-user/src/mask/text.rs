//! Answers that are text, of which no rule knows anything: detectors look through them.

use super::{
    MaskError,
    detect::{Io, Style, Window},
    hide::Hider,
    place::{Children, Place, What},
};

/// Such a body.
pub(super) struct Text {
    window: Window,
    place: Place,
}

impl Text {
    pub(super) fn new() -> Self {
        let place = Place::new(Children::Each(What::Free), What::Free);
        Self { window: Window::new(Style::Constant), place }
    }

    pub(super) fn push(
        &mut self,
        hider: &mut Hider,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        if hider.detectors().is_some() {
            self.window.text(chunk, &mut Io { hider, place: &self.place, out });
        } else {
            out.extend_from_slice(chunk);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, hider: &mut Hider, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.window.end(&mut Io { hider, place: &self.place, out });
        Ok(())
    }
}
