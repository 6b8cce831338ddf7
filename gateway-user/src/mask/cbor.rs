//! CBOR answers (RFC 8949) as Smithy's rpc-v2-cbor writes them
//! (<https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>): one data item, whose maps have texts as
//! keys.
//!
//! Lengths may be definite or not, texts may come in pieces, and what is hidden stays of its major type; tags stay.
//! Because the length of a text comes before it, what detectors find in one is replaced by as many bytes.

use super::{
    MaskError,
    detect::{Io, Style, Window, is_kept, is_kept_whole, names_key},
    flow::{Chunk, malformed},
    hide::{Hider, Why, Wire},
    place::{Children, Label, Place, What, children},
};

mod head;

use head::{Argument, Head, Held, decimal, write_head};

/// A CBOR data item that is being read.
pub(super) struct Cbor {
    place: Place,
    /// Of what encloses the present value, outermost first.
    open: Vec<Open>,
    state: State,
    held: Held,
    text: Text,
    window: Window,
    /// The tag before the present value.
    tag: Option<u64>,
    begun: bool,
}

/// A list or map that has not ended.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Elements or entries that are missing; `None` until a break.
    left: Option<u64>,
    map: bool,
    /// A key comes next.
    key: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A key, a value, or a break.
    Item,
    /// A piece of a text or of bytes, or a break.
    Piece,
    /// So many bytes of a text or of bytes.
    Bytes(u64),
    End,
}

/// The text or bytes that are being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Text {
    major: u8,
    mode: Mode,
    /// They come in pieces.
    pieces: bool,
}

/// What is done with a text or with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Key,
    Pass,
    Hide,
    Look,
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const BREAK: u8 = 0xff;

impl Cbor {
    pub(super) fn new(root: What) -> Self {
        Self {
            place: Place::new(Children::Each(root), root),
            open: Vec::new(),
            state: State::Item,
            held: Held::default(),
            text: Text { major: TEXT, mode: Mode::Pass, pieces: false },
            window: Window::new(Style::SameLength),
            tag: None,
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
        let in_text = matches!(self.state, State::Piece | State::Bytes(_));
        let kept = in_text && matches!(self.text.mode, Mode::Hide | Mode::Look);
        let passing = !kept && self.held.is_empty();
        let mut chunk = Chunk::new(hider, detectors.as_deref(), bytes, out, passing);
        self.begun |= !bytes.is_empty();
        let mut at = 0;
        while at < bytes.len() {
            if let State::Bytes(left) = self.state {
                at = self.in_bytes(&mut chunk, left, at)?;
                continue;
            }
            let (head, end) = self.held.read(bytes, at)?;
            let Some(head) = head else {
                chunk.flow.stop(at);
                break;
            };
            match self.state {
                State::Item => self.item(&mut chunk, &head, end)?,
                State::Piece => self.piece(&mut chunk, &head, end)?,
                State::Bytes(_) | State::End => return Err(malformed("something follows the data item")),
            }
            at = end;
        }
        chunk.flow.end();
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), MaskError> {
        let whole = self.state == State::End && self.held.is_empty();
        if whole || !self.begun { Ok(()) } else { Err(MaskError::Broken) }
    }

    /// A key, a value or a break.
    fn item(&mut self, chunk: &mut Chunk<'_, '_>, head: &Head, end: usize) -> Result<(), MaskError> {
        if head.first() == BREAK {
            let ends = self.open.last().is_some_and(|open| open.left.is_none() && open.key == open.map);
            if !ends || self.tag.is_some() {
                return Err(malformed("a break that ends nothing"));
            }
            passes(chunk, head, end);
            self.leave()?;
            return self.value_ended();
        }
        if self.open.last().is_some_and(|open| open.key) {
            if head.major() != TEXT {
                return Err(malformed("a key that is no text"));
            }
            passes(chunk, head, end);
            self.place.name_begins();
            return self.text_begins(chunk, head, Mode::Key, end);
        }
        if self.tag.is_none() && self.open.last().is_some() && !self.in_map() {
            self.place.count();
        }
        self.value(chunk, head, end)
    }

    fn in_map(&self) -> bool {
        self.open.last().is_some_and(|open| open.map)
    }

    fn value(&mut self, chunk: &mut Chunk<'_, '_>, head: &Head, end: usize) -> Result<(), MaskError> {
        let what = self.place.child();
        let why = match what {
            What::Hide(why) => Some(why),
            What::Node(_) => Some(Why::Shape),
            What::Free | What::Pass => None,
        };
        match (head.major(), head.argument()) {
            (TAG, Argument::Is(tag)) => {
                passes(chunk, head, end);
                self.tag = Some(tag);
                return Ok(());
            }
            (LIST | MAP, length) => {
                passes(chunk, head, end);
                return self.enter(chunk.hider, what, head.major() == MAP, length);
            }
            (BYTES | TEXT, _) => {
                let mode = match what {
                    What::Hide(_) | What::Node(_) => Mode::Hide,
                    What::Free if head.major() == TEXT && chunk.hits.wanted() => Mode::Look,
                    What::Free | What::Pass => Mode::Pass,
                };
                match why {
                    Some(why) => {
                        hides(chunk, head);
                        chunk.hider.begin(why);
                    }
                    None => passes(chunk, head, end),
                }
                return self.text_begins(chunk, head, mode, end);
            }
            (0 | 1, Argument::Is(_)) => {}
            (7, _) if head.is_simple() => {}
            _ => return Err(malformed("a data item that is none of AWS's")),
        }
        match why.filter(|_| !head.is_null()) {
            Some(why) => {
                hides(chunk, head);
                chunk.hider.begin(why);
                chunk.hider.update(decimal(head).as_bytes())?;
                chunk.hider.end(&self.place, Wire::Given)?;
                chunk.flow.out.extend_from_slice(head.nothing());
                chunk.flow.resume(end);
            }
            None => passes(chunk, head, end),
        }
        self.value_ended()
    }

    fn enter(&mut self, hider: &Hider, what: What, map: bool, length: Argument) -> Result<(), MaskError> {
        self.tag = None;
        let label = if map { Label::Name } else { Label::Index };
        self.place.enter(children(hider, what, map), label)?;
        let left = match length {
            Argument::Is(length) => Some(length),
            Argument::None => None,
        };
        self.open.push(Open { left, map, key: map });
        if left == Some(0) {
            self.leave()?;
            return self.value_ended();
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), MaskError> {
        self.open.pop();
        self.place.leave().map(drop).ok_or(malformed("a break that ends nothing"))
    }

    /// A value has ended, and with it perhaps what it is in.
    fn value_ended(&mut self) -> Result<(), MaskError> {
        self.tag = None;
        self.state = State::Item;
        loop {
            let Some(open) = self.open.last_mut() else {
                self.state = State::End;
                return Ok(());
            };
            open.key = open.map;
            match &mut open.left {
                None => return Ok(()),
                Some(left) => {
                    *left = left.saturating_sub(1);
                    if *left > 0 {
                        return Ok(());
                    }
                }
            }
            self.leave()?;
        }
    }

    /// The head of a text or of bytes was read, which ends at `end`.
    fn text_begins(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        head: &Head,
        mode: Mode,
        end: usize,
    ) -> Result<(), MaskError> {
        let Argument::Is(length) = head.argument() else {
            self.text = Text { major: head.major(), mode, pieces: true };
            self.state = State::Piece;
            return self.looking(chunk, None, end);
        };
        self.text = Text { major: head.major(), mode, pieces: false };
        self.state = State::Bytes(length);
        self.looking(chunk, usize::try_from(length).ok(), end)?;
        if length == 0 { self.text_ended(chunk, end) } else { Ok(()) }
    }

    /// What must be done before a text is looked through. Most are in one chunk and have nothing to look at.
    fn looking(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        length: Option<usize>,
        at: usize,
    ) -> Result<(), MaskError> {
        if self.text.mode != Mode::Look {
            return Ok(());
        }
        let armed = self.place.top_mut().is_some_and(|frame| std::mem::take(&mut frame.armed));
        let part = length.and_then(|length| Some(at..at.checked_add(length)?));
        let part = part.filter(|part| part.end <= chunk.bytes.len());
        let nothing = part.is_some_and(|part| !armed && !chunk.hits.secret_in(chunk.bytes, part));
        let is_kept =
            || self.in_map() && self.place.name().is_some_and(is_kept) || self.place.is_within(is_kept_whole);
        if nothing || is_kept() {
            self.text.mode = Mode::Pass;
            return Ok(());
        }
        self.window.begin(armed);
        chunk.flow.stop(at);
        Ok(())
    }

    /// A piece of a text, or the break after the last.
    fn piece(&mut self, chunk: &mut Chunk<'_, '_>, head: &Head, end: usize) -> Result<(), MaskError> {
        let last = head.first() == BREAK;
        let length = match head.argument() {
            Argument::Is(length) if head.major() == self.text.major => length,
            _ if last => 0,
            _ => return Err(malformed("a piece of a text that is none")),
        };
        match self.text.mode {
            Mode::Key | Mode::Pass => passes(chunk, head, end),
            Mode::Hide => {}
            Mode::Look => {
                let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                self.window.format(head.bytes(), &mut io);
            }
        }
        if last {
            return self.text_ended(chunk, end);
        }
        self.state = if length == 0 { State::Piece } else { State::Bytes(length) };
        Ok(())
    }

    fn in_bytes(&mut self, chunk: &mut Chunk<'_, '_>, left: u64, at: usize) -> Result<usize, MaskError> {
        let rest = chunk.bytes.get(at..).unwrap_or_default();
        let part = usize::try_from(left).ok().and_then(|left| rest.get(..left)).unwrap_or(rest);
        match self.text.mode {
            Mode::Key => self.place.name_goes_on(part),
            Mode::Pass => {}
            Mode::Hide if self.text.major == BYTES => chunk.hider.update_bytes(part)?,
            Mode::Hide => chunk.hider.update(part)?,
            Mode::Look => {
                let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                self.window.text(part, &mut io);
            }
        }
        let end = at + part.len();
        let left = left.saturating_sub(part.len() as u64);
        self.state = State::Bytes(left);
        if left == 0 {
            if self.text.pieces {
                self.state = State::Piece;
            } else {
                self.text_ended(chunk, end)?;
            }
        }
        Ok(end)
    }

    /// A key, a text or bytes ended before `at`.
    fn text_ended(&mut self, chunk: &mut Chunk<'_, '_>, at: usize) -> Result<(), MaskError> {
        match self.text.mode {
            Mode::Key => return self.key_ended(chunk.hider),
            Mode::Pass => {}
            Mode::Hide => {
                let wire = if self.text.major == BYTES { Wire::Bytes } else { Wire::Text };
                let text = chunk.hider.end(&self.place, wire)?;
                // Of a big number nothing is left: that is zero.
                let number = self.text.major == BYTES && matches!(self.tag, Some(2 | 3));
                let text = if number { "" } else { &text };
                write_head(self.text.major, text.len(), chunk.flow.out);
                chunk.flow.out.extend_from_slice(text.as_bytes());
                chunk.flow.resume(at);
            }
            Mode::Look => {
                let mut io = Io { hider: chunk.hider, place: &self.place, out: chunk.flow.out };
                if self.window.end(&mut io) {
                    self.arm();
                }
                chunk.flow.resume(at);
            }
        }
        self.value_ended()
    }

    fn key_ended(&mut self, hider: &Hider) -> Result<(), MaskError> {
        let matters = self.place.top().is_some_and(|frame| matches!(frame.children, Children::Members(_)));
        if matters && self.place.name().is_some_and(|name| std::str::from_utf8(name).is_err()) {
            return Err(malformed("a name is not UTF-8"));
        }
        self.place.name_ended(hider);
        if hider.detectors().is_some() && names_key(self.place.name()) {
            self.arm();
        }
        if let Some(open) = self.open.last_mut() {
            open.key = false;
        }
        self.state = State::Item;
        Ok(())
    }

    fn arm(&mut self) {
        if let Some(frame) = self.place.top_mut() {
            frame.armed = true;
        }
    }
}

/// A head stays.
fn passes(chunk: &mut Chunk<'_, '_>, head: &Head, end: usize) {
    if head.start().is_none() {
        chunk.flow.out.extend_from_slice(head.bytes());
        chunk.flow.resume(end);
    }
}

/// A head goes, and so does what follows.
fn hides(chunk: &mut Chunk<'_, '_>, head: &Head) {
    if let Some(start) = head.start() {
        chunk.flow.stop(start);
    }
}
