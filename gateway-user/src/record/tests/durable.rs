//! What `Ok` means: it is on disk.

use std::{sync::Arc, time::Duration};

use super::support::{On, call_id, identity, intent, on_both, session, session_id};
use crate::{
    identify::Identity,
    record::{Decision, Event, Intent, Outcome, OutcomeKind, RecordError, SessionEnd, SessionStart},
};

on_both!(
    an_intent_is_in_the_file_before_intend_returns,
    a_finished_call_has_its_outcome,
    a_dropped_call_is_aborted_with_what_was_known,
    a_caller_that_stops_waiting_leaves_an_aborted_call,
    a_refused_call_is_written_with_its_outcome,
    sessions_and_events_are_in_the_file,
    a_row_that_contradicts_the_store_fails_alone,
    a_nul_is_replaced_and_flagged,
    what_is_cut_is_flagged,
    secrets_are_not_in_the_file,
    after_close_nothing_is_accepted,
    a_session_recorded_again_is_known_by_its_newer_token_and_is_nobody_else,
    a_session_recorded_twice_is_one_session,
);

async fn an_intent_is_in_the_file_before_intend_returns(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    assert_eq!(bench.ask("SELECT id || ' ' || outcome FROM v_calls").await, format!("{} open", call_id(1)));
    assert_eq!(call.id(), call_id(1));
    drop(call);
    recorder.close().await;
}

async fn a_finished_call_has_its_outcome(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    bench.tick(time::Duration::milliseconds(250));
    call.finish(Outcome {
        status: Some(200),
        aws_request_id: Some("REQ1".to_owned()),
        upstream: Some(Duration::from_micros(1234)),
        gateway: Some(Duration::from_micros(56)),
        bytes_in: Some(0),
        bytes_out: Some(1024),
        ..Outcome::new(OutcomeKind::Forwarded)
    });
    recorder.close().await;
    assert_eq!(
        bench
            .ask(
                "SELECT concat_ws(' ', time, ended, outcome, status, aws_request_id, error_code, upstream_us, \
                 gateway_us, bytes_in, bytes_out) FROM v_calls"
            )
            .await,
        "2026-03-01T12:00:00.000000Z 2026-03-01T12:00:00.250000Z forwarded 200 REQ1 1234 56 0 1024"
    );
}

async fn a_dropped_call_is_aborted_with_what_was_known(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    drop(recorder.intend(intent(1)).await.unwrap());
    let mut call = recorder.intend(intent(2)).await.unwrap();
    call.so_far().kind = OutcomeKind::Forwarded;
    call.so_far().status = Some(206);
    drop(call);
    recorder.close().await;
    assert_eq!(
        bench
            .ask(
                "SELECT group_concat(outcome || coalesce(CAST(status AS TEXT), '-')) \
                 FROM (SELECT outcome, status FROM v_calls ORDER BY seq) AS calls"
            )
            .await,
        "aborted-,aborted206"
    );
}

async fn a_caller_that_stops_waiting_leaves_an_aborted_call(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    {
        let mut intend = std::pin::pin!(recorder.intend(intent(1)));
        // One poll hands the intent over; then the agent hangs up.
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(intend.as_mut().poll(cx).is_pending())).await
        );
    }
    recorder.close().await;
    assert_eq!(bench.ask("SELECT outcome FROM v_calls").await, "aborted");
}

async fn a_refused_call_is_written_with_its_outcome(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let refused = Intent {
        reason: Some("two Authorization headers".to_owned()),
        ..Intent::new(call_id(1), session_id(1), 42, 1000, Decision::Refused)
    };
    let outcome = Outcome {
        status: Some(400),
        error_code: Some("InvalidRequest".to_owned()),
        ..Outcome::new(OutcomeKind::Denied)
    };
    recorder.refuse(refused, outcome).await.unwrap();
    assert_eq!(
        bench.ask("SELECT concat_ws(' ', decision, outcome, status, error_code, reason) FROM v_denied").await,
        "refused denied 400 InvalidRequest two Authorization headers"
    );
}

async fn sessions_and_events_are_in_the_file(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let end = SessionEnd { session: session_id(1), reason: "cgroup removed".to_owned() };
    recorder.session_ended(end.clone()).await.unwrap();
    let event = Event {
        session: Some(session_id(9)),
        detail: serde_json::json!({"destination": "192.0.2.1:443", "token": "hunter2"}),
        ..Event::new("route-refused", "no server name")
    };
    recorder.event(event).await.unwrap();
    assert_eq!(
        bench.ask("SELECT concat_ws(' ', id, subject, ended, end_reason, command) FROM v_sessions").await,
        format!(
            "{} host:claude-builds 2026-03-01T12:00:00.000000Z cgroup removed [\"claude\",\"-p\",\"fix the build\"]",
            session_id(1)
        )
    );
    assert_eq!(
        bench
            .ask("SELECT concat_ws(' ', session, message, detail) FROM events WHERE kind = 'route-refused'")
            .await,
        format!(
            "{} no server name {{\"destination\":\"192.0.2.1:443\",\"token\":\"[redacted]\"}}",
            session_id(9)
        )
    );
}

async fn a_row_that_contradicts_the_store_fails_alone(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let stranger = Intent { session: session_id(7), ..intent(1) };
    let mut impostor = session(1);
    impostor.cgroup_id.0 += 1;
    let (good, bad, twice) = tokio::join!(
        recorder.intend(intent(2)),
        recorder.intend(stranger),
        recorder.session_started(impostor)
    );
    assert!(good.is_ok());
    let (foreign, again) = match on {
        On::Sqlite => ("(code: 787) FOREIGN KEY constraint failed", "(code: 1811) records are append-only"),
        On::Postgres => (
            "insert or update on table \"calls\" violates foreign key constraint \"calls_session_fkey\"",
            "duplicate key value violates unique constraint \"sessions_id_key\"",
        ),
    };
    let rejected = |error: Option<RecordError>, words: &str| {
        let Some(RecordError::Rejected(said)) = &error else { panic!("{error:?}") };
        assert!(said.starts_with(&format!("error returned from database: {words}")), "{said}");
    };
    rejected(bad.err(), foreign);
    rejected(twice.err(), again);
    assert_eq!(recorder.health().rejected, 2);
    assert_eq!(recorder.health().failing, None);
}

async fn a_nul_is_replaced_and_flagged(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let nul = Intent {
        reason: Some("a\0b".to_owned()),
        params: serde_json::json!({"Key\0": "\0"}),
        resources: vec!["arn:aws:s3:::builds/\0".to_owned()],
        ..intent(1)
    };
    drop(recorder.intend(nul).await.unwrap());
    assert_eq!(
        bench.ask("SELECT concat_ws(' ', truncated, params, reason, resources) FROM v_calls").await,
        "[\"params\",\"resources\",\"reason\"] {\"Key\u{fffd}\":\"\u{fffd}\"} a\u{fffd}b \
         [\"arn:aws:s3:::builds/\u{fffd}\"]"
    );
}

async fn what_is_cut_is_flagged(on: On) {
    let bench = on.with(|config| config.params_max_bytes = 24);
    let recorder = bench.recorder().await;
    let long = Intent { reason: Some("x".repeat(5000)), ..intent(1) };
    drop(recorder.intend(long).await.unwrap());
    assert_eq!(
        bench.ask("SELECT concat_ws(' ', truncated, params, length(reason)) FROM v_calls").await,
        r#"["params","reason"] {"Bucket":"builds"} 4096"#
    );
}

async fn secrets_are_not_in_the_file(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let secret = Intent {
        service: Some("secretsmanager".to_owned()),
        operation: Some("CreateSecret".to_owned()),
        params: serde_json::json!({"Name": "db", "SecretString": "correct horse battery staple"}),
        ..intent(1)
    };
    drop(recorder.intend(secret).await.unwrap());
    recorder.close().await;
    if on == On::Sqlite {
        let bytes = std::fs::read(&bench.config.database).unwrap();
        let needle = b"correct horse";
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }
    assert_eq!(bench.ask("SELECT params FROM calls").await, r#"{"Name":"db","SecretString":"[redacted]"}"#);
}

async fn after_close_nothing_is_accepted(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    let closing = tokio::spawn({
        let recorder = recorder.clone();
        async move { recorder.close().await }
    });
    recorder.closed().await;
    assert_eq!(recorder.intend(intent(2)).await.err(), Some(RecordError::Stopped));
    assert!(!closing.is_finished(), "close waits for the open call");
    call.finish(Outcome::new(OutcomeKind::Failed));
    closing.await.unwrap();
    assert_eq!(bench.ask("SELECT group_concat(outcome) FROM v_calls").await, "failed");
}

/// Whoever enrols a session asks again after a time-out, and reads its token again.
async fn a_session_recorded_again_is_known_by_its_newer_token_and_is_nobody_else(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let by = |subject: &str, digest: &str| {
        let (subject, token_digest) = (subject.to_owned(), Some(digest.to_owned()));
        let identity = Arc::new(Identity { subject, token_digest, ..identity("claude-builds") });
        SessionStart { identity, ..session(2) }
    };
    recorder.session_started(by("agent-7", "one")).await.unwrap();
    for _ in 0..2 {
        recorder.session_started(by("agent-7", "two")).await.unwrap();
    }
    let other = recorder.session_started(by("agent-8", "three")).await;
    assert!(matches!(other, Err(RecordError::Rejected(_))), "{other:?}");
    recorder.close().await;
    let digests =
        "SELECT group_concat(token_digest) FROM (SELECT token_digest FROM identities ORDER BY seq) AS known";
    assert_eq!(bench.ask(digests).await, "one,two");
}

async fn a_session_recorded_twice_is_one_session(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    recorder.session_started(session(2)).await.unwrap();
    recorder.session_started(session(2)).await.unwrap();
    let mut other = session(2);
    other.cgroup_id.0 += 1;
    let refused = recorder.session_started(other).await;
    assert!(matches!(refused, Err(RecordError::Rejected(_))), "another session of the same id: {refused:?}");
    let stored = "SELECT count(*) || '' FROM sessions WHERE cgroup_id = 4711";
    assert_eq!(bench.ask(stored).await, "2", "session 1, which every bench has, and session 2");
    recorder.close().await;
}
