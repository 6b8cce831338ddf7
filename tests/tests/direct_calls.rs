//! Calls through the whole gateway to an upstream that verifies them.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use chaperone_tests::direct::{Direct, GATEWAY_KEY, Payload, Setup, Signing};
use http::{Method, StatusCode};

const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";

#[tokio::test]
async fn an_allowed_call_is_signed_anew_forwarded_and_recorded() -> Result<()> {
    for h2 in [false, true] {
        let direct = Direct::start(Setup::default()).await?;
        let agent = direct.agent(DYNAMODB);
        let agent = if h2 { agent.h2() } else { agent };
        let reply = agent.dynamodb("GetItem", r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());

        let received = direct.upstream.wait_for(1).await;
        let request = received.first().expect("one request");
        assert_eq!(request.refused, None, "the upstream accepts the signature");
        assert!(request.header("authorization").contains(GATEWAY_KEY.0), "signed with the gateway's key");
        assert!(request.header("user-agent").contains("chaperone/s-"), "{}", request.header("user-agent"));
        let placeholder = direct.placeholder().await?;
        for (name, value) in &request.headers {
            assert!(
                !value.as_bytes().windows(20).any(|w| w == placeholder.access_key_id.as_bytes()),
                "{name}"
            );
        }

        let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
        assert_eq!((&call["decision"], &call["outcome"]), (&"allow".into(), &"forwarded".into()), "{call}");
        assert_eq!((&call["service"], &call["operation"]), (&"dynamodb".into(), &"GetItem".into()), "{call}");
        assert!(call["rules"].to_string().contains("allow-all"), "{call}");
        assert!(
            call["resources"].to_string().contains("arn:aws:dynamodb:eu-central-1:123456789012:table/t"),
            "{call}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_intent_is_on_disk_before_aws_sees_the_request() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    direct.upstream.script([chaperone_tests::upstream::Behaviour::Silence]);
    let agent = direct.agent(DYNAMODB);
    let asking = agent.dynamodb("ListTables", "{}");
    let arrived = async {
        direct.upstream.wait_for(1).await;
        direct
            .rows("SELECT c.id FROM calls c LEFT JOIN outcomes o ON o.call = c.id WHERE o.call IS NULL")
            .await
    };
    tokio::select! {
        answered = asking => panic!("the upstream is silent, but {answered:?}"),
        open = arrived => assert_eq!(open?.len(), 1, "the intent without an outcome"),
    }
    // The agent has gone away now: that is recorded too.
    direct.row("SELECT * FROM outcomes", |row| row["outcome"] == "aborted").await?;
    Ok(())
}

#[tokio::test]
async fn a_denied_call_names_rule_and_session_and_never_leaves() -> Result<()> {
    let policies = r#"
        @id("reads") permit (principal in Group::"ai-agents", action == Action::"dynamodb:GetItem", resource);
        @id("no-delete") forbid (principal, action == Action::"dynamodb:DeleteTable", resource);
    "#;
    let direct = Direct::start(Setup { policies: policies.to_owned(), ..Setup::default() }).await?;
    let agent = direct.agent(DYNAMODB);
    let forbidden = agent.dynamodb("DeleteTable", r#"{"TableName":"t"}"#).await?;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    let text = forbidden.text();
    assert!(
        text.contains("AccessDenied") && text.contains("no-delete") && text.contains("session s-"),
        "{text}"
    );
    let unmentioned = agent.dynamodb("PutItem", r#"{"TableName":"t","Item":{}}"#).await?;
    assert_eq!(unmentioned.status, StatusCode::FORBIDDEN);
    assert!(
        unmentioned.text().contains(
            "dynamodb:PutItem on arn:aws:dynamodb:eu-central-1:123456789012:table/t, which no rule permits"
        ),
        "{}",
        unmentioned.text()
    );
    assert!(direct.upstream.requests().is_empty(), "nothing left the host");
    let denied = direct.rows("SELECT decision, rules, outcome FROM v_calls ORDER BY id").await?;
    assert_eq!(denied.len(), 2);
    assert!(denied.iter().all(|row| row["decision"] == "deny" && row["outcome"] == "denied"), "{denied:?}");
    assert!(denied[0]["rules"].to_string().contains("no-delete"), "{denied:?}");
    Ok(())
}

fn now() -> SystemTime {
    gateway_user::clock::Clock::system().now().into()
}

/// One refused request: its status, a part of its text, and that nothing was forwarded.
async fn refused(
    direct: &Direct,
    reply: Result<chaperone_tests::direct::Reply>,
    status: u16,
    why: &str,
) -> Result<()> {
    let reply = reply?;
    let call = reply.headers.get("x-amzn-requestid").context("no request id")?.to_str()?;
    assert_eq!(
        (reply.status.as_u16(), reply.text().contains(why)),
        (status, true),
        "{why}: {} {}",
        reply.status,
        reply.text()
    );
    assert!(direct.upstream.requests().is_empty(), "{why}: something was forwarded");
    let sql = format!("SELECT * FROM v_calls WHERE id = '{call}'");
    let row = direct.row(&sql, |_| true).await?;
    let reason = row.get("reason").and_then(|reason| reason.as_str());
    assert!(reason.is_some_and(|reason| reason.contains(why)), "{why}: {row}");
    Ok(())
}

#[tokio::test]
async fn requests_that_are_not_the_sessions_own_are_refused() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(DYNAMODB);
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let ask = |signing: Signing| agent.ask(Method::POST, "/", &headers, "{}", Box::leak(Box::new(signing)));
    let base = || Signing::new("dynamodb");

    let wrong = Signing { secret: Some("x".repeat(40)), ..base() };
    refused(&direct, ask(wrong).await, 403, "signature").await?;
    let foreign = Signing { access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()), ..base() };
    refused(&direct, ask(foreign).await, 403, "access key").await?;
    let late = Signing { time: now() - Duration::from_secs(3600), ..base() };
    refused(&direct, ask(late).await, 403, "more than 300 seconds").await?;
    let early = Signing { time: now() + Duration::from_secs(3600), ..base() };
    refused(&direct, ask(early).await, 403, "more than 300 seconds").await?;
    let elsewhere = Signing { region: "us-east-1".to_owned(), ..base() };
    refused(&direct, ask(elsewhere).await, 403, "region").await?;
    let other = Signing { service: "iam".to_owned(), ..base() };
    refused(&direct, ask(other).await, 403, "service").await?;

    let mut unsigned = agent.signed(Method::POST, "/", &headers, "{}", &base()).await?;
    unsigned.headers_mut().remove("authorization");
    refused(&direct, agent.send(unsigned).await, 403, "not signed").await?;
    let mut doubly = agent.signed(Method::POST, "/", &headers, "{}", &base()).await?;
    let again = doubly.headers()["authorization"].clone();
    doubly.headers_mut().append("authorization", again);
    refused(&direct, agent.send(doubly).await, 400, "more than one Authorization header").await
}

#[tokio::test]
async fn what_is_not_understood_is_refused() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let strange = direct.agent("made-up-service.eu-central-1.amazonaws.com");
    let json = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "Strange.Do")];
    let reply = strange.ask(Method::POST, "/", &json, "{}", &Signing::new("made-up-service")).await;
    let why = "the AWS host made-up-service.eu-central-1.amazonaws.com is not in the catalogue";
    refused(&direct, reply, 403, why).await?;
    let agent = direct.agent(DYNAMODB);
    refused(
        &direct,
        agent.dynamodb("DropEverything", "{}").await,
        403,
        "no operation of dynamodb fits this request",
    )
    .await?;
    let mints = direct.agent("sts.eu-central-1.amazonaws.com");
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let body = "Action=GetWebIdentityToken&Version=2011-06-15";
    let reply = mints.ask(Method::POST, "/", &form, body, &Signing::new("sts")).await;
    refused(
        &direct,
        reply,
        403,
        "sts:GetWebIdentityToken answers with credentials that cannot be replaced, and no rule reveals them",
    )
    .await
}

#[tokio::test]
async fn s3_objects_stream_in_every_default_payload_mode() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(S3);
    let data = vec![b'x'; 300_000];
    let plain =
        agent.ask(Method::PUT, "/a%20key+with%2Bsigns", &[], data.clone(), &Signing::new("s3")).await?;
    assert_eq!(plain.status, StatusCode::OK, "{}", plain.text());
    let unsigned = Signing { payload: Payload::Unsigned, ..Signing::new("s3") };
    let reply = agent.ask(Method::PUT, "/b", &[], data.clone(), &unsigned).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());

    let mut chunked = format!("{:x}\r\n", data.len()).into_bytes();
    chunked.extend_from_slice(&data);
    let crc = base64::engine::general_purpose::STANDARD.encode(crc32fast::hash(&data).to_be_bytes());
    chunked.extend_from_slice(format!("\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n").as_bytes());
    let trailer = Signing { payload: Payload::UnsignedTrailer, ..Signing::new("s3") };
    let length = data.len().to_string();
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", length.as_str()),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let reply = agent.ask(Method::PUT, "/c", &headers, chunked, &trailer).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());

    let received = direct.upstream.wait_for(3).await;
    let hash = received[0].body_sha256.clone();
    for request in &received {
        assert_eq!(request.refused, None);
        assert_eq!(request.body_sha256, hash, "every mode carries the same bytes: {:?}", request.uri);
    }
    assert_eq!(received[0].uri.path(), "/a%20key+with%2Bsigns", "the path is untouched");
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_match_its_hash_does_not_pass_as_another() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(DYNAMODB);
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let signed = agent.signed(Method::POST, "/", &headers, "{}", &Signing::new("dynamodb")).await?;
    let swapped = signed.map(|_| http_body_util::Full::new(bytes::Bytes::from_static(br#"{"Limit":1}"#)));
    refused(&direct, agent.send(swapped).await, 403, "signature").await
}

#[tokio::test]
async fn a_body_over_the_inspection_bound_is_refused_in_the_protocols_shape() -> Result<()> {
    let mut setup = Setup::default();
    setup.serve.inspect_max_bytes = 1000;
    let direct = Direct::start(setup).await?;
    let body = format!(r#"{{"TableName":"{}"}}"#, "t".repeat(2000));
    let reply = direct.agent(DYNAMODB).dynamodb("DescribeTable", &body).await?;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(reply.text().contains("__type") && reply.text().contains("1000 bytes"), "{}", reply.text());
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}
