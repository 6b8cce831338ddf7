//! The index by which a search for a text finds calls in SQLite.
//!
//! Adding a call to it costs as much as half of recording it. So it is done in steps, while nothing else is to be written;
//! until then, a search looks at what is not in it one by one.

use sqlx::SqliteConnection;

/// Calls that are added in one transaction, for which new ones wait: some milliseconds, and less than 100 where parts of the
/// index are merged on the way, after some thousand calls.
pub(in crate::record) const STEP: u64 = 100;

/// Adds the next step of calls that have ended, in the order in which they did. Returns how many.
pub(super) async fn add(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let added = sqlx::query(
        "INSERT INTO call_texts (rowid, text) SELECT seq, text FROM ended_texts \
         WHERE seq > (SELECT coalesce(max(id), 0) FROM call_texts_docsize) ORDER BY seq LIMIT ?",
    )
    .bind(i64::try_from(STEP).unwrap_or(i64::MAX))
    .execute(conn)
    .await?;
    Ok(added.rows_affected())
}
