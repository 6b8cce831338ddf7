//! What was hidden in an answer, for the record.

use std::sync::Arc;

use super::{DIGEST_LEN, plan::FieldId};

/// Entries of a [`Report`]; of what is hidden beyond them only the number is told.
pub const ENTRIES_MAX: usize = 256;

/// Why a value was hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It is this field of the plan.
    Field(FieldId),
    /// This detector found it.
    Detector(Arc<str>),
    /// The plan expects something else at its place, so nothing is known of it.
    Shape,
}

/// One hidden value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stood: `Parameters[3].Value`; empty for a whole body. Control characters are replaced, and it
    /// ends in `…` where it was too long. In XML an entry of a map is a number: `Attributes[2]`.
    pub path: String,
    /// Why.
    pub cause: Cause,
    /// The keyed digest of the value: for texts, numbers and truth values of what they say, for bytes of their
    /// base64, whatever the format.
    pub digest: [u8; DIGEST_LEN],
}

/// What was hidden in one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The first [`ENTRIES_MAX`], in the order of the answer.
    pub entries: Vec<Entry>,
    /// How many there were beyond them.
    pub more: u64,
}

impl Report {
    /// How many values were hidden.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.entries.len() as u64).saturating_add(self.more)
    }

    pub(super) fn add(&mut self, path: impl FnOnce() -> String, cause: Cause, digest: [u8; DIGEST_LEN]) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push(Entry { path: path(), cause, digest });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}
