//! When a checkpoint is due.

use std::time::{Duration, Instant};

/// How much may be written, and for how long, before it is signed: what somebody who takes over the host
/// can still change unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Rows that make a checkpoint due.
    pub rows: u64,
    /// Longest time from a row's commit to the checkpoint that covers it.
    pub interval: Duration,
}

/// What is committed and not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsigned {
    /// How many rows.
    pub rows: u64,
    /// When the first of them was committed.
    pub since: Instant,
}

impl Cadence {
    /// How long the next checkpoint can wait: `None` while there is nothing to sign, zero if it is due.
    #[must_use]
    pub fn wait(&self, unsigned: Option<Unsigned>, now: Instant) -> Option<Duration> {
        let unsigned = unsigned?;
        if unsigned.rows >= self.rows {
            return Some(Duration::ZERO);
        }
        Some(self.interval.saturating_sub(now.saturating_duration_since(unsigned.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_comes_first() {
        let cadence = Cadence { rows: 100, interval: Duration::from_secs(60) };
        let start = Instant::now();
        let check = |rows: Option<u64>, after: u64, expected: Option<u64>| {
            let unsigned = rows.map(|rows| Unsigned { rows, since: start });
            let now = start + Duration::from_secs(after);
            assert_eq!(cadence.wait(unsigned, now), expected.map(Duration::from_secs), "{rows:?} {after}");
        };
        check(None, 1000, None);
        check(Some(1), 0, Some(60));
        check(Some(99), 59, Some(1));
        check(Some(99), 60, Some(0));
        check(Some(1), 1000, Some(0));
        check(Some(100), 0, Some(0));
        check(Some(101), 0, Some(0));
    }
}
