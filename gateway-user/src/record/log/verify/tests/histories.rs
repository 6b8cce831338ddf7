//! Any history verifies, and any one change of it does not.

use proptest::prelude::*;

use super::model::{Daemon, Image, TABLES, check};

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<&'static str>),
    Checkpoint,
    /// Removes the oldest rows that are left of a table: this share of them.
    Prune(&'static str, u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let table = || prop::sample::select(TABLES[..3].to_vec());
    prop_oneof![
        4 => prop::collection::vec(table(), 1..6).prop_map(Step::Write),
        2 => Just(Step::Checkpoint),
        1 => (table(), 1..4_u8).prop_map(|(table, share)| Step::Prune(table, share)),
    ]
}

fn run(steps: &[Step]) -> Daemon {
    let mut daemon = Daemon::new();
    for step in steps {
        match step {
            Step::Write(tables) => daemon.write(tables),
            Step::Checkpoint => {
                if daemon.image.checkpoints.last().is_none_or(|last| last.size < daemon.log.size()) {
                    daemon.checkpoint();
                }
            }
            Step::Prune(table, share) => {
                let rows: Vec<i64> = daemon
                    .image
                    .rows
                    .iter()
                    .filter(|row| row.table == *table)
                    .map(|row| row.number)
                    .collect();
                let count = rows.len() / usize::from(*share);
                if let (Some(first), Some(last)) = (rows.first(), rows[..count].last()) {
                    daemon.prune(table, *first, *last);
                }
            }
        }
    }
    daemon.checkpoint();
    daemon
}

#[derive(Debug, Clone, Copy)]
enum Change {
    RemoveRow,
    AlterRow,
    CopyRow,
    RemoveEntry,
    RemoveEntryAndRenumber,
    RemoveBothAndRenumber,
    SwapEntries,
    SwapLeaves,
    RemoveTombstone,
    CutEnd,
}

/// Whether something was changed.
fn change(image: &mut Image, change: Change, at: &prop::sample::Index) -> bool {
    let before = image.clone();
    let entry = at.index(image.log.len().max(1));
    let row = at.index(image.rows.len().max(1));
    let renumber = |image: &mut Image| {
        (0..).zip(&mut image.log).for_each(|(index, entry)| entry.index = index);
    };
    match change {
        Change::RemoveRow if row < image.rows.len() => {
            image.rows.remove(row);
        }
        Change::AlterRow if row < image.rows.len() => image.rows[row].text.push(b'x'),
        Change::CopyRow if row < image.rows.len() => {
            let mut copy = image.rows[row].clone();
            copy.number += 1000;
            image.rows.push(copy);
        }
        Change::RemoveEntry if entry < image.log.len() => {
            image.log.remove(entry);
        }
        Change::RemoveEntryAndRenumber if entry < image.log.len() => {
            image.log.remove(entry);
            renumber(image);
        }
        Change::RemoveBothAndRenumber if entry < image.log.len() => {
            let gone = image.log.remove(entry);
            image.rows.retain(|row| row.table != gone.table || row.number != gone.row);
            renumber(image);
        }
        Change::SwapEntries if image.log.len() > 1 => {
            let other = (entry + 1) % image.log.len();
            image.log.swap(entry, other);
            renumber(image);
        }
        Change::SwapLeaves if image.log.len() > 1 => {
            let other = (entry + 1) % image.log.len();
            let leaf = image.log[entry].leaf;
            image.log[entry].leaf = image.log[other].leaf;
            image.log[other].leaf = leaf;
        }
        Change::RemoveTombstone if !image.tombstones.is_empty() => {
            image.tombstones.remove(at.index(image.tombstones.len()));
        }
        Change::CutEnd => image.log.truncate(entry),
        _ => {}
    }
    *image != before
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn verifies_until_it_is_changed(
        steps in prop::collection::vec(any_step(), 1..20),
        what in prop::sample::select(vec![
            Change::RemoveRow, Change::AlterRow, Change::CopyRow, Change::RemoveEntry,
            Change::RemoveEntryAndRenumber, Change::RemoveBothAndRenumber, Change::SwapEntries,
            Change::SwapLeaves, Change::RemoveTombstone, Change::CutEnd,
        ]),
        at in any::<prop::sample::Index>(),
    ) {
        let daemon = run(&steps);
        let report = check(&daemon.image);
        prop_assert!(report.is_ok(), "{report:?}");
        prop_assert_eq!(report.map(|report| report.signed), Ok(daemon.log.size()));
        let mut image = daemon.image;
        if change(&mut image, what, &at) {
            prop_assert!(check(&image).is_err());
        }
    }
}
