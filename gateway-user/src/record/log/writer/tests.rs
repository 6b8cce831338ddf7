//! The log follows the database: what is committed, and nothing else.

use std::time::Duration;

use super::*;
use crate::record::log::key::LogKey;

fn origin() -> KeyName {
    "host.example/log".parse().unwrap()
}

fn key() -> LogKey {
    LogKey::from_seed(&[1; 32], origin()).unwrap()
}

fn row(number: i64) -> Form {
    Form::new("calls", number).column("id", "x")
}

fn rows(numbers: impl IntoIterator<Item = i64>) -> Vec<Form> {
    numbers.into_iter().map(row).collect()
}

/// A log of these many rows, and its leaves.
fn filled(count: i64) -> (Log, Vec<LeafHash>) {
    let forms = rows(1..=count);
    let mut log = Log::new(origin());
    let draft = log.append(&forms);
    log.commit(draft, Instant::now()).unwrap();
    (log, forms.iter().map(Form::hash).collect())
}

#[test]
fn a_draft_is_not_the_log() {
    let (mut log, leaves) = filled(5);
    let root = log.tree.root();
    let draft = log.append(&rows(6..=7));
    let entry = |index: u64, number: i64| Entry {
        index,
        table: "calls".into(),
        row: number,
        leaf: row(number).hash(),
    };
    assert_eq!(draft.entries(), [entry(5, 6), entry(6, 7)]);
    // Rolled back.
    drop(draft);
    assert_eq!((log.size(), log.tree.root()), (5, root));
    // Committed.
    let draft = log.append(&rows([8]));
    assert_eq!(draft.entries(), [entry(5, 8)]);
    log.commit(draft, Instant::now()).unwrap();
    let expected: Tree = leaves.into_iter().chain([row(8).hash()]).collect();
    assert_eq!(log.tree, expected);
}

#[test]
fn a_savepoint_is_rolled_back() {
    let (mut log, _) = filled(5);
    let mut draft = log.draft();
    draft.append(&row(6));
    let mark = draft.mark();
    draft.append(&row(7));
    draft.append(&row(8));
    draft.rewind(mark);
    draft.append(&row(9));
    let numbers: Vec<(u64, i64)> = draft.entries().iter().map(|entry| (entry.index, entry.row)).collect();
    assert_eq!(numbers, [(5, 6), (6, 9)]);
    let expected = log.append(&rows([6, 9]));
    assert_eq!(draft.tree, expected.tree);
    log.commit(draft, Instant::now()).unwrap();
    assert_eq!(log.size(), 7);
}

#[test]
fn the_database_tells_whether_it_committed() {
    let now = Instant::now();
    let check = |stored: u64, expected: Result<u64, Elsewhere>| {
        let (mut log, _) = filled(5);
        let draft = log.append(&rows(6..=7));
        assert_eq!(log.settle(draft, stored, now).map(|()| log.size()), expected);
    };
    let elsewhere = |found| Err(Elsewhere { found, before: 5, after: 7 });
    check(5, Ok(5));
    check(7, Ok(7));
    check(6, elsewhere(6));
    check(4, elsewhere(4));
    check(8, elsewhere(8));
    // A draft from before another commit.
    let (mut log, _) = filled(5);
    let (one, other) = (log.append(&rows([6])), log.append(&rows([7])));
    log.commit(one, now).unwrap();
    assert!(log.commit(other, now).is_err());
    assert_eq!(log.size(), 6);
}

#[test]
fn it_says_when_it_wants_to_be_signed() {
    let cadence = Cadence { rows: 3, interval: Duration::from_secs(60) };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut log = Log::new(origin());
    let wait = |log: &Log, seconds| log.wait(&cadence, at(seconds)).map(|wait| wait.as_secs());
    let commit = |log: &mut Log, count, seconds| {
        let draft = log.append(&rows(1..=count));
        log.commit(draft, at(seconds)).unwrap();
    };
    assert_eq!(wait(&log, 1000), None);
    // A transaction without rows changes nothing.
    commit(&mut log, 0, 0);
    assert_eq!(wait(&log, 1000), None);
    commit(&mut log, 1, 10);
    commit(&mut log, 1, 50);
    assert_eq!(wait(&log, 50), Some(20), "the oldest row counts");
    commit(&mut log, 1, 51);
    assert_eq!(wait(&log, 51), Some(0));
    let signed = log.checkpoint(&[&key()]).unwrap();
    assert_eq!(wait(&log, 51), Some(0), "a checkpoint counts when it is stored");
    commit(&mut log, 1, 52);
    log.signed(&signed, at(53));
    assert_eq!(wait(&log, 53), Some(60));
    let signed = log.checkpoint(&[&key()]).unwrap();
    log.signed(&signed, at(54));
    assert_eq!(wait(&log, 1000), None);
}

#[test]
fn only_the_logs_own_key_signs() {
    let (log, leaves) = filled(5);
    let signed = log.checkpoint(&[&key()]).unwrap();
    let root = leaves.into_iter().collect::<Tree>().root();
    assert_eq!((signed.checkpoint().size(), signed.checkpoint().root()), (5, root));
    let other = LogKey::from_seed(&[1; 32], "other".parse().unwrap()).unwrap();
    assert!(log.checkpoint(&[&other]).is_err());
}

#[test]
fn it_goes_on_where_it_was() {
    let now = Instant::now();
    let (log, mut leaves) = filled(11);
    let signed = log.checkpoint(&[&key()]).unwrap();
    let more: Vec<LeafHash> = rows(12..=20).iter().map(Form::hash).collect();
    leaves.extend(&more);
    let expected: Tree = leaves.iter().copied().collect();
    let resumed = Log::resume(origin(), &signed, log.frontier().to_vec(), more, now).unwrap();
    let restored = Log::restore(origin(), leaves.clone(), Some(&signed), now).unwrap();
    for log in [resumed, restored] {
        assert_eq!((&log.tree, log.signed, log.unsigned_since), (&expected, 11, Some(now)));
    }
    let exactly = Log::restore(origin(), leaves[..11].to_vec(), Some(&signed), now).unwrap();
    assert_eq!((exactly.signed, exactly.unsigned_since), (11, None));
    let unsigned = Log::restore(origin(), leaves, None, now).unwrap();
    assert_eq!((unsigned.tree, unsigned.signed), (expected, 0));
}

/// An older copy of the database, or another one: going on would sign a second history.
#[test]
fn it_does_not_go_on_from_something_else() {
    let now = Instant::now();
    let (log, leaves) = filled(11);
    let signed = log.checkpoint(&[&key()]).unwrap();
    let restore = |leaves: &[LeafHash]| {
        Log::restore(origin(), leaves.to_vec(), Some(&signed), now).map(|log| log.size())
    };
    assert_eq!(restore(&leaves), Ok(11));
    assert_eq!(restore(&leaves[..10]), Err(ResumeError::Shorter { found: 10, signed: 11 }));
    assert_eq!(restore(&[]), Err(ResumeError::Shorter { found: 0, signed: 11 }));
    let mut other = leaves.clone();
    other.swap(3, 4);
    assert_eq!(restore(&other), Err(ResumeError::Other { signed: 11 }));
    let resume =
        |frontier: Vec<Hash>| Log::resume(origin(), &signed, frontier, [], now).map(|log| log.size());
    assert_eq!(resume(log.frontier().to_vec()), Ok(11));
    assert_eq!(resume(log.frontier()[1..].to_vec()), Err(ResumeError::Other { signed: 11 }));
    let mut other = log.frontier().to_vec();
    other.swap(0, 1);
    assert_eq!(resume(other), Err(ResumeError::Other { signed: 11 }));
    let renamed: KeyName = "other".parse().unwrap();
    let found = "host.example/log".to_owned();
    assert_eq!(
        Log::restore(renamed.clone(), leaves, Some(&signed), now).map(|log| log.size()),
        Err(ResumeError::Origin { expected: renamed, found })
    );
}
