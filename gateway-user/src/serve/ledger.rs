//! Counts allowed calls as soon as they are decided, so that of two calls at once only one can be the
//! last of a budget.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;

use crate::{
    classify::Operation,
    decide::{Charge, DayUsage, Facts, Policies, SessionUsage, Verdict},
    identify::{Caller, Session},
    prim::{SessionId, WorkloadName},
};

/// The counters of all workloads and sessions. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    books: Arc<Mutex<HashMap<WorkloadName, SharedBook>>>,
}

/// The counters of one workload: decisions that depend on them are made one after the other.
type SharedBook = Arc<Mutex<Book>>;

#[derive(Debug, Default)]
struct Book {
    day: DayUsage,
    sessions: HashMap<SessionId, SessionUsage>,
}

impl Ledger {
    /// Decides, and counts the call if it may happen. It stays counted once [`Reservation::keep`] is
    /// called; dropped without, it is given back.
    pub(super) fn decide(
        &self,
        policies: &Policies,
        caller: &Caller,
        operation: Operation,
        now: OffsetDateTime,
    ) -> (Verdict, Option<Reservation>) {
        let session = caller.session.id;
        let shared = self.book(&caller.session.workload.name);
        if policies.counts(&operation) {
            let mut book = lock(&shared);
            book.day.forget(now);
            let none = SessionUsage::default();
            let used = book.sessions.get(&session).unwrap_or(&none);
            let verdict = policies.decide(caller, operation, Facts { now, session: used, day: &book.day });
            let reservation = charge(policies, &verdict, now).map(|charge| {
                book.add(session, &charge);
                Reservation { book: Arc::clone(&shared), session, charge: Some(charge) }
            });
            return (verdict, reservation);
        }
        let facts = Facts { now, session: &SessionUsage::default(), day: &DayUsage::default() };
        let verdict = policies.decide(caller, operation, facts);
        let reservation = charge(policies, &verdict, now).map(|charge| {
            lock(&shared).add(session, &charge);
            Reservation { book: shared, session, charge: Some(charge) }
        });
        (verdict, reservation)
    }

    /// Counts what an earlier run of the daemon allowed; `session` where it is still open.
    pub fn restore(
        &self,
        workload: &WorkloadName,
        session: Option<SessionId>,
        charge: &Charge,
        now: OffsetDateTime,
    ) {
        let shared = self.book(workload);
        let mut book = lock(&shared);
        book.day.add(charge);
        book.day.forget(now);
        if let Some(session) = session {
            book.sessions.entry(session).or_default().add(charge);
        }
    }

    /// Forgets a session that has ended; the workload's day goes on counting its calls.
    pub fn forget(&self, session: &Session) {
        lock(&self.book(&session.workload.name)).sessions.remove(&session.id);
    }

    fn book(&self, workload: &WorkloadName) -> SharedBook {
        let mut books = lock(&self.books);
        match books.get(workload) {
            Some(book) => Arc::clone(book),
            None => Arc::clone(books.entry(workload.clone()).or_default()),
        }
    }
}

impl Book {
    fn add(&mut self, session: SessionId, charge: &Charge) {
        self.day.add(charge);
        self.sessions.entry(session).or_default().add(charge);
    }

    fn give_back(&mut self, session: SessionId, charge: &Charge) {
        self.day.give_back(charge);
        if let Some(usage) = self.sessions.get_mut(&session) {
            usage.give_back(charge);
        }
    }
}

/// An allowed call that is counted and not yet sent.
#[derive(Debug)]
#[must_use = "dropping it gives the call back"]
pub(super) struct Reservation {
    book: SharedBook,
    session: SessionId,
    charge: Option<Charge>,
}

impl Reservation {
    /// The call is about to leave the host: whatever becomes of it, it counts.
    pub(super) fn keep(mut self) {
        self.charge = None;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(charge) = self.charge.take() {
            lock(&self.book).give_back(self.session, &charge);
        }
    }
}

fn charge(policies: &Policies, verdict: &Verdict, now: OffsetDateTime) -> Option<Charge> {
    match verdict {
        Verdict::Allow(permit) => Some(policies.charge(permit.operation(), now)),
        Verdict::Ask(_) | Verdict::Deny(_) => None,
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
