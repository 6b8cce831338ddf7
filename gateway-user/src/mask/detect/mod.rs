//! The second layer: secrets in texts that no rule covers, found by what they look like.
//!
//! What is looked for begins or is near one of a few words (`AKIA`, `-----BEGIN`, `://` …). One search for all of them
//! goes over the bytes as they come; only texts that have such a word, or are escaped or cut by a chunk, are looked
//! at closely. Texts are searched as what they say, not as they are written.
//!
//! Found is what has at most [`MATCH_MAX`] bytes, 10 KiB as written and 512 escapes, wherever it stands; a private key
//! however long it is. A detector is a guess: it must never take an id, an ARN or a token of a listing for a secret,
//! because the agent needs those.

use std::{ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind, packed};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::hir::literal::Extractor;

use super::{DIGEST_LEN, known::Known};

mod connection;
mod jwt;
mod keys;
mod links;
mod names;
mod pem;
mod window;

pub(super) use names::{is_kept, is_kept_whole};
pub(super) use window::{Io, Style, Window};

/// Bytes of the longest secret that is found wherever it stands in a longer text.
pub const MATCH_MAX: usize = 8 * 1024;
/// Bytes that a compiled pattern of the operator's may take, and its search.
const PATTERN_MEMORY: usize = 256 * 1024;
/// Patterns of the operator's.
const PATTERNS_MAX: usize = 64;
/// What reports call values that were put into the request.
pub const INSERTED: &str = "inserted";
/// The group of a pattern that is hidden.
const GROUP: &str = "secret";
/// Bytes of the shortest word that is searched for.
const WORD_MIN: usize = 3;
/// Words that a pattern of the operator's may begin with, to be searched for with the others.
const PATTERN_WORDS: usize = 16;

/// A pattern of the operator's: <https://docs.rs/regex/1/regex/#syntax>, on bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Its name in reports.
    pub name: String,
    /// What it matches. Of a match its group `secret` is hidden, or all of it where there is no such group.
    pub regex: String,
}

/// Why patterns cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// It does not compile, or takes too much memory.
    #[error("the pattern {name:?} cannot be used: {why}")]
    Pattern {
        /// Its name.
        name: String,
        /// What the compiler says.
        why: String,
    },
    /// It matches a text of no characters, which is everywhere.
    #[error("the pattern {0:?} matches the empty text")]
    Empty(String),
    /// There are more than 64.
    #[error("there are more than {PATTERNS_MAX} patterns")]
    TooMany,
}

/// What a word may be the sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    KeyId,
    KeyName,
    PrivateKey,
    Jwt,
    Url,
    Password,
    Pattern,
}

/// Words and what they may be the sign of. `ecret` and the like: the first letter may be large or small.
const SIGNS: [(&[u8], Sign); 17] = [
    (b"AKIA", Sign::KeyId),
    (b"ASIA", Sign::KeyId),
    (b"ecret", Sign::KeyName),
    (b"ECRET", Sign::KeyName),
    (b"-----BEGIN ", Sign::PrivateKey),
    (b"eyJ", Sign::Jwt),
    (b"eyI", Sign::Jwt),
    (b"eyA", Sign::Jwt),
    (b"ewo", Sign::Jwt),
    (b"ew0", Sign::Jwt),
    (b"ewk", Sign::Jwt),
    (b"://", Sign::Url),
    (b"assw", Sign::Password),
    (b"ASSW", Sign::Password),
    (b"pwd", Sign::Password),
    (b"Pwd", Sign::Password),
    (b"PWD", Sign::Password),
];

/// Something that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// Where what was recognised begins.
    start: usize,
    /// What of it is hidden.
    hide: Range<usize>,
    by: Name,
    /// It goes on until a private key ends.
    open: bool,
}

/// Which detector it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    AccessKey,
    PrivateKey,
    Jwt,
    Password,
    Link,
    Pattern(usize),
    /// A value that is known, by this digest where it begins here.
    Known(Option<[u8; DIGEST_LEN]>),
}

impl Name {
    /// By which a value is known that need not be as it is written here.
    fn digest(self) -> Option<[u8; DIGEST_LEN]> {
        match self {
            Self::Known(digest) => digest,
            Self::AccessKey
            | Self::PrivateKey
            | Self::Jwt
            | Self::Password
            | Self::Link
            | Self::Pattern(_) => None,
        }
    }
}

/// What looks for secrets: built in, and the operator's patterns. Compiled once, used for all answers.
#[derive(Debug, Clone)]
pub struct Detectors {
    words: Words,
    signs: Vec<Sign>,
    /// By word: where it is found, there may be one of a pattern's, too, of which the search tells nothing.
    covers: Vec<bool>,
    /// A word has a quotation mark, a backslash or a control character in it.
    escaped_words: bool,
    patterns: Vec<Compiled>,
    /// The patterns that begin with no word that could be searched for.
    wordless: Option<RegexSet>,
    builtin: [Arc<str>; 6],
    /// Values that are hidden whatever they look like.
    known: Option<Arc<Known>>,
}

/// A pattern of the operator's.
#[derive(Debug, Clone)]
struct Compiled {
    name: Arc<str>,
    regex: Regex,
    /// Of a match its group `secret` is hidden, not all of it.
    group: bool,
}

/// A search for all words at once.
#[derive(Debug, Clone)]
enum Words {
    Packed(packed::Searcher),
    /// Where the processor or the number of words does not allow the fast one.
    Automaton(AhoCorasick),
}

impl Words {
    /// Where the first word is from `from` on, and which.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        if from >= text.len() {
            return None;
        }
        match self {
            Self::Packed(searcher) => {
                let found = searcher.find_in(text, (from..text.len()).into())?;
                Some((found.start(), found.pattern().as_usize()))
            }
            Self::Automaton(automaton) => {
                let input = Input::new(text).range(from..).anchored(Anchored::No);
                let found = automaton.try_find(input).ok().flatten()?;
                Some((found.start(), found.pattern().as_usize()))
            }
        }
    }
}

impl Detectors {
    /// Those built in and these patterns.
    ///
    /// # Errors
    /// [`DetectError`], for the first pattern that cannot be used.
    pub fn new(patterns: &[Pattern]) -> Result<Self, DetectError> {
        if patterns.len() > PATTERNS_MAX {
            return Err(DetectError::TooMany);
        }
        let mut words: Vec<Vec<u8>> = SIGNS.iter().map(|(word, _)| word.to_vec()).collect();
        let mut signs: Vec<Sign> = SIGNS.iter().map(|(_, sign)| *sign).collect();
        let mut compiled = Vec::with_capacity(patterns.len());
        let mut wordless = Vec::new();
        for pattern in patterns {
            compiled.push(compile(pattern)?);
            match words_of(pattern) {
                Some(own) => {
                    signs.extend(own.iter().map(|_| Sign::Pattern));
                    words.extend(own);
                }
                None => wordless.push(pattern.regex.as_str()),
            }
        }
        let failed = |name: &str, why: String| DetectError::Pattern { name: name.to_owned(), why };
        let wordless = match wordless.as_slice() {
            [] => None,
            wordless => Some(
                RegexSetBuilder::new(wordless)
                    .size_limit(PATTERN_MEMORY.saturating_mul(wordless.len()))
                    .dfa_size_limit(PATTERN_MEMORY.saturating_mul(wordless.len()))
                    .build()
                    .map_err(|error| failed("all together", error.to_string()))?,
            ),
        };
        // Of words that begin at one place the search tells the first of the list alone.
        let (builtin, own) = words.split_at_checked(SIGNS.len()).unwrap_or((words.as_slice(), &[]));
        let together = |word: &Vec<u8>| own.iter().any(|own| own.starts_with(word) || word.starts_with(own));
        let covers = builtin.iter().map(together).collect();
        let escaped = |word: &Vec<u8>| word.iter().any(|b| matches!(b, b'"' | b'\\' | 0..0x20));
        let escaped_words = words.iter().any(escaped);
        let mut builder = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder();
        let words = match builder.extend(&words).build() {
            Some(searcher) => Words::Packed(searcher),
            None => Words::Automaton(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostFirst)
                    .build(&words)
                    .map_err(|error| failed("all together", error.to_string()))?,
            ),
        };
        let builtin = [
            "aws-secret-access-key",
            "private-key",
            "json-web-token",
            "connection-password",
            "presigned-url",
            INSERTED,
        ]
        .map(Arc::from);
        Ok(Self { words, signs, covers, escaped_words, patterns: compiled, wordless, builtin, known: None })
    }

    /// The same, where these values are hidden as a whole. Texts without anything else that is looked for need not be looked at:
    /// what nothing is hidden in has the values as they are, and [`super::Echo`] finds them.
    pub(super) fn knowing(&self, known: &Arc<Known>) -> Self {
        Self { known: Some(Arc::clone(known)), ..self.clone() }
    }

    fn name(&self, name: Name) -> Arc<str> {
        let [key, private, jwt, password, link, inserted] = &self.builtin;
        match name {
            Name::AccessKey => key,
            Name::PrivateKey => private,
            Name::Jwt => jwt,
            Name::Password => password,
            Name::Link => link,
            Name::Known(_) => inserted,
            Name::Pattern(which) => self.patterns.get(which).map_or(key, |pattern| &pattern.name),
        }
        .clone()
    }

    /// What looks like a secret in `text`, of which what comes before `from` was dealt with. In order; what is hidden
    /// does not overlap.
    fn scan(&self, text: &[u8], from: usize) -> Vec<Found> {
        let mut found = Vec::new();
        let mut at = from;
        let mut patterns = self.wordless.is_some();
        while let Some((start, word)) = self.words.find(text, at) {
            at = start + 1;
            patterns |= self.covers.get(word) == Some(&true);
            match self.signs.get(word) {
                Some(Sign::KeyId) => keys::by_id(text, start, &mut found),
                Some(Sign::KeyName) => keys::by_name(text, start, &mut found),
                Some(Sign::PrivateKey) => {
                    if let Some(key) = pem::find(text, start) {
                        at = key.hide.end.max(at);
                        found.push(key);
                    }
                }
                Some(Sign::Jwt) => {
                    if let Some(token) = jwt::find(text, start) {
                        at = token.hide.end.max(at);
                        found.push(token);
                    }
                }
                Some(Sign::Url) => {
                    found.extend(connection::in_url(text, start));
                    found.extend(links::signature(text, start));
                }
                Some(Sign::Password) => {
                    if let Some(password) = connection::assigned(text, start) {
                        at = password.hide.end.max(at);
                        found.push(password);
                    }
                }
                Some(Sign::Pattern) | None => patterns = true,
            }
            // Words in what is hidden were not looked for, and a pattern may go on behind it.
            patterns |= at > start + 1 && !self.patterns.is_empty();
        }
        if patterns {
            for (which, pattern) in self.patterns.iter().enumerate() {
                pattern.matches(which, text, from, &mut found);
            }
        }
        if let Some(known) = &self.known {
            found.extend(known.find(text, from).into_iter().map(|(hide, digest)| Found {
                start: hide.start,
                hide,
                by: Name::Known(digest),
                open: false,
            }));
        }
        found.retain(|one| one.hide.start >= from || one.hide.end > from);
        found.sort_by_key(|one| (one.hide.start, std::cmp::Reverse(one.hide.end)));
        let mut end = from;
        for one in &mut found {
            one.hide.start = one.hide.start.max(end);
            end = end.max(one.hide.end);
        }
        found.retain(|one| !one.hide.is_empty());
        found
    }

    /// Whether a text without any word may have a secret all the same.
    fn wordless(&self, text: &[u8]) -> bool {
        self.wordless.as_ref().is_some_and(|set| set.is_match(text))
    }
}

fn compile(pattern: &Pattern) -> Result<Compiled, DetectError> {
    let regex = RegexBuilder::new(&pattern.regex)
        .size_limit(PATTERN_MEMORY)
        .dfa_size_limit(PATTERN_MEMORY)
        .build()
        .map_err(|error| DetectError::Pattern { name: pattern.name.clone(), why: in_one_line(&error) })?;
    if regex.is_match(b"") {
        return Err(DetectError::Empty(pattern.name.clone()));
    }
    let group = regex.capture_names().flatten().any(|name| name == GROUP);
    Ok(Compiled { name: pattern.name.as_str().into(), regex, group })
}

/// What is wrong, without the picture of where.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The words that everything that matches begins with, if they are few and not too short.
fn words_of(pattern: &Pattern) -> Option<Vec<Vec<u8>>> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&pattern.regex).ok()?;
    let words = Extractor::new().extract(&hir);
    let enough = |word: &[u8]| word.len() >= WORD_MIN;
    if let Some(common) = words.longest_common_prefix().filter(|common| enough(common)) {
        return Some(vec![common.to_vec()]);
    }
    let words = words.literals()?;
    let usable =
        !words.is_empty() && words.len() <= PATTERN_WORDS && words.iter().all(|word| enough(word.as_bytes()));
    usable.then(|| words.iter().map(|word| word.as_bytes().to_vec()).collect())
}

impl Compiled {
    fn matches(&self, which: usize, text: &[u8], from: usize, found: &mut Vec<Found>) {
        let mut at = from;
        while let Some(whole) = text.get(at..).and_then(|_| self.regex.find_at(text, at)) {
            let captures = if self.group { self.regex.captures_at(text, at) } else { None };
            let group = captures.and_then(|captures| captures.name(GROUP));
            let hide = group.unwrap_or(whole).range();
            found.push(Found { start: whole.start(), hide, by: Name::Pattern(which), open: false });
            at = whole.end().max(whole.start() + 1);
        }
    }
}

/// The words of one chunk, asked for from its beginning to its end.
pub(super) struct Hits<'d> {
    detectors: Option<&'d Detectors>,
    /// Where the next word is that was not asked about yet; the end of the chunk if there is none.
    next: Option<usize>,
}

impl<'d> Hits<'d> {
    pub(super) fn new(detectors: Option<&'d Detectors>) -> Self {
        Self { detectors, next: None }
    }

    /// Whether there is anyone who looks for secrets.
    pub(super) fn wanted(&self) -> bool {
        self.detectors.is_some()
    }

    /// Whether no word has a character in it that formats write as an escape of one letter, and words tell all.
    pub(super) fn lightly(&self) -> bool {
        self.detectors.is_some_and(|detectors| detectors.wordless.is_none() && !detectors.escaped_words)
    }

    /// Whether there are patterns that no word tells.
    pub(super) fn wordless(&self) -> bool {
        self.detectors.is_some_and(|detectors| detectors.wordless.is_some())
    }

    /// Whether a word is in this part of the chunk, which does not begin before one asked for earlier.
    #[inline]
    pub(super) fn word_in(&mut self, chunk: &[u8], part: Range<usize>) -> bool {
        let Some(detectors) = self.detectors else { return false };
        let next = match self.next {
            Some(next) if next >= part.start => next,
            _ => {
                let found = detectors.words.find(chunk, part.start);
                *self.next.insert(found.map_or(usize::MAX, |(at, _)| at))
            }
        };
        next < part.end
    }

    /// Whether a text that says this must be looked at closely. It is not in the chunk.
    pub(super) fn secret_said(&self, says: &[u8]) -> bool {
        self.detectors
            .is_some_and(|detectors| detectors.wordless.is_some() || detectors.words.find(says, 0).is_some())
    }

    /// Whether this text, as it is written, must be looked at closely.
    #[inline]
    pub(super) fn secret_in(&mut self, chunk: &[u8], part: Range<usize>) -> bool {
        self.word_in(chunk, part.clone())
            || self.detectors.is_some_and(|detectors| {
                detectors.wordless.is_some()
                    && (part.len() > window::RAW_MAX
                        || detectors.wordless(chunk.get(part).unwrap_or_default()))
            })
    }
}

/// Whether a member of this name has the secret of an access key as its value.
pub(super) fn names_key(name: Option<&[u8]>) -> bool {
    name.is_some_and(keys::is_name)
}
