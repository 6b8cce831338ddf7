//! The log's tables and the rows that are leaves, asked in the same words of both stores.

use std::sync::LazyLock;

use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _,
    postgres::{PgRow, PgValueRef},
    sqlite::{SqliteRow, SqliteValueRef},
};

use super::{
    book::BEGUN,
    columns::{HOST, LEAVES, Leaves},
};
use crate::record::{
    Config, StoreKind,
    log::{
        hash::{Hash, LeafHash},
        leaf::{Form, Value},
        tombstone::Tombstone,
        verify::Stored,
        writer::Entry,
    },
};

/// A connection to either store.
#[derive(Debug)]
pub(in crate::record) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// One log of the database.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(in crate::record) struct LogRow {
    /// Its number in the database.
    pub(in crate::record) id: i64,
    /// Its name.
    #[sqlx(try_from = "Text")]
    pub(in crate::record) origin: String,
    /// The host that writes it.
    #[sqlx(try_from = "Text")]
    pub(in crate::record) hostname: String,
}

impl LogRow {
    /// Whether this host writes it: all of a file's, and in PostgreSQL those under its name.
    pub(in crate::record) fn is_ours(&self, config: &Config) -> bool {
        config.store == StoreKind::Sqlite || self.hostname == config.host_name()
    }
}

/// Which rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) enum Whose {
    /// All.
    Anybody,
    /// Those that no log names.
    Nobody,
    /// Those that this log names, and those that none does.
    LogOrNobody(i64),
}

/// The same for both kinds of connection.
macro_rules! with {
    ($conn:expr, $inner:ident => $body:expr) => {
        match $conn {
            Conn::Sqlite($inner) => $body,
            Conn::Postgres($inner) => $body,
        }
    };
}

pub(super) use with;

mod numbered;
mod text;

pub(in crate::record) use numbered::{Logged, Place};
pub(in crate::record) use text::Text;

/// Rows of one INSERT into SQLite: its parameters have a bound.
const SQLITE_ENTRIES: usize = 256;

/// The greatest number of each table. One row: each takes a turn of the thread that runs SQLite, and every transaction asks.
static NUMBERS: LazyLock<String> = LazyLock::new(|| {
    let greatest = LEAVES.iter().map(|leaves| {
        let table = leaves.table;
        format!(
            "max(coalesce((SELECT max(seq) FROM {table}), 0), \
             coalesce((SELECT max(row_seq) FROM log WHERE table_name = '{table}'), 0))"
        )
    });
    format!("SELECT {}", greatest.collect::<Vec<_>>().join(", "))
});

impl Conn<'_> {
    /// A statement without parameters, such as BEGIN.
    pub(in crate::record) async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        with!(self, conn => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop))
    }

    /// Holds other hosts back until the transaction ends: which log is a database's first is one host's to say.
    pub(in crate::record) async fn lock_logs(&mut self) -> Result<(), sqlx::Error> {
        // "chapelog" as a number.
        const KEY: &str = "SELECT pg_advisory_xact_lock(7163375911966797671)";
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(conn) => sqlx::raw_sql(KEY).execute(&mut **conn).await.map(drop),
        }
    }

    /// Every log, oldest first.
    pub(in crate::record) async fn logs(&mut self) -> Result<Vec<LogRow>, sqlx::Error> {
        const SQL: &str = "SELECT id, origin, hostname FROM logs ORDER BY id";
        with!(self, conn => sqlx::query_as(SQL).fetch_all(&mut **conn).await)
    }

    /// Notes that there is a log of this name, and says its number.
    pub(in crate::record) async fn begin_log(
        &mut self,
        origin: &str,
        host: &str,
        created: &str,
    ) -> Result<i64, sqlx::Error> {
        const SQL: &str = "INSERT INTO logs (origin, hostname, created) VALUES ($1, $2, $3) RETURNING id";
        with!(self, conn => {
            sqlx::query_scalar(SQL).bind(origin).bind(host).bind(created).fetch_one(&mut **conn).await
        })
    }

    /// Whether a log's event [`BEGUN`] is in it.
    pub(in crate::record) async fn has_begun(&mut self, log: i64) -> Result<bool, sqlx::Error> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM events AS e JOIN log AS l \
            ON l.table_name = 'events' AND l.row_seq = e.seq WHERE e.kind = $1 AND l.log_id = $2)";
        with!(self, conn => sqlx::query_scalar(SQL).bind(BEGUN).bind(log).fetch_one(&mut **conn).await)
    }

    /// The event that a log begins with, where it begins with one: its kind, and its detail as JSON.
    pub(in crate::record) async fn first_event(
        &mut self,
        log: i64,
    ) -> Result<Option<(String, String)>, sqlx::Error> {
        const SQL: &str = "SELECT e.kind, CAST(e.detail AS text) FROM log AS l JOIN events AS e \
            ON l.table_name = 'events' AND l.row_seq = e.seq WHERE l.log_id = $1 AND l.leaf_index = 0";
        let found: Option<(Text, Text)> =
            with!(self, conn => sqlx::query_as(SQL).bind(log).fetch_optional(&mut **conn).await)?;
        Ok(found.map(|(Text(kind), Text(detail))| (kind, detail)))
    }

    /// A log that entries, or checkpoints, are said to be of, and that is none: rows could be hidden under it.
    pub(in crate::record) async fn stray_log(&mut self, logs: &[LogRow]) -> Result<Option<i64>, sqlx::Error> {
        // From one to the next, however many entries each has.
        const ENTRIES: [&str; 2] =
            ["SELECT min(log_id) FROM log", "SELECT min(log_id) FROM log WHERE log_id > $1"];
        const CHECKPOINTS: [&str; 2] =
            ["SELECT min(log_id) FROM checkpoints", "SELECT min(log_id) FROM checkpoints WHERE log_id > $1"];
        for [least, next] in [ENTRIES, CHECKPOINTS] {
            let mut last = None;
            loop {
                let found: Option<i64> = with!(self, conn => match last {
                    None => sqlx::query_scalar(least).fetch_one(&mut **conn).await,
                    Some(last) => sqlx::query_scalar(next).bind::<i64>(last).fetch_one(&mut **conn).await,
                })?;
                match found {
                    None => break,
                    Some(id) if logs.iter().any(|log| log.id == id) => last = Some(id),
                    stray => return Ok(stray),
                }
            }
        }
        Ok(None)
    }

    /// How many rows there are that are leaves.
    pub(in crate::record) async fn leaf_rows(&mut self) -> Result<u64, sqlx::Error> {
        let counts: Vec<String> =
            LEAVES.iter().map(|leaves| format!("(SELECT count(*) FROM {})", leaves.table)).collect();
        let sql = AssertSqlSafe(format!("SELECT {}", counts.join(" + ")));
        let rows: i64 = with!(self, conn => sqlx::query_scalar(sql).fetch_one(&mut **conn).await)?;
        Ok(rows.try_into().unwrap_or_default())
    }

    /// How many entries a log has.
    pub(in crate::record) async fn size(&mut self, log: i64) -> Result<u64, sqlx::Error> {
        const SQL: &str = "SELECT coalesce(max(leaf_index) + 1, 0) FROM log WHERE log_id = $1";
        let size: i64 = with!(self, conn => sqlx::query_scalar(SQL).bind(log).fetch_one(&mut **conn).await)?;
        Ok(size.try_into().unwrap_or_default())
    }

    /// Entries of a log from this index on, in order.
    pub(in crate::record) async fn entries(
        &mut self,
        log: i64,
        from: i64,
        limit: i64,
    ) -> Result<Vec<Entry>, sqlx::Error> {
        const SQL: &str = "SELECT leaf_index, table_name, row_seq, leaf FROM log \
                           WHERE log_id = $1 AND leaf_index >= $2 ORDER BY leaf_index LIMIT $3";
        let rows: Vec<(i64, Text, i64, Vec<u8>)> = with!(self, conn => {
            sqlx::query_as(SQL).bind(log).bind(from).bind(limit).fetch_all(&mut **conn).await
        })?;
        rows.into_iter().map(entry).collect()
    }

    /// Checkpoints of a log of more than `after` leaves, in order.
    pub(in crate::record) async fn checkpoints(
        &mut self,
        log: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Stored>, sqlx::Error> {
        const SQL: &str = "SELECT size, frontier, note FROM checkpoints \
                           WHERE log_id = $1 AND size > $2 ORDER BY size LIMIT $3";
        let rows: Vec<(i64, Vec<u8>, Text)> = with!(self, conn => {
            sqlx::query_as(SQL).bind(log).bind(after).bind(limit).fetch_all(&mut **conn).await
        })?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// The newest checkpoint of a log.
    pub(in crate::record) async fn last_checkpoint(
        &mut self,
        log: i64,
    ) -> Result<Option<Stored>, sqlx::Error> {
        const SQL: &str =
            "SELECT size, frontier, note FROM checkpoints WHERE log_id = $1 ORDER BY size DESC LIMIT 1";
        let row: Option<(i64, Vec<u8>, Text)> =
            with!(self, conn => sqlx::query_as(SQL).bind(log).fetch_optional(&mut **conn).await)?;
        Ok(row.map(stored))
    }

    /// Every tombstone of a log or of none, each with the entry that names it.
    pub(in crate::record) async fn tombstones(
        &mut self,
        log: i64,
    ) -> Result<Vec<(Tombstone, Option<Entry>)>, sqlx::Error> {
        const SQL: &str = "SELECT t.seq, t.time, t.table_name, t.first_row, t.last_row, t.row_count, t.digest, \
            t.actor, t.reason, t.note, t.spans, l.leaf_index, l.leaf FROM tombstones AS t \
            LEFT JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq \
            WHERE coalesce(l.log_id, $1) = $1 ORDER BY t.seq";
        let rows: Vec<TombstoneRow> =
            with!(self, conn => sqlx::query_as(SQL).bind(log).fetch_all(&mut **conn).await)?;
        rows.into_iter().map(TombstoneRow::read).collect()
    }

    /// A body that keeps a content that is not there: its call, its side, and the content's digest.
    pub(in crate::record) async fn missing_content(
        &mut self,
    ) -> Result<Option<(Text, Text, Text)>, sqlx::Error> {
        const SQL: &str = "SELECT call, side, kept FROM call_bodies WHERE kept IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM bodies WHERE digest = kept) ORDER BY seq LIMIT 1";
        with!(self, conn => sqlx::query_as(SQL).fetch_optional(&mut **conn).await)
    }

    /// The next contents, by their digests and hosts.
    pub(in crate::record) async fn contents_after<T>(
        &mut self,
        digest: &str,
        hostname: &str,
        count: i64,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        const OF_SQLITE: &str = "SELECT digest, $2 AS hostname, length, content FROM bodies WHERE digest > $1 \
            ORDER BY digest LIMIT $3";
        const OF_POSTGRES: &str = "SELECT digest, hostname, length, content FROM bodies \
            WHERE (digest, hostname) > ($1, $2) ORDER BY digest, hostname LIMIT $3";
        let sql = if matches!(self, Self::Sqlite(_)) { OF_SQLITE } else { OF_POSTGRES };
        with!(self, conn => {
            sqlx::query_as(sql).bind(digest).bind(hostname).bind(count).fetch_all(&mut **conn).await
        })
    }

    /// The first body that keeps this content.
    pub(in crate::record) async fn keeper_of<T>(&mut self, digest: &str) -> Result<Option<T>, sqlx::Error>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        const SQL: &str = "SELECT call, side FROM call_bodies WHERE kept = $1 ORDER BY seq LIMIT 1";
        with!(self, conn => sqlx::query_as(SQL).bind(digest).fetch_optional(&mut **conn).await)
    }

    /// Adds entries to a log.
    pub(in crate::record) async fn add_entries(
        &mut self,
        log: i64,
        entries: &[Entry],
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn) => {
                for chunk in entries.chunks(SQLITE_ENTRIES) {
                    add_to_sqlite(conn, log, chunk).await?;
                }
                Ok(())
            }
            Self::Postgres(conn) => add_to_postgres(conn, log, entries).await,
        }
    }

    /// Stores a checkpoint, unless it is stored: an attempt whose answer was lost is made again.
    pub(in crate::record) async fn add_checkpoint(
        &mut self,
        log: i64,
        size: u64,
        frontier: &[Hash],
        note: &str,
    ) -> Result<(), sqlx::Error> {
        const STORED: &str = "SELECT note FROM checkpoints WHERE log_id = $1 AND size = $2";
        const SQL: &str = "INSERT INTO checkpoints (log_id, size, frontier, note) VALUES ($1, $2, $3, $4)";
        let frontier: Vec<u8> = frontier.iter().flat_map(Hash::as_bytes).copied().collect();
        let size = index(size)?;
        let stored: Option<String> = with!(self, conn => {
            sqlx::query_scalar(STORED).bind(log).bind(size).fetch_optional(&mut **conn).await
        })?;
        match stored {
            // The key signs the same in the same way.
            Some(stored) if stored == note => Ok(()),
            Some(_) => Err(corrupt("a checkpoint of this size that this daemon did not sign")),
            None => with!(self, conn => {
                sqlx::query(SQL).bind(log).bind(size).bind(frontier).bind(note).execute(&mut **conn).await.map(drop)
            }),
        }
    }

    /// The forms of rows of a table with this number or greater ones, in the order of these.
    pub(in crate::record) async fn rows(
        &mut self,
        leaves: &Leaves,
        whose: Whose,
        from: i64,
        limit: i64,
    ) -> Result<Vec<Form>, sqlx::Error> {
        let table = leaves.table;
        let later = match self {
            Self::Postgres(_) if leaves.hosted => Some(HOST),
            Self::Postgres(_) | Self::Sqlite(_) => None,
        };
        let columns: String =
            leaves.columns.iter().chain(&later).map(|name| format!(", t.\"{name}\"")).collect();
        // For each row one look-up of the index, whatever else the planner would think of.
        let its_log =
            format!("(SELECT l.log_id FROM log AS l WHERE l.table_name = '{table}' AND l.row_seq = t.seq)");
        let (condition, log) = match whose {
            Whose::Anybody => (String::new(), None),
            Whose::Nobody => (format!("AND {its_log} IS NULL"), None),
            Whose::LogOrNobody(log) => (format!("AND coalesce({its_log}, $3) = $3"), Some(log)),
        };
        let sql = format!(
            "SELECT t.seq{columns} FROM {table} AS t WHERE t.seq >= $1 {condition} ORDER BY t.seq LIMIT $2"
        );
        match self {
            Self::Sqlite(conn) => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(from).bind(limit);
                let query = match log {
                    Some(log) => query.bind(log),
                    None => query,
                };
                let rows = query.fetch_all(&mut **conn).await?;
                rows.iter().map(|row| sqlite_form(row, leaves)).collect()
            }
            Self::Postgres(conn) => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(from).bind(limit);
                let query = match log {
                    Some(log) => query.bind(log),
                    None => query,
                };
                let rows = query.fetch_all(&mut **conn).await?;
                rows.iter().map(|row| postgres_form(row, leaves)).collect()
            }
        }
    }

    /// The greatest number that each table has given out: a row that is removed leaves it to the log.
    pub(in crate::record) async fn numbers(&mut self) -> Result<Vec<(&'static str, i64)>, sqlx::Error> {
        let conn = match self {
            Self::Sqlite(conn) => conn,
            // It gives them out itself.
            Self::Postgres(_) => return Ok(Vec::new()),
        };
        let row = sqlx::query(NUMBERS.as_str()).fetch_one(&mut **conn).await?;
        LEAVES.iter().enumerate().map(|(at, leaves)| Ok((leaves.table, row.try_get(at)?))).collect()
    }
}

/// The bytes are outside input: what is stored may be anybody's.
fn corrupt(what: &str) -> sqlx::Error {
    sqlx::Error::Protocol(format!("the database holds {what}"))
}

fn index(size: u64) -> Result<i64, sqlx::Error> {
    size.try_into().map_err(|_| corrupt("too much"))
}

fn entry((index, Text(table), row, leaf): (i64, Text, i64, Vec<u8>)) -> Result<Entry, sqlx::Error> {
    let leaf = LeafHash::stored(&leaf);
    let index = index.try_into().map_err(|_| corrupt("a log entry with a negative index"))?;
    Ok(Entry { index, table: table.into(), row, leaf })
}

fn stored((size, frontier, Text(note)): (i64, Vec<u8>, Text)) -> Stored {
    Stored { size: size.try_into().unwrap_or_default(), frontier, note: note.into_bytes() }
}

#[derive(sqlx::FromRow)]
struct TombstoneRow {
    seq: i64,
    time: Text,
    table_name: Text,
    first_row: i64,
    last_row: i64,
    row_count: i64,
    digest: Vec<u8>,
    actor: Text,
    reason: Text,
    note: Text,
    spans: Option<Text>,
    leaf_index: Option<i64>,
    leaf: Option<Vec<u8>>,
}

impl TombstoneRow {
    fn read(self) -> Result<(Tombstone, Option<Entry>), sqlx::Error> {
        let named = self.leaf_index.zip(self.leaf);
        let named = named.map(|(index, leaf)| entry((index, Text("tombstones".to_owned()), self.seq, leaf)));
        let tombstone = Tombstone {
            row: self.seq,
            time: self.time.into(),
            table: self.table_name.into(),
            first: self.first_row,
            last: self.last_row,
            row_count: self.row_count,
            digest: self.digest,
            actor: self.actor.into(),
            reason: self.reason.into(),
            note: self.note.into(),
            spans: self.spans.map(Into::into),
        };
        Ok((tombstone, named.transpose()?))
    }
}

async fn add_to_sqlite(conn: &mut SqliteConnection, log: i64, entries: &[Entry]) -> Result<(), sqlx::Error> {
    let mut query =
        sqlx::QueryBuilder::<Sqlite>::new("INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) ");
    query.push_values(entries, |mut values, entry| {
        values.push_bind(log);
        values.push_bind(entry.index.cast_signed());
        values.push_bind(entry.table.as_ref());
        values.push_bind(entry.row);
        values.push_bind(entry.leaf.as_bytes().as_slice());
    });
    // Kept prepared where it comes again.
    let again = entries.len() == SQLITE_ENTRIES || entries.len() <= 64;
    query.build().persistent(again).execute(&mut *conn).await.map(drop)
}

async fn add_to_postgres(conn: &mut PgConnection, log: i64, entries: &[Entry]) -> Result<(), sqlx::Error> {
    let indexes: Vec<i64> = entries.iter().map(|entry| entry.index.cast_signed()).collect();
    let tables: Vec<&str> = entries.iter().map(|entry| entry.table.as_ref()).collect();
    let rows: Vec<i64> = entries.iter().map(|entry| entry.row).collect();
    let leaves: Vec<&[u8]> = entries.iter().map(|entry| entry.leaf.as_bytes().as_slice()).collect();
    sqlx::query(
        "INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) \
         SELECT $1::bigint, batch.* FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bytea[]) AS batch",
    )
    .bind(log)
    .bind(indexes)
    .bind(tables)
    .bind(rows)
    .bind(leaves)
    .execute(conn)
    .await
    .map(drop)
}

fn sqlite_form(row: &SqliteRow, leaves: &Leaves) -> Result<Form, sqlx::Error> {
    let mut form = Form::new(leaves.table, row.try_get(0)?);
    for (at, name) in (1..).zip(leaves.columns) {
        form = form.column(name, sqlite_value(row.try_get_raw(at)?)?);
    }
    Ok(form)
}

/// As it is stored, whatever the column was declared to hold.
fn sqlite_value(value: SqliteValueRef<'_>) -> Result<Value<'_>, sqlx::Error> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let kind = value.type_info().name().to_owned();
    let decoded = match kind.as_str() {
        "INTEGER" => <i64 as sqlx::Decode<Sqlite>>::decode(value).map(Value::Integer),
        "TEXT" => <&[u8] as sqlx::Decode<Sqlite>>::decode(value).map(Value::Text),
        _ => <&[u8] as sqlx::Decode<Sqlite>>::decode(value).map(Value::Blob),
    };
    decoded.map_err(sqlx::Error::Decode)
}

fn postgres_form(row: &PgRow, leaves: &Leaves) -> Result<Form, sqlx::Error> {
    let mut form = Form::new(leaves.table, row.try_get(0)?);
    for (at, name) in (1..).zip(leaves.columns) {
        form = form.column(name, postgres_value(row.try_get_raw(at)?)?);
    }
    if leaves.hosted {
        form = form.later_column(HOST, postgres_value(row.try_get_raw(HOST)?)?);
    }
    Ok(form)
}

/// The same.
fn postgres_value(value: PgValueRef<'_>) -> Result<Value<'_>, sqlx::Error> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let kind = value.type_info().name().to_owned();
    let decoded = match kind.as_str() {
        "INT8" => <i64 as sqlx::Decode<Postgres>>::decode(value).map(Value::Integer),
        "TEXT" => value.as_bytes().map(Value::Text),
        _ => value.as_bytes().map(Value::Blob),
    };
    decoded.map_err(sqlx::Error::Decode)
}
