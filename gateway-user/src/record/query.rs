//! Reading the session database, in any process, while the daemon writes.
//!
//! What is read are the documented views (`v_sessions`, `v_calls`) and the table `events`; a row's
//! fields carry the names of their columns. Nothing here can create or change a database.

use std::path::PathBuf;

use self::{hints::SessionHints, statement::Pool};
use super::{Config, StoreKind, audit::ReadConnection};

mod about;
mod bodies;
mod filter;
mod follow;
mod hints;
mod holds;
mod listing;
mod open;
mod rows;
mod statement;
mod trigrams;
mod used;
pub mod when;

pub use about::About;
pub(in crate::record) use bodies::unpacked;
pub use bodies::{Answer, Bodies, Params};
pub use filter::{CallFilter, EventFilter, SessionFilter, StatusFilter};
pub use follow::Marks;
pub use holds::{HoldView, RunView, UnknownHeld};
pub use listing::{Listing, Order, Page};
pub use rows::{CallView, EventView, Json, MaskedView, SessionView};
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
    #[error("{0} is not a session database of chaperone")]
    Foreign(String),
    /// The server does not let this role in, or is not there.
    #[error("the session database {database} cannot be reached: {detail}")]
    Unreachable {
        /// Which database, as whom.
        database: String,
        /// What was the matter.
        detail: String,
    },
    /// The server does not let this role read.
    #[error("the session database {0} may not be read by this role: grant it SELECT on its tables and views")]
    NotGranted(String),
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
    /// The database failed.
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
    /// What is stored of a call's bodies is not what was stored.
    #[error("the {side} of the call {call} is not what was recorded: {detail}")]
    Altered {
        /// The call.
        call: String,
        /// Which of its bodies.
        side: String,
        /// What does not fit.
        detail: &'static str,
    },
    /// Somebody's transaction is open for so long that what it will add is not known.
    #[error(
        "a transaction of another client has been writing records for more than {0:?}; try again when it has ended"
    )]
    Unsettled(std::time::Duration),
    /// The cursor does not come from an earlier page.
    #[error("{0:?} is not a cursor that an earlier page gave out")]
    BadCursor(String),
}

/// A read-only view of one session database.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    /// Whose calls count towards limits; `None` where the database is one host's.
    host: Option<String>,
}

impl Reader {
    /// Opens the database of the configuration; it is never created.
    ///
    /// # Errors
    /// [`QueryError`], with what to do about it.
    pub async fn open(config: &Config) -> Result<Self, QueryError> {
        Ok(match config.store {
            StoreKind::Sqlite => {
                Self { pool: Pool::Sqlite(open::sqlite(&config.database).await?), host: None }
            }
            StoreKind::Postgres => {
                Self { pool: Pool::Postgres(open::postgres(config).await?), host: Some(config.host_name()) }
            }
        })
    }

    /// One connection alone, to read everything in one transaction.
    pub(super) async fn into_connection(self) -> Result<ReadConnection, QueryError> {
        Ok(match self.pool {
            Pool::Sqlite(pool) => ReadConnection::Sqlite(pool.acquire().await.map_err(read)?.detach()),
            Pool::Postgres(pool) => ReadConnection::Postgres(pool.acquire().await.map_err(read)?.detach()),
        })
    }

    /// One session, by its id or the beginning of it.
    ///
    /// # Errors
    /// [`QueryError::Unknown`], [`QueryError::Ambiguous`] and reading.
    pub async fn session(&self, id: &str) -> Result<SessionView, QueryError> {
        let id = self.resolve("session", "SELECT id FROM sessions WHERE ", id).await?;
        let mut query = self.pool.statement("SELECT * FROM v_sessions WHERE id = ");
        query.bind(id.as_str());
        let found = self.pool.optional(query).await.map_err(read)?;
        found.ok_or(QueryError::Unknown { kind: "session", id })
    }

    /// One call, by its id or the beginning of it.
    ///
    /// # Errors
    /// [`QueryError::Unknown`], [`QueryError::Ambiguous`] and reading.
    pub async fn call(&self, id: &str) -> Result<CallView, QueryError> {
        let id = self.resolve("call", "SELECT id FROM calls WHERE ", id).await?;
        let mut query = self.pool.statement("SELECT * FROM v_calls WHERE id = ");
        query.bind(id.as_str());
        let found = self.pool.optional(query).await.map_err(read)?;
        found.ok_or(QueryError::Unknown { kind: "call", id })
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
        let hints = match &filter.calls {
            Some(calls) => self.session_hints(calls).await?,
            None => SessionHints::NONE,
        };
        listing::fetch(&self.pool, |query| filter.push(&hints, query), page).await
    }

    /// Calls by their time.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`], an unknown session in the filter, and reading.
    pub async fn calls(&self, filter: &CallFilter, page: &Page) -> Result<Listing<CallView>, QueryError> {
        let session = self.session_of(filter).await?;
        let hints = self.hints(filter).await?;
        listing::fetch(&self.pool, |query| filter.push(session.as_deref(), &hints, query), page).await
    }

    /// Events by their time.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`] and reading.
    pub async fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventView>, QueryError> {
        listing::fetch(&self.pool, |query| filter.push(query), page).await
    }

    /// The whole id of the session that a filter names.
    async fn session_of(&self, filter: &CallFilter) -> Result<Option<String>, QueryError> {
        Ok(match &filter.session {
            Some(session) => Some(self.resolve("session", "SELECT id FROM sessions WHERE ", session).await?),
            None => None,
        })
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
        let mut query = self.pool.statement(select);
        query.push("id >= ").bind(prefix).push(" AND id < ").bind(format!("{prefix}~"));
        query.push(" ORDER BY id LIMIT 5");
        let matches: Vec<(String,)> = self.pool.all(query).await.map_err(read)?;
        let matches: Vec<String> = matches.into_iter().map(|(id,)| id).collect();
        match matches.as_slice() {
            [] => Err(unknown()),
            [only] => Ok(only.clone()),
            [first, ..] if first == prefix => Ok(first.clone()),
            _ => Err(QueryError::Ambiguous { kind, prefix: prefix.to_owned(), matches }),
        }
    }
}

fn read(error: sqlx::Error) -> QueryError {
    QueryError::Store(error.to_string())
}
