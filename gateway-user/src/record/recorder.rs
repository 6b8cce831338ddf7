//! The handle that the other stages hold, and the call that must be finished.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    AcceptedToken, Capture, Config, Event, Health, Holds, IdentityRenewal, Intent, KilledCgroup, OpenSession,
    Outcome, OutcomeKind, RecordError, SessionEnd, SessionStart, Side,
    capture::Room,
    retention::{Held, Why},
    sink::{Checkpoints, Sink},
    stamp::stamp,
    store::{
        Leftovers, Store,
        prune::{Cut, Memory, Step, Taken},
    },
    stored::{
        CallRow, EventRow, HoldRow, IdentityRow, OutcomeRow, ReleaseRow, SessionEndRow, SessionRow, Unit,
    },
    writer::{Ack, Command, Removal, Writer},
};
use crate::{
    clock::Clock,
    prim::{CallId, SessionId},
};

/// Writes records. Cloning shares the writer.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    outcomes: mpsc::Sender<OutcomeRow>,
    removals: mpsc::Sender<Removal>,
    health: watch::Sender<Health>,
    clock: Clock,
    write_timeout: Duration,
    params_max: usize,
    room: Room,
    memory: Arc<tokio::sync::Mutex<Memory>>,
    log: i64,
    closing: CancellationToken,
    stopped: CancellationToken,
    #[cfg(test)]
    faults: mpsc::Sender<super::writer::Pragma>,
}

/// An opened session database.
#[derive(Debug)]
pub struct Opened {
    /// The handle to record with.
    pub recorder: Recorder,
    /// The writer. It ends after [`Recorder::close`], or when every handle and open call is gone; if it
    /// ends otherwise, no call can be recorded any more.
    pub writer: JoinHandle<()>,
    /// Sessions that a former run left open, oldest first: to be adopted, or ended.
    pub open_sessions: Vec<OpenSession>,
    /// Cgroups whose session a person ended since the host was started.
    pub killed: Vec<KilledCgroup>,
    /// The tokens that were accepted and have not expired, oldest first.
    pub tokens: Vec<AcceptedToken>,
    /// How many calls of a former run were closed as unknown.
    pub closed_calls: u64,
    /// What will be signed, for who takes it elsewhere.
    pub checkpoints: Checkpoints,
}

impl Recorder {
    /// Opens the database, creating it where it is missing, closes what a former run left, and starts
    /// the writer on the current tokio runtime.
    ///
    /// # Errors
    /// [`RecordError::InUse`] if another daemon writes to it; [`RecordError::Open`] otherwise.
    pub async fn open(config: &Config, clock: Clock) -> Result<Opened, RecordError> {
        let mut store = Store::open(config, clock.now()).await?;
        let Leftovers { open_sessions, killed, tokens, closed_calls } = store.recover(clock.now()).await?;
        let (commands, command_queue) = mpsc::channel(config.queue.max(1));
        let (outcomes, outcome_queue) = mpsc::channel(config.open_calls.max(1));
        let (removals, removal_queue) = mpsc::channel(1);
        let health = watch::Sender::new(Health { unindexed: store.unindexed(), ..Health::default() });
        let (closing, stopped) = (CancellationToken::new(), CancellationToken::new());
        #[cfg(test)]
        let (faults, fault_queue) = mpsc::channel(1);
        let (log, seen) = (store.log(), store.seen());
        let sink = Sink::start(config, health.clone());
        let checkpoints = sink.checkpoints(health.clone());
        let writer = Writer {
            store,
            commands: command_queue,
            outcomes: outcome_queue,
            removals: removal_queue,
            batch_rows: config.batch_rows.max(1),
            retry_max: Duration::from_secs(config.retry_max_secs),
            sink,
            health: health.clone(),
            closing: closing.clone(),
            stopped: stopped.clone().drop_guard(),
            #[cfg(test)]
            faults: fault_queue,
        };
        let shared = Shared {
            commands,
            outcomes,
            removals,
            health,
            clock,
            write_timeout: Duration::from_secs(config.write_timeout_secs),
            params_max: config.params_max_bytes,
            room: Room::new(config),
            memory: Arc::new(tokio::sync::Mutex::new(Memory::new(seen))),
            log,
            closing,
            stopped,
            #[cfg(test)]
            faults,
        };
        let recorder = Self { shared: Arc::new(shared) };
        Ok(Opened {
            recorder,
            writer: tokio::spawn(writer.run()),
            open_sessions,
            killed,
            tokens,
            closed_calls,
            checkpoints,
        })
    }

    /// Records that a session began; its calls can be recorded once this returns.
    ///
    /// # Errors
    /// [`RecordError`]: the session must not begin.
    pub async fn session_started(&self, start: SessionStart) -> Result<(), RecordError> {
        self.write(Unit::Session(Box::new(SessionRow::new(start)))).await
    }

    /// Records that a session's token was renewed. What it says of the session holds once this returns.
    ///
    /// # Errors
    /// [`RecordError`]: the session is known by the token it had.
    pub async fn identity_renewed(&self, renewal: IdentityRenewal) -> Result<(), RecordError> {
        let now = self.shared.clock.now();
        self.write(Unit::Identity(IdentityRow::new(renewal.session, &renewal.identity, now))).await
    }

    /// Records that a session ended.
    ///
    /// # Errors
    /// [`RecordError`]: the session is still open in the database, and can be ended again.
    pub async fn session_ended(&self, end: SessionEnd) -> Result<(), RecordError> {
        self.write(Unit::SessionEnd(SessionEndRow::new(end, self.shared.clock.now()))).await
    }

    /// Records an event. It is on disk when this returns `Ok`, which takes one flush of the disk and is
    /// bounded by `write_timeout_secs`.
    ///
    /// # Errors
    /// [`RecordError`]. After a [`RecordError::Timeout`] it may still be written.
    pub async fn event(&self, event: Event) -> Result<(), RecordError> {
        self.write(Unit::Event(EventRow::new(event, self.shared.clock.now()))).await
    }

    /// Records what a call wants to do. Only when this has returned `Ok` may the call leave the host:
    /// the intent is then on disk, and the slot for its outcome is reserved.
    ///
    /// # Errors
    /// [`RecordError`]: the call must not happen.
    pub async fn intend(&self, intent: Intent) -> Result<OpenCall, RecordError> {
        let deadline = self.deadline();
        let call = intent.id;
        let row = self.call_row(intent);
        let slot =
            OutcomeSlot { permit: self.reserve(deadline).await?, call, clock: self.shared.clock.clone() };
        let (caller, answer) = oneshot::channel();
        let ack = Ack::Call(Box::new(slot), caller);
        self.submit(Command { unit: Unit::Call(Box::new(row)), ack }, answer, deadline).await
    }

    /// Records a call that does not happen, with its outcome.
    ///
    /// # Errors
    /// [`RecordError`]. The call is refused all the same.
    pub async fn refuse(&self, intent: Intent, outcome: Outcome) -> Result<(), RecordError> {
        let row = self.call_row(intent);
        let outcome = OutcomeRow::new(row.id.clone(), outcome, Vec::new(), self.shared.clock.now());
        self.write(Unit::Refusal(Box::new(row), outcome)).await
    }

    /// Takes a body of `session` as it passes; [`OpenCall::capture`] has it recorded.
    #[must_use]
    pub fn capture(&self, session: SessionId, holds: Holds, media_type: Option<&str>) -> Capture {
        self.shared.room.capture(session, holds, media_type)
    }

    /// Records that something must be kept, and says under which id. Whatever is removed after this returns, it is not.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn hold(&self, held: &Held, why: &Why) -> Result<String, RecordError> {
        if let Held::Time { since: Some(since), until: Some(until) } = held
            && since >= until
        {
            return Err(RecordError::Rejected(
                "its `since` is not before its `until`: it would hold nothing".to_owned(),
            ));
        }
        let id = format!("h-{}", uuid::Uuid::now_v7().simple());
        self.write(Unit::Hold(HoldRow::new(&id, held, why, self.shared.clock.now()))).await?;
        Ok(id)
    }

    /// Records that what the hold `hold` keeps need not be kept any more.
    ///
    /// # Errors
    /// [`RecordError::Rejected`] if there is no such hold, or it was released before.
    pub async fn release(&self, hold: &str, why: &Why) -> Result<(), RecordError> {
        self.write(Unit::Release(ReleaseRow::new(hold.to_owned(), why, self.shared.clock.now()))).await
    }

    /// Removes what of a step may go, in one transaction between others.
    pub(super) async fn remove(&self, cut: &Cut, step: Step) -> Result<Taken, RecordError> {
        let (ack, answer) = oneshot::channel();
        // Its tombstones are of the time at which the rows go.
        let cut = Cut { now: stamp(self.shared.clock.now()), ..cut.clone() };
        let removal = Removal { cut, step, ack };
        self.shared.removals.send(removal).await.map_err(|_| RecordError::Stopped)?;
        answer.await.map_err(|_| RecordError::Stopped)?
    }

    /// What is remembered of the log, for those who remove.
    pub(super) fn memory(&self) -> Arc<tokio::sync::Mutex<Memory>> {
        Arc::clone(&self.shared.memory)
    }

    /// The number of the log that the writer goes on with.
    pub(super) fn log(&self) -> i64 {
        self.shared.log
    }

    /// How the writer is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        let used = |max: usize, free: usize| max.saturating_sub(free);
        let Shared { commands, outcomes, health, .. } = &*self.shared;
        let mut health = health.borrow().clone();
        health.queued = used(commands.max_capacity(), commands.capacity());
        health.open_calls = used(outcomes.max_capacity(), outcomes.capacity());
        health
    }

    /// Says with [`Recorder::health`] why old records stay; `None` where they do not.
    pub fn note_unremoved(&self, why: Option<String>) {
        self.shared.health.send_modify(|health| health.unremoved = why);
    }

    /// Accepts nothing new, waits until every open call has ended and all is written. If the database
    /// refuses to the last, what is missing is found by the next start.
    ///
    /// Put a deadline around it where open calls may last: it is safe to stop waiting.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.stopped.cancelled().await;
    }

    fn call_row(&self, intent: Intent) -> CallRow {
        let whole = |session, params: &_| self.shared.room.params(session, params);
        CallRow::new(intent, self.shared.clock.now(), self.shared.params_max, whole)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.shared.write_timeout
    }

    /// A slot for an outcome, waiting for one to become free.
    async fn reserve(&self, deadline: Instant) -> Result<mpsc::OwnedPermit<OutcomeRow>, RecordError> {
        let outcomes = &self.shared.outcomes;
        match timeout_at(deadline, outcomes.clone().reserve_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(RecordError::Stopped),
            Err(_) => Err(RecordError::TooManyOpenCalls(outcomes.max_capacity())),
        }
    }

    async fn write(&self, unit: Unit) -> Result<(), RecordError> {
        let (caller, answer) = oneshot::channel();
        self.submit(Command { unit, ack: Ack::Done(caller) }, answer, self.deadline()).await
    }

    async fn submit<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<T, RecordError>>,
        deadline: Instant,
    ) -> Result<T, RecordError> {
        let submitted = async {
            self.shared.commands.send(command).await.map_err(|_| RecordError::Stopped)?;
            answer.await.map_err(|_| RecordError::Stopped)?
        };
        timeout_at(deadline, submitted).await.unwrap_or(Err(RecordError::Timeout(self.shared.write_timeout)))
    }

    /// Limits the database's pages before the next transaction, as a full disk does.
    #[cfg(test)]
    pub(super) async fn limit_pages(&self, pages: Option<u32>) {
        let pages = pages.unwrap_or(u32::MAX - 1);
        self.shared.faults.send(("max_page_count", pages.into())).await.unwrap();
    }

    /// Whether the database may only be read, from the next transaction on.
    #[cfg(test)]
    pub(super) async fn only_read(&self, is_so: bool) {
        self.shared.faults.send(("query_only", is_so.into())).await.unwrap();
    }

    /// Waits until the writer's state is as wanted.
    #[cfg(test)]
    pub(super) async fn healthy_when(&self, condition: impl Fn(&Health) -> bool) {
        let mut changes = self.shared.health.subscribe();
        while !condition(&self.health()) {
            changes.changed().await.unwrap();
        }
    }

    /// Waits until nothing new is accepted.
    #[cfg(test)]
    pub(super) async fn closed(&self) {
        self.shared.commands.closed().await;
    }
}

/// What an open call needs to hand its outcome over, whatever happens.
#[derive(Debug)]
pub(super) struct OutcomeSlot {
    permit: mpsc::OwnedPermit<OutcomeRow>,
    call: CallId,
    clock: Clock,
}

/// A call whose intent is on disk and whose outcome is not yet known.
///
/// Dropping it records the outcome `aborted`. Its place in the queue was reserved, so neither
/// [`OpenCall::finish`] nor the drop waits or fails.
#[derive(Debug)]
#[must_use = "dropping it records that the call was aborted"]
pub struct OpenCall {
    id: CallId,
    slot: Option<OutcomeSlot>,
    so_far: Outcome,
    captures: Vec<(Side, Capture)>,
}

impl OpenCall {
    pub(super) fn new(slot: OutcomeSlot) -> Self {
        Self {
            id: slot.call,
            slot: Some(slot),
            so_far: Outcome::new(OutcomeKind::Aborted),
            captures: Vec::new(),
        }
    }

    /// The call's id.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// What is known already, such as the status while the body still streams: recorded if the call is
    /// dropped. Its kind stays `aborted` then.
    pub fn so_far(&mut self) -> &mut Outcome {
        &mut self.so_far
    }

    /// What has passed in `capture` by then is recorded with the outcome, also if the call is dropped. The last one of a side
    /// counts.
    pub fn capture(&mut self, side: Side, capture: Capture) {
        self.captures.retain(|(known, _)| *known != side);
        self.captures.push((side, capture));
    }

    /// Records how the call ended.
    pub fn finish(mut self, outcome: Outcome) {
        self.hand_over(outcome);
    }

    fn hand_over(&mut self, outcome: Outcome) {
        if let Some(OutcomeSlot { permit, call, clock }) = self.slot.take() {
            let captures = self.captures.drain(..);
            let bodies = captures.filter_map(|(side, capture)| Some((side, capture.finish()?))).collect();
            permit.send(OutcomeRow::new(call.to_string(), outcome, bodies, clock.now()));
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let outcome = Outcome { kind: OutcomeKind::Aborted, ..self.so_far.clone() };
        self.hand_over(outcome);
    }
}
