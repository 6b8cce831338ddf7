//! Reading the session database, in any process, while the daemon writes.
//!
//! What is read are the documented views (`v_sessions`, `v_calls`) and the table `events`; a row's
//! fields carry the names of their columns. Nothing here can create or change a database.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, QueryBuilder, Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::store::MIGRATIONS;

mod filter;
mod listing;
mod rows;
mod used;
pub mod when;

pub use filter::{CallFilter, EventFilter, SessionFilter, StatusFilter};
pub use listing::{Listing, Order, Page};
pub use rows::{CallView, EventView, Json, SessionView};
pub use used::{Amount, Used};

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No such file.
    #[error(
        "there is no session database at {}: the daemon has not run yet, or record.database names another file",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file may not be read.
    #[error(
        "the session database {} may not be read by this user: use sudo, or join the file's group",
        .0.display()
    )]
    Forbidden(PathBuf),
    /// It is not ours.
    #[error("{} is not a session database of chaperone", .0.display())]
    Foreign(PathBuf),
    /// Its schema is another version's.
    #[error("the session database has schema version {found}, this chaperone reads {expected}: {remedy}")]
    Schema {
        /// In the file.
        found: i64,
        /// In this program.
        expected: i64,
        /// What to do.
        remedy: &'static str,
    },
    /// SQLite failed.
    #[error("reading the session database failed: {0}")]
    Store(String),
    /// No record has this id.
    #[error("there is no {kind} {id:?}")]
    Unknown {
        /// `session` or `call`.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// Several records' ids begin like this.
    #[error("several {kind}s begin with {prefix:?}: {}", matches.join(", "))]
    Ambiguous {
        /// `session` or `call`.
        kind: &'static str,
        /// What was asked for.
        prefix: String,
        /// Some of them.
        matches: Vec<String>,
    },
    /// The cursor does not come from an earlier page.
    #[error("{0:?} is not a cursor that an earlier page gave out")]
    BadCursor(String),
}

/// A read-only view of one session database.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: SqlitePool,
}

impl Reader {
    /// Opens the database at `path`; it is never created.
    ///
    /// # Errors
    /// [`QueryError`], with what to do about it.
    pub async fn open(path: &Path) -> Result<Self, QueryError> {
        std::fs::File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => QueryError::Missing(path.to_owned()),
            io::ErrorKind::PermissionDenied => QueryError::Forbidden(path.to_owned()),
            _ => QueryError::Store(error.to_string()),
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        match Self::connect(path, options.clone()).await {
            Err(QueryError::Store(_)) if !has_wal(path) => {
                // A reader who may not create the WAL's index cannot open a database that nobody writes
                // to. Without a WAL the file alone is the whole truth.
                Self::connect(path, options.immutable(true)).await
            }
            other => other,
        }
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self, QueryError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await
            .map_err(|error| failed(path, error))?;
        let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&pool)
            .await
            .map_err(|error| failed(path, error))?;
        let expected = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
        match found.cmp(&expected) {
            std::cmp::Ordering::Equal => Ok(Self { pool }),
            std::cmp::Ordering::Less => {
                Err(QueryError::Schema { found, expected, remedy: "start the new daemon once; it migrates" })
            }
            std::cmp::Ordering::Greater => {
                Err(QueryError::Schema { found, expected, remedy: "use the version that wrote it" })
            }
        }
    }

    /// One session, by its id or the beginning of it.
    ///
    /// # Errors
    /// [`QueryError::Unknown`], [`QueryError::Ambiguous`] and reading.
    pub async fn session(&self, id: &str) -> Result<SessionView, QueryError> {
        let id = self.resolve("session", "SELECT id FROM sessions WHERE ", id).await?;
        let query = sqlx::query_as("SELECT * FROM v_sessions WHERE id = ?");
        query.bind(id).fetch_one(&self.pool).await.map_err(read)
    }

    /// One call, by its id or the beginning of it.
    ///
    /// # Errors
    /// [`QueryError::Unknown`], [`QueryError::Ambiguous`] and reading.
    pub async fn call(&self, id: &str) -> Result<CallView, QueryError> {
        let id = self.resolve("call", "SELECT id FROM calls WHERE ", id).await?;
        let query = sqlx::query_as("SELECT * FROM v_calls WHERE id = ?");
        query.bind(id).fetch_one(&self.pool).await.map_err(read)
    }

    /// Sessions by their start.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`] and reading.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<Listing<SessionView>, QueryError> {
        listing::fetch(&self.pool, |query| filter.push(query), page).await
    }

    /// Calls by their time.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`], an unknown session in the filter, and reading.
    pub async fn calls(&self, filter: &CallFilter, page: &Page) -> Result<Listing<CallView>, QueryError> {
        let session = match &filter.session {
            Some(session) => Some(self.resolve("session", "SELECT id FROM sessions WHERE ", session).await?),
            None => None,
        };
        listing::fetch(&self.pool, |query| filter.push(session.as_deref(), query), page).await
    }

    /// Events by their time.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`] and reading.
    pub async fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventView>, QueryError> {
        listing::fetch(&self.pool, |query| filter.push(query), page).await
    }

    /// The one id that begins with `prefix`.
    async fn resolve(
        &self,
        kind: &'static str,
        select: &'static str,
        prefix: &str,
    ) -> Result<String, QueryError> {
        let unknown = || QueryError::Unknown { kind, id: prefix.chars().take(80).collect() };
        // Ids are a letter, a hyphen and hexadecimal digits: all below `~`.
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(unknown());
        }
        let mut query = QueryBuilder::<Sqlite>::new(select);
        query.push("id >= ").push_bind(prefix).push(" AND id < ").push_bind(format!("{prefix}~"));
        query.push(" ORDER BY id LIMIT 5");
        let matches: Vec<String> = query.build_query_scalar().fetch_all(&self.pool).await.map_err(read)?;
        match matches.as_slice() {
            [] => Err(unknown()),
            [only] => Ok(only.clone()),
            [first, ..] if first == prefix => Ok(first.clone()),
            _ => Err(QueryError::Ambiguous { kind, prefix: prefix.to_owned(), matches }),
        }
    }
}

fn has_wal(path: &Path) -> bool {
    let mut wal = path.to_owned().into_os_string();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0)
}

fn failed(path: &Path, error: sqlx::Error) -> QueryError {
    const SQLITE_ERROR: &str = "1";
    const SQLITE_NOTADB: &str = "26";
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    match code.as_deref() {
        // No such table: some other program's database.
        Some(SQLITE_ERROR | SQLITE_NOTADB) => QueryError::Foreign(path.to_owned()),
        Some(_) | None => read(error),
    }
}

fn read(error: sqlx::Error) -> QueryError {
    QueryError::Store(error.to_string())
}
