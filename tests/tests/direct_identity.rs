//! Who a session is: told by tokens of a real OpenID provider, for as long as they hold.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{Direct, Reply, Setup, Signing},
    harness::{Oidc, Wanted},
    upstream::Behaviour,
};
use gateway_user::{
    clock::Clock,
    identify::{EndReason, IdentifyError, Session, VouchError, Voucher},
    secret::SecretText,
    serve::Presenter,
};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";
const READERS: &str = r#"
@id("readers") permit (principal in Group::"readers", action == Action::"s3:GetObject", resource)
when { principal.issuer == "idp" && principal.subject like "agent-*" };
@id("main-only") forbid (principal, action, resource)
when { principal.hasTag("ref") && principal.getTag("ref") != "main" };
"#;

/// A provider, a token file, and a gateway whose one workload needs a token from it.
struct Stage {
    oidc: Oidc,
    direct: Direct,
    clock: Clock,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Result<Self> {
        let (oidc, dir) = (Oidc::start()?, tempfile::tempdir()?);
        // `{unit}` is the last part of the agent's cgroup.
        let template = dir.path().join("{unit}.token").to_string_lossy().into_owned();
        let file = dir.path().join("agent-1.service.token");
        let clock = Clock::manual(Clock::system().now());
        let mut issuer = oidc.config("idp")?;
        issuer.claims = vec!["ref".to_owned()];
        let setup = Setup {
            policies: READERS.to_owned(),
            issuers: vec![issuer],
            clock: clock.clone(),
            workload: Box::new(move |workload| {
                workload.identity = Voucher::Oidc;
                workload.issuer = "idp".parse().ok();
                workload.token_file = Some(template);
                workload.subjects = vec!["agent-*".to_owned()].into();
            }),
            ..Setup::default()
        };
        Ok(Self { direct: Direct::start(setup).await?, oidc, clock, file, _dir: dir })
    }

    async fn token(&self, subject: &str, groups: &[&str]) -> Result<SecretText> {
        let wanted = Wanted { subject: subject.to_owned(), ..Wanted::default() };
        self.oidc.token(&wanted.claim("groups", json!(groups))).await
    }

    async fn put_token(&self, subject: &str, groups: &[&str]) -> Result<()> {
        let token = self.token(subject, groups).await?;
        Ok(fs::write(&self.file, format!("{}\n", token.expose()))?)
    }

    /// One call, signed with the session's placeholder at the gateway's time.
    async fn get(&self) -> Result<Reply> {
        let signing = Signing { time: self.clock.now().into(), ..Signing::new("s3") };
        self.direct.agent(S3).ask(Method::GET, "/a", &[], "", &signing).await
    }

    /// One call of an agent that has no session to sign for.
    async fn get_unsigned(&self) -> Result<Reply> {
        let request = http::Request::get(format!("https://{S3}/a")).body(Full::default())?;
        self.direct.agent(S3).send(request).await
    }

    /// That the agent learns nothing but that its identity is not accepted, and security why.
    async fn check_not_accepted(&self, reason: &str) -> Result<Value> {
        let latest = "SELECT coalesce(max(seq), 0) AS seq FROM events";
        let latest = self.direct.row(latest, |_| true).await?;
        let before = latest.get("seq").and_then(Value::as_i64).context("a number")?;
        let reply = self.get_unsigned().await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert_eq!(reply.headers.get("connection").map(http::HeaderValue::as_bytes), Some(&b"close"[..]));
        let text = reply.text();
        assert!(text.contains("<Code>AccessDenied</Code>"), "{text}");
        assert!(text.contains("<Message>Chaperone: identity not accepted.</Message>"), "{text}");
        // That of this call, and not of one before.
        let sql = "SELECT * FROM events WHERE kind = 'identity-not-accepted' ORDER BY seq DESC LIMIT 1";
        let is_new = |row: &Value| row["seq"].as_i64().is_some_and(|seq| seq > before);
        let event = self.direct.row(sql, is_new).await?;
        assert_eq!(reason_of(&event), reason, "{event}");
        Ok(event)
    }

    /// What the agent's SDK gets of the container endpoint.
    async fn metadata_keys(&self) -> Result<Value> {
        let mut io = self.direct.connect(([169, 254, 170, 2], 80).into()).await?;
        io.write_all(b"GET /v2/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        io.read_to_string(&mut answer).await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
        Ok(serde_json::from_str(body)?)
    }

    fn forward(&self, seconds: i64) {
        self.clock.set(self.clock.now() + Duration::seconds(seconds));
    }

    /// What the daemon does every few seconds.
    async fn look(&self) {
        let gateway = &self.direct.gateway;
        for session in gateway.registry.open() {
            gateway.renew_from_file(&session).await;
        }
        gateway.end_expired().await;
    }

    async fn session_row(&self) -> Result<Value> {
        let rows = self.direct.rows("SELECT * FROM v_sessions ORDER BY seq DESC LIMIT 1").await?;
        rows.into_iter().next().context("no session")
    }
}

/// Its fixed word.
fn reason_of(event: &Value) -> String {
    let detail = event["detail"].as_str().and_then(|detail| serde_json::from_str::<Value>(detail).ok());
    detail.and_then(|detail| Some(detail.get("reason")?.as_str()?.to_owned())).unwrap_or_default()
}

#[tokio::test]
async fn groups_and_claims_of_a_token_decide_and_are_recorded() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    assert_eq!(stage.get().await?.status, StatusCode::OK);
    let row = stage.session_row().await?;
    assert_eq!((&row["issuer"], &row["subject"]), (&json!("idp"), &json!("agent-7")), "{row}");
    assert_eq!(row["groups"], r#"["ai-agents","readers"]"#);
    assert!(row["token_expires"].is_string() && row["token_digest"].is_string(), "{row}");
    let call = stage.direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "forwarded").await?;
    assert_eq!((&call["issuer"], &call["subject"]), (&json!("idp"), &json!("agent-7")));
    Ok(())
}

#[tokio::test]
async fn the_same_call_in_another_group_or_with_another_claim_is_denied() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["writers"]).await?;
    let reply = stage.get().await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text().contains("which no rule permits"), "{}", reply.text());

    let wanted = Wanted { subject: "agent-7".to_owned(), ..Wanted::default() }
        .claim("groups", json!(["readers"]))
        .claim("ref", "feature");
    fs::write(&stage.file, stage.oidc.token(&wanted).await?.expose())?;
    stage.look().await;
    let reply = stage.get().await?;
    assert!(reply.text().contains("&quot;main-only&quot;"), "{}", reply.text());
    assert_eq!(stage.session_row().await?["claims"], r#"{"ref":"feature"}"#);
    assert!(stage.direct.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn without_a_token_that_is_accepted_the_agent_learns_only_that() -> Result<()> {
    let stage = Stage::start().await?;
    stage.check_not_accepted("no-token-file").await?;
    fs::write(&stage.file, "not.a.token")?;
    stage.check_not_accepted("header-encoding").await?;
    stage.put_token("somebody-else", &["readers"]).await?;
    let event = stage.check_not_accepted("subject-not-allowed").await?;
    assert_eq!(event["workload"], "builds");
    let expired = Wanted { subject: "agent-7".to_owned(), ttl: 1, ..Wanted::default() };
    fs::write(&stage.file, stage.oidc.token(&expired).await?.expose())?;
    // Within what the issuer's clock may be off, and beyond it.
    for seconds in [5, 55] {
        stage.forward(seconds);
        stage.check_not_accepted("expired").await?;
    }
    assert!(stage.direct.upstream.requests().is_empty());
    assert_eq!(stage.direct.rows("SELECT * FROM sessions").await?, Vec::<Value>::new());
    // As soon as there is one, the same cgroup is served.
    stage.put_token("agent-7", &["readers"]).await?;
    assert_eq!(stage.get().await?.status, StatusCode::OK);
    Ok(())
}

/// What was recorded before an attempt failed may be in the database: a session is one subject's.
#[tokio::test]
async fn a_session_that_could_not_be_recorded_is_for_its_first_subject_alone() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    let full = async |_: &Session| Err::<(), _>(std::io::Error::other("disk full"));
    let failed = stage.direct.gateway.registry.identify(&stage.direct.origin(), full).await;
    let failed = failed.err().context("it cannot be recorded")?;
    assert!(matches!(failed, IdentifyError::RecordFailed(_)), "{failed}");
    stage.put_token("agent-8", &["readers"]).await?;
    stage.check_not_accepted("other-subject").await?;
    assert_eq!(stage.direct.rows("SELECT * FROM sessions").await?, Vec::<Value>::new());
    stage.put_token("agent-7", &["readers"]).await?;
    assert_eq!(stage.get().await?.status, StatusCode::OK);
    assert_eq!(stage.session_row().await?["subject"], "agent-7");
    Ok(())
}

#[tokio::test]
async fn a_token_that_others_may_write_is_none() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    fs::set_permissions(&stage.file, fs::Permissions::from_mode(0o666))?;
    stage.check_not_accepted("token-file-untrusted").await?;
    fs::set_permissions(&stage.file, fs::Permissions::from_mode(0o644))?;
    assert_eq!(stage.get().await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_issuer_that_is_down_keeps_its_workload_out_until_it_is_up() -> Result<()> {
    let mut stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    stage.oidc.stop()?;
    stage.check_not_accepted("issuer-down").await?;
    stage.oidc.start_again()?;
    stage.put_token("agent-7", &["readers"]).await?;
    stage.forward(10);
    assert_eq!(stage.get().await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn the_metadata_endpoint_has_keys_for_strangers_that_are_good_for_nothing() -> Result<()> {
    let stage = Stage::start().await?;
    let keys = stage.metadata_keys().await?;
    let text = |name: &str| keys[name].as_str().context("a text").map(str::to_owned);
    assert!(text("AccessKeyId")?.starts_with("ASIACHAP"), "{keys}");
    assert!(keys.get("AccountId").is_none() && keys.get("RoleArn").is_none(), "{keys}");
    let soon =
        (stage.clock.now() + Duration::minutes(10)).format(&time::format_description::well_known::Rfc3339)?;
    assert!(text("Expiration")? < soon, "{keys}");
    let signing = Signing {
        access_key_id: Some(text("AccessKeyId")?),
        secret: Some(text("SecretAccessKey")?),
        session_token: Some(text("Token")?),
        time: stage.clock.now().into(),
        ..Signing::new("s3")
    };
    let get = async || stage.direct.agent(S3).ask(Method::GET, "/a", &[], "", &signing).await;
    // Nobody vouches for who signs with them.
    let reply = get().await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text().contains("identity not accepted"), "{}", reply.text());
    // In a session they are none of its own: they have expired, so SDKs ask for others. And they are no foreign keys.
    stage.put_token("agent-7", &["readers"]).await?;
    let reply = get().await?;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(reply.text().contains("<Code>ExpiredToken</Code>"), "{}", reply.text());
    assert_eq!(
        stage
            .direct
            .rows("SELECT * FROM events WHERE kind IN ('foreign-key', 'unknown-placeholder')")
            .await?,
        Vec::<Value>::new()
    );
    assert!(stage.direct.upstream.requests().is_empty());
    // There they are.
    let own = stage.metadata_keys().await?;
    assert_eq!(own["AccessKeyId"], stage.direct.placeholder().await?.access_key_id);
    Ok(())
}

#[tokio::test]
async fn a_renewed_token_counts_from_then_on_and_must_be_of_the_same_subject() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    assert_eq!(stage.get().await?.status, StatusCode::OK);
    let session = stage.direct.session().await?;
    let before = session.identity().expires;

    stage.put_token("agent-8", &["readers"]).await?;
    stage.look().await;
    assert_eq!(session.identity().subject, "agent-7");
    let sql = "SELECT * FROM events WHERE kind = 'identity-not-accepted'";
    let event = stage.direct.row(sql, |_| true).await?;
    assert_eq!(reason_of(&event), "other-subject", "{event}");

    stage.forward(300);
    // Tokens count in seconds, and this takes less than one.
    let longer = Wanted { subject: "agent-7".to_owned(), ttl: 1200, ..Wanted::default() };
    let longer = stage.oidc.token(&longer.claim("groups", json!(["writers"]))).await?;
    fs::write(&stage.file, longer.expose())?;
    stage.look().await;
    assert_eq!(session.identity().groups, ["ai-agents", "writers"]);
    assert!(before.is_some() && session.identity().expires > before, "{before:?}");
    assert_eq!(stage.get().await?.status, StatusCode::FORBIDDEN);
    let identities = stage.direct.rows("SELECT groups FROM identities ORDER BY seq").await?;
    assert_eq!(identities.len(), 2, "{identities:?}");
    // What has not changed is not recorded again.
    stage.look().await;
    assert_eq!(stage.direct.rows("SELECT * FROM identities").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_expired_token_ends_the_session_and_a_newer_one_begins_another() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    let first = stage.direct.session().await?;
    // A request of the old session, on a connection that is open already.
    let signing = Signing { time: (stage.clock.now() + Duration::seconds(601)).into(), ..Signing::new("s3") };
    let late = stage.direct.agent(S3).signed(Method::GET, "/a", &[], "", &signing).await?;
    let tls = stage.direct.agent(S3).tls().await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(tls)).await?;
    let serving = tokio::spawn(connection);

    stage.forward(601);
    let reply = sender.send_request(origin_form(late)?).await?;
    assert_eq!(reply.status(), StatusCode::FORBIDDEN);
    let body = reply.into_body().collect().await?.to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("identity not accepted"), "{body:?}");
    serving.abort();
    let call = stage.direct.row("SELECT * FROM v_calls", |_| true).await?;
    assert_eq!(
        (&call["decision"], &call["reason"]),
        (&json!("refused"), &json!("the session is over: token-expired"))
    );

    stage.check_not_accepted("token-expired").await?;
    stage.look().await;
    assert_eq!(stage.session_row().await?["end_reason"], "token-expired");
    assert_eq!(first.ended(stage.clock.now()), Some(EndReason::TokenExpired));
    assert!(stage.direct.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn killing_a_session_ends_its_calls_under_way_and_bars_its_cgroup() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    let session = stage.direct.session().await?;
    // An answer that never ends.
    stage.direct.upstream.script([Behaviour::StallAfter(1)]);
    let signing = Signing { time: stage.clock.now().into(), ..Signing::new("s3") };
    let request = stage.direct.agent(S3).signed(Method::GET, "/a", &[], "", &signing).await?;
    let tls = stage.direct.agent(S3).tls().await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(tls)).await?;
    let serving = tokio::spawn(connection);
    let reply = sender.send_request(origin_form(request)?).await?;
    assert_eq!(reply.status(), StatusCode::OK);

    let gateway = &stage.direct.gateway;
    let killed = gateway.registry.kill(session.id).context("it lives")?;
    gateway.end(&killed, EndReason::Killed).await?;
    assert!(reply.into_body().collect().await.is_err(), "the answer breaks off");
    serving.abort();
    let call = stage.direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
    assert_ne!(call["outcome"], "forwarded", "{call}");

    // The file still has a good token.
    assert_eq!(stage.check_not_accepted("killed").await?["workload"], "builds");
    assert_eq!(stage.session_row().await?["end_reason"], "killed");
    assert!(gateway.registry.kill(session.id).is_none(), "once");
    Ok(())
}

fn origin_form(request: http::Request<Full<bytes::Bytes>>) -> Result<http::Request<Full<bytes::Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.host().context("a host")?.parse()?;
    parts.headers.insert(http::header::HOST, host);
    parts.uri = parts.uri.path_and_query().context("a path")?.as_str().parse()?;
    Ok(http::Request::from_parts(parts, body))
}

/// An SDK keeps its connection to the metadata endpoint open: what is asked on it after the end gets nobody's keys.
#[tokio::test]
async fn an_open_connection_to_the_metadata_endpoint_has_no_keys_of_an_ended_session() -> Result<()> {
    let stage = Stage::start().await?;
    stage.put_token("agent-7", &["readers"]).await?;
    let session = stage.direct.session().await?;
    let mut io = stage.direct.connect(([169, 254, 170, 2], 80).into()).await?;
    let mut ask = async || -> Result<Value> {
        io.write_all(b"GET /v2/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n").await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            answer.push(io.read_u8().await?);
        }
        let text = String::from_utf8(answer)?;
        let (_, body) = text.split_once("\r\n\r\n").context("a body")?;
        Ok(serde_json::from_str(body)?)
    };
    assert_eq!(ask().await?["AccessKeyId"], session.placeholder.access_key_id);
    let gateway = &stage.direct.gateway;
    let killed = gateway.registry.kill(session.id).context("it lives")?;
    gateway.end(&killed, EndReason::Killed).await?;
    let nobody = gateway.registry.nobody().placeholder();
    assert_eq!(ask().await?["AccessKeyId"], nobody.access_key_id);
    Ok(())
}

/// Who presents bad tokens in a flood is counted, and hides nobody else's.
#[tokio::test]
async fn refused_tokens_are_counted_by_the_user_who_presents_them() -> Result<()> {
    let stage = Stage::start().await?;
    let refuse = async |uid: u32| {
        let workload = "builds".parse()?;
        let presenter = Some(Presenter { pid: 1, uid });
        stage.direct.gateway.not_vouched(&workload, None, presenter, &VouchError::NoToken).await;
        anyhow::Ok(())
    };
    for _ in 0..25 {
        refuse(1000).await?;
    }
    refuse(1001).await?;
    let sql = "SELECT uid, count(*) AS n FROM events WHERE kind = 'identity-not-accepted' GROUP BY uid ORDER BY uid";
    let rows = stage.direct.rows(sql).await?;
    assert_eq!(rows, [json!({ "uid": 1000, "n": 20 }), json!({ "uid": 1001, "n": 1 })]);
    Ok(())
}
