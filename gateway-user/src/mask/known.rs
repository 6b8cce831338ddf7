//! Values that were put into a request: wherever its answer repeats one, it does not reach the agent.
//!
//! AWS's errors repeat what they complain about. So the answer is not read as a document but in several ways at once: as it is,
//! as JSON, XML and forms escape texts, and as each of them does within each. What says a value in any of them is overwritten with
//! as many bytes, so that lengths stay true in every format. [`super::Detectors`] look for the values as well, so that nothing of
//! one is left where they find a secret in it. A message of an event stream that is overwritten has a wrong checksum, so that SDKs
//! refuse it.
//!
//! # Memory
//! Held back is what may be the beginning of a value, and nothing of a message of an event stream that has ended: [`PIECE`] bytes
//! of what is said at most. How they are written has up to [`WRITTEN_MAX`] bytes for each, of which there are copies for a moment,
//! and each of the [`READINGS`] keeps 8 bytes for each. That is less than 1 MiB for values of [`PIECE`] bytes and more, and
//! less than 80 KiB for a password of 30; room for it is taken with that for the search. Not counted are 32 bytes for each value in
//! the [`PART`] that is being read.
//!
//! # What it does not see
//! Values of less than [`KNOWN_MIN`] bytes, a part of a value, what is escaped three times, and other encodings (base64).

use std::{collections::VecDeque, ops::Range, sync::Arc};

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};
use http::HeaderMap;
use zeroize::Zeroizing;

use super::{DIGEST_LEN, Format, MASKED, head::by_media_type};

mod ends;
mod escape;
#[cfg(test)]
mod tests;

use ends::Ends;
use escape::{Byte, Coding, REFERENCE_MAX, Unescape};

/// Bytes of the shortest value that is looked for: shorter ones are in other words.
pub const KNOWN_MIN: usize = 8;
/// Bytes of all values of one answer that are looked for.
pub const KNOWN_MAX: usize = 256 * 1024;
/// Bytes of a value that are looked for at once; a longer one is found in pieces.
const PIECE: usize = 1024;

/// How many ways there are to write a text: none of the codings, one, or one within another.
const READINGS: usize = 1 + CODINGS.len() + CODINGS.len() * CODINGS.len();
const CODINGS: [Coding; 3] = [Coding::Json, Coding::Xml, Coding::Form];
/// Bytes of the longest way to write a byte: as a reference, each byte of which is a reference.
const WRITTEN_MAX: usize = REFERENCE_MAX * REFERENCE_MAX;
/// Bytes that are read before anything is passed on.
const PART: usize = 4 * 1024;
/// What the search takes while it is made, and stays below afterwards: for each byte of a value, each piece, and in any case.
const BUILDING: (usize, usize, usize) = (96, 8 * 1024, 32 * 1024);

/// All ways to write a text, each a series of codings, the outermost first.
fn ways() -> impl Iterator<Item = Vec<Coding>> {
    let one = CODINGS.into_iter().map(|coding| vec![coding]);
    let two = CODINGS.into_iter().flat_map(|outer| CODINGS.map(|inner| vec![outer, inner]));
    std::iter::once(Vec::new()).chain(one).chain(two)
}

/// Values that are looked for.
pub struct Known {
    automaton: NFA,
    start: StateID,
    /// Bytes of the longest piece.
    longest: usize,
    /// By piece: which value it is the first piece of.
    firsts: Vec<Option<usize>>,
    digests: Vec<[u8; DIGEST_LEN]>,
    /// By byte: whether a piece or an escape begins with it.
    begins: [bool; 256],
}

/// Why values cannot be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    /// They are more than [`KNOWN_MAX`].
    #[error("the values have more than {KNOWN_MAX} bytes together")]
    TooMuch,
    /// There is no search for them.
    #[error("the values cannot be searched for")]
    Search,
}

/// Without the values.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Known {
    /// Looks for these values, each with the digest that records know it by; `None` where there is none that is long enough.
    /// White space around a value is left out: errors do so.
    ///
    /// # Errors
    /// [`KnownError`].
    pub fn new<'v>(
        values: impl IntoIterator<Item = (&'v str, [u8; DIGEST_LEN])>,
    ) -> Result<Option<Self>, KnownError> {
        let (texts, digests): (Vec<&str>, Vec<_>) = distinct(values)?.into_iter().unzip();
        if texts.is_empty() {
            return Ok(None);
        }
        let (mut pieces, mut firsts) = (Vec::<&[u8]>::new(), Vec::<Option<usize>>::new());
        for (number, text) in texts.iter().enumerate() {
            let bytes = text.as_bytes();
            // Of about the same length, so that none is too short.
            for (at, piece) in bytes.chunks(bytes.len().div_ceil(bytes.len().div_ceil(PIECE))).enumerate() {
                let first = (at == 0).then_some(number);
                // Each once, however often it comes.
                match pieces.iter().position(|known| *known == piece).and_then(|known| firsts.get_mut(known))
                {
                    Some(known) => *known = known.or(first),
                    None => {
                        pieces.push(piece);
                        firsts.push(first);
                    }
                }
            }
        }
        let mut begins = [false; 256];
        for first in pieces.iter().filter_map(|piece| piece.first()).chain(b"\\&%+") {
            if let Some(begins) = begins.get_mut(usize::from(*first)) {
                *begins = true;
            }
        }
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(&pieces);
        let automaton = automaton.map_err(|_| KnownError::Search)?;
        let start = automaton.start_state(Anchored::No).map_err(|_| KnownError::Search)?;
        Ok(Some(Self {
            start,
            longest: pieces.iter().map(|piece| piece.len()).max().unwrap_or_default(),
            firsts,
            digests,
            begins,
            automaton,
        }))
    }

    /// Bytes that it takes in memory at most, while it is made of these values, and then with what an [`Echo`] may hold.
    ///
    /// # Errors
    /// [`KnownError::TooMuch`].
    pub fn most<'v>(values: impl IntoIterator<Item = &'v str>) -> Result<usize, KnownError> {
        let (each, piece, always) = BUILDING;
        let texts = distinct(values.into_iter().map(|text| (text, ())))?;
        let Some(longest) = texts.iter().map(|(text, ())| text.len().min(PIECE)).max() else { return Ok(0) };
        let all = texts.iter().map(|(text, ())| text.len() * each + text.len().div_ceil(PIECE) * piece);
        Ok(all.sum::<usize>() + always + held(longest))
    }

    /// Bytes that it takes in memory, with what an [`Echo`] may hold.
    #[must_use]
    pub fn size(&self) -> usize {
        self.automaton.memory_usage() + size_of::<Self>() + held(self.longest)
    }

    /// Where a text repeats values, from `from` on, and by which digest the one is known that begins there.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Vec<(Range<usize>, Option<[u8; DIGEST_LEN]>)> {
        let mut search = Search::new(self);
        search.read(self, text.get(from..).unwrap_or_default(), from as u64);
        search.end(self);
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let mut found: Vec<(Range<usize>, Option<[u8; DIGEST_LEN]>)> = Vec::new();
        for Hidden { range, value } in search.hidden {
            let range = place(range.start)..place(range.end);
            match (found.last_mut(), value) {
                // A value goes on.
                (Some((last, _)), None) if last.end == range.start => last.end = range.end,
                _ => found.push((range, value.and_then(|value| self.digests.get(value)).copied())),
            }
        }
        found
    }

    fn begins(&self, byte: u8) -> bool {
        self.begins.get(usize::from(byte)).copied().unwrap_or(true)
    }

    /// The pieces that end in this state: their lengths, and which values they are the first of.
    fn matches(&self, state: StateID) -> impl Iterator<Item = (usize, Option<usize>)> {
        let ends = if self.automaton.is_match(state) { self.automaton.match_len(state) } else { 0 };
        (0..ends).map(move |number| {
            let piece = self.automaton.match_pattern(state, number);
            let first = self.firsts.get(piece.as_usize()).copied().flatten();
            (self.automaton.pattern_len(piece), first)
        })
    }
}

/// The values that are looked for, each once, without white space around them.
fn distinct<'v, T>(values: impl IntoIterator<Item = (&'v str, T)>) -> Result<Vec<(&'v str, T)>, KnownError> {
    let mut distinct = Vec::<(&str, T)>::new();
    for (text, with) in values {
        let text = text.trim();
        if text.len() >= KNOWN_MIN && !distinct.iter().any(|(known, _)| *known == text) {
            distinct.push((text, with));
        }
    }
    let all: usize = distinct.iter().map(|(text, _)| text.len()).sum();
    if all > KNOWN_MAX { Err(KnownError::TooMuch) } else { Ok(distinct) }
}

/// Bytes that an [`Echo`] may hold, of values whose longest piece is so long.
fn held(longest: usize) -> usize {
    /// What is there is moved into memory that is half as large again.
    const COPIES: usize = 3;
    COPIES * (PART + longest * WRITTEN_MAX) + longest.next_power_of_two() * READINGS * size_of::<u64>()
}

/// How often values were there, by their digests.
pub type Counts = Vec<([u8; DIGEST_LEN], u64)>;

/// A part of an answer (its body, a header) in which values are overwritten.
pub struct Echo {
    known: Arc<Known>,
    search: Search,
    /// What was not passed on yet, and where in the answer it begins.
    held: Zeroizing<Vec<u8>>,
    begin: u64,
    /// Where what somebody waits for ends.
    ends: Option<Ends>,
}

/// All readings of one text.
struct Search {
    readings: Vec<Reading>,
    /// No reading has begun anything.
    quiet: bool,
    /// What is overwritten of what is held, and what follows it.
    hidden: VecDeque<Hidden>,
    /// How often each value was there.
    found: Vec<u64>,
}

/// What is overwritten.
struct Hidden {
    range: Range<u64>,
    /// Which value begins there.
    value: Option<usize>,
}

/// The bytes as one of the [`ways`] says them.
struct Reading {
    stages: Vec<Unescape>,
    state: StateID,
    /// Where the last bytes that it said are written: as many as the longest piece may have before the next, and none from before
    /// the last of which nothing can begin.
    said: VecDeque<u64>,
    /// Kept for its memory.
    bytes: [Vec<Byte>; 2],
}

impl Echo {
    /// Before the first byte.
    #[must_use]
    pub fn new(known: Arc<Known>) -> Self {
        let search = Search::new(&known);
        Self { known, search, held: Zeroizing::default(), begin: 0, ends: None }
    }

    /// The same for the body of an answer with this head. Where it is an event stream, each message passes as soon as it is there: no
    /// value goes on in the next one, because lengths and checksums are in between.
    #[must_use]
    pub fn of_body(known: Arc<Known>, headers: &HeaderMap) -> Self {
        let is_stream = matches!(by_media_type(headers), Some(Format::EventStream { .. }));
        Self { ends: is_stream.then(Ends::default), ..Self::new(known) }
    }

    /// Takes the next bytes, and adds to `out` what may be passed on.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while let Some(end) = self.ends.as_mut().and_then(|ends| ends.next(rest)) {
            let (message, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.take(message, out);
            self.end(out);
            rest = others;
        }
        self.take(rest, out);
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for part in chunk.chunks(PART) {
            let begin = self.until();
            super::hide::append(&mut self.held, part);
            self.search.read(&self.known, part, begin);
            self.pass(self.search.open(self.until()), out);
        }
    }

    /// Nothing that was begun goes on.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.search.end(&self.known);
        self.pass(self.until(), out);
    }

    /// There is no more: adds what is left to `out`, and says how often each value was there, by its digest.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Counts {
        self.end(out);
        self.found()
    }

    /// How often each value was there so far.
    #[must_use]
    pub fn found(&self) -> Counts {
        let found = self.known.digests.iter().copied().zip(self.search.found.iter().copied());
        found.filter(|(_, count)| *count > 0).collect()
    }

    /// The same text without values, where it has any; and how often each was there.
    pub(super) fn whole(mut self, text: &[u8]) -> Option<(Vec<u8>, Counts)> {
        let mut out = Vec::with_capacity(text.len());
        self.push(text, &mut out);
        let found = self.finish(&mut out);
        (out != text).then_some((out, found))
    }

    /// Where what was taken ends.
    fn until(&self) -> u64 {
        self.begin + self.held.len() as u64
    }

    /// Passes on what comes before `until`.
    fn pass(&mut self, until: u64, out: &mut Vec<u8>) {
        let length = usize::try_from(until.saturating_sub(self.begin)).unwrap_or(0).min(self.held.len());
        let from = out.len();
        out.extend_from_slice(self.held.get(..length).unwrap_or_default());
        for Hidden { range: hidden, .. } in &self.search.hidden {
            let within = hidden.start.max(self.begin)..hidden.end.min(until);
            for at in within {
                let place = usize::try_from(at - self.begin).ok().and_then(|at| out.get_mut(from + at));
                if let Some(byte) = place {
                    *byte = fill(hidden, at);
                }
            }
        }
        self.search.hidden.retain(|hidden| hidden.range.end > until);
        // Into other memory, so that no copy is left behind that is not zeroed.
        let rest = self.held.get(length..).unwrap_or_default().to_vec();
        self.held = Zeroizing::new(rest);
        self.begin += length as u64;
    }
}

impl Search {
    fn new(known: &Known) -> Self {
        let reading = |codings: Vec<Coding>| Reading {
            stages: codings.into_iter().map(Unescape::new).collect(),
            state: known.start,
            said: VecDeque::new(),
            bytes: [Vec::new(), Vec::new()],
        };
        Self {
            readings: ways().map(reading).collect(),
            quiet: true,
            hidden: VecDeque::new(),
            found: vec![0; known.digests.len()],
        }
    }

    /// Takes the next bytes, which begin at `begin`.
    fn read(&mut self, known: &Known, part: &[u8], begin: u64) {
        for (byte, at) in part.iter().zip(begin..) {
            if self.quiet && !known.begins(*byte) {
                continue;
            }
            for reading in &mut self.readings {
                let byte = Byte { byte: *byte, start: at, end: at + 1 };
                reading.push(byte, known, &mut self.hidden, &mut self.found);
            }
            self.quiet = self.readings.iter().all(|reading| reading.is_quiet(known));
        }
    }

    /// Nothing that was begun goes on: what looked like an escape is none.
    fn end(&mut self, known: &Known) {
        for reading in &mut self.readings {
            reading.end(known, &mut self.hidden, &mut self.found);
        }
        self.quiet = true;
    }

    /// Where what may still become a value begins; `end`: what was taken ends there.
    fn open(&self, end: u64) -> u64 {
        self.readings.iter().map(|reading| reading.open(end)).min().unwrap_or(end)
    }
}

impl Reading {
    /// Takes the next byte as it is written.
    fn push(&mut self, byte: Byte, known: &Known, hidden: &mut VecDeque<Hidden>, found: &mut [u64]) {
        let [from, to] = &mut self.bytes;
        from.clear();
        from.push(byte);
        if !self.stages.iter().all(|stage| stage.says_itself(byte.byte)) {
            for stage in &mut self.stages {
                to.clear();
                from.iter().for_each(|byte| stage.push(*byte, to));
                std::mem::swap(from, to);
            }
        }
        self.said(known, hidden, found);
    }

    fn end(&mut self, known: &Known, hidden: &mut VecDeque<Hidden>, found: &mut [u64]) {
        let [from, to] = &mut self.bytes;
        from.clear();
        for stage in &mut self.stages {
            to.clear();
            from.iter().for_each(|byte| stage.push(*byte, to));
            stage.finish(to);
            std::mem::swap(from, to);
        }
        self.said(known, hidden, found);
        self.state = known.start;
        self.said.clear();
    }

    /// Looks for values in what is said.
    fn said(&mut self, known: &Known, hidden: &mut VecDeque<Hidden>, found: &mut [u64]) {
        let Self { state, said, bytes: [from, _], .. } = self;
        for byte in from.drain(..) {
            *state = known.automaton.next_state(Anchored::No, *state, byte.byte);
            if *state == known.start {
                // No piece begins with any of what was said.
                said.clear();
                continue;
            }
            said.push_back(byte.start);
            // Others that end here are within the longest.
            if let Some((length, first)) = known.matches(*state).max_by_key(|(length, _)| *length) {
                let start = said.len().checked_sub(length).and_then(|at| said.get(at)).copied();
                let range = start.unwrap_or_default()..byte.end;
                if hide(hidden, range, first)
                    && let Some(count) = first.and_then(|value| found.get_mut(value))
                {
                    *count += 1;
                }
            }
            if said.len() >= known.longest {
                said.pop_front();
            }
        }
    }

    fn is_quiet(&self, known: &Known) -> bool {
        self.state == known.start && self.stages.iter().all(|stage| stage.begin().is_none())
    }

    fn open(&self, end: u64) -> u64 {
        let pending = self.stages.iter().filter_map(Unescape::begin).min().unwrap_or(end);
        self.said.front().copied().unwrap_or(end).min(pending)
    }
}

/// Hides this as well. Returns whether nothing of it was hidden: most readings say the same of most texts.
fn hide(hidden: &mut VecDeque<Hidden>, range: Range<u64>, value: Option<usize>) -> bool {
    /// Readings that find the same do so at about the same time.
    const LAST: usize = 2 * READINGS;
    let mut last = hidden.iter_mut().rev().take(LAST);
    match last.find(|one| range.start < one.range.end && one.range.start < range.end) {
        Some(one) => {
            one.range = one.range.start.min(range.start)..one.range.end.max(range.end);
            one.value = one.value.or(value);
            false
        }
        None => {
            hidden.push_back(Hidden { range, value });
            true
        }
    }
}

/// What stands in the place of a byte of something hidden.
fn fill(hidden: &Range<u64>, at: u64) -> u8 {
    let fits = hidden.end - hidden.start >= MASKED.len() as u64;
    let letter = usize::try_from(at - hidden.start).ok().and_then(|at| MASKED.as_bytes().get(at));
    letter.copied().filter(|_| fits).unwrap_or(b'*')
}
