//! PostgreSQL: one connection writes, under a lock that only one daemon of this host can hold.
//!
//! Many hosts write to one database. What a host left behind is its own to recover, and nobody else's
//! commit is waited for. A connection is given up after any failure; the next write makes a new one, which
//! first sees to it that the old one is dead, on the server too.

mod connect;
mod insert;
mod schema;

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgTransaction,
    postgres::{PgDatabaseError, PgSeverity},
};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use self::connect::{Backend, Server};
pub(super) use self::schema::prepare_schema;
use super::{
    Batch, Leftovers, WriteError, Written,
    book::{Book, Pages},
    insert::{insert, is_repeated},
    pages::Conn,
    prune::{self, Cut, PruneError, Seen, Step, Taken},
    recover, refused,
};
use crate::record::{
    Config, RecordError,
    log::{checkpoint::SignedCheckpoint, writer::Draft},
    stamp::stamp,
    stored::{EventRow, Unit},
};

/// Bytes of contents that are sent in a second, at least.
const SECOND_BYTES: usize = 1 << 20;

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
    /// The batch whose commit was not answered.
    doubt: Option<Doubt>,
    /// The leaves of a removal whose commit was not answered.
    removal: Option<Draft>,
    book: Book,
}

/// What became of a batch, and of the log, if its commit took place.
#[derive(Debug)]
struct Doubt {
    key: Uuid,
    written: Vec<Written>,
    draft: Draft,
}

/// What went wrong with a transaction.
enum Failure {
    /// Before its commit was asked for: it does not take place.
    Before(RecordError),
    /// The same, because of what is in one of its rows.
    Row,
    /// After that: it may.
    Commit(RecordError, Vec<Written>, Draft),
}

impl Store {
    /// Connects, takes the lock, brings the schema up to date where this role may, goes on with this host's log.
    pub(super) async fn open(config: &Config, now: OffsetDateTime) -> Result<Self, RecordError> {
        let (server, mut conn, backend) = connect(config).await?;
        let book = Book::open(&mut Conn::Postgres(&mut conn), config, now).await;
        let book = book.map_err(|error| failed(&server, error.to_string()))?;
        Ok(Self { server, conn: Some(conn), backend: Some(backend), doubt: None, removal: None, book })
    }

    /// The same, with a new log.
    pub(super) async fn restart_log(
        config: &Config,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<Self, RecordError> {
        let (server, mut conn, backend) = connect(config).await?;
        let book = Book::restart(&mut Conn::Postgres(&mut conn), config, reason, now).await;
        let book = book.map_err(|error| failed(&server, error.to_string()))?;
        Ok(Self { server, conn: Some(conn), backend: Some(backend), doubt: None, removal: None, book })
    }

    /// Closes calls of a former run of this host as `unknown`, and tells which sessions it left open.
    pub(super) async fn recover(&mut self, now: OffsetDateTime) -> Result<Leftovers, RecordError> {
        let database = self.server.database.clone();
        let failed = |error: sqlx::Error| RecordError::Open { database, detail: error.to_string() };
        let mut conn = self.connection().await?;
        let recovered = async {
            let mut tx = conn.begin().await?;
            let news = self.book.begin(&mut Conn::Postgres(&mut tx)).await?;
            let mut pages = self.book.pages(&mut Conn::Postgres(&mut tx)).await?;
            if let Some(news) = news {
                insert(&mut *tx, &[Unit::Event(EventRow::new(news, now))], &mut pages).await?;
            }
            let leftovers = recover(&mut tx, &self.server.host, &mut pages, now).await?;
            Conn::Postgres(&mut tx).add_entries(self.book.id, pages.draft.entries()).await?;
            self.book.found(&mut Conn::Postgres(&mut tx), &pages.draft).await?;
            tx.commit().await?;
            connect::limit(&mut conn, self.server.statement_timeout).await?;
            Ok((leftovers, pages.draft))
        };
        let (leftovers, draft) = recovered.await.map_err(failed)?;
        self.book.commit(draft).map_err(|error| self.book.foreign(&error))?;
        self.conn = Some(conn);
        Ok(leftovers)
    }

    /// Whether something may have been committed of which it is not known.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some() || self.removal.is_some()
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
        let limit = self.server.statement_timeout;
        let mut conn = self.connection().await?;
        // One statement is a transaction of its own.
        let signing = async { self.book.sign(&mut Conn::Postgres(&mut conn)).await };
        let silent = || RecordError::Store(format!("the server was silent for {limit:?}"));
        let signed = timeout(limit, signing).await.map_err(|_| silent())?;
        let signed = signed.map_err(|error| RecordError::Store(error.to_string()))?;
        self.book.signed(&signed);
        self.conn = Some(conn);
        Ok(signed)
    }

    /// Removes what of a step may go. After an error nothing was removed, unless only the answer was lost: then the next
    /// connection finds out.
    pub(super) async fn prune(&mut self, cut: &Cut, step: &Step) -> Result<Taken, RecordError> {
        let limit = self.server.statement_timeout;
        let silent = || RecordError::Store(format!("the server was silent for {limit:?}"));
        let mut conn = self.connection().await?;
        let book = &self.book;
        let removing = async {
            let mut tx = conn.begin().await.map_err(refused)?;
            let mut inner = Conn::Postgres(&mut tx);
            let mut pages = book.pages(&mut inner).await.map_err(refused)?;
            let taken = prune::prune(&mut inner, book, &mut pages, cut, step).await;
            let taken = taken.map_err(|error| match error {
                PruneError::Locked(_) => RecordError::Locked(error.to_string()),
                _ if error.is_timeout() => RecordError::Timeout(limit),
                _ => RecordError::Store(error.to_string()),
            })?;
            Ok::<_, RecordError>((tx, taken, pages.draft))
        };
        let (tx, taken, draft) =
            timeout(limit, removing).await.map_err(|_| RecordError::Timeout(limit))??;
        let error = match timeout(limit, tx.commit()).await {
            Ok(Ok(())) => {
                self.book.commit(draft).map_err(|error| self.book.foreign(&error))?;
                self.conn = Some(conn);
                return Ok(taken);
            }
            Ok(Err(error)) if is_refusal(&error) => return Err(refused(error)),
            Ok(Err(error)) => refused(error),
            Err(_) => silent(),
        };
        self.removal = Some(draft);
        Err(error)
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
            Err(Failure::Commit(error, written, draft)) => {
                self.doubt = Some(Doubt { key: batch.key, written, draft });
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
        let bytes: usize = batch.units.iter().map(Unit::content_bytes).sum();
        // What has to be sent takes its time, on a slow way, too.
        let limit = self.server.statement_timeout + Duration::from_secs((bytes / SECOND_BYTES) as u64);
        let mut conn = self.connection().await.map_err(Failure::Before)?;
        let mut done = transact(&mut conn, batch, &self.book, insert_together, limit).await;
        if matches!(done, Err(Failure::Row)) {
            done = transact(&mut conn, batch, &self.book, insert_apart, limit).await;
        }
        if let Some((written, draft)) = done? {
            self.book.commit(draft).map_err(|error| Failure::Before(self.book.foreign(&error)))?;
            self.conn = Some(conn);
            return Ok(written);
        }
        // The commit had taken place, only its answer was lost.
        let stored = timeout(limit, async {
            let mut conn = Conn::Postgres(&mut conn);
            // The transaction in which the key turned out to be known.
            conn.execute("ROLLBACK").await?;
            conn.size(self.book.id).await
        });
        let stored = stored.await;
        let stored = stored.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let stored = stored.map_err(|error| Failure::Before(refused(error)))?;
        let Some(Doubt { written, draft, .. }) = self.doubt.take_if(|doubt| doubt.key == batch.key) else {
            // Nobody else has this key.
            return Err(Failure::Before(RecordError::Store(
                "the batch is known, but not what it was".to_owned(),
            )));
        };
        self.book.settle(draft, stored).map_err(|error| Failure::Before(self.book.foreign(&error)))?;
        Ok(written)
    }

    async fn connection(&mut self) -> Result<PgConnection, RecordError> {
        if let Some(conn) = self.conn.take() {
            return Ok(conn);
        }
        let (mut conn, backend) = self.server.connect(self.backend.as_ref()).await?;
        self.backend = Some(backend);
        if let Some(draft) = &self.removal {
            // The connection that it was made on is dead by now.
            let limit = self.server.statement_timeout;
            let mut asked = Conn::Postgres(&mut conn);
            let stored = timeout(limit, asked.size(self.book.id)).await;
            let stored = stored.map_err(|_| RecordError::Timeout(limit))?.map_err(refused)?;
            self.book.settle(draft.clone(), stored).map_err(|error| self.book.foreign(&error))?;
            self.removal = None;
        }
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
    book: &Book,
    insert: impl AsyncFnOnce(&mut PgConnection, &[Unit], &mut Pages) -> Result<Vec<Written>, sqlx::Error>,
    limit: Duration,
) -> Result<Option<(Vec<Written>, Draft)>, Failure> {
    let before = |error: sqlx::Error| {
        if is_fault_of_row(&error) { Failure::Row } else { Failure::Before(refused(error)) }
    };
    let silent = || RecordError::Store(format!("the server was silent for {limit:?}"));
    let inserting = async {
        let Some(mut tx) = begin(conn, batch.key).await.map_err(before)? else { return Ok(None) };
        let mut pages = book.pages(&mut Conn::Postgres(&mut tx)).await.map_err(before)?;
        let written = insert(&mut tx, &batch.units, &mut pages).await.map_err(before)?;
        let added = Conn::Postgres(&mut tx).add_entries(book.id, pages.draft.entries()).await;
        added.map_err(|error| match is_fault_of_row(&error) {
            true => Failure::Before(book.foreign(&error)),
            false => Failure::Before(refused(error)),
        })?;
        Ok(Some((tx, written, pages.draft)))
    };
    let inserted = timeout(limit, inserting).await.map_err(|_| Failure::Before(silent()))?;
    let Some((tx, written, draft)) = inserted? else { return Ok(None) };
    match timeout(limit, tx.commit()).await {
        Ok(Ok(())) => Ok(Some((written, draft))),
        Ok(Err(error)) if is_refusal(&error) => Err(before(error)),
        Ok(Err(error)) => Err(Failure::Commit(refused(error), written, draft)),
        Err(_) => Err(Failure::Commit(silent(), written, draft)),
    }
}

async fn insert_together(
    tx: &mut PgConnection,
    units: &[Unit],
    pages: &mut Pages,
) -> Result<Vec<Written>, sqlx::Error> {
    insert(tx, units, pages).await?;
    Ok(vec![Written::Durable; units.len()])
}

/// One savepoint per unit, so that a bad one does not take the others with it.
async fn insert_apart(
    tx: &mut PgConnection,
    units: &[Unit],
    pages: &mut Pages,
) -> Result<Vec<Written>, sqlx::Error> {
    let mut written = Vec::with_capacity(units.len());
    for unit in units {
        let mut savepoint = tx.begin().await?;
        let mark = pages.mark();
        match insert(&mut *savepoint, std::slice::from_ref(unit), pages).await {
            Ok(()) => {
                savepoint.commit().await?;
                written.push(Written::Durable);
            }
            Err(error) if is_fault_of_row(&error) => {
                savepoint.rollback().await?;
                pages.rewind(mark);
                let repeated = is_repeated(Conn::Postgres(tx), unit, pages).await?;
                let rejected = || Written::Rejected(error.to_string());
                written.push(if repeated { Written::Durable } else { rejected() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Connects, takes the lock, brings the schema up to date where this role may.
async fn connect(config: &Config) -> Result<(Server, PgConnection, Backend), RecordError> {
    let server = Server::new(config)?;
    let (mut conn, backend) = server.connect(None).await.map_err(|error| match error {
        RecordError::Store(detail) => failed(&server, detail),
        other => other,
    })?;
    // What is done at the start, once, may take as long as it takes.
    let limited = connect::limit(&mut conn, Duration::ZERO).await;
    limited.map_err(|error| failed(&server, error.to_string()))?;
    schema::migrate(&mut conn).await.map_err(|detail| failed(&server, detail))?;
    Ok((server, conn, backend))
}

fn failed(server: &Server, detail: String) -> RecordError {
    RecordError::Open { database: server.database.clone(), detail }
}

async fn recover(
    tx: &mut PgConnection,
    host: &str,
    pages: &mut Pages,
    now: OffsetDateTime,
) -> Result<Leftovers, sqlx::Error> {
    let last: Option<String> = sqlx::query_scalar(recover::LAST_START)
        .bind(host)
        .bind(recover::OPENED)
        .fetch_optional(&mut *tx)
        .await?;
    let of_last = |name| recover::number(last.as_deref(), name);
    // Only calls that came after the last start can be open, in sessions that had not ended by then: that
    // start closed all before it.
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.id FROM sessions AS s \
         LEFT JOIN session_ends AS e ON e.session = s.id \
         JOIN calls AS c ON c.session = s.id \
         WHERE s.hostname = $1 AND (e.seq IS NULL OR e.seq > $2) AND c.seq > $3 \
           AND NOT EXISTS (SELECT FROM outcomes AS o WHERE o.call = c.id) ORDER BY c.seq",
    )
    .bind(host)
    .bind(of_last("last_end"))
    .bind(of_last("last_call"))
    .fetch_all(&mut *tx)
    .await?;
    let closed_calls = open.len() as u64;
    let (last_call, last_end): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT coalesce(max(seq), 0) FROM calls), (SELECT coalesce(max(seq), 0) FROM session_ends)",
    )
    .fetch_one(&mut *tx)
    .await?;
    let opened = recover::opened(serde_json::json!({
        "last_call": last_call, "last_end": last_end, "closed_calls": closed_calls, "host": host,
    }));
    insert(tx, &recover::units(open, opened, now), pages).await?;
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
