//! Pages: some rows in the order of time, and where the next page begins.

use super::{
    CallView, EventView, QueryError, SessionView, read,
    statement::{Pool, Row, Statement},
};

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
pub(super) trait Listed: Row {
    /// Selects from the view, open for conditions.
    const SELECT: &'static str;
    /// Finds time and seq of the row that a cursor names.
    const SEEK: &'static str;
    /// Leaves the rows that come after a time and seq, in the order of [`Order::Newest`] and of
    /// [`Order::Oldest`].
    const AFTER: [&'static str; 2];
    /// Puts them into that order.
    const ORDER: [&'static str; 2];
    /// What names this row in a cursor.
    fn cursor(&self) -> String;
    /// Completes [`Listed::SEEK`]. `None`: no row has such a cursor.
    fn bind_cursor(seek: &mut Statement, cursor: &str) -> Option<()> {
        seek.bind(cursor);
        Some(())
    }
}

/// One page of the rows that `conditions` leaves.
pub(super) async fn fetch<T: Listed>(
    pool: &Pool,
    conditions: impl FnOnce(&mut Statement),
    page: &Page,
) -> Result<Listing<T>, QueryError> {
    let of = |[newest, oldest]: [&'static str; 2]| match page.order {
        Order::Newest => newest,
        Order::Oldest => oldest,
    };
    let mut query = pool.statement(T::SELECT);
    conditions(&mut query);
    if let Some(cursor) = &page.cursor {
        let bad = || QueryError::BadCursor(cursor.chars().take(80).collect());
        let mut seek = pool.statement(T::SEEK);
        T::bind_cursor(&mut seek, cursor).ok_or_else(bad)?;
        let at: Option<(String, i64)> = pool.optional(seek).await.map_err(read)?;
        let (time, seq) = at.ok_or_else(bad)?;
        query.push(of(T::AFTER)).bind(time).push(", ").bind(seq).push(")");
    }
    // One more tells whether there is a next page.
    query.push(of(T::ORDER)).push(" LIMIT ").bind(i64::from(page.limit) + 1).push(")").push(of(T::ORDER));
    let mut rows: Vec<T> = pool.all(query).await.map_err(read)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(T::cursor) } else { None };
    Ok(Listing { rows, next })
}

/// The constants of a listing by the view's column of the time.
macro_rules! by {
    ($view:literal, $seek:literal, $time:literal) => {
        // Found by little, then read in full: what is sorted on the way is small.
        const SELECT: &'static str =
            concat!("SELECT * FROM ", $view, " WHERE seq IN (SELECT seq FROM ", $view, " WHERE TRUE");
        const SEEK: &'static str = $seek;
        const AFTER: [&'static str; 2] =
            [concat!(" AND (", $time, ", seq) < ("), concat!(" AND (", $time, ", seq) > (")];
        const ORDER: [&'static str; 2] =
            [concat!(" ORDER BY ", $time, " DESC, seq DESC"), concat!(" ORDER BY ", $time, ", seq")];
    };
}

impl Listed for SessionView {
    by!("v_sessions", "SELECT started, seq FROM sessions WHERE id = ", "started");

    fn cursor(&self) -> String {
        self.id.clone()
    }
}

impl Listed for CallView {
    by!("v_calls", "SELECT time, seq FROM calls WHERE id = ", "time");

    fn cursor(&self) -> String {
        self.id.clone()
    }
}

impl Listed for EventView {
    by!("events", "SELECT time, seq FROM events WHERE seq = ", "time");

    fn cursor(&self) -> String {
        self.seq.to_string()
    }

    fn bind_cursor(seek: &mut Statement, cursor: &str) -> Option<()> {
        seek.bind(cursor.parse::<i64>().ok()?);
        Some(())
    }
}
