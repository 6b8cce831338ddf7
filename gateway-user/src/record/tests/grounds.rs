//! What a removal rests on: who can write to the database and has no key has nothing removed that is held or young, and neither has a clock that
//! is wrong.

use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::{
    log::tamper,
    network::behind_proxy,
    proxy::Way,
    retention::{
        DAY, bodies_before, called, calls, counts, ended, ids, remove, rows_before, sessions, started,
        three_sessions, try_remove, why,
    },
    support::{Bench, HOST, On, START, identity, intent, on_both, session_id},
};
use crate::{
    identify::{EndReason, Identity},
    record::{
        Event, IdentityRenewal, Intent, MaskedValue, Outcome, OutcomeKind, RecordError, Recorder, StoreKind,
        query::Reader,
        restart_log,
        retention::{self, Held, Progress, Request, RetentionError, clock::Clocked, run},
        stamp::stamp,
        store::prune::leaves,
    },
};

on_both!(
    what_is_not_as_it_was_logged_ends_the_run,
    entries_that_are_not_the_logs_end_the_run,
    a_log_that_is_merely_there_vouches_for_nothing,
    a_newer_log_than_the_daemons_ends_the_run,
    what_goes_with_a_call_is_held_against_the_tree,
    a_hold_that_was_seen_is_missed,
    a_hold_is_missed_that_no_run_has_seen,
    views_that_lie_have_nothing_removed,
    a_run_that_fails_says_so_once,
    rows_from_the_future_stay_and_hide_no_old_ones,
    an_identity_does_not_go_with_all_others_at_once,
    bodies_go_a_few_megabytes_at_a_time,
    calls_go_on_while_rows_go,
    a_tombstone_is_of_the_time_of_its_step,
    a_clock_far_ahead_is_not_believed,
    a_crash_makes_no_clock_right,
    a_new_log_makes_no_clock_right,
);

/// Removes all that the third session and no hold keep.
fn all(bench: &Bench) -> Request {
    rows_before(bench.clock.now() - DAY * 3)
}

/// What stays, whatever is asked: nobody who has no key can change that.
async fn is_all_there(bench: &Bench) {
    assert_eq!(ids(bench, "calls").await, calls(&[1, 2, 3, 4, 5, 6]));
    assert_eq!(ids(bench, "sessions").await, sessions(&[1, 2, 3]));
    assert_eq!(bench.ask("SELECT count(*) FROM call_bodies").await, "6");
    assert_eq!(bench.ask("SELECT count(*) FROM tombstones").await, "0");
}

async fn what_is_not_as_it_was_logged_ends_the_run(on: On) {
    let third = session_id(3);
    let release =
        "INSERT INTO hold_releases (hold, time, actor, reason) SELECT id, time, actor, reason FROM holds";
    let end = format!(
        "INSERT INTO session_ends (session, ended, reason) VALUES ('{third}', '2026-03-01T13:00:00.000000Z', 'cgroup-gone')"
    );
    let young = stamp(START + DAY * 40);
    let hold = format!(
        "INSERT INTO holds (id, time, actor, reason, session) VALUES ('h-x', '{young}', 'uid 0', 'x', '{third}')"
    );
    let early = "UPDATE calls SET time = '2026-02-01T12:00:00.000000Z' WHERE seq = 2";
    // Whether there is a hold, what is changed, whether all bodies are to go or what is of ended sessions, and what is said.
    let cases: [(bool, &str, bool, &str); 9] = [
        (true, release, false, "hold_releases row 1 is in no log"),
        (true, "DELETE FROM holds", false, "holds row 1 is in the log and not in the database"),
        (true, "UPDATE holds SET workload = 'other'", false, "holds row 1 is not what was logged"),
        (true, "UPDATE holds SET workload = 'other'", true, "holds row 1 is not what was logged"),
        (
            true,
            "UPDATE sessions SET workload = 'x' WHERE seq = 2",
            false,
            "sessions row 2 is not what was logged",
        ),
        (
            true,
            "UPDATE sessions SET workload = 'x' WHERE seq = 2",
            true,
            "sessions row 2 is not what was logged",
        ),
        (false, &hold, false, "holds row 1 is in no log"),
        (false, &end, false, "session_ends row 3 is not what was logged"),
        (false, early, true, "calls row 2 is not what was logged"),
    ];
    for (is_held, change, are_bodies, expected) in cases {
        let (bench, recorder) = three_sessions(on).await;
        if is_held {
            recorder.hold(&Held::Workload("claude-builds".parse().unwrap()), &why()).await.unwrap();
        }
        recorder.close().await;
        tamper(&bench, change).await;
        let recorder = bench.open().await.recorder;
        let request = match (are_bodies, is_held) {
            (true, true) => bodies_before(bench.clock.now()),
            (true, false) => bodies_before(START - DAY),
            (false, _) => all(&bench),
        };
        let text = try_remove(&bench, &recorder, &request).await.unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains("nothing is removed"), "{change}: {text}");
        is_all_there(&bench).await;
        // Others are recorded as before.
        called(&recorder, 3, 7, b"{}").await;
        recorder.close().await;
    }
}

/// Gives the row that was changed the entry that it would have.
async fn relog(bench: &Bench, table: &'static str, row: i64) {
    let reader = Reader::open(&bench.config).await.unwrap();
    let mut conn = reader.into_connection().await.unwrap();
    let forms = conn.conn().forms(leaves(table).unwrap(), &[row]).await.unwrap();
    let leaf = hex::encode(forms[0].hash().as_bytes());
    let leaf = match bench.config.store {
        StoreKind::Sqlite => format!("x'{leaf}'"),
        StoreKind::Postgres => format!("decode('{leaf}', 'hex')"),
    };
    tamper(bench, &format!("UPDATE log SET leaf = {leaf} WHERE table_name = '{table}' AND row_seq = {row}"))
        .await;
}

/// Who changes the log as well changes what the daemon knows better.
async fn entries_that_are_not_the_logs_end_the_run(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let early = bodies_before(START - DAY);
    assert_eq!(remove(&bench, &recorder, &early).await.rows(), 0);
    tamper(&bench, "UPDATE calls SET time = '2026-02-01T12:00:00.000000Z' WHERE seq = 2").await;
    relog(&bench, "calls", 2).await;
    for _ in 0..2 {
        let refused = try_remove(&bench, &recorder, &early).await.unwrap_err().to_string();
        assert!(refused.contains("is not what this daemon wrote, so nothing is removed"), "{refused}");
    }
    is_all_there(&bench).await;
    // Neither does the next daemon believe it, whose checkpoint is of before.
    recorder.close().await;
    let recorder = bench.open().await.recorder;
    let refused = try_remove(&bench, &recorder, &early).await.unwrap_err().to_string();
    assert!(refused.contains("is not what this daemon wrote, so nothing is removed"), "{refused}");
    is_all_there(&bench).await;
    recorder.close().await;
}

/// A log that somebody makes up, under this host's name.
fn made_up(on: On, id: i64) -> String {
    let own = if on == On::Postgres { "OVERRIDING SYSTEM VALUE " } else { "" };
    format!(
        "INSERT INTO logs (id, origin, hostname, created) {own}VALUES ({id}, 'chaperone/{HOST}/0', '{HOST}', '2026-03-01T12:00:00.000000Z')"
    )
}

/// Adding rows is enough to make up a log, and what it has is what was logged there.
async fn a_log_that_is_merely_there_vouches_for_nothing(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    recorder.hold(&Held::Workload("claude-builds".parse().unwrap()), &why()).await.unwrap();
    let leaf = if on == On::Postgres { "decode(repeat('00', 32), 'hex')" } else { "zeroblob(32)" };
    let entry = |index: u32, table: &str, row: u32| {
        format!(
            "INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) VALUES (-1, {index}, '{table}', {row}, {leaf})"
        )
    };
    let release =
        "INSERT INTO hold_releases (hold, time, actor, reason) SELECT id, time, actor, reason FROM holds";
    tamper(&bench, &format!("{}; {release}; {}", made_up(on, -1), entry(0, "hold_releases", 1))).await;
    relog(&bench, "hold_releases", 1).await;
    assert_eq!(counts(&remove(&bench, &recorder, &all(&bench)).await), "events 1");
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 2, 3]));
    recorder.close().await;

    let (bench, recorder) = three_sessions(on).await;
    let end = format!(
        "INSERT INTO session_ends (session, ended, reason) VALUES ('{}', '2026-03-01T13:00:00.000000Z', 'cgroup-gone')",
        session_id(3)
    );
    tamper(&bench, &format!("{}; {end}; {}", made_up(on, -1), entry(0, "session_ends", 3))).await;
    relog(&bench, "session_ends", 3).await;
    let refused = try_remove(&bench, &recorder, &all(&bench)).await.unwrap_err().to_string();
    assert!(refused.contains("session_ends row 3 is not what was logged"), "{refused}");
    is_all_there(&bench).await;
    recorder.close().await;
}

/// The daemon knows which log is its own.
async fn a_newer_log_than_the_daemons_ends_the_run(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    tamper(&bench, &made_up(on, 1000)).await;
    let refused = try_remove(&bench, &recorder, &all(&bench)).await;
    let refused = refused.expect_err("it would seem that there is nothing to remove").to_string();
    assert!(refused.contains("is not what this daemon wrote, so nothing is removed"), "{refused}");
    is_all_there(&bench).await;
    recorder.close().await;
}

/// So many values that some blocks of the log have nothing else.
async fn what_goes_with_a_call_is_held_against_the_tree(on: On) {
    let bench = on.bench();
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 1, "claude-builds").await;
    let value = |n: u32| {
        let path = format!("Secrets[{n}]");
        MaskedValue { cause: path.clone(), path, digest: Some([7; 16]), count: 1 }
    };
    let call = recorder.intend(Intent { session: session_id(1), ..intent(1) }).await.unwrap();
    call.finish(Outcome { masked: (0..400).map(value).collect(), ..Outcome::new(OutcomeKind::Forwarded) });
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    assert_eq!(remove(&bench, &recorder, &bodies_before(START - DAY)).await.rows(), 0);
    assert_eq!(bench.ask("SELECT count(*) FROM masked").await, "400");
    tamper(&bench, "UPDATE masked SET path = 'Other' WHERE seq = 200").await;
    relog(&bench, "masked", 200).await;
    let refused = try_remove(&bench, &recorder, &all(&bench)).await;
    let refused = refused.expect_err("what was changed is gone").to_string();
    assert!(refused.contains("is not what this daemon wrote, so nothing is removed"), "{refused}");
    assert_eq!(bench.ask("SELECT count(*) FROM calls").await, "1");
    assert_eq!(bench.ask("SELECT count(*) FROM masked").await, "400");
    recorder.close().await;
}

/// Neither the one that the daemon placed, nor the one that was there at its start.
async fn a_hold_is_missed_that_no_run_has_seen(on: On) {
    for is_of_former in [false, true] {
        let (bench, mut recorder) = three_sessions(on).await;
        recorder.hold(&Held::Workload("claude-builds".parse().unwrap()), &why()).await.unwrap();
        if is_of_former {
            recorder.close().await;
            recorder = bench.open().await.recorder;
        }
        tamper(
            &bench,
            "DELETE FROM holds; UPDATE log SET table_name = 'events', row_seq = 9999 WHERE table_name = 'holds'",
        )
        .await;
        let refused = try_remove(&bench, &recorder, &all(&bench)).await;
        let refused = refused.expect_err("nothing holds the sessions").to_string();
        assert!(refused.contains("holds row 1 is in the log and not in the database"), "{refused}");
        is_all_there(&bench).await;
        recorder.close().await;
    }
}

/// A hold that is taken away with its entry, which then names nothing, is remembered.
async fn a_hold_that_was_seen_is_missed(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    recorder.hold(&Held::Workload("claude-builds".parse().unwrap()), &why()).await.unwrap();
    assert_eq!(counts(&remove(&bench, &recorder, &all(&bench)).await), "events 1");
    tamper(
        &bench,
        "DELETE FROM holds; UPDATE log SET table_name = 'events', row_seq = 9999 WHERE table_name = 'holds'",
    )
    .await;
    let refused = try_remove(&bench, &recorder, &all(&bench)).await.unwrap_err().to_string();
    assert!(refused.contains("holds row 1 is in the log and not in the database"), "{refused}");
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 2, 3]));
    recorder.close().await;
}

async fn views_that_lie_have_nothing_removed(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    recorder.hold(&Held::Session(session_id(1)), &why()).await.unwrap();
    recorder.hold(&Held::Workload("claude-builds".parse().unwrap()), &why()).await.unwrap();
    recorder.close().await;
    let empty = match on {
        On::Sqlite => {
            "DROP VIEW v_held_sessions; DROP VIEW v_holds; \
             CREATE VIEW v_holds AS SELECT * FROM holds WHERE 0; \
             CREATE VIEW v_held_sessions AS SELECT id AS session, id AS hold FROM sessions WHERE 0"
        }
        On::Postgres => {
            "CREATE OR REPLACE VIEW v_holds AS SELECT seq, id, time, actor, reason, session, workload, since, until \
             FROM holds WHERE false; \
             CREATE OR REPLACE VIEW v_held_sessions AS SELECT s.id AS session, h.id AS hold FROM sessions AS s, holds AS h WHERE false"
        }
    };
    tamper(&bench, empty).await;
    let recorder = bench.open().await.recorder;
    let both = Request { bodies_before: Some(bench.clock.now() - DAY), ..all(&bench) };
    let report = remove(&bench, &recorder, &both).await;
    assert!(counts(&report).starts_with("events "), "{report:?}");
    assert_eq!(ids(&bench, "calls").await, calls(&[1, 2, 3, 4, 5, 6]));
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 2, 3]));
    recorder.close().await;
}

async fn a_run_that_fails_says_so_once(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    recorder.hold(&Held::Session(session_id(3)), &why()).await.unwrap();
    recorder.close().await;
    tamper(&bench, "DELETE FROM holds").await;
    let recorder = bench.open().await.recorder;
    let told =
        "SELECT count(*) FROM events WHERE kind = 'retention' AND detail ->> 'error' LIKE '%holds row 1%'";
    let mut known = None;
    for _ in 0..3 {
        let progress = Progress::new(CancellationToken::new(), known);
        let failed = run(Some(&recorder), &bench.config, &all(&bench), bench.clock.now(), &progress).await;
        known = Some(failed.unwrap_err().to_string());
        assert_eq!(bench.ask(told).await, "1");
    }
    is_all_there(&bench).await;
    recorder.close().await;
}

async fn rows_from_the_future_stay_and_hide_no_old_ones(on: On) {
    let bench = on.bench();
    let recorder = bench.open().await.recorder;
    // The clock was far ahead, for more rows than are looked at at once.
    bench.tick(DAY * 1000);
    started(&bench, &recorder, 1, "claude-builds").await;
    for n in 1..=60 {
        called(&recorder, 1, n, b"of later").await;
        recorder.event(Event::new("later", "an event")).await.unwrap();
    }
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.clock.set(START);
    started(&bench, &recorder, 2, "claude-builds").await;
    called(&recorder, 2, 100, b"of now").await;
    recorder.event(Event::new("now", "an event")).await.unwrap();
    ended(&recorder, 2, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    let request = Request { bodies_before: Some(bench.clock.now()), ..all(&bench) };
    remove(&bench, &recorder, &request).await;
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1]));
    assert_eq!(bench.ask("SELECT count(*) FROM calls").await, "60");
    assert_eq!(bench.ask("SELECT count(*) FROM call_bodies").await, "60");
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'later'").await, "60");
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'now'").await, "0");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn an_identity_does_not_go_with_all_others_at_once(on: On) {
    let bench = on.with(|config| config.retention.step_rows = 9);
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 1, "claude-builds").await;
    started(&bench, &recorder, 2, "claude-builds").await;
    for n in 0..40 {
        let identity = Identity {
            expires: Some(START + Duration::HOUR),
            token_digest: Some(format!("digest {n}")),
            ..identity("claude-builds")
        };
        for session in [session_id(1), session_id(2)] {
            let identity = identity.clone().into();
            recorder.identity_renewed(IdentityRenewal { session, identity }).await.unwrap();
        }
    }
    called(&recorder, 1, 1, b"{}").await;
    ended(&recorder, 1, EndReason::TokenExpired).await;
    bench.tick(DAY * 10);
    let report = remove(&bench, &recorder, &all(&bench)).await;
    assert!(
        counts(&report).contains("identities 41") && counts(&report).contains("sessions 1"),
        "{report:?}"
    );
    let most = "SELECT max(row_count) FROM tombstones WHERE table_name = 'identities'";
    assert_eq!(bench.ask(most).await, "9");
    assert_eq!(bench.ask("SELECT count(*) FROM identities").await, "41", "of the session that goes on");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn bodies_go_a_few_megabytes_at_a_time(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    // What does not get smaller.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    for n in 1..=150 {
        let body: Vec<u8> = std::iter::repeat_with(&mut noise).take(60_000).collect();
        called(&recorder, 1, n, &body).await;
    }
    recorder.event(Event::new("tick", "all is written")).await.unwrap();
    bench.tick(DAY);
    let report = remove(&bench, &recorder, &bodies_before(bench.clock.now())).await;
    assert_eq!(counts(&report), "bodies 150, call_bodies 150");
    // Each is of 60,000 bytes, a step of 4 MiB.
    assert_eq!(bench.ask("SELECT group_concat(CAST(row_count AS text)) FROM tombstones").await, "69,69,12");
    recorder.close().await;
    bench.check_integrity().await;
}

async fn calls_go_on_while_rows_go(on: On) {
    let bench = on.with(|config| config.retention.step_rows = 5);
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 1, "claude-builds").await;
    started(&bench, &recorder, 2, "claude-builds").await;
    for n in 1..=60 {
        called(&recorder, 1, n, b"{}").await;
    }
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    let progress = Progress::default();
    let request = all(&bench);
    let removing = run(Some(&recorder), &bench.config, &request, bench.clock.now(), &progress);
    let mut removing = std::pin::pin!(removing);
    let mut between = 0;
    for n in 100.. {
        tokio::select! {
            biased;
            done = &mut removing => {
                done.unwrap();
                break;
            }
            () = called(&recorder, 2, n, b"{}") => between += 1,
        }
    }
    assert!(between > 5, "{between} calls were recorded while rows went");
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) FROM calls WHERE seq <= 60").await, "0");
    bench.check_integrity().await;
}

async fn a_tombstone_is_of_the_time_of_its_step(on: On) {
    let (bench, recorder) = three_sessions(on).await;
    let began = bench.clock.now() - Duration::HOUR;
    run(Some(&recorder), &bench.config, &all(&bench), began, &Progress::default()).await.unwrap();
    assert_eq!(bench.ask("SELECT min(time) FROM tombstones").await, stamp(bench.clock.now()));
    recorder.close().await;
}

/// As the daemon does: it serves, and then says so.
async fn serves(bench: &Bench) -> Recorder {
    let recorder = bench.open().await.recorder;
    recorder.event(Event::new(retention::STARTED, "it serves")).await.unwrap();
    recorder
}

async fn a_clock_far_ahead_is_not_believed(on: On) {
    let bench = on.bench();
    let clocked = async || Clocked::read(&bench.config, tokio::time::Instant::now()).await.unwrap();
    let now = || bench.clock.now();
    let is_ahead = |done: Result<(), RetentionError>| matches!(done, Err(RetentionError::ClockAhead { .. }));
    let recorder = serves(&bench).await;
    assert!(clocked().await.check(&recorder, now(), None).await.is_ok(), "there is nothing before");
    bench.tick(DAY * 5);
    recorder.event(Event::new("tick", "the newest")).await.unwrap();
    recorder.close().await;

    // A week later all is well, a moment after that it is not.
    bench.tick(DAY * 7);
    let recorder = bench.open().await.recorder;
    assert!(clocked().await.check(&recorder, now(), None).await.is_ok());
    bench.tick(Duration::MINUTE);
    assert!(is_ahead(clocked().await.check(&recorder, now(), None).await));
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'clock-doubted'").await, "1");

    // Starts that came to nothing, and one that served, make it no truer.
    bench.open().await.recorder.close().await;
    serves(&bench).await.close().await;
    let recorder = serves(&bench).await;
    assert!(is_ahead(clocked().await.check(&recorder, now(), None).await));

    // It was set right.
    assert!(clocked().await.check(&recorder, START + DAY * 6, None).await.is_ok());
    bench.clock.set(START + DAY * 6);
    recorder.event(Event::new("tick", "a right one")).await.unwrap();
    recorder.close().await;

    // Who has no key cannot say so.
    let recorder = serves(&bench).await;
    assert!(is_ahead(clocked().await.check(&recorder, now() + DAY * 100, None).await));
    recorder.close().await;
    let host = if on == On::Postgres { "SET chaperone.host = 'build7'; " } else { "" };
    let insert = "INSERT INTO events (time, kind, message, detail, truncated) \
                  VALUES ('2026-03-20T12:00:00.000000Z', 'clock-confirmed', 'it is right', '{}', '[]')";
    tamper(&bench, &format!("{host}{insert}")).await;
    let recorder = serves(&bench).await;
    assert!(is_ahead(clocked().await.check(&recorder, now() + DAY * 100, None).await));
    // A person can.
    let mut doubted = clocked().await;
    assert!(doubted.check(&recorder, now() + DAY * 100, Some(&why())).await.is_ok());
    assert!(doubted.check(&recorder, now() + DAY * 100, None).await.is_ok());
    assert_eq!(
        bench.ask("SELECT group_concat(detail ->> 'actor') FROM (SELECT detail FROM events WHERE kind = 'clock-confirmed' AND detail <> '{}' ORDER BY seq) AS e").await,
        "the daemon,uid 0"
    );
    recorder.close().await;
}

/// A start says by its own clock that calls ended unknown; and what was written last may have no time.
async fn a_crash_makes_no_clock_right(on: On) {
    for is_open in [true, false] {
        let bench = on.bench();
        let opened = bench.open().await;
        let recorder = opened.recorder;
        recorder.event(Event::new(retention::STARTED, "it serves")).await.unwrap();
        started(&bench, &recorder, 1, "claude-builds").await;
        if is_open {
            std::mem::forget(recorder.intend(Intent { session: session_id(1), ..intent(1) }).await.unwrap());
        }
        let call = recorder.intend(Intent { session: session_id(1), ..intent(2) }).await.unwrap();
        let hidden = |n: usize| {
            let path = format!("Parameters[{n}].Value");
            MaskedValue { cause: path.clone(), path, digest: None, count: 1 }
        };
        call.finish(Outcome {
            masked: (0..100).map(hidden).collect(),
            ..Outcome::new(OutcomeKind::Forwarded)
        });
        recorder.healthy_when(|health| health.open_calls == usize::from(is_open) && health.queued == 0).await;
        opened.writer.abort();
        assert!(opened.writer.await.unwrap_err().is_cancelled());
        bench.tick(DAY * 3650);
        let opened = bench.open().await;
        assert_eq!(opened.closed_calls, u64::from(is_open));
        let mut clocked = Clocked::read(&bench.config, tokio::time::Instant::now()).await.unwrap();
        let ahead = clocked.check(&opened.recorder, bench.clock.now(), None).await;
        assert!(matches!(ahead, Err(RetentionError::ClockAhead { .. })), "{ahead:?}");
        opened.recorder.close().await;
    }
}

/// A log says that it begins by the clock of whoever begins it.
async fn a_new_log_makes_no_clock_right(on: On) {
    let bench = on.bench();
    serves(&bench).await.close().await;
    bench.tick(DAY * 3650);
    restart_log(&bench.config, "the key was lost", &bench.clock).await.unwrap();
    let recorder = bench.open().await.recorder;
    let mut clocked = Clocked::read(&bench.config, tokio::time::Instant::now()).await.unwrap();
    let ahead = clocked.check(&recorder, bench.clock.now(), None).await;
    assert!(matches!(ahead, Err(RetentionError::ClockAhead { .. })), "{ahead:?}");
    recorder.close().await;
}

/// The start before last opened the database with a clock far ahead and came to nothing.
#[tokio::test]
async fn a_start_that_came_to_nothing_is_nobodys_time() {
    let bench = Bench::new();
    serves(&bench).await.close().await;
    bench.tick(DAY * 1000);
    bench.open().await.recorder.close().await;
    let recorder = bench.open().await.recorder;
    let mut clocked = Clocked::read(&bench.config, tokio::time::Instant::now()).await.unwrap();
    let ahead = clocked.check(&recorder, bench.clock.now(), None).await;
    assert!(matches!(ahead, Err(RetentionError::ClockAhead { .. })), "{ahead:?}");
    recorder.close().await;
}

/// A hold waits for the removal that is under way, and the next one sees it.
#[tokio::test]
async fn a_hold_and_a_removal_do_not_meet() {
    let (bench, recorder) = three_sessions(On::Postgres).await;
    // As a removal of another host does.
    let mut removal = bench.postgres_connection().await;
    let lock = "BEGIN; SELECT pg_advisory_xact_lock_shared(7163082342698348396)";
    sqlx::raw_sql(lock).execute(&mut removal).await.unwrap();
    let holding = tokio::spawn({
        let recorder = recorder.clone();
        async move { recorder.hold(&Held::Session(session_id(1)), &why()).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while bench.ask(waits).await == "0" {
        assert!(!holding.is_finished());
    }
    sqlx::raw_sql("COMMIT").execute(&mut removal).await.unwrap();
    holding.await.unwrap().unwrap();
    remove(&bench, &recorder, &all(&bench)).await;
    assert_eq!(ids(&bench, "sessions").await, sessions(&[1, 3]));
    recorder.close().await;
    bench.check_integrity().await;
}

/// Whoever may read has the lock, too.
#[tokio::test]
async fn a_lock_that_somebody_has_is_not_waited_for() {
    let (bench, recorder) = three_sessions(On::Postgres).await;
    let mut reader = bench.postgres_connection().await;
    sqlx::raw_sql("SELECT pg_advisory_lock(7163082342698348396)").execute(&mut reader).await.unwrap();
    let refused = try_remove(&bench, &recorder, &all(&bench)).await;
    assert!(matches!(refused, Err(RetentionError::Record(RecordError::Locked(_)))), "{refused:?}");
    is_all_there(&bench).await;
    sqlx::raw_sql("SELECT pg_advisory_unlock(7163082342698348396)").execute(&mut reader).await.unwrap();
    remove(&bench, &recorder, &all(&bench)).await;
    assert_eq!(ids(&bench, "sessions").await, sessions(&[3]));
    recorder.close().await;
    bench.check_integrity().await;
}

/// What leaves the index of texts takes much longer than what leaves a table.
#[tokio::test]
async fn few_texts_leave_the_index_at_once() {
    let bench = On::Sqlite.bench();
    let recorder = bench.open().await.recorder;
    started(&bench, &recorder, 1, "claude-builds").await;
    for n in 1..=40 {
        // 14,000 bytes: longer values are cut.
        let params: serde_json::Map<String, serde_json::Value> = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|key| (key.to_owned(), "k".repeat(2000).into()))
            .into_iter()
            .collect();
        let params = params.into();
        let call = recorder.intend(Intent { session: session_id(1), params, ..intent(n) }).await.unwrap();
        call.finish(Outcome::new(OutcomeKind::Forwarded));
    }
    ended(&recorder, 1, EndReason::CgroupGone).await;
    bench.tick(DAY * 10);
    remove(&bench, &recorder, &all(&bench)).await;
    let stones =
        "SELECT max(row_count) || ' of ' || sum(row_count) FROM tombstones WHERE table_name = 'calls'";
    assert_eq!(bench.ask(stones).await, "18 of 40", "256 KiB of texts at a time");
    recorder.close().await;
    bench.check_integrity().await;
}

/// Whether a removal was committed is found out, whichever way its answer was lost.
#[tokio::test]
async fn a_removal_whose_commit_is_lost_is_gone_on_with() {
    for (way, left) in [(Way::AnswerLost, "0"), (Way::CommitLost, "2")] {
        let (bench, proxy, recorder) = behind_proxy(|config| config.retry_max_secs = 0).await;
        called(&recorder, 1, 1, b"one").await;
        called(&recorder, 1, 2, b"two").await;
        recorder.event(Event::new("tick", "all is written")).await.unwrap();
        bench.tick(DAY);
        proxy.set(way);
        let lost = try_remove(&bench, &recorder, &bodies_before(bench.clock.now())).await;
        assert!(matches!(lost, Err(RetentionError::Record(RecordError::Store(_)))), "{way:?}: {lost:?}");
        proxy.set(Way::Open);
        assert_eq!(bench.ask("SELECT count(*) FROM call_bodies").await, left, "{way:?}");
        // The log goes on from where it is.
        while recorder.event(Event::new("tick", "again")).await.is_err() {}
        remove(&bench, &recorder, &bodies_before(bench.clock.now())).await;
        assert_eq!(bench.ask("SELECT count(*) FROM call_bodies").await, "0");
        recorder.close().await;
        bench.check_integrity().await;
    }
}

/// A daemon that stops without knowing what became of a removal does not say that it stopped in order: the next one would take the tombstone
/// for somebody else's.
#[tokio::test]
async fn a_daemon_that_stops_in_doubt_leaves_no_mark() {
    let (bench, proxy, recorder) = behind_proxy(|config| {
        config.retry_max_secs = 0;
        config.log.checkpoint_rows = 1;
    })
    .await;
    called(&recorder, 1, 1, b"one").await;
    recorder.event(Event::new("tick", "all is written")).await.unwrap();
    let rows: u64 = bench.ask("SELECT count(*) FROM log").await.parse().unwrap();
    recorder.healthy_when(|health| health.signed == rows).await;
    bench.tick(DAY);
    proxy.set(Way::AnswerLost);
    let lost = try_remove(&bench, &recorder, &bodies_before(bench.clock.now())).await;
    assert!(matches!(lost, Err(RetentionError::Record(RecordError::Store(_)))), "{lost:?}");
    recorder.close().await;
    let mark = format!("{}.closed", bench.config.checkpoint_file().display());
    assert!(!std::path::Path::new(&mark).exists(), "{mark} is there");
    proxy.set(Way::Open);
    assert_eq!(bench.ask("SELECT count(*) FROM tombstones").await, "1");
    bench.open().await.recorder.close().await;
    assert!(std::path::Path::new(&mark).exists(), "{mark} is not there");
    bench.check_integrity().await;
}

/// A step that takes longer than a statement may is made again with half as many rows.
#[tokio::test]
async fn a_step_that_takes_too_long_is_halved() {
    let bench = On::Postgres.with(|config| config.statement_timeout_secs = 1);
    assert_eq!(bench.config.store, StoreKind::Postgres);
    let recorder = bench.open().await.recorder;
    for _ in 0..20 {
        recorder.event(Event::new("tick", "an event")).await.unwrap();
    }
    bench.tick(DAY * 10);
    // Every row takes a tenth of a second.
    bench
        .rows(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN OLD; END $$; \
             CREATE TRIGGER slow BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await
        .unwrap();
    let config = crate::record::Config {
        retention: retention::Config { step_rows: 16, ..retention::Config::default() },
        ..bench.config.clone()
    };
    let now: OffsetDateTime = bench.clock.now();
    run(Some(&recorder), &config, &all(&bench), now, &Progress::default()).await.unwrap();
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'tick'").await, "0");
    assert!(bench.ask("SELECT max(row_count) FROM tombstones").await.parse::<u64>().unwrap() <= 8);
    recorder.close().await;
    bench.check_integrity().await;
}
