//! The index by which a search for a text finds calls in SQLite.
//!
//! Adding a call to it costs as much as half of recording it. So it is done in steps, while nothing else is to be written;
//! until then, a search looks at what is not in it one by one.

use sqlx::SqliteConnection;

/// Calls that are added in one transaction at most, for which new ones wait: some milliseconds, and less than 100 where parts of
/// the index are merged on the way, after some thousand calls.
pub(in crate::record) const STEP: u64 = 100;
/// Bytes of their texts at most, if there is more than one: agents write them.
const STEP_BYTES: i64 = 256 * 1024;

/// The next calls that have ended, in the order in which they did.
const ADD: &str = "INSERT INTO call_texts (rowid, text) SELECT seq, text FROM ( \
                     SELECT seq, text, sum(length(text)) OVER (ORDER BY seq) - length(text) AS before FROM ( \
                       SELECT seq, text FROM ended_texts \
                       WHERE seq > (SELECT coalesce(max(id), 0) FROM call_texts_docsize) ORDER BY seq LIMIT ?)) \
                   WHERE before = 0 OR before + length(text) <= ?";
/// Whether there are more.
const MORE: &str = "SELECT EXISTS (SELECT 1 FROM outcomes \
                    WHERE seq > (SELECT coalesce(max(id), 0) FROM call_texts_docsize))";

/// What a step added, and whether there is more to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) struct Added {
    pub(in crate::record) calls: u64,
    pub(in crate::record) more: bool,
}

/// Adds the next step of calls that have ended.
pub(in crate::record) async fn add(conn: &mut SqliteConnection) -> Result<Added, sqlx::Error> {
    let calls = i64::try_from(STEP).unwrap_or(i64::MAX);
    let added = sqlx::query(ADD).bind(calls).bind(STEP_BYTES).execute(&mut *conn).await?;
    let more = sqlx::query_scalar(MORE).fetch_one(conn).await?;
    Ok(Added { calls: added.rows_affected(), more })
}
