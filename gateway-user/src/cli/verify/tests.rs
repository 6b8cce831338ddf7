//! What is printed, and the exit codes.

use super::*;
use crate::record::{
    audit::Wrong,
    log::{
        hash::{Hash, LEN},
        verify::{Discrepancy, Report},
    },
};

const ORIGIN: &str = "chaperone/build7/0123456789abcdef";

fn log(found: Result<Report, Discrepancy>) -> Audited {
    Audited { origin: ORIGIN.to_owned(), hostname: "build7".to_owned(), found }
}

fn report() -> Report {
    let root = Hash::from_bytes(&[7; LEN]).unwrap();
    Report { size: 12, root, rows: 10, pruned: 2, checkpoints: 3, signed: 12 }
}

fn fits() -> Audit {
    let contents = Contents { fit: 4, wrong: None };
    Audit { logs: vec![log(Ok(report()))], contents, ..Audit::default() }
}

#[test]
fn what_fits_is_said_in_full() {
    insta::assert_snapshot!(as_text(&fits()), @r"
    log chaperone/build7/0123456789abcdef of build7
      fits: 10 rows, 12 log entries, 3 checkpoints
      every entry is covered by a checkpoint
      2 rows were removed, with tombstones
      root 0707070707070707070707070707070707070707070707070707070707070707 of 12 entries
    contents of bodies
      fits: 4 contents
    ");
    assert_eq!(
        as_json(&fits()),
        json!({
            "fits": true,
            "logs": [{
                "log": ORIGIN, "hostname": "build7", "fits": true, "rows": 10, "entries": 12, "checkpoints": 3,
                "signed": 12, "removed": 2, "root": "07".repeat(LEN),
            }],
            "missing": [],
            "stray": null,
            "unread": null,
            "unsigned": [],
            "without_key": [],
            "contents": { "fit": 4, "discrepancy": null },
        })
    );
    let open = Audit { logs: vec![log(Ok(Report { signed: 9, ..report() }))], ..fits() };
    assert!(as_text(&open).contains("the last 3 entries are covered by no checkpoint yet"));
    assert_eq!((code(&fits()), code(&open)), (0, 0));
}

#[test]
fn each_thing_that_does_not_fit_is_named_and_is_exit_code_1() {
    let missing_row = Discrepancy::RowMissing { index: 5, table: "calls".into(), row: 3 };
    let added = Wrong::Added("5f5f".to_owned());
    let wrong = [
        (
            Audit { logs: vec![log(Err(missing_row))], ..fits() },
            "DOES NOT FIT: calls row 3 is missing: log entry 5 names it",
        ),
        (Audit { missing: vec!["chaperone/x/1".to_owned()], ..fits() }, "log chaperone/x/1\n  MISSING: "),
        (Audit { stray: Some(99), ..fits() }, "log with the number 99\n  DOES NOT FIT: "),
        (Audit { unread: Some(2), ..fits() }, "rows\n  DOES NOT FIT: 2 rows are in no log"),
        (
            Audit { contents: Contents { fit: 0, wrong: Some(added) }, ..fits() },
            "contents of bodies\n  DOES NOT FIT: the content 5f5f was added",
        ),
    ];
    for (audit, words) in wrong {
        let text = as_text(&audit);
        assert!(text.contains(words), "{text}");
        assert_eq!(code(&audit), 1, "{text}");
        assert_eq!(as_json(&audit)["fits"], false, "{text}");
        // Nor does a key that is not there make it less.
        assert_eq!(code(&Audit { without_key: vec![ORIGIN.to_owned()], ..audit }), 1);
    }
}

#[test]
fn without_a_key_nothing_is_said() {
    let audit = Audit { logs: Vec::new(), without_key: vec![ORIGIN.to_owned()], ..fits() };
    assert_eq!(code(&audit), UNKNOWN);
    assert!(as_text(&audit).contains("not verified: no key of this log is given (--key)"));
    assert_eq!(as_json(&audit)["without_key"][0], ORIGIN);
    let unsigned = Audit { unsigned: vec![ORIGIN.to_owned()], ..fits() };
    assert_eq!(code(&unsigned), UNKNOWN);
    assert!(as_text(&unsigned).contains("not verified: nobody has signed anything of it"));
}

#[test]
fn the_bar_is_full_at_the_end() {
    let said = |read, all| line((read, all)).unwrap();
    assert_eq!(said(0, 10), "[..............................]   0 %  0 of 10 entries");
    assert_eq!(said(5, 10), "[###############...............]  50 %  5 of 10 entries");
    assert_eq!(said(12, 10), "[##############################] 100 %  12 of 10 entries");
    // How many there are is not known yet.
    assert_eq!(line((0, 0)), None);
}
