//! The log as its writer holds it.
//!
//! Leaves are added to a [`Draft`], whose entries are inserted in the transaction that inserts the rows. When the
//! transaction has committed, the draft becomes the log; when it has not, the draft is dropped and the log
//! is as it was.

use std::{borrow::Cow, time::Instant};

use super::{
    cadence::{Cadence, Unsigned},
    checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint},
    hash::{Hash, LeafHash},
    leaf::Form,
    note::{KeyName, Sign},
    tree::Tree,
};

/// An entry of the log: which row is which leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The row's table.
    pub table: Cow<'static, str>,
    /// The row's number in the table.
    pub row: i64,
    /// The hash of the row's form.
    pub leaf: LeafHash,
}

/// The log's state. It is small, whatever the log's size.
#[derive(Debug)]
pub struct Log {
    origin: KeyName,
    tree: Tree,
    /// How many leaves are covered by a checkpoint.
    signed: u64,
    /// When the first leaf that is not was committed.
    unsigned_since: Option<Instant>,
}

/// Leaves that the database has not committed yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The size of the log that it continues.
    base: u64,
    tree: Tree,
    entries: Vec<Entry>,
}

/// The log went on otherwise than the draft has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log has {found} leaves, not {before} or {after}: somebody else writes to it")]
pub struct Elsewhere {
    /// How many there are.
    pub found: u64,
    /// How many there were before the draft.
    pub before: u64,
    /// How many there would be with it.
    pub after: u64,
}

/// Why the log in the database is not continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The checkpoint is another log's.
    #[error("the last checkpoint is of {found:?}, the log of this database is {expected}")]
    Origin {
        /// The log's name.
        expected: KeyName,
        /// The checkpoint's.
        found: String,
    },
    /// The database has less than was signed: it was shortened, or an old copy was put in its place.
    #[error(
        "the log has {found} leaves, the last checkpoint covers {signed}: rows are gone, or this is an older copy of the database; going on would sign a second history"
    )]
    Shorter {
        /// How many leaves there are.
        found: u64,
        /// How many were signed.
        signed: u64,
    },
    /// The database has something else than was signed.
    #[error("the first {signed} leaves of the log are not those that the last checkpoint covers")]
    Other {
        /// How many were signed.
        signed: u64,
    },
}

impl Log {
    /// A log without leaves. The name is the log's alone for ever: a new database has a new one.
    #[must_use]
    pub fn new(origin: KeyName) -> Self {
        Self { origin, tree: Tree::new(), signed: 0, unsigned_since: None }
    }

    /// Goes on with a log from all its stored leaf hashes, in order. `last` is the newest checkpoint as it is
    /// kept outside the database; leaves after it wait for the next one since `now`.
    ///
    /// # Errors
    /// [`ResumeError`]: the log must not be continued.
    #[cfg(test)]
    pub(super) fn restore(
        origin: KeyName,
        leaves: impl IntoIterator<Item = LeafHash>,
        last: Option<&SignedCheckpoint>,
        now: Instant,
    ) -> Result<Self, ResumeError> {
        let last = last.map(SignedCheckpoint::checkpoint);
        Self::after(origin, Tree::new(), leaves, last, now)
    }

    /// The same from the frontier that was stored with the newest checkpoint and the leaf hashes after it:
    /// what was signed says whether the frontier is right.
    ///
    /// # Errors
    /// [`ResumeError`].
    #[cfg(test)]
    pub(super) fn resume(
        origin: KeyName,
        last: &SignedCheckpoint,
        frontier: Vec<Hash>,
        leaves_after: impl IntoIterator<Item = LeafHash>,
        now: Instant,
    ) -> Result<Self, ResumeError> {
        let last = last.checkpoint();
        let tree =
            Tree::from_frontier(last.size(), frontier).ok_or(ResumeError::Other { signed: last.size() })?;
        Self::after(origin, tree, leaves_after, Some(last), now)
    }

    #[cfg(test)]
    fn after(
        origin: KeyName,
        tree: Tree,
        leaves: impl IntoIterator<Item = LeafHash>,
        last: Option<&Checkpoint>,
        now: Instant,
    ) -> Result<Self, ResumeError> {
        let mut resuming = Resuming::new(origin, tree, last)?;
        leaves.into_iter().try_for_each(|leaf| resuming.leaf(leaf))?;
        resuming.finish(now)
    }

    /// How many leaves are committed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// How many leaves a checkpoint covers.
    #[must_use]
    pub fn signed_size(&self) -> u64 {
        self.signed
    }

    /// The frontier, to be stored with a checkpoint of the same size.
    #[must_use]
    pub fn frontier(&self) -> &[Hash] {
        self.tree.frontier()
    }

    /// Begins a transaction.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft { base: self.size(), tree: self.tree.clone(), entries: Vec::new() }
    }

    /// A draft with all of these rows, in this order.
    #[must_use]
    pub fn append<'f>(&self, rows: impl IntoIterator<Item = &'f Form>) -> Draft {
        let mut draft = self.draft();
        rows.into_iter().for_each(|form| {
            draft.append(form);
        });
        draft
    }

    /// The transaction has committed.
    ///
    /// # Errors
    /// [`Elsewhere`] if the draft was made from another state; the log is as it was.
    pub fn commit(&mut self, draft: Draft, now: Instant) -> Result<(), Elsewhere> {
        let size = draft.tree.size();
        self.settle(draft, size, now)
    }

    /// Whether the transaction has committed is not known, as after a lost connection: `stored` leaves are in the
    /// database, and tell.
    ///
    /// # Errors
    /// [`Elsewhere`] if neither is the case; the log is as it was.
    pub fn settle(&mut self, draft: Draft, stored: u64, now: Instant) -> Result<(), Elsewhere> {
        let (before, after) = (self.size(), draft.tree.size());
        if draft.base != before || (stored != before && stored != after) {
            return Err(Elsewhere { found: stored, before, after });
        }
        if stored > before {
            self.tree = draft.tree;
            self.unsigned_since.get_or_insert(now);
        }
        Ok(())
    }

    /// How long the next checkpoint can wait: see [`Cadence::wait`].
    #[must_use]
    pub fn wait(&self, cadence: &Cadence, now: Instant) -> Option<std::time::Duration> {
        let rows = self.size() - self.signed;
        cadence.wait(self.unsigned_since.map(|since| Unsigned { rows, since }), now)
    }

    /// Signs what is committed. The log still counts it as unsigned until [`Log::signed`]: a checkpoint that
    /// nobody could store is none.
    ///
    /// # Errors
    /// [`CheckpointError`] if none of the keys has the log's name.
    pub fn checkpoint(&self, keys: &[&dyn Sign]) -> Result<SignedCheckpoint, CheckpointError> {
        Checkpoint::new(&self.origin, self.size(), self.tree.root()).sign(keys)
    }

    /// This checkpoint is stored. Leaves after it wait for the next one since `now`.
    pub fn signed(&mut self, checkpoint: &SignedCheckpoint, now: Instant) {
        let size = checkpoint.checkpoint().size();
        if checkpoint.checkpoint().origin() == self.origin.as_str() && size <= self.size() {
            self.signed = self.signed.max(size);
            self.unsigned_since = (self.size() > self.signed).then_some(now);
        }
    }
}

/// A stored log while its leaves are read again.
#[derive(Debug)]
pub struct Resuming {
    origin: KeyName,
    tree: Tree,
    /// What was signed, until it was held against the tree.
    last: Option<Checkpoint>,
    signed: u64,
}

impl Resuming {
    /// From a tree that covers no more than `last`, the newest checkpoint.
    ///
    /// # Errors
    /// [`ResumeError`]: the checkpoint is not this log's, or not the tree's.
    pub fn new(origin: KeyName, tree: Tree, last: Option<&Checkpoint>) -> Result<Self, ResumeError> {
        if let Some(last) = last.filter(|last| last.origin() != origin.as_str()) {
            return Err(ResumeError::Origin { expected: origin, found: last.origin().to_owned() });
        }
        let signed = last.map_or(0, Checkpoint::size);
        let mut resuming = Self { origin, tree, last: last.cloned(), signed };
        resuming.compare()?;
        Ok(resuming)
    }

    /// The next leaf.
    ///
    /// # Errors
    /// [`ResumeError::Other`]: what was signed is something else.
    pub fn leaf(&mut self, leaf: LeafHash) -> Result<(), ResumeError> {
        self.tree.append(leaf);
        self.compare()
    }

    /// How many leaves there were so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// That was the last one. Leaves after the checkpoint wait for the next one since `now`.
    ///
    /// # Errors
    /// [`ResumeError::Shorter`]: the checkpoint covers more.
    pub fn finish(self, now: Instant) -> Result<Log, ResumeError> {
        let Self { origin, tree, last, signed } = self;
        if last.is_some() {
            return Err(ResumeError::Shorter { found: tree.size(), signed });
        }
        let unsigned_since = (tree.size() > signed).then_some(now);
        Ok(Log { origin, tree, signed, unsigned_since })
    }

    /// Where the tree has come to the checkpoint, they must be the same.
    fn compare(&mut self) -> Result<(), ResumeError> {
        match self.last.take_if(|last| last.size() <= self.tree.size()) {
            Some(last) if (last.size(), last.root()) != (self.tree.size(), self.tree.root()) => {
                Err(ResumeError::Other { signed: self.signed })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Draft {
    /// Signs what is committed when the draft is: a new log begins with its first checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`] if none of the keys has the log's name.
    pub fn checkpoint(
        &self,
        origin: &KeyName,
        keys: &[&dyn Sign],
    ) -> Result<SignedCheckpoint, CheckpointError> {
        Checkpoint::new(origin, self.tree.size(), self.tree.root()).sign(keys)
    }

    /// The frontier, to be stored with that checkpoint.
    #[must_use]
    pub fn frontier(&self) -> &[Hash] {
        self.tree.frontier()
    }

    /// Adds the row as the next leaf.
    pub fn append(&mut self, row: &Form) -> LeafHash {
        let leaf = row.hash();
        let entry = Entry { index: self.tree.size(), table: row.table().clone(), row: row.row(), leaf };
        self.tree.append(leaf);
        self.entries.push(entry);
        leaf
    }

    /// The entries to insert, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The state now, to go back to where a savepoint is rolled back.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { tree: self.tree.clone(), entries: self.entries.len() }
    }

    /// Forgets what was added since the mark was made.
    pub fn rewind(&mut self, mark: Mark) {
        self.tree = mark.tree;
        self.entries.truncate(mark.entries);
    }
}

/// A state of a draft to go back to.
#[derive(Debug, Clone)]
pub struct Mark {
    tree: Tree,
    entries: usize,
}

#[cfg(test)]
mod tests;
