//! Verification: everything is read again in the order of the log, and the first thing that does not fit
//! is named.
//!
//! The log's entries are merged with the rows of each table, both in ascending order: within a table, rows
//! are logged in the order of their numbers. What is kept in memory is one row per table, the tree's
//! frontier and the tombstones.
//!
//! Tombstones are looked at first, because they excuse rows that are not there.

use std::borrow::Cow;

use super::{
    checkpoint::SignedCheckpoint,
    hash::{Hash, LeafHash},
    note::{KeyName, VerifierKey},
    tombstone::{self, Tombstone},
    tree::Tree,
    writer::Entry,
};

mod cursor;
mod discrepancy;
mod signed;

use cursor::Cursor;
pub use discrepancy::{Discrepancy, Which};
use signed::Signatures;

/// Where a log and its tables are read from.
pub trait Source {
    /// Why it cannot be read.
    type Error;

    /// The tables whose rows are leaves, among them `tombstones`.
    fn tables(&self) -> Vec<Cow<'static, str>>;

    /// Every tombstone, each with the log's entry that names it, where there is one.
    ///
    /// # Errors
    /// What the source's own are.
    fn tombstones(&mut self) -> Result<Vec<(Tombstone, Option<Entry>)>, Self::Error>;

    /// The next entry of the log, in the order of their indexes.
    ///
    /// # Errors
    /// What the source's own are.
    fn entry(&mut self) -> Result<Option<Entry>, Self::Error>;

    /// The next row of a table, in the order of their numbers, whether the log names it or not. Of a database
    /// with several logs: those that this log names and those that none names.
    ///
    /// # Errors
    /// What the source's own are.
    fn row(&mut self, table: &str) -> Result<Option<Found>, Self::Error>;

    /// The next stored checkpoint, in the order of their sizes.
    ///
    /// # Errors
    /// What the source's own are.
    fn checkpoint(&mut self) -> Result<Option<Stored>, Self::Error>;
}

/// A row as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub row: i64,
    /// The hash of its form.
    pub leaf: LeafHash,
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// How many leaves it covers: the row's key.
    pub size: u64,
    /// The hashes of the frontier, one after the other.
    pub frontier: Vec<u8>,
    /// The note.
    pub note: Vec<u8>,
}

/// Whom the verification believes.
#[derive(Debug, Clone)]
pub struct Trust {
    origin: KeyName,
    keys: Vec<VerifierKey>,
    against: Vec<SignedCheckpoint>,
}

impl Trust {
    /// The keys of this log: of `keys`, those with its name. More than one after a key change.
    #[must_use]
    pub fn new(origin: &KeyName, keys: &[VerifierKey]) -> Self {
        let keys = keys.iter().filter(|key| key.name() == origin).cloned().collect();
        Self { origin: origin.clone(), keys, against: Vec::new() }
    }

    /// Also demands that the log goes on from this checkpoint, which was kept elsewhere.
    ///
    /// # Errors
    /// [`super::checkpoint::CheckpointError`] if it is not a checkpoint of this log.
    pub fn against(mut self, note: &[u8]) -> Result<Self, super::checkpoint::CheckpointError> {
        self.against.push(SignedCheckpoint::open(note, &self.keys)?);
        Ok(self)
    }
}

/// What was found where everything fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries of the log.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Rows that are there.
    pub rows: u64,
    /// Rows that retention removed.
    pub pruned: u64,
    /// Checkpoints, stored and given.
    pub checkpoints: u64,
    /// Entries that a checkpoint covers. Nothing vouches for those after them.
    pub signed: u64,
}

/// Why there is no report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError<E> {
    /// The first thing that does not fit.
    #[error(transparent)]
    Discrepancy(#[from] Discrepancy),
    /// The log or the tables cannot be read.
    #[error("cannot read on: {0}")]
    Source(E),
}

/// Reads everything.
///
/// # Errors
/// [`VerifyError`].
pub fn verify<S: Source>(source: &mut S, trust: &Trust) -> Result<Report, VerifyError<S::Error>> {
    let mut walk = Walk::begin(source, trust)?;
    loop {
        walk.signatures.check(&walk.tree, walk.source)?;
        match walk.source.entry().map_err(VerifyError::Source)? {
            Some(entry) => walk.entry(&entry)?,
            None => return walk.end(),
        }
    }
}

/// What is known of the log up to some entry.
struct Walk<'s, S> {
    source: &'s mut S,
    tree: Tree,
    tables: Vec<Cursor>,
    /// Numbers and indexes of the tombstones that were not reached yet, the next one last.
    to_come: Vec<(i64, u64)>,
    signatures: Signatures<'s>,
    rows: u64,
    pruned: u64,
}

impl<'s, S: Source> Walk<'s, S> {
    fn begin(source: &'s mut S, trust: &'s Trust) -> Result<Self, VerifyError<S::Error>> {
        let tombstones = source.tombstones().map_err(VerifyError::Source)?;
        let mut tables: Vec<Cursor> = source.tables().into_iter().map(Cursor::new).collect();
        let mut to_come = Vec::with_capacity(tombstones.len());
        for (tombstone, entry) in tombstones {
            let row = tombstone.row;
            let Some(entry) = entry else {
                return Err(Discrepancy::RowAdded { table: tombstone::TABLE.into(), row }.into());
            };
            tombstone
                .believe(&trust.origin, &trust.keys)
                .map_err(|why| Discrepancy::TombstoneUnbelieved { tombstone: row, why })?;
            let cursor = tables.iter_mut().find(|cursor| *cursor.table() == tombstone.table);
            let cursor = cursor.ok_or(Discrepancy::TombstoneSenseless { tombstone: row })?;
            cursor.bury(tombstone)?;
            to_come.push((row, entry.index));
        }
        tables.iter_mut().try_for_each(Cursor::settle)?;
        to_come.sort_unstable_by_key(|(_, index)| std::cmp::Reverse(*index));
        let signatures = Signatures::new(&trust.keys, &trust.against);
        Ok(Self { source, tree: Tree::new(), tables, to_come, signatures, rows: 0, pruned: 0 })
    }

    /// Holds an entry against the row that it names.
    fn entry(&mut self, entry: &Entry) -> Result<(), VerifyError<S::Error>> {
        let (index, table, row) = (entry.index, entry.table.clone(), entry.row);
        let expected = self.tree.size();
        if index > expected {
            return Err(Discrepancy::EntryMissing { index: expected }.into());
        }
        if index < expected {
            return Err(Discrepancy::EntryRepeated { index }.into());
        }
        let Some(at) = self.tables.iter().position(|cursor| *cursor.table() == table) else {
            return self.unless_altered(entry, Discrepancy::EntryStray { index, table });
        };
        let Some(cursor) = self.tables.get_mut(at) else { return Ok(()) };
        if let Some(after) = cursor.last().filter(|last| row <= *last) {
            return self.unless_altered(entry, Discrepancy::EntryUnordered { index, table, row, after });
        }
        cursor.close_before(row)?;
        let grave = cursor.grave(row);
        match cursor.peek(self.source)? {
            Some(found) if found.row == row && found.leaf == entry.leaf => {
                if let Some(tombstone) = grave {
                    return Err(Discrepancy::RowKept { table, row, tombstone }.into());
                }
                cursor.take();
                self.rows += 1;
            }
            Some(found) if found.row == row => {
                return self.unless_altered(entry, Discrepancy::RowAltered { index, table, row });
            }
            Some(found) if found.row < row => {
                let added = Discrepancy::RowAdded { table: table.clone(), row: found.row };
                self.unless_altered(entry, None)?;
                let Some(cursor) = self.tables.get_mut(at) else { return Ok(()) };
                let named = match cursor.skip_to(row, self.source)? {
                    Some(found) if found.leaf == entry.leaf => added,
                    Some(_) => Discrepancy::RowAltered { index, table, row },
                    None if grave.is_some() => added,
                    None => Discrepancy::RowMissing { index, table, row },
                };
                return Err(named.into());
            }
            Some(_) | None if grave.is_some() => {
                // Its number may be that of a removed row although the row is there, under another one.
                self.unless_altered(entry, None)?;
                self.pruned += 1;
            }
            Some(_) | None => {
                return self.unless_altered(entry, Discrepancy::RowMissing { index, table, row });
            }
        }
        if let Some(cursor) = self.tables.get_mut(at) {
            cursor.logged(entry, grave);
        }
        self.tree.append(entry.leaf);
        if entry.table == tombstone::TABLE { self.tombstone(entry) } else { Ok(()) }
    }

    /// A tombstone's own entry: what it stands for has been read.
    fn tombstone(&mut self, entry: &Entry) -> Result<(), VerifyError<S::Error>> {
        if self.to_come.pop() != Some((entry.row, entry.index)) {
            let (index, table, row) = (entry.index, entry.table.clone(), entry.row);
            return Err(Discrepancy::RowAltered { index, table, row }.into());
        }
        Ok(self.tables.iter_mut().try_for_each(|cursor| cursor.close(entry.row))?)
    }

    /// Nothing is left over.
    fn end(mut self) -> Result<Report, VerifyError<S::Error>> {
        self.signatures.end(&self.tree)?;
        for cursor in &mut self.tables {
            if let Some(found) = cursor.peek(self.source)? {
                return Err(Discrepancy::RowAdded { table: cursor.table().clone(), row: found.row }.into());
            }
        }
        if let Some((row, _)) = self.to_come.pop() {
            return Err(Discrepancy::RowAdded { table: tombstone::TABLE.into(), row }.into());
        }
        Ok(Report {
            size: self.tree.size(),
            root: self.tree.root(),
            rows: self.rows,
            pruned: self.pruned,
            checkpoints: self.signatures.count(),
            signed: self.signatures.size(),
        })
    }

    /// What is wrong with an entry that does not fit: if its hash is that of a row that comes next in some
    /// table, the entry names the wrong row; otherwise it is `otherwise`, which may be nothing.
    fn unless_altered(
        &mut self,
        entry: &Entry,
        otherwise: impl Into<Option<Discrepancy>>,
    ) -> Result<(), VerifyError<S::Error>> {
        for cursor in &mut self.tables {
            let found = cursor.peek(self.source)?;
            if let Some(found) = found.filter(|found| found.leaf == entry.leaf) {
                let (index, table, row) = (entry.index, cursor.table().clone(), found.row);
                return Err(Discrepancy::EntryAltered { index, table, row }.into());
            }
        }
        otherwise.into().map_or(Ok(()), |discrepancy| Err(discrepancy.into()))
    }
}

#[cfg(test)]
mod tests;
