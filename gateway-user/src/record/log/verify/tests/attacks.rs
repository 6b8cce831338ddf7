//! What somebody who can write to the database would do, and what is then said.

use super::model::{Daemon, Image, Reader, Row, check, check_against, example, key, leaf, origin, sign};
use crate::record::log::{
    checkpoint::CheckpointError,
    hash::Hash,
    note::{KeyName, NoteError, Sign},
    tombstone::TombstoneError,
    verify::{Discrepancy as D, Stored, Trust, Which, verify},
    writer::{Entry, Log},
};

/// What is found after `attack`; the example is in order before it.
#[track_caller]
fn found(attack: impl FnOnce(&mut Image), expected: D) {
    let mut image = example().image;
    attack(&mut image);
    assert_eq!(check(&image), Err(expected));
}

fn row<'i>(image: &'i mut Image, table: &str, number: i64) -> &'i mut Row {
    image.rows.iter_mut().find(|row| row.table == table && row.number == number).unwrap()
}

fn remove(image: &mut Image, table: &str, number: i64) {
    row(image, table, number);
    image.rows.retain(|row| row.table != table || row.number != number);
}

fn at(image: &Image, table: &str, number: i64) -> usize {
    image.log.iter().position(|entry| entry.table == table && entry.row == number).unwrap()
}

/// Gives the entries indexes without a gap.
fn renumber(image: &mut Image) {
    (0..).zip(&mut image.log).for_each(|(index, entry)| entry.index = index);
}

#[test]
fn what_is_in_order() {
    let mut daemon = example();
    let report = check(&daemon.image).unwrap();
    assert_eq!((report.size, report.rows, report.pruned), (21, 17, 4));
    assert_eq!((report.checkpoints, report.signed), (5, 19));
    assert_eq!(report.root, sign(&daemon.image, &daemon.key).checkpoint().root());
    // Against every checkpoint that was ever handed out.
    let notes: Vec<&str> = daemon.notes.iter().rev().map(String::as_str).collect();
    assert_eq!(check_against(&daemon.image, &notes).unwrap().checkpoints, 10);
    // The same size again is the same checkpoint.
    daemon.checkpoint();
    assert_eq!(check(&daemon.image).unwrap().signed, 21);
    let empty = Daemon::new();
    let report = check(&empty.image).unwrap();
    assert_eq!((report.size, report.signed, report.root), (0, 0, Hash::empty()));
}

#[test]
fn a_row_is_changed_removed_or_added() {
    let calls = |index, row| (index, "calls".into(), row);
    let (index, table, number) = calls(4, 3);
    found(
        |image| row(image, "calls", 3).text = b"nothing to see".to_vec(),
        D::RowAltered { index, table, row: number },
    );
    let (index, table, number) = calls(4, 3);
    found(|image| remove(image, "calls", 3), D::RowMissing { index, table, row: number });
    let (index, table, number) = calls(20, 9);
    found(|image| remove(image, "calls", 9), D::RowMissing { index, table, row: number });
    let add = |number: i64| {
        move |image: &mut Image| {
            let row = Row { table: "calls", number, text: b"alibi".to_vec(), count: None };
            image.rows.push(row);
        }
    };
    for number in [-1, 0, 10, i64::MAX] {
        found(add(number), D::RowAdded { table: "calls".into(), row: number });
    }
    // In the place of a removed one, it would be that one come back.
    let (index, table, number) = calls(1, 1);
    found(add(1), D::RowAltered { index, table, row: number });
}

#[test]
fn the_log_is_changed_too() {
    // The row and its entry: only the next checkpoint knows.
    let altered = |image: &mut Image| {
        let changed = row(image, "calls", 3);
        changed.text = b"nothing to see".to_vec();
        let form = crate::record::log::leaf::Form::new("calls", 3)
            .column("text", "nothing to see")
            .column("count", changed.count);
        let at = at(image, "calls", 3);
        image.log[at].leaf = form.hash();
    };
    found(altered, D::RootDiffers { which: Which::Stored, size: 9, since: 4 });
    // The row and its entry are removed.
    found(
        |image| {
            remove(image, "calls", 3);
            image.log.remove(at(image, "calls", 3));
        },
        D::EntryMissing { index: 4 },
    );
    found(
        |image| {
            remove(image, "calls", 3);
            image.log.remove(at(image, "calls", 3));
            renumber(image);
        },
        D::RootDiffers { which: Which::Stored, size: 9, since: 4 },
    );
    // The entry alone.
    found(
        |image| {
            image.log.remove(at(image, "calls", 3));
            renumber(image);
        },
        // The next call in the log comes after the one that it lost.
        D::RowAdded { table: "calls".into(), row: 3 },
    );
    // Two entries change places.
    found(|image| swap(image, 2, 3), D::RootDiffers { which: Which::Stored, size: 4, since: 0 });
    found(|image| swap(image, 4, 11), D::RowAdded { table: "calls".into(), row: 3 });
    found(
        |image| {
            let again = image.log[4].clone();
            image.log.push(again);
        },
        D::EntryRepeated { index: 4 },
    );
    found(|image| image.log[4].table = "cells".into(), entry_altered(4, "calls", 3));
    found(|image| image.log[4].row = 5, entry_altered(4, "calls", 3));
    found(|image| image.log[4].row = 2, entry_altered(4, "calls", 3));
    found(
        |image| {
            image.log[0].table = "cells".into();
            image.log[0].leaf = leaf([0; 32]);
        },
        D::EntryStray { index: 0, table: "cells".into() },
    );
}

fn entry_altered(index: u64, table: &'static str, row: i64) -> D {
    D::EntryAltered { index, table: table.into(), row }
}

fn swap(image: &mut Image, one: usize, other: usize) {
    image.log.swap(one, other);
    renumber(image);
}

#[test]
fn the_end_is_cut_off() {
    let cut = |image: &mut Image, size: u64, rows: bool| {
        let gone: Vec<Entry> = image.log.iter().filter(|entry| entry.index >= size).cloned().collect();
        image.log.retain(|entry| entry.index < size);
        if rows {
            let is_gone =
                |table: &str, row: i64| gone.iter().any(|entry| entry.table == table && entry.row == row);
            image.rows.retain(|row| !is_gone(row.table, row.number));
            image.tombstones.retain(|row| !is_gone("tombstones", row.row));
        }
    };
    let shorter = |which, size, found| D::LogShorter { which, size, found };
    found(|image| cut(image, 17, true), shorter(Which::Stored, 19, 17));
    found(|image| cut(image, 17, false), shorter(Which::Stored, 19, 17));
    // What no checkpoint covers can be cut off, and so can checkpoints: only one that was kept tells.
    let mut daemon = example();
    cut(&mut daemon.image, 19, true);
    assert_eq!(check(&daemon.image).unwrap().size, 19);
    daemon.image.checkpoints.pop();
    cut(&mut daemon.image, 17, true);
    assert_eq!(check(&daemon.image).unwrap().signed, 16);
    let kept = daemon.notes.last().unwrap();
    assert_eq!(check_against(&daemon.image, &[kept]), Err(shorter(Which::Given, 19, 17)));
    // With rows after the last checkpoint left behind.
    found(|image| image.log.truncate(20), D::RowAdded { table: "calls".into(), row: 9 });
}

#[test]
fn retention_is_imitated() {
    let missing = |index, table: &'static str, row| D::RowMissing { index, table: table.into(), row };
    // A tombstone that nobody logged.
    found(
        |image| {
            let mut tombstone = image.tombstones[0].clone();
            (tombstone.row, tombstone.first, tombstone.last) = (3, 3, 3);
            image.tombstones.push(tombstone);
            remove(image, "calls", 3);
        },
        D::RowAdded { table: "tombstones".into(), row: 3 },
    );
    // One that is logged after the last checkpoint, by somebody without the key.
    let unbelieved = |tombstone, why: TombstoneError| D::TombstoneUnbelieved { tombstone, why };
    let forge = |signer: Option<&dyn Sign>, name: &KeyName| {
        let mut daemon = example();
        let mut tombstone = daemon.tombstone("calls", 3, 3);
        if let Some(signer) = signer {
            tombstone = tombstone.sign(name, &[signer]).unwrap();
        }
        daemon.bury(tombstone);
        remove(&mut daemon.image, "calls", 3);
        check(&daemon.image).map(|report| report.pruned)
    };
    let (ours, theirs) = (key(&origin(), 1), key(&origin(), 2));
    assert_eq!(forge(Some(&ours), &origin()), Ok(5));
    assert_eq!(forge(None, &origin()), Err(unbelieved(3, NoteError::NotSigned.into())));
    assert_eq!(forge(Some(&theirs), &origin()), Err(unbelieved(3, NoteError::Unknown.into())));
    let other = "host.example/log/2".parse().unwrap();
    assert_eq!(forge(Some(&ours), &other), Err(unbelieved(3, TombstoneError::Other)));
    // The signature of another one.
    let mut daemon = example();
    let mut tombstone = daemon.tombstone("calls", 3, 3);
    tombstone.note = daemon.image.tombstones[0].note.clone();
    daemon.bury(tombstone);
    assert_eq!(check(&daemon.image), Err(unbelieved(3, TombstoneError::Other)));
    // A signature of somebody else is added to a good one.
    found(
        |image| image.tombstones[0].note.push_str("\u{2014} witness.example/w AAAAAAA=\n"),
        D::RowAltered { index: 10, table: "tombstones".into(), row: 1 },
    );
    // A row is given the number of one that was removed.
    found(
        |image| {
            remove(image, "calls", 3);
            image.log[4].row = 2;
        },
        D::EntryUnordered { index: 4, table: "calls".into(), row: 2, after: 2 },
    );
    found(
        |image| {
            remove(image, "calls", 3);
            image.log[1].row = 0;
            image.log[3].row = 1;
            image.log[4].row = 2;
        },
        missing(1, "calls", 0),
    );
    // The entries of rows that were removed are those that they were.
    let mut daemon = Daemon::new();
    daemon.write(&["calls", "calls", "sessions", "calls"]);
    daemon.prune("calls", 2, 2);
    let mut image = daemon.image.clone();
    image.log[0].row = 2;
    image.log[1].row = 3;
    image.rows.retain(|row| row.table != "calls");
    let altered = || D::PrunedAltered { tombstone: 1, table: "calls".into(), first: 2, last: 2 };
    assert_eq!(check(&image), Err(altered()));
    let mut image = daemon.image;
    image.log[1].leaf = leaf([1; 32]);
    assert_eq!(check(&image), Err(altered()));
    // A tombstone does not excuse what was logged after it.
    let mut daemon = Daemon::new();
    daemon.write(&["calls"]);
    let mut early = daemon.tombstone("calls", 1, 2);
    early.row_count = 1;
    let early = early.sign(&origin(), &[&daemon.key]).unwrap();
    daemon.bury(early);
    daemon.write(&["calls"]);
    daemon.image.rows.clear();
    assert_eq!(check(&daemon.image), Err(missing(2, "calls", 2)));
}

#[test]
fn a_tombstone_is_undone_or_senseless() {
    // A row that was removed is there again.
    let mut daemon = example();
    let mut kept = Daemon::new();
    kept.write(&["sessions", "calls", "outcomes", "calls"]);
    daemon.image.rows.extend(kept.image.rows.into_iter().filter(|row| row.table == "calls"));
    let (table, row, tombstone) = ("calls".into(), 1, 1);
    assert_eq!(check(&daemon.image), Err(D::RowKept { table, row, tombstone }));
    // Two stand for one row; one stands for nothing; one for no table.
    let check_signed = |table: &str, first, last, rows| {
        let mut daemon = example();
        let mut tombstone = daemon.tombstone(table, first, last);
        tombstone.row_count = rows;
        let tombstone = tombstone.sign(&origin(), &[&daemon.key]).unwrap();
        daemon.bury(tombstone);
        check(&daemon.image)
    };
    let senseless = || Err(D::TombstoneSenseless { tombstone: 3 });
    assert_eq!(check_signed("calls", 2, 3, 1), senseless());
    assert_eq!(check_signed("calls", 4, 3, 1), senseless());
    assert_eq!(check_signed("calls", 100, 200, 0), senseless());
    assert_eq!(check_signed("cells", 1, 1, 1), senseless());
    // One that the daemon should not have signed stands for other rows, or for none.
    let other = |first, last| {
        let (tombstone, table) = (3, "calls".into());
        Err(D::PrunedAltered { tombstone, table, first, last })
    };
    assert_eq!(check_signed("calls", 100, 200, 1), other(100, 200));
    let mut daemon = example();
    let mut tombstone = daemon.tombstone("calls", 9, 9);
    tombstone.row_count = 2;
    let tombstone = tombstone.sign(&origin(), &[&daemon.key]).unwrap();
    daemon.bury(tombstone);
    remove(&mut daemon.image, "calls", 9);
    assert_eq!(check(&daemon.image), other(9, 9));
    // It stands for nothing, and the rows of one before it have not all been passed.
    let mut daemon = Daemon::new();
    daemon.write(&["calls", "calls"]);
    let mut empty = daemon.tombstone("calls", 100, 200);
    empty.row_count = 1;
    let empty = empty.sign(&origin(), &[&daemon.key]).unwrap();
    daemon.bury(empty);
    daemon.prune("calls", 1, 2);
    let (tombstone, table) = (1, "calls".into());
    assert_eq!(check(&daemon.image), Err(D::PrunedAltered { tombstone, table, first: 100, last: 200 }));
}

/// Rows need not be removed in their order.
#[test]
fn newer_rows_go_first() {
    let mut daemon = Daemon::new();
    daemon.write(&["calls", "calls", "calls", "calls"]);
    daemon.prune("calls", 3, 4);
    daemon.write(&["calls"]);
    daemon.prune("calls", 1, 2);
    assert_eq!(check(&daemon.image).map(|report| (report.rows, report.pruned)), Ok((3, 4)));
    // The last row of a table, when nothing comes after it.
    let mut daemon = Daemon::new();
    daemon.write(&["calls", "calls"]);
    daemon.prune("calls", 2, 2);
    assert!(check(&daemon.image).is_ok());
    daemon.image.log[1].leaf = leaf([1; 32]);
    let (tombstone, table) = (1, "calls".into());
    assert_eq!(check(&daemon.image), Err(D::PrunedAltered { tombstone, table, first: 2, last: 2 }));
}

/// Sessions take turns: the rows of one go, those of the other stay or go later.
#[test]
fn rows_that_are_not_next_to_each_other_go() {
    let mut daemon = Daemon::new();
    daemon.write(&["calls"; 8]);
    daemon.prune_spans("calls", &[(1, 1), (3, 4), (7, 7)]);
    assert_eq!(check(&daemon.image).map(|report| (report.rows, report.pruned)), Ok((5, 4)));
    let first = daemon.image.clone();
    daemon.write(&["calls"]);
    daemon.prune_spans("calls", &[(2, 2), (5, 6), (9, 9)]);
    assert_eq!(check(&daemon.image).map(|report| (report.rows, report.pruned)), Ok((3, 8)));
    // What is between spans is not excused, nor what was logged after the tombstone.
    let mut image = first.clone();
    remove(&mut image, "calls", 5);
    assert_eq!(check(&image), Err(D::RowMissing { index: 4, table: "calls".into(), row: 5 }));
    // The entry of a removed row cannot be another's.
    let mut image = first.clone();
    image.log[0].leaf = leaf([1; 32]);
    let altered = |tombstone, first, last| D::PrunedAltered { tombstone, table: "calls".into(), first, last };
    assert_eq!(check(&image), Err(altered(1, 1, 7)));
    // Nor that of one that is there.
    let mut image = first.clone();
    image.rows.retain(|row| row.number != 2);
    (image.log[1].row, image.log[2].row) = (3, 4);
    image.log.remove(3);
    assert!(check(&image).is_err());
    // Spans that are no spans, or not from the first to the last; two tombstones for one row.
    for spans in
        ["[]", "{}", "[[3,1]]", "[[1,1],[1,2]]", "[[2,2],[1,1]]", "[[1,1]]", "[[2,2]]", "[[1,2,3]]", "1-2"]
    {
        let mut daemon = Daemon::new();
        daemon.write(&["calls", "calls"]);
        let mut tombstone = daemon.tombstone("calls", 1, 2);
        tombstone.spans = Some(spans.to_owned());
        let tombstone = tombstone.sign(&origin(), &[&daemon.key]).unwrap();
        daemon.bury(tombstone);
        daemon.image.rows.clear();
        assert_eq!(check(&daemon.image), Err(D::TombstoneSenseless { tombstone: 1 }), "{spans}");
    }
    let mut daemon = Daemon::new();
    daemon.write(&["calls"; 4]);
    daemon.prune_spans("calls", &[(1, 1), (3, 3)]);
    daemon.prune_spans("calls", &[(2, 3)]);
    assert_eq!(check(&daemon.image), Err(D::TombstoneSenseless { tombstone: 1 }));
    // What the spans are is signed.
    let mut image = first;
    image.tombstones[0].spans = Some("[[1,1],[3,3],[7,7]]".to_owned());
    let why = TombstoneError::Other;
    assert_eq!(check(&image), Err(D::TombstoneUnbelieved { tombstone: 1, why }));
}

/// Where numbers have gaps, an entry could be given one that was never used.
#[test]
fn numbers_with_gaps() {
    let mut daemon = Daemon::new();
    daemon.write(&["calls", "calls"]);
    daemon.skip("calls", 3);
    daemon.write(&["calls"]);
    daemon.skip("calls", 1);
    daemon.write(&["calls"]);
    let mut whole = Daemon::new();
    std::mem::swap(&mut whole, &mut daemon);
    whole.prune("calls", 1, 7);
    assert_eq!(check(&whole.image).map(|report| (report.rows, report.pruned)), Ok((2, 3)));
    // Of a removed row: 6 becomes 4.
    let mut image = whole.image.clone();
    image.log[2].row = 4;
    let (tombstone, table) = (1, "calls".into());
    assert_eq!(check(&image), Err(D::PrunedAltered { tombstone, table, first: 1, last: 7 }));
    // Of a row that is there: 8 becomes 7.
    let mut image = whole.image;
    image.log[3].row = 7;
    assert_eq!(check(&image), Err(entry_altered(3, "calls", 8)));
}

/// What a database says at first and what it says later differ.
#[test]
fn the_source_changes_its_mind() {
    let said = |index: u64, row: i64, change: &dyn Fn(&mut Image)| {
        let mut image = example().image;
        change(&mut image);
        let mut reader = Reader::new(&image);
        let leaf = image.tombstones.last().unwrap().form().hash();
        reader.said.push(Entry { index, table: "tombstones".into(), row, leaf });
        let trust = Trust::new(&origin(), &[key(&origin(), 1).verifier().clone()]);
        verify(&mut reader, &trust).map(|report| report.size).map_err(|error| error.to_string())
    };
    let altered = D::RowAltered { index: 15, table: "tombstones".into(), row: 2 }.to_string();
    assert_eq!(said(15, 2, &|_| {}), Ok(21));
    assert_eq!(said(14, 2, &|_| {}), Err(altered));
    // A tombstone that the log never comes to.
    let added = D::RowAdded { table: "tombstones".into(), row: 3 }.to_string();
    let more = |image: &mut Image| {
        let mut tombstone = image.tombstones[0].clone();
        (tombstone.row, tombstone.first, tombstone.last) = (3, 100, 200);
        image.tombstones.push(tombstone.sign(&origin(), &[&key(&origin(), 1)]).unwrap());
    };
    assert_eq!(said(30, 3, &more), Err(added.clone()));
    // Not even its row is read again.
    let mut image = example().image;
    more(&mut image);
    let mut reader = Reader::new(&example().image);
    reader.image.tombstones = image.tombstones.clone();
    let leaf = leaf([0; 32]);
    reader.said.push(Entry { index: 30, table: "tombstones".into(), row: 3, leaf });
    let trust = Trust::new(&origin(), &[key(&origin(), 1).verifier().clone()]);
    assert_eq!(verify(&mut reader, &trust).map_err(|error| error.to_string()).unwrap_err(), added);
}

#[test]
fn checkpoints_are_forged() {
    let unbelieved = |size, why: NoteError| D::CheckpointUnbelieved { size, why: CheckpointError::Note(why) };
    // By another key of the same name.
    found(
        |image| {
            let signed = sign(image, &key(&origin(), 2));
            let note = signed.note().as_bytes().to_vec();
            image.checkpoints.push(Stored { size: 21, frontier: Vec::new(), note });
        },
        unbelieved(21, NoteError::Unknown),
    );
    // Of another log with the same key.
    found(
        |image| {
            let other: KeyName = "host.example/log/2".parse().unwrap();
            let signed = Log::new(other.clone()).checkpoint(&[&key(&other, 1)]).unwrap();
            let note = signed.note().as_bytes().to_vec();
            image.checkpoints.insert(0, Stored { size: 0, frontier: Vec::new(), note });
        },
        unbelieved(0, NoteError::Unknown),
    );
    // The same, when that log is believed in its own right.
    let other: KeyName = "host.example/log/2".parse().unwrap();
    let signed = Log::new(other.clone()).checkpoint(&[&key(&other, 1)]).unwrap();
    let mut image = example().image;
    let note = signed.note().as_bytes().to_vec();
    image.checkpoints.insert(0, Stored { size: 0, frontier: Vec::new(), note });
    let keys = [origin(), other].map(|name| key(&name, 1).verifier().clone());
    let report = verify(&mut Reader::new(&image), &Trust::new(&origin(), &keys));
    assert_eq!(report, Err(unbelieved(0, NoteError::Unknown).into()));
    // Stored in another's place.
    found(
        |image| image.checkpoints[1].note = image.checkpoints[0].note.clone(),
        D::CheckpointAltered { size: 9, part: "size" },
    );
    found(
        |image| image.checkpoints[1].frontier.truncate(32),
        D::CheckpointAltered { size: 9, part: "frontier" },
    );
}

/// Who has the key can write a second history. Who kept a checkpoint of the first one sees it.
#[test]
fn the_key_is_stolen() {
    let first = example();
    let mut second = Daemon::new();
    second.write(&["sessions", "calls", "outcomes", "sessions"]);
    second.checkpoint();
    for _ in 0..20 {
        second.write(&["calls"]);
    }
    second.checkpoint();
    assert!(check(&second.image).is_ok());
    let kept = |at: usize| check_against(&second.image, &[&first.notes[at]]).map(|report| report.size);
    assert_eq!(kept(0), Err(D::RootDiffers { which: Which::Given, size: 4, since: 0 }));
    // The nearest one that fits narrows it down.
    let notes = [first.notes[1].as_str(), second.notes[0].as_str()];
    let differs = D::RootDiffers { which: Which::Given, size: 9, since: 4 };
    assert_eq!(check_against(&second.image, &notes), Err(differs));
}

#[test]
fn a_given_checkpoint_must_be_the_logs() {
    let trust = || Trust::new(&origin(), &[key(&origin(), 1).verifier().clone()]);
    assert!(trust().against(example().notes[0].as_bytes()).is_ok());
    let foreign = sign(&example().image, &key(&origin(), 2));
    assert_eq!(trust().against(foreign.note().as_bytes()).unwrap_err(), NoteError::Unknown.into());
    assert_eq!(trust().against(b"").unwrap_err(), NoteError::NotSigned.into());
}

/// After a key change both keys are believed, and a checkpoint needs one of them.
#[test]
fn the_key_changes() {
    let mut daemon = example();
    daemon.key = key(&origin(), 2);
    daemon.checkpoint();
    let both = [1, 2].map(|seed| key(&origin(), seed).verifier().clone());
    let signed = |keys: &[_]| {
        let trust = Trust::new(&origin(), keys);
        verify(&mut Reader::new(&daemon.image), &trust).map(|report| report.signed)
    };
    assert_eq!(signed(&both), Ok(21));
    let [old, new] = both;
    assert!(signed(&[old]).is_err());
    assert!(signed(&[new]).is_err());
}
