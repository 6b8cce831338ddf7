//! No call without a record.

use anyhow::{Context as _, Result};
use chaperone_tests::direct::{Direct, Setup};
use gateway_user::{
    clock::Clock,
    identify::EndReason,
    record::{self, RecordError, Recorder},
};
use http::{Request, StatusCode};
use http_body_util::Full;

const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";

#[tokio::test]
async fn a_database_that_cannot_be_written_refuses_calls_and_then_recovers() -> Result<()> {
    let mut setup = Setup::default();
    setup.record.busy_timeout_ms = 50;
    let direct = Direct::start(setup).await?;
    let agent = direct.agent(DYNAMODB);
    assert_eq!(agent.dynamodb("ListTables", "{}").await?.status, StatusCode::OK);

    // Somebody else holds the write lock: what a full or read-only disk looks like to the writer.
    let holder = chaperone_tests::database::lock(direct.database()).await?;
    let refused = agent.dynamodb("ListTables", "{}").await?;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
    assert!(refused.text().contains("cannot be recorded"), "{}", refused.text());
    assert_eq!(direct.upstream.requests().len(), 1, "the second call was not forwarded");
    assert!(direct.gateway.recorder.health().failing.is_some());

    holder.release().await?;
    assert_eq!(agent.dynamodb("ListTables", "{}").await?.status, StatusCode::OK, "recovers by itself");
    direct.row("SELECT count(*) AS n FROM v_calls WHERE outcome = 'forwarded'", |row| row["n"] == 2).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_daemon_cannot_open_the_database() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let config = record::Config { database: direct.database().to_owned(), ..Default::default() };
    let second = Recorder::open(&config, Clock::system()).await;
    let error = second.expect_err("the first daemon holds it").to_string();
    assert!(error.contains("in use by another chaperone daemon"), "{error}");
    Ok(())
}

/// A session is killed while the database refuses, in whatever way, and this is its end's error.
async fn end_is_recorded_later(config: record::Config, error: impl Fn(&RecordError) -> bool) -> Result<()> {
    let direct = Direct::start(Setup { record: config, ..Setup::default() }).await?;
    let gateway = &direct.gateway;
    let session = direct.session().await?;
    let unrecorded = || gateway.unrecorded.lock().map_or(0, |ends| ends.len());
    let recorded = async || direct.rows("SELECT end_reason FROM v_sessions WHERE ended IS NOT NULL").await;
    let is_barred = async || {
        let request = Request::post(format!("https://{DYNAMODB}/")).body(Full::default())?;
        let reply = direct.agent(DYNAMODB).send(request).await?;
        anyhow::ensure!(reply.text().contains("identity not accepted"), "{}", reply.text());
        anyhow::Ok(())
    };

    let holder = chaperone_tests::database::lock(direct.database()).await?;
    let killed = gateway.registry.kill(session.id).context("it lives")?;
    let refused = gateway.end(&killed, EndReason::Killed).await;
    assert!(matches!(&refused, Err(refused) if error(refused)), "{refused:?}");
    gateway.record_ends().await;
    assert_eq!((unrecorded(), recorded().await?.len()), (1, 0), "it was tried again and is kept");
    is_barred().await?;

    holder.release().await?;
    gateway.record_ends().await;
    assert_eq!(unrecorded(), 0);
    let ends = recorded().await?;
    assert!(matches!(ends.as_slice(), [end] if end["end_reason"] == "killed"), "{ends:?}");
    gateway.record_ends().await;
    let rows = direct.rows("SELECT * FROM session_ends").await?;
    assert_eq!(rows.len(), 1, "once: {rows:?}");
    is_barred().await?;

    // Whoever starts the daemon anew is told that the cgroup's session was killed.
    let config = record::Config { database: direct.database().to_owned(), ..Default::default() };
    gateway.recorder.close().await;
    let opened = Recorder::open(&config, Clock::system()).await?;
    let barred: Vec<_> = opened.killed.iter().map(|killed| killed.cgroup_id).collect();
    assert_eq!((barred, opened.open_sessions.len()), (vec![session.cgroup_id], 0));
    Ok(())
}

#[tokio::test]
async fn an_end_that_the_database_refuses_is_recorded_once_when_it_can_be() -> Result<()> {
    let config = record::Config { busy_timeout_ms: 50, ..Default::default() };
    end_is_recorded_later(config, |error| matches!(error, RecordError::Store(_))).await
}

/// It is in the writer's queue then, and written when the database answers: the second time is one too many.
#[tokio::test]
async fn an_end_that_nobody_waited_for_any_more_is_recorded_once() -> Result<()> {
    let config = record::Config { busy_timeout_ms: 60_000, write_timeout_secs: 1, ..Default::default() };
    end_is_recorded_later(config, |error| matches!(error, RecordError::Timeout(_))).await
}
