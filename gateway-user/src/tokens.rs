//! Tokens that stand for values which an agent moves without seeing them: what each is, and where it came from.
//!
//! They are in memory only and of one session: what they stand for is gone with it, and with the daemon.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{
    hmac,
    rand::{self, SystemRandom},
};
use time::OffsetDateTime;

use crate::{identify::Session, prim::SessionId, secret::SecretText};

/// How every token begins.
pub const PREFIX: &str = "chaperone:secret:";
/// Bytes of a token's own part: 128 bits, in hexadecimal.
const OWN: usize = 16;
/// Bytes that a value takes in memory besides its own and those of where it came from: its token, and the tables' share.
const OVERHEAD: usize = 256;
/// One session has no more than this part of all memory.
const SHARE: usize = 4;
/// Values that were not kept, and of which no event tells yet.
const UNKEPT: usize = 64;

/// Whether a text has the form of a token, and nothing beside it.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let own = text.strip_prefix(PREFIX);
    own.is_some_and(|own| own.len() == 2 * OWN && own.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Where a value came from: all that policy and records know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// The call whose answer it was in, `service:Operation`.
    pub operation: String,
    /// Where in that answer, as masks write it.
    pub field: String,
    /// The region of that call.
    pub region: String,
    /// The account that it was made in; empty where that is not known.
    pub account: String,
    /// The one resource of that call; `*` where there is none, or several.
    pub resource: String,
    /// What that call named it by; empty where that is not one parameter.
    pub id: String,
    /// Which version of it that call asked for (`VersionId`, `VersionStage`, `Qualifier`); empty where it did not say.
    pub version: String,
    /// That call said nothing else by which AWS might have chosen the value. Policy and records do not know of it.
    pub alone: bool,
}

impl Secret {
    /// All of it, by the names that policy and records have for it.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &str); 7] {
        let Self { operation, field, region, account, resource, id, version, alone: _ } = self;
        [
            ("operation", operation),
            ("field", field),
            ("region", region),
            ("account", account),
            ("resource", resource),
            ("id", id),
            ("version", version),
        ]
    }

    /// Whether this is where one value came from, and no other: the call named one thing, its version, and nothing besides, and the
    /// field is one part of it.
    fn tells_apart(&self) -> bool {
        self.alone && !self.id.is_empty() && !self.field.contains(['[', '{'])
    }
}

/// A value that a token stands for.
pub struct Value {
    /// Where it came from.
    pub secret: Arc<Secret>,
    /// By which records recognise it.
    pub digest: [u8; 16],
    text: SecretText,
}

impl Value {
    /// The value itself, for the request that it goes into.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

/// Without the value.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Values of one session.
    pub per_session: usize,
    /// Bytes of one value.
    pub value_max: usize,
    /// Bytes that all values of all sessions take.
    pub memory: usize,
}

impl Bounds {
    /// Bytes that the values of one session take.
    fn of_session(&self) -> usize {
        self.memory / SHARE
    }
}

/// Why a value is not kept, so that nothing stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Its session has as many as it may have.
    #[error("the session has as many tokens as it may have (mask.tokens_per_session)")]
    Session,
    /// It is too long.
    #[error("the value is longer than one may be that a token stands for (mask.token_max_bytes)")]
    Value,
    /// Its session's values take as much as those of one may.
    #[error(
        "the session's values take as much memory as one session may have (a quarter of mask.tokens_memory_bytes)"
    )]
    Share,
    /// All sessions together have as much as is kept.
    #[error("the values of all sessions are as much as is kept (mask.tokens_memory_bytes)")]
    Memory,
    /// It is no text.
    #[error("the value is no text")]
    NoText,
    /// Its session has ended.
    #[error("the session is over")]
    Over,
    /// The system has no randomness.
    #[error("the system has no randomness")]
    NoRandomness,
}

/// A value that was hidden although a token was to stand for it.
#[derive(Debug)]
pub struct Unkept {
    /// Whose answer it was in.
    pub session: Arc<Session>,
    /// Where it came from.
    pub secret: Secret,
    /// Why.
    pub why: NotKept,
}

/// The values of all sessions.
#[derive(Debug)]
pub struct Tokens {
    bounds: Bounds,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    sessions: HashMap<SessionId, OfSession>,
    unkept: Vec<Unkept>,
}

/// The values of one session.
#[derive(Debug)]
struct OfSession {
    /// Makes the tokens: known to nobody else, and to no other session.
    key: hmac::Key,
    values: HashMap<String, Arc<Value>>,
    /// That these take.
    bytes: usize,
}

impl Tokens {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: Mutex::default() }
    }

    /// The token of a value in `session`, which is kept: for an equal value of equal origin the same. Where the origin does not
    /// tell values apart, each has a token of its own, every time: that two are equal is part of what they say.
    ///
    /// # Errors
    /// [`NotKept`]: no token may stand for it.
    pub fn keep(
        &self,
        session: &Session,
        now: OffsetDateTime,
        secret: &Secret,
        digest: [u8; 16],
        value: &[u8],
    ) -> Result<String, NotKept> {
        if value.len() > self.bounds.value_max {
            return Err(NotKept::Value);
        }
        let text = std::str::from_utf8(value).map_err(|_| NotKept::NoText)?;
        let mut kept = self.lock();
        // Under the lock: who ends a session marks it first, and forgets its values then.
        if session.ended(now).is_some() {
            return Err(NotKept::Over);
        }
        let left = self.bounds.memory.saturating_sub(kept.bytes);
        let mine = match kept.sessions.entry(session.id) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert(OfSession { key: key()?, values: HashMap::new(), bytes: 0 }),
        };
        let token = if secret.tells_apart() { token(&mine.key, secret, text) } else { random()? };
        if mine.values.contains_key(&token) {
            return Ok(token);
        }
        if mine.values.len() >= self.bounds.per_session {
            return Err(NotKept::Session);
        }
        let takes = takes(secret, text);
        if takes > self.bounds.of_session().saturating_sub(mine.bytes) {
            return Err(NotKept::Share);
        }
        if takes > left {
            return Err(NotKept::Memory);
        }
        let value =
            Value { secret: Arc::new(secret.clone()), digest, text: SecretText::new(text.to_owned()) };
        mine.values.insert(token.clone(), Arc::new(value));
        mine.bytes += takes;
        kept.bytes += takes;
        Ok(token)
    }

    /// What a token of this session stands for.
    #[must_use]
    pub fn value(&self, session: SessionId, token: &str) -> Option<Arc<Value>> {
        self.lock().sessions.get(&session)?.values.get(token).map(Arc::clone)
    }

    /// Forgets everything of a session that has ended.
    pub fn forget(&self, session: SessionId) {
        let mut kept = self.lock();
        let Some(gone) = kept.sessions.remove(&session) else { return };
        kept.bytes = kept.bytes.saturating_sub(gone.bytes);
    }

    /// How many values are kept, and the bytes that they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let kept = self.lock();
        (kept.sessions.values().map(|mine| mine.values.len()).sum(), kept.bytes)
    }

    /// Notes that a value was hidden although a token was to stand for it.
    pub fn note(&self, unkept: Unkept) {
        let mut kept = self.lock();
        if kept.unkept.len() < UNKEPT {
            kept.unkept.push(unkept);
        }
    }

    /// What was noted since this was asked last; of many, the first.
    #[must_use]
    pub fn unkept(&self) -> Vec<Unkept> {
        std::mem::take(&mut self.lock().unkept)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key() -> Result<hmac::Key, NotKept> {
    hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| NotKept::NoRandomness)
}

/// Bytes that a value takes.
fn takes(secret: &Secret, text: &str) -> usize {
    let origin: usize = secret.parts().iter().map(|(_, part)| part.len()).sum();
    OVERHEAD + text.len() + origin
}

/// HMAC-SHA256 of origin and value, each with its length, cut to 128 bits.
fn token(key: &hmac::Key, secret: &Secret, value: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    for part in secret.parts().into_iter().map(|(_, part)| part).chain([value]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let tag = context.sign();
    written(tag.as_ref().get(..OWN).unwrap_or_default())
}

/// A token that nothing but the session's table knows the value of.
fn random() -> Result<String, NotKept> {
    let mut own = [0; OWN];
    rand::fill(&mut own).map_err(|_| NotKept::NoRandomness)?;
    Ok(written(&own))
}

fn written(own: &[u8]) -> String {
    format!("{PREFIX}{}", hex::encode(own))
}

#[cfg(test)]
mod tests;
