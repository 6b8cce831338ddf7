//! Bodies are kept with their calls, each content once, and read back as they were.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use super::support::{Bench, On, call_id, intent, on_both, session_id};
use crate::record::{
    Capture, Decision, Event, Holds, Intent, Outcome, OutcomeKind, Recorder, Side,
    query::{Bodies, QueryError, Reader},
};

on_both!(
    an_answer_is_read_back_as_it_was,
    equal_contents_are_stored_once,
    of_a_long_answer_the_head_is_kept,
    parameters_that_do_not_fit_are_kept_whole,
    a_dropped_call_keeps_what_had_passed,
    what_is_not_kept_leaves_its_length,
    a_content_that_was_changed_is_an_error,
    an_unknown_call_has_none,
);

fn body(recorder: &Recorder, holds: Holds, data: &[u8]) -> Capture {
    let capture = recorder.capture(session_id(1), holds, Some("application/json"));
    data.chunks(1000).for_each(|part| capture.push(part));
    capture.end();
    capture
}

async fn answered(recorder: &Recorder, n: u32, capture: Capture) {
    let mut call = recorder.intend(intent(n)).await.unwrap();
    call.capture(Side::Response, capture);
    call.finish(Outcome::new(OutcomeKind::Forwarded));
}

async fn bodies(bench: &Bench, n: u32) -> Result<Bodies, QueryError> {
    Reader::open(&bench.config).await.unwrap().bodies(&call_id(n).to_string()).await
}

fn sha256(data: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data))
}

async fn an_answer_is_read_back_as_it_was(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let text = format!("[{}]", vec![r#"{"Name":"builds"}"#; 100].join(","));
    answered(&recorder, 1, body(&recorder, Holds::Document, text.as_bytes())).await;
    recorder.close().await;
    let found = bodies(&bench, 1).await.unwrap();
    assert_eq!(found.params.params.0, json!({"Bucket": "builds", "Key": "app.tar"}));
    assert!(found.params.complete && found.payload.is_none());
    let answer = found.answer.unwrap();
    assert_eq!(answer.content.as_deref(), Some(text.as_bytes()));
    assert_eq!((answer.length, answer.digest), (text.len() as u64, Some(sha256(text.as_bytes()))));
    assert_eq!((answer.media_type.as_deref(), answer.missing.len()), (Some("application/json"), 0));
    let stored: usize = bench.ask("SELECT length(content) FROM bodies").await.parse().unwrap();
    assert!(stored < text.len() / 5, "{stored} of {}", text.len());
}

async fn equal_contents_are_stored_once(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let same = || body(&recorder, Holds::Document, b"{}");
    for n in 1..=3 {
        answered(&recorder, n, same()).await;
    }
    // In one transaction, too: what is new between what is there must not be lost with it.
    let mut calls = Vec::new();
    for n in 4..=7 {
        calls.push((n, recorder.intend(intent(n)).await.unwrap()));
    }
    for (n, mut call) in calls {
        let own = format!("own {n}");
        let content = if n % 2 == 0 { same() } else { body(&recorder, Holds::Document, own.as_bytes()) };
        call.capture(Side::Response, content);
        call.finish(Outcome::new(OutcomeKind::Forwarded));
    }
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) FROM call_bodies").await, "7");
    assert_eq!(bench.ask("SELECT count(*) FROM bodies").await, "3");
    assert_eq!(bodies(&bench, 5).await.unwrap().answer.unwrap().content.unwrap(), b"own 5");
    assert_eq!(bodies(&bench, 6).await.unwrap().answer.unwrap().content.unwrap(), b"{}");
    bench.check_integrity().await;
}

async fn of_a_long_answer_the_head_is_kept(on: On) {
    let bench = on.with(|config| config.body_max_bytes = 2500);
    let recorder = bench.recorder().await;
    let long: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    answered(&recorder, 1, body(&recorder, Holds::Document, &long)).await;
    recorder.close().await;
    let answer = bodies(&bench, 1).await.unwrap().answer.unwrap();
    assert_eq!(answer.content.as_deref(), long.get(..2500));
    assert_eq!((answer.length, answer.digest), (1_000_000, Some(sha256(&long))));
    assert_eq!(answer.missing, ["too-long"]);
    assert_eq!(bench.ask("SELECT count(*) FROM call_bodies WHERE digest <> kept").await, "1");
}

async fn parameters_that_do_not_fit_are_kept_whole(on: On) {
    let bench = on.with(|config| config.params_max_bytes = 256);
    let recorder = bench.recorder().await;
    let text = "x".repeat(5000);
    let params = |secret: &str| json!({"Item": {"text": text.as_str()}, "Password": secret, "Tail": "end"});
    let refused = Intent { params: params("hunter2"), decision: Decision::Deny, ..intent(1) };
    recorder.refuse(refused, Outcome::new(OutcomeKind::Denied)).await.unwrap();
    let allowed = Intent { params: params("hunter2"), ..intent(2) };
    drop(recorder.intend(allowed).await.unwrap());
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) FROM bodies").await, "1");
    for n in [1, 2] {
        let found = bodies(&bench, n).await.unwrap();
        assert_eq!((found.params.params.0, found.params.complete), (params("[redacted]"), true));
    }

    // Not even so: what there is, and that it is not all.
    let small = on.with(|config| (config.params_max_bytes, config.body_max_bytes) = (256, 1000));
    let recorder = small.recorder().await;
    drop(recorder.intend(Intent { params: params("hunter2"), ..intent(1) }).await.unwrap());
    recorder.close().await;
    let found = bodies(&small, 1).await.unwrap();
    let kept: Value = serde_json::from_str(&small.ask("SELECT params FROM calls").await).unwrap();
    assert_eq!((found.params.params.0, found.params.complete), (kept, false));
}

async fn a_dropped_call_keeps_what_had_passed(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let mut call = recorder.intend(intent(1)).await.unwrap();
    for side in [Side::Payload, Side::Response] {
        let capture = recorder.capture(session_id(1), Holds::Document, None);
        capture.push(side.as_str().as_bytes());
        call.capture(side, capture);
    }
    drop(call);
    recorder.close().await;
    let found = bodies(&bench, 1).await.unwrap();
    for (body, expected) in [(found.payload, "payload"), (found.answer, "response")] {
        let body = body.unwrap();
        assert_eq!((body.content.unwrap(), body.missing), (expected.into(), vec!["broken-off".to_owned()]));
    }
    assert_eq!(bench.ask("SELECT outcome FROM v_calls").await, "aborted");
}

async fn what_is_not_kept_leaves_its_length(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    for (n, holds) in [(1, Holds::Object), (2, Holds::Unreadable), (3, Holds::Revealed)] {
        answered(&recorder, n, body(&recorder, holds, b"something")).await;
    }
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) FROM bodies").await, "0");
    for (n, word) in [(1, "object"), (2, "unreadable"), (3, "revealed")] {
        let answer = bodies(&bench, n).await.unwrap().answer.unwrap();
        assert_eq!((answer.content, answer.length, answer.missing), (None, 9, vec![word.to_owned()]));
        assert_eq!(answer.digest, (n != 3).then(|| sha256(b"something")));
    }
}

async fn a_content_that_was_changed_is_an_error(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    answered(&recorder, 1, body(&recorder, Holds::Document, b"what was said")).await;
    recorder.close().await;
    let with =
        |content: &[u8]| format!("content = {}", literal(on, &zstd::bulk::compress(content, 1).unwrap()));
    let bomb = vec![0; 30 << 20];
    for (change, expected) in [
        (with(b"what was sold"), "its content has another digest"),
        (with(&bomb), "its content cannot be unpacked to the length that it should have"),
        (format!("length = 31457280, {}", with(&bomb)), "its content is longer than any that is kept"),
        (
            format!("length = 13, content = {}", literal(on, b"no frame")),
            "its content cannot be unpacked to the length that it should have",
        ),
    ] {
        let sql = format!("UPDATE bodies SET {change}");
        match on {
            On::Sqlite => {
                let mut conn = bench.sqlite().await;
                conn.execute("DROP TRIGGER IF EXISTS bodies_keep").await.unwrap();
                conn.execute(AssertSqlSafe(sql)).await.unwrap();
            }
            On::Postgres => {
                let sql = format!("ALTER TABLE bodies DISABLE TRIGGER USER; {sql}");
                let mut conn = bench.postgres_connection().await;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
            }
        }
        let (call, side) = (call_id(1).to_string(), "response".to_owned());
        assert_eq!(
            bodies(&bench, 1).await.unwrap_err(),
            QueryError::Altered { call, side, detail: expected }
        );
    }
}

fn literal(on: On, bytes: &[u8]) -> String {
    let hex = hex::encode(bytes);
    match on {
        On::Sqlite => format!("x'{hex}'"),
        On::Postgres => format!("'\\x{hex}'::bytea"),
    }
}

async fn an_unknown_call_has_none(on: On) {
    let bench = on.bench();
    bench.recorder().await.close().await;
    assert!(matches!(bodies(&bench, 1).await, Err(QueryError::Unknown { kind: "call", .. })));
}

/// Two hosts that bring the same at once do not wait for each other.
#[tokio::test]
async fn a_host_does_not_wait_for_the_content_of_another() {
    let bench = On::Postgres.with(|config| config.statement_timeout_secs = 2);
    let recorder = bench.recorder().await;
    let digest = sha256(b"{}");
    let sql = format!(
        "SET chaperone.host = 'other'; BEGIN; INSERT INTO bodies (digest, length, content) VALUES ('{digest}', 2, '')"
    );
    let mut other = bench.postgres_connection().await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut other).await.unwrap();
    answered(&recorder, 1, body(&recorder, Holds::Document, b"{}")).await;
    recorder.close().await;
    assert_eq!(bodies(&bench, 1).await.unwrap().answer.unwrap().content.unwrap(), b"{}");
    // A copy that is none does not hide the good one.
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(bodies(&bench, 1).await.unwrap().answer.unwrap().content.unwrap(), b"{}");
}

/// What waits for the disk counts as memory, and gives it back.
#[tokio::test]
async fn contents_that_wait_hold_their_memory() {
    let bench = Bench::with(|config| {
        config.busy_timeout_ms = 1;
        config.body_max_bytes = 1 << 20;
        config.capture_memory_bytes = 1 << 20;
    });
    let recorder = bench.recorder().await;
    let (first, second) =
        (recorder.intend(intent(1)).await.unwrap(), recorder.intend(intent(2)).await.unwrap());
    let mut shell = bench.sqlite().await;
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    // What zstd cannot make smaller.
    let noise: Vec<u8> =
        (0..150_000_u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8 ^ sha(n)).collect();
    for mut call in [first, second] {
        call.capture(Side::Response, body(&recorder, Holds::Document, &noise));
        call.finish(Outcome::new(OutcomeKind::Forwarded));
    }
    shell.execute("ROLLBACK").await.unwrap();
    recorder.healthy_when(|health| health.failing.is_none() && health.open_calls == 0).await;
    // What the writer holds is written before the first event, or with it, and gone before the second.
    for _ in 0..2 {
        recorder.event(Event::new("tick", "")).await.unwrap();
    }
    answered(&recorder, 3, body(&recorder, Holds::Document, &noise)).await;
    recorder.close().await;
    let truncated: Vec<_> = bench.rows("SELECT truncated FROM call_bodies ORDER BY seq").await.unwrap();
    assert_eq!(truncated.concat(), ["truncated", "[]", r#"["memory"]"#, "[]"]);
}

fn sha(n: u64) -> u8 {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &n.to_le_bytes()).as_ref()[0]
}
