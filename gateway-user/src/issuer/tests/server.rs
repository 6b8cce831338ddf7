//! An issuer on loopback: serves what it is told to, and counts who asks.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{NOW, Signer, config};
use crate::{
    clock::Clock,
    issuer::{Config, Issuers, fetch::Fetcher},
    prim::IssuerName,
    roots::{Roots, testing::Ca},
    secret::SecretText,
};

/// An answer to one path.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<&'static str>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn ok(body: &str) -> Self {
        Self { status: 200, location: None, body: body.to_owned() }
    }
}

/// What a server that means well says.
pub(super) struct Good {
    pub(super) discovery: String,
    pub(super) jwks: String,
}

struct State {
    discovery: Answer,
    jwks: Answer,
    /// How often each was asked for.
    counts: (usize, usize),
}

pub(super) struct Server {
    /// Vouches for it.
    pub(super) ca: Ca,
    url: String,
    state: Arc<Mutex<State>>,
    /// While true, questions for keys wait.
    held: watch::Sender<bool>,
    /// How many questions have come.
    asked: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
    pub(super) clock: Clock,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(super) async fn start(keys: &[Value]) -> Self {
        let ca = Ca::new();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let good = good(&url, keys);
        let state = Arc::new(Mutex::new(State {
            discovery: Answer::ok(&good.discovery),
            jwks: Answer::ok(&good.jwks),
            counts: (0, 0),
        }));
        let (held, hold) = watch::channel(false);
        let (asking, asked) = watch::channel(0);
        let (tls, shared) = (ca.acceptor("localhost"), Arc::clone(&state));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                let (hold, asking) = (hold.clone(), asking.clone());
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        answer(request, Arc::clone(&shared), hold.clone(), asking.clone())
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is none of the server's business.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { ca, url, state, held, asked, accepting, clock: Clock::manual(NOW), dir }
    }

    pub(super) fn name(&self) -> IssuerName {
        config().name
    }

    fn config(&self) -> Config {
        Config { url: self.url.clone(), ca_file: Some(self.dir.path().join("ca.pem")), ..config() }
    }

    /// What fetches from it.
    pub(super) fn fetcher(&self) -> Fetcher {
        Fetcher::new(&self.config(), None).unwrap()
    }

    /// What fetches from it in a gateway with this CA, where the issuer's roots are these.
    pub(super) fn fetcher_of(
        &self,
        own_ca: &CertificateDer<'_>,
        roots: &[CertificateDer<'static>],
    ) -> Fetcher {
        let roots = Roots::without(None, roots.to_vec()).unwrap();
        std::fs::write(self.dir.path().join("ca.pem"), roots.pem()).unwrap();
        Fetcher::new(&self.config(), Some(own_ca)).unwrap()
    }

    /// A gateway's issuers with this one, on this server's clock.
    pub(super) fn issuers(&self, change: impl FnOnce(&mut Config)) -> Issuers {
        let mut config = self.config();
        change(&mut config);
        Issuers::new(&[config], self.clock.clone()).unwrap()
    }

    /// Where its keys are.
    pub(super) fn jwks_url(&self) -> http::Uri {
        format!("{}/jwks", self.url).parse().unwrap()
    }

    /// A token that is good for a day from now.
    pub(super) fn token(&self, signer: &Signer) -> SecretText {
        let now = self.clock.now().unix_timestamp();
        let payload =
            json!({ "iss": self.url, "aud": "chaperone", "sub": "s", "iat": now, "exp": now + 86_400 });
        SecretText::new(signer.token(&payload))
    }

    pub(super) fn good(&self) -> Good {
        let state = self.state.lock().unwrap();
        Good { discovery: state.discovery.body.clone(), jwks: state.jwks.body.clone() }
    }

    pub(super) fn answer(&self, discovery: Answer, jwks: Answer) {
        let mut state = self.state.lock().unwrap();
        state.discovery = discovery;
        state.jwks = jwks;
    }

    /// From now on its keys are these.
    pub(super) fn rotate(&self, keys: &[Value]) {
        let good = good(&self.url, keys);
        self.answer(Answer::ok(&good.discovery), Answer::ok(&good.jwks));
    }

    /// From now on it answers 503, or what it said before.
    pub(super) fn set_down(&self, down: bool) {
        let mut state = self.state.lock().unwrap();
        state.discovery.status = if down { 503 } else { 200 };
    }

    pub(super) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(super) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits until it was asked for keys this many times.
    pub(super) async fn asked(&self, times: usize) {
        self.asked.clone().wait_for(|count| *count >= times).await.unwrap();
    }

    /// How often the document and the keys were asked for.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.state.lock().unwrap().counts
    }
}

fn good(url: &str, keys: &[Value]) -> Good {
    Good {
        discovery: format!("{{\"issuer\":\"{url}\",\"jwks_uri\":\"{url}/jwks\"}}"),
        jwks: json!({ "keys": keys }).to_string(),
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    mut hold: watch::Receiver<bool>,
    asking: watch::Sender<usize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let keys = match request.uri().path() {
        "/.well-known/openid-configuration" => false,
        "/jwks" => true,
        _ => return Ok(Response::builder().status(404).body(Full::default()).unwrap()),
    };
    if keys {
        asking.send_modify(|count| *count += 1);
        let _ = hold.wait_for(|held| !held).await;
    }
    let mut state = state.lock().unwrap();
    let Answer { status, location, body } = if keys {
        state.counts.1 += 1;
        state.jwks.clone()
    } else {
        state.counts.0 += 1;
        state.discovery.clone()
    };
    let mut response = Response::builder().status(status);
    if let Some(location) = location {
        response = response.header("location", location);
    }
    Ok(response.body(Full::from(body)).unwrap())
}
