//! What counts towards limits after a restart.

use std::time::Duration as Span;

use serde_json::json;
use time::Duration;

use super::support::{Bench, On, START, intent, on_both, session, session_id};
use crate::record::{
    Decision, Intent, Outcome, OutcomeKind, Recorder, SessionEnd, SessionStart,
    query::{Amount, Reader, Used},
};

on_both!(
    calls_that_were_made_count,
    the_last_minute_is_counted_by_the_second,
    how_far_back,
    numbers_are_kept_and_do_not_overflow,
);

/// A call of session `session` that needs `actions`, decided so.
fn call(n: u32, session: u32, actions: &[&str], decision: Decision) -> Intent {
    Intent {
        session: session_id(session),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: vec!["*".to_owned(); actions.len()],
        params: json!({ "MaxCount": 2, "Other": 3, "Min": -3, "Name": "x", "Deep": { "MaxCount": 9 } }),
        decision,
        ..intent(n)
    }
}

/// `s1 12:00 ec2:RunInstances ×2`, `… MaxCount=4`, sorted.
fn shown(used: &[Used]) -> Vec<String> {
    let mut lines: Vec<String> = used
        .iter()
        .map(|Used { session, workload, at, actions, amount }| {
            let session = (1..9).find(|n| session_id(*n) == *session).unwrap();
            let amount = match amount {
                Amount::Calls(calls) => format!("×{calls}"),
                Amount::Sum(param, sum) => format!("{param}={sum}"),
            };
            let since = (*at - START.replace_minute(0).unwrap()).whole_seconds();
            format!("s{session} {workload} {since}s {} {amount}", actions.join(","))
        })
        .collect();
    lines.sort();
    lines
}

async fn made(recorder: &Recorder, intent: Intent) {
    let outcome = Outcome { upstream: Some(Span::from_millis(3)), ..Outcome::new(OutcomeKind::Forwarded) };
    recorder.intend(intent).await.unwrap().finish(outcome);
}

async fn after_restart(bench: &Bench, recorder: Recorder) -> Vec<String> {
    recorder.close().await;
    let reader = Reader::open(&bench.config).await.unwrap();
    shown(&reader.used(bench.clock.now(), &["MaxCount"]).await.unwrap())
}

async fn calls_that_were_made_count(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let run = |n, decision| call(n, 1, &["ec2:RunInstances"], decision);
    made(&recorder, run(1, Decision::Allow)).await;
    made(&recorder, run(2, Decision::Observed)).await;
    // Denied and asked calls were not made; one that failed before it was sent was not, either.
    for (n, decision) in [(3, Decision::Deny), (4, Decision::Ask), (5, Decision::Refused)] {
        recorder.refuse(run(n, decision), Outcome::new(OutcomeKind::Denied)).await.unwrap();
    }
    recorder.intend(run(6, Decision::Allow)).await.unwrap().finish(Outcome::new(OutcomeKind::Failed));
    // What may have been made counts: failed after it was sent, aborted, or not known.
    let sent = Outcome { upstream: Some(Span::ZERO), ..Outcome::new(OutcomeKind::Failed) };
    recorder.intend(run(7, Decision::Allow)).await.unwrap().finish(sent);
    drop(recorder.intend(run(8, Decision::Allow)).await.unwrap());
    // Each action of a call counts once.
    made(&recorder, call(9, 1, &["s3:DeleteObject", "s3:DeleteObject", "s3:GetObject"], Decision::Allow))
        .await;

    bench.tick(Duration::minutes(5));
    assert_eq!(
        after_restart(&bench, recorder).await,
        [
            "s1 claude-builds 0s ec2:RunInstances MaxCount=8",
            "s1 claude-builds 0s ec2:RunInstances ×4",
            "s1 claude-builds 0s s3:DeleteObject,s3:GetObject MaxCount=2",
            "s1 claude-builds 0s s3:DeleteObject,s3:GetObject ×1",
        ]
    );
}

async fn the_last_minute_is_counted_by_the_second(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let list = |n| Intent { params: json!({}), ..call(n, 1, &["s3:ListBucket"], Decision::Allow) };
    for n in 1..=4 {
        made(&recorder, list(n)).await;
        bench.tick(Duration::seconds(25));
    }
    // At 0, 25, 50 and 75 seconds; it is 100 seconds past noon.
    assert_eq!(
        after_restart(&bench, recorder).await,
        [
            "s1 claude-builds 0s s3:ListBucket ×2",
            "s1 claude-builds 50s s3:ListBucket ×1",
            "s1 claude-builds 75s s3:ListBucket ×1",
        ]
    );
}

/// An open session counts from its start, however long ago; an ended one for a day.
async fn how_far_back(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    recorder.session_started(SessionStart { id: session_id(2), ..session(2) }).await.unwrap();
    let list =
        |n, session| Intent { params: json!({}), ..call(n, session, &["s3:ListBucket"], Decision::Allow) };
    made(&recorder, list(1, 1)).await;
    made(&recorder, list(2, 2)).await;
    bench.tick(Duration::days(3));
    made(&recorder, list(3, 2)).await;
    recorder.session_ended(SessionEnd { session: session_id(2), reason: "done".to_owned() }).await.unwrap();
    bench.tick(Duration::hours(23));
    let day = Duration::days(3).whole_seconds();
    assert_eq!(
        after_restart(&bench, recorder).await,
        [
            "s1 claude-builds 0s s3:ListBucket ×1".to_owned(),
            format!("s2 claude-builds {day}s s3:ListBucket ×1")
        ]
    );
}

/// Numbers survive what else is cut, and sums are what they are however large.
async fn numbers_are_kept_and_do_not_overflow(on: On) {
    let bench = on.with(|config| config.params_max_bytes = 256);
    let recorder = bench.recorder().await;
    for n in 1..=3 {
        let params = json!({ "Aaa": "x".repeat(1000), "MaxCount": i64::MAX });
        made(&recorder, Intent { params, ..call(n, 1, &["ec2:RunInstances"], Decision::Allow) }).await;
    }
    bench.tick(Duration::minutes(5));
    let lines = after_restart(&bench, recorder).await;
    assert_eq!(lines[0], format!("s1 claude-builds 0s ec2:RunInstances MaxCount={}", i64::MAX));
}
