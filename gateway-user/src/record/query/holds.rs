//! What must be kept, and why.

use serde::Serialize;

use super::{QueryError, Reader, read};

/// A row of `holds`, with its release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct HoldView {
    /// Its id.
    pub id: String,
    /// When it was placed.
    pub time: String,
    /// Who placed it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The session that it holds.
    pub session: Option<String>,
    /// The workload whose sessions it holds.
    pub workload: Option<String>,
    /// From when on it holds what was open.
    pub since: Option<String>,
    /// Until when.
    pub until: Option<String>,
    /// When it was released.
    pub released: Option<String>,
    /// Who released it.
    pub released_by: Option<String>,
    /// Why.
    pub release_reason: Option<String>,
}

impl Reader {
    /// Every hold, oldest first, those that were released too.
    ///
    /// # Errors
    /// Reading.
    pub async fn holds(&self) -> Result<Vec<HoldView>, QueryError> {
        let query = self.pool.statement(
            "SELECT h.id, h.time, h.actor, h.reason, h.session, h.workload, h.since, h.until, \
             r.time AS released, r.actor AS released_by, r.reason AS release_reason \
             FROM holds AS h LEFT JOIN hold_releases AS r ON r.hold = h.id ORDER BY h.time, h.seq",
        );
        self.pool.all(query).await.map_err(read)
    }
}
