//! PostgreSQL: one connection writes, under a lock that only one daemon of this host can hold.
//!
//! Many hosts write to one database. What a host left behind is its own to recover, and nobody else's
//! commit is waited for. A connection is given up after any failure; the next write makes a new one, which
//! first sees to it that the old one is dead, on the server too.

mod connect;
mod insert;

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgTransaction,
    migrate::{Migrate, MigrateError},
    postgres::{PgDatabaseError, PgSeverity},
};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use self::{
    connect::{Backend, Server},
    insert::insert,
};
use super::{Batch, Leftovers, POSTGRES, WriteError, Written, explain, newest, recover, refused};
use crate::record::{
    Config, RecordError,
    stamp::stamp,
    stored::{EventRow, SessionRow, Unit},
};

/// Where sqlx notes which migrations were made.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Longest time in which a connection is said goodbye to.
const GOODBYE: Duration = Duration::from_secs(1);

/// The database, with the exclusive right to write this host's records to it.
#[derive(Debug)]
pub(in crate::record) struct Store {
    server: Server,
    /// `None` after a failure; the next write connects again.
    conn: Option<PgConnection>,
    /// The newest connection's process on the server: it may live on, with the lock, after the connection
    /// was cut.
    backend: Option<Backend>,
    /// The batch whose commit was not answered, and what becomes of its units if it took place.
    doubt: Option<(Uuid, Vec<Written>)>,
}

/// What went wrong with a transaction.
enum Failure {
    /// Before its commit was asked for: it does not take place.
    Before(RecordError),
    /// The same, because of what is in one of its rows.
    Row,
    /// After that: it may.
    Commit(RecordError, Vec<Written>),
}

impl Store {
    /// Connects, takes the lock, brings the schema up to date where this role may.
    pub(super) async fn open(config: &Config) -> Result<Self, RecordError> {
        let server = Server::new(config)?;
        let failed = |detail: String| RecordError::Open { database: server.database.clone(), detail };
        let (mut conn, backend) = server.connect(None).await.map_err(|error| match error {
            RecordError::Store(detail) => failed(detail),
            other => other,
        })?;
        // What is done at the start, once, may take as long as it takes.
        connect::limit(&mut conn, Duration::ZERO).await.map_err(|error| failed(error.to_string()))?;
        migrate(&mut conn).await.map_err(failed)?;
        Ok(Self { server, conn: Some(conn), backend: Some(backend), doubt: None })
    }

    /// Closes calls of a former run of this host as `unknown`, and tells which sessions it left open.
    pub(super) async fn recover(&mut self, now: OffsetDateTime) -> Result<Leftovers, RecordError> {
        let database = self.server.database.clone();
        let failed = |error: sqlx::Error| RecordError::Open { database, detail: error.to_string() };
        let mut conn = self.connection().await?;
        let recovered = async {
            let mut tx = conn.begin().await?;
            let leftovers = recover(&mut tx, &self.server.host, now).await?;
            tx.commit().await?;
            connect::limit(&mut conn, self.server.statement_timeout).await?;
            Ok(leftovers)
        };
        let leftovers = recovered.await.map_err(failed)?;
        self.conn = Some(conn);
        Ok(leftovers)
    }

    /// As the store's contract says.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<Vec<Written>, WriteError> {
        let error = match self.attempt(batch).await {
            Ok(written) => {
                self.doubt = None;
                return Ok(written);
            }
            Err(Failure::Before(error)) => error,
            // Rows were tried one by one by then.
            Err(Failure::Row) => RecordError::Store("the batch was not accepted".to_owned()),
            Err(Failure::Commit(error, written)) => {
                self.doubt = Some((batch.key, written));
                error
            }
        };
        Err(WriteError { error, in_doubt: self.doubt.is_some() })
    }

    /// Says goodbye; the server releases the lock.
    pub(super) async fn close(mut self) {
        if let Some(conn) = self.conn.take()
            && let Ok(Err(error)) = timeout(GOODBYE, conn.close()).await
        {
            tracing::debug!(%error, "closing the session database");
        }
    }

    /// After a failure the connection is gone: whatever state it was in, a new one is in a known one.
    async fn attempt(&mut self, batch: &Batch) -> Result<Vec<Written>, Failure> {
        let limit = self.server.statement_timeout;
        let mut conn = self.connection().await.map_err(Failure::Before)?;
        let mut written = transact(&mut conn, batch, insert_together, limit).await;
        if matches!(written, Err(Failure::Row)) {
            written = transact(&mut conn, batch, insert_apart, limit).await;
        }
        if let Some(written) = written? {
            self.conn = Some(conn);
            return Ok(written);
        }
        // The commit had taken place, only its answer was lost.
        let known = self.doubt.take().filter(|(key, _)| *key == batch.key);
        Ok(known.map_or_else(|| vec![Written::Durable; batch.units.len()], |(_, written)| written))
    }

    async fn connection(&mut self) -> Result<PgConnection, RecordError> {
        if let Some(conn) = self.conn.take() {
            return Ok(conn);
        }
        let (conn, backend) = self.server.connect(self.backend.as_ref()).await?;
        self.backend = Some(backend);
        Ok(conn)
    }
}

/// A transaction for the batch of this key. `None`: it was committed before. While another connection is
/// about to commit it, this waits for that.
async fn begin(conn: &mut PgConnection, key: Uuid) -> Result<Option<PgTransaction<'_>>, sqlx::Error> {
    // In one message: where few rows are written, the time is that of the messages.
    let begin = format!("BEGIN; INSERT INTO commits (id) VALUES ('{}')", key.simple());
    match conn.begin_with(AssertSqlSafe(begin)).await {
        Ok(tx) => Ok(Some(tx)),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("commits_pkey") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything of a batch, committed. `None`: it was committed before.
async fn transact(
    conn: &mut PgConnection,
    batch: &Batch,
    insert: impl AsyncFnOnce(&mut PgConnection, &[Unit]) -> Result<Vec<Written>, sqlx::Error>,
    limit: Duration,
) -> Result<Option<Vec<Written>>, Failure> {
    let before = |error: sqlx::Error| {
        if is_fault_of_row(&error) { Failure::Row } else { Failure::Before(refused(error)) }
    };
    let silent = || RecordError::Store(format!("the server was silent for {limit:?}"));
    let inserting = async {
        let Some(mut tx) = begin(conn, batch.key).await? else { return Ok(None) };
        let written = insert(&mut tx, &batch.units).await?;
        Ok(Some((tx, written)))
    };
    let inserted = timeout(limit, inserting).await.map_err(|_| Failure::Before(silent()))?;
    let Some((tx, written)) = inserted.map_err(before)? else { return Ok(None) };
    match timeout(limit, tx.commit()).await {
        Ok(Ok(())) => Ok(Some(written)),
        Ok(Err(error)) if is_refusal(&error) => Err(before(error)),
        Ok(Err(error)) => Err(Failure::Commit(refused(error), written)),
        Err(_) => Err(Failure::Commit(silent(), written)),
    }
}

async fn insert_together(tx: &mut PgConnection, units: &[Unit]) -> Result<Vec<Written>, sqlx::Error> {
    insert(tx, units).await?;
    Ok(vec![Written::Durable; units.len()])
}

/// One savepoint per unit, so that a bad one does not take the others with it.
async fn insert_apart(tx: &mut PgConnection, units: &[Unit]) -> Result<Vec<Written>, sqlx::Error> {
    let mut written = Vec::with_capacity(units.len());
    for unit in units {
        let mut savepoint = tx.begin().await?;
        match insert(&mut savepoint, std::slice::from_ref(unit)).await {
            Ok(()) => {
                savepoint.commit().await?;
                written.push(Written::Durable);
            }
            Err(error) if is_fault_of_row(&error) => {
                savepoint.rollback().await?;
                // Whoever enrols a session asks again after a time-out, which says nothing about
                // whether the first attempt was written.
                let repeated = match unit {
                    Unit::Session(session) => is_stored_or_renewed(tx, session).await?,
                    _ => false,
                };
                let rejected = || Written::Rejected(error.to_string());
                written.push(if repeated { Written::Durable } else { rejected() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Whether this very session is in the database, with who it is: a token that was read at the second attempt may be
/// newer than that of the first, which is then a renewal.
async fn is_stored_or_renewed(conn: &mut PgConnection, session: &SessionRow) -> Result<bool, sqlx::Error> {
    if !is_stored(conn, session).await? {
        return Ok(false);
    }
    let known: Option<(Option<String>, Option<String>)> =
        sqlx::query_as(recover::KNOWN_BY).bind(&session.id).fetch_optional(&mut *conn).await?;
    let identity = &session.identity;
    if known != Some((identity.token_digest.clone(), identity.expires.clone())) {
        insert(conn, &[Unit::Identity(identity.clone())]).await?;
    }
    Ok(true)
}

/// Whether this very session is in the database already.
async fn is_stored(conn: &mut PgConnection, session: &SessionRow) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND started = $2 AND workload = $3 AND subject = $4 \
         AND issuer = $5 AND boot_id = $6 AND cgroup_id = $7)",
    )
    .bind(&session.id)
    .bind(&session.started)
    .bind(&session.workload)
    .bind(&session.subject)
    .bind(&session.issuer)
    .bind(&session.boot_id)
    .bind(session.cgroup_id)
    .fetch_one(conn)
    .await
}

/// Makes the migrations that are missing, or says why they cannot be made.
async fn migrate(conn: &mut PgConnection) -> Result<(), String> {
    if current(conn).await.map_err(|error| explain(&error))? {
        return Ok(());
    }
    POSTGRES.run(&mut *conn).await.map_err(|error| {
        let newest = newest(&POSTGRES);
        format!(
            "its schema cannot be brought to version {newest}: {error}; `chaperone database migrate` does it as \
             the owner of the tables"
        )
    })
}

/// Whether exactly the known migrations were made. A role that may only write finds that out and needs no
/// right to make any.
async fn current(conn: &mut PgConnection) -> Result<bool, MigrateError> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(MIGRATIONS_TABLE)
        .fetch_one(&mut *conn)
        .await?;
    if !there || conn.dirty_version(MIGRATIONS_TABLE).await?.is_some() {
        return Ok(false);
    }
    let applied = conn.list_applied_migrations(MIGRATIONS_TABLE).await?;
    for migration in &applied {
        match POSTGRES.iter().find(|known| known.version == migration.version) {
            None => return Err(MigrateError::VersionMissing(migration.version)),
            Some(known) if known.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
        }
    }
    Ok(applied.len() == POSTGRES.iter().count())
}

/// Makes the schema what this program knows, as the role of the URL, and lets roles write and read.
pub(super) async fn prepare_schema(
    config: &Config,
    writers: &[String],
    readers: &[String],
) -> Result<(), RecordError> {
    let server = Server::new(config)?;
    let failed = |detail: String| RecordError::Open { database: server.database.clone(), detail };
    let mut conn = server.connect_unlocked().await?;
    let prepared = async {
        connect::limit(&mut conn, Duration::ZERO).await?;
        POSTGRES.run(&mut conn).await?;
        for (roles, rights) in [(readers, "SELECT"), (writers, "SELECT"), (writers, "INSERT")] {
            for role in roles {
                grant(&mut conn, role, rights).await?;
            }
        }
        Ok::<_, MigrateError>(())
    };
    prepared.await.map_err(|error| failed(explain(&error)))?;
    let _ = timeout(GOODBYE, conn.close()).await;
    Ok(())
}

/// Lets a role read everything, or add to what is no note of the migrations'.
async fn grant(conn: &mut PgConnection, role: &str, right: &str) -> Result<(), sqlx::Error> {
    let grants: Vec<String> = sqlx::query_scalar(
        "SELECT format('GRANT %s ON %I.%I TO %I', $2, n.nspname, c.relname, $1) \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() \
           AND CASE WHEN $2 = 'INSERT' THEN c.relkind = 'r' AND c.relname <> $3 ELSE c.relkind IN ('r', 'v') END",
    )
    .bind(role)
    .bind(right)
    .bind(MIGRATIONS_TABLE)
    .fetch_all(&mut *conn)
    .await?;
    for grant in grants {
        // The server has quoted what is in it.
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut *conn).await?;
    }
    Ok(())
}

async fn recover(tx: &mut PgConnection, host: &str, now: OffsetDateTime) -> Result<Leftovers, sqlx::Error> {
    let (last_call, last_end): (i64, i64) = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT coalesce(max((detail ->> 'last_call')::bigint), 0), coalesce(max((detail ->> 'last_end')::bigint), 0) \
         FROM (SELECT detail FROM events WHERE kind = '{}' AND hostname = $1 ORDER BY seq DESC LIMIT 1) AS last",
        recover::OPENED
    )))
    .bind(host)
    .fetch_one(&mut *tx)
    .await?;
    // Only calls that came after the last start can be open, in sessions that had not ended by then: that
    // start closed all before it.
    let closed_calls = sqlx::query(
        "INSERT INTO outcomes (call, ended, outcome, truncated) \
         SELECT c.id, $1, 'unknown', '[]' FROM sessions AS s \
         LEFT JOIN session_ends AS e ON e.session = s.id \
         JOIN calls AS c ON c.session = s.id \
         WHERE s.hostname = $2 AND (e.seq IS NULL OR e.seq > $3) AND c.seq > $4 \
           AND NOT EXISTS (SELECT FROM outcomes AS o WHERE o.call = c.id) ORDER BY c.seq",
    )
    .bind(stamp(now))
    .bind(host)
    .bind(last_end)
    .bind(last_call)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let (last_call, last_end): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT coalesce(max(seq), 0) FROM calls), (SELECT coalesce(max(seq), 0) FROM session_ends)",
    )
    .fetch_one(&mut *tx)
    .await?;
    let opened = recover::opened(serde_json::json!({
        "last_call": last_call, "last_end": last_end, "closed_calls": closed_calls, "host": host,
    }));
    insert(tx, &[Unit::Event(EventRow::new(opened, now))]).await?;
    let open_sessions = sqlx::query_as(recover::OPEN_SESSIONS).bind(host).fetch_all(&mut *tx).await?;
    let killed =
        sqlx::query_as(recover::ENDED_CGROUPS).bind(recover::KILLED.as_str()).fetch_all(&mut *tx).await?;
    let tokens = sqlx::query_as(recover::TOKENS).bind(host).bind(stamp(now)).fetch_all(&mut *tx).await?;
    Ok(recover::leftovers(open_sessions, killed, tokens, closed_calls))
}

/// Integrity constraint violation and data exception (class 23 and 22 of
/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>): the row is at fault, not the database.
fn is_fault_of_row(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Whether the server itself said that the transaction is over, and went on: it has not taken place. A
/// server that shuts down says something too, possibly after the commit.
fn is_refusal(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| matches!(error.severity(), PgSeverity::Error))
}
