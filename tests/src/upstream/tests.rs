//! The upstream over real connections.

use std::sync::Arc;

use http::{Request, StatusCode};

use super::{Behaviour, Key, RefusalKind, Upstream, UpstreamConfig, generated_sha256};
use crate::{
    load::{self, Client, Coverage, Target, given},
    pki::{CertificateFault, TestCa},
};

fn key() -> Key {
    Key { id: "AKIAGATEWAY".into(), secret: "secret".into(), session_token: None }
}

async fn start(change: impl FnOnce(&mut UpstreamConfig)) -> (Upstream, Target) {
    let mut config = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key()]);
    change(&mut config);
    let upstream = Upstream::start(config).await.unwrap();
    let target = Target { address: upstream.addr(), roots_pem: upstream.ca_pem().to_owned() };
    (upstream, target)
}

fn get(path: &str) -> Request<load::OutBody> {
    let mut request = Request::get(path).header("host", load::BUCKET).body(given("")).unwrap();
    load::sign(&mut request, "s3", &key(), Coverage::Body(b"")).unwrap();
    request
}

#[tokio::test]
async fn it_keeps_what_it_received() {
    let (upstream, target) = start(|_| {}).await;
    let mut client = Client::connect(&target, load::BUCKET).await.unwrap();
    let mut put = Request::put("/key").header("host", load::BUCKET).body(given("hello")).unwrap();
    load::sign(&mut put, "s3", &key(), Coverage::Body(b"hello")).unwrap();
    assert_eq!(client.send(put).await.unwrap().0, StatusCode::OK);
    assert_eq!(client.send(get("/bytes-100000")).await.unwrap().1.length, 100_000);

    let requests = upstream.wait_for(2).await;
    let seen: Vec<_> = requests
        .iter()
        .map(|r| (r.method.as_str(), r.uri.path(), r.body_length, r.connection, r.refused.is_some()))
        .collect();
    assert_eq!(seen, [("PUT", "/key", 5, 1, false), ("GET", "/bytes-100000", 0, 1, false)]);
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(requests[0].body_sha256.as_deref(), Some(hello));
    assert_eq!(requests[0].header("host"), load::BUCKET);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn it_refuses_what_aws_refuses() {
    let (upstream, target) = start(|_| {}).await;
    let mut client = Client::connect(&target, load::BUCKET).await.unwrap();
    let mut foreign = get("/key");
    let stranger = Key { id: "ASIASTRANGER".into(), ..key() };
    load::sign(&mut foreign, "s3", &stranger, Coverage::Body(b"")).unwrap();
    foreign.headers_mut().remove("x-amz-date");
    let unsigned = Request::get("/key").header("host", load::BUCKET).body(given("")).unwrap();
    let mut changed = Request::put("/key").header("host", load::BUCKET).body(given("hellp")).unwrap();
    load::sign(&mut changed, "s3", &key(), Coverage::Body(b"hello")).unwrap();
    for (request, code) in [
        (foreign, "AuthorizationHeaderMalformed"),
        (unsigned, "AccessDenied"),
        (changed, "XAmzContentSHA256Mismatch"),
    ] {
        let (status, body) = client.send(request).await.unwrap();
        assert!(status.is_client_error());
        assert!(body.head().contains(&format!("<Code>{code}</Code>")), "{}", body.head());
    }
    let refused: Vec<_> =
        upstream.requests().into_iter().map(|request| request.refused.map(|refusal| refusal.kind)).collect();
    use RefusalKind::{ContentMismatch, Incomplete, MissingToken};
    assert_eq!(refused, [Some(Incomplete), Some(MissingToken), Some(ContentMismatch)]);
}

#[tokio::test]
async fn it_misbehaves_once_per_script_line() {
    let (upstream, target) = start(|_| {}).await;
    let denied = Behaviour::Fail { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown" };
    let teapot = Behaviour::Answer {
        status: StatusCode::IM_A_TEAPOT,
        content_type: "text/plain",
        body: "short and stout".into(),
    };
    upstream.script([denied, teapot]);
    let mut client = Client::connect(&target, load::BUCKET).await.unwrap();
    let (status, body) = client.send(get("/key")).await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.head().contains("<Code>SlowDown</Code>"));
    assert_eq!(client.send(get("/key")).await.unwrap().0, StatusCode::IM_A_TEAPOT);
    assert_eq!(client.send(get("/key")).await.unwrap().0, StatusCode::OK);

    for (broken, head_came) in [(Behaviour::ResetBeforeHead, false), (Behaviour::ResetAfter(70_000), true)] {
        upstream.script([broken]);
        let mut client = Client::connect(&target, load::BUCKET).await.unwrap();
        let error = client.send(get("/bytes-1000000")).await.unwrap_err();
        assert_eq!(error.to_string() == "the answer broke off", head_came, "{error:#}");
    }
    upstream.script([Behaviour::ResetUploadAfter(70_000)]);
    let mut client = Client::connect(&target, load::BUCKET).await.unwrap();
    let mut put =
        Request::put("/key").header("host", load::BUCKET).body(load::generated(10_000_000)).unwrap();
    load::sign(&mut put, "s3", &key(), Coverage::Unsigned).unwrap();
    client.send(put).await.unwrap_err();
}

#[tokio::test]
async fn faulty_certificates_are_not_trusted() {
    use CertificateFault::{Expired, UnknownIssuer, WrongName};
    for (fault, words) in
        [(Expired, "expired"), (WrongName, "not valid for name"), (UnknownIssuer, "BadSignature")]
    {
        let (_upstream, target) = start(|config| config.certificate = Some(fault)).await;
        let error = format!("{:#}", Client::connect(&target, load::BUCKET).await.unwrap_err());
        assert!(error.contains(words), "{fault:?}: {error}");
    }
}

#[test]
fn generated_content_is_the_same_every_time() {
    assert_eq!(generated_sha256(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(generated_sha256(200_000), generated_sha256(200_000));
    assert_ne!(generated_sha256(200_000), generated_sha256(200_001));
}
