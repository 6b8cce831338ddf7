//! Connections and requests of the upstream.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use anyhow::Result;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Behaviour, Protocols, Received, Seen, State,
    answer::{self, Refusal, Shape},
    body::{Ending, ReplyBody, Reset},
    iam, lock,
    payload::{Payloaded, Receiver},
    sigv4::{Claim, Payload},
};
use crate::pki;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow control windows of HTTP/2, wide enough not to be what a transfer waits for.
const WINDOW: u32 = 4 * 1024 * 1024;

/// Accepts for ever; the connections end with the returned future.
pub(super) fn accept(
    listener: TcpListener,
    state: Arc<State>,
) -> Result<impl Future<Output = ()> + Send + 'static> {
    let tls = TlsAcceptor::from(Arc::new(tls(&state)?));
    Ok(async move {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&state)));
            }
        }
    })
}

fn tls(state: &Arc<State>) -> Result<ServerConfig> {
    let leaves = Leaves { state: Arc::clone(state), minted: Mutex::default() };
    let mut tls = ServerConfig::builder_with_provider(pki::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(leaves));
    tls.alpn_protocols = match state.config.protocols {
        Protocols::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocols::H2 => vec![b"h2".to_vec()],
        Protocols::Http1 => vec![b"http/1.1".to_vec()],
    };
    Ok(tls)
}

/// A leaf per server name.
#[derive(Debug)]
struct Leaves {
    state: Arc<State>,
    minted: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        let mut minted = lock(&self.minted);
        if let Some(leaf) = minted.get(name) {
            return Some(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.state.config.ca.leaf(&[name], self.state.config.certificate).ok()?);
        minted.insert(name.to_owned(), Arc::clone(&leaf));
        Some(leaf)
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, state: Arc<State>) {
    // A failure to set the option would only be slow.
    let _ = stream.set_nodelay(true);
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let Ok(Ok(io)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await else { return };
    let number = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let socket = Arc::new(socket);
    let service = service_fn(|request| {
        let (state, socket) = (Arc::clone(&state), Arc::clone(&socket));
        async move {
            let response = request_received(request, &state, number).await;
            let resets = response.as_ref().map_or(true, |response| response.body().resets());
            if resets {
                reset_on_close(&socket);
            }
            response
        }
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http2().initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    // Clients that hang up, and resets on purpose, end here.
    let _ = http.serve_connection(TokioIo::new(io), service).await;
}

/// Makes the kernel send RST instead of FIN when the last handle is closed.
fn reset_on_close(socket: &OwnedFd) {
    let lingered: io::Result<()> =
        rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).map_err(Into::into);
    // Without the option the client still sees the connection end in mid-message.
    let _ = lingered;
}

/// One request: verified, drained, recorded, answered. `Err` closes the connection.
async fn request_received(
    request: Request<Incoming>,
    state: &State,
    connection: u64,
) -> Result<Response<ReplyBody>, Reset> {
    let behaviour = lock(&state.script).pop_front();
    let (head, mut body) = request.into_parts();
    match &behaviour {
        Some(Behaviour::ResetUploadAfter(bytes)) => {
            drain_some(&mut body, *bytes).await;
            return Err(Reset);
        }
        Some(Behaviour::AnswerFirst) => {
            let seen = state.seen.clone();
            tokio::spawn(async move {
                let mut reading = Reading { seen: Some(&seen), ended: false };
                while let Some(frame) = body.frame().await {
                    let Ok(frame) = frame else { return };
                    reading.tell(|seen| seen.body += frame.data_ref().map_or(0, |data| data.len() as u64));
                }
                reading.ended = true;
            });
            return Ok(answer::reply(http::StatusCode::OK, "text/plain", ReplyBody::whole("early")));
        }
        Some(Behaviour::SlowContinue(delay)) => tokio::time::sleep(*delay).await,
        Some(
            Behaviour::Answer { .. }
            | Behaviour::AnswerWith { .. }
            | Behaviour::AnswerTrailed { .. }
            | Behaviour::Fail { .. }
            | Behaviour::ResetBeforeHead
            | Behaviour::ResetAfter(_)
            | Behaviour::StallAfter(_)
            | Behaviour::Silence,
        )
        | None => {}
    }
    let outcome = verify(&head, &mut body, state, Some(&state.seen)).await?.and_then(|verified| {
        state.iam.decide(&head, &verified.claim, &verified.kept)?;
        Ok(verified)
    });
    let asks_iam = |_: &&Verified| state.iam.is_on() && behaviour.is_none();
    let asked = outcome.as_ref().ok().filter(asks_iam);
    let given = asked.and_then(|Verified { claim, kept, .. }| {
        let now = state.config.clock.now();
        match claim.service.as_str() {
            "sts" => Some(iam::sts_answer(&state.iam, Some(&claim.key_id), kept, now)),
            "s3express" if is_session(&head) => Some(iam::express_session(&state.iam, &claim.key_id, now)),
            _ => None,
        }
    });
    let refused = outcome.as_ref().err().cloned();
    state.keep(received(&head, outcome, connection));
    if let Some(answer) = given {
        return Ok(answer);
    }
    match (refused, behaviour) {
        (Some(refusal), _) => Ok(refusal.answer(&head)),
        (None, Some(behaviour)) => behave(behaviour, &head, state).await,
        (None, None) => Ok(answer::success(&head, Ending::Whole)),
    }
}

/// `CreateSession` of S3 Express.
fn is_session(head: &Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    head.method == http::Method::GET && query.split('&').any(|pair| matches!(pair, "session" | "session="))
}

async fn behave(behaviour: Behaviour, head: &Parts, state: &State) -> Result<Response<ReplyBody>, Reset> {
    match behaviour {
        Behaviour::Answer { status, content_type, body } => {
            Ok(answer::reply(status, content_type, ReplyBody::whole(body)))
        }
        Behaviour::AnswerWith { name, value, status, content_type, body } => {
            let mut response = answer::reply(status, content_type, ReplyBody::whole(body));
            response.headers_mut().insert(name, HeaderValue::from_static(value));
            Ok(response)
        }
        Behaviour::AnswerTrailed { name, value, status, content_type, body } => {
            let mut trailers = http::HeaderMap::new();
            trailers.insert(name, HeaderValue::from_str(&value).map_err(|_| Reset)?);
            let body = ReplyBody::whole(body).trailed(trailers);
            let mut response = answer::reply(status, content_type, body);
            response.headers_mut().insert(http::header::TRAILER, HeaderValue::from_static(name));
            response.headers_mut().insert("x-amz-trailer", HeaderValue::from_static(name));
            Ok(response)
        }
        Behaviour::Fail { status, code } => {
            Ok(answer::error(Shape::of(head), status, code, "the upstream fails on purpose"))
        }
        Behaviour::ResetBeforeHead | Behaviour::ResetUploadAfter(_) => Err(Reset),
        Behaviour::ResetAfter(bytes) => Ok(answer::success(head, Ending::ResetAfter(bytes))),
        Behaviour::StallAfter(bytes) => Ok(answer::success(head, Ending::StallAfter(bytes))),
        Behaviour::Silence => {
            state.seen.send_modify(|seen| seen.silent += 1);
            let _given_up = GivenUp(state);
            std::future::pending().await
        }
        Behaviour::SlowContinue(_) | Behaviour::AnswerFirst => Ok(answer::success(head, Ending::Whole)),
    }
}

/// Tells of a body that breaks off: over HTTP/1.1 nobody gets to know who reads it.
struct Reading<'s> {
    seen: Option<&'s watch::Sender<Seen>>,
    ended: bool,
}

impl Reading<'_> {
    fn tell(&self, what: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.seen {
            seen.send_modify(what);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(|seen| seen.broken += 1);
        }
    }
}

/// Tells when it is dropped.
struct GivenUp<'s>(&'s State);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.0.seen.send_modify(|seen| seen.given_up += 1);
    }
}

/// STS for the gateway itself: no TLS, no script, nothing kept.
pub(super) async fn accept_sts(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| sts_asked(request, &state));
            let http = hyper::server::conn::http1::Builder::new();
            // Clients that hang up end here.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn sts_asked(request: Request<Incoming>, state: &State) -> Result<Response<ReplyBody>, Reset> {
    let (head, mut body) = request.into_parts();
    state.seen.send_modify(|seen| seen.sts += 1);
    drop(state.sts.read().await);
    let now = state.config.clock.now();
    if !head.headers.contains_key("authorization") {
        let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
        return Ok(iam::sts_answer(&state.iam, None, &body, now));
    }
    Ok(match verify(&head, &mut body, state, None).await? {
        Ok(Verified { claim, kept, .. }) => iam::sts_answer(&state.iam, Some(&claim.key_id), &kept, now),
        Err(refusal) => refusal.answer(&head),
    })
}

/// A request that verified.
struct Verified {
    claim: Claim,
    payload: Payloaded,
    /// The body as it came, where policies are looked at and it is not longer than [`KEPT_BODY`].
    kept: Vec<u8>,
}

/// Longest body that is read for what it asks; that of another is taken for empty.
const KEPT_BODY: usize = 64 * 1024;

/// Checks signature and body; what is refused by its head is not read, as AWS does.
///
/// The outer error is a client that broke off: there is nobody to answer.
async fn verify(
    head: &Parts,
    body: &mut Incoming,
    state: &State,
    seen: Option<&watch::Sender<Seen>>,
) -> Result<Result<Verified, Refusal>, Reset> {
    let checked = || {
        let now = state.config.clock.now();
        let max_skew = time::Duration::try_from(state.config.max_skew).unwrap_or(time::Duration::MAX);
        let claim = Claim::read(head, now, max_skew)?;
        let key = state.key(&claim.key_id).ok_or_else(|| Refusal::unknown_key(&claim.key_id))?;
        if claim.payload != Payload::Absent {
            claim.verify(head, &key, "")?;
        }
        let receiver = Receiver::new(&claim.payload, &head.headers, state.config.hash_bodies)?;
        Ok((claim, key, receiver))
    };
    let (claim, key, mut receiver) = match checked() {
        Ok(checked) => checked,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut kept = Vec::new();
    let mut room = if state.iam.is_on() { KEPT_BODY } else { 0 };
    let mut reading = Reading { seen, ended: false };
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Reset) };
        let Some(data) = frame.data_ref() else { continue };
        reading.tell(|seen| seen.body += data.len() as u64);
        if let Err(refusal) = receiver.push(data) {
            reading.ended = true;
            return Ok(Err(refusal));
        }
        match room.checked_sub(data.len()) {
            Some(left) => {
                kept.extend_from_slice(data);
                room = left;
            }
            None => (kept, room) = (Vec::new(), 0),
        }
    }
    reading.ended = true;
    Ok(receiver.finish(&claim.payload).and_then(|payload| {
        if claim.payload == Payload::Absent {
            claim.verify(head, &key, &payload.sha256)?;
        }
        Ok(Verified { claim, payload, kept })
    }))
}

fn received(head: &Parts, outcome: Result<Verified, Refusal>, connection: u64) -> Received {
    let (payload, refused) = match outcome {
        Ok(verified) => (Some(verified.payload), None),
        Err(refusal) => (None, Some(refusal)),
    };
    Received {
        method: head.method.clone(),
        uri: head.uri.clone(),
        version: head.version,
        headers: head.headers.clone(),
        body_length: payload.as_ref().map_or(0, |payload| payload.length),
        body_sha256: payload.map(|payload| payload.sha256),
        refused,
        connection,
    }
}

async fn drain_some(body: &mut Incoming, bytes: u64) {
    let mut left = bytes;
    while left > 0
        && let Some(Ok(frame)) = body.frame().await
    {
        let read = frame.data_ref().map_or(0, |data| data.len() as u64);
        left = left.saturating_sub(read);
    }
}
