//! Calls that are under way when their session ends: at once, at whatever stage they are.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chaperone_tests::{
    direct::{Agent, Direct, Payload, Setup, Signing},
    upstream::{Behaviour, Protocols, Role, Seen},
};
use gateway_user::{
    clock::Clock,
    identify::{EndReason, Identity, Session},
};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
/// One call a day: whether another may be made tells whether the first counts.
const ONE_CALL: &str = r#"
@id("all") permit (principal, action, resource);
@id("one") forbid (principal, action, resource) when { context.workload_day.calls >= 1 };
"#;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a body, of which half is sent at first.
const BODY: usize = 20_000;
const HALF: usize = BODY / 2;

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// AWS's answer.
    Head,
    /// Keys of the role.
    Sts,
    /// The rest of a body that is inspected.
    Inspected,
    /// The rest of a body that streams.
    Streamed,
    /// The rest of AWS's answer.
    Answer,
}

/// How the session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Expired,
    CgroupGone,
}

const ENDS: [(End, EndReason); 3] = [
    (End::Killed, EndReason::Killed),
    (End::Expired, EndReason::TokenExpired),
    (End::CgroupGone, EndReason::CgroupGone),
];

struct Bench {
    direct: Direct,
    clock: Clock,
    session: Arc<Session>,
}

impl Bench {
    async fn start(protocols: Protocols) -> Result<Self> {
        let clock = Clock::manual(Clock::system().now());
        let its = clock.clone();
        let setup = Setup {
            policies: ONE_CALL.to_owned(),
            clock: clock.clone(),
            upstream: Box::new(move |config| {
                config.roles = vec![Role::allowing(ROLE, &["*"])];
                config.clock = its;
                config.protocols = protocols;
            }),
            workload: Box::new(|workload| workload.role_arn = Some(ROLE.to_owned())),
            ..Setup::default()
        };
        let direct = Direct::start(setup).await?;
        let session = direct.session().await?;
        let expires = Some(clock.now() + time::Duration::minutes(1));
        session.is_known_as(Identity { expires, ..Identity::host(&session.workload) });
        Ok(Self { direct, clock, session })
    }

    fn signing(&self, service: &str) -> Signing {
        Signing { time: self.clock.now().into(), ..Signing::new(service) }
    }

    fn expire(&self) {
        self.clock.set(self.clock.now() + time::Duration::seconds(61));
    }

    async fn end(&self, end: End) -> Result<()> {
        let gateway = &self.direct.gateway;
        match end {
            End::Killed => {
                let killed = gateway.registry.kill(self.session.id).context("it lives")?;
                gateway.end(&killed, EndReason::Killed).await?;
            }
            End::Expired => {
                self.expire();
                gateway.end_expired().await;
            }
            End::CgroupGone => {
                self.direct.remove_cgroup();
                gateway.end_gone().await;
            }
        }
        Ok(())
    }

    /// A request as bytes of HTTP/1.1, without its body; the connection ends with its answer.
    async fn head(&self, agent: &Agent<'_>, stage: Stage, path: &str, body: &Bytes) -> Result<String> {
        let (host, request) = if stage == Stage::Inspected {
            let headers = [
                ("x-amz-target", "DynamoDB_20120810.PutItem"),
                ("content-type", "application/x-amz-json-1.0"),
            ];
            let signing = self.signing("dynamodb");
            (DYNAMODB, agent.signed(Method::POST, path, &headers, body.clone(), &signing).await?)
        } else {
            let signing = Signing { payload: Payload::Unsigned, ..self.signing("s3") };
            let method = if stage == Stage::Streamed { Method::PUT } else { Method::GET };
            (S3, agent.signed(method, path, &[], body.clone(), &signing).await?)
        };
        let (method, path) = (request.method(), request.uri().path());
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if !body.is_empty() {
            // Who is told to go on knows that the gateway is about to read.
            head.push_str(&format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len()));
        }
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
        }
        Ok(head + "\r\n")
    }

    /// Waits for what the upstream sees.
    async fn sees(&self, what: impl FnMut(&Seen) -> bool) -> Result<Seen> {
        let mut seen = self.direct.upstream.seen();
        if let Ok(seen) = tokio::time::timeout(PATIENCE, seen.wait_for(what)).await {
            return Ok(*seen?);
        }
        anyhow::bail!("the upstream sees no more than {:?}", *self.direct.upstream.seen().borrow())
    }

    /// The call's row once it has ended, where it holds nothing any more.
    async fn row(&self) -> Result<serde_json::Value> {
        let row = self.direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
        assert_eq!(self.direct.rows("SELECT * FROM outcomes").await?.len(), 1);
        let gateway = &self.direct.gateway;
        let given_back = async {
            while gateway.calls.in_use() > 0 || gateway.memory.in_use() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, given_back).await.context("something is held still")?;
        Ok(row)
    }

    /// Whether the call counts in the workload's day: there is room for one.
    async fn counts(&self) -> Result<bool> {
        let agent = self.direct.agent(S3).fellow();
        let reply = agent.ask(Method::GET, "/a", &[], "", &self.signing("s3")).await?;
        anyhow::ensure!(reply.status == StatusCode::OK || reply.text().contains("one"), "{}", reply.text());
        Ok(reply.status != StatusCode::OK)
    }
}

/// Everything that comes until the gateway hangs up.
async fn rest(tls: &mut TlsStream<TcpStream>) -> Result<String> {
    let mut text = Vec::new();
    // It may hang up without saying so.
    let _ = tokio::time::timeout(PATIENCE, tls.read_to_end(&mut text)).await.context("the call goes on")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn until(tls: &mut TlsStream<TcpStream>, end: &str) -> Result<()> {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(tls.read_u8().await?);
    }
    Ok(())
}

/// A call that is at `stage` when its session ends.
async fn check(protocols: Protocols, stage: Stage, (end, reason): (End, EndReason)) -> Result<()> {
    let bench = Bench::start(protocols).await?;
    let upstream = &bench.direct.upstream;
    let held = match stage {
        Stage::Sts => Some(upstream.hold_sts().await),
        Stage::Head => {
            upstream.script([Behaviour::Silence]);
            None
        }
        Stage::Answer => {
            upstream.script([Behaviour::StallAfter(100)]);
            None
        }
        Stage::Inspected | Stage::Streamed => None,
    };
    let body = match stage {
        Stage::Inspected | Stage::Streamed => Bytes::from(vec![b' '; BODY]),
        Stage::Head | Stage::Sts | Stage::Answer => Bytes::new(),
    };
    let (host, path) = if stage == Stage::Inspected { (DYNAMODB, "/") } else { (S3, "/bytes-1000") };
    let agent = bench.direct.agent(host);
    let mut tls = agent.tls().await?;
    tls.write_all(bench.head(&agent, stage, path, &body).await?.as_bytes()).await?;
    if !body.is_empty() {
        until(&mut tls, "100 Continue\r\n\r\n").await?;
        tls.write_all(&body[..HALF]).await?;
    }
    match stage {
        Stage::Head => drop(bench.sees(|seen| seen.silent == 1).await?),
        Stage::Sts => drop(bench.sees(|seen| seen.sts == 1).await?),
        Stage::Streamed => drop(bench.sees(|seen| seen.body == HALF as u64).await?),
        Stage::Answer => {
            until(&mut tls, "\r\n\r\n").await?;
            tls.read_exact(&mut [0; 100]).await?;
        }
        // It has been told to go on.
        Stage::Inspected => assert!(bench.direct.gateway.memory.in_use() >= BODY),
    }

    bench.end(end).await?;
    if !body.is_empty() {
        // The gateway may have hung up.
        let _ = tls.write_all(&body[HALF..]).await;
    }
    let answer = rest(&mut tls).await?;
    if stage == Stage::Answer {
        assert_eq!(answer, "", "no more of it");
    } else {
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("AccessDenied") && answer.contains("identity not accepted"), "{answer}");
    }
    match stage {
        Stage::Head => drop(bench.sees(|seen| seen.given_up == 1).await?),
        Stage::Streamed => assert_eq!(bench.sees(|seen| seen.broken == 1).await?.body, HALF as u64),
        Stage::Sts | Stage::Inspected | Stage::Answer => {}
    }
    let row = bench.row().await?;
    let (decision, outcome, status) = match stage {
        Stage::Inspected => ("refused", "denied", 403),
        Stage::Head | Stage::Sts | Stage::Streamed => ("allow", "failed", 403),
        Stage::Answer => ("allow", "failed", 200),
    };
    let expected = (&decision.into(), &outcome.into(), &status.into());
    assert_eq!((&row["decision"], &row["outcome"], &row["status"]), expected, "{row}");
    if stage == Stage::Inspected {
        assert_eq!(row["reason"], format!("the session is over: {}", reason.as_str()), "{row}");
    }
    drop(held);
    let sent = matches!(stage, Stage::Head | Stage::Streamed | Stage::Answer);
    assert_eq!(bench.counts().await?, sent, "a call counts once it is sent");
    let arrived = bench.direct.upstream.requests().len();
    // The fellow's, too, where there was room for it.
    let whole = usize::from(matches!(stage, Stage::Head | Stage::Answer)) + usize::from(!sent);
    assert_eq!(arrived, whole, "requests that AWS has whole");
    Ok(())
}

async fn check_all(stage: Stage) -> Result<()> {
    for protocols in [Protocols::Http1, Protocols::H2] {
        for end in ENDS {
            check(protocols, stage, end).await.with_context(|| format!("{protocols:?} {stage:?} {end:?}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_is_not_waited_for() -> Result<()> {
    check_all(Stage::Head).await
}

#[tokio::test]
async fn keys_are_not_waited_for() -> Result<()> {
    check_all(Stage::Sts).await
}

#[tokio::test]
async fn a_body_that_is_inspected_is_not_waited_for() -> Result<()> {
    check_all(Stage::Inspected).await
}

#[tokio::test]
async fn a_body_that_streams_goes_no_further() -> Result<()> {
    check_all(Stage::Streamed).await
}

/// AWS may answer before it has read everything: then the call is over for who waits for it, and its body is on its way
/// still.
#[tokio::test]
async fn a_body_that_outlasts_its_answer_goes_no_further() -> Result<()> {
    for protocols in [Protocols::Http1, Protocols::H2] {
        for (end, _) in ENDS {
            let bench = Bench::start(protocols).await?;
            bench.direct.upstream.script([Behaviour::AnswerFirst]);
            let body = Bytes::from(vec![b' '; BODY]);
            let agent = bench.direct.agent(S3);
            let mut tls = agent.tls().await?;
            tls.write_all(bench.head(&agent, Stage::Streamed, "/up", &body).await?.as_bytes()).await?;
            until(&mut tls, "100 Continue\r\n\r\n").await?;
            tls.write_all(&body[..HALF]).await?;
            until(&mut tls, "early").await?;
            bench.sees(|seen| seen.body == HALF as u64).await?;
            bench.end(end).await?;
            // The gateway may have hung up.
            let _ = tls.write_all(&body[HALF..]).await;
            let seen = bench.sees(|seen| seen.broken == 1 || seen.body > HALF as u64).await?;
            assert_eq!(seen.body, HALF as u64, "{protocols:?} {end:?}: more of it");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_breaks_off() -> Result<()> {
    check_all(Stage::Answer).await
}

#[tokio::test]
async fn nothing_is_signed_once_the_token_has_expired_though_nobody_has_looked_yet() -> Result<()> {
    let bench = Bench::start(Protocols::Both).await?;
    let held = bench.direct.upstream.hold_sts().await;
    let agent = bench.direct.agent(S3);
    let mut tls = agent.tls().await?;
    tls.write_all(bench.head(&agent, Stage::Sts, "/a", &Bytes::new()).await?.as_bytes()).await?;
    bench.sees(|seen| seen.sts == 1).await?;
    bench.expire();
    drop(held);
    let answer = rest(&mut tls).await?;
    assert!(answer.contains("identity not accepted"), "{answer}");
    assert!(bench.direct.upstream.requests().is_empty());
    assert_eq!(bench.row().await?["outcome"], "failed");
    assert!(!bench.counts().await?);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_does_not_read_its_answer_keeps_no_call() -> Result<()> {
    let bench = Bench::start(Protocols::Both).await?;
    let agent = bench.direct.agent(S3).h2();
    let request = agent.signed(Method::GET, "/bytes-1000000", &[], "", &bench.signing("s3")).await?;
    // The gateway may send so much of the answer until some of it is read.
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(100);
    let (mut sender, connection) = client.handshake(TokioIo::new(agent.tls().await?)).await?;
    let driver = tokio::spawn(connection);
    let mut reply = sender.send_request(request).await?;
    reply.body_mut().frame().await.context("a beginning")??;
    bench.end(End::Killed).await?;
    let row = bench.row().await?;
    assert_ne!(row["outcome"], "forwarded", "{row}");
    driver.abort();
    Ok(())
}
