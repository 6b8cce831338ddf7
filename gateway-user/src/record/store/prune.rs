//! Removing rows: which may go, and one bounded step of it in a transaction.
//!
//! A step gets numbers of rows, looks again which of them may go, leaves tombstones for these and what belongs to them, and
//! removes them, children first. A row that is not what was logged is not removed: it is evidence.

mod goes;
mod grounds;
mod seen;

use std::time::Duration;

use super::{
    book::{Book, Pages},
    columns::{LEAVES, Leaves},
    pages::{Conn, Logged, Place},
};
use crate::record::log::{
    leaf::Form,
    note::NoteError,
    tombstone::{Pruned, Tombstone},
    writer::Entry,
};
pub(in crate::record) use goes::{Cut, Kind, unneeded_contents};
pub(in crate::record) use grounds::{ALL, Memory, faithful};
pub(in crate::record) use seen::Seen;

/// Spans of one tombstone at most: whether a row is in one is looked up for every row.
const SPANS: usize = 100;

/// The tables of which rows are removed.
pub(in crate::record) const TABLES: [&str; 9] = [
    "masked",
    "call_bodies",
    "bodies",
    "outcomes",
    "calls",
    "identities",
    "session_ends",
    "sessions",
    "events",
];

/// Rows that are to go.
#[derive(Debug, Clone)]
pub(in crate::record) struct Step {
    pub(in crate::record) kind: Kind,
    /// Their numbers, ascending.
    pub(in crate::record) rows: Vec<i64>,
}

/// What went, or would go.
#[derive(Debug, Clone, Default)]
pub(in crate::record) struct Taken {
    /// How many of the step's rows have been looked at: what belongs to the others would be too much for one transaction.
    pub(in crate::record) done: usize,
    pub(in crate::record) tables: Vec<Tally>,
    /// How long it took, where no time-out bounds it.
    pub(in crate::record) took: Option<Duration>,
}

/// Rows of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// The table.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// Bytes of what is in them.
    pub bytes: u64,
    /// The time of the oldest.
    pub oldest: Option<String>,
    /// The time of the newest.
    pub newest: Option<String>,
}

impl Tally {
    /// Adds more of the same table.
    pub(in crate::record) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        let both = |a: &Option<String>, b: &Option<String>, pick: fn(String, String) -> String| match (
            a.clone(),
            b.clone(),
        ) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        self.oldest = both(&self.oldest, &other.oldest, std::cmp::min);
        self.newest = both(&self.newest, &other.newest, std::cmp::max);
    }
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub(in crate::record) enum PruneError {
    #[error("{0}")]
    Sql(sqlx::Error),
    #[error(
        "{0}; the owner of the tables lets a role remove old records with `chaperone database migrate --remover ROLE`"
    )]
    NotGranted(sqlx::Error),
    #[error("a tombstone could not be signed: {0}")]
    Sign(#[from] NoteError),
    #[error(
        "{table} row {row} is not what was logged, so nothing is removed: it would be evidence that is lost. \
         `chaperone verify` says more"
    )]
    Altered { table: &'static str, row: i64 },
    #[error(
        "{table} row {row} is in no log, so nothing is removed: somebody else put it there. `chaperone verify` says more"
    )]
    Unlogged { table: &'static str, row: i64 },
    #[error(
        "{table} row {row} is in the log and not in the database, so nothing is removed: what it holds is not known. \
         `chaperone verify` says more; put the row back from a copy of the database"
    )]
    Gone { table: &'static str, row: i64 },
    #[error(
        "the database says that {table} row {row} may go, and what the log has of it says otherwise, so nothing is removed: \
         a view or an index was changed, or `chaperone verify` says more"
    )]
    Otherwise { table: &'static str, row: i64 },
    #[error(
        "the log in the database is not what this daemon wrote, so nothing is removed. `chaperone verify` says more"
    )]
    Log,
    #[error(
        "somebody holds the advisory lock {0} on the database, which is for who places a hold: no row is removed meanwhile"
    )]
    Locked(i64),
    #[error("there is no table {0}")]
    NoTable(&'static str),
    #[error("{table}: {expected} rows should have gone, {found} did")]
    Count { table: &'static str, expected: usize, found: u64 },
}

impl From<sqlx::Error> for PruneError {
    fn from(error: sqlx::Error) -> Self {
        const INSUFFICIENT_PRIVILEGE: &str = "42501";
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() == Some(INSUFFICIENT_PRIVILEGE) {
            true => Self::NotGranted(error),
            false => Self::Sql(error),
        }
    }
}

impl PruneError {
    /// Whether it took too long: less may not.
    pub(in crate::record) fn is_timeout(&self) -> bool {
        const QUERY_CANCELED: &str = "57014";
        let Self::Sql(error) = self else { return false };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| code == QUERY_CANCELED)
    }
}

/// Looks which of the step's rows would go, with what belongs to them.
pub(in crate::record) async fn look(
    conn: &mut Conn<'_>,
    cut: &Cut,
    step: &Step,
) -> Result<Taken, PruneError> {
    let going = goes::which(conn, cut, step).await?;
    grounds::check(conn, cut, step.kind, &going.rows).await?;
    let mut tables = Vec::new();
    for (table, rows) in going.tables {
        tables.push(tally(conn, table, &rows).await?.0);
    }
    Ok(Taken { done: going.done, tables, ..Taken::default() })
}

/// Removes them, in the transaction that is open; its tombstones are in the log's entries then.
pub(super) async fn prune(
    conn: &mut Conn<'_>,
    book: &Book,
    pages: &mut Pages,
    cut: &Cut,
    step: &Step,
) -> Result<Taken, PruneError> {
    if cut.log != book.id {
        return Err(PruneError::Log);
    }
    conn.hold_back_holds().await?.map_or(Ok(()), |lock| Err(PruneError::Locked(lock)))?;
    let going = goes::which(conn, cut, step).await?;
    let (owners, mut places) = grounds::check(conn, cut, step.kind, &going.rows).await?;
    let mut leaving = Vec::new();
    for (table, rows) in going.tables {
        let (tally, forms) = tally(conn, table, &rows).await?;
        let owner = goes::owner_of(table.table);
        let is_theirs = |form: &Form| form.text(owner).is_some_and(|owner| owners.contains(owner));
        let is_child = table.table != step.kind.table();
        if let Some(form) = forms.iter().find(|form| is_child && !is_theirs(form)) {
            return Err(PruneError::Otherwise { table: table.table, row: form.row() });
        }
        let logged = conn.logged(book.id, table.table, &rows).await?;
        let mut entries = logged.iter();
        for form in &forms {
            let fits =
                entries.next().is_some_and(|entry| entry.row == form.row() && entry.leaf == form.hash());
            if !fits {
                return Err(PruneError::Altered { table: table.table, row: form.row() });
            }
        }
        logged
            .iter()
            .for_each(|entry| places.add(Place { log: book.id, index: entry.index, leaf: entry.leaf }));
        leaving.push((table.table, rows, tally, logged));
    }
    // Before anything is written: all that goes, and all that it goes for.
    places.prove(conn, cut, book.log.frontier()).await?;
    let mut tables = Vec::new();
    for (table, rows, tally, logged) in leaving {
        let contents = goes::contents_of(conn, table, &rows).await?;
        for spans in together(&logged) {
            bury(conn, book, pages, cut, table, &spans).await?;
        }
        tables.push(tally);
        if !contents.is_empty() {
            tables.push(goes::remove_contents(conn, book.host(), &contents).await?);
        }
    }
    tables.retain(|tally| tally.rows > 0);
    Ok(Taken { done: going.done, tables, ..Taken::default() })
}

/// Leaves a tombstone for these spans of rows, and removes them.
async fn bury(
    conn: &mut Conn<'_>,
    book: &Book,
    pages: &mut Pages,
    cut: &Cut,
    table: &'static str,
    spans: &[&[Logged]],
) -> Result<(), PruneError> {
    let mut pruned = Pruned::default();
    let mut rows = Vec::new();
    for logged in spans.iter().copied().flatten() {
        let Logged { row, index, leaf, .. } = *logged;
        pruned.add(&Entry { index, table: table.into(), row, leaf });
        rows.push(row);
    }
    let (Some(first), Some(last)) = (rows.first().copied(), rows.last().copied()) else { return Ok(()) };
    let ends = |span: &&[Logged]| Some((span.first()?.row, span.last()?.row));
    let ends: Vec<(i64, i64)> = spans.iter().filter_map(ends).collect();
    let stone = Tombstone {
        row: conn
            .next_tombstone()
            .await?
            .unwrap_or_else(|| pages.number(crate::record::log::tombstone::TABLE)),
        time: cut.now.clone(),
        table: table.to_owned(),
        first,
        last,
        row_count: pruned.rows(),
        digest: pruned.digest().as_bytes().to_vec(),
        actor: cut.actor.clone(),
        reason: cut.reason.clone(),
        note: String::new(),
        spans: (ends.len() > 1).then(|| serde_json::json!(ends).to_string()),
    };
    let stone = book.bury(stone)?;
    conn.add_tombstone(&stone).await?;
    let logged = pages.draft.entries().len();
    pages.draft.append(&stone.form());
    // Before the rows go: the triggers want it so.
    conn.add_entries(book.id, pages.draft.entries().get(logged..).unwrap_or_default()).await?;
    let found = conn.remove(table, &rows).await?;
    match found == rows.len() as u64 {
        true => Ok(()),
        false => Err(PruneError::Count { table, expected: rows.len(), found }),
    }
}

/// Runs of rows that follow each other in the log, as many as one tombstone stands for.
fn together(logged: &[Logged]) -> Vec<Vec<&[Logged]>> {
    let spans: Vec<&[Logged]> = logged.chunk_by(|before, after| after.before == Some(before.row)).collect();
    spans.chunks(SPANS).map(<[_]>::to_vec).collect()
}

/// Counts rows, and reads them.
async fn tally(
    conn: &mut Conn<'_>,
    leaves: &'static Leaves,
    rows: &[i64],
) -> Result<(Tally, Vec<Form>), PruneError> {
    let table = leaves.table;
    let forms = conn.forms(leaves, rows).await?;
    let time = goes::time_of(table);
    let sql = format!(
        "SELECT min(x.at), max(x.at) FROM (SELECT {time} AS at FROM {table} AS t WHERE t.seq {{rows}}) AS x"
    );
    let times: Vec<(Option<String>, Option<String>)> = conn.among(&sql, rows).await?;
    let (oldest, newest) = times.into_iter().next().unwrap_or_default();
    let bytes = forms.iter().map(|form| form.as_bytes().len() as u64).sum();
    Ok((Tally { table: table.to_owned(), rows: forms.len() as u64, bytes, oldest, newest }, forms))
}

pub(in crate::record) fn leaves(table: &str) -> Option<&'static Leaves> {
    LEAVES.iter().find(|leaves| leaves.table == table)
}
