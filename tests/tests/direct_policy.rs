//! What policy says, through the whole gateway: limits, questions, workloads that are only observed.

use anyhow::Result;
use chaperone_tests::direct::{ALLOW_ALL, Direct, Setup, Signing};
use gateway_user::identify::Mode;
use http::{Method, StatusCode};

const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";

/// One table may be made in a session.
const ONE_TABLE: &str =
    "@id(\"one-table\") forbid (principal, action == Action::\"dynamodb:CreateTable\", resource)
    when { context.session.counts[\"dynamodb:CreateTable\"] >= 1 };";

const TABLE: &str = r#"{"TableName":"t"}"#;

#[tokio::test]
async fn calls_at_once_cannot_overdraw_a_budget() -> Result<()> {
    let direct =
        Direct::start(Setup { policies: format!("{ALLOW_ALL}{ONE_TABLE}"), ..Setup::default() }).await?;
    let agents: Vec<_> = (0..8).map(|_| direct.agent(DYNAMODB)).collect();
    let asked = agents.iter().map(|agent| agent.dynamodb("CreateTable", TABLE));
    let replies = futures_of(asked).await?;
    let made = replies.iter().filter(|status| **status == StatusCode::OK).count();
    assert_eq!((made, direct.upstream.wait_for(1).await.len()), (1, 1), "{replies:?}");

    let other = direct.agent(DYNAMODB).dynamodb("ListTables", "{}").await?;
    assert_eq!(other.status, StatusCode::OK, "other calls are not limited");
    Ok(())
}

/// Awaits all at the same time; the statuses of the answers.
async fn futures_of<F>(asked: impl Iterator<Item = F>) -> Result<Vec<StatusCode>>
where
    F: Future<Output = Result<chaperone_tests::direct::Reply>>,
{
    let mut waiting: Vec<_> = asked.map(Box::pin).collect();
    let mut replies = vec![None; waiting.len()];
    std::future::poll_fn(|context| {
        for (future, reply) in waiting.iter_mut().zip(&mut replies) {
            if reply.is_none()
                && let std::task::Poll::Ready(answer) = future.as_mut().poll(context)
            {
                *reply = Some(answer.map(|answer| answer.status).map_err(|error| error.to_string()));
            }
        }
        if replies.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    replies.into_iter().flatten().map(|reply| reply.map_err(|error| anyhow::anyhow!(error))).collect()
}

#[tokio::test]
async fn a_question_is_refused_and_says_whom_to_ask() -> Result<()> {
    let policies = "@id(\"delete-table\") @reviewers(\"data-owners\")
        permit (principal, action == Action::\"dynamodb:DeleteTable\", resource)
        when { context has approval && context.approval.groups.contains(\"data-owners\") };";
    let direct = Direct::start(Setup { policies: policies.to_owned(), ..Setup::default() }).await?;
    let reply = direct.agent(DYNAMODB).dynamodb("DeleteTable", TABLE).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text().contains("AccessDeniedException"), "{}", reply.text());
    assert!(
        reply.text().contains("dynamodb:DeleteTable needs the approval of data-owners"),
        "{}",
        reply.text()
    );

    let call = direct.row("SELECT * FROM v_denied", |row| row["outcome"] != "open").await?;
    assert_eq!((&call["decision"], &call["outcome"]), (&"ask".into(), &"denied".into()), "{call}");
    assert!(call["rules"].to_string().contains("delete-table"), "{call}");
    Ok(())
}

#[tokio::test]
async fn an_observed_workload_is_recorded_and_not_stopped() -> Result<()> {
    let policies = "@id(\"nothing\") forbid (principal, action, resource);".to_owned();
    let direct = Direct::start(Setup { policies, mode: Mode::Observe, ..Setup::default() }).await?;
    let agent = direct.agent(DYNAMODB);
    let reply = agent.dynamodb("ListTables", "{}").await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(direct.upstream.wait_for(1).await.len(), 1);
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "forwarded").await?;
    assert_eq!(call["decision"], "observed", "{call}");
    assert_eq!(call["reason"], "observed deny: forbidden by nothing", "{call}");
    assert!(call["rules"].to_string().contains("nothing"), "{call}");
    assert!(direct.rows("SELECT * FROM v_denied").await?.is_empty());

    // What is not understood, or not signed with the session's key, is refused all the same.
    let unknown = agent.dynamodb("NoSuchOperation", "{}").await?;
    assert_eq!(unknown.status, StatusCode::FORBIDDEN, "{}", unknown.text());
    let mut signing = Signing::new("dynamodb");
    signing.access_key_id = Some("AKIAFOREIGNKEY000001".to_owned());
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let reply = agent.ask(Method::POST, "/", &headers, "{}", &signing).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
    assert_eq!(direct.upstream.wait_for(1).await.len(), 1, "nothing more was sent");
    Ok(())
}
