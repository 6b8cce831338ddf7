//! What is old goes and leaves a tombstone; what is held, open or needed stays; and the log still fits.

use std::{
    io::{BufRead, BufReader, Write as _},
    process::{Command, Stdio},
};

use time::{Duration, OffsetDateTime, macros::datetime};

use super::support::{Bench, HOST, On, START, call_id, identity, intent, on_both, session, session_id};
use crate::{
    clock::Clock,
    identify::{BootId, EndReason, Identity},
    record::{
        Config, Event, Holds, Intent, MaskedValue, Opened, Outcome, OutcomeKind, RecordError, Recorder,
        SessionEnd, SessionStart, Side, StoreKind, audit, log,
        query::Reader,
        retention::{self, Held, Progress, Report, Request, RetentionError, Why, run},
        stamp::stamp,
        store::prune::{ALL, Cut, Kind, Step},
    },
};

on_both!(
    what_is_old_goes_and_the_rest_stays,
    a_dry_run_says_the_same_and_removes_nothing,
    bodies_go_before_their_calls,
    a_content_stays_as_long_as_somebody_keeps_it,
    what_is_held_stays_until_it_is_released,
    a_hold_is_honoured_by_what_is_under_way,
    what_the_next_start_needs_stays,
    rows_that_were_changed_are_not_removed,
    sessions_that_take_turns_leave_few_tombstones,
    a_tombstone_that_was_changed_is_found,
    young_rows_are_refused,
    steps_have_a_bound,
    a_new_log_leaves_the_rows_of_the_old_one,
);

pub(super) fn why() -> Why {
    Why { actor: "uid 0".to_owned(), reason: "a test".to_owned() }
}

pub(super) fn rows_before(before: OffsetDateTime) -> Request {
    Request { bodies_before: None, rows_before: Some(before), why: why() }
}

pub(super) fn bodies_before(before: OffsetDateTime) -> Request {
    Request { bodies_before: Some(before), rows_before: None, why: why() }
}

pub(super) async fn remove(bench: &Bench, recorder: &Recorder, request: &Request) -> Report {
    try_remove(bench, recorder, request).await.unwrap()
}

pub(super) async fn try_remove(
    bench: &Bench,
    recorder: &Recorder,
    request: &Request,
) -> Result<Report, RetentionError> {
    run(Some(recorder), &bench.config, request, bench.clock.now(), &Progress::default()).await
}

async fn would_remove(bench: &Bench, request: &Request) -> Report {
    run(None, &bench.config, request, bench.clock.now(), &Progress::default()).await.unwrap()
}

/// `calls 2, outcomes 2`.
pub(super) fn counts(report: &Report) -> String {
    let mut tables: Vec<String> =
        report.tables.iter().map(|tally| format!("{} {}", tally.table, tally.rows)).collect();
    tables.sort();
    tables.join(", ")
}

pub(super) async fn started(bench: &Bench, recorder: &Recorder, n: u32, workload: &str) {
    let start = SessionStart {
        started: bench.clock.now(),
        workload: workload.parse().unwrap(),
        identity: identity(workload).into(),
        ..session(n)
    };
    recorder.session_started(start).await.unwrap();
}

pub(super) async fn called(recorder: &Recorder, session: u32, call: u32, answer: &[u8]) {
    let mut open = recorder.intend(Intent { session: session_id(session), ..intent(call) }).await.unwrap();
    let capture = recorder.capture(session_id(session), Holds::Document, Some("application/json"));
    capture.push(answer);
    capture.end();
    open.capture(Side::Response, capture);
    let path = "SecretString".to_owned();
    let masked = MaskedValue { cause: path.clone(), path, digest: Some([7; 16]), count: 1 };
    open.finish(Outcome { masked: vec![masked], ..Outcome::new(OutcomeKind::Forwarded) });
}

pub(super) async fn ended(recorder: &Recorder, n: u32, reason: EndReason) {
    let end = SessionEnd { session: session_id(n), reason: reason.as_str().to_owned() };
    recorder.session_ended(end).await.unwrap();
}

pub(super) async fn ids(bench: &Bench, table: &str) -> String {
    let sql = format!(
        "SELECT coalesce((SELECT group_concat(id) FROM (SELECT id FROM {table} ORDER BY id) AS x), '')"
    );
    bench.ask(&sql).await
}

pub(super) fn calls(numbers: &[u32]) -> String {
    numbers.iter().map(|n| call_id(*n).to_string()).collect::<Vec<_>>().join(",")
}

pub(super) fn sessions(numbers: &[u32]) -> String {
    numbers.iter().map(|n| session_id(*n).to_string()).collect::<Vec<_>>().join(",")
}

/// How many rows the verification finds removed.
async fn removed(bench: &Bench) -> u64 {
    let audit =
        audit::audit(&bench.config, audit::Request::default(), audit::Progress::default()).await.unwrap();
    assert!(!audit.has_discrepancy(), "{audit:?}");
    audit.logs[0].found.as_ref().unwrap().pruned
}

pub(super) const DAY: Duration = Duration::days(1);

/// Session 1 has ended on the 2nd, session 2 exactly a day later, session 3 goes on; their calls take turns.
pub(super) async fn three_sessions(on: On) -> (Bench, Recorder) {
    let bench = on.bench();
    let recorder = bench.open().await.recorder;
    for n in 1..=3 {
        started(&bench, &recorder, n, "claude-builds").await;
    }
    recorder.event(Event::new("tick", "the first day")).await.unwrap();
    for call in 1..=6 {
        called(&recorder, (call - 1) % 3 + 1, call, format!("{{\"call\":{call}}}").as_bytes()).await;
    }
    recorder
        .event(Event { session: Some(session_id(1)), ..Event::new("revealed", "of the first") })
        .await
        .unwrap();
    recorder
        .event(Event { session: Some(session_id(3)), ..Event::new("revealed", "of the third") })
        .await
        .unwrap();
    bench.tick(DAY);
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.tick(DAY);
    ended(&recorder, 2, EndReason::CgroupGone).await;
    bench.tick(Duration::days(30));
    (bench, recorder)
}

async fn what_is_old_goes_and_the_rest_stays(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let report = remove(&bench, &recorder, &rows_before(START + DAY)).await;
    // Of the first day: the events that belong to nobody. (That of the start is needed.)
    assert_eq!(counts(&report), "events 1", "who ended at that very moment stays");
    let report = remove(&bench, &recorder, &rows_before(START + DAY + Duration::microseconds(1))).await;
    assert_eq!(
        counts(&report),
        "bodies 2, call_bodies 2, calls 2, events 1, identities 1, masked 2, outcomes 2, session_ends 1, sessions 1"
    );
    let calls_tally = report.tables.iter().find(|tally| tally.table == "calls").unwrap();
    assert_eq!(calls_tally.oldest.as_deref(), Some("2026-03-01T12:00:00.000000Z"));
    assert!(calls_tally.bytes > 500, "{calls_tally:?}");
    assert_eq!(ids(&bench, "calls").await, calls(&[2, 3, 5, 6]));
    assert_eq!(ids(&bench, "sessions").await, sessions(&[2, 3]));
    for (table, rows) in [("outcomes", "4"), ("masked", "4"), ("call_bodies", "4"), ("bodies", "4")] {
        assert_eq!(bench.ask(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
    // Nothing is left to do, and nothing is said of it.
    assert_eq!(remove(&bench, &recorder, &rows_before(START + DAY * 2)).await.rows(), 0);
    let report = remove(&bench, &recorder, &rows_before(START + DAY * 3)).await;
    assert_eq!(
        ids(&bench, "calls").await,
        calls(&[3, 6]),
        "the session that goes on stays, old as it is: {report:?}"
    );
    let told = "SELECT group_concat(detail ->> 'reason') FROM (SELECT detail FROM events WHERE kind = 'retention' ORDER BY seq) AS e";
    assert_eq!(bench.ask(told).await, "a test,a test,a test");
    recorder.close().await;
    assert_eq!(removed(&bench).await, 1 + 2 * (4 * 2 + 3) + 1);
    bench.check_integrity().await;
    // What was removed has left its numbers: none is given out again.
    let recorder = bench.open().await.recorder;
    called(&recorder, 3, 7, b"{}").await;
    recorder.close().await;
    bench.check_integrity().await;
}

async fn a_dry_run_says_the_same_and_removes_nothing(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let request =
        Request { bodies_before: Some(START + DAY * 9), ..rows_before(START + DAY + Duration::SECOND) };
    let size = bench.ask("SELECT max(leaf_index) FROM log").await;
    let would = would_remove(&bench, &request).await;
    assert!(would.dry_run);
    assert_eq!(bench.ask("SELECT max(leaf_index) FROM log").await, size);
    let did = remove(&bench, &recorder, &request).await;
    let sorted = |mut report: Report| {
        report.tables.sort_by(|a, b| a.table.cmp(&b.table));
        report.tables
    };
    assert_eq!(sorted(would), sorted(did.clone()));
    assert_eq!(
        counts(&did),
        "bodies 6, call_bodies 6, calls 2, events 2, identities 1, masked 2, outcomes 2, session_ends 1, sessions 1"
    );
}

async fn bodies_go_before_their_calls(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    // Those of the first day, whatever became of their sessions; not that of a call that goes on.
    // (Its parameters do not fit into its row.)
    let params = serde_json::json!({ "Key": "k".repeat(20_000) });
    let going_on = Intent { session: session_id(3), params, ..intent(9) };
    let mut open = recorder.intend(going_on).await.unwrap();
    let capture = recorder.capture(session_id(3), Holds::Document, None);
    capture.push(b"later");
    open.capture(Side::Response, capture);
    bench.tick(DAY);
    assert_eq!(remove(&bench, &recorder, &bodies_before(START)).await.rows(), 0);
    let report = remove(&bench, &recorder, &bodies_before(bench.clock.now())).await;
    assert_eq!(counts(&report), "bodies 6, call_bodies 6");
    open.finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.event(Event::new("tick", "after it")).await.unwrap();
    assert_eq!(
        bench.ask("SELECT group_concat(side) FROM (SELECT side FROM call_bodies ORDER BY side) AS b").await,
        "request,response"
    );
    assert_eq!(bench.ask("SELECT count(*) FROM calls").await, "7");
    recorder.close().await;
    assert_eq!(removed(&bench).await, 6);
}

async fn a_content_stays_as_long_as_somebody_keeps_it(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    called(&recorder, 1, 1, b"the same").await;
    called(&recorder, 1, 2, b"another").await;
    bench.tick(DAY);
    called(&recorder, 1, 3, b"the same").await;
    bench.tick(DAY);
    assert_eq!(would_remove(&bench, &bodies_before(START + DAY)).await.tables.len(), 2);
    let report = remove(&bench, &recorder, &bodies_before(START + DAY)).await;
    assert_eq!(counts(&report), "bodies 1, call_bodies 2");
    bench.check_integrity().await;
    let report = remove(&bench, &recorder, &bodies_before(START + DAY * 2)).await;
    assert_eq!(counts(&report), "bodies 1, call_bodies 1");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn what_is_held_stays_until_it_is_released(on: On) {
    let bench = on.bench();
    let recorder = bench.open().await.recorder;
    for (n, workload) in [(1, "claude-builds"), (2, "claude-builds"), (3, "aider"), (4, "codex")] {
        started(&bench, &recorder, n, workload).await;
        let name = Some(workload.parse().unwrap());
        recorder.event(Event { workload: name, ..Event::new("refused", "of a workload") }).await.unwrap();
        called(&recorder, n, n, b"{}").await;
        recorder.event(Event::new("tick", "of nobody")).await.unwrap();
        bench.tick(DAY);
        ended(&recorder, n, EndReason::CgroupGone).await;
        bench.tick(DAY);
    }
    bench.tick(Duration::days(30));
    let all = Request {
        bodies_before: Some(bench.clock.now() - DAY * 3),
        ..rows_before(bench.clock.now() - DAY * 3)
    };
    let held = [
        (Held::Session(session_id(1)), 1),
        (Held::Workload("aider".parse().unwrap()), 3),
        // Session 4 was open from the 6th to the 7th day.
        (Held::Time { since: Some(START + DAY * 6), until: Some(START + DAY * 6 + Duration::HOUR) }, 4),
    ];
    let mut holds = Vec::new();
    for (held, _) in &held {
        holds.push(recorder.hold(held, &why()).await.unwrap());
    }
    let would = would_remove(&bench, &all).await;
    let did = remove(&bench, &recorder, &all).await;
    assert_eq!(counts(&would), counts(&did));
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 3, 4]));
    assert_eq!(ids(&bench, "calls").await, calls(&[1, 3, 4]));
    assert_eq!(bench.ask("SELECT count(*) FROM call_bodies").await, "3", "bodies too");
    let events = "SELECT group_concat(coalesce(workload, 'nobody')) FROM (SELECT workload FROM events WHERE kind IN ('refused', 'tick') ORDER BY seq) AS e";
    assert_eq!(bench.ask(events).await, "aider,codex,nobody");
    // A hold is a leaf, and it is released once.
    let listed = Reader::open(&bench.config).await.unwrap().holds().await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!((listed[0].id.as_str(), listed[0].reason.as_str()), (holds[0].as_str(), "a test"));
    for (hold, (_, session)) in holds.iter().zip(&held) {
        recorder.release(hold, &why()).await.unwrap();
        remove(&bench, &recorder, &all).await;
        let left: Vec<u32> = held.iter().map(|(_, n)| *n).filter(|n| n > session).collect();
        assert_eq!(ids(&bench, "sessions").await, sessions(&left));
    }
    let twice = recorder.release(&holds[0], &why()).await;
    assert!(matches!(twice, Err(RecordError::Rejected(_))), "{twice:?}");
    let unknown = recorder.release("h-none", &why()).await;
    assert!(matches!(unknown, Err(RecordError::Rejected(_))), "{unknown:?}");
    recorder.close().await;
    bench.check_integrity().await;
}

fn cut(bench: &Bench, before: OffsetDateTime) -> Cut {
    Cut {
        log: 1,
        own: [(1, ALL)].into(),
        others: Vec::new(),
        bodies_before: None,
        rows_before: Some(stamp(before)),
        now: stamp(bench.clock.now()),
        boot: "none".to_owned(),
        actor: "uid 0".to_owned(),
        reason: "a test".to_owned(),
        step_rows: 1000,
        step_rows_max: 1000,
        memory: None,
        is_dry: false,
    }
}

/// What was found before the hold was there is looked at again.
async fn a_hold_is_honoured_by_what_is_under_way(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let cut = cut(&bench, bench.clock.now() - DAY * 3);
    recorder.hold(&Held::Session(session_id(1)), &why()).await.unwrap();
    let rows: Vec<i64> = (1..=6).collect();
    let taken = recorder.remove(&cut, Step { kind: Kind::Calls, rows }).await.unwrap();
    assert_eq!(taken.done, 6);
    assert_eq!(ids(&bench, "calls").await, calls(&[1, 3, 4, 6]), "only the second session's went");
    let rows: Vec<i64> = (1..=3).collect();
    for kind in [Kind::Identities, Kind::Sessions] {
        recorder.remove(&cut, Step { kind, rows: rows.clone() }).await.unwrap();
    }
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 3]));
    assert_eq!(bench.ask("SELECT count(*) FROM identities").await, "2");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn what_the_next_start_needs_stays(on: On) {
    let bench = on.bench();
    bench.open().await.recorder.close().await;
    let Opened { recorder, writer, .. } = bench.open().await;
    let with_token = |digest: &str, expires: OffsetDateTime| Identity {
        expires: Some(expires),
        token_digest: Some(digest.to_owned()),
        ..identity("claude-builds")
    };
    let boot = BootId::current().unwrap().as_str().to_owned();
    let lives = with_token("lives", START + Duration::days(365));
    let expired = with_token("expired", START + DAY);
    for (n, start) in [
        (1, SessionStart { identity: lives.into(), ..session(1) }),
        (2, SessionStart { identity: expired.into(), ..session(2) }),
        (3, SessionStart { boot_id: boot.clone(), ..session(3) }),
        (4, session(4)),
        (5, SessionStart { boot_id: boot, ..session(5) }),
    ] {
        recorder.session_started(start).await.unwrap();
        called(&recorder, n, n, b"{}").await;
    }
    ended(&recorder, 1, EndReason::CgroupGone).await;
    ended(&recorder, 2, EndReason::CgroupGone).await;
    ended(&recorder, 3, EndReason::Killed).await;
    ended(&recorder, 4, EndReason::Killed).await;
    bench.tick(Duration::days(100));
    let report = remove(&bench, &recorder, &rows_before(bench.clock.now() - DAY * 3)).await;
    // 1's token lives, 3's cgroup is barred as long as the host is not started anew, 5 goes on.
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 3, 5]), "{report:?}");
    let starts = "SELECT count(*) FROM events WHERE kind = 'record-opened'";
    assert_eq!(bench.ask(starts).await, "1", "that of the last start");
    std::mem::forget(recorder.intend(Intent { session: session_id(5), ..intent(9) }).await.unwrap());
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    let opened = bench.open().await;
    assert_eq!(opened.closed_calls, 1);
    assert_eq!(opened.open_sessions.len(), 1);
    assert_eq!((opened.killed.len(), opened.tokens.len()), (1, 1));
    opened.recorder.close().await;
    bench.check_integrity().await;
}

async fn rows_that_were_changed_are_not_removed(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    recorder.close().await;
    super::log::tamper(
        &bench,
        "UPDATE calls SET operation = 'Other' WHERE seq = (SELECT min(seq) FROM calls)",
    )
    .await;
    let recorder = bench.open().await.recorder;
    let refused = try_remove(&bench, &recorder, &rows_before(bench.clock.now() - DAY * 3)).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("calls row 1 is not what was logged, so nothing is removed"), "{text}");
    assert_eq!(ids(&bench, "calls").await, calls(&[1, 2, 3, 4, 5, 6]));
    // Others are recorded as before.
    called(&recorder, 3, 7, b"{}").await;
    recorder.close().await;
}

async fn sessions_that_take_turns_leave_few_tombstones(on: On) {
    let bench = on.bench();
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 1, "claude-builds").await;
    started(&bench, &recorder, 2, "claude-builds").await;
    for n in 1..=260 {
        called(&recorder, n % 2 + 1, n, b"{}").await;
    }
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    let request = rows_before(bench.clock.now() - DAY * 3);
    remove(&bench, &recorder, &request).await;
    assert_eq!(bench.ask("SELECT count(*) FROM calls").await, "130");
    let stones = "SELECT group_concat(table_name) FROM (SELECT table_name FROM tombstones \
                  WHERE table_name IN ('calls', 'sessions') ORDER BY seq) AS t";
    assert_eq!(bench.ask(stones).await, "calls,calls,sessions", "130 spans are two tombstones'");
    // A row between them is no more anybody's to remove than before.
    for row in ["(SELECT min(seq) FROM calls)", "(SELECT max(seq) FROM calls)"] {
        let error =
            bench.rows(&format!("DELETE FROM outcomes WHERE seq = {row}")).await.unwrap_err().to_string();
        assert!(error.contains("records are append-only"), "{error}");
    }
    ended(&recorder, 2, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    remove(&bench, &recorder, &rows_before(bench.clock.now() - DAY * 3)).await;
    assert_eq!(bench.ask("SELECT count(*) FROM calls").await, "0");
    assert_eq!(bench.ask(stones).await, "calls,calls,sessions,calls,calls,sessions");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn a_tombstone_that_was_changed_is_found(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    remove(&bench, &recorder, &rows_before(START + DAY + Duration::SECOND)).await;
    recorder.close().await;
    let calls = "(SELECT min(seq) FROM tombstones WHERE table_name = 'calls')";
    assert_eq!(
        bench.ask(&format!("SELECT spans FROM tombstones WHERE seq = {calls}")).await,
        "[[1,1],[4,4]]"
    );
    let found = async || {
        let audit =
            audit::audit(&bench.config, audit::Request::default(), audit::Progress::default()).await.unwrap();
        audit.logs[0].found.as_ref().map(|report| report.pruned).map_err(ToString::to_string)
    };
    for change in ["spans = '[[1,2],[4,4]]'", "reason = 'another'", "row_count = 3", "spans = NULL"] {
        super::log::tamper(&bench, "CREATE TABLE saved AS SELECT * FROM tombstones").await;
        bench.rows(&format!("UPDATE tombstones SET {change} WHERE seq = {calls}")).await.unwrap();
        let wrong = found().await.unwrap_err();
        assert!(wrong.contains("tombstone"), "{change}: {wrong}");
        let back = "UPDATE tombstones SET spans = (SELECT s.spans FROM saved AS s WHERE s.seq = tombstones.seq), \
            reason = (SELECT s.reason FROM saved AS s WHERE s.seq = tombstones.seq), \
            row_count = (SELECT s.row_count FROM saved AS s WHERE s.seq = tombstones.seq)";
        bench.rows(back).await.unwrap();
        bench.rows("DROP TABLE saved").await.unwrap();
        assert!(found().await.is_ok());
    }
}

async fn young_rows_are_refused(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let young = bench.clock.now() - retention::YOUNGEST + Duration::SECOND;
    let refused = try_remove(&bench, &recorder, &rows_before(young)).await;
    assert!(matches!(refused, Err(RetentionError::TooYoung)), "{refused:?}");
    // Bodies do not outlive their calls.
    let old = bench.clock.now() - retention::YOUNGEST - Duration::DAY;
    let outlive = Request { bodies_before: Some(old - Duration::SECOND), ..rows_before(old) };
    let refused = try_remove(&bench, &recorder, &outlive).await;
    assert!(matches!(refused, Err(RetentionError::BodiesOutlive)), "{refused:?}");
    // The ages of the configuration are days.
    let config = retention::Config { bodies_days: 31, rows_days: 32, step_rows: 10 };
    let due = config.due(bench.clock.now()).unwrap();
    assert_eq!(due.rows_before, Some(START));
    assert_eq!(due.bodies_before, Some(datetime!(2026-03-02 12:00 UTC)));
    assert!(retention::Config::default().due(bench.clock.now()).is_none());
    recorder.close().await;
}

async fn steps_have_a_bound(on: On) {
    let bench = on.with(|config| config.retention.step_rows = 9);
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 1, "claude-builds").await;
    for n in 1..=10 {
        called(&recorder, 1, n, format!("{n}").as_bytes()).await;
    }
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    remove(&bench, &recorder, &rows_before(bench.clock.now() - DAY * 3)).await;
    // Two calls of four rows each at a time.
    let stones =
        "SELECT count(*) FROM tombstones WHERE table_name = 'calls' AND row_count = 2 AND spans IS NULL";
    assert_eq!(bench.ask(stones).await, "5");
    assert_eq!(bench.ask("SELECT count(*) FROM calls").await, "0");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn a_new_log_leaves_the_rows_of_the_old_one(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let hold = recorder.hold(&Held::Workload("claude-builds".parse().unwrap()), &why()).await.unwrap();
    recorder.release(&hold, &why()).await.unwrap();
    recorder.close().await;
    crate::record::restart_log(&bench.config, "a test", &bench.clock).await.unwrap();
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 4, "claude-builds").await;
    called(&recorder, 4, 9, b"{}").await;
    // That the third session is of the former log is known by what that one was signed with.
    called(&recorder, 3, 10, b"{}").await;
    ended(&recorder, 4, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    let report = remove(&bench, &recorder, &bodies_before(bench.clock.now())).await;
    assert!(counts(&report).contains("call_bodies 2"), "{report:?}");
    remove(&bench, &recorder, &rows_before(bench.clock.now() - DAY * 3)).await;
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 2, 3]), "nothing could vouch for their removal");
    assert_eq!(bench.ask("SELECT count(*) FROM sessions WHERE seq = 4").await, "0", "the hold was released");
    recorder.close().await;
    let keys = audit::verifier(&bench.config).await;
    assert!(keys.is_ok());
    bench.check_integrity().await;
}

/// A file that is copied does not have what was removed.
#[tokio::test]
async fn removed_rows_are_overwritten() {
    let (bench, recorder) = three_sessions(On::Sqlite).await;
    recorder.close().await;
    let holds = |n| {
        let bytes = std::fs::read(&bench.config.database).unwrap();
        let id = call_id(n).to_string();
        bytes.windows(id.len()).any(|window| window == id.as_bytes())
    };
    assert!(holds(1) && holds(4) && holds(2));
    let recorder = bench.open().await.recorder;
    remove(&bench, &recorder, &rows_before(START + DAY + Duration::SECOND)).await;
    recorder.close().await;
    assert!(!bench.file("-wal").exists(), "the last connection leaves no WAL");
    assert!(!holds(1) && !holds(4) && holds(2));
}

/// Each host removes its own rows and its own copies of contents; holds are everybody's.
#[tokio::test]
async fn each_host_removes_its_own() {
    let bench = On::Postgres.bench();
    let other_dir = tempfile::tempdir().unwrap();
    let other = Config {
        host: Some("build8".to_owned()),
        log: log::Config { key: Some(other_dir.path().join("other.key")), ..log::Config::default() },
        ..bench.config.clone()
    };
    let ours = bench.recorder().await;
    let theirs = Recorder::open(&other, bench.clock.clone()).await.unwrap().recorder;
    theirs.session_started(SessionStart { hostname: "build8".to_owned(), ..session(2) }).await.unwrap();
    for n in [1, 3, 5] {
        called(&ours, 1, n, b"the same").await;
        called(&theirs, 2, n + 1, b"the same").await;
    }
    ended(&ours, 1, EndReason::CgroupGone).await;
    ended(&theirs, 2, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    let request = rows_before(bench.clock.now() - DAY * 3);
    let would = would_remove(&bench, &request).await;
    let report = remove(&bench, &ours, &request).await;
    assert_eq!(counts(&would), counts(&report));
    assert_eq!(ids(&bench, "calls").await, calls(&[2, 4, 6]));
    assert_eq!(bench.ask("SELECT group_concat(hostname) FROM bodies").await, "build8");
    assert_eq!(
        bench.ask("SELECT count(*) FROM tombstones WHERE table_name = 'calls' AND spans IS NULL").await,
        "1"
    );
    // The other's rows do not go by our tombstones, nor past anybody's hold.
    let hold = ours.hold(&Held::Session(session_id(2)), &why()).await.unwrap();
    let run_theirs =
        async || run(Some(&theirs), &other, &request, bench.clock.now(), &Progress::default()).await.unwrap();
    assert_eq!(counts(&run_theirs().await), "");
    ours.release(&hold, &why()).await.unwrap();
    run_theirs().await;
    assert_eq!(ids(&bench, "calls").await, "");
    assert_eq!(bench.ask("SELECT count(*) FROM bodies").await, "0");
    ours.close().await;
    theirs.close().await;
    bench.check_integrity().await;
}

/// The database of the child, a path or a URL; set in the child only.
const DATABASE: &str = "CHAPERONE_TEST_RETENTION_DATABASE";
/// The log's key of the child.
const KEY: &str = "CHAPERONE_TEST_RETENTION_KEY";

/// This test runs itself again as the process that is killed.
#[test]
fn a_killed_run_is_gone_on_with() {
    kill_again_and_again(On::Sqlite, "a_killed_run_is_gone_on_with");
}

#[test]
fn a_killed_run_is_gone_on_with_in_postgres() {
    kill_again_and_again(On::Postgres, "a_killed_run_is_gone_on_with_in_postgres");
}

fn kill_again_and_again(on: On, test: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Ok(database) = std::env::var(DATABASE) {
        let retention = retention::Config { step_rows: 7, ..retention::Config::default() };
        let log = log::Config {
            key: std::env::var_os(KEY).map(Into::into),
            checkpoint_rows: 3,
            ..log::Config::default()
        };
        let config = Config { host: Some(HOST.to_owned()), retention, log, ..Config::default() };
        let config = match on {
            On::Sqlite => Config { database: database.into(), ..config },
            On::Postgres => {
                Config { store: StoreKind::Postgres, url: Some(database.parse().unwrap()), ..config }
            }
        };
        return runtime.block_on(remove_until_killed(config));
    }
    let bench = on.bench();
    runtime.block_on(async {
        let recorder = bench.open().await.recorder;
        started(&bench, &recorder, 1, "claude-builds").await;
        for n in 1..=150 {
            called(&recorder, 1, n, format!("{n}").as_bytes()).await;
        }
        ended(&recorder, 1, EndReason::CgroupGone).await;
        recorder.close().await;
    });
    let mut left = 150;
    for round in [1, 4, 2, 9] {
        kill_after(&bench, test, round);
        runtime.block_on(async {
            bench.check_integrity().await;
            let now: u64 = bench.ask("SELECT count(*) FROM calls").await.parse().unwrap();
            assert!(now < left && now > 0, "{now} of {left}");
            left = now;
            let open = "SELECT count(*) FROM v_calls WHERE outcome IN ('open', 'unknown')";
            assert_eq!(bench.ask(open).await, "0", "a call goes with all that belongs to it");
        });
    }
    runtime.block_on(async {
        bench.clock.set(Clock::system().now());
        let recorder = bench.open().await.recorder;
        remove(&bench, &recorder, &rows_before(bench.clock.now() - DAY * 3)).await;
        recorder.close().await;
        assert_eq!(ids(&bench, "calls").await, "");
        assert_eq!(ids(&bench, "sessions").await, "");
        bench.check_integrity().await;
    });
}

/// The child: removes what there is, and says so.
async fn remove_until_killed(config: Config) {
    let clock = Clock::system();
    let recorder = Recorder::open(&config, clock.clone()).await.unwrap().recorder;
    let progress = Progress::default();
    let watched = progress.clone();
    tokio::spawn(async move {
        let mut said = 0;
        loop {
            let rows = watched.report().rows();
            if rows > said {
                let mut out = std::io::stdout().lock();
                out.write_all(b"removed\n").unwrap();
                out.flush().unwrap();
                said = rows;
            }
            tokio::time::sleep(std::time::Duration::from_micros(100)).await;
        }
    });
    let request = rows_before(clock.now() - DAY * 3);
    run(Some(&recorder), &config, &request, clock.now(), &progress).await.unwrap();
}

fn kill_after(bench: &Bench, test: &str, count: u64) {
    let config = &bench.config;
    let database = config.url.as_ref().map_or(config.database.display().to_string(), ToString::to_string);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("record::tests::retention::{test}"), "--nocapture"])
        .env(DATABASE, database)
        .env(KEY, config.log_key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        said += u64::from(line.unwrap().ends_with("removed"));
        if said == count {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
}
