//! Values that were put into a request: wherever its answer repeats one, it does not reach the agent.
//!
//! AWS's errors repeat what they complain about. So the answer is not read as a document but in several ways at once: as it is,
//! and as JSON, XML and forms escape texts. What says a value in any of them is overwritten with as many bytes, so that
//! lengths stay true in every format. [`super::Detectors`] look for the values as well, so that nothing of one is left where they
//! find a secret in it. A message of an event stream that is overwritten has a wrong checksum, so that SDKs refuse it.
//!
//! # What it does not see
//! Values of less than [`KNOWN_MIN`] bytes, a part of a value, and other encodings (base64).

use std::{collections::VecDeque, ops::Range, sync::Arc};

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};
use zeroize::Zeroizing;

use super::{DIGEST_LEN, MASKED};

mod escape;
#[cfg(test)]
mod tests;

use escape::{Byte, Coding, Unescape};

/// Bytes of the shortest value that is looked for: shorter ones are in other words.
pub const KNOWN_MIN: usize = 8;
/// Bytes of all values of one answer that are looked for.
pub const KNOWN_MAX: usize = 256 * 1024;
/// Bytes of a value that are looked for at once; a longer one is found in pieces.
const PIECE: usize = 1024;

/// How texts may be written: each a series of codings, the outermost first.
const READINGS: [&[Coding]; 7] = [
    &[],
    &[Coding::Json],
    &[Coding::Xml],
    &[Coding::Form],
    // An error in JSON that shows a document in JSON, or in XML; one in XML that shows JSON.
    &[Coding::Json, Coding::Json],
    &[Coding::Json, Coding::Xml],
    &[Coding::Xml, Coding::Json],
];

/// Values that are looked for.
pub struct Known {
    automaton: NFA,
    start: StateID,
    /// Bytes of the longest piece.
    longest: usize,
    /// By piece: which value it is the first piece of.
    firsts: Vec<Option<usize>>,
    digests: Vec<[u8; DIGEST_LEN]>,
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
        let (mut texts, mut digests) = (Vec::<&str>::new(), Vec::new());
        for (text, digest) in values {
            let text = text.trim();
            if text.len() >= KNOWN_MIN && !texts.contains(&text) {
                texts.push(text);
                digests.push(digest);
            }
        }
        if texts.is_empty() {
            return Ok(None);
        }
        if texts.iter().map(|text| text.len()).sum::<usize>() > KNOWN_MAX {
            return Err(KnownError::TooMuch);
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
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(&pieces);
        let automaton = automaton.map_err(|_| KnownError::Search)?;
        let start = automaton.start_state(Anchored::No).map_err(|_| KnownError::Search)?;
        Ok(Some(Self {
            start,
            longest: pieces.iter().map(|piece| piece.len()).max().unwrap_or_default(),
            firsts,
            digests,
            automaton,
        }))
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.automaton.memory_usage()
    }

    /// Where a text repeats values, from `from` on.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Vec<Range<usize>> {
        let (mut hidden, mut found) = (VecDeque::new(), vec![0; self.digests.len()]);
        let mut readings = self.readings();
        for (at, byte) in (from as u64..).zip(text.get(from..).unwrap_or_default()) {
            let byte = Byte { byte: *byte, start: at, end: at + 1 };
            readings.iter_mut().for_each(|reading| reading.push(byte, self, &mut hidden, &mut found));
        }
        readings.iter_mut().for_each(|reading| reading.finish(self, &mut hidden, &mut found));
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        hidden.into_iter().map(|range| place(range.start)..place(range.end)).collect()
    }

    fn readings(&self) -> Vec<Reading> {
        let reading = |codings: &&[Coding]| Reading {
            stages: codings.iter().copied().map(Unescape::new).collect(),
            state: self.start,
            said: VecDeque::with_capacity(self.longest),
            bytes: [Vec::new(), Vec::new()],
        };
        READINGS.iter().map(reading).collect()
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

/// How often values were there, by their digests.
pub type Counts = Vec<([u8; DIGEST_LEN], u64)>;

/// A part of an answer (its body, a header) in which values are overwritten.
pub struct Echo {
    known: Arc<Known>,
    readings: Vec<Reading>,
    /// What was not passed on yet, and where in the answer it begins.
    held: Zeroizing<Vec<u8>>,
    begin: u64,
    /// What is overwritten of what is held, and what follows it.
    hidden: VecDeque<Range<u64>>,
    /// How often each value was there.
    found: Vec<u64>,
}

/// The bytes as one of [`READINGS`] says them.
struct Reading {
    stages: Vec<Unescape>,
    state: StateID,
    /// Where the last bytes that it said are written, as many as the longest piece may have before the next.
    said: VecDeque<u64>,
    /// Kept for its memory.
    bytes: [Vec<Byte>; 2],
}

impl Echo {
    /// Before the first byte.
    #[must_use]
    pub fn new(known: Arc<Known>) -> Self {
        Self {
            readings: known.readings(),
            held: Zeroizing::default(),
            begin: 0,
            hidden: VecDeque::new(),
            found: vec![0; known.digests.len()],
            known,
        }
    }

    /// Takes the next bytes, and adds to `out` what may be passed on.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for part in chunk.chunks(16 * 1024) {
            let mut at = self.end();
            super::hide::append(&mut self.held, part);
            for byte in part {
                for reading in &mut self.readings {
                    let byte = Byte { byte: *byte, start: at, end: at + 1 };
                    reading.push(byte, &self.known, &mut self.hidden, &mut self.found);
                }
                at += 1;
            }
            let until = self.readings.iter().map(|reading| reading.open(at)).min().unwrap_or(at);
            self.pass(until, out);
        }
    }

    /// There is no more: adds what is left to `out`, and says how often each value was there, by its digest.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Counts {
        for reading in &mut self.readings {
            reading.finish(&self.known, &mut self.hidden, &mut self.found);
        }
        self.pass(self.end(), out);
        self.found()
    }

    /// How often each value was there so far.
    #[must_use]
    pub fn found(&self) -> Counts {
        let found = self.known.digests.iter().copied().zip(self.found.iter().copied());
        found.filter(|(_, count)| *count > 0).collect()
    }

    /// The same text without values, where it has any; and how often each was there.
    pub(super) fn whole(mut self, text: &[u8]) -> Option<(Vec<u8>, Counts)> {
        let mut out = Vec::with_capacity(text.len());
        self.push(text, &mut out);
        let found = self.finish(&mut out);
        (out != text).then_some((out, found))
    }

    fn end(&self) -> u64 {
        self.begin + self.held.len() as u64
    }

    /// Passes on what comes before `until`.
    fn pass(&mut self, until: u64, out: &mut Vec<u8>) {
        let length = usize::try_from(until.saturating_sub(self.begin)).unwrap_or(0).min(self.held.len());
        let from = out.len();
        out.extend_from_slice(self.held.get(..length).unwrap_or_default());
        for hidden in &self.hidden {
            let within = hidden.start.max(self.begin)..hidden.end.min(until);
            for at in within {
                let place = usize::try_from(at - self.begin).ok().and_then(|at| out.get_mut(from + at));
                if let Some(byte) = place {
                    *byte = fill(hidden, at);
                }
            }
        }
        self.hidden.retain(|hidden| hidden.end > until);
        // Into other memory, so that no copy is left behind that is not zeroed.
        let rest = self.held.get(length..).unwrap_or_default().to_vec();
        self.held = Zeroizing::new(rest);
        self.begin += length as u64;
    }
}

impl Reading {
    /// Takes the next byte as it is written.
    fn push(&mut self, byte: Byte, known: &Known, hidden: &mut VecDeque<Range<u64>>, found: &mut [u64]) {
        let [from, to] = &mut self.bytes;
        from.clear();
        from.push(byte);
        for stage in &mut self.stages {
            to.clear();
            from.iter().for_each(|byte| stage.push(*byte, to));
            std::mem::swap(from, to);
        }
        self.said(known, hidden, found);
    }

    /// There is no more: what looked like an escape is none.
    fn finish(&mut self, known: &Known, hidden: &mut VecDeque<Range<u64>>, found: &mut [u64]) {
        let [from, to] = &mut self.bytes;
        from.clear();
        for stage in &mut self.stages {
            to.clear();
            from.iter().for_each(|byte| stage.push(*byte, to));
            stage.finish(to);
            std::mem::swap(from, to);
        }
        self.said(known, hidden, found);
    }

    /// Looks for values in what is said.
    fn said(&mut self, known: &Known, hidden: &mut VecDeque<Range<u64>>, found: &mut [u64]) {
        let Self { state, said, bytes: [from, _], .. } = self;
        for byte in from.drain(..) {
            *state = known.automaton.next_state(Anchored::No, *state, byte.byte);
            said.push_back(byte.start);
            // Others that end here are within the longest.
            if let Some((length, first)) = known.matches(*state).max_by_key(|(length, _)| *length) {
                let start = said.len().checked_sub(length).and_then(|at| said.get(at)).copied();
                let range = start.unwrap_or_default()..byte.end;
                if hide(hidden, range)
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

    /// Where what may still become a value begins; `end`: what was taken ends there.
    fn open(&self, end: u64) -> u64 {
        let pending = self.stages.iter().filter_map(Unescape::begin).min().unwrap_or(end);
        self.said.front().copied().unwrap_or(end).min(pending)
    }
}

/// Hides this as well. Returns whether nothing of it was hidden: most readings say the same of most texts.
fn hide(hidden: &mut VecDeque<Range<u64>>, range: Range<u64>) -> bool {
    /// Readings that find the same do so at about the same time.
    const LAST: usize = 16;
    let mut last = hidden.iter_mut().rev().take(LAST);
    match last.find(|one| range.start < one.end && one.start < range.end) {
        Some(one) => {
            *one = one.start.min(range.start)..one.end.max(range.end);
            false
        }
        None => {
            hidden.push_back(range);
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
