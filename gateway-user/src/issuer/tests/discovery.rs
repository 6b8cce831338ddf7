//! Where an issuer's keys are: what its document must say, and what is made of answers that are not usable.

use super::{
    server::{Answer, Server},
    *,
};

#[test]
fn urls_of_issuers() {
    for fine in [
        "https://issuer.example",
        "https://issuer.example/",
        "https://issuer.example:8443/realms/agents",
        "https://127.0.0.1:1",
        "https://[::1]:1",
    ] {
        assert!(is_issuer_url(fine), "{fine}");
    }
    for wrong in [
        "",
        "issuer.example",
        "/x",
        "http://issuer.example",
        "https://",
        "https:///x",
        "https://issuer.example?x=1",
        "https://issuer.example#x",
        "https://user@issuer.example",
        "https://issuer.example/a b",
        "file:///etc/passwd",
    ] {
        assert!(!is_issuer_url(wrong), "{wrong}");
    }
}

/// An issuer that answers so is down; nothing it sent is believed.
async fn down(discovery: impl Fn(&str) -> Answer, jwks: impl Fn(&str) -> Answer) -> Server {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let good = server.good();
    server.answer(discovery(&good.discovery), jwks(&good.jwks));
    let issuers = server.issuers(|_| {});
    let error = issuers.verify(&server.name(), &server.token(&signer)).await.unwrap_err();
    assert_eq!(error, TokenError::IssuerDown(server.name()));
    server
}

fn ok(text: &str) -> Answer {
    Answer::ok(text)
}

#[tokio::test]
async fn documents_that_are_not_usable() {
    let documents: [fn(&str) -> Answer; 9] = [
        |good| ok(&good.replace("\"issuer\":\"https://", "\"issuer\":\"https://x")),
        |good| ok(&good.replace("\"issuer\":\"https://localhost", "\"issuer\":\"https://LOCALHOST")),
        |good| ok(&good.replacen("\",", "/\",", 1)),
        |good| ok(&good.replace("jwks_uri\":\"https", "jwks_uri\":\"http")),
        |good| ok(&good.replace("jwks_uri", "other")),
        |good| ok(&good.replace('{', "{\"jwks_uri\":\"https://evil.example/\",")),
        |_| ok("{}"),
        |_| ok("<html>"),
        |good| Answer { status: 404, ..ok(good) },
    ];
    for document in documents {
        let server = down(document, ok).await;
        assert_eq!(server.counts(), (1, 0), "keys were asked for");
    }
}

#[tokio::test]
async fn key_sets_that_are_not_usable() {
    for keys in [
        |good: &str| Answer { status: 500, ..ok(good) },
        |_: &str| ok("{}"),
        |good: &str| ok(&good.replacen('{', &format!("{{{}", " ".repeat(1 << 20)), 1)),
    ] {
        assert_eq!(down(ok, keys).await.counts(), (1, 1));
    }
}

/// A redirect leads to whatever the answerer likes, so none is followed.
#[tokio::test]
async fn redirects_are_not_followed() {
    let redirect = |good: &str| Answer { status: 302, location: Some("/jwks2"), ..ok(good) };
    let server = down(ok, redirect).await;
    assert_eq!(server.counts(), (1, 1));
    let redirect = |good: &str| Answer { status: 301, location: Some("/moved"), ..ok(good) };
    assert_eq!(down(redirect, ok).await.counts(), (1, 0));
}

/// Whoever calls with what URL: nothing is asked in the clear.
#[tokio::test]
async fn nothing_is_fetched_without_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let server = Server::start(&[]).await;
    let fetcher = server.fetcher();
    tokio::select! {
        fetched = fetcher.get(&url) => assert!(matches!(fetched, Err(FetchError::Unreachable { .. }))),
        () = tokio::time::sleep(std::time::Duration::from_secs(5)) => panic!("it is being asked"),
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "it was dialled");
}

#[tokio::test]
async fn only_the_configured_roots_vouch() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.pem");
    std::fs::write(&other, Ca::new().pem()).unwrap();
    let issuers = server.issuers(|config| config.ca_file = Some(other.clone()));
    let result = issuers.verify(&server.name(), &server.token(&signer)).await;
    assert_eq!(result, Err(TokenError::IssuerDown(server.name())));
    assert_eq!(server.counts(), (0, 0));
}

#[tokio::test]
async fn a_silent_issuer_is_given_up() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    server.hold();
    let issuers = server.issuers(|config| config.timeout_secs = 1);
    let result = issuers.verify(&server.name(), &server.token(&signer)).await;
    assert_eq!(result, Err(TokenError::IssuerDown(server.name())));
}
