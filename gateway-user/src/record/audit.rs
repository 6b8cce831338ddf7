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
        file,
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
mod founding;

use contents::contents;
pub use contents::{Contents, Wrong};
use founding::{Founding, foundings};

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

impl Request {
    fn asks_for(&self, log: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == log)
    }
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
    /// Logs that a checkpoint outside the database is of and that the database does not have.
    pub missing: Vec<String>,
    /// The number of a log that the database does not have, although entries or checkpoints are said to be of it: rows
    /// could be hidden under it.
    pub stray: Option<i64>,
    /// Rows that are in no log that was read, where all were: somebody hid them.
    pub unread: Option<u64>,
    /// Logs with entries of which nobody has signed anything yet: nothing can be said of them either.
    pub unsigned: Vec<String>,
    /// The contents of bodies.
    pub contents: Contents,
}

impl Audit {
    /// Whether something does not fit.
    #[must_use]
    pub fn has_discrepancy(&self) -> bool {
        !self.missing.is_empty()
            || self.stray.is_some()
            || self.unread.is_some()
            || self.contents.wrong.is_some()
            || self.logs.iter().any(|log| log.found.is_err())
    }

    /// Whether there is a log of which nothing can be said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        !self.without_key.is_empty() || !self.unsigned.is_empty()
    }

    /// A log that is not gone on with is what the one after it says in its signed beginning, neither more nor less. Of others
    /// that nobody signed nothing is known.
    fn vouch(&mut self, logs: &[LogRow], foundings: &HashMap<i64, Founding>) {
        let is_signed = |log: &&Audited| log.found.as_ref().is_ok_and(|report| report.signed > 0);
        let mut vouched = HashMap::new();
        for later in self.logs.iter().filter(is_signed) {
            let row = logs.iter().find(|log| log.origin == later.origin);
            if let Some(before) = row.and_then(|row| foundings.get(&row.id)?.before.clone()) {
                vouched.insert(before.origin.clone(), before);
            }
        }
        for log in &mut self.logs {
            let Ok(report) = &log.found else { continue };
            match vouched.get(&log.origin) {
                Some(before)
                    if (report.size, report.root.to_string()) != (before.size, before.root.clone()) =>
                {
                    log.found = Err(Discrepancy::GoneOn { size: before.size, found: report.size });
                }
                Some(_) => {}
                None if report.size > 0 && report.signed == 0 => self.unsigned.push(log.origin.clone()),
                None => {}
            }
        }
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
    /// A checkpoint of outside is none.
    #[error("a checkpoint kept outside the database is not believed: {0}")]
    Against(CheckpointError),
    /// This host's own is there and cannot be read.
    #[error("the checkpoint file {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// There is no log, or none of the wanted name.
    #[error("the database has no log{}", .0.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default())]
    NoLog(Option<String>),
    /// The name of this host's log is none.
    #[error("the name {0:?} of this host's log is none")]
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
    // Before the database: what is in the file is in the database by then.
    let request = with_own_checkpoint(config, request)?;
    let mut conn = Reader::open(config).await?.into_connection().await?;
    let begin = conn.begin();
    conn.conn().execute(begin).await?;
    let logs = conn.conn().logs().await?;
    let unknown = request.only.iter().find(|name| !logs.iter().any(|log| log.origin == **name));
    if logs.is_empty() || unknown.is_some() {
        return Err(AuditError::NoLog(unknown.cloned()));
    }
    let wanted: Vec<&LogRow> = logs.iter().filter(|log| request.asks_for(&log.origin)).collect();
    let mut found = Audit {
        missing: missing(&request, &logs),
        stray: conn.conn().stray_log(&logs).await?,
        ..Audit::default()
    };
    let foundings = foundings(&mut conn.conn(), config, &logs).await?;
    let mut entries = 0;
    for log in &wanted {
        entries += conn.conn().size(log.id).await?;
    }
    progress.0.all.store(entries, Ordering::Relaxed);
    for log in wanted {
        let audited = |found| Audited { origin: log.origin.clone(), hostname: log.hostname.clone(), found };
        let Ok(origin) = log.origin.parse::<KeyName>() else {
            found.logs.push(audited(Err(Discrepancy::Unnamed)));
            continue;
        };
        let founding = foundings.get(&log.id).cloned().unwrap_or_default();
        let keys = match founding.is_key_gone && request.keys.is_empty() {
            true => Vec::new(),
            false => keys(config, &request, log, &origin)?,
        };
        if keys.is_empty() && founding.fits {
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
            // What nobody signed, anybody could have begun.
            Ok(report) if !founding.fits || (founding.is_later && report.signed == 0) => {
                Err(Discrepancy::Unfounded)
            }
            Ok(report) => Ok(report),
            Err(VerifyError::Discrepancy(discrepancy)) => Err(discrepancy),
            Err(VerifyError::Source(error)) => return Err(error.into()),
        };
        found.logs.push(audited(verified));
    }
    found.vouch(&logs, &foundings);
    if found.logs.len() == logs.len() && found.logs.iter().all(|log| log.found.is_ok()) {
        let rows: u64 =
            found.logs.iter().filter_map(|log| log.found.as_ref().ok()).map(|report| report.rows).sum();
        found.unread = conn.conn().leaf_rows().await?.checked_sub(rows).filter(|unread| *unread > 0);
    }
    found.contents = contents(&mut conn.conn()).await?;
    Ok(found)
}

/// Who verifies with this host's key has its checkpoint file, too.
fn with_own_checkpoint(config: &Config, mut request: Request) -> Result<Request, AuditError> {
    if !request.keys.is_empty() {
        return Ok(request);
    }
    let path = config.checkpoint_file();
    let read = file::read(&path);
    let note = read.map_err(|error| AuditError::File { path: path.display().to_string(), error })?;
    let is_wanted = |note: &Vec<u8>| request.asks_for(&names(note)) && !request.against.contains(note);
    if let Some(note) = note.filter(is_wanted) {
        request.against.push(note);
    }
    Ok(request)
}

/// The log that a note says it is of: nobody's word.
fn names(note: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(note.split(|byte| *byte == b'\n').next().unwrap_or_default())
}

/// Logs of which something is known and that are not there: who has a key has seen the log.
fn missing(request: &Request, logs: &[LogRow]) -> Vec<String> {
    let keys = request.keys.iter().map(|key| key.name().as_str().to_owned());
    let keys = keys.filter(|name| request.asks_for(name));
    let mut names: Vec<String> =
        request.against.iter().map(|note| names(note).into_owned()).chain(keys).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !logs.iter().any(|log| log.origin == *name));
    names
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
    if !log.is_ours(config) {
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
    let log = logs.iter().rev().find(|log| log.is_ours(config)).ok_or(AuditError::NoLog(None))?;
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
