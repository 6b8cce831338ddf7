//! How sessions end: with their cgroup, with their token, or because a person says so.

use std::sync::Arc;

use super::{Registry, Slot};
use crate::{
    identify::{EndReason, Session},
    prim::SessionId,
};

impl Registry {
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
    pub(super) fn remove(
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
}
