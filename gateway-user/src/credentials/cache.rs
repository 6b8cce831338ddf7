//! Keys kept for each owner: one flight at a time, renewed in time, bounded.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::time::timeout;

use super::{CredentialsError, Keys, session_policy::Digest};
use crate::{clock::Clock, prim::SessionId};

/// How long after a renewal keys that still work are not renewed again: it may have failed, or the
/// source may go on giving the same keys until shortly before their end.
const RETRY_AFTER: Duration = Duration::from_secs(15);

/// Whose keys, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) role: String,
    /// Whether they are only to assume another role with.
    pub(super) first: bool,
    pub(super) session: SessionId,
    /// Of the session policy that limits them.
    pub(super) policy: Option<Digest>,
}

/// A bounded number of slots; the one used longest ago makes room.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Mutex<HashMap<Owner, (Arc<Slot>, u64)>>,
    capacity: usize,
    uses: AtomicU64,
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: Mutex::default(), capacity: capacity.max(1), uses: AtomicU64::new(0) }
    }

    /// The slot of this owner: one that nobody keeps where its session is `over`, because nothing would forget it any
    /// more. Dropping the last user of a slot that is not kept zeroes its keys.
    pub(super) fn get(&self, owner: Owner, over: impl FnOnce() -> bool) -> Arc<Slot> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, last_use)) = slots.get_mut(&owner) {
            *last_use = used;
            return Arc::clone(slot);
        }
        // Under the lock: a session is over before it is forgotten, so that this sees its end, or is forgotten itself.
        if over() {
            return Arc::default();
        }
        if slots.len() >= self.capacity {
            let oldest =
                slots.iter().min_by_key(|(_, (_, last_use))| *last_use).map(|(owner, _)| owner.clone());
            oldest.and_then(|owner| slots.remove(&owner));
        }
        let slot = Arc::new(Slot::default());
        slots.insert(owner, (Arc::clone(&slot), used));
        slot
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Drops what is kept for a session, which is over.
    pub(super) fn forget(&self, ended: SessionId) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|owner, _| owner.session != ended);
    }
}

/// The keys of one owner.
#[derive(Debug, Default)]
pub(super) struct Slot {
    current: ArcSwapOption<Keys>,
    /// Held by the one caller that is asking the source.
    flight: tokio::sync::Mutex<Flight>,
    /// How many flights have ended.
    landed: AtomicU64,
}

#[derive(Debug, Default)]
struct Flight {
    failure: Option<CredentialsError>,
    /// When keys that still work may be renewed again.
    not_before: Option<SystemTime>,
}

enum Age {
    Fresh(Keys),
    /// Works, but soon will not.
    Ageing(Keys),
    Unusable,
}

impl Slot {
    /// Keys that work now: kept ones, or those that `fetch` gives within `limit`. It is polled only
    /// where the source must be asked.
    pub(super) async fn keys(
        &self,
        clock: &Clock,
        refresh_before: Duration,
        limit: Duration,
        fetch: impl Future<Output = Result<Keys, CredentialsError>>,
    ) -> Result<Keys, CredentialsError> {
        let age = || self.age(clock.now().into(), refresh_before);
        match age() {
            Age::Fresh(keys) => Ok(keys),
            Age::Ageing(keys) => {
                // One caller renews; the others, and this one if it fails, go on with these.
                let Ok(mut flight) = self.flight.try_lock() else { return Ok(keys) };
                if flight.not_before.is_some_and(|earliest| SystemTime::from(clock.now()) < earliest) {
                    return Ok(keys);
                }
                match timeout(limit, self.fly(&mut flight, clock, fetch)).await {
                    Ok(Ok(renewed)) => Ok(renewed),
                    Ok(Err(error)) => self.keep(keys, clock, error),
                    Err(_) => {
                        flight.not_before = Some(SystemTime::from(clock.now()) + RETRY_AFTER);
                        self.keep(keys, clock, CredentialsError::Timeout(limit))
                    }
                }
            }
            Age::Unusable => {
                let seen = self.landed.load(Ordering::Acquire);
                let wait = async {
                    let mut flight = self.flight.lock().await;
                    if let Age::Fresh(keys) | Age::Ageing(keys) = age() {
                        return Ok(keys);
                    }
                    // Whoever waited for a flight that failed shares its failure.
                    if self.landed.load(Ordering::Acquire) != seen
                        && let Some(error) = &flight.failure
                    {
                        return Err(error.clone());
                    }
                    self.fly(&mut flight, clock, fetch).await
                };
                timeout(limit, wait).await.unwrap_or(Err(CredentialsError::Timeout(limit)))
            }
        }
    }

    async fn fly(
        &self,
        flight: &mut Flight,
        clock: &Clock,
        fetch: impl Future<Output = Result<Keys, CredentialsError>>,
    ) -> Result<Keys, CredentialsError> {
        let result = fetch.await;
        *flight = Flight {
            failure: result.as_ref().err().cloned(),
            not_before: Some(SystemTime::from(clock.now()) + RETRY_AFTER),
        };
        if let Ok(keys) = &result {
            self.current.store(Some(Arc::new(keys.clone())));
        }
        self.landed.fetch_add(1, Ordering::Release);
        result
    }

    /// The old keys after a failed renewal, unless they expired meanwhile.
    fn keep(&self, keys: Keys, clock: &Clock, error: CredentialsError) -> Result<Keys, CredentialsError> {
        if keys.expires.is_some_and(|expires| expires <= SystemTime::from(clock.now())) {
            return Err(error);
        }
        tracing::warn!(%error, access_key_id = keys.access_key_id, "renewing AWS credentials failed");
        Ok(keys)
    }

    fn age(&self, now: SystemTime, refresh_before: Duration) -> Age {
        let Some(keys) = self.current.load_full() else { return Age::Unusable };
        let Some(expires) = keys.expires else { return Age::Fresh(Keys::clone(&keys)) };
        match expires.duration_since(now) {
            Ok(left) if left > refresh_before => Age::Fresh(Keys::clone(&keys)),
            Ok(left) if !left.is_zero() => Age::Ageing(Keys::clone(&keys)),
            Ok(_) | Err(_) => Age::Unusable,
        }
    }
}
