//! HTTP that could be read in two ways, or not at all.

use anyhow::Result;
use chaperone_tests::direct::{Direct, Setup, Signing};
use http::Method;

const HOST: &str = "dynamodb.eu-central-1.amazonaws.com";

/// Sends raw bytes; the answer begins with `answer` (empty: the connection is closed without one),
/// and the reason is recorded as an event or as a refused call.
async fn check(request: &str, answer: &str, why: &str) -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let seen = direct.agent(HOST).raw(request.as_bytes()).await?;
    if answer.is_empty() {
        assert_eq!(seen, "", "{why}");
    } else {
        assert!(seen.starts_with(answer), "{why}: {seen}");
    }
    let sql = "SELECT message AS why FROM events UNION ALL SELECT reason AS why FROM calls";
    direct.row(sql, |row| row["why"].as_str().is_some_and(|text| text.contains(why))).await?;
    assert!(direct.upstream.requests().is_empty(), "{why}: something was forwarded");
    Ok(())
}

fn post(head: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{head}\r\n")
}

#[tokio::test]
async fn two_lengths_are_refused() -> Result<()> {
    let why = "Content-Length and Transfer-Encoding";
    check(&post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), "", why).await?;
    check(&post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), "", why).await
}

#[tokio::test]
async fn http_1_0_is_refused() -> Result<()> {
    check(&format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n"), "", "HTTP/1.0").await
}

#[tokio::test]
async fn folded_headers_are_refused() -> Result<()> {
    check(&post("X-Folded: a\r\n b\r\n"), "", "malformed").await
}

#[tokio::test]
async fn a_header_block_over_the_bound_is_answered_431() -> Result<()> {
    let long = format!("X-Long: {}\r\n", "a".repeat(66 * 1024));
    check(&post(&long), "HTTP/1.1 431", "message head is too large").await
}

#[tokio::test]
async fn a_header_block_far_over_the_bound_is_cut_off() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let seen =
        direct.agent(HOST).raw(post(&format!("X-Long: {}\r\n", "a".repeat(2 << 20))).as_bytes()).await?;
    assert!(seen.is_empty() || seen.starts_with("HTTP/1.1 431"), "{seen}");
    direct.row("SELECT * FROM events WHERE kind = 'http-refused'", |_| true).await?;
    Ok(())
}

#[tokio::test]
async fn absolute_form_targets_are_refused() -> Result<()> {
    let request = format!("GET https://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    check(&request, "HTTP/1.1 400", "absolute").await
}

#[tokio::test]
async fn a_host_other_than_the_server_name_is_refused() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent("s3.eu-central-1.amazonaws.com").sni(HOST);
    let reply = agent.ask(Method::GET, "/", &[], "", &Signing::new("s3")).await?;
    assert_eq!(reply.status.as_u16(), 400, "{}", reply.text());
    direct
        .row("SELECT * FROM calls", |row| {
            row["reason"].as_str().is_some_and(|r| r.contains("but the TLS connection is for"))
        })
        .await?;
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn half_a_request_is_closed_at_the_header_time_out_and_an_idle_connection_leaves_no_event() -> Result<()>
{
    let mut setup = Setup::default();
    setup.serve.header_timeout_secs = 1;
    let direct = Direct::start(setup).await?;
    assert_eq!(direct.agent(HOST).raw(b"").await?, "");
    assert_eq!(direct.agent(HOST).raw(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n").as_bytes()).await?, "");
    direct.row("SELECT * FROM events WHERE kind = 'http-refused'", |_| true).await?;
    assert_eq!(direct.rows("SELECT * FROM events WHERE kind = 'http-refused'").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_header_list_over_the_bound_is_refused_over_h2() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(HOST).h2();
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    // A little too much is a refused call; far too much ends the connection.
    for (pieces, answer, calls) in [(9, Some(400), 1), (256, None, 1)] {
        let mut request = agent.signed(Method::POST, "/", &headers, "{}", &Signing::new("dynamodb")).await?;
        // In pieces of 8 KiB, so that it is the sum that is too large.
        for _ in 0..pieces {
            request.headers_mut().append("x-long", "a".repeat(8192).parse()?);
        }
        let seen = agent.send(request).await;
        assert_eq!(seen.as_ref().ok().map(|reply| reply.status.as_u16()), answer, "{pieces}: {seen:?}");
        assert!(direct.upstream.requests().is_empty(), "{pieces}: something was forwarded");
        assert_eq!(direct.rows("SELECT * FROM calls").await?.len(), calls, "{pieces}");
    }
    let why = "the headers have more than 65536 bytes";
    direct.row("SELECT * FROM v_calls", |row| row["reason"] == why && row["outcome"] == "denied").await?;
    let event = direct.row("SELECT * FROM events WHERE kind = 'http-refused'", |_| true).await?;
    assert!(event["message"].as_str().is_some_and(|text| text.contains("excessive load")), "{event}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_http_2_is_closed_and_recorded() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let seen = direct.agent(HOST).h2().raw(post("").as_bytes()).await?;
    assert!(!seen.contains("HTTP/1.1"), "{seen}");
    let event = direct.row("SELECT * FROM events WHERE kind = 'http-refused'", |_| true).await?;
    assert!(event["message"].as_str().is_some_and(|text| text.contains("HTTP/2")), "{event}");
    assert!(direct.upstream.requests().is_empty(), "something was forwarded");
    Ok(())
}

#[tokio::test]
async fn an_authority_other_than_the_server_name_is_refused() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent("s3.eu-central-1.amazonaws.com").sni(HOST).h2();
    let reply = agent.ask(Method::GET, "/", &[], "", &Signing::new("s3")).await?;
    let why = "but the TLS connection is for";
    assert_eq!((reply.status.as_u16(), reply.text().contains(why)), (400, true), "{}", reply.text());
    direct
        .row("SELECT * FROM v_calls", |row| {
            row["reason"].as_str().is_some_and(|reason| reason.contains(why)) && row["outcome"] == "denied"
        })
        .await?;
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}
