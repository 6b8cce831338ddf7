//! Whether the clock is believed when rows go by their age.
//!
//! A host whose clock is far ahead at its start would remove what is young. So the time is held against what was recorded before: where it is
//! later than that by more than [`AHEAD`], and by the time that this daemon runs, nothing is removed until a person says that the clock is
//! right. That somebody doubts it is an event, so that another start with the same clock does not believe it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{RetentionError, Why};
use crate::record::{
    Config, Event, OutcomeKind, Recorder,
    query::{QueryError, Reader},
    stamp::{stamp, unstamp},
    store::{
        book::{BEGUN, RESTARTED},
        columns::{LEAVES, Leaves},
        pages::Conn,
        prune::{faithful, leaves},
        recover::OPENED,
    },
};

/// How much later than the newest record it may be.
pub const AHEAD: time::Duration = time::Duration::days(7);

/// The event of a clock that is not believed.
pub(in crate::record) const DOUBTED: &str = "clock-doubted";
/// The event of a person who says that it is right.
pub(in crate::record) const CONFIRMED: &str = "clock-confirmed";

/// Entries of the log that are looked at for the newest time.
const LAST: i64 = 64;

/// The columns that say when a row was written.
const TIMES: [&str; 3] = ["time", "started", "ended"];

/// A moment since the host was started, by a clock that goes on while the host sleeps
/// ([`CLOCK_BOOTTIME`](https://man7.org/linux/man-pages/man5/proc_uptime.5.html)).
#[derive(Debug, Clone, Copy)]
pub struct Uptime(Duration);

impl Uptime {
    /// Now. Where nobody can say, no time passes, and the clock is doubted sooner.
    #[must_use]
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
        Self(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default())
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// Of a moment since which the host has not slept.
impl From<Instant> for Uptime {
    fn from(since: Instant) -> Self {
        Self(Self::now().0.saturating_sub(since.elapsed()))
    }
}

/// What the clock is held against.
#[derive(Debug, Clone)]
pub struct Clocked {
    /// The newest time that is believed; `None` where nothing was recorded before.
    newest: Option<OffsetDateTime>,
    /// Since when it may be as much later as time passes.
    since: Uptime,
    /// The record has been told.
    told: bool,
}

impl Clocked {
    /// By what was recorded before this start, which was at `since`.
    ///
    /// # Errors
    /// [`RetentionError`]: reading, or a row that is not what was logged.
    pub async fn read(config: &Config, since: impl Into<Uptime>) -> Result<Self, RetentionError> {
        let since = since.into();
        let mut conn = Reader::open(config).await?.into_connection().await?;
        let logs = conn.conn().logs().await?;
        let own: Vec<i64> = logs.iter().filter(|log| log.is_ours(config)).map(|log| log.id).collect();
        if own.is_empty() {
            return Err(RetentionError::NoLog);
        }
        let conn = &mut conn.conn();
        let doubted = doubted(conn, &own).await?;
        let told = doubted.is_some();
        let newest = match doubted {
            Some(newest) => Some(newest),
            None => newest(conn, &own).await?,
        };
        Ok(Self { newest, since, told })
    }

    /// Whether what is old at `now` may go. `right`: who says that the clock is right.
    ///
    /// # Errors
    /// [`RetentionError::ClockAhead`]; recording.
    pub async fn check(
        &mut self,
        recorder: &Recorder,
        now: OffsetDateTime,
        right: Option<&Why>,
    ) -> Result<(), RetentionError> {
        let Some(newest) = self.newest else { return Ok(()) };
        let passed = time::Duration::try_from(self.since.elapsed()).unwrap_or(time::Duration::MAX);
        let fits = now <= newest.saturating_add(AHEAD).saturating_add(passed);
        let set_right = || Why {
            actor: "the daemon".to_owned(),
            reason: "it agrees again with what was recorded".to_owned(),
        };
        let settled = match right {
            _ if fits && !self.told => return Ok(()),
            _ if fits => Some(set_right()),
            right => right.cloned(),
        };
        let (says, newest) = (stamp(now), stamp(newest));
        if let Some(Why { actor, reason }) = settled {
            let detail = json!({ "now": says, "newest": newest, "actor": actor, "reason": reason });
            recorder.event(Event { detail, ..Event::new(CONFIRMED, "the clock is right") }).await?;
            *self = Self { newest: Some(now), since: Uptime::now(), told: false };
            return Ok(());
        }
        let error = RetentionError::ClockAhead { now: says.clone(), newest: newest.clone() };
        if !self.told {
            let detail = json!({ "now": says, "newest": newest });
            recorder.event(Event { detail, ..Event::new(DOUBTED, error.to_string()) }).await?;
            self.told = true;
        }
        Err(error)
    }
}

/// The newest time that was believed when somebody doubted, where nobody has said since that the clock was right.
async fn doubted(conn: &mut Conn<'_>, own: &[i64]) -> Result<Option<OffsetDateTime>, RetentionError> {
    let last = last_event(conn, own, &[DOUBTED, CONFIRMED], "").await?;
    let Some(row) = last else { return Ok(None) };
    let Some(events) = leaves("events") else { return Ok(None) };
    let forms = faithful(conn, events, own, &[row]).await.map_err(unreadable)?;
    let Some(event) = forms.first().filter(|event| event.text("kind") == Some(DOUBTED)) else {
        return Ok(None);
    };
    let detail: Option<Value> = event.text("detail").and_then(|detail| serde_json::from_str(detail).ok());
    Ok(detail.as_ref().and_then(|detail| detail.get("newest")?.as_str()).and_then(unstamp))
}

/// The newest time from before this start, and from before those that came to nothing: before the first one after that of the last
/// daemon that served.
async fn newest(conn: &mut Conn<'_>, own: &[i64]) -> Result<Option<OffsetDateTime>, RetentionError> {
    let this = last_event(conn, own, &[OPENED], "").await?.unwrap_or(i64::MAX);
    let served = last_event(conn, own, &[super::STARTED], &format!("AND e.seq < {this}")).await?;
    let served = served.unwrap_or(i64::MIN);
    let of_logs = of(own);
    let first: Vec<(i64, i64)> = conn
        .ask(format!(
            "SELECT l.log_id, l.leaf_index FROM events AS e JOIN log AS l ON l.table_name = 'events' AND l.row_seq = e.seq \
             WHERE e.kind = '{OPENED}' AND e.seq > {served} AND l.log_id IN ({of_logs}) ORDER BY e.seq LIMIT 1"
        ))
        .await?;
    let Some((log, index)) = first.first() else { return Ok(None) };
    // Others, of which one call may have hundreds, say nothing of the time. And a start says that calls are `unknown`, and that a log
    // begins, before it says that it was: by its own clock.
    let is_timed = |leaves: &&Leaves| leaves.columns.iter().any(|column| TIMES.contains(column));
    let timed: Vec<String> =
        LEAVES.iter().filter(is_timed).map(|leaves| format!("'{}'", leaves.table)).collect();
    let (timed, unknown) = (timed.join(", "), OutcomeKind::Unknown.as_str());
    let of_others = format!(
        "AND NOT (l.table_name = 'events' AND EXISTS (SELECT 1 FROM events AS v WHERE v.seq = l.row_seq AND v.kind IN ('{BEGUN}', '{RESTARTED}')))"
    );
    // Where there is nothing else, it is since then that nothing was recorded.
    for also in [of_others.as_str(), ""] {
        let entries: Vec<(String, i64)> = conn
            .ask(format!(
                "SELECT l.table_name, l.row_seq FROM log AS l WHERE l.log_id IN ({of_logs}) \
                 AND (l.log_id, l.leaf_index) < ({log}, {index}) AND l.table_name IN ({timed}) \
                 AND NOT (l.table_name = 'outcomes' AND EXISTS (SELECT 1 FROM outcomes AS o WHERE o.seq = l.row_seq AND o.outcome = '{unknown}')) \
                 {also} ORDER BY l.log_id DESC, l.leaf_index DESC LIMIT {LAST}"
            ))
            .await?;
        let newest = newest_of(conn, own, entries).await?;
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// The newest time in these rows, each of a table and by its number.
async fn newest_of(
    conn: &mut Conn<'_>,
    own: &[i64],
    entries: Vec<(String, i64)>,
) -> Result<Option<OffsetDateTime>, RetentionError> {
    let mut tables: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (table, row) in entries {
        tables.entry(table).or_default().push(row);
    }
    let mut newest = None;
    for (table, rows) in tables {
        let Some(leaves) = leaves(&table) else { continue };
        for form in faithful(conn, leaves, own, &rows).await.map_err(unreadable)? {
            let times = TIMES.map(|column| form.text(column).and_then(unstamp));
            newest = times.into_iter().flatten().chain(newest).max();
        }
    }
    Ok(newest)
}

/// The number of the last event of these kinds that is in one of these logs.
async fn last_event(
    conn: &mut Conn<'_>,
    own: &[i64],
    kinds: &[&str],
    also: &str,
) -> Result<Option<i64>, RetentionError> {
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("'{kind}'")).collect();
    let sql = format!(
        "SELECT e.seq FROM events AS e WHERE e.kind IN ({}) {also} AND (SELECT l.log_id FROM log AS l \
         WHERE l.table_name = 'events' AND l.row_seq = e.seq) IN ({}) ORDER BY e.seq DESC LIMIT 1",
        kinds.join(", "),
        of(own),
    );
    let found: Vec<(i64,)> = conn.ask(sql).await?;
    Ok(found.first().map(|(row,)| *row))
}

fn of(logs: &[i64]) -> String {
    logs.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn unreadable(error: impl std::fmt::Display) -> RetentionError {
    RetentionError::Query(QueryError::Store(error.to_string()))
}

#[cfg(test)]
mod tests;
