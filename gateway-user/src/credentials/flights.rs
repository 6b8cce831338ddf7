//! How many keys for single calls are asked for at the same time, in all and by one session.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::prim::SessionId;

/// Places of calls that ask STS. One session has a quarter of them: further calls of its own wait for each
/// other and not before everybody else.
#[derive(Debug)]
pub(super) struct Flights {
    all: Arc<Semaphore>,
    each: usize,
    by_session: Mutex<HashMap<SessionId, Arc<Semaphore>>>,
}

/// A place, given back on drop.
#[derive(Debug)]
pub(super) struct Flight {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Flights {
    pub(super) fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), each: (all / 4).max(1), by_session: Mutex::default() }
    }

    /// Waits for a place. Nothing is kept of a session that is `over`, because nothing would forget it any more.
    pub(super) async fn begin(&self, session: SessionId, over: impl FnOnce() -> bool) -> Flight {
        let own = self.own(session, over);
        // Neither is ever closed.
        let own = own.acquire_owned().await.ok();
        Flight { _own: own, _all: Arc::clone(&self.all).acquire_owned().await.ok() }
    }

    fn own(&self, session: SessionId, over: impl FnOnce() -> bool) -> Arc<Semaphore> {
        let mut sessions = self.sessions();
        if let Some(own) = sessions.get(&session) {
            return Arc::clone(own);
        }
        let own = Arc::new(Semaphore::new(self.each));
        // Under the lock: a session is over before it is forgotten.
        if !over() {
            sessions.insert(session, Arc::clone(&own));
        }
        own
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.sessions().len()
    }

    /// Drops what is kept of a session that has ended.
    pub(super) fn forget(&self, session: SessionId) {
        self.sessions().remove(&session);
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Arc<Semaphore>>> {
        self.by_session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// The place, if there is one at once.
    fn begin(flights: &Flights, session: SessionId) -> Option<Flight> {
        match pin!(flights.begin(session, || false)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(flight) => Some(flight),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_session_leaves_room_for_others() {
        let flights = Flights::new(8);
        let [one, two] = [SessionId::generate(), SessionId::generate()];
        let held = [begin(&flights, one).unwrap(), begin(&flights, one).unwrap()];
        assert!(begin(&flights, one).is_none());
        assert!(begin(&flights, two).is_some());
        drop(held);
        assert!(begin(&flights, one).is_some());
    }

    #[test]
    fn all_sessions_together_are_bounded() {
        let flights = Flights::new(2);
        let mut held: Vec<Flight> = (0..2).map(|_| begin(&flights, SessionId::generate()).unwrap()).collect();
        assert!(begin(&flights, SessionId::generate()).is_none());
        held.pop();
        assert!(begin(&flights, SessionId::generate()).is_some());
    }
}
