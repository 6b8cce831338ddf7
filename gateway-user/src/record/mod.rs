//! The session database: the intent is durable before anything leaves the host.
//!
//! A call is recorded in two facts. `Recorder::intend` writes the intent and returns only when it
//! is on disk; the `OpenCall` it returns is the right, and the duty, to write the outcome. Whoever
//! drops an `OpenCall` has recorded that the call was aborted; a crash leaves an intent without
//! outcome, which the next start closes as `unknown`. Facts are added, never changed.
//!
//! One task writes (`writer`): whatever waits goes into one transaction, so that many calls share
//! one flush of the disk. If it cannot write, new calls are refused, and outcomes of calls that
//! already happened wait in slots that were reserved for them when their intents were accepted.
//!
//! With a call, its bodies are kept (`capture`): the answer as the agent got it, the parameters without secrets.
//!
//! `query` reads, in other processes too, while the daemon writes.

use std::{path::PathBuf, time::Duration};

use crate::clock::Clock;

pub mod audit;
mod bounds;
mod capture;
pub mod log;
pub mod query;
mod recorder;
mod redact;
pub mod retention;
mod row;
mod sink;
mod stamp;
mod store;
mod stored;
mod url;
mod writer;

pub use capture::{Capture, Holds, Side};
pub use recorder::{OpenCall, Opened, Recorder};
pub use row::{
    AcceptedToken, Decision, Event, IdentityRenewal, Intent, KilledCgroup, MaskedValue, OpenSession, Outcome,
    OutcomeKind, SessionEnd, SessionStart,
};
pub use sink::Checkpoints;
pub use url::DatabaseUrl;
pub use writer::Health;

/// Which database records go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A file of this host.
    #[default]
    Sqlite,
    /// A server, which many hosts may write to.
    Postgres,
}

/// Where records go and how they are batched.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which database.
    pub store: StoreKind,
    /// The SQLite file. It is created with mode 0640, its directory, where missing, with 0750.
    pub database: PathBuf,
    /// Where PostgreSQL is, and as whom.
    pub url: Option<DatabaseUrl>,
    /// What this host is called in records, unless it is its host name. No two hosts may share a name.
    pub host: Option<String>,
    /// Time to connect to PostgreSQL, in seconds.
    pub connect_timeout_secs: u64,
    /// Time for the statements of one transaction, and again for its commit, before the connection to
    /// PostgreSQL is given up, in seconds.
    pub statement_timeout_secs: u64,
    /// Time for one question to PostgreSQL by the commands that read, in seconds.
    pub read_timeout_secs: u64,
    /// Rows waiting to be written; a full queue holds new calls back.
    pub queue: usize,
    /// Calls without an outcome at one time; each holds the slot its outcome will need.
    pub open_calls: usize,
    /// Rows per transaction.
    pub batch_rows: usize,
    /// Time to make an intent durable before the call is refused, in seconds.
    pub write_timeout_secs: u64,
    /// Time another process may hold the database's lock before a write fails, in milliseconds.
    pub busy_timeout_ms: u64,
    /// Longest pause between attempts to write outcomes while the database refuses, in seconds.
    pub retry_max_secs: u64,
    /// Bytes of a call's parameters that are stored, as JSON; what is cut is flagged.
    pub params_max_bytes: usize,
    /// Bytes of a body whose content is stored; of a longer one, its head is, with length and digest of all of it.
    pub body_max_bytes: usize,
    /// Bytes of all contents of bodies that wait to be stored; a session may hold a quarter of it. Where there is no room, only
    /// length and digest are stored.
    pub capture_memory_bytes: usize,
    /// Whether contents of objects are stored, too: what is up- and downloaded at S3, messages, what functions and models answer.
    pub objects: bool,
    /// How the log of what was recorded is signed.
    pub log: log::Config,
    /// How long what was recorded is kept.
    pub retention: retention::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreKind::Sqlite,
            database: "/var/lib/chaperone/chaperone.db".into(),
            url: None,
            host: None,
            connect_timeout_secs: 3,
            statement_timeout_secs: 5,
            read_timeout_secs: 60,
            queue: 1024,
            open_calls: 16 * 1024,
            batch_rows: 512,
            write_timeout_secs: 5,
            busy_timeout_ms: 1000,
            retry_max_secs: 5,
            params_max_bytes: 16 * 1024,
            body_max_bytes: 64 * 1024,
            capture_memory_bytes: 64 * 1024 * 1024,
            objects: false,
            log: log::Config::default(),
            retention: retention::Config::default(),
        }
    }
}

impl Config {
    /// What this host is called in records.
    #[must_use]
    pub fn host_name(&self) -> String {
        let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.host.clone().unwrap_or_else(own)
    }

    /// Where the key is that signs the log.
    #[must_use]
    pub fn log_key(&self) -> PathBuf {
        self.log.key.clone().unwrap_or_else(|| self.database.with_file_name("log.key"))
    }

    /// Where the newest checkpoint of the log is kept beside the database.
    #[must_use]
    pub fn checkpoint_file(&self) -> PathBuf {
        self.log.checkpoint_file.clone().unwrap_or_else(|| self.log_key().with_file_name("log.checkpoint"))
    }

    /// The file whose lock says that a daemon writes to the database.
    fn lock_file(&self) -> PathBuf {
        let mut path = self.database.clone().into_os_string();
        path.push(".lock");
        path.into()
    }
}

/// The record could not be written; the call must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The database cannot be opened.
    #[error("the session database {database} cannot be opened: {detail}")]
    Open {
        /// The database or the file beside it that is in the way.
        database: String,
        /// What is wrong and what would help.
        detail: String,
    },
    /// Another daemon writes to this database, in PostgreSQL: for this host.
    #[error("the session database {database} is in use by {daemon}; stop it first, or set another {key}")]
    InUse {
        /// The database.
        database: String,
        /// The other daemon, as far as it is known.
        daemon: String,
        /// What to set where both are meant to run.
        key: &'static str,
    },
    /// The database refused.
    #[error("the session database cannot be written: {0}")]
    Store(String),
    /// The database refused this row alone: it contradicts what is stored.
    #[error("the session database does not accept this record: {0}")]
    Rejected(String),
    /// The database did not answer in time.
    #[error("the session database did not answer within {0:?}")]
    Timeout(Duration),
    /// Somebody has the lock that a removal needs.
    #[error("{0}")]
    Locked(String),
    /// Every slot for an outcome is taken.
    #[error("{0} calls are open, which is the limit (record.open_calls)")]
    TooManyOpenCalls(usize),
    /// The writer is gone.
    #[error("the record writer has stopped")]
    Stopped,
}

/// Begins a new log of this host, although the old one cannot be gone on with, while no daemon runs. `reason` is a
/// person's word for why; the record keeps it, with what the old log's last checkpoint said. The new log's first checkpoint
/// is stored and in its file when this returns.
///
/// # Errors
/// [`RecordError`].
pub async fn restart_log(config: &Config, reason: &str, clock: &Clock) -> Result<(), RecordError> {
    let mut store = store::Store::restart_log(config, reason, clock.now()).await?;
    store.recover(clock.now()).await?;
    let signed = store.checkpoint().await?;
    let path = config.checkpoint_file();
    let written = log::file::write(&path, signed.note())
        .and_then(|()| log::file::Mark::Foreign.take_away(&path))
        .and_then(|()| log::file::Mark::Closed.take_away(&path));
    // What the next start finds is there before another may write.
    store.close().await;
    written.map_err(|error| RecordError::Store(format!("the checkpoint file {}: {error}", path.display())))
}

/// Roles of PostgreSQL, and what they may.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// They add records and read them.
    pub writers: Vec<String>,
    /// They read records.
    pub readers: Vec<String>,
    /// They remove old records, where a tombstone stands for them.
    pub removers: Vec<String>,
}

/// Makes the schema of PostgreSQL what this program knows, as the role of `record.url`, which must own the
/// tables, lets roles use it, and says its version.
///
/// # Errors
/// [`RecordError`].
pub async fn migrate(config: &Config, roles: &Roles) -> Result<i64, RecordError> {
    store::prepare_schema(config, roles).await
}

#[cfg(test)]
pub(crate) mod tests;
