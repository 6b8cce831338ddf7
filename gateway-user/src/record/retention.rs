//! How long the record is kept, and what is kept for longer.
//!
//! Two ages: bodies of calls go first, then all that belongs to sessions that ended, and events. What a hold holds stays,
//! whatever its age. Rows are looked for on a connection that only reads, and removed by the writer, a bounded step at a time,
//! so that calls go on in between. Every step leaves tombstones, which the log signs: that rows are gone can be seen, and that they
//! were not others. A step is one transaction, so a run that broke off left nothing half done, and the next one finds the rest.

pub mod clock;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Event, RecordError, Recorder, StoreKind,
    audit::ReadConnection,
    query::{QueryError, Reader},
    stamp::stamp,
    store::{
        pages::LogRow,
        prune::{self, ALL, Cut, Kind, PruneError, Step, unneeded_contents},
    },
};
use crate::{
    identify::BootId,
    prim::{SessionId, WorkloadName},
};

pub use super::store::prune::Tally;

/// Rows that are looked at in one question.
const LOOK: usize = if cfg!(test) { 50 } else { 5000 };

/// Longest pause after a step.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The longest time that SQLite's steps are to take: the next one after a longer one is shorter. Calls wait meanwhile. (PostgreSQL's end
/// after `statement_timeout_secs`.)
const STEP_TIME: Duration = if cfg!(test) { Duration::from_secs(60) } else { Duration::from_millis(250) };

/// How often a step is tried again that finds a lock taken, and after which pause: who places a hold has it for a moment.
const LOCKED_TIMES: u32 = if cfg!(test) { 3 } else { 30 };
const LOCKED_PAUSE: Duration = if cfg!(test) { Duration::from_millis(20) } else { PAUSE_MAX };

/// The youngest rows that may go: limits count the calls of the last 25 hours.
pub const YOUNGEST: time::Duration = time::Duration::days(2);

/// The event of a daemon that serves.
pub const STARTED: &str = "daemon-started";

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

/// Longest reason, in bytes; the record would cut a longer one.
pub const REASON_MAX: usize = 2000;

/// What is wanted makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    /// Nobody would learn why.
    #[error("a reason is needed: who reads the record later must learn why")]
    NoReason,
    /// Nobody would learn all of it.
    #[error("the reason has more than {REASON_MAX} bytes, and the record would cut it")]
    LongReason,
    /// A hold of nothing, or of several things.
    #[error("a hold is of a session, a workload, or a time")]
    Hold,
}

/// A reason as it is recorded: without the blanks around it.
///
/// # Errors
/// [`Senseless::NoReason`] and [`Senseless::LongReason`].
pub fn reason(text: &str) -> Result<String, Senseless> {
    match text.trim() {
        "" => Err(Senseless::NoReason),
        long if long.len() > REASON_MAX => Err(Senseless::LongReason),
        reason => Ok(reason.to_owned()),
    }
}

impl Why {
    /// Whose word it is, and [`reason`].
    ///
    /// # Errors
    /// As there.
    pub fn new(actor: String, text: &str) -> Result<Self, Senseless> {
        Ok(Self { actor, reason: reason(text)? })
    }
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

impl Held {
    /// The one thing that is given.
    ///
    /// # Errors
    /// [`Senseless::Hold`].
    pub fn of(
        session: Option<SessionId>,
        workload: Option<WorkloadName>,
        since: Option<OffsetDateTime>,
        until: Option<OffsetDateTime>,
    ) -> Result<Self, Senseless> {
        match (session, workload, since, until) {
            (Some(session), None, None, None) => Ok(Self::Session(session)),
            (None, Some(workload), None, None) => Ok(Self::Workload(workload)),
            (None, None, since, until) if since.is_some() || until.is_some() => {
                Ok(Self::Time { since, until })
            }
            _ => Err(Senseless::Hold),
        }
    }
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
    /// The run, as its event names it; `None` where nothing was to be removed.
    pub run: Option<String>,
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

/// One run: what is done so far, for who watches, and how it is ended.
#[derive(Debug, Clone)]
pub struct Progress {
    id: Arc<str>,
    report: Arc<Mutex<Report>>,
    stop: CancellationToken,
    /// Why the run before failed, where it did: the record need not be told again.
    known: Option<String>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new(CancellationToken::new(), None)
    }
}

impl Progress {
    /// Of a run that ends after a step when `stop` is cancelled. `known`: why the one before failed, where it did.
    #[must_use]
    pub fn new(stop: CancellationToken, known: Option<String>) -> Self {
        let id = format!("r-{}", uuid::Uuid::now_v7().simple());
        let report = Report { run: Some(id.clone()), ..Report::default() };
        Self { id: id.into(), report: Arc::new(Mutex::new(report)), stop, known }
    }

    /// What the run is called.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The clock is not believed.
    #[error(
        "the clock says {now}, and the newest record from before the daemon's start is of {newest}: if the clock is wrong, \
         what is young would be removed. If it is right, because nothing was recorded for so long, say so: `chaperone \
         retention run --clock-is-right`"
    )]
    ClockAhead {
        /// The time now.
        now: String,
        /// The newest record.
        newest: String,
    },
    /// The daemon ends.
    #[error("the daemon was told to stop; the next run goes on")]
    Stopped,
    /// The running boot is not known.
    #[error("the boot id cannot be read: {0}")]
    Boot(std::io::Error),
}

impl From<sqlx::Error> for RetentionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Query(QueryError::Store(error.to_string()))
    }
}

/// Removes what is old, through `recorder`; without one, only says what would go. An event says what went, and why a run
/// failed.
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
    *progress.lock() = Report {
        run: recorder.map(|_| progress.id.to_string()),
        dry_run: recorder.is_none(),
        bodies_before: request.bodies_before.map(stamp),
        rows_before: request.rows_before.map(stamp),
        tables: Vec::new(),
    };
    let done = remove(recorder, config, request, now, progress).await;
    let report = progress.report();
    let error = done.as_ref().err().map(ToString::to_string);
    let is_failed = matches!(&done, Err(error) if !matches!(error, RetentionError::Stopped));
    let is_news = report.rows() > 0 || (is_failed && error != progress.known);
    if let Some(recorder) = recorder.filter(|_| is_news) {
        let told = recorder.event(told(&report, request, error)).await;
        // Why it failed comes first.
        return done.and_then(|()| Ok(told.map(|()| report)?));
    }
    done.map(|()| report)
}

async fn remove(
    recorder: Option<&Recorder>,
    config: &super::Config,
    request: &Request,
    now: OffsetDateTime,
    progress: &Progress,
) -> Result<(), RetentionError> {
    let mut conn = Reader::open(config).await?.into_connection().await?;
    let logs = conn.conn().logs().await?;
    let is_shared = config.store == StoreKind::Postgres;
    let (of_host, others): (Vec<LogRow>, Vec<LogRow>) = logs.into_iter().partition(|log| log.is_ours(config));
    let newest = of_host.last().map(|log| log.id).ok_or(RetentionError::NoLog)?;
    // The daemon knows which log is its own; the database may have been told of another.
    let log = recorder.map_or(newest, Recorder::log);
    if log != newest {
        return Err(RecordError::Store(PruneError::Log.to_string()).into());
    }
    let mut cut = Cut {
        log,
        own: of_host.iter().map(|log| (log.id, ALL)).collect(),
        others: others.into_iter().map(|log| log.id).collect(),
        bodies_before: request.bodies_before.map(stamp),
        rows_before: request.rows_before.map(stamp),
        now: stamp(now),
        boot: BootId::current().map_err(RetentionError::Boot)?.as_str().to_owned(),
        actor: request.why.actor.clone(),
        reason: request.why.reason.clone(),
        step_rows: config.retention.step_rows.max(1),
        step_rows_max: config.retention.step_rows.max(1),
        memory: recorder.map(Recorder::memory),
        is_dry: recorder.is_none(),
    };
    if let Some(memory) = &cut.memory {
        // Not by the writer: calls would wait for it. A step reads on from there.
        let mut memory = memory.lock().await;
        let mut reading = conn.conn();
        cut.own = tokio::select! {
            read = memory.read(&mut reading, cut.log, &of_host) => read?,
            () = progress.stop.cancelled() => return Err(RetentionError::Stopped),
        }
    }
    for kind in Kind::ALL {
        if kind.before(&cut).is_some() {
            sweep(&mut conn, recorder, &mut cut, kind, progress).await?;
        }
    }
    if cut.is_dry {
        let host = is_shared.then(|| config.host_name());
        let contents = unneeded_contents(&mut conn.conn(), host.as_deref(), &cut).await?;
        progress.lock().add(&[contents]);
    }
    Ok(())
}

/// Finds the rows of one kind that are old, and removes those that may go.
async fn sweep(
    conn: &mut ReadConnection,
    recorder: Option<&Recorder>,
    cut: &mut Cut,
    kind: Kind,
    progress: &Progress,
) -> Result<(), RetentionError> {
    let mut after: Option<(String, i64)> = None;
    let mut locked = 0;
    let mut found: Vec<i64> = Vec::new();
    loop {
        let mut reading = conn.conn();
        let rows = tokio::select! {
            rows = kind.scan(&mut reading, cut, after.as_ref(), LOOK) => rows?,
            () = progress.stop.cancelled() => return Err(RetentionError::Stopped),
        };
        let is_end = rows.len() < LOOK;
        found.extend(rows.iter().filter(|(_, _, goes)| *goes).map(|(_, row, _)| *row));
        if let Some((at, row, _)) = rows.into_iter().next_back() {
            after = Some((at, row));
        }
        // Rows that follow each other are one span of a tombstone.
        found.sort_unstable();
        while found.len() >= cut.step_rows || (is_end && !found.is_empty()) {
            if progress.stop.is_cancelled() {
                return Err(RetentionError::Stopped);
            }
            let rows = found.iter().copied().take(cut.step_rows).collect();
            let step = Step { kind, rows };
            let began = Instant::now();
            let taken = match recorder {
                Some(recorder) => match recorder.remove(cut, step).await {
                    Err(RecordError::Timeout(_)) if cut.step_rows > 1 => {
                        cut.step_rows /= 2;
                        tracing::warn!(
                            rows = cut.step_rows,
                            "a step took too long: the next ones are shorter"
                        );
                        continue;
                    }
                    Err(RecordError::Locked(why)) if locked < LOCKED_TIMES => {
                        locked += 1;
                        tracing::warn!(why, "a step is tried again");
                        tokio::select! {
                            () = sleep(LOCKED_PAUSE) => continue,
                            () = progress.stop.cancelled() => return Err(RetentionError::Stopped),
                        }
                    }
                    taken => taken?,
                },
                None => prune::look(&mut conn.conn(), cut, &step)
                    .await
                    .map_err(|error| RetentionError::Query(QueryError::Store(error.to_string())))?,
            };
            locked = 0;
            progress.lock().add(&taken.tables);
            found.drain(..taken.done.clamp(1, found.len()));
            cut.step_rows = fitting(cut.step_rows, cut.step_rows_max, taken.took);
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

/// How many rows the next step takes after one of `rows` that took so long.
fn fitting(rows: usize, most: usize, took: Option<Duration>) -> usize {
    match took {
        Some(long) if long > STEP_TIME => (rows / 2).max(1),
        Some(short) if short < STEP_TIME / 4 => rows.saturating_mul(2).min(most),
        Some(_) | None => rows,
    }
}

/// The event of a run that removed something, or failed.
fn told(report: &Report, request: &Request, error: Option<String>) -> Event {
    let tables: serde_json::Map<String, serde_json::Value> =
        report.tables.iter().map(|tally| (tally.table.clone(), tally.rows.into())).collect();
    let detail = json!({
        "run": report.run,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_step_is_followed_by_a_shorter_one() {
        let (long, short) = (Some(STEP_TIME + Duration::from_millis(1)), Some(STEP_TIME / 5));
        assert_eq!(fitting(1000, 1000, long), 500);
        assert_eq!(fitting(1, 1000, long), 1);
        assert_eq!(fitting(500, 1000, Some(STEP_TIME)), 500);
        assert_eq!(fitting(500, 1000, None), 500, "a time-out bounds it");
        assert_eq!(fitting(500, 1000, short), 1000);
        assert_eq!(fitting(1000, 1000, short), 1000);
    }
}
