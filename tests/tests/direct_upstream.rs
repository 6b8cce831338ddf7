//! AWS that misbehaves: the agent gets an error in its protocol's shape or a connection that visibly
//! breaks, never a short answer that looks whole; and the record says what happened.

use anyhow::Result;
use chaperone_tests::{
    direct::{Direct, Setup, Signing},
    pki::CertificateFault,
    upstream::{Behaviour, Protocols},
};
use http::{Method, StatusCode};

const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";

/// One call that AWS fails: its status, a part of its text, and its outcome.
async fn check(direct: &Direct, status: StatusCode, text: &str) -> Result<()> {
    let reply = direct.agent(DYNAMODB).dynamodb("ListTables", "{}").await?;
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().contains(text) && reply.text().contains("__type"), "{}", reply.text());
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
    let seen = (call.get("decision"), call.get("outcome"));
    assert_eq!(seen, (Some(&"allow".into()), Some(&"failed".into())), "{call}");
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_bad_gateway() -> Result<()> {
    let direct = Direct::start(Setup { upstream_down: true, ..Setup::default() }).await?;
    check(&direct, StatusCode::BAD_GATEWAY, "cannot be reached").await
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_never_talked_to() -> Result<()> {
    for fault in [CertificateFault::Expired, CertificateFault::WrongName, CertificateFault::UnknownIssuer] {
        let setup =
            Setup { upstream: Box::new(move |config| config.certificate = Some(fault)), ..Setup::default() };
        let direct = Direct::start(setup).await?;
        check(&direct, StatusCode::BAD_GATEWAY, "certificate").await?;
        assert!(direct.upstream.requests().is_empty(), "{fault:?}: a request was sent");
    }
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_hangs_up_before_its_answer_is_a_bad_gateway() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    direct.upstream.script([Behaviour::ResetBeforeHead]);
    check(&direct, StatusCode::BAD_GATEWAY, "cannot be reached").await?;
    assert_eq!(direct.upstream.requests().len(), 1, "a request that may have arrived is not sent twice");
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_gateway_timeout() -> Result<()> {
    let mut setup = Setup::default();
    setup.forward.response_timeout_secs = 1;
    let direct = Direct::start(setup).await?;
    direct.upstream.script([Behaviour::Silence]);
    check(&direct, StatusCode::GATEWAY_TIMEOUT, "did not answer in time").await
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_at_the_agent_too() -> Result<()> {
    for protocols in [Protocols::Http1, Protocols::H2] {
        let setup =
            Setup { upstream: Box::new(move |config| config.protocols = protocols), ..Setup::default() };
        let direct = Direct::start(setup).await?;
        for h2 in [false, true] {
            direct.upstream.script([Behaviour::ResetAfter(100_000)]);
            let agent = direct.agent(S3);
            let agent = if h2 { agent.h2() } else { agent };
            let path = "/bytes-1000000?x-id=GetObject";
            let broken = agent.ask(Method::GET, path, &[], "", &Signing::new("s3")).await;
            assert!(broken.is_err(), "{protocols:?} h2={h2}: a broken answer looked whole: {broken:?}");
        }
        let failed = direct.rows("SELECT * FROM v_calls WHERE outcome = 'failed'");
        direct.row("SELECT count(*) AS n FROM v_calls WHERE outcome = 'failed'", |row| row["n"] == 2).await?;
        assert_eq!(failed.await?.len(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn an_error_of_aws_reaches_the_agent_as_it_is() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    direct
        .upstream
        .script([Behaviour::Fail { status: StatusCode::BAD_REQUEST, code: "ResourceNotFoundException" }]);
    let reply = direct.agent(DYNAMODB).dynamodb("DescribeTable", r#"{"TableName":"gone"}"#).await?;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text().contains("ResourceNotFoundException"), "{}", reply.text());
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
    assert_eq!((&call["outcome"], &call["status"]), (&"forwarded".into(), &400.into()), "{call}");
    assert_eq!(call["error_code"], "ResourceNotFoundException", "{call}");
    Ok(())
}
