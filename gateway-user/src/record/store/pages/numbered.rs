//! Rows by their numbers, and what is done to them when they are removed.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, FromRow, postgres::PgRow, sqlite::SqliteRow};

use super::{Conn, Leaves, postgres_form, sqlite_form};
use crate::record::{
    log::{hash::LeafHash, leaf::Form, tombstone::Tombstone},
    store::columns::HOST,
};

/// A row as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) struct Logged {
    pub(in crate::record) row: i64,
    pub(in crate::record) index: u64,
    pub(in crate::record) leaf: LeafHash,
    /// The row of this table that the log names before it.
    pub(in crate::record) before: Option<i64>,
}

/// Where a row is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) struct Place {
    /// Which log.
    pub(in crate::record) log: i64,
    /// Which of its entries.
    pub(in crate::record) index: u64,
    /// What that says.
    pub(in crate::record) leaf: LeafHash,
}

impl Conn<'_> {
    /// Asks a statement in which `{rows}` says that what stands before it is one of these numbers.
    pub(in crate::record) async fn among<T>(&mut self, sql: &str, rows: &[i64]) -> Result<Vec<T>, sqlx::Error>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let sql = AssertSqlSafe(self.list(sql));
        match self {
            Self::Sqlite(conn) => sqlx::query_as(sql).bind(json(rows)).fetch_all(&mut **conn).await,
            Self::Postgres(conn) => sqlx::query_as(sql).bind(rows).fetch_all(&mut **conn).await,
        }
    }

    /// The same with texts.
    pub(in crate::record) async fn among_texts<T>(
        &mut self,
        sql: &str,
        texts: &[String],
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let sql = AssertSqlSafe(self.list(sql));
        match self {
            Self::Sqlite(conn) => {
                let list = serde_json::Value::from(texts).to_string();
                sqlx::query_as(sql).bind(list).fetch_all(&mut **conn).await
            }
            Self::Postgres(conn) => sqlx::query_as(sql).bind(texts).fetch_all(&mut **conn).await,
        }
    }

    /// Asks a statement that is asked once.
    pub(in crate::record) async fn ask<T>(&mut self, sql: String) -> Result<Vec<T>, sqlx::Error>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        with!(self, conn => {
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut **conn).await
        })
    }

    /// The forms of these rows, in the order of their numbers.
    pub(in crate::record) async fn forms(
        &mut self,
        leaves: &Leaves,
        rows: &[i64],
    ) -> Result<Vec<Form>, sqlx::Error> {
        let later = matches!(self, Self::Postgres(_)) && leaves.hosted;
        let later = later.then_some(HOST);
        let columns: String =
            leaves.columns.iter().chain(&later).map(|name| format!(", t.\"{name}\"")).collect();
        let table = leaves.table;
        let sql = self
            .list(&format!("SELECT t.seq{columns} FROM {table} AS t WHERE t.seq {{rows}} ORDER BY t.seq"));
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(conn) => {
                let rows = sqlx::query(sql).bind(json(rows)).fetch_all(&mut **conn).await?;
                rows.iter().map(|row| sqlite_form(row, leaves)).collect()
            }
            Self::Postgres(conn) => {
                let rows = sqlx::query(sql).bind(rows).fetch_all(&mut **conn).await?;
                rows.iter().map(|row| postgres_form(row, leaves)).collect()
            }
        }
    }

    /// The entries of this log that name these rows, in the order of the rows.
    pub(in crate::record) async fn logged(
        &mut self,
        log: i64,
        table: &'static str,
        rows: &[i64],
    ) -> Result<Vec<Logged>, sqlx::Error> {
        let sql = format!(
            "SELECT l.row_seq, l.leaf_index, l.leaf, \
             (SELECT p.row_seq FROM log AS p WHERE p.table_name = '{table}' AND p.row_seq < l.row_seq \
              AND p.log_id = {log} ORDER BY p.row_seq DESC LIMIT 1) AS before \
             FROM log AS l WHERE l.table_name = '{table}' AND l.row_seq {{rows}} AND l.log_id = {log} ORDER BY l.row_seq"
        );
        let found: Vec<(i64, i64, Vec<u8>, Option<i64>)> = self.among(&sql, rows).await?;
        let read = |(row, index, leaf, before): (i64, i64, Vec<u8>, Option<i64>)| {
            let leaf = LeafHash::stored(&leaf);
            Logged { row, index: index.cast_unsigned(), leaf, before }
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// Where rows of this table are logged, by the rows' numbers: of these rows, where any are given, and of these logs, where any are.
    pub(in crate::record) async fn leaves(
        &mut self,
        table: &'static str,
        logs: &[i64],
        rows: Option<&[i64]>,
    ) -> Result<BTreeMap<i64, Place>, sqlx::Error> {
        let logs: Vec<String> = logs.iter().map(i64::to_string).collect();
        let of_logs =
            if logs.is_empty() { String::new() } else { format!("AND l.log_id IN ({})", logs.join(", ")) };
        let select = format!(
            "SELECT l.row_seq, l.log_id, l.leaf_index, l.leaf FROM log AS l WHERE l.table_name = '{table}' {of_logs}"
        );
        let found: Vec<(i64, i64, i64, Vec<u8>)> = match rows {
            Some(rows) => self.among(&format!("{select} AND l.row_seq {{rows}}"), rows).await?,
            None => self.ask(select).await?,
        };
        let read = |(row, log, index, leaf): (i64, i64, i64, Vec<u8>)| {
            (row, Place { log, index: index.cast_unsigned(), leaf: LeafHash::stored(&leaf) })
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// The next number of PostgreSQL's tombstones; SQLite's are given out by the writer.
    pub(in crate::record) async fn next_tombstone(&mut self) -> Result<Option<i64>, sqlx::Error> {
        const SQL: &str = "SELECT nextval(pg_get_serial_sequence('tombstones', 'seq'))";
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(conn) => sqlx::query_scalar(SQL).fetch_one(&mut **conn).await.map(Some),
        }
    }

    /// Stores a tombstone under its number.
    pub(in crate::record) async fn add_tombstone(&mut self, stone: &Tombstone) -> Result<(), sqlx::Error> {
        let own = if matches!(self, Self::Postgres(_)) { " OVERRIDING SYSTEM VALUE" } else { "" };
        let sql = AssertSqlSafe(format!(
            "INSERT INTO tombstones (seq, time, table_name, first_row, last_row, row_count, digest, actor, reason, note, \
             spans){own} VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ));
        let Tombstone { row, time, table, first, last, row_count, digest, actor, reason, note, spans } =
            stone;
        with!(self, conn => {
            let query = sqlx::query(sql).bind(row).bind(time).bind(table).bind(first).bind(last).bind(row_count);
            let query = query.bind(digest).bind(actor).bind(reason).bind(note).bind(spans);
            query.execute(&mut **conn).await.map(drop)
        })
    }

    /// Removes these rows, and says how many there were.
    pub(in crate::record) async fn remove(&mut self, table: &str, rows: &[i64]) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(self.list(&format!("DELETE FROM {table} WHERE seq {{rows}}")));
        Ok(match self {
            Self::Sqlite(conn) => {
                sqlx::query(sql).bind(json(rows)).execute(&mut **conn).await?.rows_affected()
            }
            Self::Postgres(conn) => sqlx::query(sql).bind(rows).execute(&mut **conn).await?.rows_affected(),
        })
    }

    /// Keeps whoever places a hold waiting until this transaction has ended. (SQLite has one writer.) Where somebody has the lock, this does not
    /// wait, because calls would: it says which.
    pub(in crate::record) async fn hold_back_holds(&mut self) -> Result<Option<i64>, sqlx::Error> {
        // The number of the migration's trigger `holds_wait`.
        const LOCK: i64 = 7_163_082_342_698_348_396;
        const SQL: &str = "SELECT pg_try_advisory_xact_lock_shared($1)";
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(conn) => {
                let is_taken: bool = sqlx::query_scalar(SQL).bind(LOCK).fetch_one(&mut **conn).await?;
                Ok((!is_taken).then_some(LOCK))
            }
        }
    }

    fn list(&self, sql: &str) -> String {
        let list = match self {
            Self::Sqlite(_) => "IN (SELECT value FROM json_each($1))",
            Self::Postgres(_) => "= ANY ($1)",
        };
        sql.replace("{rows}", list)
    }
}

fn json(rows: &[i64]) -> String {
    serde_json::Value::from(rows).to_string()
}
