//! What an admin asks about what is kept: to remove what is old, to hold, to release. Root alone may, and never an agent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    launcher::{Launcher, Peer},
    process::{Process, Refusal},
    wire::{HoldPlaced, HoldRequest, ReleaseRequest, RetentionBegun, RetentionRequest, RetentionStatus},
};
use crate::{
    clock::Clock,
    prim::WorkloadName,
    record::{
        Config, RecordError, Recorder,
        query::{QueryError, Reader, UnknownHeld},
        retention::{
            Held, Progress, Report, Request, RetentionError, Senseless, Why,
            clock::{Clocked, Uptime},
            run,
        },
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Removes what is old, by itself and for who asks.
#[derive(Debug)]
pub struct Retention {
    recorder: Recorder,
    config: Config,
    clock: Clock,
    /// The configured ones: a hold may be placed before their first session.
    workloads: Vec<WorkloadName>,
    state: Mutex<State>,
    since: Uptime,
    /// What the clock is held against; `None` until it is needed.
    clocked: tokio::sync::Mutex<Option<Clocked>>,
    stop: CancellationToken,
    runs: TaskTracker,
}

/// The run that is under way, or the last one.
#[derive(Debug, Default)]
struct State {
    running: bool,
    progress: Progress,
    error: Option<String>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The process that asks ended, or is an agent itself.
    #[error(transparent)]
    Peer(Refusal),
    /// Another user.
    #[error("only root may decide what is kept")]
    NotRoot,
    /// There is a run.
    #[error("rows are being removed already")]
    Running,
    /// The request makes no sense.
    #[error(transparent)]
    Senseless(#[from] Senseless),
    /// Rows so young are not removed.
    #[error(transparent)]
    Young(RetentionError),
    /// The clock is not believed, or nothing could be read that it is held against.
    #[error(transparent)]
    Clock(RetentionError),
    /// There is nothing like that to hold.
    #[error(transparent)]
    Nothing(UnknownHeld),
    /// The record could not be read.
    #[error(transparent)]
    Unread(QueryError),
    /// It could not be recorded, or there is no such hold.
    #[error(transparent)]
    Record(RecordError),
}

impl Retention {
    /// Over the daemon's recorder.
    #[must_use]
    pub fn new(recorder: Recorder, config: Config, clock: Clock) -> Self {
        Self {
            recorder,
            config,
            clock,
            workloads: Vec::new(),
            state: Mutex::default(),
            since: Uptime::now(),
            clocked: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            runs: TaskTracker::new(),
        }
    }

    /// The same, which knows these workloads, and whose runs end after a step when `stop` is cancelled.
    #[must_use]
    pub fn of(self, workloads: Vec<WorkloadName>, stop: CancellationToken) -> Self {
        Self { workloads, stop, ..self }
    }

    /// Waits until no run is under way that somebody asked for.
    pub async fn ended(&self) {
        self.runs.close();
        self.runs.wait().await;
    }

    /// Removes what the configuration says, where it says something and nobody is at it.
    ///
    /// # Errors
    /// [`RetentionError`]. What was removed until then is removed.
    pub async fn run_due(&self) -> Result<Option<Report>, RetentionError> {
        let now = self.clock.now();
        let Some(request) = self.config.retention.due(now) else { return Ok(None) };
        if let Err(error) = self.believe(now, None).await {
            tracing::error!(%error, "old records are not removed");
            self.recorder.note_unremoved(Some(error.to_string()));
            return Err(error);
        }
        match self.begin() {
            Some(progress) => self.run(&request, &progress).await.map(Some),
            None => Ok(None),
        }
    }

    /// How the run goes that is under way, or how the last one ended.
    #[must_use]
    pub fn status(&self) -> RetentionStatus {
        let State { running, progress, error } = &*self.lock();
        RetentionStatus { running: *running, report: progress.report(), error: error.clone() }
    }

    /// Begins a run, which goes on by itself.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn start(
        self: &Arc<Self>,
        actor: String,
        wanted: RetentionRequest,
    ) -> Result<RetentionBegun, KeepError> {
        let RetentionRequest { bodies_before, rows_before, clock_is_right, reason } = wanted;
        let request = Request { bodies_before, rows_before, why: Why::new(actor, &reason)? };
        let began = self.clock.now();
        request.check(began).map_err(KeepError::Young)?;
        let right = clock_is_right.then_some(&request.why);
        self.believe(began, right).await.map_err(KeepError::Clock)?;
        let progress = self.begin().ok_or(KeepError::Running)?;
        let (this, run) = (Arc::clone(self), progress.id().to_owned());
        self.runs.spawn(async move { this.run(&request, &progress).await });
        Ok(RetentionBegun { run, began })
    }

    /// Places a hold, and says its id.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn hold(&self, actor: String, wanted: HoldRequest) -> Result<HoldPlaced, KeepError> {
        let HoldRequest { session, workload, since, until, reason } = wanted;
        let held = Held::of(session, workload, since, until)?;
        let why = Why::new(actor, &reason)?;
        let reader = Reader::open(&self.config).await.map_err(KeepError::Unread)?;
        let known = reader.known(&held, &self.workloads).await.map_err(KeepError::Unread)?;
        known.map_err(KeepError::Nothing)?;
        let hold = self.recorder.hold(&held, &why).await.map_err(KeepError::Record)?;
        let sessions = reader.held_sessions(&held).await.map_err(KeepError::Unread)?;
        Ok(HoldPlaced { hold, sessions })
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn release(&self, actor: String, id: &str, wanted: ReleaseRequest) -> Result<(), KeepError> {
        self.recorder.release(id, &Why::new(actor, &wanted.reason)?).await.map_err(KeepError::Record)
    }

    async fn run(&self, request: &Request, progress: &Progress) -> Result<Report, RetentionError> {
        // A run that is dropped is over, too.
        let _over = Over(self);
        let done = run(Some(&self.recorder), &self.config, request, self.clock.now(), progress).await;
        match &done {
            Ok(report) if report.rows() > 0 => {
                tracing::info!(rows = report.rows(), reason = request.why.reason, "old records were removed");
            }
            Ok(_) | Err(RetentionError::Stopped) => {}
            Err(error) => tracing::error!(%error, "old records were not all removed"),
        }
        let error = done.as_ref().err();
        self.lock().error = error.map(ToString::to_string);
        let failed = error.filter(|error| !matches!(error, RetentionError::Stopped));
        self.recorder.note_unremoved(failed.map(ToString::to_string));
        done
    }

    /// Whether rows may go by the clock. `right`: who says that it is.
    async fn believe(&self, now: time::OffsetDateTime, right: Option<&Why>) -> Result<(), RetentionError> {
        let mut clocked = self.clocked.lock().await;
        let mut known = match clocked.take() {
            Some(known) => known,
            None => Clocked::read(&self.config, self.since).await?,
        };
        let believed = known.check(&self.recorder, now, right).await;
        *clocked = Some(known);
        believed
    }

    /// What the next run tells its progress with; `None` while there is one.
    fn begin(&self) -> Option<Progress> {
        let mut state = self.lock();
        if state.running {
            return None;
        }
        let progress = Progress::new(self.stop.clone(), state.error.take());
        *state = State { running: true, progress: progress.clone(), error: None };
        Some(progress)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says at its end that the run is over.
struct Over<'r>(&'r Retention);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.lock().running = false;
    }
}

impl Launcher {
    /// Whether the peer may decide what is kept; says who it is.
    ///
    /// # Errors
    /// [`KeepError`].
    pub(super) fn may_keep(&self, peer: Peer) -> Result<String, KeepError> {
        if peer.uid != 0 {
            return Err(KeepError::NotRoot);
        }
        let process = self.launcher_process(peer).map_err(KeepError::Peer)?;
        Ok(actor(peer.uid, Some(&process)))
    }
}

/// Who this is, for the record: the user, and who logged in where that is another one.
#[must_use]
pub fn actor(uid: u32, process: Option<&Process>) -> String {
    match process.and_then(Process::login_uid).filter(|login| *login != uid) {
        Some(login) => format!("uid {uid}, logged in as uid {login}"),
        None => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests;
