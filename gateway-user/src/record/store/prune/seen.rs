//! The holds and releases that a daemon has seen, by what the log says of them: they do not go away.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::record::{
    log::{hash::LeafHash, writer::Entry},
    store::pages::{Conn, Place},
};

/// Their tables.
const TABLES: [&str; 2] = ["holds", "hold_releases"];

/// What was seen. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(in crate::record) struct Seen(Arc<Mutex<BTreeMap<(&'static str, i64), LeafHash>>>);

impl Seen {
    /// Those of a transaction: they are noted when it is known to be committed.
    pub(in crate::record) fn among(entries: &[Entry]) -> Vec<Entry> {
        entries.iter().filter(|entry| TABLES.contains(&entry.table.as_ref())).cloned().collect()
    }

    /// These are committed.
    pub(in crate::record) fn note(&self, entries: &[Entry]) {
        for Entry { table, row, leaf, .. } in entries {
            if let Some(table) = TABLES.iter().find(|known| **known == table.as_ref()) {
                self.add(table, *row, *leaf);
            }
        }
    }

    /// Notes those that the database has.
    pub(in crate::record) async fn read(&self, conn: &mut Conn<'_>) -> Result<(), sqlx::Error> {
        for table in TABLES {
            for (row, Place { leaf, .. }) in conn.leaves(table, &[], None).await? {
                self.add(table, row, leaf);
            }
        }
        Ok(())
    }

    pub(super) fn add(&self, table: &'static str, row: i64, leaf: LeafHash) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((table, row)).or_insert(leaf);
    }

    /// The rows of a table.
    pub(super) fn of(&self, table: &str) -> Vec<(i64, LeafHash)> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|((of, _), _)| *of == table).map(|((_, row), leaf)| (*row, *leaf)).collect()
    }
}
