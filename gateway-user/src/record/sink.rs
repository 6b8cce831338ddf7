//! Where checkpoints go beside the database: a file, and the daemon's log, which the journal keeps.
//!
//! They are handed over and not waited for: a disk that is slow or full holds no call back. What cannot be written is
//! tried again, and the newest counts.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

use super::{
    Config, Health,
    log::{
        checkpoint::SignedCheckpoint,
        file::{self, Mark},
    },
};
use crate::telemetry::CHECKPOINTS;

/// Pause before the file is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for the last checkpoint's file when the daemon stops.
const LAST: Duration = Duration::from_secs(2);

/// Checkpoints that are stored.
type Newest = Option<Arc<SignedCheckpoint>>;

/// The task that writes them, as the writer sees it.
#[derive(Debug)]
pub(super) struct Sink {
    newest: watch::Sender<Newest>,
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Sink {
    pub(super) fn start(config: &Config, health: watch::Sender<Health>) -> Self {
        let (newest, checkpoints) = watch::channel(None);
        let (path, journaled) = (config.checkpoint_file(), config.log.is_journaled());
        Self { newest, path: path.clone(), task: tokio::spawn(run(checkpoints, path, journaled, health)) }
    }

    /// Those to come, for who takes them elsewhere.
    pub(super) fn checkpoints(&self, health: watch::Sender<Health>) -> Checkpoints {
        Checkpoints { newest: self.newest.subscribe(), health }
    }

    /// The newest checkpoint.
    pub(super) fn take(&self, signed: SignedCheckpoint) {
        self.newest.send_replace(Some(Arc::new(signed)));
    }

    /// Waits until the newest is written, but not for ever. `in_order`: it covers everything, and the next start is told.
    pub(super) async fn close(self, in_order: bool) {
        let last = self.newest.borrow().clone().filter(|_| in_order);
        drop(self.newest);
        if timeout(LAST, self.task).await.is_err() {
            tracing::error!("the last checkpoint is in the database, but not in its file");
        }
        let Some(last) = last else { return };
        let leaving = spawn_blocking(move || Mark::Closed.leave(&self.path, last.note()));
        if !matches!(timeout(LAST, leaving).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the next start is not told that this one stopped in order");
        }
    }
}

/// Checkpoints as they are stored.
#[derive(Debug)]
pub struct Checkpoints {
    newest: watch::Receiver<Newest>,
    health: watch::Sender<Health>,
}

impl Checkpoints {
    /// The newest one, once there is one that was not asked for. `None` after the last.
    pub async fn next(&mut self) -> Option<Arc<SignedCheckpoint>> {
        // Its end is told after the last one was seen.
        self.newest.changed().await.ok()?;
        self.newest.borrow_and_update().clone()
    }

    /// Waits until none will come any more.
    pub async fn ended(&self) {
        // Only the end makes it return.
        let _ = self.newest.clone().wait_for(|_| false).await;
    }

    /// Notes in the record's health whether the newest is where it was to be taken.
    pub fn taken(&self, failed: Option<String>) {
        self.health.send_modify(|health| health.unarchived = failed);
    }
}

async fn run(
    mut checkpoints: watch::Receiver<Newest>,
    path: PathBuf,
    journaled: bool,
    health: watch::Sender<Health>,
) {
    // The same one is not told twice.
    let mut told = None;
    loop {
        // Its end is told after the last one was seen.
        if checkpoints.changed().await.is_err() {
            return;
        }
        loop {
            let Some(signed) = checkpoints.borrow_and_update().clone() else { break };
            let size = signed.checkpoint().size();
            if journaled && told != Some(size) {
                tracing::info!(target: CHECKPOINTS, size, note = signed.note(), "checkpoint");
                told = Some(size);
            }
            let written = write(path.clone(), Arc::clone(&signed)).await;
            let failed =
                written.err().map(|error| format!("the checkpoint file {}: {error}", path.display()));
            health.send_if_modified(|health| {
                let changed = health.unsigned != failed;
                if changed && let Some(error) = &failed {
                    tracing::error!(%error, "a checkpoint is not in its file; it is tried again");
                }
                health.unsigned.clone_from(&failed);
                changed
            });
            if failed.is_none() || checkpoints.has_changed().is_err() {
                break;
            }
            sleep(AGAIN).await;
        }
    }
}

async fn write(path: PathBuf, signed: Arc<SignedCheckpoint>) -> io::Result<()> {
    let writing = spawn_blocking(move || file::write(&path, signed.note()));
    writing.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
