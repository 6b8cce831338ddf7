//! Names and texts.

use super::{
    super::{
        MaskError,
        detect::{Io, is_kept, is_kept_whole, names_key},
        hide::{Hider, Wire, append},
        place::{Children, Label, What},
    },
    Chunk, Escape, Json, Mode, Piece, Reading, SHORT, State, begin, malformed, ordinary, write_text,
};

impl Json {
    /// A name begins at `at`.
    #[inline]
    pub(super) fn name(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<usize, MaskError> {
        let each = self.place.top().map(|frame| frame.children);
        let skipped = match each {
            Some(Children::Each(What::Pass)) => true,
            Some(Children::Each(What::Free)) => !chunk.hits.wanted(),
            _ => false,
        };
        let rest = chunk.bytes.get(at..).unwrap_or_default();
        let length = ordinary(rest);
        if rest.get(length) == Some(&b'"') {
            self.state = State::Colon;
            if !skipped {
                self.place.name_begins();
                self.place.name_goes_on(rest.get(..length).unwrap_or_default());
                let word = chunk.hits.word_in(chunk.bytes, at..at + length);
                self.name_ended(chunk.hider, word)?;
            }
            return Ok(at + length + 1);
        }
        self.state = State::InName(if skipped { Reading::Skipped } else { Reading::Kept });
        if !skipped {
            self.place.name_begins();
        }
        Ok(at)
    }

    pub(super) fn in_name(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        reading: Reading,
        mut at: usize,
    ) -> Result<usize, MaskError> {
        while let Some(rest) = chunk.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.escape.next(rest, ordinary)? {
                (Piece::Text(part), used) => {
                    at += used;
                    if reading == Reading::Kept {
                        self.place.name_goes_on(part);
                    }
                }
                (Piece::Char(c), used) => {
                    at += used;
                    if reading == Reading::Kept {
                        self.place.name_goes_on(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                (Piece::More, used) => at += used,
                (Piece::End, used) => {
                    self.state = State::Colon;
                    if reading == Reading::Kept {
                        self.name_ended(chunk.hider, true)?;
                    }
                    return Ok(at + used);
                }
            }
        }
        Ok(at)
    }

    /// `word`: it may be the name of a secret access key.
    #[inline]
    fn name_ended(&mut self, hider: &Hider, word: bool) -> Result<(), MaskError> {
        let matters = self.place.top().is_some_and(|frame| matches!(frame.children, Children::Members(_)));
        if matters && self.place.name().is_some_and(|name| std::str::from_utf8(name).is_err()) {
            return Err(malformed("a name is not UTF-8"));
        }
        self.place.name_ended(hider);
        if word && hider.detectors().is_some() && names_key(self.place.name()) {
            self.arm();
        }
        Ok(())
    }

    fn arm(&mut self) {
        if let Some(frame) = self.place.top_mut() {
            frame.armed = true;
        }
    }

    /// A text that is a value begins with the quotation mark at `at`.
    #[inline]
    pub(super) fn text(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        what: What,
        at: usize,
    ) -> Result<usize, MaskError> {
        let start = at + 1;
        let mode = match what {
            What::Pass => Mode::Pass,
            What::Free if !chunk.hits.wanted() => Mode::Pass,
            What::Free => Mode::Look,
            What::Hide(_) | What::Node(_) => Mode::Hide,
        };
        match mode {
            Mode::Hide => {
                begin(chunk, what, at);
                self.state = State::InText(mode);
                return Ok(start);
            }
            Mode::Look => return Ok(self.look(chunk, start)),
            Mode::Pass => {}
        }
        let rest = chunk.bytes.get(start..).unwrap_or_default();
        let length = ordinary(rest);
        self.state = if rest.get(length) == Some(&b'"') { State::After } else { State::InText(Mode::Pass) };
        Ok(start + length + usize::from(matches!(self.state, State::After)))
    }

    /// A text that is looked through begins at `start`. Most are in one chunk and have nothing to look at.
    #[inline]
    fn look(&mut self, chunk: &mut Chunk<'_, '_>, start: usize) -> usize {
        let armed = self.place.top_mut().is_some_and(|frame| std::mem::take(&mut frame.armed));
        let rest = chunk.bytes.get(start..).unwrap_or_default();
        let length = ordinary(rest);
        let whole = rest.get(length) == Some(&b'"');
        if whole && !armed && !chunk.hits.secret_in(chunk.bytes, start..start + length) {
            self.state = State::After;
            return start + length + 1;
        }
        if !armed
            && rest.get(length) == Some(&b'\\')
            && let Some(end) = self.lightly_escaped(chunk, start).or_else(|| self.escaped(chunk, rest))
        {
            self.state = State::After;
            return start + end;
        }
        let named = self.place.top().is_some_and(|frame| frame.label == Label::Name);
        if named && self.place.name().is_some_and(is_kept) || self.place.is_within(is_kept_whole) {
            self.state = State::InText(Mode::Pass);
            return start;
        }
        self.window.begin(armed);
        chunk.flow.stop(start);
        self.state = State::InText(Mode::Look);
        start
    }

    /// The same as [`Json::escaped`] where no escape says a character of a word: then it need not be read as what it
    /// says.
    fn lightly_escaped(&self, chunk: &mut Chunk<'_, '_>, start: usize) -> Option<usize> {
        if !chunk.hits.lightly() {
            return None;
        }
        let rest = chunk.bytes.get(start..)?;
        let mut at = 0;
        loop {
            at += ordinary(rest.get(at..)?);
            match rest.get(at..)? {
                [b'"', ..] => break,
                [b'\\', b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at += 2,
                _ => return None,
            }
        }
        (!chunk.hits.word_in(chunk.bytes, start..start + at)).then_some(at + 1)
    }

    /// Bytes of a text with escapes and of its quotation mark, if it is in one chunk and there is nothing to look at.
    fn escaped(&mut self, chunk: &Chunk<'_, '_>, rest: &[u8]) -> Option<usize> {
        self.says.clear();
        let mut escape = Escape::default();
        let mut at = 0;
        loop {
            let rest = rest.get(at..SHORT.min(rest.len())).filter(|rest| !rest.is_empty())?;
            // What is wrong is found again.
            let (piece, used) = escape.next(rest, ordinary).ok()?;
            at += used;
            match piece {
                Piece::Text(part) => append(&mut self.says, part),
                Piece::Char(c) => append(&mut self.says, c.encode_utf8(&mut [0; 4]).as_bytes()),
                Piece::More => return None,
                Piece::End => return (!chunk.hits.secret_said(&self.says)).then_some(at),
            }
        }
    }

    pub(super) fn in_text(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        mode: Mode,
        mut at: usize,
    ) -> Result<usize, MaskError> {
        while let Some(rest) = chunk.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (piece, used) = self.escape.next(rest, ordinary)?;
            at += used;
            match (piece, mode) {
                (Piece::More, _) | (Piece::Text(_) | Piece::Char(_), Mode::Pass) => {}
                (Piece::Text(part), Mode::Hide) => chunk.hider.update(part)?,
                (Piece::Char(c), Mode::Hide) => {
                    chunk.hider.update(c.encode_utf8(&mut [0; 4]).as_bytes())?;
                }
                (Piece::Text(part), Mode::Look) => {
                    let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                    self.window.text(part, &mut io);
                }
                (Piece::Char(c), Mode::Look) => {
                    let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                    self.window.escape(self.escape.written(), c.encode_utf8(&mut [0; 4]).as_bytes(), &mut io);
                }
                (Piece::End, _) => {
                    self.text_ended(chunk, mode, at)?;
                    return Ok(at);
                }
            }
        }
        Ok(at)
    }

    /// The quotation mark before `at` ended a text.
    fn text_ended(&mut self, chunk: &mut Chunk<'_, '_>, mode: Mode, at: usize) -> Result<(), MaskError> {
        self.state = State::After;
        match mode {
            Mode::Pass => {}
            Mode::Hide => {
                let text = chunk.hider.end(&self.place, Wire::Text)?;
                write_text(&text, chunk.flow.out);
                chunk.flow.resume(at);
            }
            Mode::Look => {
                let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                if self.window.end(&mut io) {
                    self.arm();
                }
                chunk.flow.resume(at - 1);
            }
        }
        Ok(())
    }
}
