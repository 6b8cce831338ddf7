//! XML answers (XML 1.0, <https://www.w3.org/TR/xml/>, in UTF-8), as AWS writes them: no document types, and so no
//! entities but those of XML itself.
//!
//! Elements are compared without their prefixes. What is hidden of an element is its text, whether it is written
//! plainly, by references or as CDATA; comments and blanks between elements in it go as well. Elements stay, and so
//! do attributes about namespaces. An empty element stays empty.

use zeroize::Zeroizing;

use super::{
    MaskError,
    detect::{Style, Window},
    flow::{Chunk, malformed},
    hide::{Hider, Why, append},
    place::{Children, Label, Place, What},
};

mod aside;
mod element;
mod tag;
mod value;

/// Bytes of a tag, with its attributes.
const TAG_MAX: usize = 4096;
/// Bytes of an XML declaration.
const DECLARATION_MAX: usize = 256;
/// What text begins with in which nothing is markup.
const CDATA: &[u8] = b"<![CDATA[";
/// Bytes of a reference to a character.
const REFERENCE_MAX: usize = 12;

/// An XML document that is being read.
pub(super) struct Xml {
    place: Place,
    root: What,
    state: State,
    value: Value,
    window: Window,
    /// Markup or a reference that a chunk cut.
    held: Zeroizing<Vec<u8>>,
    /// The last character was a carriage return, which readers take for a line feed, with one that follows.
    returned: bool,
    /// Something has come.
    begun: bool,
    /// Nothing has come that no declaration may follow.
    prolog: bool,
    /// The outermost element has ended.
    ended: bool,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Content,
    /// From `<` on; what it is, is not yet known.
    Markup,
    /// A tag, of which something is held; in an attribute's value between these marks.
    Tag {
        quote: Option<u8>,
    },
    /// From `&` on.
    Reference,
    /// The declaration, if it is one.
    Declaration,
    /// So many brackets came last.
    Cdata {
        brackets: u8,
    },
    /// So many dashes came last.
    Comment {
        dashes: u8,
    },
    /// Whether a question mark came last.
    Instruction {
        question: bool,
    },
}

/// What is done with the text of the innermost element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// None came so far.
    None,
    Pass,
    Look,
    Hide {
        /// Nothing came but blanks.
        blank: bool,
    },
}

/// What is known of the text of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Look,
    Hide(Why),
    /// There should be none but blanks.
    Blank,
    /// There must be none.
    Outside,
}

impl Xml {
    pub(super) fn new(root: What, wrappers: u8) -> Self {
        Self {
            place: Place::of_elements(Children::Wrapper(wrappers), root),
            root,
            state: State::Content,
            value: Value::None,
            window: Window::new(Style::Constant),
            held: Zeroizing::default(),
            returned: false,
            begun: false,
            prolog: true,
            ended: false,
        }
    }

    pub(super) fn push(
        &mut self,
        hider: &mut Hider,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        let detectors = hider.detectors().cloned();
        let passing = self.passing(hider);
        let mut chunk = Chunk::new(hider, detectors.as_deref(), bytes, out, passing);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at = match self.state {
                State::Content if *byte == b'<' => self.markup(&mut chunk, at)?,
                State::Content if *byte == b'&' => self.reference(&mut chunk, at)?,
                State::Content => self.text(&mut chunk, at)?,
                State::Markup => self.in_markup(&mut chunk, at)?,
                State::Tag { quote } => self.in_tag(&mut chunk, quote, at)?,
                State::Reference => self.in_reference(&mut chunk, at)?,
                State::Declaration => self.in_declaration(&mut chunk, at)?,
                State::Cdata { brackets } => self.in_cdata(&mut chunk, brackets, at)?,
                State::Comment { dashes } => self.in_comment(&mut chunk, dashes, at)?,
                State::Instruction { question } => self.in_instruction(&mut chunk, question, at)?,
            };
            self.begun = true;
        }
        chunk.flow.end();
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), MaskError> {
        let whole = self.ended && self.state == State::Content;
        if whole || !self.begun { Ok(()) } else { Err(MaskError::Broken) }
    }

    /// Whether what comes next is passed on as it is, unless it says something else.
    fn passing(&self, hider: &Hider) -> bool {
        match self.state {
            State::Markup | State::Tag { .. } | State::Declaration => false,
            State::Comment { .. } | State::Instruction { .. } => self.stays(hider),
            _ => !matches!(self.value, Value::Look | Value::Hide { .. }),
        }
    }

    fn mode(&self, hider: &Hider) -> Mode {
        let Some(frame) = self.place.top().filter(|_| self.place.depth() > 0) else { return Mode::Outside };
        match (frame.children, frame.label) {
            (_, Label::Index) => Mode::Blank,
            (Children::Each(What::Pass), _) => Mode::Pass,
            (Children::Each(What::Free), _) if hider.detectors().is_none() => Mode::Pass,
            (Children::Each(What::Free), _) => Mode::Look,
            (Children::Each(What::Hide(why)), _) => Mode::Hide(why),
            _ => Mode::Blank,
        }
    }

    /// `<` is at `at`. Most tags are in one chunk.
    fn markup(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<usize, MaskError> {
        let bytes = chunk.bytes;
        let rest = bytes.get(at..).unwrap_or_default();
        if let Some(length) = self.ends_here(rest) {
            self.prolog = false;
            let within = self.place.top().is_some_and(|frame| frame.count > 0);
            if !matches!(self.value, Value::None | Value::Pass) {
                self.value_ends(chunk, within)?;
                chunk.flow.resume(at);
            }
            self.value = Value::None;
            self.place.leave();
            self.ended |= self.place.depth() == 0;
            return Ok(at + length);
        }
        if !matches!(rest.get(1), None | Some(b'!' | b'?'))
            && let Some(length) = tag::length(rest, &mut None)
        {
            let tag = rest.get(..length).unwrap_or_default();
            self.prolog = false;
            self.tag(chunk, tag, Some(at), at + length)?;
            return Ok(at + length);
        }
        // What it is, is told by what comes, in this chunk or the next.
        chunk.flow.stop(at);
        self.held.clear();
        self.state = State::Markup;
        Ok(at)
    }

    fn in_markup(&mut self, chunk: &mut Chunk<'_, '_>, mut at: usize) -> Result<usize, MaskError> {
        while let Some(byte) = chunk.bytes.get(at) {
            append(&mut self.held, &[*byte]);
            at += 1;
            let state = match self.held.as_slice() {
                b"<" => continue,
                b"<?" if self.prolog => State::Declaration,
                b"<?" => State::Instruction { question: false },
                b"<!--" => State::Comment { dashes: 0 },
                b"<![CDATA[" => State::Cdata { brackets: 0 },
                held if b"<!--".starts_with(held) || b"<![CDATA[".starts_with(held) => continue,
                [_, b'!', ..] => return Err(malformed("a document type")),
                _ => State::Tag { quote: None },
            };
            self.state = state;
            self.prolog = false;
            match state {
                State::Comment { .. } | State::Instruction { .. } => {
                    let held = std::mem::take(&mut self.held);
                    self.aside(chunk, &held, at);
                    self.held = held;
                }
                State::Cdata { .. } => self.cdata_begins(chunk, at)?,
                // The last byte may be its end.
                State::Tag { .. } => {
                    self.held.pop();
                    return Ok(at - 1);
                }
                _ => {}
            }
            return Ok(at);
        }
        Ok(at)
    }

    /// A tag of which something is held.
    fn in_tag(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        quote: Option<u8>,
        at: usize,
    ) -> Result<usize, MaskError> {
        let bytes = chunk.bytes;
        let rest = bytes.get(at..).unwrap_or_default();
        let mut quote = quote;
        let length = tag::length(rest, &mut quote);
        let part = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        if self.held.len() + part.len() > TAG_MAX {
            return Err(MaskError::TooLong);
        }
        append(&mut self.held, part);
        let end = at + part.len();
        self.state = State::Tag { quote };
        if length.is_some() {
            let held = std::mem::take(&mut self.held);
            self.state = State::Content;
            self.tag(chunk, &held, None, end)?;
            self.held = held;
        }
        Ok(end)
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
