use time::{Duration, macros::datetime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn leaves(capacity: u64) -> (tempfile::TempDir, Leaves, Clock) {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::load_or_create(&directory.path().join("ca"), NOW).unwrap();
    let clock = Clock::manual(NOW);
    (directory, Leaves::new(ca, capacity, clock.clone()).unwrap(), clock)
}

#[test]
fn a_leaf_is_kept_until_half_of_its_life_is_over() {
    let (_directory, leaves, clock) = leaves(8);
    let first = leaves.leaf("sts.amazonaws.com").unwrap();
    let again = || leaves.leaf("sts.amazonaws.com").unwrap();
    clock.set(NOW + Duration::hours(12) - Duration::SECOND);
    assert!(Arc::ptr_eq(&first, &again()));
    clock.set(NOW + Duration::hours(12));
    let second = again();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&second, &again()));
    clock.set(NOW - Duration::hours(2));
    assert!(!Arc::ptr_eq(&second, &again()), "the clock was set back");
}

#[test]
fn other_names_get_none() {
    let (_directory, leaves, _clock) = leaves(8);
    for name in ["example.com", "amazonaws.com.example.com", "evilamazonaws.com", "192.0.2.1", "", "a b"] {
        assert!(leaves.leaf(name).is_none(), "{name}");
    }
    leaves.cache.run_pending_tasks();
    assert_eq!(leaves.cache.entry_count(), 0, "a name that is refused takes no room");
}

#[test]
fn an_expired_ca_mints_nothing() {
    let (_directory, leaves, clock) = leaves(8);
    clock.set(leaves.ca().expires() - Duration::SECOND);
    assert!(leaves.leaf("sts.amazonaws.com").is_some());
    clock.set(leaves.ca().expires());
    assert!(leaves.leaf("sts.amazonaws.com").is_none());
}

#[test]
fn the_cache_is_bounded() {
    let (_directory, leaves, _clock) = leaves(4);
    for number in 0..40 {
        assert!(leaves.leaf(&format!("b{number}.s3.amazonaws.com")).is_some());
    }
    leaves.cache.run_pending_tasks();
    assert!(leaves.cache.entry_count() <= 4, "{}", leaves.cache.entry_count());
}
