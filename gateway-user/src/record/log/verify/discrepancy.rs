//! What can be wrong, in words.

use std::{borrow::Cow, fmt};

use super::super::{checkpoint::CheckpointError, tombstone::TombstoneError};

/// A table's name.
type Table = Cow<'static, str>;

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Discrepancy {
    /// The row is not the one that was logged.
    #[error("{table} row {row} was altered, or log entry {index}, which names it, was: their hashes differ")]
    RowAltered {
        /// The entry that names it.
        index: u64,
        /// Its table.
        table: Table,
        /// Its number.
        row: i64,
    },
    /// The row is gone, and no tombstone says that it may be.
    #[error("{table} row {row} is missing: log entry {index} names it, and no tombstone stands for it")]
    RowMissing {
        /// The entry that names it.
        index: u64,
        /// Its table.
        table: Table,
        /// Its number.
        row: i64,
    },
    /// The row was never logged.
    #[error(
        "{table} row {row} is not in the log where it should be: it was added, or its log entry was removed or moved"
    )]
    RowAdded {
        /// Its table.
        table: Table,
        /// Its number.
        row: i64,
    },
    /// The row is there although a tombstone says that it was removed.
    #[error("{table} row {row} is there, but tombstone {tombstone} says that it was removed")]
    RowKept {
        /// Its table.
        table: Table,
        /// Its number.
        row: i64,
        /// The tombstone's number.
        tombstone: i64,
    },
    /// The log has a gap.
    #[error("log entry {index} is missing")]
    EntryMissing {
        /// Its index.
        index: u64,
    },
    /// The log has two entries with one index.
    #[error("there are two log entries {index}")]
    EntryRepeated {
        /// Their index.
        index: u64,
    },
    /// The entry has the hash of a row that it does not name.
    #[error("log entry {index} was altered: it has the hash of {table} row {row}, but names another row")]
    EntryAltered {
        /// Its index.
        index: u64,
        /// The table of the row whose hash it has.
        table: Table,
        /// The number of that row.
        row: i64,
    },
    /// The entry names a row that cannot come after those before it.
    #[error("log entry {index} was altered or moved: it names {table} row {row} after row {after}")]
    EntryUnordered {
        /// Its index.
        index: u64,
        /// The table that it names.
        table: Table,
        /// The row that it names.
        row: i64,
        /// The row that the entry before it names.
        after: i64,
    },
    /// The entry names a table that is not logged.
    #[error("log entry {index} names the table {table:?}, which is not one of the record")]
    EntryStray {
        /// Its index.
        index: u64,
        /// The table that it names.
        table: Table,
    },
    /// The tombstone is in the log, but the log's key did not sign it.
    #[error("tombstone {tombstone} cannot be believed: {why}")]
    TombstoneUnbelieved {
        /// Its number.
        tombstone: i64,
        /// What is wrong with it.
        why: TombstoneError,
    },
    /// The tombstone is in the log, but cannot be: its range is empty, or another's, or of no table.
    #[error("tombstone {tombstone} makes no sense: what it stands for is empty or another's, or of no table")]
    TombstoneSenseless {
        /// Its number.
        tombstone: i64,
    },
    /// The entries of removed rows are not those that the tombstone was made for.
    #[error(
        "the log entries of {table} rows {first} to {last} were altered: they are not those that tombstone {tombstone} was made for"
    )]
    PrunedAltered {
        /// The tombstone's number.
        tombstone: i64,
        /// The table.
        table: Table,
        /// The least number that the tombstone stands for.
        first: i64,
        /// The greatest.
        last: i64,
    },
    /// A stored checkpoint is none.
    #[error("the checkpoint of size {size} cannot be believed: {why}")]
    CheckpointUnbelieved {
        /// The size under which it is stored.
        size: u64,
        /// What is wrong with it.
        why: CheckpointError,
    },
    /// A stored checkpoint is not stored as what it is.
    #[error("the checkpoint that is stored as that of size {size} was altered: {part} does not fit its note")]
    CheckpointAltered {
        /// The size under which it is stored.
        size: u64,
        /// The column.
        part: &'static str,
    },
    /// The log is not what was signed.
    #[error(
        "{which} of size {size} does not fit the log, which is as it was signed up to size {since}: rows after that and their log entries were replaced together, or a second history was signed"
    )]
    RootDiffers {
        /// The checkpoint.
        which: Which,
        /// Its size.
        size: u64,
        /// Up to here the log is what was signed.
        since: u64,
    },
    /// Somebody began the log who has not its key.
    #[error(
        "nobody has signed for this log's beginning: it is not its host's first, and a later one begins with a signed event `log-restarted`, which names the one before"
    )]
    Unfounded,
    /// No key can have the log's name.
    #[error("the name of this log is none that a key has: nobody can have signed it")]
    Unnamed,
    /// Something was added to a log that is not gone on with, or the log was replaced.
    #[error(
        "the log ended with {size} entries and another root, as the signed beginning of the log after it says; it has {found} entries"
    )]
    GoneOn {
        /// How many entries it had.
        size: u64,
        /// How many it has.
        found: u64,
    },
    /// The log is less than what was signed.
    #[error("the log ends with {found} entries, but {which} covers {size}: the last ones were removed")]
    LogShorter {
        /// The checkpoint.
        which: Which,
        /// Its size.
        size: u64,
        /// The entries that there are.
        found: u64,
    },
}

/// A checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One in the database.
    Stored,
    /// One that was kept elsewhere: given, or in the host's own file.
    Given,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "the stored checkpoint",
            Self::Given => "the checkpoint kept outside the database",
        })
    }
}
