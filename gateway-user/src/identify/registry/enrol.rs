//! How a cgroup becomes a session: found, vouched for and recorded once.

use std::{error::Error, sync::Arc};

use tokio::sync::OnceCell;

use super::{IdentifyError, Registry, Slot};
use crate::{
    identify::{
        Identity, Launch, Session, VouchError, Voucher, WorkloadConfig, cgroup::CgroupError, workload::Match,
    },
    prim::{CgroupId, CgroupPath, SessionId},
    secret::SecretText,
};

/// Leaves remembered per session on average, before the path is looked up anew at each connection.
const LEAVES_PER_SESSION: usize = 4;

impl Registry {
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

    pub(super) async fn enrol<E>(
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
        self.begun.notify_one();
        Ok(slot)
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
