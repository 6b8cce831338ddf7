//! Presigned URLs, foreign keys, and workloads with keys of their own, through the whole gateway.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{Direct, GATEWAY_KEY, Payload, Setup, Signing},
    upstream::Key,
};
use gateway_user::{
    identify::{CredentialSource, GivenKeys},
    secret::SecretText,
};
use http::{Method, StatusCode};

const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";
const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

/// Signs for S3 in the query string.
fn url() -> Signing {
    Signing { expires: MINUTE, payload: Payload::Unsigned, ..Signing::new("s3") }
}

#[tokio::test]
async fn a_presigned_url_works_and_leaves_as_any_other_call() -> Result<()> {
    for h2 in [false, true] {
        let direct = Direct::start(Setup::default()).await?;
        let agent = direct.agent(S3);
        let agent = if h2 { agent.h2() } else { agent };
        let target = "/a%20b//c?response-content-type=text%2Fplain";
        let reply = agent.ask(Method::GET, target, &[], "", &url()).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        // Whoever has the URL sends what he likes: here, a body that is not held anywhere.
        let target = "/up?x-amz-acl=private&x-id=PutObject";
        let signed = agent.signed(Method::PUT, target, &[], "", &url()).await?;
        let body = http_body_util::Full::new(bytes::Bytes::from(vec![b'x'; 300_000]));
        let reply = agent.send(signed.map(|_| body)).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());

        let received = direct.upstream.wait_for(2).await;
        for request in &received {
            assert_eq!(request.refused, None, "the upstream accepts the signature");
            assert!(request.header("authorization").contains(GATEWAY_KEY.0));
            let whole = format!("{request:?}");
            assert!(!whole.contains("X-Amz-") && !whole.contains("ASIACHAP"), "{whole}");
        }
        let [get, put] = received.as_slice() else { panic!("two requests") };
        let target = |request: &chaperone_tests::upstream::Received| {
            request.uri.path_and_query().map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(target(get), "/a%20b//c?response-content-type=text%2Fplain");
        assert_eq!((target(put).as_str(), put.header("x-amz-acl")), ("/up?x-id=PutObject", "private"));
        assert_eq!(put.body_length, 300_000);
        let call = direct.row("SELECT * FROM v_calls WHERE operation = 'PutObject'", |_| true).await?;
        assert!(call["actions"].to_string().contains("s3:PutObjectAcl"), "{call}");
    }
    Ok(())
}

#[tokio::test]
async fn a_presigned_url_that_is_not_the_sessions_own_is_refused() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(S3);
    let check = async |signing: Signing, why: &str| {
        let reply = agent.ask(Method::GET, "/k", &[], "", &signing).await?;
        assert!(
            reply.status == StatusCode::FORBIDDEN && reply.text().contains(why),
            "{why}: {}",
            reply.text()
        );
        anyhow::Ok(())
    };
    let now = url().time;
    check(Signing { time: now - Duration::from_secs(90), ..url() }, "was good until").await?;
    check(Signing { time: now + Duration::from_secs(3600), ..url() }, "seconds from").await?;
    check(Signing { secret: Some("x".repeat(40)), ..url() }, "does not match").await?;
    check(Signing { access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()), ..url() }, "access key").await?;
    check(Signing { session_token: Some("other".to_owned()), ..url() }, "session token").await?;
    let presigned = agent.signed(Method::GET, "/k", &[], "", &url()).await?;
    let tampered = presigned.uri().to_string().replace("/k?", "/other?");
    let mut other = presigned;
    *other.uri_mut() = tampered.parse()?;
    assert!(agent.send(other).await?.text().contains("does not match"));
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn foreign_keys_are_an_event_and_in_a_flood_a_count() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(DYNAMODB);
    let id = "AKIAIOSFODNN7EXAMPLE";
    let foreign = Signing { access_key_id: Some(id.to_owned()), ..Signing::new("dynamodb") };
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let signed = agent.signed(Method::POST, "/", &headers, "{}", &foreign).await?;
    let authorization = signed.headers()["authorization"].to_str()?;
    let signature = authorization.split("Signature=").nth(1).context("a signature")?.to_owned();
    assert_eq!(agent.send(signed).await?.status, StatusCode::FORBIDDEN);
    let sql = "SELECT * FROM events WHERE kind = 'foreign-key'";
    let event = direct.row(sql, |_| true).await?;
    assert_eq!((&event["workload"], &event["pid"]), (&"builds".into(), &4242.into()), "{event}");
    let detail = event["detail"].to_string();
    assert!(detail.contains(id) && detail.contains(DYNAMODB), "{event}");
    assert!(!event.to_string().contains(&signature), "{event}");
    for _ in 1..25 {
        agent.ask(Method::POST, "/", &headers, "{}", &foreign).await?;
    }
    assert_eq!(direct.rows(sql).await?.len(), 20, "the others are counted");
    let calls = direct.rows("SELECT * FROM v_calls WHERE outcome = 'denied'").await?;
    assert_eq!(calls.len(), 25, "each call has its row");
    // The session's own key with another signature is no foreign key, and told all the same.
    let own = Signing { secret: Some("x".repeat(40)), ..Signing::new("dynamodb") };
    agent.ask(Method::POST, "/", &headers, "{}", &own).await?;
    let event = direct.row("SELECT * FROM events WHERE kind = 'wrong-signature'", |_| true).await?;
    let detail = event["detail"].to_string();
    let id = direct.placeholder().await?.access_key_id;
    assert!(detail.contains("wrong-signature") && detail.contains(&id), "{event}");
    Ok(())
}

/// An agent that came by another session's placeholder, of its cgroup or of keys that AWS gave it, tries it.
#[tokio::test]
async fn another_sessions_placeholder_is_an_event_that_names_both() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(DYNAMODB);
    let session = direct.session().await?;
    let keys = GivenKeys {
        access_key_id: "ASIAREALREALREALREAL".to_owned(),
        secret: SecretText::new("secret".to_owned()),
        session_token: SecretText::new("token".to_owned()),
        expires: None,
        account: None,
        role: None,
    };
    let minted = session.keep(keys).context("kept")?;
    agent.dynamodb("ListTables", "{}").await?;
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let neighbour = direct.agent(DYNAMODB).neighbour();
    for stolen in [&session.placeholder, &minted.placeholder] {
        let signing = Signing {
            access_key_id: Some(stolen.access_key_id.clone()),
            secret: Some(stolen.secret.expose().to_owned()),
            session_token: Some(stolen.session_token.expose().to_owned()),
            ..Signing::new("dynamodb")
        };
        let reply = neighbour.ask(Method::POST, "/", &headers, "{}", &signing).await?;
        assert!(reply.text().contains("ExpiredToken"), "{}", reply.text());
        let sql = "SELECT * FROM events WHERE kind = 'foreign-key' ORDER BY seq DESC LIMIT 1";
        let is_it = |row: &serde_json::Value| row["detail"].to_string().contains(&stolen.access_key_id);
        let event = direct.row(sql, is_it).await?;
        let detail = event["detail"].to_string();
        assert!(detail.contains("another-session") && detail.contains(&session.id.to_string()), "{event}");
        assert!(event["session"].is_string() && event["session"] != session.id.to_string(), "{event}");
    }
    // One that is nobody's may be an old one of its own.
    let made_up =
        Signing { access_key_id: Some("ASIACHAPAAAAAAAAAAAA".to_owned()), ..Signing::new("dynamodb") };
    for _ in 0..25 {
        neighbour.ask(Method::POST, "/", &headers, "{}", &made_up).await?;
    }
    assert_eq!(direct.rows("SELECT * FROM events WHERE kind = 'unknown-placeholder'").await?.len(), 20);
    assert_eq!(direct.rows("SELECT * FROM events WHERE kind = 'foreign-key'").await?.len(), 2);
    Ok(())
}

const OWNER: (&str, &str, &str) = ("ASIAOWNERKEY00000001", "owner-secret-0123456789", "owner-token");

/// A gateway whose workload has keys of its own, and AWS, which knows them alone.
async fn passthrough(policies: &str) -> Result<Direct> {
    let (id, secret, token) = OWNER;
    let key = Key { id: id.to_owned(), secret: secret.to_owned(), session_token: Some(token.to_owned()) };
    Direct::start(Setup {
        credentials: CredentialSource::Passthrough,
        policies: policies.to_owned(),
        upstream: Box::new(|config| config.keys = vec![key]),
        ..Setup::default()
    })
    .await
}

fn owned(service: &str) -> Signing {
    let (id, secret, token) = OWNER;
    Signing {
        access_key_id: Some(id.to_owned()),
        secret: Some(secret.to_owned()),
        session_token: Some(token.to_owned()),
        ..Signing::new(service)
    }
}

#[tokio::test]
async fn a_workload_with_keys_of_its_own_is_decided_recorded_and_forwarded_as_it_is() -> Result<()> {
    for h2 in [false, true] {
        let policies = r#"
            @id("reads") permit (principal, action in [Action::"dynamodb:ListTables", Action::"s3:PutObject"], resource);
        "#;
        let direct = passthrough(policies).await?;
        let agent = direct.agent(DYNAMODB);
        let agent = if h2 { agent.h2() } else { agent };
        let headers = |operation: &'static str| {
            [
                ("x-amz-target", operation),
                ("content-type", "application/x-amz-json-1.0"),
                ("user-agent", "me/1"),
            ]
        };
        let allowed = headers("DynamoDB_20120810.ListTables");
        let signed = agent.signed(Method::POST, "/", &allowed, "{}", &owned("dynamodb")).await?;
        let sent = signed.headers().clone();
        let reply = agent.send(signed).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let denied = headers("DynamoDB_20120810.DescribeLimits");
        let reply = agent.ask(Method::POST, "/", &denied, "{}", &owned("dynamodb")).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
        assert!(reply.text().contains("which no rule permits"), "{}", reply.text());

        let received = direct.upstream.wait_for(1).await;
        let request = received.first().context("one request")?;
        assert_eq!(request.refused, None, "AWS verifies the agent's own signature");
        for (name, value) in &sent {
            assert_eq!(request.headers.get(name), Some(value), "{name}");
        }
        assert_eq!(request.header("user-agent"), "me/1", "nothing is added");
        let call = direct.row("SELECT * FROM v_calls WHERE outcome = 'forwarded'", |_| true).await?;
        assert_eq!(call["access_key_id"], OWNER.0, "{call}");

        // Chunks that are signed one by one pass as they are.
        let s3 = direct.agent(S3);
        let mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let chunks = Signing { payload: Payload::Named(mode), ..owned("s3") };
        let headers = [("x-amz-decoded-content-length", "5"), ("content-encoding", "aws-chunked")];
        let body = "5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n";
        let reply = s3.ask(Method::PUT, "/k", &headers, body, &chunks).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let received = direct.upstream.wait_for(2).await;
        assert_eq!(received[1].body_length, body.len() as u64);
    }
    Ok(())
}

#[tokio::test]
async fn a_rule_with_a_role_permits_nothing_to_who_has_keys_of_ones_own() -> Result<()> {
    const ROLE: &str = "arn:aws:iam::222222222222:role/next";
    let policies = format!(
        r#"@id("in-a-role") @role("{ROLE}") permit (principal, action == Action::"dynamodb:ListTables", resource);"#
    );
    let direct = passthrough(&policies).await?;
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let reply = direct.agent(DYNAMODB).ask(Method::POST, "/", &headers, "{}", &owned("dynamodb")).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
    let words = "the rule that permits this call wants it made in another role than its keys are of";
    assert!(reply.text().contains(words) && !reply.text().contains(ROLE), "{}", reply.text());
    assert!(direct.upstream.requests().is_empty());
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
    assert_eq!((&call["outcome"], &call["status"]), (&"denied".into(), &403.into()), "{call}");
    assert_eq!((&call["decision"], &call["reason"]), (&"refused".into(), &format!("{words}: {ROLE}").into()));
    Ok(())
}

#[tokio::test]
async fn what_is_not_authentic_is_refused_with_keys_of_ones_own_too() -> Result<()> {
    let direct = passthrough(chaperone_tests::direct::ALLOW_ALL).await?;
    let agent = direct.agent(DYNAMODB);
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let check = async |signing: Signing, why: &str| {
        let reply = agent.ask(Method::POST, "/", &headers, "{}", &signing).await?;
        assert!(
            reply.status == StatusCode::FORBIDDEN && reply.text().contains(why),
            "{why}: {}",
            reply.text()
        );
        anyhow::Ok(())
    };
    check(Signing::new("dynamodb"), "is a placeholder").await?;
    let old = Signing { time: owned("dynamodb").time - Duration::from_secs(3600), ..owned("dynamodb") };
    check(old, "more than 300 seconds").await?;
    check(Signing { region: "us-east-1".to_owned(), ..owned("dynamodb") }, "region").await?;
    let mut unsigned = agent.signed(Method::POST, "/", &headers, "{}", &owned("dynamodb")).await?;
    unsigned.headers_mut().remove("authorization");
    assert!(agent.send(unsigned).await?.text().contains("not signed"));
    assert!(direct.upstream.requests().is_empty());
    // A wrong signature is AWS's to refuse.
    let wrong = Signing { secret: Some("x".repeat(40)), ..owned("dynamodb") };
    let reply = agent.ask(Method::POST, "/", &headers, "{}", &wrong).await?;
    assert_ne!(reply.status, StatusCode::OK);
    assert!(direct.upstream.wait_for(1).await[0].refused.is_some());
    let events = direct.rows("SELECT * FROM events WHERE kind = 'foreign-key'").await?;
    assert_eq!(events.len(), 1, "keys are meant to be foreign, and a placeholder is not: {events:?}");
    assert!(events[0]["detail"].to_string().contains("\\\"placeholder\\\""), "{events:?}");
    Ok(())
}
