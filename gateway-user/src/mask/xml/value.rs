//! The text of an element, in however many pieces it is written.

use memchr::{memchr, memchr2};

use super::{
    super::{
        MaskError,
        detect::{Io, is_kept, is_kept_whole},
        hide::{Why, Wire, append},
    },
    Chunk, Mode, REFERENCE_MAX, State, Value, Xml, is_blank, malformed,
    tag::{self, reference, write_text},
};

impl Xml {
    /// Text without references, from `at` on.
    pub(super) fn text(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<usize, MaskError> {
        let bytes = chunk.bytes;
        let rest = bytes.get(at..).unwrap_or_default();
        let length = memchr2(b'<', b'&', rest).unwrap_or(rest.len());
        let end = at + length;
        self.prolog = false;
        match (self.value, self.mode(chunk.hider)) {
            (Value::Pass, _) | (_, Mode::Pass) => {}
            (_, Mode::Outside) => {
                let text = rest.get(..length).unwrap_or_default();
                if !text.iter().all(is_blank) {
                    return Err(malformed("text outside of the outermost element"));
                }
            }
            (Value::Hide { .. } | Value::Look, _) => self.part(chunk, at, end)?,
            (Value::None, Mode::Look) => {
                if !self.nothing_in(chunk, at, end) {
                    self.value_begins(chunk, at)?;
                    self.part(chunk, at, end)?;
                }
            }
            (Value::None, Mode::Hide(_)) => {
                self.value_begins(chunk, at)?;
                self.part(chunk, at, end)?;
            }
            (Value::None, Mode::Blank) => {
                let text = rest.get(..length).unwrap_or_default();
                if let Some(from) = text.iter().position(|b| !is_blank(b)) {
                    self.value_begins(chunk, at + from)?;
                    self.part(chunk, at + from, end)?;
                }
            }
        }
        Ok(end)
    }

    /// Whether the text of an element is in this part of the chunk and there is nothing to look at. Most are so.
    fn nothing_in(&mut self, chunk: &mut Chunk<'_, '_>, at: usize, end: usize) -> bool {
        let armed = self.place.parent().is_some_and(|frame| frame.armed);
        let ends = matches!(chunk.bytes.get(end..), Some([b'<', next, ..]) if !matches!(next, b'!' | b'?'));
        let text = chunk.bytes.get(at..end).unwrap_or_default();
        // What a carriage return says is told where it is read closely.
        let other = chunk.hits.wordless() && memchr(b'\r', text).is_some();
        ends && !armed && !other && !chunk.hits.secret_in(chunk.bytes, at..end)
    }

    /// Text begins that does not just pass.
    pub(super) fn value_begins(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<(), MaskError> {
        self.returned = false;
        let why = match self.mode(chunk.hider) {
            Mode::Outside => return Err(malformed("text outside of the outermost element")),
            Mode::Pass => return Ok(()),
            Mode::Look => {
                let armed = self.place.parent_mut().is_some_and(|frame| std::mem::take(&mut frame.armed));
                if self.place.own_name().map(tag::local).is_some_and(is_kept)
                    || self.place.is_within(|name| is_kept_whole(tag::local(name)))
                {
                    self.value = Value::Pass;
                    return Ok(());
                }
                self.window.begin(armed);
                self.value = Value::Look;
                chunk.flow.stop(at);
                return Ok(());
            }
            Mode::Hide(why) => why,
            Mode::Blank => Why::Shape,
        };
        chunk.hider.begin(why);
        self.value = Value::Hide { blank: true };
        chunk.flow.stop(at);
        Ok(())
    }

    /// A part of a text that does not just pass, with line ends as readers see them
    /// (<https://www.w3.org/TR/xml/#sec-line-ends>).
    pub(super) fn part(&mut self, chunk: &mut Chunk<'_, '_>, at: usize, end: usize) -> Result<(), MaskError> {
        let bytes = chunk.bytes;
        let mut rest = bytes.get(at..end).unwrap_or_default();
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.returned) && *first == b'\n' {
                self.says(chunk, b"\n", None)?;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            match memchr(b'\r', rest) {
                Some(0) => {
                    self.says(chunk, b"\r", Some("\n"))?;
                    self.returned = true;
                    rest = rest.get(1..).unwrap_or_default();
                }
                found => {
                    let (text, others) =
                        rest.split_at_checked(found.unwrap_or(rest.len())).unwrap_or((rest, &[]));
                    self.writes(chunk, text)?;
                    rest = others;
                }
            }
        }
        Ok(())
    }

    /// Something that says what is written.
    pub(super) fn writes(&mut self, chunk: &mut Chunk<'_, '_>, text: &[u8]) -> Result<(), MaskError> {
        match &mut self.value {
            Value::Hide { blank } => {
                *blank &= text.iter().all(is_blank);
                chunk.hider.update(text)
            }
            Value::Look => {
                self.window
                    .text(text, &mut Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out });
                Ok(())
            }
            Value::None | Value::Pass => Ok(()),
        }
    }

    /// Something that says another thing than is written, or nothing.
    pub(super) fn says(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        written: &[u8],
        says: Option<&str>,
    ) -> Result<(), MaskError> {
        match &mut self.value {
            Value::Hide { blank } => {
                let says = says.unwrap_or_default().as_bytes();
                *blank &= matches!(written, b"\r" | b"\n");
                chunk.hider.update(says)
            }
            Value::Look => {
                let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                match says {
                    Some(says) => self.window.escape(written, says.as_bytes(), &mut io),
                    None => self.window.format(written, &mut io),
                }
                Ok(())
            }
            Value::None | Value::Pass => Ok(()),
        }
    }

    /// The text of the innermost element ends, because a tag comes.
    pub(super) fn value_ends(&mut self, chunk: &mut Chunk<'_, '_>, within: bool) -> Result<(), MaskError> {
        match std::mem::replace(&mut self.value, Value::None) {
            Value::None | Value::Pass => {}
            Value::Look => {
                let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                if self.window.end(&mut io)
                    && let Some(frame) = self.place.parent_mut()
                {
                    frame.armed = true;
                }
            }
            // Blanks between elements.
            Value::Hide { blank: true } if within => chunk.hider.forget(),
            Value::Hide { .. } => {
                let text = chunk.hider.end(&self.place, Wire::Untyped)?;
                write_text(&text, chunk.flow.out);
            }
        }
        Ok(())
    }

    /// `&` is at `at`.
    pub(super) fn reference(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<usize, MaskError> {
        if self.value == Value::None {
            self.value_begins(chunk, at)?;
        }
        self.held.clear();
        self.state = State::Reference;
        Ok(at)
    }

    pub(super) fn in_reference(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<usize, MaskError> {
        let bytes = chunk.bytes;
        let rest = bytes.get(at..).unwrap_or_default();
        let end = memchr(b';', rest);
        let part = rest.get(..end.map_or(rest.len(), |end| end + 1)).unwrap_or_default();
        if self.held.len() + part.len() > REFERENCE_MAX {
            return Err(malformed("a reference to something else than a character"));
        }
        append(&mut self.held, part);
        let next = at + part.len();
        if end.is_some() {
            self.state = State::Content;
            self.returned = false;
            let written = std::mem::take(&mut self.held);
            let c = reference(&written).ok_or(malformed("a reference to something else than a character"))?;
            self.says(chunk, &written, Some(c.encode_utf8(&mut [0; 4])))?;
            self.held = written;
        }
        Ok(next)
    }
}
