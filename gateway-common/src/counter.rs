//! The per-CPU counters: indices into the map `COUNTERS`, whose values are `u64` sums since the
//! map was made (it outlives the daemon).

use crate::event::EventKind;

/// What is counted besides refusals.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Connections that were sent to a listener.
    Redirected = 0,
    /// Accepted connections that got their origin.
    Recovered = 1,
    /// Connections that found the map `FLOWS` full and have no origin.
    FlowsFull = 2,
    /// Accepted connections whose origin could not be stored.
    OriginLost = 3,
    /// Events that found the ring buffer full.
    EventsLost = 4,
}

impl Counter {
    /// The first of the refusals, which count from [`EventKind`] 1 on.
    const REFUSALS: u32 = 8;
    /// How many slots the map has.
    pub const SLOTS: u32 = 32;

    /// The slot that counts refusals of `kind`.
    #[inline(always)]
    #[must_use]
    pub const fn of_refusal(kind: EventKind) -> u32 {
        Self::REFUSALS + kind as u32
    }
}

const _: () = assert!((Counter::EventsLost as u32) < Counter::REFUSALS);
const _: () = assert!(Counter::of_refusal(EventKind::OutsideSlice) < Counter::SLOTS);
