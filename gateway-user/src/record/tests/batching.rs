//! Group commit: many rows, few transactions.

use super::support::{On, call_id, intent, on_both, session_id};
use crate::record::{Event, Holds, Intent, Outcome, OutcomeKind, RecordError, Side};

on_both!(
    what_waits_together_is_committed_together,
    a_batch_has_a_bound,
    a_batch_has_a_bound_of_bytes,
    open_calls_have_a_bound_and_give_their_slots_back,
    no_slot_in_time_refuses_the_call,
    every_statement_size_is_correct,
);

async fn what_waits_together_is_committed_together(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let before = recorder.health();
    // One runtime thread: all of these are queued before the writer runs.
    let calls: Vec<_> = (1..=300)
        .map(|n| {
            let recorder = recorder.clone();
            tokio::spawn(async move { recorder.intend(intent(n)).await })
        })
        .collect();
    let mut open = Vec::new();
    for call in calls {
        open.push(call.await.unwrap().unwrap());
    }
    let after = recorder.health();
    assert_eq!((after.rows - before.rows, after.transactions - before.transactions), (300, 1));
    assert_eq!(after.open_calls, 300);

    open.into_iter().for_each(|call| call.finish(Outcome::new(OutcomeKind::Forwarded)));
    recorder.healthy_when(|health| health.rows == before.rows + 600).await;
    assert_eq!(recorder.health().transactions, before.transactions + 2);
    assert_eq!(recorder.health().open_calls, 0);
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) || outcome FROM v_calls GROUP BY outcome").await, "300forwarded");
}

async fn a_batch_has_a_bound(on: On) {
    let bench = on.with(|config| config.batch_rows = 10);
    let recorder = bench.recorder().await;
    let before = recorder.health().transactions;
    let events: Vec<_> = (0..25)
        .map(|_| {
            let recorder = recorder.clone();
            tokio::spawn(async move { recorder.event(Event::new("tick", "")).await })
        })
        .collect();
    for event in events {
        event.await.unwrap().unwrap();
    }
    assert_eq!(recorder.health().transactions - before, 3);
}

async fn a_batch_has_a_bound_of_bytes(on: On) {
    const MIB: usize = 1 << 20;
    let bench = on.with(|config| config.body_max_bytes = 8 * MIB);
    let recorder = bench.recorder().await;
    let mut calls = Vec::new();
    for n in 1..=6 {
        calls.push((n, recorder.intend(intent(n)).await.unwrap()));
    }
    let before = recorder.health();
    // What cannot be compressed: 3 MiB each of four calls, and two without.
    for (n, mut call) in calls {
        if n <= 4 {
            let mut data = vec![0; 3 * MIB];
            aws_lc_rs::rand::fill(&mut data).unwrap();
            let capture = recorder.capture(session_id(1), Holds::Document, Some("text/plain"));
            data.chunks(MIB).for_each(|part| capture.push(part));
            capture.end();
            call.capture(Side::Response, capture);
        }
        call.finish(Outcome::new(OutcomeKind::Forwarded));
    }
    recorder.healthy_when(|health| health.rows == before.rows + 10).await;
    assert_eq!(recorder.health().transactions - before.transactions, 4);
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) FROM bodies").await, "4");
}

async fn open_calls_have_a_bound_and_give_their_slots_back(on: On) {
    let bench = on.with(|config| config.open_calls = 2);
    let recorder = bench.recorder().await;
    let first = recorder.intend(intent(1)).await.unwrap();
    let second = recorder.intend(intent(2)).await.unwrap();
    let third = tokio::spawn({
        let recorder = recorder.clone();
        async move { recorder.intend(intent(3)).await }
    });
    // Other records are not held back by open calls.
    recorder.event(Event::new("tick", "")).await.unwrap();
    assert!(!third.is_finished());
    drop(first);
    drop(third.await.unwrap().unwrap());
    drop(second);
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) || outcome FROM v_calls GROUP BY outcome").await, "3aborted");
}

async fn no_slot_in_time_refuses_the_call(on: On) {
    let bench = on.with(|config| {
        config.open_calls = 1;
        config.write_timeout_secs = 1;
    });
    let recorder = bench.recorder().await;
    let _first = recorder.intend(intent(1)).await.unwrap();
    assert_eq!(recorder.intend(intent(2)).await.err(), Some(RecordError::TooManyOpenCalls(1)));
}

async fn every_statement_size_is_correct(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    // 256 + 64 + 16 + 4 + 1 rows.
    let refusals: Vec<_> = (1..=341)
        .map(|n| {
            let recorder = recorder.clone();
            let intent = Intent { id: call_id(n), session: session_id(1), ..intent(n) };
            let outcome = Outcome { bytes_out: Some(n.into()), ..Outcome::new(OutcomeKind::Denied) };
            tokio::spawn(async move { recorder.refuse(intent, outcome).await })
        })
        .collect();
    for refusal in refusals {
        refusal.await.unwrap().unwrap();
    }
    assert_eq!(bench.ask("SELECT count(*) || ' ' || sum(bytes_out) FROM v_calls").await, "341 58311");
    assert_eq!(
        bench.ask("SELECT group_concat(DISTINCT CAST(seq - bytes_out AS TEXT)) FROM v_calls").await,
        "0",
        "rows are in the order in which they came"
    );
}
