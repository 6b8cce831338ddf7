//! Events of one kind from one cgroup or user, kept from filling the disk.
//!
//! Closing a connection costs an agent nothing, a durable event costs a flush of the disk: in each
//! minute the first few of a kind are recorded one by one, the rest is counted, and the count is
//! recorded when the minute is over. Calls are not counted this way: each has its own record.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::prim::CgroupId;

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An agent in this cgroup.
    Cgroup(CgroupId),
    /// A user who launches agents.
    User(u32),
    /// Nobody knows.
    Unknown,
}

impl Cause {
    /// The cgroup, where it is an agent's.
    pub(super) fn cgroup(self) -> Option<CgroupId> {
        if let Self::Cgroup(cgroup) = self { Some(cgroup) } else { None }
    }
}

impl From<Option<CgroupId>> for Cause {
    fn from(cgroup: Option<CgroupId>) -> Self {
        cgroup.map_or(Self::Unknown, Self::Cgroup)
    }
}

/// What is counted together.
pub(super) type Source = (Cause, &'static str);

/// How long a burst lasts.
const WINDOW: Duration = Duration::from_secs(60);
/// Events of one source recorded one by one in a window.
const SINGLY: u32 = 20;
/// Sources counted at once. Beyond that, events are recorded only if a source has ended its window.
const SOURCES: usize = 4096;

/// The bursts of the moment.
#[derive(Debug, Default)]
pub struct Bursts(Mutex<HashMap<Source, Burst>>);

#[derive(Debug)]
struct Burst {
    since: Instant,
    seen: u32,
}

impl Bursts {
    /// Whether this event is recorded by itself; otherwise it is counted.
    pub(super) fn admit(&self, source: Source, now: Instant) -> bool {
        let mut bursts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !bursts.contains_key(&source) && bursts.len() >= SOURCES {
            return false;
        }
        let burst = bursts.entry(source).or_insert(Burst { since: now, seen: 0 });
        burst.seen = burst.seen.saturating_add(1);
        burst.seen <= SINGLY
    }

    /// The bursts whose window is over, with how many events were only counted. Call it every few
    /// seconds.
    pub(super) fn over(&self, now: Instant) -> Vec<(Source, u32)> {
        let mut bursts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = bursts.extract_if(|_, burst| now.saturating_duration_since(burst.since) >= WINDOW);
        ended
            .map(|(source, burst)| (source, burst.seen.saturating_sub(SINGLY)))
            .filter(|(_, counted)| *counted > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_minute_are_recorded_and_the_rest_is_counted() {
        let bursts = Bursts::default();
        let start = Instant::now();
        let source = (Cause::Cgroup(CgroupId(7)), "route-refused");
        let admitted = (0..100).filter(|_| bursts.admit(source, start)).count();
        assert_eq!(admitted, 20);
        assert!(
            bursts.admit((Cause::Cgroup(CgroupId(8)), "route-refused"), start),
            "another cgroup is another source"
        );
        assert!(
            bursts.admit((Cause::Cgroup(CgroupId(7)), "tls-failed"), start),
            "another kind is another source"
        );
        assert_eq!(bursts.over(start + WINDOW / 2), []);
        assert_eq!(
            bursts.over(start + WINDOW),
            [(source, 80)],
            "nothing counted is lost, and few need no count"
        );
        assert!(bursts.admit(source, start + WINDOW), "a new minute");
    }

    #[test]
    fn one_user_hides_nothing_of_another_s() {
        let (bursts, now) = (Bursts::default(), Instant::now());
        let user = |uid| (Cause::User(uid), "identity-not-accepted");
        assert_eq!((0..100).filter(|_| bursts.admit(user(1000), now)).count(), 20);
        assert!(bursts.admit(user(1001), now));
    }

    #[test]
    fn sources_are_bounded() {
        let bursts = Bursts::default();
        let now = Instant::now();
        for id in 0..SOURCES as u64 {
            assert!(bursts.admit((Cause::Cgroup(CgroupId(id)), "x"), now));
        }
        assert!(!bursts.admit((Cause::Cgroup(CgroupId(u64::MAX)), "x"), now));
    }
}
