//! The sessions that live: found by cgroup, enrolled once, ended when their cgroup ends.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::{
    Caller, Launch, Session, WorkloadConfig,
    boot::BootId,
    cgroup::{CgroupError, CgroupTree},
    placeholder::Placeholders,
    workload::{Match, Workloads},
};
use crate::{
    clock::Clock,
    prim::{CgroupId, CgroupPath, SessionId, WorkloadName},
    redirect::Origin,
};

/// Leaves remembered per session on average, before the path is looked up anew at each connection.
const LEAVES_PER_SESSION: usize = 4;

/// All sessions of this host.
pub struct Registry {
    workloads: Workloads,
    tree: Arc<dyn CgroupTree>,
    placeholders: Placeholders,
    boot: BootId,
    clock: Clock,
    max_sessions: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the session's own cgroup. A slot whose session is not recorded yet is there so that
    /// concurrent connections wait for one record instead of making two.
    slots: HashMap<CgroupId, Arc<Slot>>,
    /// From the leaf cgroup a connection came from to its session: the common case is one look-up.
    leaves: HashMap<CgroupId, Arc<Session>>,
}

struct Slot {
    /// Made with the slot, so that a repeated attempt to record enrols the same session.
    session: Arc<Session>,
    /// Set once the session is durable.
    recorded: OnceCell<()>,
}

/// Why a connection has no caller; it is refused and recorded as an event.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// The connection does not come from the agent slice.
    #[error("cgroup {cgroup} is not below the agent slice")]
    NotAnAgent {
        /// The leaf.
        cgroup: CgroupPath,
    },
    /// No workload of the configuration answers.
    #[error("no workload is configured for cgroup {cgroup}")]
    NoWorkload {
        /// The leaf.
        cgroup: CgroupPath,
    },
    /// Two workloads answer at the same depth.
    #[error("both workload {first} and workload {second} answer for cgroup {cgroup}")]
    Ambiguous {
        /// The leaf.
        cgroup: CgroupPath,
        /// The workload that comes first in the configuration.
        first: WorkloadName,
        /// The other one.
        second: WorkloadName,
    },
    /// The cgroup ended while the connection was being identified.
    #[error("the connection's cgroup {} is gone", .0.0)]
    CgroupGone(CgroupId),
    /// The cgroup tree could not be read.
    #[error("the cgroup tree could not be read: {0}")]
    Tree(#[source] CgroupError),
    /// The bound on sessions is reached.
    #[error("{0} sessions are open, and [identify] max_sessions allows no more")]
    TooManySessions(usize),
    /// The session could not be made durable.
    #[error("the session could not be recorded: {0}")]
    RecordFailed(#[source] Box<dyn Error + Send + Sync>),
}

/// What the session database knows of a session that has not ended.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// Its id.
    pub id: SessionId,
    /// Its workload's name.
    pub workload: WorkloadName,
    /// Its cgroup.
    pub cgroup: CgroupPath,
    /// The same cgroup as the kernel numbered it.
    pub cgroup_id: CgroupId,
    /// The boot in which that number means something.
    pub boot: BootId,
    /// When it was enrolled.
    pub started: OffsetDateTime,
    /// How it was launched, if `chaperone run` did it.
    pub launch: Option<Launch>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its cgroup is gone.
    CgroupGone,
    /// The host was restarted, and with it every process ended.
    HostRestarted,
    /// Its workload is no longer configured.
    WorkloadRemoved,
}

impl EndReason {
    /// As records write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CgroupGone => "cgroup-gone",
            Self::HostRestarted => "host-restarted",
            Self::WorkloadRemoved => "workload-removed",
        }
    }
}

impl Registry {
    /// An empty registry; call [`Registry::restore`] before the first connection.
    #[must_use]
    pub fn new(
        config: &super::Config,
        workloads: Workloads,
        tree: Arc<dyn CgroupTree>,
        placeholders: Placeholders,
        boot: BootId,
        clock: Clock,
    ) -> Self {
        let max_sessions = config.max_sessions;
        Self { workloads, tree, placeholders, boot, clock, max_sessions, state: Mutex::default() }
    }

    /// The caller behind a connection: finds its session, or enrols one.
    ///
    /// `record` makes a new session durable. It is called by one connection at a time, before anybody
    /// can use the session, and not again once it succeeded. After a failure (or when the connection
    /// that was recording went away) the next connection calls its own, with the *same* session id:
    /// recording a session that is already stored must therefore succeed.
    ///
    /// # Errors
    /// [`IdentifyError`]; the caller refuses the connection and records the event.
    pub async fn identify<E>(
        &self,
        origin: &Origin,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Caller, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let known = self.state().leaves.get(&origin.cgroup).cloned();
        let session = match known {
            Some(session) => session,
            None => self.enrol(origin.cgroup, record).await?,
        };
        Ok(Caller { session, pid: origin.pid, uid: origin.uid })
    }

    /// Enrols the session that the launcher made the cgroup `cgroup` for, ahead of its first process.
    ///
    /// The cgroup is bound to the session directly: no glob is asked, and none can take it away.
    ///
    /// # Errors
    /// [`IdentifyError::CgroupGone`], [`IdentifyError::TooManySessions`] or [`IdentifyError::RecordFailed`].
    pub async fn launched<E>(
        &self,
        id: SessionId,
        workload: Arc<WorkloadConfig>,
        cgroup: CgroupPath,
        cgroup_id: CgroupId,
        launch: Launch,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Arc<Session>, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let session = self.session(id, workload, cgroup, cgroup_id, self.clock.now(), Some(launch));
        let slot = self.slot(cgroup_id, || session)?;
        let result = slot.record(record).await;
        if result.is_err() {
            // The launcher gives up and removes the cgroup: nobody will try again.
            self.state().slots.remove(&cgroup_id);
        }
        result
    }

    /// Takes up the sessions that were open when the daemon stopped: the same boot and cgroup is the
    /// same session, with the same id and placeholder. Returns those that ended meanwhile.
    pub fn restore(&self, stored: impl IntoIterator<Item = StoredSession>) -> Vec<(SessionId, EndReason)> {
        stored.into_iter().filter_map(|stored| self.restore_one(stored).err()).collect()
    }

    /// Forgets the sessions whose cgroup is gone and returns them, so that their end is recorded.
    ///
    /// Call it every `[identify] sweep_secs`.
    pub fn ended(&self) -> Vec<Arc<Session>> {
        // Asking the kernel takes microseconds per session: the lock is not held meanwhile.
        let slots: Vec<_> = self.state().slots.values().cloned().collect();
        let gone: Vec<_> =
            slots.into_iter().filter(|slot| !self.tree.exists(slot.session.cgroup_id)).collect();
        let mut state = self.state();
        for slot in &gone {
            state.slots.remove(&slot.session.cgroup_id);
        }
        state.leaves.retain(|_, session| !gone.iter().any(|slot| slot.session.id == session.id));
        drop(state);
        gone.iter().filter(|slot| slot.recorded.initialized()).map(|slot| Arc::clone(&slot.session)).collect()
    }

    /// The session of the cgroup `leaf`, where a connection from it was identified before.
    #[must_use]
    pub fn session_of(&self, leaf: CgroupId) -> Option<Arc<Session>> {
        let state = self.state();
        state.leaves.get(&leaf).cloned().or_else(|| {
            state
                .slots
                .get(&leaf)
                .filter(|slot| slot.recorded.initialized())
                .map(|slot| Arc::clone(&slot.session))
        })
    }

    /// The sessions that live, oldest first.
    #[must_use]
    pub fn open(&self) -> Vec<Arc<Session>> {
        let mut open: Vec<_> = self
            .state()
            .slots
            .values()
            .filter(|slot| slot.recorded.initialized())
            .map(|slot| Arc::clone(&slot.session))
            .collect();
        open.sort_by_key(|session| session.id);
        open
    }

    /// The configured workloads.
    #[must_use]
    pub fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    /// The boot this registry's cgroup ids belong to.
    #[must_use]
    pub fn boot(&self) -> &BootId {
        &self.boot
    }

    async fn enrol<E>(
        &self,
        leaf: CgroupId,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Arc<Session>, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let slot = self.slot_of(leaf)?;
        let session = slot.record(record).await?;
        let mut state = self.state();
        // Only while the session lives, and not without bound: an agent can make many leaves.
        let bounded = state.leaves.len() < self.max_sessions.saturating_mul(LEAVES_PER_SESSION);
        if bounded && state.slots.contains_key(&session.cgroup_id) {
            state.leaves.insert(leaf, Arc::clone(&session));
        }
        Ok(session)
    }

    /// The slot of the session that the cgroup `leaf` belongs to.
    fn slot_of(&self, leaf: CgroupId) -> Result<Arc<Slot>, IdentifyError> {
        let tree_error = |error| match error {
            CgroupError::Gone => IdentifyError::CgroupGone(leaf),
            error => IdentifyError::Tree(error),
        };
        let path = self.tree.path(leaf).map_err(tree_error)?;
        if let Some(slot) = self.bound(&path) {
            return Ok(slot);
        }
        let (workload, cgroup) = match self.workloads.find(&*self.tree, &path).map_err(tree_error)? {
            Match::Found(workload, cgroup) => (workload, cgroup),
            Match::NotAnAgent => return Err(IdentifyError::NotAnAgent { cgroup: path }),
            Match::None => return Err(IdentifyError::NoWorkload { cgroup: path }),
            Match::Ambiguous(first, second) => {
                return Err(IdentifyError::Ambiguous { cgroup: path, first, second });
            }
        };
        let cgroup_id = self.tree.id(&cgroup).map_err(tree_error)?;
        // A cgroup with a living child cannot be removed. So if the leaf still lives now, the id just
        // read is its ancestor's, and not that of a new cgroup which took the ancestor's name.
        if !self.tree.exists(leaf) {
            return Err(IdentifyError::CgroupGone(leaf));
        }
        self.slot(cgroup_id, || {
            self.session(SessionId::generate(), workload, cgroup, cgroup_id, self.clock.now(), None)
        })
    }

    /// The slot of a session whose cgroup is `leaf` or an ancestor of it: what was launched, restored
    /// or enrolled before stays what it is, whatever the globs say today.
    fn bound(&self, leaf: &CgroupPath) -> Option<Arc<Slot>> {
        self.workloads.below_slice(leaf).find_map(|prefix| {
            let id = self.tree.id(&prefix).ok()?;
            self.state().slots.get(&id).cloned()
        })
    }

    fn slot(&self, cgroup: CgroupId, session: impl FnOnce() -> Session) -> Result<Arc<Slot>, IdentifyError> {
        let mut state = self.state();
        if let Some(slot) = state.slots.get(&cgroup) {
            return Ok(Arc::clone(slot));
        }
        if state.slots.len() >= self.max_sessions {
            return Err(IdentifyError::TooManySessions(state.slots.len()));
        }
        let slot = Arc::new(Slot { session: Arc::new(session()), recorded: OnceCell::new() });
        state.slots.insert(cgroup, Arc::clone(&slot));
        Ok(slot)
    }

    fn restore_one(&self, stored: StoredSession) -> Result<(), (SessionId, EndReason)> {
        let ended = |reason| Err((stored.id, reason));
        if stored.boot != self.boot {
            return ended(EndReason::HostRestarted);
        }
        // A tree that cannot be read leaves the session open; the sweep decides later.
        if matches!(self.tree.path(stored.cgroup_id), Err(CgroupError::Gone)) {
            return ended(EndReason::CgroupGone);
        }
        let Some(workload) = self.workloads.named(&stored.workload).cloned() else {
            return ended(EndReason::WorkloadRemoved);
        };
        let StoredSession { id, cgroup, cgroup_id, started, launch, .. } = stored;
        let session = Arc::new(self.session(id, workload, cgroup, cgroup_id, started, launch));
        // Not bounded by max_sessions: these agents run already, and locking them out helps nobody.
        let slot = Slot { session, recorded: OnceCell::new_with(Some(())) };
        self.state().slots.insert(cgroup_id, Arc::new(slot));
        Ok(())
    }

    fn session(
        &self,
        id: SessionId,
        workload: Arc<WorkloadConfig>,
        cgroup: CgroupPath,
        cgroup_id: CgroupId,
        started: OffsetDateTime,
        launch: Option<Launch>,
    ) -> Session {
        Session { id, workload, cgroup, cgroup_id, started, placeholder: self.placeholders.of(id), launch }
    }

    /// The lock is never held over an await or a call into the kernel, and no code that holds it can
    /// panic half-way, so a poisoned lock still guards a consistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    async fn record<E>(
        &self,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Arc<Session>, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.recorded
            .get_or_try_init(async || record(&self.session).await)
            .await
            .map_err(|error| IdentifyError::RecordFailed(error.into()))?;
        Ok(Arc::clone(&self.session))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("open", &self.open().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
