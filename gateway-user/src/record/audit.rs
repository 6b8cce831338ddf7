//! Verification of a whole database: every log with its rows, read in one transaction and in constant memory.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{PgConnection, SqliteConnection};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    Config,
    log::{
        checkpoint::CheckpointError,
        key::{LogKey, LogKeyError},
        note::{KeyName, Sign as _, VerifierKey},
        tombstone::Tombstone,
        verify::{Discrepancy, Found, Report, Source, Stored, Trust, VerifyError, verify},
        writer::Entry,
    },
    query::{QueryError, Reader},
    store::{
        columns::{LEAVES, Leaves},
        pages::{Conn, LogRow, Whose},
    },
};

mod contents;

use contents::contents;
pub use contents::{Contents, Wrong};

/// Rows that are read at a time.
const CHUNK: i64 = 2000;

/// What is verified, and whom that believes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The keys that are believed. Without any: that of this host's key file.
    pub keys: Vec<VerifierKey>,
    /// Notes of checkpoints that were kept elsewhere.
    pub against: Vec<Vec<u8>>,
    /// Only the logs of these names; without any all.
    pub only: Vec<String>,
}

/// How far the verification is.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    entries: AtomicU64,
    all: AtomicU64,
}

impl Progress {
    /// How many log entries were read, and how many there are.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        (self.0.entries.load(Ordering::Relaxed), self.0.all.load(Ordering::Relaxed))
    }
}

/// What was found of one log.
#[derive(Debug)]
pub struct Audited {
    /// Its name.
    pub origin: String,
    /// The host that writes it.
    pub hostname: String,
    /// What was found, or the first thing that does not fit.
    pub found: Result<Report, Discrepancy>,
}

/// What was found in a database.
#[derive(Debug, Default)]
pub struct Audit {
    /// The logs that were read, oldest first.
    pub logs: Vec<Audited>,
    /// Those of whose keys none was given: nothing can be said of them.
    pub without_key: Vec<String>,
    /// Logs that a given checkpoint is of and that the database does not have.
    pub missing: Vec<String>,
    /// The contents of bodies.
    pub contents: Contents,
}

impl Audit {
    /// Whether something does not fit.
    #[must_use]
    pub fn has_discrepancy(&self) -> bool {
        !self.missing.is_empty()
            || self.contents.wrong.is_some()
            || self.logs.iter().any(|log| log.found.is_err())
    }
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database cannot be opened.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There is nothing to verify with.
    #[error("no --key is given, and this host's key cannot be read: {0}")]
    Key(#[from] LogKeyError),
    /// A given checkpoint is none.
    #[error("the given checkpoint is not believed: {0}")]
    Against(CheckpointError),
    /// There is no log, or none of the wanted name.
    #[error("the database has no log{}", .0.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default())]
    NoLog(Option<String>),
    /// A log's name is none.
    #[error("the name {0:?} of a log in the database is none")]
    Name(String),
    /// Reading failed on the way.
    #[error("the database cannot be read on: {0}")]
    Read(String),
}

impl From<sqlx::Error> for AuditError {
    fn from(error: sqlx::Error) -> Self {
        Self::Read(error.to_string())
    }
}

/// Reads the whole database, one log after the other.
///
/// # Errors
/// [`AuditError`]: nothing can be said. That something does not fit is no error.
pub async fn audit(config: &Config, request: Request, progress: Progress) -> Result<Audit, AuditError> {
    let mut conn = Reader::open(config).await?.into_connection().await?;
    let begin = conn.begin();
    conn.conn().execute(begin).await?;
    let logs = conn.conn().logs().await?;
    let unknown = request.only.iter().find(|name| !logs.iter().any(|log| log.origin == **name));
    if logs.is_empty() || unknown.is_some() {
        return Err(AuditError::NoLog(unknown.cloned()));
    }
    let wanted: Vec<&LogRow> =
        logs.iter().filter(|log| request.only.is_empty() || request.only.contains(&log.origin)).collect();
    let mut found = Audit { missing: missing(&request.against, &logs), ..Audit::default() };
    let mut entries = 0;
    for log in &wanted {
        entries += conn.conn().size(log.id).await?;
    }
    progress.0.all.store(entries, Ordering::Relaxed);
    for log in wanted {
        let origin: KeyName = log.origin.parse().map_err(|_| AuditError::Name(log.origin.clone()))?;
        let keys = keys(config, &request, log, &origin)?;
        if keys.is_empty() {
            found.without_key.push(log.origin.clone());
            continue;
        }
        let mut trust = Trust::new(&origin, &keys);
        for note in request.against.iter().filter(|note| names(note) == log.origin) {
            trust = trust.against(note).map_err(AuditError::Against)?;
        }
        let whose = if logs.len() == 1 { Whose::Anybody } else { Whose::LogOrNobody(log.id) };
        let mut source = Database::new(conn, Handle::current(), log.id, whose, progress.clone());
        let verified = spawn_blocking(move || (verify(&mut source, &trust), source.conn)).await;
        let (verified, back) = verified.map_err(|error| AuditError::Read(error.to_string()))?;
        conn = back;
        let verified = match verified {
            Ok(report) => Ok(report),
            Err(VerifyError::Discrepancy(discrepancy)) => Err(discrepancy),
            Err(VerifyError::Source(error)) => return Err(error.into()),
        };
        found.logs.push(Audited {
            origin: log.origin.clone(),
            hostname: log.hostname.clone(),
            found: verified,
        });
    }
    found.contents = contents(&mut conn.conn()).await?;
    Ok(found)
}

/// The log that a note says it is of: nobody's word.
fn names(note: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(note.split(|byte| *byte == b'\n').next().unwrap_or_default())
}

fn missing(against: &[Vec<u8>], logs: &[LogRow]) -> Vec<String> {
    let is_there = |name: &Cow<'_, str>| logs.iter().any(|log| log.origin == *name);
    against.iter().map(|note| names(note)).filter(|name| !is_there(name)).map(Cow::into_owned).collect()
}

/// Those that were given, or that of the key file, which is this host's.
fn keys(
    config: &Config,
    request: &Request,
    log: &LogRow,
    origin: &KeyName,
) -> Result<Vec<VerifierKey>, AuditError> {
    if !request.keys.is_empty() {
        return Ok(request.keys.iter().filter(|key| key.name() == origin).cloned().collect());
    }
    let is_ours = config.store == super::StoreKind::Sqlite || log.hostname == config.host_name();
    if !is_ours {
        return Ok(Vec::new());
    }
    Ok(vec![LogKey::load(&config.log_key(), origin.clone())?.verifier().clone()])
}

/// The key that verifies this host's newest log.
///
/// # Errors
/// [`AuditError`].
pub async fn verifier(config: &Config) -> Result<VerifierKey, AuditError> {
    let mut conn = Reader::open(config).await?.into_connection().await?;
    let logs = conn.conn().logs().await?;
    let is_ours =
        |log: &&LogRow| config.store == super::StoreKind::Sqlite || log.hostname == config.host_name();
    let log = logs.iter().rev().find(is_ours).ok_or(AuditError::NoLog(None))?;
    let origin: KeyName = log.origin.parse().map_err(|_| AuditError::Name(log.origin.clone()))?;
    Ok(LogKey::load(&config.log_key(), origin)?.verifier().clone())
}

/// A connection that only reads.
#[derive(Debug)]
pub(super) enum ReadConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl ReadConnection {
    pub(super) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn) => Conn::Sqlite(conn),
            Self::Postgres(conn) => Conn::Postgres(conn),
        }
    }

    /// What all is read in: otherwise a row and its entry could be seen apart.
    fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// One log of a database. Its reader has a thread of its own.
struct Database {
    conn: ReadConnection,
    handle: Handle,
    log: i64,
    whose: Whose,
    progress: Progress,
    entries: VecDeque<Entry>,
    next_entry: i64,
    checkpoints: VecDeque<Stored>,
    last_checkpoint: i64,
    tables: HashMap<&'static str, Rows>,
}

/// One table.
struct Rows {
    leaves: &'static Leaves,
    read: VecDeque<Found>,
    from: i64,
    ended: bool,
}

impl Database {
    fn new(conn: ReadConnection, handle: Handle, log: i64, whose: Whose, progress: Progress) -> Self {
        let rows =
            |leaves: &'static Leaves| Rows { leaves, read: VecDeque::new(), from: i64::MIN, ended: false };
        Self {
            conn,
            handle,
            log,
            whose,
            progress,
            entries: VecDeque::new(),
            next_entry: i64::MIN,
            checkpoints: VecDeque::new(),
            last_checkpoint: -1,
            tables: LEAVES.iter().map(|leaves| (leaves.table, rows(leaves))).collect(),
        }
    }
}

impl Source for Database {
    type Error = sqlx::Error;

    fn tables(&self) -> Vec<Cow<'static, str>> {
        LEAVES.iter().map(|leaves| leaves.table.into()).collect()
    }

    fn tombstones(&mut self) -> Result<Vec<(Tombstone, Option<Entry>)>, sqlx::Error> {
        let Self { handle, conn, log, .. } = self;
        handle.block_on(async { conn.conn().tombstones(*log).await })
    }

    fn entry(&mut self) -> Result<Option<Entry>, sqlx::Error> {
        if self.entries.is_empty() {
            let Self { handle, conn, log, next_entry, .. } = self;
            let read = handle.block_on(async { conn.conn().entries(*log, *next_entry, CHUNK).await })?;
            if let Some(last) = read.last() {
                *next_entry = last.index.cast_signed().saturating_add(1);
            }
            self.progress.0.entries.fetch_add(read.len() as u64, Ordering::Relaxed);
            self.entries = read.into();
        }
        Ok(self.entries.pop_front())
    }

    fn row(&mut self, table: &str) -> Result<Option<Found>, sqlx::Error> {
        let Self { handle, conn, whose, tables, .. } = self;
        let Some(rows) = tables.get_mut(table) else { return Ok(None) };
        if rows.read.is_empty() && !rows.ended {
            let read =
                handle.block_on(async { conn.conn().rows(rows.leaves, *whose, rows.from, CHUNK).await })?;
            rows.ended = (read.len() as u64) < CHUNK.cast_unsigned();
            if let Some(last) = read.last() {
                rows.from = last.row().saturating_add(1);
            }
            rows.read = read.iter().map(|form| Found { row: form.row(), leaf: form.hash() }).collect();
        }
        Ok(rows.read.pop_front())
    }

    fn checkpoint(&mut self) -> Result<Option<Stored>, sqlx::Error> {
        if self.checkpoints.is_empty() {
            let Self { handle, conn, log, last_checkpoint, .. } = self;
            let read =
                handle.block_on(async { conn.conn().checkpoints(*log, *last_checkpoint, CHUNK).await })?;
            if let Some(last) = read.last() {
                *last_checkpoint = last.size.cast_signed();
            }
            self.checkpoints = read.into();
        }
        Ok(self.checkpoints.pop_front())
    }
}
