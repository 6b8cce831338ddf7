//! One text that is looked through: held as far as a secret may reach, then passed on as it was written but for what
//! was found.
//!
//! A text that is longer than the window is searched in blocks that overlap. Where the blocks end depends on the text
//! alone, so chunks make no difference.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    super::{
        MASKED,
        hide::{Hider, append_within},
        place::Place,
    },
    Detectors, Found, MATCH_MAX, Name, keys, pem,
};

/// Bytes of a text, as it is written, that are held.
pub(super) const RAW_MAX: usize = 16 * 1024;
/// How much of that is searched again with what follows.
const AGAIN_MAX: usize = 10 * 1024;
/// Escapes that are held; half of them are searched again.
const UNITS_MAX: usize = 1024;
/// Bytes before a block that tell whether a word begins there.
const CONTEXT: usize = 64;

/// How what was found is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Style {
    /// By the constant.
    Constant,
    /// By as many bytes, because the format has told the length before.
    SameLength,
}

/// Where texts come from and go to.
pub(in crate::mask) struct Io<'a> {
    pub(in crate::mask) hider: &'a mut Hider,
    pub(in crate::mask) place: &'a Place,
    pub(in crate::mask) out: &'a mut Vec<u8>,
}

/// A text that is being looked through.
pub(in crate::mask) struct Window {
    style: Style,
    /// What is held says this; before it comes a little that was passed on already.
    plain: Zeroizing<Vec<u8>>,
    /// How much that is.
    context: usize,
    /// What is held as it is written, where that is something else.
    raw: Zeroizing<Vec<u8>>,
    differs: bool,
    units: Vec<Unit>,
    /// A block has been searched.
    begun: bool,
    /// What came before tells that this may be a secret access key.
    armed: bool,
    /// A private key has not ended.
    open: bool,
    /// Bytes put in the place of the secret that is being replaced.
    filled: usize,
}

/// Some bytes as they are written, and how many they say. Equally many: they may be parted anywhere. None: they are
/// about the format and always stay. Otherwise: one escape.
#[derive(Debug, Clone, Copy)]
struct Unit {
    raw: u16,
    plain: u16,
}

impl Unit {
    fn parts(self) -> bool {
        self.raw == self.plain
    }

    fn raw(self) -> usize {
        usize::from(self.raw)
    }

    fn plain(self) -> usize {
        usize::from(self.plain)
    }
}

/// A place in what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    raw: usize,
    plain: usize,
}

/// A part of a block that is hidden.
struct Hidden {
    start: usize,
    end: usize,
    /// It begins in this block.
    first: bool,
    /// The constant has no room in it.
    short: bool,
}

impl Window {
    pub(in crate::mask) fn new(style: Style) -> Self {
        Self {
            style,
            plain: Zeroizing::default(),
            context: 0,
            raw: Zeroizing::default(),
            differs: false,
            units: Vec::new(),
            begun: false,
            armed: false,
            open: false,
            filled: 0,
        }
    }

    /// A text begins. `armed`: what came before tells that it may be a secret access key.
    pub(in crate::mask) fn begin(&mut self, armed: bool) {
        self.plain.clear();
        self.raw.clear();
        self.units.clear();
        (self.context, self.filled, self.differs) = (0, 0, false);
        (self.begun, self.armed, self.open) = (false, armed, false);
    }

    /// A part that says what is written.
    pub(in crate::mask) fn text(&mut self, mut part: &[u8], io: &mut Io<'_>) {
        while !part.is_empty() {
            let joins = self.units.last().is_some_and(|unit| unit.parts());
            let room = self.room(joins, io);
            let (fits, rest) = part.split_at_checked(room).unwrap_or((part, &[]));
            append_within(&mut self.plain, fits, RAW_MAX + CONTEXT);
            if self.differs {
                append_within(&mut self.raw, fits, RAW_MAX);
            }
            self.add(length(fits), length(fits));
            part = rest;
        }
    }

    /// An escape, with what it says.
    pub(in crate::mask) fn escape(&mut self, written: &[u8], says: &[u8], io: &mut Io<'_>) {
        if written == says {
            return self.text(written, io);
        }
        if self.held() + written.len() > RAW_MAX {
            self.block(io, false);
        }
        self.room(false, io);
        append_within(self.written(), written, RAW_MAX);
        append_within(&mut self.plain, says, RAW_MAX + CONTEXT);
        self.add(length(written), length(says));
    }

    /// Bytes of the format, which say nothing and stay.
    pub(in crate::mask) fn format(&mut self, mut part: &[u8], io: &mut Io<'_>) {
        while !part.is_empty() {
            let joins = self.units.last().is_some_and(|unit| unit.plain == 0);
            let room = self.room(joins, io);
            let (fits, rest) = part.split_at_checked(room).unwrap_or((part, &[]));
            append_within(self.written(), fits, RAW_MAX);
            self.add(length(fits), 0);
            part = rest;
        }
    }

    /// The text has ended. Returns whether the one beside it may be a secret access key.
    pub(in crate::mask) fn end(&mut self, io: &mut Io<'_>) -> bool {
        let arms = !self.begun && keys::arms(&self.plain);
        self.block(io, true);
        self.begin(false);
        arms
    }

    /// How many bytes are held.
    fn held(&self) -> usize {
        if self.differs { self.raw.len() } else { self.plain.len() - self.context }
    }

    /// What is held as it is written, from now on apart from what it says.
    fn written(&mut self) -> &mut Zeroizing<Vec<u8>> {
        if !self.differs {
            self.differs = true;
            append_within(&mut self.raw, self.plain.get(self.context..).unwrap_or_default(), RAW_MAX);
        }
        &mut self.raw
    }

    /// Makes room, and says how much there is. `joins`: the last unit becomes longer.
    fn room(&mut self, joins: bool, io: &mut Io<'_>) -> usize {
        if self.held() >= RAW_MAX || (!joins && self.units.len() >= UNITS_MAX) {
            self.block(io, false);
        }
        RAW_MAX.saturating_sub(self.held()).max(1)
    }

    fn add(&mut self, raw: u16, plain: u16) {
        match self.units.last_mut() {
            Some(unit) if (unit.parts() && raw == plain) || (unit.plain == 0 && plain == 0) => {
                unit.raw += raw;
                unit.plain += plain;
            }
            _ => self.units.push(Unit { raw, plain }),
        }
    }

    /// Searches what is held and passes on what is decided; all of it where the text has ended.
    fn block(&mut self, io: &mut Io<'_>, last: bool) {
        let Some(detectors) = io.hider.detectors().map(Arc::clone) else { return };
        let text = std::mem::take(&mut self.plain);
        let raw = std::mem::take(&mut self.raw);
        let written = if self.differs { &raw } else { text.get(self.context..).unwrap_or_default() };
        let end = Edge { raw: written.len(), plain: text.len() };
        let mut cut = if last { end } else { self.again(end) };
        let hidden = self.find(&detectors, &text, &mut cut, io, last);
        self.pass(written, cut, &hidden, io.out);
        self.begun = true;
        (self.plain, self.raw) = (text, raw);
        self.forget(cut);
    }

    /// What is hidden of a block. Moves `cut` behind what is decided.
    fn find(
        &mut self,
        detectors: &Detectors,
        text: &[u8],
        cut: &mut Edge,
        io: &mut Io<'_>,
        last: bool,
    ) -> Vec<Hidden> {
        let mut hidden = Vec::new();
        let mut from = self.context;
        if self.open {
            let ended = pem::end(text, from);
            let until = ended.unwrap_or(cut.plain);
            io.hider.found_goes_on(text.get(from..until).unwrap_or_default());
            hidden.push(Hidden { start: from, end: until, first: false, short: false });
            from = until;
            *cut = self.at_least(*cut, until);
            if ended.is_none() && !last {
                return hidden;
            }
            self.open = false;
            io.hider.found_ends(|| io.place.path(), detectors.name(Name::PrivateKey));
        }
        let alone = if self.armed && last && !self.begun { keys::only(text) } else { None };
        let all = match alone {
            Some(key) => vec![Found { start: key.start, hide: key, by: Name::AccessKey, open: false }],
            None => detectors.scan(text, from),
        };
        for found in self.decided(all, cut, last) {
            let open = found.open && !last;
            let end = if open { cut.plain.max(found.hide.start) } else { found.hide.end };
            let digest = found.by.digest();
            if digest.is_none() {
                io.hider.found_begins();
                io.hider.found_goes_on(text.get(found.hide.start..end).unwrap_or_default());
            }
            let short = !open && end - found.hide.start < MASKED.len();
            hidden.push(Hidden { start: found.hide.start, end, first: true, short });
            if open {
                self.open = true;
                break;
            }
            let (path, name) = (|| io.place.path(), detectors.name(found.by));
            match digest {
                Some(digest) => io.hider.found(path, name, digest),
                None => io.hider.found_ends(path, name),
            }
        }
        hidden
    }

    /// Of what was found, what begins before `cut`, which moves behind the end of it. The rest is found again.
    fn decided(&self, mut found: Vec<Found>, cut: &mut Edge, last: bool) -> Vec<Found> {
        if last {
            return found;
        }
        let mut moved = true;
        while moved {
            moved = false;
            for one in &found {
                if one.start < cut.plain && !one.open && one.hide.end > cut.plain {
                    moved = true;
                    *cut = self.at_least(*cut, one.hide.end);
                }
            }
        }
        found.retain(|one| one.start < cut.plain);
        found
    }

    /// Passes on what comes before `cut`.
    fn pass(&mut self, raw: &[u8], cut: Edge, hidden: &[Hidden], out: &mut Vec<u8>) {
        let mut hidden = hidden;
        let mut at = Edge { raw: 0, plain: self.context };
        for unit in &self.units {
            let start = at;
            at = Edge { raw: start.raw + unit.raw(), plain: start.plain + unit.plain() };
            if start.raw >= cut.raw {
                break;
            }
            if unit.plain == 0 {
                out.extend_from_slice(raw.get(start.raw..at.raw.min(cut.raw)).unwrap_or_default());
                continue;
            }
            let until = at.plain.min(cut.plain);
            let mut here = start.plain;
            while here < until {
                while let Some((_, others)) = hidden.split_first().filter(|(one, _)| one.end <= here) {
                    hidden = others;
                }
                let next = hidden.first();
                // An escape is hidden where any of it is.
                let reach = if unit.parts() { here + 1 } else { at.plain };
                let now = next.filter(|one| one.start < reach);
                let end = match (now, next) {
                    _ if !unit.parts() => until,
                    (Some(one), _) => one.end.min(until),
                    (None, Some(one)) => one.start.min(until),
                    (None, None) => until,
                };
                if let Some(one) = now {
                    fill(&mut self.filled, self.style, one, here..end, out);
                } else if unit.parts() {
                    let part = start.raw + (here - start.plain)..start.raw + (end - start.plain);
                    out.extend_from_slice(raw.get(part).unwrap_or_default());
                } else {
                    out.extend_from_slice(raw.get(start.raw..at.raw).unwrap_or_default());
                }
                here = end;
            }
        }
    }

    /// Up to where a block is decided: what follows may be the beginning of something longer.
    fn again(&self, end: Edge) -> Edge {
        let mut edge = end;
        let (mut raw, mut plain) = (AGAIN_MAX, MATCH_MAX);
        for unit in self.units.iter().rev().take(UNITS_MAX / 2) {
            let fits = unit.raw() <= raw && unit.plain() <= plain;
            let (taken_raw, taken_plain) = match unit.plain {
                _ if fits => (unit.raw(), unit.plain()),
                0 => (raw, 0),
                _ if unit.parts() => (raw.min(plain), raw.min(plain)),
                _ => break,
            };
            edge = Edge { raw: edge.raw - taken_raw, plain: edge.plain - taken_plain };
            if !fits {
                break;
            }
            raw -= taken_raw;
            plain -= taken_plain;
        }
        edge
    }

    /// `cut`, or the first place that has as much as `plain` before it.
    fn at_least(&self, cut: Edge, plain: usize) -> Edge {
        if cut.plain >= plain {
            return cut;
        }
        let mut edge = Edge { raw: 0, plain: self.context };
        for unit in &self.units {
            if edge.plain >= plain {
                break;
            }
            let part = if unit.parts() { unit.plain().min(plain - edge.plain) } else { unit.plain() };
            edge.plain += part;
            edge.raw += if unit.parts() { part } else { unit.raw() };
        }
        edge
    }

    /// Forgets what comes before `cut`, but for a little of what it says.
    fn forget(&mut self, cut: Edge) {
        let mut left = cut.raw;
        let mut gone = 0;
        for unit in &mut self.units {
            if unit.raw() > left {
                let part = u16::try_from(left).unwrap_or(0);
                unit.plain -= if unit.parts() { part } else { 0 };
                unit.raw -= part;
                break;
            }
            left -= unit.raw();
            gone += 1;
        }
        self.units.drain(..gone);
        let length = self.raw.len();
        self.raw.drain(..cut.raw.min(length));
        self.context = cut.plain.min(CONTEXT);
        self.plain.drain(..cut.plain - self.context);
    }
}

/// What stands in the place of a part of something hidden.
fn fill(filled: &mut usize, style: Style, hidden: &Hidden, part: std::ops::Range<usize>, out: &mut Vec<u8>) {
    let begins = hidden.first && part.start <= hidden.start;
    match style {
        Style::Constant if begins => out.extend_from_slice(MASKED.as_bytes()),
        Style::Constant => {}
        Style::SameLength => {
            *filled = if begins { 0 } else { *filled };
            let masked = if hidden.short { &[] } else { MASKED.as_bytes() };
            let letters = masked.iter().copied().chain(std::iter::repeat(b'*'));
            out.extend(letters.skip((*filled).min(MASKED.len())).take(part.len()));
            *filled += part.len();
        }
    }
}

/// A part is never longer than the window.
fn length(part: &[u8]) -> u16 {
    u16::try_from(part.len()).unwrap_or(u16::MAX)
}
