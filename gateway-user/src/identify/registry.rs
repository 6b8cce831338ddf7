//! The sessions that live: found by cgroup, enrolled once, ended when their cgroup ends.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::{
    Caller, EndReason, Identity, Launch, Session, VouchError, Voucher, Vouchers, WorkloadConfig,
    bindings::{Binding, Bindings},
    boot::BootId,
    cgroup::{CgroupError, CgroupTree},
    placeholder::{Nobody, Placeholders},
    vouch::from_file,
    workload::{Match, Workloads},
};
use crate::{
    clock::Clock,
    issuer::TokenError,
    prim::{CgroupId, CgroupPath, SessionId, WorkloadName},
    redirect::Origin,
    secret::SecretText,
};

/// Leaves remembered per session on average, before the path is looked up anew at each connection.
const LEAVES_PER_SESSION: usize = 4;

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
    /// Nobody vouches for it.
    #[error("workload {workload} in cgroup {cgroup}: {error}")]
    NotVouched {
        /// The workload.
        workload: WorkloadName,
        /// The cgroup that would be the session.
        cgroup: CgroupPath,
        /// Why not.
        error: VouchError,
    },
    /// The session is over, and its connections with it.
    #[error("session {session} is over: {}", reason.as_str())]
    Over {
        /// The session.
        session: SessionId,
        /// Its workload.
        workload: WorkloadName,
        /// Why it ended.
        reason: EndReason,
    },
    /// A person ended the cgroup's session.
    #[error("the session of cgroup {cgroup} was killed")]
    Killed {
        /// The session's cgroup.
        cgroup: CgroupPath,
        /// The workload that answers for it today.
        workload: Option<WorkloadName>,
    },
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
    /// Who it was last known to be, where a token said so.
    pub identity: Option<Identity>,
}

/// What the session database knows of a token that was accepted and has not expired.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// Its SHA-256, in hexadecimal.
    pub digest: String,
    /// When it ends.
    pub expires: OffsetDateTime,
    /// The workload of the session that it was accepted for.
    pub workload: WorkloadName,
    /// That session's cgroup; `None` where it was of another boot.
    pub cgroup: Option<CgroupId>,
    /// Who launched that session, if `chaperone run` did it.
    pub uid: Option<u32>,
}

impl IdentifyError {
    /// Whether the connection is an agent's whose identity is not accepted: it is told so in the
    /// words of the protocol, and no more.
    #[must_use]
    pub fn is_about_identity(&self) -> bool {
        matches!(self, Self::NotVouched { .. } | Self::Over { .. } | Self::Killed { .. })
    }

    /// The workload, where one answers.
    #[must_use]
    pub fn workload(&self) -> Option<&WorkloadName> {
        match self {
            Self::NotVouched { workload, .. } | Self::Over { workload, .. } => Some(workload),
            Self::Killed { workload, .. } => workload.as_ref(),
            _ => None,
        }
    }

    /// A fixed word for queries, where the identity is the matter.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::NotVouched { error, .. } => Some(error.reason()),
            Self::Over { reason, .. } => Some(reason.as_str()),
            Self::Killed { .. } => Some(EndReason::Killed.as_str()),
            _ => None,
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

    /// Enrols the session that the launcher made the cgroup `cgroup` for, ahead of its first process.
    ///
    /// The cgroup is bound to the session directly: no glob is asked, and none can take it away.
    ///
    /// # Errors
    /// [`IdentifyError::NotVouched`], [`IdentifyError::TooManySessions`] or [`IdentifyError::RecordFailed`].
    pub async fn launched<E>(
        &self,
        id: SessionId,
        workload: Arc<WorkloadConfig>,
        (cgroup, cgroup_id): (CgroupPath, CgroupId),
        launch: Launch,
        token: Option<SecretText>,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Arc<Session>, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let started = self.clock.now();
        let session = self.session(id, workload, (cgroup, cgroup_id), started, Some(launch));
        let slot = self.slot(cgroup_id, || session)?;
        let result = slot.enrol(self, token, record).await;
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

    /// Takes up which tokens were accepted for which cgroups before the daemon was restarted, oldest first.
    ///
    /// # Errors
    /// [`VouchError::TooManyTokens`]: the rest is not known.
    pub fn bind(&self, stored: impl IntoIterator<Item = StoredToken>) -> Result<(), VouchError> {
        let now = self.clock.now();
        for StoredToken { digest, expires, workload, cgroup, uid } in stored {
            let workload = self.workloads.named(&workload);
            let user = uid.filter(|uid| workload.is_none_or(|workload| is_presenter(*uid, workload)));
            let bound = self.tokens().bind(&digest, Binding { cgroup, user, expires }, now, |_| false);
            if let Err(error @ VouchError::TooManyTokens(_)) = bound {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether this token was accepted before.
    #[must_use]
    pub fn is_bound(&self, token: &SecretText) -> bool {
        self.tokens().knows(&Identity::digest(token), self.clock.now())
    }

    /// Remembers the cgroups whose sessions were killed before the daemon was restarted.
    pub fn bar(&self, cgroups: impl IntoIterator<Item = CgroupId>) {
        self.state().barred.extend(cgroups.into_iter().filter(|cgroup| self.tree.exists(*cgroup)));
    }

    /// Ends the sessions whose cgroup is gone and returns them, so that their end is recorded.
    ///
    /// Call it every `[identify] sweep_secs`.
    pub fn gone(&self) -> Vec<Arc<Session>> {
        // Asking the kernel takes microseconds per session: the lock is not held meanwhile.
        let (slots, barred) = {
            let state = self.state();
            (state.slots.values().cloned().collect::<Vec<_>>(), state.barred.clone())
        };
        let unbarred: Vec<_> = barred.into_iter().filter(|cgroup| !self.tree.exists(*cgroup)).collect();
        let mut state = self.state();
        for cgroup in unbarred {
            state.barred.remove(&cgroup);
        }
        drop(state);
        self.remove(EndReason::CgroupGone, |slot| !self.tree.exists(slot.session.cgroup_id), slots)
    }

    /// Ends the sessions whose token has expired and returns them. Their cgroups may enrol anew, with a
    /// token that holds.
    pub fn expired(&self) -> Vec<Arc<Session>> {
        let now = self.clock.now();
        let slots: Vec<_> = self.state().slots.values().cloned().collect();
        let over = |slot: &Slot| slot.enrolled.initialized() && !slot.session.identity().holds(now);
        self.remove(EndReason::TokenExpired, over, slots)
    }

    /// Ends a session because a person says so; its cgroup gets no other. `None` where there is none of the
    /// id.
    #[must_use]
    pub fn kill(&self, id: SessionId) -> Option<Arc<Session>> {
        let slots: Vec<_> = self.state().slots.values().cloned().collect();
        let killed = slots.iter().find(|slot| slot.enrolled.initialized() && slot.session.id == id)?;
        // Before it ends: no connection may find the cgroup without a session and unbarred.
        self.state().barred.insert(killed.session.cgroup_id);
        self.remove(EndReason::Killed, |slot| slot.session.id == id, slots).pop()
    }

    /// Takes these sessions out, ends them, and returns those that were enrolled.
    fn remove(
        &self,
        reason: EndReason,
        over: impl Fn(&Slot) -> bool,
        mut slots: Vec<Arc<Slot>>,
    ) -> Vec<Arc<Session>> {
        slots.retain(|slot| over(slot));
        let mut state = self.state();
        // Somebody else may have taken one out meanwhile, and its cgroup have begun another.
        slots.retain(|slot| state.is_of(&slot.session));
        for slot in &slots {
            state.slots.remove(&slot.session.cgroup_id);
        }
        state.leaves.retain(|_, session| !slots.iter().any(|slot| slot.session.id == session.id));
        drop(state);
        for slot in &slots {
            slot.session.end(reason);
        }
        slots.retain(|slot| slot.enrolled.initialized());
        slots.iter().map(|slot| Arc::clone(&slot.session)).collect()
    }

    /// Who the session is by the token in its file, where that is another than the one it is known by; the
    /// caller records it and calls [`Session::is_known_as`].
    pub async fn renewal(&self, session: &Session) -> Option<Result<Identity, VouchError>> {
        if session.launch.as_ref().is_some_and(|launch| launch.uid != 0) {
            return None;
        }
        match from_file(session).await {
            Ok(None) => None,
            Ok(Some(token)) => {
                let known = session.identity();
                let same = known.token.as_ref().is_some_and(|known| known.expose() == token.expose());
                if same { None } else { Some(self.renewed(session, token).await) }
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Who a newer token says that `session` is.
    ///
    /// # Errors
    /// [`VouchError`]: it is not accepted, or is somebody else's.
    pub async fn renewed(&self, session: &Session, token: SecretText) -> Result<Identity, VouchError> {
        self.accepted(session, self.vouchers.renewed(session, token).await?)
    }

    /// A token may be verified just after its end, because its issuer's clock may be off. A session ends at that
    /// very moment all the same: there is none to begin, or to go on, with such a token. Nor is there with one that
    /// was accepted for another cgroup.
    fn accepted(&self, session: &Session, identity: Identity) -> Result<Identity, VouchError> {
        let now = self.clock.now();
        if !identity.holds(now) {
            return Err(TokenError::Expired.into());
        }
        if let (Some(digest), Some(expires)) = (&identity.token_digest, identity.expires) {
            let uid = session.launch.as_ref().map(|launch| launch.uid);
            let user = uid.filter(|uid| is_presenter(*uid, &session.workload));
            let binding = Binding { cgroup: Some(session.cgroup_id), user, expires };
            self.tokens().bind(digest, binding, now, |cgroup| self.tree.exists(cgroup))?;
        }
        Ok(identity)
    }

    fn tokens(&self) -> MutexGuard<'_, Bindings> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn enrol<E>(
        &self,
        leaf: CgroupId,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Arc<Session>, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let slot = self.slot_of(leaf)?;
        let session = slot.enrol(self, None, record).await?;
        let mut state = self.state();
        // Only while the session lives, and not without bound: an agent can make many leaves.
        let bounded = state.leaves.len() < self.max_sessions.saturating_mul(LEAVES_PER_SESSION);
        // The cgroup may have another by now: this one's token may have expired while it was waited for.
        if bounded && state.is_of(&session) {
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
        if let Some(slot) = self.bound(&path)? {
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
            self.session(SessionId::generate(), workload, (cgroup, cgroup_id), self.clock.now(), None)
        })
    }

    /// The slot of a session whose cgroup is `leaf` or an ancestor of it: what was launched, restored
    /// or enrolled before stays what it is, whatever the globs say today.
    fn bound(&self, leaf: &CgroupPath) -> Result<Option<Arc<Slot>>, IdentifyError> {
        for prefix in self.workloads.below_slice(leaf) {
            let Ok(id) = self.tree.id(&prefix) else { continue };
            let (barred, slot) = {
                let state = self.state();
                (state.barred.contains(&id), state.slots.get(&id).cloned())
            };
            if barred {
                return Err(self.killed(leaf, prefix));
            }
            if slot.is_some() {
                return Ok(slot);
            }
        }
        Ok(None)
    }

    /// The refusal of what comes from `leaf` in the barred `cgroup`: records say whose it is.
    fn killed(&self, leaf: &CgroupPath, cgroup: CgroupPath) -> IdentifyError {
        let workload = match self.workloads.find(&*self.tree, leaf) {
            Ok(Match::Found(workload, _)) => Some(workload.name.clone()),
            Ok(_) | Err(_) => None,
        };
        IdentifyError::Killed { cgroup, workload }
    }

    fn slot(&self, cgroup: CgroupId, session: impl FnOnce() -> Session) -> Result<Arc<Slot>, IdentifyError> {
        let mut state = self.state();
        if let Some(slot) = state.slots.get(&cgroup) {
            return Ok(Arc::clone(slot));
        }
        // It may have been killed since it was looked for.
        if state.barred.contains(&cgroup) {
            let Session { cgroup, workload, .. } = session();
            return Err(IdentifyError::Killed { cgroup, workload: Some(workload.name.clone()) });
        }
        if state.slots.len() >= self.max_sessions {
            return Err(IdentifyError::TooManySessions(state.slots.len()));
        }
        let slot = Arc::new(Slot { session: Arc::new(session()), enrolled: OnceCell::new() });
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
        let StoredSession { id, cgroup, cgroup_id, started, launch, identity, .. } = stored;
        let session = self.session(id, workload, (cgroup, cgroup_id), started, launch);
        if session.workload.identity == Voucher::Oidc {
            // Somebody else who would have to vouch today is asked at the next connection.
            let issuer = session.workload.issuer.as_ref().map(AsRef::as_ref);
            let same = identity.filter(|identity| {
                Some(identity.issuer.as_str()) == issuer
                    && identity.expires.is_some()
                    && session.workload.subjects.fit(&identity.subject)
            });
            let Some(identity) = same.filter(|identity| identity.holds(self.clock.now())) else {
                return Err((id, EndReason::TokenExpired));
            };
            session.is_known_as(identity.in_groups_of(&session.workload));
        }
        // Not bounded by max_sessions: these agents run already, and locking them out helps nobody.
        let slot = Slot { session: Arc::new(session), enrolled: OnceCell::new_with(Some(())) };
        self.state().slots.insert(cgroup_id, Arc::new(slot));
        Ok(())
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

    /// The lock is never held over an await or a call into the kernel, and no code that holds it can
    /// panic half-way, so a poisoned lock still guards a consistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses another subject than an earlier attempt had, which may be in the record already: a session is one subject's.
fn first_subject(session: &Session, identity: Identity) -> Result<Identity, VouchError> {
    let first = session.identity();
    if session.workload.identity == Voucher::Host || first.subject.is_empty() || identity.is(&first) {
        return Ok(identity);
    }
    Err(VouchError::OtherSubject { old: first.subject.clone(), new: identity.subject })
}

/// Whether a user who launches `workload` has presented the token himself: root may have left it to the file.
fn is_presenter(uid: u32, workload: &WorkloadConfig) -> bool {
    uid != 0 || workload.token_file.is_none()
}

impl Slot {
    /// Finds out who the session is and records it, once.
    async fn enrol<E>(
        &self,
        registry: &Registry,
        token: Option<SecretText>,
        record: impl AsyncFnOnce(&Session) -> Result<(), E>,
    ) -> Result<Arc<Session>, IdentifyError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let session = &self.session;
        let enrol = async || {
            let vouched = registry.vouchers.vouch(session, token).await;
            let vouched = vouched.and_then(|identity| first_subject(session, identity));
            let identity =
                vouched.and_then(|identity| registry.accepted(session, identity)).map_err(|error| {
                    let (workload, cgroup) = (session.workload.name.clone(), session.cgroup.clone());
                    IdentifyError::NotVouched { workload, cgroup, error }
                })?;
            session.is_known_as(identity);
            record(session).await.map_err(|error| IdentifyError::RecordFailed(error.into()))
        };
        self.enrolled.get_or_try_init(enrol).await?;
        Ok(Arc::clone(session))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("open", &self.open().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
