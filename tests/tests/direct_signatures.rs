//! Presigned URLs, foreign keys, and workloads with keys of their own, through the whole gateway.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, GATEWAY_KEY, Payload, Reply, Setup, Signing},
    upstream::{Key, Role},
};
use gateway_user::{
    api::SessionLog as _,
    clock::Clock,
    identify::{CredentialSource, EndReason, GivenKeys, Identity, Minted, Session},
    secret::SecretText,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

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
    let now = Clock::system().now();
    let direct = Direct::start(Setup { clock: Clock::manual(now), ..Setup::default() }).await?;
    let agent = direct.agent(S3);
    let url = || Signing { time: now.into(), ..url() };
    let check = async |signing: Signing, why: &str| {
        let reply = agent.ask(Method::GET, "/k", &[], "", &signing).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{why}: {}", reply.text());
        assert_eq!(last_reason(&direct).await?, why);
        anyhow::Ok(())
    };
    let at = |seconds: i64| written(now + time::Duration::seconds(seconds));
    let old = Signing { time: (now - Duration::from_secs(90)).into(), ..url() };
    check(old, &format!("the presigned URL was good until {}, and now it is {}", at(-30), at(0))).await?;
    let early = Signing { time: (now + Duration::from_secs(3600)).into(), ..url() };
    check(early, &format!("the signature's date {} is more than 300 seconds from {}", at(3600), at(0)))
        .await?;
    check(Signing { secret: Some("x".repeat(40)), ..url() }, MISMATCH).await?;
    let foreign = Signing { access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()), ..url() };
    let why = "the access key id AKIAIOSFODNN7EXAMPLE is not the one this session was given; keys of one's own are refused";
    check(foreign, why).await?;
    let why = "the session token is missing or not the one this session was given";
    check(Signing { session_token: Some("other".to_owned()), ..url() }, why).await?;
    let presigned = agent.signed(Method::GET, "/k", &[], "", &url()).await?;
    let tampered = presigned.uri().to_string().replace("/k?", "/other?");
    let mut other = presigned;
    *other.uri_mut() = tampered.parse()?;
    assert_eq!(agent.send(other).await?.status, StatusCode::FORBIDDEN);
    assert_eq!(last_reason(&direct).await?, MISMATCH);
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}

const MISMATCH: &str = "the signature does not match";

/// A date as signatures have it.
fn written(time: time::OffsetDateTime) -> String {
    let (date, hour, minute, second) = (time.date(), time.hour(), time.minute(), time.second());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Why the newest call was refused, whole, as the record has it before the agent is answered.
async fn last_reason(direct: &Direct) -> Result<String> {
    let row = direct.row("SELECT reason FROM v_calls ORDER BY seq DESC LIMIT 1", |_| true).await?;
    Ok(row.get("reason").and_then(Value::as_str).context("a reason")?.to_owned())
}

/// What an event says beyond its kind.
fn detail_of(event: &Value) -> Result<Value> {
    Ok(serde_json::from_str(event.get("detail").and_then(Value::as_str).context("detail")?)?)
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
    let cgroup_id = direct.session().await?.cgroup_id.0;
    let detail = |reason: &str, id: &str| json!({ "reason": reason, "access_key_id": id, "host": DYNAMODB, "cgroup_id": cgroup_id });
    assert_eq!(detail_of(&event)?, detail("not-a-placeholder", id), "{event}");
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
    let id = direct.placeholder().await?.access_key_id;
    assert_eq!(detail_of(&event)?, detail("wrong-signature", &id), "{event}");
    assert_eq!(last_reason(&direct).await?, MISMATCH);
    // Nor with another token, which is told apart.
    let own = Signing { session_token: Some("other".to_owned()), ..Signing::new("dynamodb") };
    agent.ask(Method::POST, "/", &headers, "{}", &own).await?;
    let sql = "SELECT * FROM events WHERE kind = 'wrong-signature'";
    let event = direct.row(sql, |row| row["seq"] != event["seq"]).await?;
    assert_eq!(detail_of(&event)?, detail("wrong-token", &id), "{event}");
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
        assert!(
            reply.text().contains("<Code>ExpiredToken</Code>")
                || reply.text().contains("ExpiredTokenException"),
            "{}",
            reply.text()
        );
        let sql = "SELECT * FROM events WHERE kind = 'foreign-key' ORDER BY seq DESC LIMIT 1";
        let is_it = |row: &Value| row["detail"].to_string().contains(&stolen.access_key_id);
        let event = direct.row(sql, is_it).await?;
        let expected = json!({
            "reason": "another-session",
            "other_session": session.id.to_string(),
            "other_workload": "builds",
            "access_key_id": stolen.access_key_id,
            "host": DYNAMODB,
            "cgroup_id": detail_of(&event)?["cgroup_id"],
        });
        assert_eq!(detail_of(&event)?, expected, "{event}");
        assert_ne!(expected["cgroup_id"], session.cgroup_id.0, "{event}");
        assert!(event["session"].is_string() && event["session"] != session.id.to_string(), "{event}");
        assert_eq!(event["workload"], "neighbours", "{event}");
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

const AGENTS: &str = "arn:aws:iam::123456789012:role/agents";

/// How a session ends in [`check_ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As `chaperone sessions kill` has it done.
    Killed,
    /// Its cgroup has another session afterwards.
    Expired,
    CgroupGone,
}

/// What the role's keys were good for while the session lasted they are good for no longer: from another session, and
/// where the cgroup has a new one, from that.
async fn check_ended(end: End) -> Result<()> {
    let clock = Clock::manual(Clock::system().now());
    let its = clock.clone();
    let direct = Direct::start(Setup {
        upstream: Box::new(|config| {
            config.roles = vec![Role::allowing(AGENTS, &["*"])];
            config.clock = its;
        }),
        clock: clock.clone(),
        ..Setup::default()
    })
    .await?;
    let session = direct.session().await?;
    let expires = Some(clock.now() + time::Duration::minutes(1));
    session.is_known_as(Identity { expires, ..Identity::host(&session.workload) });
    let minted = assumed(&direct, &session, &clock).await?;
    let signing = || Signing {
        access_key_id: Some(minted.placeholder.access_key_id.clone()),
        secret: Some(minted.placeholder.secret.expose().to_owned()),
        session_token: Some(minted.placeholder.session_token.expose().to_owned()),
        time: clock.now().into(),
        ..Signing::new("s3")
    };
    let get = async |signing: &Signing| direct.agent(S3).ask(Method::GET, "/a", &[], "", signing).await;
    assert_eq!(get(&signing()).await?.status, StatusCode::OK, "{end:?}");
    let arrived = direct.upstream.requests().len();

    let gateway = &direct.gateway;
    match end {
        End::Killed => {
            let killed = gateway.registry.kill(session.id).context("it lives")?;
            gateway.killed(&killed, 0).await?;
        }
        End::Expired => {
            clock.set(clock.now() + time::Duration::seconds(61));
            gateway.end_expired().await;
        }
        End::CgroupGone => {
            direct.remove_cgroup();
            gateway.end_gone().await;
        }
    }
    let reason = match end {
        End::Killed => EndReason::Killed,
        End::Expired => EndReason::TokenExpired,
        End::CgroupGone => EndReason::CgroupGone,
    };
    assert_eq!(session.ended(clock.now()), Some(reason));

    let expired = format!(
        "the keys {} have expired, or were made before the gateway was restarted: ask for new ones",
        minted.placeholder.access_key_id
    );
    let check = async |reply: Reply, who: &str| {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{end:?} {who}: {}", reply.text());
        assert!(reply.text().contains("<Code>ExpiredToken</Code>"), "{end:?} {who}: {}", reply.text());
        assert_eq!(last_reason(&direct).await?, expired, "{end:?} {who}");
        anyhow::Ok(())
    };
    let neighbour = direct.agent(S3).neighbour();
    check(neighbour.ask(Method::GET, "/a", &[], "", &signing()).await?, "a neighbour").await?;
    if end == End::Expired {
        check(get(&signing()).await?, "the next session").await?;
        assert_ne!(direct.session().await?.id, session.id);
    }
    if end == End::Killed {
        let reply = get(&signing()).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(
            reply.text().contains("<Message>Chaperone: identity not accepted.</Message>"),
            "{}",
            reply.text()
        );
    }
    assert_eq!(direct.upstream.requests().len(), arrived, "{end:?}");
    assert!(session.minted(&minted.placeholder.access_key_id).is_none(), "nothing of it is kept");
    Ok(())
}

/// Keys that an agent gets by `sts:AssumeRole`, as the gateway keeps them.
async fn assumed(direct: &Direct, session: &Session, clock: &Clock) -> Result<std::sync::Arc<Minted>> {
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let role = AGENTS.replace(':', "%3A").replace('/', "%2F");
    let body = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=agent&RoleArn={role}");
    let signing = Signing { time: clock.now().into(), ..Signing::new("sts") };
    let reply =
        direct.agent("sts.eu-central-1.amazonaws.com").ask(Method::POST, "/", &form, body, &signing).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let text = reply.text();
    let (_, id) = text.split_once("<AccessKeyId>").context("a key")?;
    let id = id.split('<').next().unwrap_or_default();
    session.minted(id).context("it is kept")
}

#[tokio::test]
async fn keys_of_an_assumed_role_end_with_a_session_that_was_killed() -> Result<()> {
    check_ended(End::Killed).await
}

#[tokio::test]
async fn keys_of_an_assumed_role_end_with_a_session_whose_token_expired() -> Result<()> {
    check_ended(End::Expired).await
}

#[tokio::test]
async fn keys_of_an_assumed_role_end_with_a_session_whose_cgroup_is_gone() -> Result<()> {
    check_ended(End::CgroupGone).await
}

const OWNER: (&str, &str, &str) = ("ASIAOWNERKEY00000001", "owner-secret-0123456789", "owner-token");

/// A gateway whose workload has keys of its own, and AWS, which knows them alone.
async fn passthrough(policies: &str) -> Result<Direct> {
    passthrough_at(policies, Clock::system()).await
}

async fn passthrough_at(policies: &str, clock: Clock) -> Result<Direct> {
    let (id, secret, token) = OWNER;
    let key = Key { id: id.to_owned(), secret: secret.to_owned(), session_token: Some(token.to_owned()) };
    Direct::start(Setup {
        credentials: CredentialSource::Passthrough,
        policies: policies.to_owned(),
        upstream: Box::new(|config| config.keys = vec![key]),
        clock,
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
    let now = Clock::system().now();
    let direct = passthrough_at(ALLOW_ALL, Clock::manual(now)).await?;
    let agent = direct.agent(DYNAMODB);
    let headers =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let check = async |signing: Signing, why: &str| {
        let reply = agent.ask(Method::POST, "/", &headers, "{}", &signing).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{why}: {}", reply.text());
        assert_eq!(last_reason(&direct).await?, why);
        anyhow::Ok(())
    };
    let own = direct.placeholder().await?.access_key_id;
    let why = format!("the access key id {own} is a placeholder; this workload uses keys of its own");
    check(Signing::new("dynamodb"), &why).await?;
    let owned = |service| Signing { time: now.into(), ..owned(service) };
    let old = Signing { time: (now - Duration::from_secs(3600)).into(), ..owned("dynamodb") };
    let dates = [now - Duration::from_secs(3600), now].map(written);
    let why = format!("the signature's date {} is more than 300 seconds from {}", dates[0], dates[1]);
    check(old, &why).await?;
    let why = format!("the signature is for the region us-east-1, which is not that of {DYNAMODB}");
    check(Signing { region: "us-east-1".to_owned(), ..owned("dynamodb") }, &why).await?;
    let mut unsigned = agent.signed(Method::POST, "/", &headers, "{}", &owned("dynamodb")).await?;
    unsigned.headers_mut().remove("authorization");
    assert_eq!(agent.send(unsigned).await?.status, StatusCode::FORBIDDEN);
    assert_eq!(
        last_reason(&direct).await?,
        "the request is not signed; unsigned (anonymous) requests are refused"
    );
    assert!(direct.upstream.requests().is_empty());
    // A wrong signature is AWS's to refuse.
    let wrong = Signing { secret: Some("x".repeat(40)), ..owned("dynamodb") };
    let reply = agent.ask(Method::POST, "/", &headers, "{}", &wrong).await?;
    assert_ne!(reply.status, StatusCode::OK);
    assert!(direct.upstream.wait_for(1).await[0].refused.is_some());
    let events = direct.rows("SELECT * FROM events WHERE kind = 'foreign-key'").await?;
    assert_eq!(events.len(), 1, "keys are meant to be foreign, and a placeholder is not: {events:?}");
    assert_eq!(detail_of(&events[0])?["reason"], "placeholder", "{events:?}");
    Ok(())
}
