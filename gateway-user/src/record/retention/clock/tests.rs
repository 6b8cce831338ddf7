//! A host that sleeps does not have its clock doubted.

use super::*;
use crate::record::tests::support::{Bench, START};

#[test]
fn the_time_since_the_start_is_the_hosts() {
    let first = Uptime::now();
    assert!(first.0 > Duration::ZERO);
    assert!(Uptime::from(Instant::now()).0.abs_diff(first.0) < Duration::from_secs(60));
}

/// Ten days of which the daemon slept nine: it has been running for ten.
#[tokio::test]
async fn sleep_counts_as_time_that_passed() {
    let bench = Bench::new();
    let recorder = bench.open().await.recorder;
    let slept = Duration::from_secs(10 * 86_400);
    let since = Uptime(Uptime::now().0.saturating_sub(slept));
    let passed = time::Duration::try_from(Uptime::now().0 - since.0).unwrap();
    let mut clocked = Clocked { newest: Some(START), since, told: false };
    assert!(clocked.check(&recorder, START + AHEAD + passed, None).await.is_ok());
    let ahead = clocked.check(&recorder, START + AHEAD + passed + time::Duration::HOUR, None).await;
    assert!(matches!(ahead, Err(RetentionError::ClockAhead { .. })), "{ahead:?}");
    recorder.close().await;
}
