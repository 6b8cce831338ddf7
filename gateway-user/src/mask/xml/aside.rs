//! What is neither element nor plain text: the declaration, comments, instructions, CDATA.

use memchr::memchr;

use super::{
    super::{
        MaskError,
        detect::Io,
        hide::{Hider, append},
    },
    CDATA, Chunk, DECLARATION_MAX, Mode, State, Value, Xml, malformed, tag,
};

impl Xml {
    pub(super) fn in_declaration(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        at: usize,
    ) -> Result<usize, MaskError> {
        let Some(byte) = chunk.bytes.get(at) else { return Ok(at) };
        if self.held.len() >= DECLARATION_MAX {
            return Err(MaskError::TooLong);
        }
        append(&mut self.held, &[*byte]);
        if self.held.ends_with(b"?>") && self.held.len() >= 4 {
            if !tag::is_declared(&self.held) {
                return Err(malformed("XML of another version or encoding"));
            }
            chunk.flow.out.extend_from_slice(&self.held);
            self.state = State::Content;
            chunk.flow.resume(at + 1);
        }
        Ok(at + 1)
    }

    /// Whether comments and the like stay here.
    pub(super) fn stays(&self, hider: &Hider) -> bool {
        matches!(self.value, Value::None | Value::Pass) && !matches!(self.mode(hider), Mode::Hide(_))
    }

    /// A part of a comment or the like that is not in the flow, up to `end`.
    pub(super) fn aside(&mut self, chunk: &mut Chunk<'_, '_>, part: &[u8], end: usize) {
        self.returned = false;
        if self.value == Value::Look {
            let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
            self.window.format(part, &mut io);
        } else if self.stays(chunk.hider) {
            chunk.flow.out.extend_from_slice(part);
            chunk.flow.resume(end);
        }
    }

    /// A part of it in the chunk.
    fn aside_goes_on(&mut self, chunk: &mut Chunk<'_, '_>, from: usize, end: usize) {
        if self.value == Value::Look {
            let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
            self.window.format(chunk.bytes.get(from..end).unwrap_or_default(), &mut io);
        }
    }

    /// It has ended before `at`.
    fn aside_ends(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) {
        self.state = State::Content;
        if self.value == Value::None && !self.stays(chunk.hider) {
            chunk.flow.resume(at);
        }
    }

    pub(super) fn in_comment(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        mut dashes: u8,
        from: usize,
    ) -> Result<usize, MaskError> {
        let mut at = from;
        while let Some(byte) = chunk.bytes.get(at) {
            at += 1;
            match (dashes, byte) {
                (2, b'>') => {
                    self.aside_goes_on(chunk, from, at);
                    self.aside_ends(chunk, at);
                    return Ok(at);
                }
                (2, _) => return Err(malformed("two dashes in a comment")),
                (_, b'-') => dashes += 1,
                _ => {
                    dashes = 0;
                    let rest = chunk.bytes.get(at..).unwrap_or_default();
                    at += memchr(b'-', rest).unwrap_or(rest.len());
                }
            }
        }
        self.state = State::Comment { dashes };
        self.aside_goes_on(chunk, from, at);
        Ok(at)
    }

    pub(super) fn in_instruction(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        mut question: bool,
        from: usize,
    ) -> Result<usize, MaskError> {
        let mut at = from;
        while let Some(byte) = chunk.bytes.get(at) {
            at += 1;
            if question && *byte == b'>' {
                self.aside_goes_on(chunk, from, at);
                self.aside_ends(chunk, at);
                return Ok(at);
            }
            question = *byte == b'?';
        }
        self.state = State::Instruction { question };
        self.aside_goes_on(chunk, from, at);
        Ok(at)
    }

    /// `<![CDATA[` is held and ends before `at`.
    pub(super) fn cdata_begins(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<(), MaskError> {
        if self.value == Value::None {
            // What is held is not in the flow.
            self.value_begins(chunk, at)?;
        }
        self.returned = false;
        match self.value {
            // Its end tells that more than blanks is meant.
            Value::Hide { .. } => {}
            Value::Look => self.says(chunk, CDATA, None)?,
            Value::None | Value::Pass => {
                chunk.flow.out.extend_from_slice(CDATA);
                chunk.flow.resume(at);
            }
        }
        Ok(())
    }

    pub(super) fn in_cdata(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        mut brackets: u8,
        from: usize,
    ) -> Result<usize, MaskError> {
        let mut at = from;
        while let Some(byte) = chunk.bytes.get(at) {
            match (brackets, byte) {
                (2, b'>') => {
                    self.returned = false;
                    self.says(chunk, b"]]>", None)?;
                    self.state = State::Content;
                    return Ok(at + 1);
                }
                // The first of three is text.
                (2, b']') => self.writes(chunk, b"]")?,
                (_, b']') => brackets += 1,
                _ => {
                    let waiting = b"]]".get(..usize::from(brackets)).unwrap_or_default();
                    self.writes(chunk, waiting)?;
                    brackets = 0;
                    let rest = chunk.bytes.get(at..).unwrap_or_default();
                    let end = at + memchr(b']', rest).unwrap_or(rest.len());
                    self.part(chunk, at, end)?;
                    at = end;
                    continue;
                }
            }
            self.returned = false;
            at += 1;
        }
        self.state = State::Cdata { brackets };
        Ok(at)
    }
}
