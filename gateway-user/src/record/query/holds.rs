//! What must be kept, and why.

use serde::Serialize;

use super::{QueryError, Reader, read};
use crate::{
    meant::meant,
    prim::WorkloadName,
    record::{retention::Held, stamp::stamp},
};

/// Names that are told to who asked for another one.
const SHOWN: usize = 8;

/// There is nothing of the name that a hold would hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownHeld {
    /// No such session.
    #[error("there is no session {0} in the record: a hold of it would hold nothing")]
    Session(String),
    /// No such workload, neither configured nor of a session.
    #[error("there is no workload {name}, neither configured nor in the record: {instead}")]
    Workload {
        /// The name.
        name: String,
        /// The name that may have been meant, or those that there are.
        instead: String,
    },
}

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

    /// Whether there is what a hold would hold. `configured`: workloads that need not have had a session.
    ///
    /// # Errors
    /// Reading; inside, [`UnknownHeld`].
    pub async fn known(
        &self,
        held: &Held,
        configured: &[WorkloadName],
    ) -> Result<Result<(), UnknownHeld>, QueryError> {
        match held {
            Held::Session(session) => {
                let mut query = self.pool.statement("SELECT count(*) FROM sessions WHERE id = ");
                query.bind(session.to_string());
                let found: Option<(i64,)> = self.pool.optional(query).await.map_err(read)?;
                let is_known = found.is_some_and(|(count,)| count > 0);
                Ok(is_known.then_some(()).ok_or_else(|| UnknownHeld::Session(session.to_string())))
            }
            Held::Workload(workload) if configured.contains(workload) => Ok(Ok(())),
            Held::Workload(workload) => {
                let query = self.pool.statement("SELECT DISTINCT workload FROM sessions ORDER BY workload");
                let recorded: Vec<(String,)> = self.pool.all(query).await.map_err(read)?;
                let names = configured.iter().map(|name| name.as_str().to_owned());
                let names: Vec<String> = names.chain(recorded.into_iter().map(|(name,)| name)).collect();
                let name = workload.as_str();
                if names.iter().any(|known| known == name) {
                    return Ok(Ok(()));
                }
                Ok(Err(UnknownHeld::Workload { name: name.to_owned(), instead: instead(name, names) }))
            }
            Held::Time { .. } => Ok(Ok(())),
        }
    }

    /// How many sessions a hold of this holds now.
    ///
    /// # Errors
    /// Reading.
    pub async fn held_sessions(&self, held: &Held) -> Result<u64, QueryError> {
        let mut query = self.pool.statement(
            "SELECT count(*) FROM sessions AS s LEFT JOIN session_ends AS e ON e.session = s.id WHERE ",
        );
        match held {
            Held::Session(session) => query.push("s.id = ").bind(session.to_string()),
            Held::Workload(workload) => query.push("s.workload = ").bind(workload.as_str()),
            Held::Time { since, until } => {
                // Every time is between these two.
                let since = since.map_or_else(String::new, stamp);
                let until = until.map_or_else(|| "~".to_owned(), stamp);
                query.push("s.started < ").bind(until);
                query.push(" AND (e.ended IS NULL OR e.ended >= ").bind(since).push(")")
            }
        };
        let found: Option<(i64,)> = self.pool.optional(query).await.map_err(read)?;
        Ok(found.map_or(0, |(count,)| count.cast_unsigned()))
    }

    /// What a run of retention came to, by its event; `None` where it left none.
    ///
    /// # Errors
    /// Reading.
    pub async fn retention_run(&self, run: &str) -> Result<Option<RunView>, QueryError> {
        let query = self.pool.statement(
            "SELECT CAST(detail AS text) FROM events WHERE kind = 'retention' ORDER BY time DESC, seq DESC LIMIT 100",
        );
        let events: Vec<(String,)> = self.pool.all(query).await.map_err(read)?;
        let parsed = |detail: &str| serde_json::from_str::<RunView>(detail).ok();
        Ok(events.iter().filter_map(|(detail,)| parsed(detail)).find(|view| view.run == run))
    }

    /// How many rows have tombstones by `actor` for `reason` from this time on.
    ///
    /// # Errors
    /// Reading.
    pub async fn buried(
        &self,
        actor: &str,
        reason: &str,
        since: time::OffsetDateTime,
    ) -> Result<u64, QueryError> {
        let mut query = self
            .pool
            .statement("SELECT CAST(coalesce(sum(row_count), 0) AS bigint) FROM tombstones WHERE actor = ");
        query.bind(actor).push(" AND reason = ").bind(reason).push(" AND time >= ").bind(stamp(since));
        let found: Option<(i64,)> = self.pool.optional(query).await.map_err(read)?;
        Ok(found.map_or(0, |(rows,)| rows.cast_unsigned()))
    }
}

/// What the event of a run says of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct RunView {
    run: String,
    /// Rows, by table.
    pub removed: std::collections::BTreeMap<String, u64>,
    /// Why it ended early.
    pub error: Option<String>,
}

/// What may have been meant, or what there is.
fn instead(name: &str, mut known: Vec<String>) -> String {
    if let Some(known) = meant(name, known.iter().map(String::as_str)) {
        return format!("did you mean {known}?");
    }
    known.sort_unstable();
    known.dedup();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    match known.get(..SHOWN.min(known.len())) {
        None | Some([]) => "there is none at all".to_owned(),
        Some(some) => format!("there are {}{more}", some.join(", ")),
    }
}
