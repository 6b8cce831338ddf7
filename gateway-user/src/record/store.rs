//! The database that records go to: SQLite in a file, or PostgreSQL.
//!
//! What a store owes its writer: `Ok` means that the batch is on disk; a row that contradicts what is stored
//! is left out alone; after any failure the next write starts from a known state; and a batch that was
//! offered before is recognised by its key and not written twice.

pub(super) mod book;
pub(super) mod columns;
mod insert;
mod lock;
pub(super) mod pages;
mod postgres;
pub(super) mod prune;
pub(super) mod recover;
pub(super) mod search;
mod sqlite;

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path, time::Duration};

use sqlx::migrate::{MigrateError, Migrator};
use time::OffsetDateTime;
use uuid::Uuid;

use self::prune::{Cut, Seen, Step, Taken};
use super::{
    AcceptedToken, Config, KilledCgroup, OpenSession, RecordError, Roles, StoreKind,
    log::checkpoint::SignedCheckpoint, stored::Unit,
};

/// Every version of the schema, oldest first. A number means the same change in both.
pub(super) static SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");
/// The same for PostgreSQL.
pub(super) static POSTGRES: Migrator = sqlx::migrate!("./migrations/postgres");

/// The newest version of the schema that this program knows.
pub(super) fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The database, with the exclusive right to write this host's records to it.
#[derive(Debug)]
pub(super) enum Store {
    Sqlite(sqlite::Store),
    Postgres(postgres::Store),
}

/// What is written in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    /// By this a store recognises a batch that it was offered before.
    pub(super) key: Uuid,
    pub(super) units: Vec<Unit>,
}

impl Batch {
    pub(super) fn new(units: Vec<Unit>) -> Self {
        Self { key: Uuid::now_v7(), units }
    }
}

/// What became of one unit of a batch that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// It is on disk.
    Durable,
    /// It alone was left out, for this reason.
    Rejected(String),
}

/// Why a batch is not known to be on disk.
#[derive(Debug)]
pub(super) struct WriteError {
    pub(super) error: RecordError,
    /// The commit was asked for and not answered: the batch may be on disk. It must be offered again, as it
    /// is, until the store knows. Otherwise nothing was written.
    pub(super) in_doubt: bool,
}

/// What a former run of this host left behind.
#[derive(Debug)]
pub(super) struct Leftovers {
    /// Sessions without an end.
    pub(super) open_sessions: Vec<OpenSession>,
    /// Cgroups whose session a person ended, in the last boot.
    pub(super) killed: Vec<KilledCgroup>,
    /// Tokens that were accepted and have not expired.
    pub(super) tokens: Vec<AcceptedToken>,
    /// How many calls were closed as unknown.
    pub(super) closed_calls: u64,
}

impl Store {
    /// Creates what is missing, takes the lock, brings the schema up to date, goes on with the log.
    pub(super) async fn open(config: &Config, now: OffsetDateTime) -> Result<Self, RecordError> {
        Ok(match config.store {
            StoreKind::Sqlite => Self::Sqlite(sqlite::Store::open(config, now).await?),
            StoreKind::Postgres => Self::Postgres(postgres::Store::open(config, now).await?),
        })
    }

    /// The same, with a new log, whatever the old one is like.
    pub(super) async fn restart_log(
        config: &Config,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<Self, RecordError> {
        Ok(match config.store {
            StoreKind::Sqlite => Self::Sqlite(sqlite::Store::restart_log(config, reason, now).await?),
            StoreKind::Postgres => Self::Postgres(postgres::Store::restart_log(config, reason, now).await?),
        })
    }

    /// Closes calls of a former run as `unknown`, and tells which sessions it left open.
    pub(super) async fn recover(&mut self, now: OffsetDateTime) -> Result<Leftovers, RecordError> {
        match self {
            Self::Sqlite(store) => store.recover(now).await,
            Self::Postgres(store) => store.recover(now).await,
        }
    }

    /// Writes the whole batch in one transaction; on `Ok` it is on disk. A unit that contradicts what is
    /// stored is left out alone.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<Vec<Written>, WriteError> {
        match self {
            // SQLite answers from within this process: what it did not commit is not there.
            Self::Sqlite(store) => {
                store.write(&batch.units).await.map_err(|error| WriteError { error, in_doubt: false })
            }
            Self::Postgres(store) => store.write(batch).await,
        }
    }

    /// Removes what of a step may go, in one transaction; on `Ok` it is on disk.
    pub(super) async fn prune(&mut self, cut: &Cut, step: &Step) -> Result<Taken, RecordError> {
        match self {
            Self::Sqlite(store) => store.prune(cut, step).await,
            Self::Postgres(store) => store.prune(cut, step).await,
        }
    }

    /// Whether something may have been committed of which it is not known.
    pub(super) fn is_in_doubt(&self) -> bool {
        match self {
            Self::Sqlite(store) => store.is_in_doubt(),
            Self::Postgres(store) => store.is_in_doubt(),
        }
    }

    /// The number of this host's log; it has one after [`Store::recover`].
    pub(super) fn log(&self) -> i64 {
        match self {
            Self::Sqlite(store) => store.log(),
            Self::Postgres(store) => store.log(),
        }
    }

    /// The holds and releases that are in the database.
    pub(super) fn seen(&self) -> Seen {
        match self {
            Self::Sqlite(store) => store.seen(),
            Self::Postgres(store) => store.seen(),
        }
    }

    /// How long the next checkpoint can wait; `None` while there is nothing to sign.
    pub(super) fn until_checkpoint(&self) -> Option<Duration> {
        match self {
            Self::Sqlite(store) => store.until_checkpoint(),
            Self::Postgres(store) => store.until_checkpoint(),
        }
    }

    /// Signs what is committed; on `Ok` the checkpoint is on disk.
    pub(super) async fn checkpoint(&mut self) -> Result<SignedCheckpoint, RecordError> {
        match self {
            Self::Sqlite(store) => store.checkpoint().await,
            Self::Postgres(store) => store.checkpoint().await,
        }
    }

    /// How many calls ended that a search for a text does not find by the index yet. PostgreSQL adds them by itself.
    pub(super) fn unindexed(&self) -> u64 {
        match self {
            Self::Sqlite(store) => store.unindexed(),
            Self::Postgres(_) => 0,
        }
    }

    /// Adds some of them to the index.
    pub(super) async fn index(&mut self) -> Result<(), RecordError> {
        match self {
            Self::Sqlite(store) => store.index().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Flushes and closes; the lock is released.
    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }

    /// Makes it refuse, or no more.
    #[cfg(test)]
    pub(super) async fn set(&mut self, pragma: super::writer::Pragma) {
        match self {
            Self::Sqlite(store) => store.set(pragma).await,
            Self::Postgres(_) => panic!("{pragma:?} is SQLite's"),
        }
    }
}

/// Makes the schema of PostgreSQL what this program knows, as the role of the URL, which owns the tables, and
/// lets roles write and read.
pub(super) async fn prepare_schema(config: &Config, roles: &Roles) -> Result<i64, RecordError> {
    postgres::prepare_schema(config, roles).await?;
    Ok(newest(&POSTGRES))
}

fn explain(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => format!(
            "its schema (version {version}) was written by a newer chaperone; use that version or another \
             database"
        ),
        other => other.to_string(),
    }
}

/// Makes the directory that a file is to be in.
fn create_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o750).create(parent)
        }
        Some(_) | None => Ok(()),
    }
}

fn refused(error: sqlx::Error) -> RecordError {
    RecordError::Store(error.to_string())
}
