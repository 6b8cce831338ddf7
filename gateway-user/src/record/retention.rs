//! How long the record is kept, and what is kept for longer.
//!
//! Two ages: bodies of calls go first, then all that belongs to sessions that ended, and events. What a hold holds stays,
//! whatever its age. Rows are looked for on a connection that only reads, and removed by the writer, a bounded step at a time,
//! so that calls go on in between. Every step leaves tombstones, which the log signs: that rows are gone can be seen, and that they
//! were not others. A step is one transaction, so a run that broke off left nothing half done, and the next one finds the rest.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::{
    Event, RecordError, Recorder, StoreKind,
    audit::ReadConnection,
    query::{QueryError, Reader},
    stamp::stamp,
    store::prune::{self, Cut, Kind, Step, unneeded_contents},
};
use crate::{
    identify::BootId,
    prim::{SessionId, WorkloadName},
};

pub use super::store::prune::Tally;

/// Rows that are looked at in one question.
const LOOK: usize = 5000;

/// Longest pause after a step.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The youngest rows that may go: limits count the calls of the last 25 hours.
pub const YOUNGEST: time::Duration = time::Duration::days(2);

/// How long what is recorded is kept.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Days after which the bodies of a call are removed; 0: never before the call itself.
    pub bodies_days: u64,
    /// Days after its end after which a session is removed with all that belongs to it, and days after which events are; 0: never.
    pub rows_days: u64,
    /// Rows that are removed in one transaction, about.
    pub step_rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { bodies_days: 0, rows_days: 0, step_rows: 1000 }
    }
}

impl Config {
    /// What is to be removed by itself at `now`; `None` where everything is kept.
    #[must_use]
    pub fn due(&self, now: OffsetDateTime) -> Option<Request> {
        let before = |days: u64| {
            let age = time::Duration::days(i64::try_from(days).ok().filter(|days| *days > 0)?);
            now.checked_sub(age)
        };
        let (bodies_before, rows_before) = (before(self.bodies_days), before(self.rows_days));
        let reason = format!("bodies_days = {}, rows_days = {}", self.bodies_days, self.rows_days);
        let why = Why { actor: "the daemon".to_owned(), reason };
        let is_any = bodies_before.is_some() || rows_before.is_some();
        is_any.then_some(Request { bodies_before, rows_before, why })
    }
}

/// Who did it, and why: what the record says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What a hold holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// One session.
    Session(SessionId),
    /// The sessions of a workload.
    Workload(WorkloadName),
    /// What was open between these, sessions and events.
    Time {
        /// From this time on.
        since: Option<OffsetDateTime>,
        /// Before this time.
        until: Option<OffsetDateTime>,
    },
}

/// What is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Bodies of calls from before this.
    pub bodies_before: Option<OffsetDateTime>,
    /// Sessions that ended before this, and events from before it.
    pub rows_before: Option<OffsetDateTime>,
    /// Who wants it, and why.
    pub why: Why,
}

impl Request {
    /// Whether it may be asked for at `now`.
    ///
    /// # Errors
    /// [`RetentionError::TooYoung`], [`RetentionError::BodiesOutlive`].
    pub fn check(&self, now: OffsetDateTime) -> Result<(), RetentionError> {
        if self.rows_before.is_some_and(|before| before > now - YOUNGEST) {
            return Err(RetentionError::TooYoung);
        }
        match self.bodies_before.zip(self.rows_before) {
            Some((bodies, rows)) if bodies < rows => Err(RetentionError::BodiesOutlive),
            Some(_) | None => Ok(()),
        }
    }
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// Nothing was removed, only counted.
    pub dry_run: bool,
    /// Bodies of calls from before this.
    pub bodies_before: Option<String>,
    /// Sessions that ended before this, and events from before it.
    pub rows_before: Option<String>,
    /// By table; those of which nothing goes are not named.
    pub tables: Vec<Tally>,
}

impl Report {
    /// Rows and contents in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|tally| tally.rows).sum()
    }

    fn add(&mut self, more: &[Tally]) {
        for tally in more.iter().filter(|tally| tally.rows > 0) {
            match self.tables.iter_mut().find(|known| known.table == tally.table) {
                Some(known) => known.add(tally),
                None => self.tables.push(tally.clone()),
            }
        }
    }
}

/// What is done so far, for who watches.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Report>>);

impl Progress {
    /// What is done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a run ended early. What was removed until then is removed.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Rows so young are not removed.
    #[error(
        "rows of the last {} hours are kept, because limits on calls are counted from them: name an older time",
        YOUNGEST.whole_hours()
    )]
    TooYoung,
    /// Bodies go with their calls.
    #[error("bodies would be kept longer than the calls that they belong to: name no older time for them")]
    BodiesOutlive,
    /// There is nothing to remove from.
    #[error("this host has no log in the database yet: the daemon begins it")]
    NoLog,
    /// Nothing could be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nothing could be removed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The running boot is not known.
    #[error("the boot id cannot be read: {0}")]
    Boot(std::io::Error),
}

impl From<sqlx::Error> for RetentionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Query(QueryError::Store(error.to_string()))
    }
}

/// Removes what is old, through `recorder`; without one, only says what would go. An event says what went.
///
/// # Errors
/// [`RetentionError`].
pub async fn run(
    recorder: Option<&Recorder>,
    config: &super::Config,
    request: &Request,
    now: OffsetDateTime,
    progress: &Progress,
) -> Result<Report, RetentionError> {
    request.check(now)?;
    let mut conn = Reader::open(config).await?.into_connection().await?;
    let logs = conn.conn().logs().await?;
    let is_shared = config.store == StoreKind::Postgres;
    let log = logs.iter().rev().find(|log| log.is_ours(config));
    let cut = Cut {
        log: log.ok_or(RetentionError::NoLog)?.id,
        bodies_before: request.bodies_before.map(stamp),
        rows_before: request.rows_before.map(stamp),
        now: stamp(now),
        boot: BootId::current().map_err(RetentionError::Boot)?.as_str().to_owned(),
        actor: request.why.actor.clone(),
        reason: request.why.reason.clone(),
        step_rows: config.retention.step_rows.max(1),
        is_dry: recorder.is_none(),
    };
    *progress.lock() = Report {
        dry_run: cut.is_dry,
        bodies_before: cut.bodies_before.clone(),
        rows_before: cut.rows_before.clone(),
        tables: Vec::new(),
    };
    let mut done = Ok(());
    for kind in Kind::ALL.into_iter().filter(|kind| kind.before(&cut).is_some()) {
        done = sweep(&mut conn, recorder, &cut, kind, progress).await;
        if done.is_err() {
            break;
        }
    }
    if cut.is_dry && done.is_ok() {
        let host = is_shared.then(|| config.host_name());
        let contents = unneeded_contents(&mut conn.conn(), host.as_deref(), &cut).await?;
        progress.lock().add(&[contents]);
    }
    let report = progress.report();
    if let Some(recorder) = recorder
        && report.rows() > 0
    {
        let error = done.as_ref().err().map(ToString::to_string);
        recorder.event(told(&report, request, error)).await?;
    }
    done.map(|()| report)
}

/// Finds the rows of one kind that are old, and removes those that may go.
async fn sweep(
    conn: &mut ReadConnection,
    recorder: Option<&Recorder>,
    cut: &Cut,
    kind: Kind,
    progress: &Progress,
) -> Result<(), RetentionError> {
    let mut after = i64::MIN;
    let mut found: Vec<i64> = Vec::new();
    loop {
        let rows = kind.scan(&mut conn.conn(), cut, after, LOOK).await?;
        let is_end = match rows.last() {
            Some((last, ..)) => {
                after = *last;
                !rows.iter().any(|(_, is_old, _)| *is_old)
            }
            None => true,
        };
        found.extend(rows.iter().filter(|(_, _, goes)| *goes).map(|(row, ..)| *row));
        while found.len() >= cut.step_rows || (is_end && !found.is_empty()) {
            let rows = found.iter().copied().take(cut.step_rows).collect();
            let step = Step { kind, rows };
            let began = Instant::now();
            let taken = match recorder {
                Some(recorder) => recorder.remove(cut, step).await?,
                None => prune::look(&mut conn.conn(), cut, &step)
                    .await
                    .map_err(|error| RetentionError::Query(QueryError::Store(error.to_string())))?,
            };
            progress.lock().add(&taken.tables);
            found.drain(..taken.done.clamp(1, found.len()));
            if recorder.is_some() {
                // Calls have the writer for as long as this had it.
                sleep(began.elapsed().min(PAUSE_MAX)).await;
            }
        }
        if is_end {
            return Ok(());
        }
    }
}

/// The event of a run that removed something.
fn told(report: &Report, request: &Request, error: Option<String>) -> Event {
    let tables: serde_json::Map<String, serde_json::Value> =
        report.tables.iter().map(|tally| (tally.table.clone(), tally.rows.into())).collect();
    let detail = json!({
        "removed": tables,
        "bytes": report.tables.iter().map(|tally| tally.bytes).sum::<u64>(),
        "bodies_before": report.bodies_before,
        "rows_before": report.rows_before,
        "actor": request.why.actor,
        "reason": request.why.reason,
        "error": error,
    });
    Event { detail, ..Event::new("retention", format!("{} rows and contents were removed", report.rows())) }
}
