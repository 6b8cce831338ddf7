//! No call without a record.

use anyhow::Result;
use chaperone_tests::direct::{Direct, Setup};
use http::StatusCode;

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
    let config =
        gateway_user::record::Config { database: direct.database().to_owned(), ..Default::default() };
    let second = gateway_user::record::Recorder::open(&config, gateway_user::clock::Clock::system()).await;
    let error = second.expect_err("the first daemon holds it").to_string();
    assert!(error.contains("in use by another chaperone daemon"), "{error}");
    Ok(())
}
