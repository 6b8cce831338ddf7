//! What the calls came to, since the daemon started.

use std::sync::atomic::{AtomicU64, Ordering};

/// Shared counters; each call adds to exactly one.
#[derive(Debug, Default)]
pub struct Counters {
    allowed: AtomicU64,
    denied: AtomicU64,
    failed: AtomicU64,
}

/// A reading of [`Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Allowed, and answered by AWS.
    pub allowed: u64,
    /// Answered by the gateway: denied by policy, or not understood, or not recordable.
    pub denied: u64,
    /// Allowed, but AWS could not be asked or did not answer.
    pub failed: u64,
}

impl Counters {
    pub(super) fn allowed(&self) {
        self.allowed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts now.
    #[must_use]
    pub fn read(&self) -> Counts {
        Counts {
            allowed: self.allowed.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
