//! What an admin asks about what is kept: to remove what is old, to hold, to release. Root alone may, and never an agent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    launcher::{Launcher, Peer},
    process::Refusal,
    wire::{HoldRequest, ReleaseRequest, RetentionRequest, RetentionStatus},
};
use crate::{
    clock::Clock,
    record::{
        Config, RecordError, Recorder,
        retention::{Held, Progress, Report, Request, RetentionError, Why, run},
    },
};

/// Longest reason; the record would cut it.
const REASON_MAX: usize = 2000;

/// Removes what is old, by itself and for who asks.
#[derive(Debug)]
pub struct Retention {
    recorder: Recorder,
    config: Config,
    clock: Clock,
    state: Mutex<State>,
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
    #[error("{0}")]
    Senseless(&'static str),
    /// Rows so young are not removed.
    #[error(transparent)]
    Young(RetentionError),
    /// It could not be recorded, or there is no such hold.
    #[error(transparent)]
    Record(RecordError),
}

impl Retention {
    /// Over the daemon's recorder.
    #[must_use]
    pub fn new(recorder: Recorder, config: Config, clock: Clock) -> Self {
        Self { recorder, config, clock, state: Mutex::default() }
    }

    /// Removes what the configuration says, where it says something and nobody is at it.
    ///
    /// # Errors
    /// [`RetentionError`]. What was removed until then is removed.
    pub async fn run_due(&self) -> Result<Option<Report>, RetentionError> {
        let Some(request) = self.config.retention.due(self.clock.now()) else { return Ok(None) };
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
    pub fn start(self: &Arc<Self>, peer: Peer, wanted: RetentionRequest) -> Result<(), KeepError> {
        let RetentionRequest { bodies_before, rows_before, reason } = wanted;
        let request = Request { bodies_before, rows_before, why: why(peer, reason)? };
        request.check(self.clock.now()).map_err(KeepError::Young)?;
        let progress = self.begin().ok_or(KeepError::Running)?;
        let this = Arc::clone(self);
        tokio::spawn(async move { this.run(&request, &progress).await });
        Ok(())
    }

    /// Places a hold, and says its id.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn hold(&self, peer: Peer, wanted: HoldRequest) -> Result<String, KeepError> {
        let HoldRequest { session, workload, since, until, reason } = wanted;
        let held = match (session, workload, since, until) {
            (Some(session), None, None, None) => Held::Session(session),
            (None, Some(workload), None, None) => Held::Workload(workload),
            (None, None, since, until) if since.is_some() || until.is_some() => Held::Time { since, until },
            _ => return Err(KeepError::Senseless("a hold is of a session, a workload, or a time")),
        };
        self.recorder.hold(&held, &why(peer, reason)?).await.map_err(KeepError::Record)
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn release(&self, peer: Peer, id: &str, wanted: ReleaseRequest) -> Result<(), KeepError> {
        self.recorder.release(id, &why(peer, wanted.reason)?).await.map_err(KeepError::Record)
    }

    async fn run(&self, request: &Request, progress: &Progress) -> Result<Report, RetentionError> {
        // A run that is dropped is over, too.
        let _over = Over(self);
        let done = run(Some(&self.recorder), &self.config, request, self.clock.now(), progress).await;
        match &done {
            Ok(report) if report.rows() > 0 => {
                tracing::info!(rows = report.rows(), reason = request.why.reason, "old records were removed");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "old records were not all removed");
                self.lock().error = Some(error.to_string());
            }
        }
        done
    }

    /// What the next run tells its progress with; `None` while there is one.
    fn begin(&self) -> Option<Progress> {
        let mut state = self.lock();
        if state.running {
            return None;
        }
        let progress = Progress::default();
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

fn why(peer: Peer, reason: String) -> Result<Why, KeepError> {
    match reason.trim() {
        "" => Err(KeepError::Senseless("who reads the record later must learn the reason")),
        long if long.len() > REASON_MAX => Err(KeepError::Senseless("the reason has more than 2000 bytes")),
        reason => Ok(Why { actor: format!("uid {}", peer.uid), reason: reason.to_owned() }),
    }
}

impl Launcher {
    /// Whether the peer may decide what is kept.
    ///
    /// # Errors
    /// [`KeepError`].
    pub(super) fn may_keep(&self, peer: Peer) -> Result<(), KeepError> {
        if peer.uid != 0 {
            return Err(KeepError::NotRoot);
        }
        self.launcher_process(peer).map(drop).map_err(KeepError::Peer)
    }
}

#[cfg(test)]
mod tests;
