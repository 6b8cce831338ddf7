//! The one task that writes: whatever waits goes into one transaction.

use std::{iter::Peekable, mem, time::Duration};

use tokio::{
    select,
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    RecordError,
    recorder::{OpenCall, OutcomeSlot},
    sink::Sink,
    store::{
        Batch, Store, WriteError, Written,
        prune::{Cut, Step, Taken},
        search,
    },
    stored::{OutcomeRow, Unit},
};

/// First pause before outcomes are tried again; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(50);

/// How long outcomes alone wait for the next intent, to share its transaction: nobody waits for them,
/// and a transaction of their own would delay the intents that come meanwhile. What a crash can turn
/// into `unknown` grows by this much.
const OUTCOMES_WAIT: Duration = Duration::from_millis(10);

/// Bytes of contents of bodies in one transaction, if more than one unit brings some: on a slow way to the database a
/// greater one would not end in time, however often it is tried.
const BATCH_BYTES: usize = 4 << 20;

/// Pause before a checkpoint that could not be stored is tried again.
const SIGN_AGAIN: Duration = Duration::from_secs(1);

/// How long nothing came when a step of the index of texts is made: at full load the processor has better to do.
const INDEX_PAUSE: Duration = Duration::from_millis(5);
/// The same while there is less than a step to add.
const INDEX_WAIT: Duration = Duration::from_secs(2);
/// Pause before a step that failed is tried again.
const INDEX_AGAIN: Duration = Duration::from_secs(60);

/// Attempts to write the last outcomes when the daemon stops while the database refuses.
const LAST_ATTEMPTS: u32 = 5;

/// A setting of SQLite that makes it refuse, and its value.
#[cfg(test)]
pub(super) type Pragma = (&'static str, i64);

/// Something to write, and who waits for it.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) unit: Unit,
    pub(super) ack: Ack,
}

/// Rows to remove, in a transaction of its own, between others.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) cut: Cut,
    pub(super) step: Step,
    pub(super) ack: oneshot::Sender<Result<Taken, RecordError>>,
}

/// Who waits for a unit.
#[derive(Debug)]
pub(super) enum Ack {
    /// A caller of `intend`. The `OpenCall` is made only after the commit and travels to the caller by
    /// itself: if the caller is gone by then, dropping it records that the call was aborted.
    Call(Box<OutcomeSlot>, oneshot::Sender<Result<OpenCall, RecordError>>),
    /// Any other caller.
    Done(oneshot::Sender<Result<(), RecordError>>),
    /// Nobody: the outcome of a call. It is kept until it is written.
    Nobody,
}

/// How the writer is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last transaction failed; `None` while writing works.
    pub failing: Option<String>,
    /// Rows that wait to be written.
    pub queued: usize,
    /// Calls without an outcome.
    pub open_calls: usize,
    /// Transactions committed since the start.
    pub transactions: u64,
    /// Rows written since the start.
    pub rows: u64,
    /// Records that the database did not accept, because they contradict what is stored.
    pub rejected: u64,
    /// Leaves of the log that a stored checkpoint covers.
    pub signed: u64,
    /// Why the newest checkpoint is not where it should be; `None` while it is. Recording goes on.
    pub unsigned: Option<String>,
    /// Why the newest checkpoint has not left the host; `None` while it has, or is not to. Recording goes on.
    pub unarchived: Option<String>,
    /// Ended calls that the index of texts does not have yet, about. A search looks at them one by one.
    pub unindexed: u64,
    /// Why old records are not removed; `None` while they are, or are not to be. Recording goes on.
    pub unremoved: Option<String>,
}

/// The task's state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) outcomes: mpsc::Receiver<OutcomeRow>,
    pub(super) removals: mpsc::Receiver<Removal>,
    pub(super) batch_rows: usize,
    pub(super) retry_max: Duration,
    pub(super) health: watch::Sender<Health>,
    /// Where checkpoints go that are stored.
    pub(super) sink: Sink,
    /// Cancelled to stop after everything is written.
    pub(super) closing: CancellationToken,
    /// Tells that the writer has ended, however it ended.
    pub(super) stopped: DropGuard,
    #[cfg(test)]
    pub(super) faults: mpsc::Receiver<Pragma>,
}

impl Writer {
    /// Writes until it is told to stop and every open call has ended, or every handle is gone.
    pub(super) async fn run(mut self) {
        let mut state = State::default();
        while let Some(batch) = self.gather(&mut state).await {
            self.commit(batch, &mut state).await;
            self.remove(&mut state).await;
            if state.kept.is_empty() && state.doubtful.is_none() {
                state.retry_at = None;
            }
            if state.checkpoint_at(&self.store).is_some_and(|due| due <= Instant::now()) {
                self.checkpoint(&mut state).await;
            }
            if mem::take(&mut state.is_idle) {
                self.index(&mut state).await;
            }
            if !state.commands_open && state.failures >= LAST_ATTEMPTS {
                tracing::error!(
                    rows =
                        state.kept.len() + state.doubtful.as_ref().map_or(0, |offer| offer.batch.units.len()),
                    "the session database refuses; the next start will record these calls as unknown"
                );
                break;
            }
        }
        if self.store.until_checkpoint().is_some() && state.doubtful.is_none() {
            self.checkpoint(&mut state).await;
        }
        let is_signed = self.store.until_checkpoint().is_none();
        let in_order = is_signed && state.doubtful.is_none() && !self.store.is_in_doubt();
        // What the next start finds is there before another may write.
        self.sink.close(in_order).await;
        self.store.close().await;
        drop(self.stopped);
    }

    /// Removes rows, where somebody wants to. What is in doubt comes first.
    async fn remove(&mut self, state: &mut State) {
        if state.doubtful.is_some() {
            return;
        }
        let waiting = state.removal.take().or_else(|| self.removals.try_recv().ok());
        let Some(Removal { cut, step, ack }) = waiting else { return };
        let taken = self.store.prune(&cut, &step).await;
        if let Err(error) = &taken {
            tracing::error!(%error, "rows could not be removed");
        }
        // Who is gone asks again another time.
        let _ = ack.send(taken);
    }

    /// Signs what is committed and hands it on. What cannot be signed now is signed later: recording goes on.
    async fn checkpoint(&mut self, state: &mut State) {
        match self.store.checkpoint().await {
            Ok(signed) => {
                state.sign_again_at = None;
                self.health.send_modify(|health| health.signed = signed.checkpoint().size());
                self.sink.take(signed);
            }
            Err(error) => {
                tracing::error!(%error, "no checkpoint could be stored; it is tried again");
                state.sign_again_at = Some(Instant::now() + SIGN_AGAIN);
                self.health.send_modify(|health| health.unsigned = Some(error.to_string()));
            }
        }
    }

    /// Adds a step of ended calls to the index of texts. A search finds them without it, too: recording goes on.
    async fn index(&mut self, state: &mut State) {
        state.index_again_at = None;
        if let Err(error) = self.store.index().await {
            tracing::error!(%error, "calls could not be added to the index of texts; it is tried again");
            state.index_again_at = Some(Instant::now() + INDEX_AGAIN);
        }
        let unindexed = self.store.unindexed();
        self.health.send_modify(|health| health.unindexed = unindexed);
    }

    /// Waits for something to write, then takes all that waits, up to a batch. `None`: nothing will
    /// come any more.
    async fn gather(&mut self, state: &mut State) -> Option<Vec<Command>> {
        let mut batch = Vec::new();
        let limit = self.batch_rows;
        let mut write_at = None;
        let sign_at = state.checkpoint_at(&self.store);
        let index_at = state.index_at(&self.store);
        while batch.is_empty() {
            select! {
                biased;
                () = self.closing.cancelled(), if !state.closing && state.commands_open => {
                    state.closing = true;
                    self.commands.close();
                    // Slots that open calls hold stay valid.
                    self.outcomes.close();
                }
                count = self.commands.recv_many(&mut batch, limit), if state.commands_open => {
                    state.commands_open = count > 0;
                }
                // While some outcomes cannot be written, the others stay in their slots: what is kept
                // here has a bound.
                count = self.outcomes.recv_many(&mut state.kept, limit),
                    if state.outcomes_open && state.retry_at.is_none() => {
                    state.outcomes_open = count > 0;
                    if state.kept.len() >= limit { break; }
                    if count > 0 && write_at.is_none() {
                        write_at = Some(Instant::now() + OUTCOMES_WAIT);
                    }
                }
                Some(removal) = self.removals.recv(), if state.commands_open && state.removal.is_none() => {
                    state.removal = Some(removal);
                    break;
                }
                () = until(state.retry_at), if state.retry_at.is_some() => break,
                () = until(write_at), if write_at.is_some() => break,
                // When nothing more will come, the last checkpoint is not waited for.
                () = until(sign_at),
                    if sign_at.is_some() && (state.commands_open || state.outcomes_open) => break,
                () = until(index_at), if index_at.is_some() && state.commands_open && state.kept.is_empty() => {
                    state.is_idle = true;
                    break;
                }
                else => return None,
            }
        }
        #[cfg(test)]
        while let Ok(fault) = self.faults.try_recv() {
            self.store.set(fault).await;
        }
        while batch.len() < limit
            && let Ok(command) = self.commands.try_recv()
        {
            batch.push(command);
        }
        while state.retry_at.is_none()
            && state.kept.len() < limit
            && let Ok(outcome) = self.outcomes.try_recv()
        {
            state.kept.push(outcome);
        }
        Some(batch)
    }

    /// Writes the kept outcomes and what came, and tells those who wait. What is in doubt comes first: until
    /// the store knows what became of it, nothing else is written.
    async fn commit(&mut self, commands: Vec<Command>, state: &mut State) {
        if let Some(doubtful) = state.doubtful.take()
            && let Err(error) = self.offer(doubtful, state).await
        {
            commands.into_iter().for_each(|command| refuse(command.ack, &error));
            return;
        }
        let outcomes = mem::take(&mut state.kept).into_iter().map(|row| (Unit::Outcome(row), Ack::Nobody));
        let mut waiting =
            outcomes.chain(commands.into_iter().map(|command| (command.unit, command.ack))).peekable();
        while waiting.peek().is_some() {
            let (units, acks) = next_batch(&mut waiting);
            if let Err(error) = self.offer(Offer { batch: Batch::new(units), acks }, state).await {
                // Who waits for the batch has been told.
                state.put_off(waiting, &error);
                return;
            }
        }
    }

    async fn offer(&mut self, offer: Offer, state: &mut State) -> Result<(), RecordError> {
        let rows = offer.batch.units.len();
        match self.store.write(&offer.batch).await {
            Ok(written) => {
                state.recovered();
                // Health first: whoever is told that its record is durable finds it counted.
                let unindexed = self.store.unindexed();
                self.health.send_modify(|health| {
                    count(health, &offer.batch.units, &written);
                    health.unindexed = unindexed;
                });
                for (ack, written) in offer.acks.into_iter().zip(written) {
                    answer(ack, written);
                }
                Ok(())
            }
            Err(WriteError { error, in_doubt }) => {
                state.failed(self.retry_max);
                tracing::error!(%error, rows, in_doubt, "the session database refuses; calls are refused");
                self.health.send_modify(|health| health.failing = Some(error.to_string()));
                if in_doubt {
                    state.doubtful = Some(offer);
                    return Err(error);
                }
                state.put_off(offer.batch.units.into_iter().zip(offer.acks), &error);
                Err(error)
            }
        }
    }
}

/// As much of what waits as one transaction takes, at least one unit.
fn next_batch(waiting: &mut Peekable<impl Iterator<Item = (Unit, Ack)>>) -> (Vec<Unit>, Vec<Ack>) {
    let mut bytes = 0_usize;
    let mut fits = |(unit, _): &(Unit, Ack)| {
        let content = unit.content_bytes();
        let fits = bytes == 0 || content == 0 || bytes.saturating_add(content) <= BATCH_BYTES;
        bytes = bytes.saturating_add(content);
        fits
    };
    std::iter::from_fn(|| waiting.next_if(&mut fits)).unzip()
}

/// A batch on its way to the store, and who waits for its units.
#[derive(Debug)]
struct Offer {
    batch: Batch,
    acks: Vec<Ack>,
}

/// What the loop remembers between batches.
#[derive(Debug)]
struct State {
    /// Outcomes taken from their slots and not yet written.
    kept: Vec<OutcomeRow>,
    /// What may have been committed. Who waits for it goes on waiting, up to `write_timeout_secs`.
    doubtful: Option<Offer>,
    removal: Option<Removal>,
    commands_open: bool,
    outcomes_open: bool,
    closing: bool,
    /// Failed transactions since the last good one.
    failures: u32,
    /// When a checkpoint that could not be stored is tried again.
    sign_again_at: Option<Instant>,
    /// Nothing came for a while: time for what nobody waits for.
    is_idle: bool,
    /// When a step of the index that failed is tried again.
    index_again_at: Option<Instant>,
    /// When to try again; `Some` only while `kept` or `doubtful` waits for a refusing database.
    retry_at: Option<Instant>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            doubtful: None,
            removal: None,
            commands_open: true,
            outcomes_open: true,
            closing: false,
            failures: 0,
            sign_again_at: None,
            is_idle: false,
            index_again_at: None,
            retry_at: None,
        }
    }
}

impl State {
    /// Keeps outcomes, and tells who waits for anything else that nothing was written.
    fn put_off(&mut self, waiting: impl Iterator<Item = (Unit, Ack)>, error: &RecordError) {
        for (unit, ack) in waiting {
            match (ack, unit) {
                (Ack::Nobody, Unit::Outcome(row)) => self.kept.push(row),
                (ack, _) => refuse(ack, error),
            }
        }
    }

    fn recovered(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// When the next checkpoint is due; `None` while there is nothing to sign. What is in doubt comes first.
    fn checkpoint_at(&self, store: &Store) -> Option<Instant> {
        let wait = store.until_checkpoint().filter(|_| self.doubtful.is_none())?;
        let due = Instant::now() + wait;
        Some(self.sign_again_at.map_or(due, |again| due.max(again)))
    }

    /// When a step of the index of texts may be made, if nothing comes before; `None` while nothing is to be added, or while
    /// the database refuses.
    fn index_at(&self, store: &Store) -> Option<Instant> {
        let pause = match store.unindexed() {
            0 => return None,
            _ if self.failures > 0 || self.doubtful.is_some() => return None,
            calls if calls < search::STEP => INDEX_WAIT,
            _ => INDEX_PAUSE,
        };
        let due = Instant::now() + pause;
        Some(self.index_again_at.map_or(due, |again| due.max(again)))
    }

    fn failed(&mut self, retry_max: Duration) {
        let pause =
            RETRY_MIN.saturating_mul(2_u32.saturating_pow(self.failures)).min(retry_max.max(RETRY_MIN));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + pause);
    }
}

async fn until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        sleep_until(instant).await;
    }
}

fn count(health: &mut Health, units: &[Unit], written: &[Written]) {
    health.failing = None;
    health.transactions += 1;
    for (unit, written) in units.iter().zip(written) {
        match written {
            Written::Durable => health.rows += unit.rows(),
            Written::Rejected(_) => health.rejected += 1,
        }
    }
}

/// Tells the caller that nothing was written.
fn refuse(ack: Ack, error: &RecordError) {
    match ack {
        Ack::Call(slot, caller) => {
            drop(slot);
            let _ = caller.send(Err(error.clone()));
        }
        Ack::Done(caller) => {
            let _ = caller.send(Err(error.clone()));
        }
        Ack::Nobody => {}
    }
}

/// Tells the caller; one that is gone has nothing to be told.
fn answer(ack: Ack, written: Written) {
    match (ack, written) {
        (Ack::Call(slot, caller), Written::Durable) => {
            // A caller that is gone leaves the OpenCall to be dropped here: aborted.
            let _ = caller.send(Ok(OpenCall::new(*slot)));
        }
        (Ack::Call(_, caller), Written::Rejected(why)) => {
            let _ = caller.send(Err(RecordError::Rejected(why)));
        }
        (Ack::Done(caller), Written::Durable) => {
            let _ = caller.send(Ok(()));
        }
        (Ack::Done(caller), Written::Rejected(why)) => {
            let _ = caller.send(Err(RecordError::Rejected(why)));
        }
        (Ack::Nobody, Written::Durable) => {}
        (Ack::Nobody, Written::Rejected(why)) => {
            tracing::error!(%why, "the session database does not accept an outcome; it is dropped");
        }
    }
}
