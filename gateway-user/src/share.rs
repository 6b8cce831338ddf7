//! How much of a bounded thing is in use, in all and by each session: one agent cannot take it all. *pure*

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::prim::{CgroupId, SessionId};

/// Shared counts of one bounded thing (connections, calls, bytes). Cloning shares them.
#[derive(Debug, Clone)]
pub struct Shares {
    all: usize,
    each: usize,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    all: usize,
    by_owner: HashMap<Owner, usize>,
}

/// Whose share it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// One session's.
    Session(SessionId),
    /// A cgroup's that is not identified yet.
    Cgroup(CgroupId),
    /// All agents' together whose identity is not accepted.
    Strangers,
}

impl From<SessionId> for Owner {
    fn from(session: SessionId) -> Self {
        Self::Session(session)
    }
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The bound over all sessions is reached.
    #[error("the bound over all sessions ({0}) is reached")]
    All(usize),
    /// The session has its share.
    #[error("the bound of one session ({0}) is reached")]
    Session(usize),
}

impl Shares {
    /// At most `all` in use, at most `each` by one session.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self { all, each: each.min(all), used: Arc::default() }
    }

    /// How much is in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        lock(&self.used).all
    }

    /// Takes `amount`, until the share is dropped.
    ///
    /// # Errors
    /// [`NoRoom`], and nothing is taken.
    pub fn take(&self, owner: impl Into<Owner>, amount: usize) -> Result<Share, NoRoom> {
        let owner = owner.into();
        let mut used = lock(&self.used);
        let all = used.all.saturating_add(amount);
        let own = used.by_owner.get(&owner).copied().unwrap_or(0).saturating_add(amount);
        if own > self.each {
            return Err(NoRoom::Session(self.each));
        }
        if all > self.all {
            return Err(NoRoom::All(self.all));
        }
        used.all = all;
        used.by_owner.insert(owner, own);
        Ok(Share { used: Arc::clone(&self.used), owner, amount })
    }
}

/// What is in use, given back on drop.
#[derive(Debug)]
pub struct Share {
    used: Arc<Mutex<Used>>,
    owner: Owner,
    amount: usize,
}

impl Share {
    /// Gives back all but `amount`, and says what is left.
    pub fn shrink(&mut self, amount: usize) -> usize {
        let less = self.amount.saturating_sub(amount);
        self.give_back(less);
        self.amount -= less;
        self.amount
    }

    fn give_back(&self, amount: usize) {
        let mut used = lock(&self.used);
        used.all = used.all.saturating_sub(amount);
        if let Some(own) = used.by_owner.get_mut(&self.owner) {
            *own = own.saturating_sub(amount);
            if *own == 0 {
                used.by_owner.remove(&self.owner);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.amount);
    }
}

fn lock(used: &Mutex<Used>) -> MutexGuard<'_, Used> {
    used.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_cannot_take_it_all_and_everything_comes_back() {
        let shares = Shares::new(10, 6);
        let (greedy, modest) = (SessionId::generate(), SessionId::generate());
        let held = shares.take(greedy, 6).expect("its share");
        assert_eq!(shares.take(greedy, 1).err(), Some(NoRoom::Session(6)));
        let rest = shares.take(modest, 4).expect("what is left");
        assert_eq!(shares.take(modest, 1).err(), Some(NoRoom::All(10)));
        drop(held);
        assert!(shares.take(modest, 2).is_ok());
        let mut most = shares.take(greedy, 5).expect("it came back");
        assert_eq!((most.shrink(2), most.shrink(3)), (2, 2));
        assert_eq!(shares.in_use(), 6);
        drop((rest, most));
        let used = lock(&shares.used);
        assert_eq!((used.all, used.by_owner.len()), (0, 0));
    }
}
