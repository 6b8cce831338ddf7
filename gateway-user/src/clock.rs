//! The one place that reads the wall clock; everything else is given a time.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

/// Tells the time. Cloning shares the clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// `Some` in tests that move the time by hand.
    manual: Option<Arc<Mutex<OffsetDateTime>>>,
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`Clock::set`].
    #[must_use]
    pub fn manual(start: OffsetDateTime) -> Self {
        Self { manual: Some(Arc::new(Mutex::new(start))) }
    }

    /// The time now, in UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> OffsetDateTime {
        match &self.manual {
            None => OffsetDateTime::now_utc(),
            Some(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a manual clock; does nothing to the system's.
    pub fn set(&self, now: OffsetDateTime) {
        if let Some(time) = &self.manual {
            *time.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
    }
}
