//! AWS, as strict as the original: verifies every signature and body, and misbehaves when told.
//!
//! One address serves every host name (TLS by SNI). It keeps what it received, so that a test can
//! say what must have arrived, and never holds a body in memory.

mod answer;
mod body;
mod iam;
mod payload;
mod serve;
mod sigv4;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use gateway_user::clock::Clock;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use tokio::{
    net::TcpListener,
    sync::{Notify, OwnedRwLockWriteGuard, RwLock, watch},
    task::AbortHandle,
};

pub use self::{
    answer::{Refusal, RefusalKind},
    body::generated_sha256,
    iam::{Issued, Role},
};
use crate::pki::{CertificateFault, TestCa};

/// Requests kept for assertions; older ones are dropped.
const KEPT: usize = 4096;

/// A key pair the upstream accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token; with one, requests must carry it.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The HTTP versions offered by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// h2 and http/1.1, as most AWS endpoints do.
    Both,
    /// h2 alone.
    H2,
    /// http/1.1 alone, as S3 does.
    Http1,
}

/// What kind of AWS to be.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// Issues the certificates.
    pub ca: Arc<TestCa>,
    /// Whose signatures are accepted.
    pub keys: Vec<Key>,
    /// Offered HTTP versions.
    pub protocols: Protocols,
    /// What is wrong with the certificates.
    pub certificate: Option<CertificateFault>,
    /// Age and lead of a signature that are accepted.
    pub max_skew: Duration,
    /// Tells the time.
    pub clock: Clock,
    /// Roles that can be assumed. With one, keys of roles may do what their policies allow, and nothing
    /// else.
    pub roles: Vec<Role>,
    /// Hash bodies even where no check needs it, for [`Received::body_sha256`].
    pub hash_bodies: bool,
}

impl UpstreamConfig {
    /// On a free port of loopback, both protocols, 15 minutes of skew as AWS has.
    #[must_use]
    pub fn new(ca: Arc<TestCa>, keys: Vec<Key>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca,
            keys,
            protocols: Protocols::Both,
            certificate: None,
            max_skew: Duration::from_secs(15 * 60),
            clock: Clock::system(),
            roles: Vec::new(),
            hash_bodies: true,
        }
    }
}

/// What to do with a request instead of answering it well.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// This answer, after the request was verified.
    Answer {
        /// HTTP status.
        status: StatusCode,
        /// `content-type`.
        content_type: &'static str,
        /// The body.
        body: Bytes,
    },
    /// The same, with one more header.
    AnswerWith {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// `content-type`.
        content_type: &'static str,
        /// The body.
        body: Bytes,
    },
    /// The same, with one trailer, as for the checksum of an object.
    AnswerTrailed {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// HTTP status.
        status: StatusCode,
        /// `content-type`.
        content_type: &'static str,
        /// The body.
        body: Bytes,
    },
    /// An error of this status and code, in the service's shape, after the request was verified.
    Fail {
        /// HTTP status.
        status: StatusCode,
        /// AWS error code.
        code: &'static str,
    },
    /// Reset the connection before a response head.
    ResetBeforeHead,
    /// Reset the connection after this many bytes of the response body.
    ResetAfter(u64),
    /// Send nothing more after this many bytes of the response body.
    StallAfter(u64),
    /// Reset the connection after this many bytes of the request's body.
    ResetUploadAfter(u64),
    /// Answer with `early` as soon as the head is there, and read the body afterwards.
    AnswerFirst,
    /// Never answer.
    Silence,
    /// Wait so long before the body is read, and so before `100 Continue`; then answer well.
    SlowContinue(Duration),
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Path and query as they stood on the wire; with authority for HTTP/2.
    pub uri: Uri,
    /// HTTP version.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// SHA-256 in hex of its content, aws-chunked decoded; `None` where it was not read to the end.
    pub body_sha256: Option<String>,
    /// Bytes of its content.
    pub body_length: u64,
    /// Why it was refused; `None` for a request that verified.
    pub refused: Option<Refusal>,
    /// Number of the connection it came on, from 1.
    pub connection: u64,
}

impl Received {
    /// A header's value as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What the upstream sees of calls that are under way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bytes of all requests' bodies, except to STS of the gateway itself.
    pub body: u64,
    /// Requests whose body broke off.
    pub broken: u64,
    /// Requests that wait for a [`Behaviour::Silence`].
    pub silent: u64,
    /// Those of them that were given up by whoever asked.
    pub given_up: u64,
    /// Requests of the gateway itself to STS.
    pub sts: u64,
}

/// A running upstream; dropping it ends its listener and connections.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    sts: SocketAddr,
    state: Arc<State>,
    accepting: [AbortHandle; 2],
}

impl Upstream {
    /// Starts listening on the current runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(config: UpstreamConfig) -> Result<Self> {
        let listener = TcpListener::bind(config.listen).await.context("upstream: bind")?;
        let addr = listener.local_addr()?;
        let plain = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.context("upstream: bind")?;
        let sts = plain.local_addr()?;
        let iam = iam::Iam::new(config.roles.clone());
        let state = Arc::new(State {
            config,
            iam,
            script: Mutex::default(),
            received: Mutex::default(),
            arrived: Notify::new(),
            connections: AtomicU64::new(0),
            seen: watch::Sender::default(),
            sts: Arc::default(),
        });
        let accepting = [
            tokio::spawn(serve::accept(listener, Arc::clone(&state))?).abort_handle(),
            tokio::spawn(serve::accept_sts(plain, Arc::clone(&state))).abort_handle(),
        ];
        Ok(Self { addr, sts, state, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL of STS for the gateway itself, without TLS.
    #[must_use]
    pub fn sts_url(&self) -> String {
        format!("http://{}", self.sts)
    }

    /// Whether there are roles to assume.
    #[must_use]
    pub fn has_roles(&self) -> bool {
        self.state.iam.is_on()
    }

    /// The keys that STS gave, oldest first.
    #[must_use]
    pub fn issued(&self) -> Vec<Issued> {
        self.state.iam.issued()
    }

    /// STS refuses the next request, with this status and code of its own.
    pub fn refuse_sts(&self, status: StatusCode, code: &'static str) {
        self.state.iam.refuse(status, code);
    }

    /// The CA that vouches for it.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.state.config.ca.pem()
    }

    /// What it does with the next requests, one each; afterwards it answers well again.
    pub fn script(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        lock(&self.state.script).extend(behaviours);
    }

    /// Everything received so far, oldest first; refused requests too.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.state.received).iter().cloned().collect()
    }

    /// Everything received since the last time, oldest first; the upstream forgets it.
    #[must_use]
    pub fn take(&self) -> Vec<Received> {
        lock(&self.state.received).drain(..).collect()
    }

    /// Waits until at least `count` requests were received, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        loop {
            let arrived = self.state.arrived.notified();
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            arrived.await;
        }
    }

    /// What it sees of calls that do not end well, and changes of it.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.state.seen.subscribe()
    }

    /// From now on STS answers the gateway only when this is dropped.
    pub async fn hold_sts(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.state.sts).write_owned().await
    }

    /// TLS connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.iter().for_each(AbortHandle::abort);
    }
}

#[derive(Debug)]
struct State {
    config: UpstreamConfig,
    iam: iam::Iam,
    script: Mutex<VecDeque<Behaviour>>,
    received: Mutex<VecDeque<Received>>,
    arrived: Notify,
    connections: AtomicU64,
    seen: watch::Sender<Seen>,
    /// Held for writing where STS hangs.
    sts: Arc<RwLock<()>>,
}

impl State {
    fn key(&self, id: &str) -> Option<Key> {
        let known = self.config.keys.iter().find(|key| key.id == id).cloned();
        known.or_else(|| self.iam.key(id, self.config.clock.now()))
    }

    fn keep(&self, received: Received) {
        let mut kept = lock(&self.received);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(received);
        drop(kept);
        self.arrived.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
