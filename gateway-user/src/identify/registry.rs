//! The sessions that live: found by cgroup, enrolled once, ended when their cgroup ends.

mod ends;
mod enrol;
mod error;
mod renew;
mod restore;

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::sync::{Notify, OnceCell};

pub use self::{
    error::IdentifyError,
    restore::{Host, StoredSession, StoredToken},
};
use super::{
    Caller, Launch, Session, Vouchers, WorkloadConfig,
    bindings::Bindings,
    boot::BootId,
    cgroup::CgroupTree,
    placeholder::{Nobody, Placeholders},
    workload::Workloads,
};
use crate::{
    clock::Clock,
    prim::{CgroupId, CgroupPath, SessionId},
    redirect::Origin,
};

/// All sessions of this host.
pub struct Registry {
    workloads: Workloads,
    tree: Arc<dyn CgroupTree>,
    nobody: Nobody,
    placeholders: Placeholders,
    vouchers: Vouchers,
    boot: BootId,
    clock: Clock,
    max_sessions: usize,
    minted_per_session: usize,
    /// Apart from the rest: the kernel is asked about cgroups while it is locked.
    tokens: Mutex<Bindings>,
    begun: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the session's own cgroup. A slot whose session is not recorded yet is there so that
    /// concurrent connections wait for one record instead of making two.
    slots: HashMap<CgroupId, Arc<Slot>>,
    /// From the leaf cgroup a connection came from to its session: the common case is one look-up.
    leaves: HashMap<CgroupId, Arc<Session>>,
    /// Cgroups whose session a person ended: nothing in them gets another.
    barred: HashSet<CgroupId>,
}

impl State {
    /// Whether this very session is that of its cgroup.
    fn is_of(&self, session: &Arc<Session>) -> bool {
        self.slots.get(&session.cgroup_id).is_some_and(|slot| Arc::ptr_eq(&slot.session, session))
    }
}

struct Slot {
    /// Made with the slot, so that a repeated attempt to enrol makes the same session.
    session: Arc<Session>,
    /// Set once somebody vouched for the session and it is durable.
    enrolled: OnceCell<()>,
}

impl Registry {
    /// An empty registry; call [`Registry::restore`] before the first connection.
    #[must_use]
    pub fn new(
        config: &super::Config,
        workloads: Workloads,
        tree: Arc<dyn CgroupTree>,
        placeholders: Placeholders,
        vouchers: Vouchers,
        boot: BootId,
        clock: Clock,
    ) -> Self {
        Self {
            workloads,
            tree,
            nobody: Nobody::new(&placeholders),
            placeholders,
            vouchers,
            boot,
            clock,
            max_sessions: config.max_sessions,
            minted_per_session: config.minted_per_session,
            tokens: Mutex::new(Bindings::new(config.max_tokens)),
            begun: Notify::new(),
            state: Mutex::default(),
        }
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
        if let Some(reason) = session.ended(self.clock.now()) {
            let (id, workload) = (session.id, session.workload.name.clone());
            return Err(IdentifyError::Over { session: id, workload, reason });
        }
        Ok(Caller { session, pid: origin.pid, uid: origin.uid })
    }

    /// The session of the cgroup `leaf`, where a connection from it was identified before.
    #[must_use]
    pub fn session_of(&self, leaf: CgroupId) -> Option<Arc<Session>> {
        let state = self.state();
        state.leaves.get(&leaf).cloned().or_else(|| {
            state
                .slots
                .get(&leaf)
                .filter(|slot| slot.enrolled.initialized())
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
            .filter(|slot| slot.enrolled.initialized())
            .map(|slot| Arc::clone(&slot.session))
            .collect();
        open.sort_by_key(|session| session.id);
        open
    }

    /// The cgroups of all sessions, also of those that are not recorded yet.
    #[must_use]
    pub fn cgroups(&self) -> Vec<CgroupPath> {
        self.state().slots.values().map(|slot| slot.session.cgroup.clone()).collect()
    }

    /// Returns once a session has begun since it was last awaited; for one who waits.
    pub async fn begun(&self) {
        self.begun.notified().await;
    }

    /// The session that lives and signs with this placeholder, be it its own or one that stands for keys which AWS gave it.
    #[must_use]
    pub fn holder(&self, access_key_id: &str) -> Option<Arc<Session>> {
        let slots: Vec<_> = self.state().slots.values().cloned().collect();
        let sessions = slots.iter().filter(|slot| slot.enrolled.initialized()).map(|slot| &slot.session);
        sessions
            .clone()
            .find(|session| session.placeholder.access_key_id == access_key_id)
            .or_else(|| sessions.clone().find(|session| session.minted(access_key_id).is_some()))
            .cloned()
    }

    /// What those have whose identity is not accepted.
    #[must_use]
    pub fn nobody(&self) -> &Nobody {
        &self.nobody
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

    fn session(
        &self,
        id: SessionId,
        workload: Arc<WorkloadConfig>,
        cgroup: (CgroupPath, CgroupId),
        started: OffsetDateTime,
        launch: Option<Launch>,
    ) -> Session {
        Session::new(id, workload, cgroup, started, self.placeholders.of(id), launch)
            .with_room(self.minted_per_session)
    }

    fn tokens(&self) -> MutexGuard<'_, Bindings> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock is never held over an await or a call into the kernel, and no code that holds it can
    /// panic half-way, so a poisoned lock still guards a consistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("open", &self.open().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
