//! Answers that carry keys: the agent gets a placeholder, the keys stay with the gateway.

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Reply, Setup, Signing},
    upstream::{Behaviour, Issued, Role},
};
use gateway_user::{clock::Clock, prim::SessionId};
use http::{Method, StatusCode};
use time::Duration;

const AGENTS: &str = "arn:aws:iam::123456789012:role/agents";
const NEXT: &str = "arn:aws:iam::222222222222:role/next";
const LAST: &str = "arn:aws:iam::333333333333:role/last";
const S3: &str = "s3.eu-central-1.amazonaws.com";
const STS: &str = "sts.eu-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";

async fn start(policies: &str, clock: Clock) -> Result<Direct> {
    Direct::start(Setup {
        policies: policies.to_owned(),
        upstream: Box::new(|config| {
            config.roles = [AGENTS, NEXT, LAST].map(|role| Role::allowing(role, &["*"])).into();
        }),
        workload: Box::new(|workload| workload.role_arn = Some(AGENTS.to_owned())),
        clock,
        ..Setup::default()
    })
    .await
}

/// A pair of keys as an agent got it.
struct Keys {
    id: String,
    secret: String,
    token: String,
}

impl Keys {
    /// Those in an answer of STS.
    fn of(reply: &Reply) -> Result<Self> {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let text = reply.text();
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>")).with_context(|| text.clone())?;
            Ok::<_, anyhow::Error>(rest.split('<').next().unwrap_or_default().to_owned())
        };
        Ok(Self { id: part("AccessKeyId")?, secret: part("SecretAccessKey")?, token: part("SessionToken")? })
    }

    fn signing(&self, service: &str) -> Signing {
        Signing {
            access_key_id: Some(self.id.clone()),
            secret: Some(self.secret.clone()),
            session_token: Some(self.token.clone()),
            ..Signing::new(service)
        }
    }
}

async fn assume(direct: &Direct, role: &str, signing: &Signing) -> Result<Reply> {
    assume_as(direct, "agent", role, signing).await
}

async fn assume_as(direct: &Direct, name: &str, role: &str, signing: &Signing) -> Result<Reply> {
    let form =
        [("content-type", "application/x-www-form-urlencoded; charset=utf-8"), ("accept-encoding", "gzip")];
    let role = role.replace(':', "%3A").replace('/', "%2F");
    let body = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName={name}&RoleArn={role}");
    direct.agent(STS).ask(Method::POST, "/", &form, body, signing).await
}

#[tokio::test]
async fn no_role_is_assumed_in_the_name_of_another_session() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let other = SessionId::generate().to_string();
    let before = direct.upstream.requests().len();
    for name in [other.clone(), other.to_ascii_uppercase()] {
        let reply = assume_as(&direct, &name, NEXT, &Signing::new("sts")).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
        assert!(reply.text().contains("is how Chaperone names sessions"), "{}", reply.text());
    }
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let body = format!("Action=GetFederationToken&Version=2011-06-15&Name={other}");
    let reply = direct.agent(STS).ask(Method::POST, "/", &form, body, &Signing::new("sts")).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
    assert!(reply.text().contains("is how Chaperone names sessions"), "{}", reply.text());
    assert_eq!(direct.upstream.requests().len(), before);
    let own = direct.session().await?.id.to_string();
    for name in [own.as_str(), "s-1", &other[1..]] {
        let reply = assume_as(&direct, name, NEXT, &Signing::new("sts")).await?;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text());
    }
    Ok(())
}

async fn get(direct: &Direct, signing: &Signing) -> Result<Reply> {
    direct.agent(S3).ask(Method::GET, "/bucket/a", &[], "", signing).await
}

/// The keys that STS gave for `role`, last.
fn issued(direct: &Direct, role: &str) -> Result<Issued> {
    direct.upstream.issued().into_iter().rfind(|issued| issued.role == role).context("none was issued")
}

/// Whether nothing in the answer, head or body, is a part of keys that STS gave.
fn shows_no_key(direct: &Direct, reply: &Reply) -> bool {
    let seen = format!("{:?} {}", reply.headers, reply.text());
    let parts = |issued: Issued| [Some(issued.key.id), Some(issued.key.secret), issued.key.session_token];
    let mut parts = direct.upstream.issued().into_iter().flat_map(parts).flatten();
    !parts.any(|part| seen.contains(&part))
}

#[tokio::test]
async fn a_role_is_assumed_and_its_keys_stay_here() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let reply = assume(&direct, NEXT, &Signing::new("sts")).await?;
    let keys = Keys::of(&reply)?;
    let real = issued(&direct, NEXT)?;
    assert!(shows_no_key(&direct, &reply), "{}", reply.text());
    assert!(keys.id.starts_with("ASIACHAP") && keys.id != direct.placeholder().await?.access_key_id);
    assert!(reply.text().contains("assumed-role/next/agent"), "{}", reply.text());
    assert_eq!(reply.headers["content-length"].to_str()?, reply.body.len().to_string());
    let asked = direct.upstream.requests().pop().context("a request")?;
    assert_eq!(asked.header("accept-encoding"), "identity");

    // Signed with them, a call arrives signed with what they stand for.
    let given = get(&direct, &keys.signing("s3")).await?;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    let received = direct.upstream.requests().pop().context("a request")?;
    assert!(received.refused.is_none() && received.header("authorization").contains(&real.key.id));
    assert!(!received.header("authorization").contains(&keys.id));

    // ARNs are of the account of the role.
    let json =
        [("x-amz-target", "DynamoDB_20120810.GetItem"), ("content-type", "application/x-amz-json-1.0")];
    let body = r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#;
    let agent = direct.agent(DYNAMODB);
    let reply = agent.ask(Method::POST, "/", &json, body, &keys.signing("dynamodb")).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let call = direct.row("SELECT * FROM v_calls", |row| row["operation"] == "GetItem").await?;
    assert_eq!(call["account"], "222222222222", "{call}");
    assert!(call.to_string().contains("arn:aws:dynamodb:eu-central-1:222222222222:table/t"), "{call}");
    assert_eq!(call["access_key_id"], keys.id.as_str(), "{call}");

    let event = direct.row("SELECT * FROM events", |row| row["kind"] == "keys-minted").await?;
    let text = event.to_string();
    for part in [&keys.id, &real.key.id, "sts:AssumeRole", NEXT] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for secret in [&keys.secret, &keys.token, &real.key.secret, &real.key.session_token.context("token")?] {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn roles_are_assumed_one_after_the_other() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let next = Keys::of(&assume(&direct, NEXT, &Signing::new("sts")).await?)?;
    let reply = assume(&direct, LAST, &next.signing("sts")).await?;
    let last = Keys::of(&reply)?;
    assert!(shows_no_key(&direct, &reply));
    assert_eq!(issued(&direct, LAST)?.by, issued(&direct, NEXT)?.key.id);
    assert_eq!(get(&direct, &last.signing("s3")).await?.status, StatusCode::OK);
    let received = direct.upstream.requests().pop().context("a request")?;
    assert!(received.header("authorization").contains(&issued(&direct, LAST)?.key.id));
    // The session's own keys, and the first, are what they were.
    assert_eq!(get(&direct, &next.signing("s3")).await?.status, StatusCode::OK);
    assert_eq!(get(&direct, &Signing::new("s3")).await?.status, StatusCode::OK);
    Ok(())
}

/// Whoever has a token for a role gets its keys, of whatever account: to assume it must be revealed, too.
#[tokio::test]
async fn keys_for_a_token_must_be_revealed_and_are_replaced_all_the_same() -> Result<()> {
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let role = NEXT.replace(':', "%3A").replace('/', "%2F");
    let body = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=agent&WebIdentityToken=a.b.c&RoleArn={role}"
    );
    let sts = Signing::new("sts");
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let reply = direct.agent(STS).ask(Method::POST, "/", &form, body.clone(), &sts).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
    assert!(reply.text().contains("no rule reveals"), "{}", reply.text());
    assert!(direct.upstream.requests().is_empty() && direct.upstream.issued().is_empty());

    let reveals = format!(
        r#"{ALLOW_ALL}@id("web") permit (principal, action == Action::"reveal", resource == Resource::"{NEXT}");"#
    );
    let direct = start(&reveals, Clock::system()).await?;
    let reply = direct.agent(STS).ask(Method::POST, "/", &form, body, &sts).await?;
    let keys = Keys::of(&reply)?;
    assert!(keys.id.starts_with("ASIACHAP") && shows_no_key(&direct, &reply), "{}", reply.text());
    assert_eq!(get(&direct, &keys.signing("s3")).await?.status, StatusCode::OK);
    let received = direct.upstream.requests().pop().context("a request")?;
    assert!(received.header("authorization").contains(&issued(&direct, NEXT)?.key.id));
    for kind in ["revealed", "keys-minted"] {
        direct.row("SELECT * FROM events", |row| row["kind"] == kind).await?;
    }
    Ok(())
}

#[tokio::test]
async fn policy_decides_who_assumes_what() -> Result<()> {
    let rules = format!(
        r#"permit (principal, action == Action::"sts:AssumeRole", resource == Resource::"{NEXT}");
           permit (principal, action == Action::"s3:GetObject", resource);
           @id("elsewhere") @role("{LAST}") permit (principal, action == Action::"dynamodb:ListTables", resource);"#
    );
    let direct = start(&rules, Clock::system()).await?;
    let reply = assume(&direct, LAST, &Signing::new("sts")).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text().contains(&format!("needs sts:AssumeRole on {LAST}")), "{}", reply.text());
    assert!(direct.upstream.issued().is_empty());
    let keys = Keys::of(&assume(&direct, NEXT, &Signing::new("sts")).await?)?;
    assert_eq!(get(&direct, &keys.signing("s3")).await?.status, StatusCode::OK);
    let put = direct.agent(S3).ask(Method::PUT, "/bucket/a", &[], "x", &keys.signing("s3")).await?;
    assert_eq!(put.status, StatusCode::FORBIDDEN);
    // A rule that permits it in one role does not permit it in another.
    let json =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let list = direct.agent(DYNAMODB).ask(Method::POST, "/", &json, "{}", &keys.signing("dynamodb")).await?;
    assert_eq!(list.status, StatusCode::FORBIDDEN);
    assert!(list.text().contains("in another role"), "{}", list.text());
    let call = direct.row("SELECT * FROM v_calls", |row| row["operation"] == "ListTables").await?;
    assert_eq!((&call["decision"], &call["outcome"]), (&"refused".into(), &"denied".into()), "{call}");
    assert!(call["reason"].as_str().is_some_and(|reason| reason.contains(LAST)), "{call}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_signature_or_token_is_not_enough() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let keys = Keys::of(&assume(&direct, NEXT, &Signing::new("sts")).await?)?;
    let own = direct.placeholder().await?;
    let secret = Signing { secret: Some(own.secret.expose().to_owned()), ..keys.signing("s3") };
    let token = Signing { session_token: Some(own.session_token.expose().to_owned()), ..keys.signing("s3") };
    for (signing, code) in [(secret, "SignatureDoesNotMatch"), (token, "InvalidAccessKeyId")] {
        let reply = get(&direct, &signing).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.text().contains(code), "{}", reply.text());
    }
    let events = direct.rows("SELECT * FROM events WHERE kind = 'wrong-signature' ORDER BY seq").await?;
    let reasons: Vec<_> = events.iter().map(|event| event["detail"].to_string()).collect();
    assert_eq!(reasons.len(), 2, "{events:?}");
    assert!(reasons[0].contains("wrong-signature") && reasons[1].contains("wrong-token"), "{events:?}");
    assert!(reasons.iter().all(|detail| detail.contains(&keys.id)), "{events:?}");
    Ok(())
}

#[tokio::test]
async fn keys_of_another_gateway_have_expired() -> Result<()> {
    let first = start(ALLOW_ALL, Clock::system()).await?;
    let keys = Keys::of(&assume(&first, NEXT, &Signing::new("sts")).await?)?;
    // The same host after a restart: it knows nothing of them.
    let second = start(ALLOW_ALL, Clock::system()).await?;
    let reply = get(&second, &keys.signing("s3")).await?;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text().contains("<Code>ExpiredToken</Code>"), "{}", reply.text());
    let reply = assume(&second, NEXT, &keys.signing("sts")).await?;
    assert!(reply.text().contains("<Code>ExpiredToken</Code>"), "{}", reply.text());
    assert!(second.upstream.issued().is_empty() && second.upstream.requests().is_empty());
    let call = second.row("SELECT * FROM v_calls", |row| row["access_key_id"] == keys.id.as_str()).await?;
    assert_eq!(call["error_code"], "ExpiredToken", "{call}");
    // It may be what an SDK still had; that is counted apart from keys that are surely foreign.
    assert!(second.rows("SELECT * FROM events WHERE kind = 'foreign-key'").await?.is_empty());
    let unknown = second.rows("SELECT * FROM events WHERE kind = 'unknown-placeholder'").await?;
    assert_eq!(unknown.len(), 2, "{unknown:?}");
    assert!(unknown[0]["detail"].to_string().contains(&keys.id), "{unknown:?}");

    let foreign = Signing { access_key_id: Some("ASIAIOSFODNN7EXAMPLE".to_owned()), ..Signing::new("s3") };
    assert!(get(&second, &foreign).await?.text().contains("InvalidAccessKeyId"));
    second.row("SELECT * FROM events", |row| row["kind"] == "foreign-key").await?;
    Ok(())
}

#[tokio::test]
async fn keys_expire_when_aws_says() -> Result<()> {
    let start_at = Clock::system().now();
    let clock = Clock::manual(start_at);
    let direct = Direct::start(Setup {
        upstream: {
            let clock = clock.clone();
            Box::new(move |config| {
                config.roles = vec![Role::allowing(AGENTS, &["*"]), Role::allowing(NEXT, &["*"])];
                config.clock = clock;
            })
        },
        clock: clock.clone(),
        ..Setup::default()
    })
    .await?;
    let at = |signing: Signing| Signing { time: clock.now().into(), ..signing };
    let keys = Keys::of(&assume(&direct, NEXT, &at(Signing::new("sts"))).await?)?;
    clock.set(start_at + Duration::minutes(59));
    assert_eq!(get(&direct, &at(keys.signing("s3"))).await?.status, StatusCode::OK);
    let arrived = direct.upstream.requests().len();
    clock.set(start_at + Duration::hours(1));
    let reply = get(&direct, &at(keys.signing("s3"))).await?;
    assert!(reply.text().contains("<Code>ExpiredToken</Code>"), "{}", reply.text());
    assert_eq!(direct.upstream.requests().len(), arrived);
    Ok(())
}

/// An answer of STS with keys of which the gateway knows nothing else.
const ANSWER: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAREALREALREALREAL</AccessKeyId>\
    <SecretAccessKey>real-secret-of-forty-characters-00000001</SecretAccessKey><SessionToken>real-token-real-token\
    </SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[tokio::test]
async fn an_answer_that_is_not_as_expected_is_withheld() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let long = format!("<!--{}-->{ANSWER}", "x".repeat(256 * 1024));
    let twice = ANSWER.replace("<Credentials>", "<Credentials><SessionToken>more</SessionToken>");
    let missing = ANSWER.replace("SecretAccessKey", "Secret");
    let broken = ANSWER.replace("</Credentials>", "");
    let json = r#"{"Credentials":{"SecretAccessKey":"real-secret-of-forty-characters-00000001"}}"#.to_owned();
    let entity = format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{ANSWER}");
    let good = || ANSWER.to_owned();
    let header = ("x-nothing", "x");
    for (status, content_type, body, (name, value), why) in [
        (200, "text/xml", good(), ("content-encoding", "gzip"), "Content-Encoding"),
        (200, "text/html", good(), header, "Content-Type"),
        (200, "application/json", json, header, "Content-Type"),
        (206, "text/xml", good(), header, "status 206"),
        (200, "text/xml", long, header, "more than 262144 bytes"),
        (200, "text/xml", broken, header, "cannot be read"),
        (200, "text/xml", entity, header, "cannot be read"),
        (200, "text/xml", twice, header, "a part is there twice"),
        (200, "text/xml", missing, header, "a part is missing"),
        (200, "text/xml", String::new(), header, "cannot be read"),
    ] {
        let (status, body) = (StatusCode::from_u16(status)?, body.into());
        direct.upstream.script([Behaviour::AnswerWith { name, value, status, content_type, body }]);
        let reply = assume(&direct, NEXT, &Signing::new("sts")).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{why}: {}", reply.text());
        let seen = format!("{:?} {}", reply.headers, reply.text());
        assert!(!seen.contains("real-") && !seen.contains("REALREAL") && !seen.contains(why), "{seen}");
        assert!(seen.contains("the keys in the answer could not be replaced"), "{seen}");
        let event = direct
            .row("SELECT * FROM events WHERE kind = 'keys-withheld'", |row| row.to_string().contains(why));
        let event = event.await.context(why)?.to_string();
        assert!(event.contains("sts:AssumeRole") && !event.contains("real-"), "{event}");
    }
    // It breaks off.
    direct.upstream.script([Behaviour::ResetAfter(40)]);
    let reply = assume(&direct, NEXT, &Signing::new("sts")).await?;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{}", reply.text());
    let count = "SELECT count(*) AS count FROM v_calls WHERE outcome = 'failed'";
    direct.row(count, |row| row["count"] == 11).await?;
    // The same, as it should be.
    let (status, content_type) = (StatusCode::OK, "text/xml");
    direct.upstream.script([Behaviour::Answer { status, content_type, body: ANSWER.into() }]);
    let keys = Keys::of(&assume(&direct, NEXT, &Signing::new("sts")).await?)?;
    assert!(keys.id.starts_with("ASIACHAP") && !keys.token.contains("real"));
    Ok(())
}

#[tokio::test]
async fn errors_of_aws_pass_as_they_are() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let error =
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    direct.upstream.script([Behaviour::Answer {
        status: StatusCode::FORBIDDEN,
        content_type: "text/xml",
        body: error.into(),
    }]);
    let reply = assume(&direct, NEXT, &Signing::new("sts")).await?;
    assert_eq!((reply.status, reply.text().as_str()), (StatusCode::FORBIDDEN, error));
    Ok(())
}

#[tokio::test]
async fn the_account_of_keys_that_do_not_tell_is_asked_for() -> Result<()> {
    let direct = start(ALLOW_ALL, Clock::system()).await?;
    let text = assume(&direct, NEXT, &Signing::new("sts")).await?;
    Keys::of(&text)?;
    // Other keys in an answer that does not name the principal: those of the role, which STS knows.
    let real = issued(&direct, NEXT)?.key;
    let body = ANSWER
        .replace("ASIAREALREALREALREAL", &real.id)
        .replace("real-secret-of-forty-characters-00000001", &real.secret)
        .replace("real-token-real-token", &real.session_token.unwrap_or_default());
    let (status, content_type) = (StatusCode::OK, "text/xml");
    direct.upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
    let keys = Keys::of(&assume(&direct, NEXT, &Signing::new("sts")).await?)?;
    let json =
        [("x-amz-target", "DynamoDB_20120810.ListTables"), ("content-type", "application/x-amz-json-1.0")];
    let list = direct.agent(DYNAMODB).ask(Method::POST, "/", &json, "{}", &keys.signing("dynamodb")).await?;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text());
    let call = direct.row("SELECT * FROM v_calls", |row| row["operation"] == "ListTables").await?;
    assert_eq!(call["account"], "222222222222", "{call}");
    Ok(())
}

#[tokio::test]
async fn sessions_of_s3_express_work() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let host = "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
    let express = |signing: Signing| Signing { region: "us-east-1".to_owned(), ..signing };
    let real = ("ASIAREALREALREALREAL", "real-secret-of-forty-characters-00000001", "real-token-real-token");
    let body = ANSWER
        .replace("<AssumeRoleResponse><AssumeRoleResult>", "<CreateSessionResult>")
        .replace("</AssumeRoleResult></AssumeRoleResponse>", "</CreateSessionResult>");
    let (status, content_type) = (StatusCode::OK, "application/xml");
    direct.upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
    let agent = direct.agent(host);
    let reply = agent.ask(Method::GET, "/?session", &[], "", &express(Signing::new("s3express"))).await?;
    let keys = Keys::of(&reply)?;
    assert!(!reply.text().contains("real-") && !reply.text().contains(real.0), "{}", reply.text());
    let signing = Signing { session_header: "x-amz-s3session-token", ..express(keys.signing("s3express")) };
    // AWS here does not know the keys: what counts is with what it arrives.
    agent.ask(Method::GET, "/k", &[], "", &signing).await?;
    let received = direct.upstream.requests().pop().context("a request")?;
    assert!(received.header("authorization").contains(real.0), "{:?}", received.headers);
    assert_eq!(received.header("x-amz-s3session-token"), real.2);
    assert_eq!(received.header("x-amz-security-token"), "");
    Ok(())
}
