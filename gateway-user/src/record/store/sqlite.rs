//! The SQLite file: opened once, written by one connection, reopened after every failure.

mod insert;

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqliteTransaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use time::OffsetDateTime;

use super::{
    Leftovers, SQLITE, Written,
    book::{Book, Pages},
    create_parent, explain,
    insert::{insert, is_repeated},
    lock::Lock,
    pages::Conn,
    prune::{self, Cut, Seen, Step, Taken},
    recover, refused,
    search::{self, Added},
};
use crate::record::{
    Config, RecordError,
    log::{checkpoint::SignedCheckpoint, writer::Draft},
    stamp::stamp,
    stored::{EventRow, Unit},
};

/// The database, with the exclusive right to write to it.
#[derive(Debug)]
pub(in crate::record) struct Store {
    file: DatabaseFile,
    book: Book,
    /// What was to be committed when the database refused: it may have been.
    doubt: Option<Draft>,
    /// Ended calls that are not in the index of texts, as far as this run knows.
    unindexed: u64,
    _lock: Lock,
}

/// The file, and the connection to it.
#[derive(Debug)]
struct DatabaseFile {
    path: PathBuf,
    options: SqliteConnectOptions,
    /// Device and inode: a file that was moved away must not go on collecting records unseen.
    identity: (u64, u64),
    /// `None` after a failure; the next write connects again.
    conn: Option<SqliteConnection>,
}

impl Store {
    /// Creates what is missing, takes the lock, brings the schema up to date, goes on with the log.
    pub(super) async fn open(config: &Config, now: OffsetDateTime) -> Result<Self, RecordError> {
        let (mut conn, file, lock) = connect(config).await?;
        let book = Book::open(&mut Conn::Sqlite(&mut conn), config, now).await;
        let book = book.map_err(|error| failed(&file.path, error.to_string()))?;
        Ok(Self::of(DatabaseFile { conn: Some(conn), ..file }, book, lock))
    }

    /// The same, with a new log.
    pub(super) async fn restart_log(
        config: &Config,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<Self, RecordError> {
        let (mut conn, file, lock) = connect(config).await?;
        let book = Book::restart(&mut Conn::Sqlite(&mut conn), config, reason, now).await;
        let book = book.map_err(|error| failed(&file.path, error.to_string()))?;
        Ok(Self::of(DatabaseFile { conn: Some(conn), ..file }, book, lock))
    }

    fn of(file: DatabaseFile, book: Book, lock: Lock) -> Self {
        // Another run may have left some out of the index.
        Self { file, book, doubt: None, unindexed: search::STEP, _lock: lock }
    }

    /// Closes calls of a former run as `unknown`, and tells which sessions it left open.
    pub(super) async fn recover(&mut self, now: OffsetDateTime) -> Result<Leftovers, RecordError> {
        let database = self.file.path.display().to_string();
        let mut tx = self.file.begin().await.map_err(refused)?;
        let recovered = async {
            let news = self.book.begin(&mut Conn::Sqlite(&mut tx)).await?;
            let mut pages = self.book.pages(&mut Conn::Sqlite(&mut tx)).await?;
            if let Some(news) = news {
                insert(&mut *tx, &[Unit::Event(EventRow::new(news, now))], &mut pages).await?;
            }
            let leftovers = recover(&mut tx, &mut pages, now).await?;
            Conn::Sqlite(&mut tx).add_entries(self.book.id, pages.draft.entries()).await?;
            self.book.found(&mut Conn::Sqlite(&mut tx), &pages.draft).await?;
            tx.commit().await?;
            Ok::<_, sqlx::Error>((leftovers, pages.draft))
        };
        let recovered = recovered.await;
        let (leftovers, draft) =
            recovered.map_err(|error| RecordError::Open { database, detail: error.to_string() })?;
        self.book.commit(draft).map_err(|error| self.book.foreign(&error))?;
        Ok(leftovers)
    }

    /// Writes all of `units` in one transaction; on `Ok` it is on disk. A unit that contradicts what
    /// is stored is left out alone.
    ///
    /// # Errors
    /// [`RecordError::Store`]: nothing was written.
    pub(super) async fn write(&mut self, units: &[Unit]) -> Result<Vec<Written>, RecordError> {
        let ended = units.iter().filter(|unit| matches!(unit, Unit::Outcome(_))).count();
        let result = match self.write_together(units).await {
            Err(Failure::Row(_)) => self.write_apart(units).await,
            other => other.map(|()| vec![Written::Durable; units.len()]),
        };
        if result.is_err() {
            // Whatever state the connection is in, a new one is in a known one.
            self.file.disconnect().await;
        } else {
            self.unindexed = self.unindexed.saturating_add(ended as u64);
        }
        result.map_err(Failure::into_error)
    }

    /// Ended calls that are not in the index of texts, about: another run may have left some.
    pub(super) fn unindexed(&self) -> u64 {
        self.unindexed
    }

    /// Adds a step of them to it.
    ///
    /// # Errors
    /// [`RecordError::Store`]: nothing was added.
    pub(super) async fn index(&mut self) -> Result<(), RecordError> {
        let added = self.add_texts().await;
        match added {
            Ok(Added { more: false, .. }) => self.unindexed = 0,
            // How many are left is known only of what this run wrote.
            Ok(Added { calls, .. }) => {
                self.unindexed = self.unindexed.saturating_sub(calls).max(search::STEP)
            }
            Err(_) => self.file.disconnect().await,
        }
        added.map(drop).map_err(Failure::into_error)
    }

    async fn add_texts(&mut self) -> Result<Added, Failure> {
        let mut tx = self.file.begin().await?;
        let added = search::add(&mut tx).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// Removes what of a step may go.
    ///
    /// # Errors
    /// [`RecordError::Store`]: nothing was removed, unless only the answer was lost.
    pub(super) async fn prune(&mut self, cut: &Cut, step: &Step) -> Result<Taken, RecordError> {
        let began = Instant::now();
        let taken = self.take(cut, step).await;
        if taken.is_err() {
            self.file.disconnect().await;
        }
        taken.map(|taken| Taken { took: Some(began.elapsed()), ..taken }).map_err(Failure::into_error)
    }

    async fn take(&mut self, cut: &Cut, step: &Step) -> Result<Taken, Failure> {
        self.settle().await?;
        let mut tx = self.file.begin().await?;
        let mut conn = Conn::Sqlite(&mut tx);
        let mut pages = self.book.pages(&mut conn).await?;
        let taken = prune::prune(&mut conn, &self.book, &mut pages, cut, step).await;
        let taken = taken.map_err(|error| Failure::Log(RecordError::Store(error.to_string())))?;
        if let Err(error) = tx.commit().await {
            self.doubt = Some(pages.draft);
            return Err(error.into());
        }
        self.book.commit(pages.draft).map_err(|error| Failure::Log(self.book.foreign(&error)))?;
        Ok(taken)
    }

    /// Whether something may have been committed of which it is not known.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// The number of this host's log.
    pub(super) fn log(&self) -> i64 {
        self.book.id
    }

    /// The holds and releases that are in the database.
    pub(super) fn seen(&self) -> Seen {
        self.book.seen().clone()
    }

    /// How long the next checkpoint can wait; `None` while there is nothing to sign.
    pub(super) fn until_checkpoint(&self) -> Option<Duration> {
        self.book.wait()
    }

    /// Signs what is committed.
    pub(super) async fn checkpoint(&mut self) -> Result<SignedCheckpoint, RecordError> {
        let signed = self.sign().await;
        if signed.is_err() {
            self.file.disconnect().await;
        }
        signed.map_err(Failure::into_error)
    }

    /// Flushes and closes; the lock is released.
    pub(super) async fn close(mut self) {
        self.file.disconnect().await;
    }

    async fn sign(&mut self) -> Result<SignedCheckpoint, Failure> {
        self.settle().await?;
        let mut tx = self.file.begin().await?;
        let signed = self.book.sign(&mut Conn::Sqlite(&mut tx)).await;
        let signed = signed.map_err(|error| Failure::Log(RecordError::Store(error.to_string())))?;
        tx.commit().await?;
        self.book.signed(&signed);
        Ok(signed)
    }

    async fn write_together(&mut self, units: &[Unit]) -> Result<(), Failure> {
        self.settle().await?;
        let mut tx = self.file.begin().await?;
        let mut pages = self.book.pages(&mut Conn::Sqlite(&mut tx)).await?;
        insert(&mut *tx, units, &mut pages).await.map_err(Failure::of_row)?;
        finish(tx, pages, &mut self.book, &mut self.doubt).await
    }

    /// One savepoint per unit, so that a bad one does not take the others with it.
    async fn write_apart(&mut self, units: &[Unit]) -> Result<Vec<Written>, Failure> {
        let mut written = Vec::with_capacity(units.len());
        self.settle().await?;
        let mut tx = self.file.begin().await?;
        let mut pages = self.book.pages(&mut Conn::Sqlite(&mut tx)).await?;
        for unit in units {
            let mut savepoint = tx.begin().await?;
            let mark = pages.mark();
            match insert(&mut *savepoint, std::slice::from_ref(unit), &mut pages).await {
                Ok(()) => {
                    savepoint.commit().await?;
                    written.push(Written::Durable);
                }
                Err(error) if is_constraint(&error) => {
                    savepoint.rollback().await?;
                    pages.rewind(mark);
                    let repeated = is_repeated(Conn::Sqlite(&mut tx), unit, &mut pages).await?;
                    let rejected = || Written::Rejected(error.to_string());
                    written.push(if repeated { Written::Durable } else { rejected() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        finish(tx, pages, &mut self.book, &mut self.doubt).await?;
        Ok(written)
    }

    /// Finds out what became of a commit that the database did not confirm.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Some(draft) = &self.doubt else { return Ok(()) };
        let mut tx = self.file.begin().await?;
        let stored = Conn::Sqlite(&mut tx).size(self.book.id).await?;
        tx.rollback().await?;
        self.book.settle(draft.clone(), stored).map_err(|error| Failure::Log(self.book.foreign(&error)))?;
        self.doubt = None;
        Ok(())
    }

    /// Makes it refuse, or no more: with a new connection, as every failure does.
    #[cfg(test)]
    pub(super) async fn set(&mut self, (name, value): crate::record::writer::Pragma) {
        self.file.options = self.file.options.clone().pragma(name, value.to_string());
        self.file.disconnect().await;
    }
}

/// What is wrong with a transaction.
enum Failure {
    /// What is in one of its rows.
    Row(sqlx::Error),
    /// The database refuses.
    Database(sqlx::Error),
    /// Somebody else writes.
    Log(RecordError),
}

impl Failure {
    fn into_error(self) -> RecordError {
        match self {
            Self::Row(error) | Self::Database(error) => refused(error),
            Self::Log(error) => error,
        }
    }

    fn of_row(error: sqlx::Error) -> Self {
        if is_constraint(&error) { Self::Row(error) } else { Self::Database(error) }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl DatabaseFile {
    async fn begin(&mut self) -> Result<SqliteTransaction<'_>, sqlx::Error> {
        if identity(&self.path)? != self.identity {
            return Err(io::Error::other("the file was moved or replaced; restart the daemon").into());
        }
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.options.connect().await?,
        };
        // IMMEDIATE: wait for the lock here, not in the middle of the transaction.
        self.conn.insert(conn).begin_with("BEGIN IMMEDIATE").await
    }

    async fn disconnect(&mut self) {
        if let Some(conn) = self.conn.take()
            && let Err(error) = conn.close().await
        {
            tracing::debug!(%error, "closing the session database");
        }
    }
}

/// Creates what is missing, takes the lock, brings the schema up to date.
async fn connect(config: &Config) -> Result<(SqliteConnection, DatabaseFile, Lock), RecordError> {
    let path = &config.database;
    let failed = |detail: String| failed(path, detail);
    create_parent(path).map_err(|error| failed(format!("its directory: {error}")))?;
    let lock = Lock::take(config)?;
    let identity = create_file(path).map_err(|error| failed(error.to_string()))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(config.busy_timeout_ms))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // In pages of 4 KiB. The pages of the indexes change again and again: the longer they stay in
        // the WAL, the fewer of them are written twice.
        .pragma("wal_autocheckpoint", "8000")
        // What retention removes is not left to be read in free pages.
        .pragma("secure_delete", "on")
        // The WAL grows during long reads; it shrinks again to this.
        .pragma("journal_size_limit", "67108864")
        // Those of a batch for each number of rows, and the others.
        .statement_cache_capacity(256)
        .disable_statement_logging();
    let mut conn = options.connect().await.map_err(|error| failed(error.to_string()))?;
    SQLITE.run(&mut conn).await.map_err(|error| failed(explain(&error)))?;
    Ok((conn, DatabaseFile { path: path.clone(), options, identity, conn: None }, lock))
}

fn failed(path: &Path, detail: String) -> RecordError {
    RecordError::Open { database: path.display().to_string(), detail }
}

/// Writes the log's entries and commits. A commit that failed is in doubt: its pages may be on disk all the same, and are
/// then found when the file is opened again.
async fn finish(
    mut tx: SqliteTransaction<'_>,
    pages: Pages,
    book: &mut Book,
    doubt: &mut Option<Draft>,
) -> Result<(), Failure> {
    match Conn::Sqlite(&mut tx).add_entries(book.id, pages.draft.entries()).await {
        Err(error) if is_constraint(&error) => return Err(Failure::Log(book.foreign(&error))),
        added => added?,
    }
    if let Err(error) = tx.commit().await {
        *doubt = Some(pages.draft);
        return Err(error.into());
    }
    book.commit(pages.draft).map_err(|error| Failure::Log(book.foreign(&error)))
}

async fn recover(
    tx: &mut SqliteConnection,
    pages: &mut Pages,
    now: OffsetDateTime,
) -> Result<Leftovers, sqlx::Error> {
    // Only calls that came after the last start can be open: that start closed all before it.
    let last: Option<String> = sqlx::query_scalar(recover::LAST_START)
        .bind(None::<&str>)
        .bind(recover::OPENED)
        .fetch_optional(&mut *tx)
        .await?;
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM calls WHERE seq > ? \
           AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.call = calls.id) ORDER BY seq",
    )
    .bind(recover::number(last.as_deref(), "last_call"))
    .fetch_all(&mut *tx)
    .await?;
    let closed_calls = open.len() as u64;
    let last_call: i64 =
        sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM calls").fetch_one(&mut *tx).await?;
    let opened = recover::opened(serde_json::json!({ "last_call": last_call, "closed_calls": closed_calls }));
    insert(tx, &recover::units(open, opened, now), pages).await?;
    let open_sessions = sqlx::query_as(recover::OPEN_SESSIONS).bind(None::<&str>).fetch_all(&mut *tx).await?;
    let killed =
        sqlx::query_as(recover::ENDED_CGROUPS).bind(recover::KILLED.as_str()).fetch_all(&mut *tx).await?;
    let tokens =
        sqlx::query_as(recover::TOKENS).bind(None::<&str>).bind(stamp(now)).fetch_all(&mut *tx).await?;
    Ok(recover::leftovers(open_sessions, killed, tokens, closed_calls))
}

/// Makes sure that the file is there and nobody else may read or change it. SQLite gives the WAL and
/// its index the mode of the database.
fn create_file(path: &Path) -> io::Result<(u64, u64)> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o027 != 0 {
        file.set_permissions(fs::Permissions::from_mode(mode & 0o640))?;
        tracing::warn!(path = %path.display(), "the session database was open to others; its mode is now 0640");
    }
    identity(path)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// SQLITE_CONSTRAINT in any of its forms (<https://www.sqlite.org/rescode.html#constraint>): the row is
/// at fault, not the database.
fn is_constraint(error: &sqlx::Error) -> bool {
    const SQLITE_CONSTRAINT: i64 = 19;
    error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<i64>().ok())
        .is_some_and(|code| code & 0xff == SQLITE_CONSTRAINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_writer_is_as_durable_as_documented() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { database: dir.path().join("chaperone.db"), ..Config::default() };
        let mut store = Store::open(&config, time::macros::datetime!(2026-03-01 12:00 UTC)).await.unwrap();
        // After a failure the connection is a new one, and no worse.
        for _ in 0..2 {
            let mut tx = store.file.begin().await.unwrap();
            let pragmas: (String, i64, i64) =
                sqlx::query_as("SELECT * FROM pragma_journal_mode, pragma_synchronous, pragma_foreign_keys")
                    .fetch_one(&mut *tx)
                    .await
                    .unwrap();
            const FULL: i64 = 2;
            assert_eq!(pragmas, ("wal".to_owned(), FULL, 1));
            // As `.cargo/config.toml` has it built.
            let built: Vec<String> =
                sqlx::query_scalar("PRAGMA compile_options").fetch_all(&mut *tx).await.unwrap();
            assert!(built.contains(&"DEFAULT_MEMSTATUS=0".to_owned()), "{built:?}");
            assert!(!built.contains(&"ENABLE_MEMORY_MANAGEMENT".to_owned()), "{built:?}");
            drop(tx);
            store.file.disconnect().await;
        }
    }
}
