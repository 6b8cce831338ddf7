//! PostgreSQL goes away: it is stopped, cut off, or lets nobody write. Calls are refused meanwhile, nothing
//! is lost and nothing is written twice.

use std::collections::BTreeSet;

use super::{
    proxy::{Proxy, Way},
    server::Server,
    support::{Bench, On, call_id, intent, session, session_id},
};
use crate::{
    prim::CallId,
    record::{Event, Intent, Outcome, OutcomeKind, RecordError, Recorder},
};

/// A bench whose daemon reaches the server through a proxy.
pub(super) async fn behind_proxy(
    change: impl FnOnce(&mut crate::record::Config),
) -> (Bench, Proxy, Recorder) {
    let server = Server::shared();
    let proxy = Proxy::to(server.socket()).await;
    let mut bench = On::Postgres.with(change);
    let direct = bench.config.url.take().unwrap();
    let database = direct.to_string();
    let database = database.split_once("/t").unwrap().1.split_once('?').unwrap().0;
    let url = format!("postgres://postgres@127.0.0.1:{}/t{database}", proxy.port());
    bench.config.url = Some(url.parse().unwrap());
    let recorder = bench.recorder().await;
    // The test itself asks the server directly.
    bench.config.url = Some(direct);
    (bench, proxy, recorder)
}

fn finished() -> Outcome {
    Outcome::new(OutcomeKind::Forwarded)
}

fn is_store<T: std::fmt::Debug>(result: Result<T, RecordError>, words: &str) {
    let Err(RecordError::Store(said)) = &result else { panic!("{result:?}") };
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_nothing_is_written_twice() {
    let (bench, proxy, recorder) = behind_proxy(|config| config.retry_max_secs = 0).await;
    let before = recorder.intend(intent(1)).await.unwrap();
    proxy.set(Way::AnswerLost);
    // One thread: all of it is one batch, with the outcome of the call before.
    before.finish(finished());
    let event = tokio::spawn({
        let recorder = recorder.clone();
        async move { recorder.event(Event::new("tick", "once")).await }
    });
    let call = tokio::spawn({
        let recorder = recorder.clone();
        async move { recorder.intend(intent(2)).await }
    });
    recorder.healthy_when(|health| health.failing.is_some()).await;
    assert_eq!(proxy.way(), Way::Closed);
    // Who is in doubt waits; who comes now is refused.
    is_store(recorder.intend(intent(3)).await.map(drop), "");
    assert!(!event.is_finished() && !call.is_finished());
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'tick'").await, "1", "it is there");

    proxy.set(Way::Open);
    event.await.unwrap().unwrap();
    call.await.unwrap().unwrap().finish(finished());
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'tick'").await, "1");
    assert_eq!(
        bench.ask("SELECT group_concat(id || outcome) FROM (SELECT * FROM v_calls ORDER BY seq) AS c").await,
        format!("{}forwarded,{}forwarded", call_id(1), call_id(2))
    );
}

#[tokio::test]
async fn who_stops_waiting_for_a_lost_answer_leaves_an_aborted_call() {
    let (bench, proxy, recorder) = behind_proxy(|config| {
        config.retry_max_secs = 0;
        config.write_timeout_secs = 1;
    })
    .await;
    proxy.set(Way::AnswerLost);
    let timeout = RecordError::Timeout(std::time::Duration::from_secs(1));
    assert_eq!(recorder.intend(intent(1)).await.err(), Some(timeout));
    proxy.set(Way::Open);
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(bench.ask("SELECT group_concat(outcome) FROM v_calls").await, "aborted");
}

#[tokio::test]
async fn a_commit_that_did_not_arrive_is_made_once() {
    let (bench, proxy, recorder) = behind_proxy(|config| config.retry_max_secs = 0).await;
    proxy.set(Way::CommitLost);
    // From here it looks the same as a lost answer.
    recorder.event(Event::new("tick", "once")).await.unwrap();
    assert_eq!(proxy.way(), Way::Open);
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'tick'").await, "1");
}

#[tokio::test]
async fn a_silent_network_is_given_up_and_the_old_connection_ended() {
    let (bench, proxy, recorder) = behind_proxy(|config| {
        config.statement_timeout_secs = 1;
        config.connect_timeout_secs = 1;
        config.retry_max_secs = 0;
    })
    .await;
    let call = recorder.intend(intent(1)).await.unwrap();
    proxy.set(Way::Silent);
    is_store(recorder.intend(intent(2)).await.map(drop), "the server was silent for 1s");
    call.finish(finished());
    is_store(recorder.intend(intent(3)).await.map(drop), "no connection within 1s");
    // The server knows nothing of it: the connection that holds the lock still stands.
    let writers = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name NOT LIKE '' AND pid <> pg_backend_pid()";
    assert_eq!(bench.ask(writers).await, "1");
    proxy.set(Way::Open);
    recorder.intend(intent(4)).await.unwrap().finish(finished());
    assert_eq!(bench.ask(writers).await, "1", "a new one took its place");
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(
        bench.ask("SELECT group_concat(id || outcome) FROM (SELECT * FROM v_calls ORDER BY seq) AS c").await,
        format!("{}forwarded,{}forwarded", call_id(1), call_id(4))
    );
}

/// What a caller was told, and of which event.
#[derive(Default)]
struct Told {
    calls: BTreeSet<String>,
    events: BTreeSet<String>,
    refused: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_load_loses_nothing_it_acknowledged() {
    let server = Server::start("", &std::env::temp_dir());
    let bench = Bench::postgres(&server, |config| config.retry_max_secs = 0);
    let recorder = bench.recorder().await;
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::channel(64);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..8_u32)
        .map(|caller| tokio::spawn(load(caller, recorder.clone(), acknowledge.clone(), stopped.clone())))
        .collect();
    for _ in 0..3 {
        for _ in 0..100 {
            acknowledged.recv().await.unwrap();
        }
        let mut drain = std::pin::pin!(async { while acknowledged.recv().await.is_some() {} });
        tokio::select! {
            () = &mut drain => panic!("the load goes on"),
            () = async {
                tokio::task::block_in_place(|| server.halt("immediate"));
                recorder.healthy_when(|health| health.failing.is_some()).await;
                tokio::task::block_in_place(|| server.resume());
                recorder.healthy_when(|health| health.failing.is_none()).await;
            } => {}
        }
    }
    stop.send(true).unwrap();
    drop(acknowledge);
    let drained = tokio::spawn(async move { while acknowledged.recv().await.is_some() {} });
    let mut told = Told::default();
    for caller in callers {
        let one = caller.await.unwrap();
        told.calls.extend(one.calls);
        told.events.extend(one.events);
        told.refused += one.refused;
    }
    drained.await.unwrap();
    recorder.close().await;
    bench.check_integrity().await;
    assert!(told.refused > 0, "somebody was refused");
    check_told(&bench, &told).await;
}

/// Calls and events, until told to stop.
async fn load(
    caller: u32,
    recorder: Recorder,
    acknowledge: tokio::sync::mpsc::Sender<()>,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> Told {
    let mut told = Told::default();
    for turn in 0_u32.. {
        if *stopped.borrow() {
            break;
        }
        let name = format!("{caller}-{turn}");
        match recorder.event(Event::new("tick", name.as_str())).await {
            Ok(()) => _ = told.events.insert(name),
            Err(_) => told.refused += 1,
        }
        let id = CallId::generate();
        match recorder.intend(Intent { id, ..intent(1) }).await {
            Ok(call) => {
                told.calls.insert(id.to_string());
                call.finish(finished());
                let _ = acknowledge.send(()).await;
            }
            Err(_) => {
                told.refused += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    told
}

async fn check_told(bench: &Bench, told: &Told) {
    let column = async |sql| {
        let rows = bench.rows(sql).await.unwrap();
        rows.into_iter().skip(1).flatten().collect::<Vec<String>>()
    };
    let events = column("SELECT message FROM events WHERE kind = 'tick'").await;
    let unique: BTreeSet<&String> = events.iter().collect();
    assert_eq!(unique.len(), events.len(), "no event was written twice");
    assert!(told.events.iter().all(|event| unique.contains(event)), "no event was lost");
    let calls: BTreeSet<String> =
        column("SELECT id FROM v_calls WHERE outcome = 'forwarded'").await.into_iter().collect();
    assert!(told.calls.is_subset(&calls), "every call that was made has its outcome");
    // Whoever was refused made no call.
    let others = column("SELECT DISTINCT outcome FROM v_calls WHERE outcome <> 'forwarded'").await;
    assert!(others.iter().all(|outcome| outcome == "aborted"), "{others:?}");
    assert_eq!(calls.len(), told.calls.len());
}

#[tokio::test]
async fn a_database_that_lets_nobody_write_refuses_and_recovers() {
    let bench = On::Postgres.with(|config| config.retry_max_secs = 0);
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    bench.alter("SET default_transaction_read_only = on").await;
    call.finish(finished());
    is_store(recorder.intend(intent(2)).await.map(drop), "");
    is_store(recorder.intend(intent(3)).await.map(drop), "read-only transaction");
    bench.alter("RESET default_transaction_read_only").await;
    recorder.healthy_when(|health| health.failing.is_none() && health.open_calls == 0).await;
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(bench.ask("SELECT group_concat(outcome) FROM v_calls").await, "forwarded");
}

#[tokio::test]
async fn a_locked_table_refuses_within_the_statement_time_out() {
    let bench = On::Postgres.with(|config| {
        config.statement_timeout_secs = 1;
        config.retry_max_secs = 0;
    });
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    let mut shell = bench.postgres_connection().await;
    let lock = "BEGIN; LOCK TABLE calls, outcomes IN EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut shell).await.unwrap();
    is_store(recorder.intend(intent(2)).await.map(drop), "");
    call.finish(finished());
    sqlx::raw_sql("ROLLBACK").execute(&mut shell).await.unwrap();
    recorder.healthy_when(|health| health.failing.is_none() && health.open_calls == 0).await;
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(
        bench.ask("SELECT group_concat(id || outcome) FROM v_calls").await,
        format!("{}forwarded", call_id(1))
    );
}

#[tokio::test]
async fn promises_are_asked_for_at_every_connection() {
    let bench = On::Postgres.with(|config| config.retry_max_secs = 0);
    let recorder = bench.recorder().await;
    bench.alter("SET synchronous_commit = off").await;
    // Told that its connection was ended, the next one is not told better.
    is_store(recorder.intend(intent(1)).await.map(drop), "");
    is_store(recorder.intend(intent(1)).await.map(drop), "synchronous_commit is off");
    bench.alter("SET synchronous_commit = on").await;
    drop(recorder.intend(intent(1)).await.unwrap());
    recorder.session_started(session(2)).await.unwrap();
    recorder.close().await;
    bench.check_integrity().await;
    assert_eq!(bench.ask("SELECT group_concat(session) FROM v_calls").await, session_id(1).to_string());
}
