//! JSON answers (RFC 8259), of which one document is expected and nothing else.
//!
//! Names are compared as what they say (`\u0053ecretString` is `SecretString`), and one that is there twice is
//! hidden twice. `null` stays, every other hidden leaf stays of its type; names stay, those of hidden maps too.

use zeroize::Zeroizing;

use super::{
    MaskError,
    detect::{Style, Window},
    flow::{Chunk, malformed},
    hide::{Hider, Why, Wire},
    place::{Children, Label, Place, What, children},
};

mod escape;
mod number;
mod ordinary;
mod text;

use escape::Escape;
use number::Number;
use ordinary::ordinary;

/// A JSON document that is being read.
pub(super) struct Json {
    place: Place,
    state: State,
    escape: Escape,
    window: Window,
    /// What a short text says.
    says: Zeroizing<Vec<u8>>,
    begun: bool,
}

/// Bytes of a text that is read twice rather than held.
const SHORT: usize = 2048;

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum State {
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    NameOrEnd,
    Name,
    Colon,
    /// After a value.
    After,
    InName(Reading),
    InText(Mode),
    InNumber {
        number: Number,
        hidden: bool,
    },
    /// The letters of `true`, `false` or `null` that are missing.
    InWord {
        rest: &'static [u8],
        hidden: bool,
    },
}

/// Whether a name is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Kept,
    Skipped,
}

/// What is done with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Hide,
    Look,
}

impl Json {
    pub(super) fn new(root: What) -> Self {
        Self {
            place: Place::new(Children::Each(root), root),
            state: State::Value,
            escape: Escape::default(),
            window: Window::new(Style::Constant),
            says: Zeroizing::default(),
            begun: false,
        }
    }

    pub(super) fn push(
        &mut self,
        hider: &mut Hider,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        let detectors = hider.detectors().cloned();
        let passing = self.passing();
        let mut chunk = Chunk::new(hider, detectors.as_deref(), bytes, out, passing);
        self.begun |= !bytes.is_empty();
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::InName(reading) => self.in_name(&mut chunk, reading, at)?,
                State::InText(mode) => self.in_text(&mut chunk, mode, at)?,
                State::InNumber { number, hidden } => self.in_number(&mut chunk, number, hidden, at)?,
                State::InWord { rest, hidden } => self.in_word(&mut chunk, rest, hidden, at)?,
                _ => self.between(&mut chunk, at)?,
            };
        }
        chunk.flow.end();
        Ok(())
    }

    pub(super) fn finish(&mut self, hider: &mut Hider, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let State::InNumber { number, hidden } = self.state
            && number.may_end()
        {
            if hidden {
                hider.end(&self.place, Wire::Given)?;
                out.push(b'0');
            }
            self.state = State::After;
        }
        let whole = matches!(self.state, State::After) && self.place.depth() == 0;
        if whole || !self.begun { Ok(()) } else { Err(MaskError::Broken) }
    }

    /// Whether what comes next is passed on as it is, unless it says something else.
    fn passing(&self) -> bool {
        !matches!(
            self.state,
            State::InText(Mode::Hide | Mode::Look)
                | State::InNumber { hidden: true, .. }
                | State::InWord { hidden: true, .. }
        )
    }

    /// Between texts, numbers and words.
    #[inline]
    fn between(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<usize, MaskError> {
        let Some(byte) = chunk.bytes.get(at) else { return Ok(at) };
        match (self.state, byte) {
            (_, b' ' | b'\n' | b'\r' | b'\t') => return Ok(at + 1),
            (State::After, b',') => match self.place.top().map(|frame| frame.label) {
                Some(Label::Name) => self.state = State::Name,
                Some(Label::Index) => {
                    self.place.count();
                    self.state = State::Value;
                }
                _ => return Err(malformed("something follows the document")),
            },
            (State::Name | State::NameOrEnd, b'"') => return self.name(chunk, at + 1),
            (State::Colon, b':') => self.state = State::Value,
            (State::ValueOrEnd, b']') => self.leave(Label::Index)?,
            (State::NameOrEnd, b'}') => self.leave(Label::Name)?,
            (State::ValueOrEnd, _) => {
                self.place.count();
                return self.value(chunk, *byte, at);
            }
            (State::Value, _) => return self.value(chunk, *byte, at),
            (State::After, b'}') => self.leave(Label::Name)?,
            (State::After, b']') => self.leave(Label::Index)?,
            _ => return Err(malformed("it is not JSON")),
        }
        Ok(at + 1)
    }

    fn leave(&mut self, label: Label) -> Result<(), MaskError> {
        if self.place.leave().is_some_and(|left| left.label == label) {
            self.state = State::After;
            return Ok(());
        }
        Err(malformed("a bracket that was not opened"))
    }

    /// A value begins with `byte`.
    #[inline]
    fn value(&mut self, chunk: &mut Chunk<'_, '_>, byte: u8, at: usize) -> Result<usize, MaskError> {
        let what = self.place.child();
        match byte {
            b'"' => return self.text(chunk, what, at),
            b'{' => {
                self.place.enter(children(chunk.hider, what, true), Label::Name)?;
                self.state = State::NameOrEnd;
            }
            b'[' => {
                self.place.enter(children(chunk.hider, what, false), Label::Index)?;
                self.state = State::ValueOrEnd;
            }
            b'-' | b'0'..=b'9' => {
                let hidden = begin(chunk, what, at);
                if hidden {
                    chunk.hider.update(&[byte])?;
                }
                self.state = State::InNumber { number: Number::new(byte), hidden };
            }
            b't' => {
                let hidden = begin(chunk, what, at);
                self.state = State::InWord { rest: b"rue", hidden };
                if hidden {
                    chunk.hider.update(b"true")?;
                }
            }
            b'f' => {
                let hidden = begin(chunk, what, at);
                self.state = State::InWord { rest: b"alse", hidden };
                if hidden {
                    chunk.hider.update(b"false")?;
                }
            }
            b'n' => self.state = State::InWord { rest: b"ull", hidden: false },
            _ => return Err(malformed("it is not JSON")),
        }
        Ok(at + 1)
    }

    fn in_number(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        mut number: Number,
        hidden: bool,
        from: usize,
    ) -> Result<usize, MaskError> {
        let mut at = from;
        let mut ended = false;
        for byte in chunk.bytes.get(from..).unwrap_or_default() {
            let Some(next) = number.next(*byte) else {
                ended = true;
                break;
            };
            number = next;
            at += 1;
        }
        if hidden {
            chunk.hider.update(chunk.bytes.get(from..at).unwrap_or_default())?;
        }
        self.state = State::InNumber { number, hidden };
        if !ended {
            return Ok(at);
        }
        if !number.may_end() {
            return Err(malformed("it is not JSON"));
        }
        if hidden {
            chunk.hider.end(&self.place, Wire::Given)?;
            chunk.flow.out.push(b'0');
            chunk.flow.resume(at);
        }
        self.state = State::After;
        Ok(at)
    }

    fn in_word(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        mut rest: &'static [u8],
        hidden: bool,
        mut at: usize,
    ) -> Result<usize, MaskError> {
        while let (Some((letter, others)), Some(byte)) = (rest.split_first(), chunk.bytes.get(at)) {
            if letter != byte {
                return Err(malformed("it is not JSON"));
            }
            rest = others;
            at += 1;
        }
        self.state = State::InWord { rest, hidden };
        if rest.is_empty() {
            self.state = State::After;
            if hidden {
                chunk.hider.end(&self.place, Wire::Given)?;
                chunk.flow.out.extend_from_slice(b"false");
                chunk.flow.resume(at);
            }
        }
        Ok(at)
    }
}

/// Whether a leaf is hidden; if so, that begins at `at`.
fn begin(chunk: &mut Chunk<'_, '_>, what: What, at: usize) -> bool {
    let why = match what {
        What::Free | What::Pass => return false,
        What::Hide(why) => why,
        What::Node(_) => Why::Shape,
    };
    chunk.hider.begin(why);
    chunk.flow.stop(at);
    true
}

/// A part of a text.
#[derive(Debug, Clone, Copy)]
enum Piece<'a> {
    /// What is written.
    Text(&'a [u8]),
    /// What an escape says.
    Char(char),
    /// An escape has not ended.
    More,
    /// The quotation mark.
    End,
}

/// A text between quotation marks.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            '\0'..='\x1f' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
