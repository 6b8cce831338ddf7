//! Pages: some rows in the order of time, and where the next page begins.

use sqlx::{FromRow, QueryBuilder, Sqlite, SqlitePool, sqlite::SqliteRow};

use super::{CallView, EventView, QueryError, SessionView, read};

/// Which end of time comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
}

/// Which part of a listing is wanted.
#[derive(Debug, Clone)]
pub struct Page {
    /// Rows at most.
    pub limit: u32,
    /// [`Listing::next`] of the page before; the first page has none.
    pub cursor: Option<String>,
    /// The order of the rows.
    pub order: Order,
}

/// Some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows, in order.
    pub rows: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// A kind of row that can be listed.
pub(super) trait Listed: for<'r> FromRow<'r, SqliteRow> + Send + Unpin {
    /// Selects from the view, open for conditions.
    const SELECT: &'static str;
    /// Finds time and seq of the row that a cursor names.
    const SEEK: &'static str;
    /// The view's column of the time.
    const TIME: &'static str;
    /// What names this row in a cursor.
    fn cursor(&self) -> String;
}

/// One page of the rows that `conditions` leaves.
pub(super) async fn fetch<T: Listed>(
    pool: &SqlitePool,
    conditions: impl FnOnce(&mut QueryBuilder<Sqlite>),
    page: &Page,
) -> Result<Listing<T>, QueryError> {
    let (after, direction) = match page.order {
        Order::Newest => ("<", "DESC"),
        Order::Oldest => (">", "ASC"),
    };
    let mut query = QueryBuilder::new(T::SELECT);
    conditions(&mut query);
    if let Some(cursor) = &page.cursor {
        let at: Option<(String, i64)> =
            sqlx::query_as(T::SEEK).bind(cursor).fetch_optional(pool).await.map_err(read)?;
        let Some((time, seq)) = at else {
            return Err(QueryError::BadCursor(cursor.chars().take(80).collect()));
        };
        query.push(format_args!(" AND ({}, seq) {after} (", T::TIME));
        query.push_bind(time).push(", ").push_bind(seq).push(")");
    }
    query.push(format_args!(" ORDER BY {} {direction}, seq {direction} LIMIT ", T::TIME));
    // One more tells whether there is a next page.
    query.push_bind(i64::from(page.limit) + 1);
    let mut rows: Vec<T> = query.build_query_as().fetch_all(pool).await.map_err(read)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(T::cursor) } else { None };
    Ok(Listing { rows, next })
}

impl Listed for SessionView {
    const SELECT: &'static str = "SELECT * FROM v_sessions WHERE 1";
    const SEEK: &'static str = "SELECT started, seq FROM sessions WHERE id = ?";
    const TIME: &'static str = "started";

    fn cursor(&self) -> String {
        self.id.clone()
    }
}

impl Listed for CallView {
    const SELECT: &'static str = "SELECT * FROM v_calls WHERE 1";
    const SEEK: &'static str = "SELECT time, seq FROM calls WHERE id = ?";
    const TIME: &'static str = "time";

    fn cursor(&self) -> String {
        self.id.clone()
    }
}

impl Listed for EventView {
    const SELECT: &'static str = "SELECT * FROM events WHERE 1";
    const SEEK: &'static str = "SELECT time, seq FROM events WHERE seq = CAST(? AS INTEGER)";
    const TIME: &'static str = "time";

    fn cursor(&self) -> String {
        self.seq.to_string()
    }
}
