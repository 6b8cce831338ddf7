//! Bodies as they pass: hashed and counted whole, of their contents the head is kept, in bounded memory.
//!
//! What is taken is what the other side gets: an answer after it was masked, parameters after they were redacted. Contents
//! are compressed where the body ends, on the task of the call, so that the writer only writes.

use std::{
    cell::RefCell,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use serde_json::Value;

use super::Config;
use crate::{
    prim::SessionId,
    share::{Share, Shares},
};

/// The parameters of a call as one JSON object: members sorted by name, no spaces, secrets hidden.
pub(super) const PARAMS: &str = "application/vnd.chaperone.params+json";

/// zstd's default level.
const LEVEL: i32 = 3;
/// Bytes that a capture takes of the memory at first; then it doubles what it has.
const FIRST: usize = 1024;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// Which body of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What it uploads.
    Payload,
    /// The answer to the agent.
    Response,
}

impl Side {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Response => "response",
        }
    }
}

/// What a body holds, which decides what of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// What a service says: its head is kept.
    Document,
    /// What somebody stored or wrote, which nobody looked through: length and digest are kept, its head where that is
    /// configured.
    Object,
    /// What cannot be looked through for secrets: length and digest are kept.
    Unreadable,
    /// What is hidden otherwise: its length is kept. A digest would tell who guesses it that the guess is right.
    Revealed,
}

/// Where captures keep what they have.
#[derive(Debug)]
pub(super) struct Room {
    memory: Shares,
    max: usize,
    objects: bool,
}

impl Room {
    pub(super) fn new(config: &Config) -> Self {
        let all = config.capture_memory_bytes;
        Self { memory: Shares::new(all, all / 4), max: config.body_max_bytes, objects: config.objects }
    }

    pub(super) fn capture(&self, session: SessionId, holds: Holds, media_type: Option<&str>) -> Capture {
        let (max, missing) = match holds {
            Holds::Document => (self.max, None),
            Holds::Object if self.objects => (self.max, None),
            Holds::Object => (0, Some("object")),
            Holds::Unreadable => (0, Some("unreadable")),
            Holds::Revealed => (0, Some("revealed")),
        };
        let state = State {
            media_type: media_type.map(str::to_owned),
            hash: (holds != Holds::Revealed).then(|| digest::Context::new(&SHA256)),
            length: 0,
            head: Vec::new(),
            max,
            missing,
            ended: false,
            session,
            memory: self.memory.clone(),
            held: Vec::new(),
        };
        Capture(Arc::new(Mutex::new(Some(state))))
    }

    /// All of a call's parameters, redacted.
    pub(super) fn params(&self, session: SessionId, params: &Value) -> Option<Body> {
        let capture = self.capture(session, Holds::Document, Some(PARAMS));
        let mut params = params.clone();
        params.sort_all_objects();
        let mut writer = io::BufWriter::new(Pushed(&capture));
        let written = serde_json::to_writer(&mut writer, &params).is_ok();
        if io::Write::flush(&mut writer).is_ok() && written {
            capture.end();
        }
        drop(writer);
        capture.finish()
    }
}

/// A body on its way. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Capture(Arc<Mutex<Option<State>>>);

struct State {
    media_type: Option<String>,
    /// `None` where a digest would tell too much.
    hash: Option<digest::Context>,
    length: u64,
    head: Vec<u8>,
    /// Bytes of the head, at most.
    max: usize,
    /// Why contents are not kept.
    missing: Option<&'static str>,
    ended: bool,
    session: SessionId,
    memory: Shares,
    /// For the head's capacity.
    held: Vec<Share>,
}

/// What is known of a body that has passed.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) media_type: Option<String>,
    pub(super) digest: Option<Digest>,
    pub(super) length: u64,
    pub(super) content: Option<Content>,
    /// Why something of it is missing, in fixed words; docs/queries.md lists them.
    pub(super) missing: Vec<&'static str>,
}

/// The head of a body, or all of it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) length: usize,
    pub(super) compressed: Vec<u8>,
    /// Its place in memory.
    pub(super) held: Vec<Share>,
}

impl Capture {
    /// The next part of it.
    pub fn push(&self, data: &[u8]) {
        if let Some(state) = &mut *self.lock() {
            state.push(data);
        }
    }

    /// That was all: without this word it broke off.
    pub fn end(&self) {
        if let Some(state) = &mut *self.lock() {
            state.ended = true;
        }
    }

    /// What is known of it; what comes from now on does not count. `None` where nothing has passed.
    pub(super) fn finish(&self) -> Option<Body> {
        let state = self.lock().take()?;
        (state.length > 0).then(|| state.finish())
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, data: &[u8]) {
        self.length = self.length.saturating_add(data.len() as u64);
        if let Some(hash) = &mut self.hash {
            hash.update(data);
        }
        let room = self.max.saturating_sub(self.head.len());
        let part = data.get(..room).unwrap_or(data);
        if self.make_room(part.len()) {
            self.head.extend_from_slice(part);
        } else {
            self.missing = Some("memory");
            self.max = 0;
            self.head = Vec::new();
            self.held.clear();
        }
    }

    /// Whether the head has room for so many bytes more.
    fn make_room(&mut self, more: usize) -> bool {
        let needed = self.head.len().saturating_add(more);
        let capacity = self.head.capacity();
        if needed <= capacity {
            return true;
        }
        let wanted = needed.max(FIRST).checked_next_power_of_two().unwrap_or(needed).min(self.max);
        let Ok(share) = self.memory.take(self.session, wanted.saturating_sub(capacity)) else { return false };
        self.held.push(share);
        self.head.reserve_exact(wanted.saturating_sub(self.head.len()));
        true
    }

    fn finish(mut self) -> Body {
        let digest = self.hash.take().map(|hash| bytes(&hash.finish()));
        let whole = self.head.len() as u64 == self.length;
        let (content, mut missing) = (self.content(digest.filter(|_| whole)), Vec::new());
        match self.missing {
            Some(word) => missing.push(word),
            None if !whole => missing.push("too-long"),
            None if content.is_none() => missing.push("memory"),
            None => {}
        }
        if !self.ended {
            missing.push("broken-off");
        }
        Body { media_type: self.media_type, digest, length: self.length, content, missing }
    }

    /// The head, compressed; `digest` where it is known.
    fn content(&mut self, digest: Option<Digest>) -> Option<Content> {
        let head = std::mem::take(&mut self.head);
        let mut held = std::mem::take(&mut self.held);
        if head.is_empty() {
            return None;
        }
        let compressed = compress(&head)?;
        let mut left = compressed.len();
        for share in &mut held {
            left -= share.shrink(left);
        }
        let digest = digest.unwrap_or_else(|| bytes(&digest::digest(&SHA256, &head)));
        Some(Content { digest, length: head.len(), compressed, held })
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("length", &self.length)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

fn bytes(digest: &digest::Digest) -> Digest {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// One zstd frame.
fn compress(content: &[u8]) -> Option<Vec<u8>> {
    use zstd::bulk::Compressor;
    thread_local! {
        /// Its tables are made once for each thread.
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    }
    COMPRESSOR.with_borrow_mut(|compressor| {
        let mut compressed = compressor.as_mut()?.compress(content).ok()?;
        compressed.shrink_to_fit();
        Some(compressed)
    })
}

/// What is written is pushed.
struct Pushed<'c>(&'c Capture);

impl io::Write for Pushed<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.push(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
