//! Tombstones: what is left of rows that retention removed.
//!
//! A tombstone is a row of the table `tombstones`, and so a leaf. It names the table and the first and the last
//! of the row numbers, where it is not for all between them its spans, and holds a digest of the log entries of these rows. The
//! entries stay, so that the
//! tree can still be built; the digest keeps anybody from giving the entry of a row that was never pruned
//! the number of one that was.
//!
//! The digest is a chain: d(0) is SHA-256 of `chaperone-pruned/1` and a line feed; with each entry, in the
//! order of the log, d(k + 1) is SHA-256 of d(k), the row's number (8 bytes, big endian, in two's complement) and
//! the leaf's hash. Only the entries of the tombstone's table that
//! stand before the tombstone in the log and whose row numbers are from the first to the last, and in a span where it has
//! any, count.
//!
//! Spans are there because sessions take turns in a table: the rows of one that ended stand between those of others that go on.
//!
//! A tombstone is signed by itself, as soon as it is made: otherwise who can write to the database could add one
//! after the last checkpoint, remove old rows with it, and wait for the next checkpoint to cover it. The note's
//! text has three lines: the log's origin, the word `tombstone`, and the base64 of SHA-256 of the byte 0x00 and
//! the tombstone's form without the column `note`. No checkpoint has such a second line.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    hash::{Hash, LEN},
    leaf::Form,
    note::{KeyName, Note, NoteError, Sign, VerifierKey},
    writer::Entry,
};

/// The table's name.
pub const TABLE: &str = "tombstones";

/// A row of `tombstones`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Its number.
    pub row: i64,
    /// When the rows were removed, as times are stored.
    pub time: String,
    /// The table that the rows were in.
    pub table: String,
    /// The least of their numbers.
    pub first: i64,
    /// The greatest of their numbers.
    pub last: i64,
    /// How many there were.
    pub row_count: i64,
    /// The digest of their log entries.
    pub digest: Vec<u8>,
    /// Who removed them.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The log's signature: [`Tombstone::sign`].
    pub note: String,
    /// Which rows from the first to the last it stands for, as JSON: pairs of a first and a last, ascending. `None`: all.
    pub spans: Option<String>,
}

/// Why a tombstone excuses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TombstoneError {
    /// Nobody who is believed signed it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signature is for something else.
    #[error("its signature is for another tombstone, or another log's")]
    Other,
}

impl Tombstone {
    /// Its canonical form.
    #[must_use]
    pub fn form(&self) -> Form {
        self.said().column("note", self.note.as_str()).column("spans", self.spans.as_deref())
    }

    /// The rows that it stands for: firsts and lasts, ascending. `None` where it makes no sense.
    #[must_use]
    pub fn spans(&self) -> Option<Vec<(i64, i64)>> {
        let spans: Vec<(i64, i64)> = match &self.spans {
            Some(spans) => serde_json::from_str(spans).ok()?,
            None => vec![(self.first, self.last)],
        };
        let fit = self.row_count > 0
            && spans.iter().all(|(first, last)| first <= last)
            && spans.array_windows().all(|[(_, before), (after, _)]| before < after)
            && spans.first().is_some_and(|(first, _)| *first == self.first)
            && spans.last().is_some_and(|(_, last)| *last == self.last);
        fit.then_some(spans)
    }

    /// Signs what the other fields say.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn sign(mut self, origin: &KeyName, keys: &[&dyn Sign]) -> Result<Self, NoteError> {
        self.note = Note::sign(&self.text(origin), keys)?.to_string();
        Ok(self)
    }

    /// Whether one of `keys`, which are this log's, signed it.
    ///
    /// # Errors
    /// [`TombstoneError`].
    pub fn believe(&self, origin: &KeyName, keys: &[VerifierKey]) -> Result<(), TombstoneError> {
        let note = Note::parse(self.note.as_bytes())?;
        let fits = note.open(keys)?.text() == self.text(origin);
        fits.then_some(()).ok_or(TombstoneError::Other)
    }

    /// The text that is signed.
    fn text(&self, origin: &KeyName) -> String {
        format!("{origin}\ntombstone\n{}\n", BASE64.encode(self.unsigned().hash().as_bytes()))
    }

    fn unsigned(&self) -> Form {
        self.said().column("spans", self.spans.as_deref())
    }

    /// The columns before `note`.
    fn said(&self) -> Form {
        Form::new(TABLE, self.row)
            .column("time", self.time.as_str())
            .column("table_name", self.table.as_str())
            .column("first_row", self.first)
            .column("last_row", self.last)
            .column("row_count", self.row_count)
            .column("digest", self.digest.as_slice())
            .column("actor", self.actor.as_str())
            .column("reason", self.reason.as_str())
    }

    /// Whether it stands for exactly these entries.
    #[must_use]
    pub fn fits(&self, pruned: &Pruned) -> bool {
        self.row_count == pruned.rows && self.digest == pruned.digest.as_bytes()
    }
}

/// The digest of entries whose rows are removed, as it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    rows: i64,
    digest: Hash,
}

impl Default for Pruned {
    fn default() -> Self {
        Self { rows: 0, digest: Hash::of(b"chaperone-pruned/1\n") }
    }
}

impl Pruned {
    /// Adds the next entry. The caller sees to it that it counts.
    pub fn add(&mut self, entry: &Entry) {
        let mut bytes = Vec::with_capacity(2 * LEN + 8);
        bytes.extend_from_slice(self.digest.as_bytes());
        bytes.extend_from_slice(&entry.row.to_be_bytes());
        bytes.extend_from_slice(entry.leaf.as_bytes());
        self.digest = Hash::of(&bytes);
        self.rows += 1;
    }

    /// How many entries were added.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.digest
    }
}
