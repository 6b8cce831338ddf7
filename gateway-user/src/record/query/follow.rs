//! Going along with what is written: nothing is missed, nothing comes twice.
//!
//! Rows carry the order of writing. In SQLite that is the order in which they become visible. In PostgreSQL several hosts
//! write, and a row may become visible after one that was numbered later: who reads up to the highest number would miss it
//! for ever. So a mark is used only when every transaction that was writing when it was read has ended.

use std::{collections::HashSet, time::Duration};

use super::{CallFilter, CallView, EventFilter, EventView, QueryError, Reader, read, statement::Pool};

/// Longest wait for other transactions to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(20);

/// Up to where records are complete, by their order of writing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// Calls that began.
    pub calls: i64,
    /// Calls that ended, those that retention has removed included.
    pub outcomes: i64,
    /// Events.
    pub events: i64,
}

/// Who goes on from an outcome must not be ahead of the mark when retention has removed the newest ones: the log knows the
/// numbers of rows that are gone.
const MARKS: &str = "SELECT coalesce((SELECT max(seq) FROM calls), 0), \
    coalesce((SELECT max(given.seq) FROM (SELECT max(seq) AS seq FROM outcomes UNION ALL \
    SELECT max(row_seq) FROM log WHERE table_name = 'outcomes') AS given), 0), \
    coalesce((SELECT max(seq) FROM events), 0)";

/// Whoever inserts holds this lock from before a row is numbered until after it can be seen.
/// <https://www.postgresql.org/docs/current/view-pg-locks.html>
const WRITERS: &str = "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted \
    AND mode = 'RowExclusiveLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND relation IN (CAST('calls' AS regclass), CAST('outcomes' AS regclass), CAST('events' AS regclass))";

impl Reader {
    /// Up to where nothing can be added any more: waits until who was writing has ended.
    ///
    /// # Errors
    /// [`QueryError::Unsettled`] and reading.
    pub async fn settled(&self) -> Result<Marks, QueryError> {
        let found: Option<(i64, i64, i64)> =
            self.pool.optional(self.pool.statement(MARKS)).await.map_err(read)?;
        let (calls, outcomes, events) = found.unwrap_or_default();
        if let Pool::Postgres(_) = self.pool {
            let mut waited = Duration::ZERO;
            let mut open = self.writers().await?;
            while !open.is_empty() {
                if waited >= PATIENCE {
                    return Err(QueryError::Unsettled(PATIENCE));
                }
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
                let still = self.writers().await?;
                open.retain(|transaction| still.contains(transaction));
            }
        }
        Ok(Marks { calls, outcomes, events })
    }

    async fn writers(&self) -> Result<HashSet<String>, QueryError> {
        let rows: Vec<(String,)> = self.pool.all(self.pool.statement(WRITERS)).await.map_err(read)?;
        Ok(rows.into_iter().map(|(transaction,)| transaction).collect())
    }

    /// The calls that ended after the outcome `after` up to `until`, in that order, `limit` at most.
    ///
    /// # Errors
    /// An unknown session in the filter, and reading.
    pub async fn ended(
        &self,
        filter: &CallFilter,
        (after, until): (i64, i64),
        limit: u32,
    ) -> Result<Vec<CallView>, QueryError> {
        let session = self.session_of(filter).await?;
        let mut query = self.pool.statement("SELECT * FROM v_calls WHERE outcome_seq > ");
        query.bind(after).push(" AND outcome_seq <= ").bind(until);
        filter.push(session.as_deref(), &[], &mut query);
        query.push(" ORDER BY outcome_seq LIMIT ").bind(i64::from(limit));
        self.pool.all(query).await.map_err(read)
    }

    /// The calls that began after `after` up to `until`, in that order, `limit` at most.
    ///
    /// # Errors
    /// An unknown session in the filter, and reading.
    pub async fn begun(
        &self,
        filter: &CallFilter,
        (after, until): (i64, i64),
        limit: u32,
    ) -> Result<Vec<CallView>, QueryError> {
        let session = self.session_of(filter).await?;
        let mut query = self.pool.statement("SELECT * FROM v_calls WHERE seq > ");
        query.bind(after).push(" AND seq <= ").bind(until);
        filter.push(session.as_deref(), &[], &mut query);
        query.push(" ORDER BY seq LIMIT ").bind(i64::from(limit));
        self.pool.all(query).await.map_err(read)
    }

    /// The events after `after` up to `until`, in that order, `limit` at most.
    ///
    /// # Errors
    /// Reading.
    pub async fn happened(
        &self,
        filter: &EventFilter,
        (after, until): (i64, i64),
        limit: u32,
    ) -> Result<Vec<EventView>, QueryError> {
        let mut query = self.pool.statement("SELECT * FROM events WHERE seq > ");
        query.bind(after).push(" AND seq <= ").bind(until);
        filter.push(&mut query);
        query.push(" ORDER BY seq LIMIT ").bind(i64::from(limit));
        self.pool.all(query).await.map_err(read)
    }
}
