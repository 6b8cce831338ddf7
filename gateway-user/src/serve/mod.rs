//! The whole story in two functions: one connection ([`Gateway::connection`]), one call
//! ([`call::call`]).

mod attribution;
mod aws_error;
mod burst;
mod bypass;
mod call;
mod counters;
mod draft;
mod framing;
mod http;
mod inserting;
mod intake;
mod lasting;
mod ledger;
mod masking;
mod minting;
mod refused;
mod reply;
mod revealing;
mod rounds;
mod stranger;
mod tokenizing;
mod uploading;
mod watched_io;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::http::{Request, Response};
use arc_swap::ArcSwap;
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use self::http::HttpError;
pub use self::{
    burst::{Bursts, Cause},
    counters::{Counters, Counts},
    ledger::Ledger,
};
pub use crate::share::{NoRoom, Shares};
use crate::{
    accept::Accepted,
    body::{self, Body},
    clock::Clock,
    credentials,
    decide::Policies,
    forward::{EndpointOverride, Upstream},
    identify::{Caller, EndReason, IdentifyError, Identity, Registry, Session, VouchError},
    mask::Masks,
    prim::{AgentAddr, HostName, WorkloadName},
    record::{Event, IdentityRenewal, RecordError, Recorder, SessionEnd, SessionStart},
    redirect::{OriginError, Origins},
    route::{self, Route, RouteError, metadata, passthrough, route},
    share::Owner,
    terminate::{HandshakeError, Terminator},
    tokens::Tokens,
};

/// The process that presented a token.
#[derive(Debug, Clone, Copy)]
pub struct Presenter {
    /// Its id.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
}

/// Bounds on one connection and one call.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Connections open at once; further ones wait in the listen queue.
    pub max_connections: usize,
    /// Connections of one session at once; further ones are closed, with an event.
    pub session_max_connections: usize,
    /// Calls of one session at once; further ones are refused with an error that SDKs retry.
    pub session_max_calls: usize,
    /// Bytes of one request's header block.
    pub header_max_bytes: usize,
    /// Time for a request's header block, in seconds; also how long an idle connection is kept.
    pub header_timeout_secs: u64,
    /// Requests at once on one HTTP/2 connection.
    pub h2_max_streams: u64,
    /// Bytes of a body that must be read whole to be understood (parameters, body hash).
    pub inspect_max_bytes: usize,
    /// Bytes of all such bodies held at once; a session may hold a quarter of it.
    pub inspect_memory_bytes: usize,
    /// Time for such a body to arrive, in seconds.
    pub inspect_timeout_secs: u64,
    /// Clock skew accepted in a request's signature, in seconds.
    pub max_skew_secs: u64,
    /// Time for calls in flight to end at shutdown, in seconds.
    pub drain_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            session_max_connections: 1024,
            session_max_calls: 1024,
            header_max_bytes: 64 * 1024,
            header_timeout_secs: 75,
            h2_max_streams: 100,
            inspect_max_bytes: 16 * 1024 * 1024,
            inspect_memory_bytes: 256 * 1024 * 1024,
            inspect_timeout_secs: 60,
            max_skew_secs: 300,
            drain_timeout_secs: 30,
        }
    }
}

/// How long an agent may take to read why its calls have ended with their session.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Every stage, built and ready. `app` makes one; connections share it.
pub struct Gateway {
    /// Bounds on connections and calls.
    pub config: Config,
    /// Bounds on the first bytes.
    pub route: route::Config,
    /// Where passed-through names are dialled instead of their resolution.
    pub overrides: Vec<EndpointOverride>,
    /// Our own listeners: never a destination.
    pub own: Vec<SocketAddr>,
    /// The kernel's memory of where connections wanted to go.
    pub origins: Arc<dyn Origins>,
    /// Workloads and sessions.
    pub registry: Arc<Registry>,
    /// The host's name, for the record.
    pub hostname: String,
    /// TLS towards agents.
    pub terminator: Terminator,
    /// 32 secret bytes that sign the metadata endpoint's tokens while the daemon runs.
    pub metadata_key: [u8; 32],
    /// The policies in force; replaced whole.
    pub policies: ArcSwap<Policies>,
    /// The session database.
    pub recorder: Recorder,
    /// The gateway's own keys.
    pub credentials: credentials::Source,
    /// The client towards AWS.
    pub upstream: Upstream,
    /// What is hidden in answers.
    pub masks: Masks,
    /// What the tokens of running sessions stand for.
    pub tokens: Arc<Tokens>,
    /// The time.
    pub clock: Clock,
    /// What the calls came to, since the start.
    pub counters: Counters,
    /// What was allowed so far, for policies that limit it.
    pub ledger: Ledger,
    /// Connections in use.
    pub connections: Shares,
    /// Calls in use, from the first byte of a request to the last of its answer.
    pub calls: Shares,
    /// Bytes of inspected bodies in use.
    pub memory: Shares,
    /// Keeps events that an agent can cause at will from filling the disk.
    pub bursts: Bursts,
    /// Ends of sessions that are not in the database yet: no more than sessions.
    pub unrecorded: Mutex<Vec<SessionEnd>>,
    /// Cancelled when the daemon should end.
    pub shutdown: CancellationToken,
}

/// Why a connection was closed below HTTP. Each is recorded as an event.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("{0}")]
    Origin(#[from] OriginError),
    #[error("{0}")]
    Identify(#[from] IdentifyError),
    #[error("{0}")]
    NoRoom(#[from] NoRoom),
    #[error("{0}")]
    Route(#[from] RouteError),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("{0}")]
    Dial(#[from] passthrough::DialError),
}

impl ConnectionError {
    /// The stage that refused, as events name it.
    fn stage(&self) -> &'static str {
        match self {
            Self::Origin(_) => "origin-unknown",
            Self::Identify(error) if error.is_about_identity() => "identity-not-accepted",
            Self::Identify(_) => "not-identified",
            Self::NoRoom(_) => "too-many-connections",
            Self::Route(_) => "route-refused",
            Self::Handshake(_) => "tls-failed",
            Self::Http(_) => "http-refused",
            Self::Dial(_) => "passthrough-failed",
        }
    }
}

impl Config {
    /// Connections, calls, bytes of inspected bodies: in all, and of one session.
    #[must_use]
    pub fn shares(&self, open_calls: usize) -> (Shares, Shares, Shares) {
        (
            Shares::new(self.max_connections, self.session_max_connections),
            Shares::new(open_calls, self.session_max_calls),
            Shares::new(self.inspect_memory_bytes, self.inspect_memory_bytes / 4),
        )
    }
}

impl Gateway {
    /// One connection of an agent, from its first byte to its last.
    pub async fn connection(self: Arc<Self>, io: TcpStream, agent: AgentAddr) {
        let mut known = Known::default();
        let Err(error) = self.carry(io, agent, &mut known).await else { return };
        self.report(known.origin.map(|origin| origin.cgroup), known.event(&error)).await;
    }

    /// Records an event that somebody caused who may cause more: one by one, or in a burst as a count.
    pub async fn report(&self, cause: impl Into<Cause>, event: Event) {
        if !self.bursts.admit((cause.into(), event.kind), Instant::now()) {
            return;
        }
        tracing::info!(kind = event.kind, session = ?event.session, event.message, "reported");
        if let Err(error) = self.recorder.event(event).await {
            tracing::error!(%error, "an event could not be recorded");
        }
    }

    /// Records that values were hidden although tokens were to stand for them.
    pub async fn report_unkept(&self) {
        for unkept in self.tokens.unkept() {
            self.report(Cause::Cgroup(unkept.session.cgroup_id), tokenizing::event(&unkept)).await;
        }
    }

    /// Records how many events of ended bursts were only counted.
    pub async fn report_bursts(&self) {
        for ((cause, kind), counted) in self.bursts.over(Instant::now()) {
            let mut event = Event::new(kind, format!("{counted} more within a minute"));
            let cgroup = cause.cgroup();
            event.detail = json!({ "counted": counted, "cgroup_id": cgroup.map(|cgroup| cgroup.0) });
            if let Cause::User(uid) = cause {
                event.uid = Some(uid);
            }
            if let Some(session) = cgroup.and_then(|cgroup| self.registry.session_of(cgroup)) {
                event = event.of_session(&session);
            }
            if let Err(error) = self.recorder.event(event).await {
                tracing::error!(%error, kind, counted, "a count of events could not be recorded");
            }
        }
    }

    /// accept → identify → route → terminate, then HTTP.
    async fn carry(
        self: &Arc<Self>,
        io: TcpStream,
        agent: AgentAddr,
        known: &mut Known,
    ) -> Result<(), ConnectionError> {
        let origin = self.origins.origin(&io, agent)?;
        let accepted = Accepted { io, agent, origin };
        known.origin = Some(origin);
        // While somebody is asked who this is, only so many of one cgroup may wait.
        let waiting = self.connections.take(Owner::Cgroup(origin.cgroup), 1)?;
        let caller = match self
            .registry
            .identify(&origin, async |session: &Session| self.enrol(session).await)
            .await
        {
            Err(error) if error.is_about_identity() => {
                drop(waiting);
                let workload =
                    error.workload().and_then(|name| self.registry.workloads().named(name)).cloned();
                self.report(Cause::Cgroup(origin.cgroup), known.event(&error.into())).await;
                return stranger::answer(self, accepted, workload).await;
            }
            identified => identified?,
        };
        known.caller = Some(caller.clone());
        drop(waiting);
        let _place = self.connections.take(caller.session.id, 1)?;
        match route(&accepted, caller.session.workload.egress, &self.own, &self.route).await? {
            Route::Aws(name) => self.aws(accepted, caller, name).await,
            Route::Metadata => self.metadata(accepted, caller).await,
            Route::PassThroughName(name, port) => {
                let fixed = EndpointOverride::resolve(&self.overrides, name.as_str());
                let asked = accepted.origin.destination;
                let upstream =
                    passthrough::connect_name(&name, port, asked, fixed, &self.own, &self.route).await?;
                self.relay(accepted, upstream, &caller.session).await;
                Ok(())
            }
            Route::PassThroughAddress(address) => {
                let upstream = passthrough::connect_address(address, &self.own, &self.route).await?;
                self.relay(accepted, upstream, &caller.session).await;
                Ok(())
            }
        }
    }

    /// Calls to AWS over a terminated connection.
    async fn aws(
        self: &Arc<Self>,
        accepted: Accepted,
        caller: Caller,
        name: HostName,
    ) -> Result<(), ConnectionError> {
        let tls = self.terminator.handshake(accepted.io, &name).await?;
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
        let gateway = Arc::clone(self);
        let session = Arc::clone(&caller.session);
        let shared = Arc::new((caller, name));
        let handler = move |request: Request<Incoming>| {
            let (gateway, shared) = (Arc::clone(&gateway), Arc::clone(&shared));
            async move { call::call(&gateway, &shared.0, &shared.1, request).await }
        };
        // Calls end with their session by themselves, but an agent that does not read its answer would keep one.
        let overdue = async {
            session.over().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            served = http::serve(tls, h2, &self.config, &self.shutdown, handler) => Ok(served?),
            () = overdue => Ok(()),
        }
    }

    /// The metadata endpoint, over plain HTTP.
    async fn metadata(self: &Arc<Self>, accepted: Accepted, caller: Caller) -> Result<(), ConnectionError> {
        let gateway = Arc::clone(self);
        let session = Arc::clone(&caller.session);
        let handler = move |request: Request<Incoming>| {
            let (gateway, session) = (Arc::clone(&gateway), Arc::clone(&session));
            async move {
                match session.ended(gateway.clock.now()) {
                    Some(_) => stranger::metadata(&gateway, Some(&session.workload), request),
                    None => gateway.metadata_answer(&session, request),
                }
            }
        };
        Ok(http::serve(accepted.io, false, &self.config, &self.shutdown, handler).await?)
    }

    fn metadata_answer(&self, session: &Session, request: Request<Incoming>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let role = format!("chaperone-{}", session.workload.name);
        metadata::answer(&head, session, &role, self.clock.now(), &self.metadata_key).map(body::full)
    }

    /// Bytes that are none of our business, in both directions.
    async fn relay(&self, accepted: Accepted, upstream: TcpStream, session: &Session) {
        let idle = Duration::from_secs(self.route.idle_timeout_secs);
        tokio::select! {
            ended = passthrough::relay(accepted.io, upstream, idle) => match ended {
                Ok(traffic) => tracing::debug!(agent = %accepted.agent.0, ?traffic, "relayed"),
                Err(error) => tracing::debug!(agent = %accepted.agent.0, %error, "a relayed connection broke off"),
            },
            () = session.over() => tracing::debug!(agent = %accepted.agent.0, "a relayed session is over"),
            () = self.shutdown.cancelled() => {}
        }
    }

    /// Forgets what was kept for a session that is over, and records its end: now, or as soon as that is possible.
    ///
    /// # Errors
    /// [`RecordError`]: it is not recorded yet, and would be taken up again if the daemon were started anew.
    pub async fn end(&self, session: &Session, reason: EndReason) -> Result<(), RecordError> {
        tracing::info!(session = %session.id, reason = reason.as_str(), "session ended");
        self.credentials.forget(session.id);
        self.tokens.forget(session.id);
        self.ledger.forget(session);
        let end = SessionEnd { session: session.id, reason: reason.as_str().to_owned() };
        let recorded = self.recorder.session_ended(end.clone()).await;
        if let Err(error) = &recorded {
            tracing::error!(session = %session.id, %error, "a session's end could not be recorded, and is tried again");
            self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(end);
        }
        recorded
    }

    /// Records the ends that could not be recorded when they came.
    pub async fn record_ends(&self) {
        let ends = std::mem::take(&mut *self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner));
        for end in ends {
            match self.recorder.session_ended(end.clone()).await {
                // One that was written after all, when nobody waited any more, is rejected the second time.
                Ok(()) | Err(RecordError::Rejected(_)) => {}
                Err(_) => self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(end),
            }
        }
    }

    /// Records who a session is by its newer token, and lets it go on so. Where one that is newer still came first, that
    /// stays.
    ///
    /// # Errors
    /// [`RecordError`]: it is known by the token it had.
    pub async fn renew(&self, session: &Session, identity: Identity) -> Result<(), RecordError> {
        let _turn = session.renewing().await;
        let known = session.identity();
        if identity.is_older_than(&known) {
            return Ok(());
        }
        let same = known.expires == identity.expires && known.token_digest == identity.token_digest;
        if !same {
            let renewal = IdentityRenewal { session: session.id, identity: Arc::new(identity.clone()) };
            self.recorder.identity_renewed(renewal).await?;
            tracing::info!(session = %session.id, subject = identity.subject, "token renewed");
        }
        session.is_known_as(identity);
        Ok(())
    }

    /// Records that nobody vouches for `session`, or for what would have been one of `workload`; and by whom the token
    /// was presented, where it was.
    pub async fn not_vouched(
        &self,
        workload: &WorkloadName,
        session: Option<&Session>,
        presenter: Option<Presenter>,
        error: &VouchError,
    ) {
        let mut event = Event::new("identity-not-accepted", error.to_string());
        event.workload = Some(workload.clone());
        event.session = session.map(|session| session.id);
        event.detail = json!({ "reason": error.reason() });
        let cause = match presenter {
            Some(Presenter { pid, uid }) => {
                (event.pid, event.uid) = (Some(pid), Some(uid));
                Cause::User(uid)
            }
            None => session.map(|session| session.cgroup_id).into(),
        };
        self.report(cause, event).await;
    }

    /// Makes a new session durable before anyone uses it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn enrol(&self, session: &Session) -> Result<(), RecordError> {
        tracing::info!(session = %session.id, workload = %session.workload.name, cgroup = %session.cgroup, "session");
        self.recorder
            .session_started(SessionStart {
                id: session.id,
                started: session.started,
                workload: session.workload.name.clone(),
                identity: session.identity(),
                hostname: self.hostname.clone(),
                boot_id: self.registry.boot().as_str().to_owned(),
                cgroup_path: session.cgroup.clone(),
                cgroup_id: session.cgroup_id,
                command: session.launch.as_ref().map(|launch| launch.command.clone()).unwrap_or_default(),
                uid: session.launch.as_ref().map(|launch| launch.uid),
            })
            .await
    }
}

/// What is known of a connection, for the event that explains why it was closed.
#[derive(Default)]
struct Known {
    origin: Option<crate::redirect::Origin>,
    caller: Option<Caller>,
}

impl Known {
    fn event(&self, error: &ConnectionError) -> Event {
        let mut event = Event::new(error.stage(), error.to_string());
        if let ConnectionError::Identify(error) = error {
            event.workload = error.workload().cloned();
        }
        if let Some(origin) = &self.origin {
            event.pid = Some(origin.pid);
            event.uid = Some(origin.uid);
            event.detail =
                json!({ "destination": origin.destination.0.to_string(), "cgroup_id": origin.cgroup.0 });
            if let ConnectionError::Identify(error) = error
                && let (Some(reason), Some(detail)) = (error.reason(), event.detail.as_object_mut())
            {
                detail.insert("reason".to_owned(), reason.into());
            }
        }
        if let Some(caller) = &self.caller {
            event = event.of_session(&caller.session);
        }
        event
    }
}
