//! Who follows what is written misses nothing and gets nothing twice.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::{
    retention::{self, DAY, called, remove, rows_before, started},
    support::{On, START, call_id, intent, on_both},
};
use crate::{
    identify::EndReason,
    record::{
        Event, Outcome, OutcomeKind,
        query::{CallFilter, EventFilter, Reader},
    },
};

on_both!(
    calls_come_when_they_have_ended,
    a_mark_does_not_go_back_when_the_newest_are_removed,
    a_reader_beside_a_writer_gets_each_call_once,
    calls_and_events_are_followed_in_the_order_of_writing,
);

fn done() -> Outcome {
    Outcome { status: Some(200), ..Outcome::new(OutcomeKind::Forwarded) }
}

async fn ended(reader: &Reader, range: (i64, i64)) -> Vec<String> {
    let rows = reader.ended(&CallFilter::default(), range, 10_000).await.unwrap();
    rows.into_iter().map(|call| call.id).collect()
}

fn ids(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|&n| call_id(n).to_string()).collect()
}

async fn calls_come_when_they_have_ended(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let first = recorder.intend(intent(1)).await.unwrap();
    recorder.intend(intent(2)).await.unwrap().finish(done());
    recorder.event(Event::new("tick", "what was queued before is written")).await.unwrap();
    let reader = Reader::open(&bench.config).await.unwrap();

    let mark = reader.settled().await.unwrap().outcomes;
    assert_eq!(ended(&reader, (0, mark)).await, ids(&[2]), "the first is open");

    first.finish(done());
    recorder.event(Event::new("tick", "so is the first's end")).await.unwrap();
    let later = reader.settled().await.unwrap().outcomes;
    assert_eq!(ended(&reader, (mark, later)).await, ids(&[1]), "it comes after the one that overtook it");
    assert_eq!(ended(&reader, (later, later)).await, Vec::<String>::new());
}

async fn a_mark_does_not_go_back_when_the_newest_are_removed(on: On) {
    let bench = on.bench();
    let recorder = bench.open().await.recorder;
    for n in 1..=2 {
        started(&bench, &recorder, n, "claude-builds").await;
        called(&recorder, n, n, b"{}").await;
    }
    bench.tick(DAY);
    retention::ended(&recorder, 2, EndReason::CgroupGone).await;
    let reader = Reader::open(&bench.config).await.unwrap();
    let mark = reader.settled().await.unwrap().outcomes;
    assert_eq!(ended(&reader, (0, mark)).await, ids(&[1, 2]));

    bench.tick(DAY * 30);
    remove(&bench, &recorder, &rows_before(START + DAY * 2)).await;
    assert_eq!(ended(&reader, (0, mark)).await, ids(&[1]), "the second went with its session");
    assert_eq!(reader.settled().await.unwrap().outcomes, mark);

    called(&recorder, 1, 3, b"{}").await;
    recorder.event(Event::new("tick", "the third's end is written")).await.unwrap();
    let later = reader.settled().await.unwrap().outcomes;
    assert_eq!(ended(&reader, (mark, later)).await, ids(&[3]));
}

async fn a_reader_beside_a_writer_gets_each_call_once(on: On) {
    const CALLS: u32 = 300;
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let reader = Reader::open(&bench.config).await.unwrap();
    let write = async {
        let mut open = Vec::new();
        for n in 1..=CALLS {
            open.push(recorder.intend(intent(n)).await.unwrap());
            // Every other call ends long after those that began later.
            if n % 2 == 0 {
                open.pop().unwrap().finish(done());
            }
            if open.len() > 20 {
                open.remove(0).finish(done());
            }
        }
        open.into_iter().for_each(|call| call.finish(done()));
        recorder.event(Event::new("tick", "all is written")).await.unwrap();
    };
    let read = async {
        let (mut at, mut seen) = (0, Vec::new());
        while seen.len() < CALLS as usize {
            let mark = reader.settled().await.unwrap().outcomes;
            seen.extend(ended(&reader, (at, mark)).await);
            at = mark;
            tokio::task::yield_now().await;
        }
        seen
    };
    let ((), seen) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(write, read) }).await.unwrap();
    assert_eq!(seen.len(), CALLS as usize);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), CALLS as usize, "none came twice");
}

async fn calls_and_events_are_followed_in_the_order_of_writing(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let reader = Reader::open(&bench.config).await.unwrap();
    let before = reader.settled().await.unwrap();
    for n in 1..=3 {
        recorder.intend(intent(n)).await.unwrap().finish(done());
    }
    recorder.event(Event::new("tick", "an event")).await.unwrap();
    let after = reader.settled().await.unwrap();
    let calls = reader.begun(&CallFilter::default(), (before.calls, after.calls), 2).await.unwrap();
    assert_eq!(calls.into_iter().map(|call| call.id).collect::<Vec<_>>(), ids(&[1, 2]));
    let events = reader.happened(&EventFilter::default(), (before.events, after.events), 10).await.unwrap();
    assert_eq!(events.into_iter().map(|event| event.kind).collect::<Vec<_>>(), ["tick"]);
}

/// A transaction that was numbered earlier and commits later.
#[tokio::test]
async fn a_slow_writer_is_waited_for() {
    let bench = On::Postgres.bench();
    let recorder = bench.recorder().await;
    let first = recorder.intend(intent(1)).await.unwrap();
    let second = recorder.intend(intent(2)).await.unwrap();
    let reader = Reader::open(&bench.config).await.unwrap();

    let mut slow = bench.postgres_connection().await;
    let insert = format!(
        "BEGIN; INSERT INTO outcomes (call, ended, outcome, truncated) \
         VALUES ('{}', '2026-03-01T12:00:00.000000Z', 'unknown', '[]')",
        call_id(1)
    );
    slow.execute(AssertSqlSafe(insert)).await.unwrap();
    second.finish(done());
    recorder.event(Event::new("tick", "the second's end is written")).await.unwrap();

    let waits = tokio::time::timeout(Duration::from_millis(300), reader.settled()).await;
    assert!(waits.is_err(), "the first's end may still come: {waits:?}");
    slow.execute("COMMIT").await.unwrap();
    slow.close().await.unwrap();
    let mark = reader.settled().await.unwrap().outcomes;
    assert_eq!(ended(&reader, (0, mark)).await, ids(&[1, 2]));
    // Its end is written; this one only says that it was.
    first.finish(done());
}
