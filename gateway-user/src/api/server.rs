//! Requests to replies.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, sync::Semaphore, task::JoinSet};
use tracing::{debug, warn};

use super::{
    control::ControlError,
    launcher::{AdoptError, LaunchError, Launcher, Peer},
    process::Refusal,
    retention::{KeepError, Retention},
    socket::Socket,
    wire::{AdoptRequest, ErrorReply, LaunchRequest, RenewRequest, Status, Token},
};
use crate::{
    identify::IdentifyError,
    prim::{SessionId, WorkloadName},
    record::{RecordError, retention::RetentionError},
};

/// Bytes of a request's header block; a launcher's has about 150.
const HEADER_MAX_BYTES: usize = 8192;

/// Bytes of a token that is read at all: more than a launcher presents.
const TOKEN_MAX_BYTES: usize = 2 << 20;

/// How long to wait when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells how the daemon is.
pub trait StatusSource: Send + Sync + 'static {
    /// The daemon's state now; it must not wait for anything.
    fn status(&self) -> Status;
}

/// The daemon's side of the socket.
#[derive(Clone)]
pub struct Api {
    status: Arc<dyn StatusSource>,
    launcher: Arc<Launcher>,
    retention: Option<Arc<Retention>>,
    config: super::Config,
}

impl Api {
    /// An API over the daemon's parts.
    #[must_use]
    pub fn new(config: super::Config, status: Arc<dyn StatusSource>, launcher: Arc<Launcher>) -> Self {
        Self { status, launcher, retention: None, config }
    }

    /// Also decides what of the record is kept.
    #[must_use]
    pub fn with_retention(self, retention: Arc<Retention>) -> Self {
        Self { retention: Some(retention), ..self }
    }

    /// Answers requests until `shutdown`, then lets those under way finish.
    pub async fn serve(self, socket: Socket, shutdown: impl Future<Output = ()>) {
        let permits = Arc::new(Semaphore::new(self.config.max_connections));
        let mut connections = JoinSet::new();
        let accept = async {
            loop {
                // Closed only by dropping it, which nobody does.
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                match socket.listener().accept().await {
                    Ok((stream, _)) => {
                        let api = self.clone();
                        connections.spawn(async move {
                            api.connection(stream).await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        warn!(%error, "accepting on the api socket failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
                // What is done is forgotten, so that the set stays as small as the bound.
                while connections.try_join_next().is_some() {}
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown => {}
        }
        // Each has its own deadline, so this ends.
        while connections.join_next().await.is_some() {}
    }

    async fn connection(&self, stream: UnixStream) {
        let peer = match stream.peer_cred() {
            Ok(credentials) => {
                let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
                Peer { pid, uid: credentials.uid() }
            }
            Err(error) => return warn!(%error, "a peer of the api socket has no credentials"),
        };
        let limit = Duration::from_secs(self.config.request_timeout_secs);
        let service = service_fn(async |request| Ok::<_, Infallible>(self.answer(peer, request).await));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limit)
            .max_buf_size(HEADER_MAX_BYTES)
            // One request per connection: no idle ones to keep count of.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        match tokio::time::timeout(limit, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, pid = peer.pid, "an api connection broke off"),
            Err(_) => warn!(pid = peer.pid, "an api request took longer than {limit:?}"),
        }
    }

    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.route(peer, request).await.unwrap_or_else(|failure| {
            let ErrorReply { error, next_step } = &failure.reply;
            debug!(pid = peer.pid, uid = peer.uid, error, next_step, "an api request was refused");
            json(failure.status, &failure.reply)
        })
    }

    async fn route(&self, peer: Peer, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/v1/status") => Ok(json(StatusCode::OK, &self.status.status())),
            (&Method::POST, "/v1/sessions") => {
                let wanted = self.with_token(request, |wanted: &LaunchRequest| wanted.token.as_ref()).await?;
                let launched = self.launcher.launch(peer, wanted).await?;
                Ok(json(StatusCode::CREATED, &launched))
            }
            (&Method::POST, _) if of_session(&path, "adopt").is_some() => {
                let id = of_session(&path, "adopt").and_then(|id| id.parse::<SessionId>().ok());
                let id = id.ok_or_else(|| Failure::no_such(&path))?;
                let AdoptRequest { pid } = self.body(request).await?;
                self.adopt(peer, id, pid).await?;
                Ok(json(StatusCode::OK, &serde_json::json!({})))
            }
            (&Method::POST, _) if of_session(&path, "token").is_some() => {
                let id = of_session(&path, "token").and_then(|id| id.parse::<SessionId>().ok());
                let id = id.ok_or_else(|| Failure::no_such(&path))?;
                let RenewRequest { token } =
                    self.with_token(request, |wanted: &RenewRequest| Some(&wanted.token)).await?;
                Ok(json(StatusCode::OK, &self.launcher.renew(peer, id, token).await?))
            }
            (&Method::POST, _) if of_session(&path, "kill").is_some() => {
                let id = of_session(&path, "kill").and_then(|id| id.parse::<SessionId>().ok());
                let id = id.ok_or_else(|| Failure::no_such(&path))?;
                self.launcher.kill(peer, id).await?;
                Ok(json(StatusCode::OK, &serde_json::json!({})))
            }
            (&Method::GET, "/v1/retention") => {
                Ok(json(StatusCode::OK, &self.keeper(peer, &path)?.0.status()))
            }
            (&Method::POST, "/v1/retention") => {
                let (keeper, actor) = self.keeper(peer, &path)?;
                Ok(json(StatusCode::ACCEPTED, &keeper.start(actor, self.body(request).await?).await?))
            }
            (&Method::POST, "/v1/holds") => {
                let (keeper, actor) = self.keeper(peer, &path)?;
                Ok(json(StatusCode::CREATED, &keeper.hold(actor, self.body(request).await?).await?))
            }
            (&Method::POST, _) if of_hold(&path).is_some() => {
                let (keeper, actor) = self.keeper(peer, &path)?;
                let id = of_hold(&path).ok_or_else(|| Failure::no_such(&path))?;
                keeper.release(actor, id, self.body(request).await?).await?;
                Ok(json(StatusCode::OK, &serde_json::json!({})))
            }
            (_, "/v1/status" | "/v1/sessions" | "/v1/retention" | "/v1/holds") => {
                Err(Failure::method(request.method()))
            }
            _ => Err(Failure::no_such(&path)),
        }
    }

    /// Who decides what is kept, for who may ask, and who that is.
    fn keeper(&self, peer: Peer, path: &str) -> Result<(&Arc<Retention>, String), Failure> {
        let actor = self.launcher.may_keep(peer)?;
        Ok((self.retention.as_ref().ok_or_else(|| Failure::no_such(path))?, actor))
    }

    async fn adopt(&self, peer: Peer, id: SessionId, pid: u32) -> Result<(), Failure> {
        let launcher = Arc::clone(&self.launcher);
        // It reads a dozen files of /proc and moves a process: not on a thread that serves calls.
        let adopted = tokio::task::spawn_blocking(move || launcher.adopt(peer, id, pid)).await;
        adopted.map_err(|_| Failure::internal("moving the process panicked"))?.map_err(Failure::from)
    }

    async fn body<T: DeserializeOwned>(&self, request: Request<Incoming>) -> Result<T, Failure> {
        self.sized(request, self.config.body_max_bytes).await.map(|(wanted, _)| wanted)
    }

    /// The same with a token, which has its own bound: one that is longer than its issuer's tokens may be is refused as an
    /// identity, and recorded, as any other that is not accepted.
    async fn with_token<T: DeserializeOwned>(
        &self,
        request: Request<Incoming>,
        token: impl FnOnce(&T) -> Option<&Token>,
    ) -> Result<T, Failure> {
        let max = self.config.body_max_bytes;
        let (wanted, bytes) = self.sized(request, max.saturating_add(TOKEN_MAX_BYTES)).await?;
        let rest = bytes.saturating_sub(token(&wanted).map_or(0, Token::len));
        if rest > max { Err(Failure::too_large(max)) } else { Ok(wanted) }
    }

    /// A body of at most `max` bytes, and how many it had.
    async fn sized<T: DeserializeOwned>(
        &self,
        request: Request<Incoming>,
        max: usize,
    ) -> Result<(T, usize), Failure> {
        let bytes = Limited::new(request.into_body(), max).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failure::too_large(self.config.body_max_bytes)
            } else {
                Failure::bad_request("the request's body broke off")
            }
        })?;
        let bytes = bytes.to_bytes();
        let wanted = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::bad_request(&format!("the request's body is not what it should be: {error}"))
        })?;
        Ok((wanted, bytes.len()))
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("config", &self.config).finish_non_exhaustive()
    }
}

/// `ID` of `/v1/sessions/ID/VERB`.
fn of_session<'p>(path: &'p str, verb: &str) -> Option<&'p str> {
    path.strip_prefix("/v1/sessions/")?.strip_suffix(verb)?.strip_suffix('/')
}

/// `ID` of `/v1/holds/ID/release`.
fn of_hold(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/holds/")?.strip_suffix("/release")
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // Serializing our own plain structs cannot fail.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// A refusal with its status.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    reply: ErrorReply,
}

impl Failure {
    fn new(status: StatusCode, error: impl ToString, next_step: impl Into<String>) -> Self {
        Self { status, reply: ErrorReply { error: error.to_string(), next_step: next_step.into() } }
    }

    fn bad_request(error: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "use the chaperone command of the daemon's own version")
    }

    fn no_such(path: &str) -> Self {
        let path: String = path.chars().take(80).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is nothing at {path:?}"),
            "use the chaperone command of the daemon's own version",
        )
    }

    fn method(method: &Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not possible here"),
            "use the chaperone command of the daemon's own version",
        )
    }

    fn too_large(max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request's body has more than {max} bytes"),
            "put the command into a script, or raise [api] body_max_bytes",
        )
    }

    fn internal(error: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error, "see the daemon's log (journalctl -u chaperone)")
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        let (status, next_step) = match &error {
            LaunchError::Peer(refusal) => return Self::of_refusal(&error, refusal),
            LaunchError::NoWorkloads => (
                StatusCode::CONFLICT,
                "add a [[workload]] to /etc/chaperone/chaperone.toml and restart the daemon".to_owned(),
            ),
            LaunchError::WhichWorkload(configured) => {
                (StatusCode::BAD_REQUEST, format!("add --workload with one of: {}", list(configured)))
            }
            LaunchError::UnknownWorkload { configured, .. } => {
                (StatusCode::BAD_REQUEST, format!("use one of: {}", list(configured)))
            }
            LaunchError::TooMany { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "end some of them, or ask the admin to raise api.max_launches_per_user".to_owned(),
            ),
            LaunchError::TokenOfAnother => (StatusCode::FORBIDDEN, OWN_TOKEN.to_owned()),
            LaunchError::Enrol(IdentifyError::NotVouched { .. }) => {
                return Self::new(StatusCode::FORBIDDEN, "identity not accepted", VOUCH);
            }
            LaunchError::Enrol(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "see chaperone status and the daemon's log (journalctl -u chaperone)".to_owned(),
            ),
            LaunchError::Cgroup(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "check that the agent slice exists (systemctl start agents.slice) and that the service may \
                 write below it"
                    .to_owned(),
            ),
        };
        Self::new(status, error, next_step)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let (status, next_step) = match &error {
            ControlError::Peer(refusal) => return Self::of_refusal(&error, refusal),
            ControlError::NotYours(_) => (
                StatusCode::NOT_FOUND,
                "look for open sessions (chaperone sessions list --open); another user's only root may end",
            ),
            ControlError::NotVouched(_) => (StatusCode::FORBIDDEN, VOUCH),
            ControlError::Record(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "see the daemon's log (journalctl -u chaperone)")
            }
        };
        Self::new(status, error, next_step)
    }
}

impl From<KeepError> for Failure {
    fn from(error: KeepError) -> Self {
        let (status, next_step) = match &error {
            KeepError::Peer(refusal) => return Self::of_refusal(&error, refusal),
            KeepError::NotRoot => (StatusCode::FORBIDDEN, "run the command as root (sudo)"),
            KeepError::Running => {
                (StatusCode::CONFLICT, "try again when that is done (chaperone events list --kind retention)")
            }
            KeepError::Senseless(_) => (StatusCode::BAD_REQUEST, "see chaperone retention --help"),
            KeepError::Young(RetentionError::BodiesOutlive) => {
                (StatusCode::BAD_REQUEST, "give bodies the same age, or a younger one")
            }
            KeepError::Young(_) => (StatusCode::BAD_REQUEST, "give --older-than 2d or more"),
            KeepError::Clock(RetentionError::ClockAhead { .. }) => (
                StatusCode::CONFLICT,
                "look at the clock (timedatectl); if it is right, give --clock-is-right",
            ),
            KeepError::Clock(_) | KeepError::Unread(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "see the daemon's log (journalctl -u chaperone)")
            }
            KeepError::Nothing(_) => {
                (StatusCode::NOT_FOUND, "look for sessions and workloads (chaperone sessions list)")
            }
            KeepError::Record(RecordError::Rejected(_)) => {
                (StatusCode::NOT_FOUND, "look for holds in force (chaperone retention holds list)")
            }
            KeepError::Record(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "see the daemon's log (journalctl -u chaperone)")
            }
        };
        Self::new(status, error, next_step)
    }
}

/// What to do about a token that is not accepted.
const VOUCH: &str = "present a token of the workload's issuer that is valid now (chaperone events list --kind \
                     identity-not-accepted tells the administrator why it is not)";

/// What to do about a token that lives elsewhere.
const OWN_TOKEN: &str = "present another token: one is good for one session at a time, and only for the user who \
                         presented it first";

impl From<AdoptError> for Failure {
    fn from(error: AdoptError) -> Self {
        match &error {
            AdoptError::NotWaiting(_) => Self::new(
                StatusCode::CONFLICT,
                &error,
                "start the command anew: a session takes one process, from the user who asked for it",
            ),
            AdoptError::Process(refusal) => Self::of_refusal(&error, refusal),
            AdoptError::Cgroup(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                &error,
                "see the daemon's log (journalctl -u chaperone)",
            ),
        }
    }
}

impl Failure {
    fn of_refusal(error: &impl ToString, refusal: &Refusal) -> Self {
        let (status, next_step) = match refusal {
            Refusal::Gone(_) => (StatusCode::CONFLICT, "start the command anew"),
            Refusal::AlreadyAgent { .. } => (
                StatusCode::FORBIDDEN,
                "start the command without chaperone run: it belongs to the session it is started in",
            ),
            Refusal::NotYourChild { .. } | Refusal::OtherUser { .. } | Refusal::Threads { .. } => {
                (StatusCode::FORBIDDEN, "use chaperone run, which starts a fresh process of your own")
            }
            Refusal::Descriptor { .. } => (
                StatusCode::FORBIDDEN,
                "start the command with files, pipes or a terminal as standard input, output and error",
            ),
            Refusal::Unreadable { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "check that the service has CAP_SYS_PTRACE and sees all of /proc",
            ),
        };
        Self::new(status, error.to_string(), next_step)
    }
}

fn list(names: &[WorkloadName]) -> String {
    names.iter().map(WorkloadName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
