//! Uploads: the body is asked for only when it may go, and half a body never looks whole upstream.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chaperone_tests::{
    direct::{Agent, Direct, Payload, Setup, Signing},
    upstream::{Behaviour, Protocols},
};
use http::{Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
};

const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";

/// The head of a signed PUT of `body` that waits for `100 Continue`, as bytes of HTTP/1.1.
async fn expecting(agent: &Agent<'_>, body: &'static [u8]) -> Result<String> {
    let request = agent.signed(Method::PUT, "/waits", &[], body, &Signing::new("s3")).await?;
    let mut head = format!("PUT /waits HTTP/1.1\r\nHost: {S3}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    Ok(format!("{head}Expect: 100-continue\r\nConnection: close\r\n\r\n"))
}

#[tokio::test]
async fn a_forbidden_upload_is_refused_before_its_body_is_asked_for() -> Result<()> {
    let policies = "@id(\"no-puts\") forbid (principal, action == Action::\"s3:PutObject\", resource);\n";
    let direct = Direct::start(Setup { policies: policies.to_owned(), ..Setup::default() }).await?;
    let agent = direct.agent(S3);
    // Only the head is sent: a gateway that read the body first would not answer.
    let answer = agent.raw(expecting(&agent, b"hello").await?.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>") && answer.contains("no-puts"), "{answer}");
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "denied").await?;
    assert_eq!((call.get("operation"), call.get("bytes_in")), (Some(&"PutObject".into()), Some(&0.into())));
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_allowed_upload_is_asked_for_and_arrives_whole() -> Result<()> {
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(S3);
    let head = expecting(&agent, b"hello").await?;
    let mut tls = agent.tls().await?;
    tls.write_all(head.as_bytes()).await?;
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut seen = vec![0; interim.len()];
    tls.read_exact(&mut seen).await?;
    assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(interim));
    assert!(direct.upstream.requests().is_empty(), "answered before the body was there");
    tls.write_all(b"hello").await?;
    let mut rest = Vec::new();
    // The end of the connection needs no close_notify.
    let _ = tls.read_to_end(&mut rest).await;
    assert!(rest.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&rest));
    let received = direct.upstream.wait_for(1).await;
    let put = received.first().context("one request")?;
    assert_eq!((put.refused.as_ref(), put.body_sha256.as_deref()), (None, Some(HELLO)));
    Ok(())
}

/// Every combination of HTTP versions: of AWS, and of the agent (`true`: HTTP/2).
const VERSIONS: [(Protocols, bool); 4] =
    [(Protocols::Http1, false), (Protocols::Http1, true), (Protocols::H2, false), (Protocols::H2, true)];

async fn start(protocols: Protocols) -> Result<Direct> {
    let upstream = Box::new(move |config: &mut chaperone_tests::upstream::UpstreamConfig| {
        config.protocols = protocols;
    });
    Direct::start(Setup { upstream, ..Setup::default() }).await
}

fn agent(direct: &Direct, h2: bool) -> Agent<'_> {
    if h2 { direct.agent(S3).h2() } else { direct.agent(S3) }
}

fn unsigned_body() -> Signing {
    Signing { payload: Payload::Unsigned, ..Signing::new("s3") }
}

#[tokio::test]
async fn an_upstream_that_resets_an_upload_fails_the_call() -> Result<()> {
    for (protocols, h2) in VERSIONS {
        let direct = start(protocols).await?;
        direct.upstream.script([Behaviour::ResetUploadAfter(100_000)]);
        let agent = agent(&direct, h2);
        let reply = agent.ask(Method::PUT, "/big", &[], vec![b'x'; 20_000_000], &unsigned_body()).await;
        match reply {
            Ok(reply) => {
                assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{protocols:?} h2={h2}: {}", reply.text());
                assert!(reply.text().contains("<Code>ServiceUnavailable</Code>"), "{}", reply.text());
            }
            // While it still writes, HTTP/1.1 may see the reset before the answer.
            Err(error) => assert!(!h2, "{protocols:?}: no answer over HTTP/2: {error:#}"),
        }
        let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
        let seen = (call.get("outcome"), call.get("status"));
        assert_eq!(seen, (Some(&"failed".into()), Some(&502.into())), "{protocols:?} h2={h2}: {call}");
        assert!(direct.upstream.requests().is_empty(), "{protocols:?} h2={h2}: sent a second time");
    }
    Ok(())
}

/// A body whose first half is sent at once and whose second half never comes: it breaks when told.
struct HalfBody {
    half: Option<Bytes>,
    length: Option<u64>,
    breaking: oneshot::Receiver<Infallible>,
}

impl Body for HalfBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // Told by dropping the sender.
        let Err(_) = ready!(Pin::new(&mut self.breaking).poll(cx));
        Poll::Ready(Some(Err(std::io::Error::other("the agent breaks off"))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[tokio::test]
async fn an_agent_that_breaks_off_leaves_no_object() -> Result<()> {
    for (protocols, h2) in VERSIONS {
        // Without a length only the framing tells half a body from a whole one.
        for length in [Some(2_000_000), None] {
            let what = format!("{protocols:?} h2={h2} length={length:?}");
            let direct = start(protocols).await?;
            let agent = agent(&direct, h2);
            let (tell, breaking) = oneshot::channel();
            let half = Some(Bytes::from(vec![b'x'; 1_000_000]));
            let signed = agent.signed(Method::PUT, "/half", &[], "", &unsigned_body()).await?;
            let request: Request<HalfBody> = signed.map(|_| HalfBody { half, length, breaking });

            let on_its_way = async {
                direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "open").await?;
                while direct.upstream.connections() == 0 {
                    tokio::task::yield_now().await;
                }
                drop(tell);
                anyhow::Ok(())
            };
            let (reply, told) = tokio::join!(agent.send(request), on_its_way);
            told?;
            assert!(!reply.is_ok_and(|reply| reply.status.is_success()), "{what}: half a body was accepted");

            let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
            assert!(call["outcome"] == "aborted" || call["outcome"] == "failed", "{what}: {call}");
            // The next upload is the first that the upstream has seen whole.
            let next = agent.ask(Method::PUT, "/next", &[], "hello", &unsigned_body()).await?;
            assert_eq!(next.status, StatusCode::OK, "{what}");
            let seen: Vec<String> =
                direct.upstream.requests().iter().map(|request| request.uri.path().to_owned()).collect();
            assert_eq!(seen, ["/next"], "{what}: the upstream took half a body for a whole one");
        }
    }
    Ok(())
}
