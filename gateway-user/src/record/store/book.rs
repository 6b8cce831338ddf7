//! The log of this host as a store keeps it: continued with every transaction, signed from time to time.

mod open;

use std::{collections::BTreeMap, fmt::Display, path::PathBuf, time::Instant};

pub(super) use self::open::BookError;
use super::{pages::Conn, prune::Seen};
use crate::record::{
    Event, RecordError,
    log::{
        cadence::Cadence,
        checkpoint::SignedCheckpoint,
        file::Mark,
        key::LogKey,
        note::{KeyName, NoteError, Sign as _},
        tombstone::Tombstone,
        writer::{self, Draft, Elsewhere, Entry, Log},
    },
};

/// The event of a host's first log.
pub(in crate::record) const BEGUN: &str = "log-begun";
/// The event that every later one begins with.
pub(in crate::record) const RESTARTED: &str = "log-restarted";

/// This host's log.
#[derive(Debug)]
pub(in crate::record) struct Book {
    /// Its number in the database.
    pub(super) id: i64,
    pub(super) log: Log,
    key: LogKey,
    cadence: Cadence,
    /// For rows of PostgreSQL that say which host they are of.
    host: Option<String>,
    /// What the start has to record of the log, before all else.
    news: Option<Event>,
    /// A log that begins with what the start records: the database does not have it yet.
    unborn: Option<Unborn>,
    /// The checkpoint file, beside which marks are left.
    file: PathBuf,
    /// The holds and releases that are in the database.
    seen: Seen,
}

/// A log before its first entry.
#[derive(Debug)]
struct Unborn {
    origin: KeyName,
    host: String,
    created: String,
}

/// The leaves of one transaction.
#[derive(Debug)]
pub(in crate::record) struct Pages {
    pub(super) draft: Draft,
    pub(super) host: Option<String>,
    /// The number that each table gave out last. SQLite only: PostgreSQL knows.
    numbers: BTreeMap<&'static str, i64>,
}

/// A state of [`Pages`] to go back to.
#[derive(Debug)]
pub(super) struct PagesMark {
    draft: writer::Mark,
    numbers: BTreeMap<&'static str, i64>,
}

impl Book {
    /// What the start has to record of the log, once, before all else. A log that begins here is noted in the same
    /// transaction.
    pub(super) async fn begin(&mut self, conn: &mut Conn<'_>) -> Result<Option<Event>, sqlx::Error> {
        if let Some(Unborn { origin, host, created }) = &self.unborn {
            conn.lock_logs().await?;
            self.id = conn.begin_log(origin.as_str(), host, created).await?;
        }
        Ok(self.news.take())
    }

    /// Ends the transaction in which a log begins: its first checkpoint is in it, because an unsigned log is nobody's.
    pub(super) async fn found(&mut self, conn: &mut Conn<'_>, draft: &Draft) -> Result<(), sqlx::Error> {
        let Some(Unborn { origin, .. }) = self.unborn.take() else { return Ok(()) };
        let signed = draft.checkpoint(&origin, &[&self.key]);
        let signed = signed.map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
        conn.add_checkpoint(self.id, signed.checkpoint().size(), draft.frontier(), signed.note()).await
    }

    /// Begins a transaction.
    pub(super) async fn pages(&self, conn: &mut Conn<'_>) -> Result<Pages, sqlx::Error> {
        let numbers = conn.numbers().await?.into_iter().collect();
        Ok(Pages { draft: self.log.draft(), host: self.host.clone(), numbers })
    }

    /// The transaction was committed.
    pub(super) fn commit(&mut self, draft: Draft) -> Result<(), Elsewhere> {
        let holds = Seen::among(draft.entries());
        self.log.commit(draft, Instant::now())?;
        self.note(&holds);
        Ok(())
    }

    /// Somebody else writes to the log. Nothing is written any more, and the next start is told, which would take for this
    /// host's what is there.
    pub(super) fn foreign(&self, why: &impl Display) -> RecordError {
        let seen = format!("somebody else writes to the log in the database, or has removed from it: {why}");
        if let Err(error) = Mark::Foreign.leave(&self.file, &seen) {
            tracing::error!(%error, file = %self.file.display(), "the next start cannot be told of it");
        }
        RecordError::Store(format!(
            "{seen}. `chaperone verify` names what; then `chaperone log restart --reason TEXT` begins a new log"
        ))
    }

    /// Whether it was is not known: how many leaves are stored tells.
    pub(super) fn settle(&mut self, draft: Draft, stored: u64) -> Result<(), Elsewhere> {
        let holds = Seen::among(draft.entries());
        self.log.settle(draft, stored, Instant::now())?;
        self.note(&holds);
        Ok(())
    }

    /// Before whoever placed a hold is told.
    fn note(&self, holds: &[Entry]) {
        if holds.last().is_some_and(|entry| entry.index < self.log.size()) {
            self.seen.note(holds);
        }
    }

    /// What does not go away.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How long the next checkpoint can wait; `None` while there is nothing to sign.
    pub(super) fn wait(&self) -> Option<std::time::Duration> {
        self.log.wait(&self.cadence, Instant::now())
    }

    /// The host, where the database has those of several.
    pub(super) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Signs a tombstone.
    pub(super) fn bury(&self, tombstone: Tombstone) -> Result<Tombstone, NoteError> {
        tombstone.sign(self.key.verifier().name(), &[&self.key])
    }

    /// Signs what is committed, and stores it.
    pub(super) async fn sign(&self, conn: &mut Conn<'_>) -> Result<SignedCheckpoint, BookError> {
        let signed = self.log.checkpoint(&[&self.key])?;
        conn.add_checkpoint(self.id, signed.checkpoint().size(), self.log.frontier(), signed.note()).await?;
        Ok(signed)
    }

    /// This checkpoint is on disk.
    pub(super) fn signed(&mut self, checkpoint: &SignedCheckpoint) {
        self.log.signed(checkpoint, Instant::now());
    }
}

impl Pages {
    /// The next number of a table of SQLite.
    pub(super) fn number(&mut self, table: &'static str) -> i64 {
        let number = self.numbers.entry(table).or_default();
        *number += 1;
        *number
    }

    /// The state now, to go back to where a savepoint is rolled back.
    pub(super) fn mark(&self) -> PagesMark {
        PagesMark { draft: self.draft.mark(), numbers: self.numbers.clone() }
    }

    pub(super) fn rewind(&mut self, mark: PagesMark) {
        self.draft.rewind(mark.draft);
        self.numbers = mark.numbers;
    }
}
