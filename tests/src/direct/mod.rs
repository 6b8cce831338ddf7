//! The direct tier: the real gateway in this process over loopback, with the verifying upstream
//! behind it. Only the kernel is replaced: the origin of a connection is told by the test.

mod client;
mod kernel;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use gateway_user::{
    clock::Clock,
    credentials::{self, Keys},
    decide::Policies,
    forward::{self, EndpointOverride},
    identify::{
        self, BootId, Caller, CredentialSource, Egress, MasterKey, Mode, Placeholder, Placeholders, Registry,
        Session, Vouchers, WorkloadConfig, Workloads,
    },
    issuer::{self, Issuers},
    mask,
    prim::{AgentAddr, CgroupPath},
    record::{self, Opened},
    redirect::Origin,
    roots::Roots,
    route,
    secret::SecretText,
    serve::{self, Gateway},
    terminate::{self, Terminator},
    tokens::Tokens,
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use self::client::{AWS, Agent, Payload, Reply, Signing};
use self::kernel::{AGENT, FakeKernel, NEIGHBOUR, Place};
use crate::{
    pki::TestCa,
    upstream::{Key, Upstream, UpstreamConfig},
};

/// The gateway's own key, which only the upstream and the gateway know.
pub const GATEWAY_KEY: (&str, &str, &str) =
    ("ASIAGATEWAYKEY000001", "gateway-secret-gateway-secret-0123456789", "gateway-token");

/// Policies that allow what the tests do unless they say otherwise.
pub const ALLOW_ALL: &str = "@id(\"allow-all\") permit (principal, action, resource);\n";

/// What a test wants to be different.
pub struct Setup {
    /// Cedar text.
    pub policies: String,
    /// Where non-AWS traffic may go.
    pub egress: Egress,
    /// Whether policy is enforced.
    pub mode: Mode,
    /// Whose keys the agent's calls are made with.
    pub credentials: CredentialSource,
    /// Changes the bounds of connections and calls.
    pub serve: serve::Config,
    /// Changes the bounds of first bytes.
    pub route: route::Config,
    /// Changes the time-outs towards AWS.
    pub forward: forward::Config,
    /// Changes the store.
    pub record: record::Config,
    /// Changes the upstream.
    pub upstream: Box<dyn FnOnce(&mut UpstreamConfig)>,
    /// Nothing listens where AWS should be.
    pub upstream_down: bool,
    /// Changes the workload, and with it whose keys sign: where it or a rule has a role that the upstream
    /// has too, its STS is asked.
    pub workload: Box<dyn FnOnce(&mut WorkloadConfig)>,
    /// Changes what is hidden in answers.
    pub mask: mask::Config,
    /// More workloads, in the same region and account.
    pub more: Vec<WorkloadConfig>,
    /// Who may vouch besides the host.
    pub issuers: Vec<issuer::Config>,
    /// The gateway's time.
    pub clock: Clock,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policies: ALLOW_ALL.to_owned(),
            egress: Egress::Aws,
            mode: Mode::Enforce,
            credentials: CredentialSource::Gateway,
            serve: serve::Config::default(),
            route: route::Config::default(),
            forward: forward::Config::default(),
            record: record::Config::default(),
            upstream: Box::new(|_| {}),
            upstream_down: false,
            workload: Box::new(|_| {}),
            mask: mask::Config::default(),
            more: Vec::new(),
            issuers: Vec::new(),
            clock: Clock::system(),
        }
    }
}

fn origin_of(place: Place) -> Origin {
    place.origin(([192, 0, 2, 1], 443).into())
}

/// A running gateway with its upstream.
pub struct Direct {
    /// The gateway itself.
    pub gateway: Arc<Gateway>,
    /// AWS.
    pub upstream: Upstream,
    /// The files of this run; removed on drop.
    pub dir: TempDir,
    listener: SocketAddr,
    kernel: Arc<FakeKernel>,
    ca_pem: String,
    record: record::Config,
    accepting: JoinHandle<()>,
}

impl Direct {
    /// Starts everything; nothing of it outlives the value.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(setup: Setup) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let clock = setup.clock;
        let ca = Arc::new(TestCa::new()?);
        let upstream = start_upstream(&ca, setup.upstream).await?;
        let extra_ca = dir.path().join("upstream-ca.pem");
        std::fs::write(&extra_ca, ca.pem())?;

        let terminate = terminate::Config { ca_dir: dir.path().join("ca"), ..terminate::Config::default() };
        let terminator = Terminator::new(&terminate, clock.clone()).context("terminator")?;
        let ca_pem = std::fs::read_to_string(terminate.ca_dir.join("ca.pem"))?;
        let record = record::Config { database: dir.path().join("chaperone.db"), ..setup.record };
        let Opened { recorder, .. } =
            record::Recorder::open(&record, clock.clone()).await.context("recorder")?;

        let kernel = Arc::new(FakeKernel::default());
        let aws = if setup.upstream_down { closed_port().await? } else { upstream.addr() };
        let everywhere = EndpointOverride { host: "*.amazonaws.com".to_owned(), address: aws };
        let mut overrides = setup.forward.overrides.clone();
        overrides.push(everywhere);
        let forward =
            forward::Config { extra_ca: Some(extra_ca), overrides: overrides.clone(), ..setup.forward };
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;

        let roots = forward.roots(terminator.ca().certificate())?;
        let client = forward::Upstream::new(&forward, &roots).context("client towards AWS")?;
        let (connections, calls, memory) = setup.serve.shares(record.open_calls);
        let mut workload = workload(setup.egress, setup.mode, setup.credentials)?;
        (setup.workload)(&mut workload);
        let vouchers = Vouchers::new(Arc::new(Issuers::new(&setup.issuers, clock.clone())?));
        let gateway = Arc::new(Gateway {
            config: setup.serve,
            route: setup.route,
            overrides,
            own: vec![address],
            origins: Arc::clone(&kernel) as Arc<dyn gateway_user::redirect::Origins>,
            registry: Arc::new(registry(workload, setup.more, vouchers, Arc::clone(&kernel), &clock)?),
            hostname: "direct".to_owned(),
            terminator,
            metadata_key: [7; 32],
            policies: arc_swap::ArcSwap::from_pointee(policies(&setup.policies)?),
            recorder,
            credentials: credentials(&upstream, &roots, &clock)?,
            upstream: client,
            tokens: Arc::new(Tokens::new(setup.mask.tokens())),
            masks: mask::Masks::new(&setup.mask, MasterKey::from_bytes([8; 32]).key_for("masks"))?,
            clock,
            counters: serve::Counters::default(),
            ledger: serve::Ledger::default(),
            connections,
            calls,
            memory,
            bursts: serve::Bursts::default(),
            unrecorded: std::sync::Mutex::default(),
            shutdown: CancellationToken::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&gateway)));
        Ok(Self { gateway, upstream, dir, listener: address, kernel, ca_pem, record, accepting })
    }

    /// A connection of the agent to `destination`, as the kernel would redirect it.
    ///
    /// # Errors
    /// When loopback does not connect.
    pub async fn connect(&self, destination: SocketAddr) -> Result<TcpStream> {
        self.connect_from(AGENT, destination).await
    }

    async fn connect_from(&self, place: Place, destination: SocketAddr) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into())?;
        self.kernel.remember(AgentAddr(socket.local_addr()?), place.origin(destination));
        Ok(socket.connect(self.listener).await?)
    }

    /// Removes the agent's cgroup, as far as the gateway can tell.
    pub fn remove_cgroup(&self) {
        self.kernel.remove_agent();
    }

    /// A connection that did not come through the redirect.
    ///
    /// # Errors
    /// When loopback does not connect.
    pub async fn connect_unknown(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(self.listener).await?)
    }

    /// An agent that asks `host` and signs with its placeholder.
    #[must_use]
    pub fn agent(&self, host: &str) -> Agent<'_> {
        Agent::new(self, host)
    }

    /// The CA that agents trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The placeholder of the agent's session, which this enrols if there is none yet.
    ///
    /// # Errors
    /// When the session cannot be enrolled.
    pub async fn placeholder(&self) -> Result<Placeholder> {
        Ok(self.session().await?.placeholder.clone())
    }

    /// The agent's session, which this enrols if there is none yet.
    ///
    /// # Errors
    /// When it cannot be enrolled.
    pub async fn session(&self) -> Result<Arc<Session>> {
        Ok(self.caller().await?.session)
    }

    /// The agent, as the gateway knows it.
    ///
    /// # Errors
    /// When its session cannot be enrolled.
    pub async fn caller(&self) -> Result<Caller> {
        self.caller_from(AGENT).await
    }

    /// A connection of the agent, as the kernel tells it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        origin_of(AGENT)
    }

    async fn caller_from(&self, place: Place) -> Result<Caller> {
        let origin = origin_of(place);
        let gateway = &self.gateway;
        let enrol = async |session: &Session| gateway.enrol(session).await;
        Ok(gateway.registry.identify(&origin, enrol).await?)
    }

    /// What the database says: rows of `sql` as JSON objects.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn rows(&self, sql: &str) -> Result<Vec<serde_json::Value>> {
        crate::database::rows(&self.record.database, sql).await
    }

    /// Waits until a query yields a row that `accept`s; the record of a call is written after its answer.
    ///
    /// # Errors
    /// When the query fails, or no such row comes within ten seconds.
    pub async fn row(
        &self,
        sql: &str,
        accept: impl Fn(&serde_json::Value) -> bool,
    ) -> Result<serde_json::Value> {
        let looking = async {
            loop {
                if let Some(row) = self.rows(sql).await?.into_iter().find(&accept) {
                    return Ok(row);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looking)
            .await
            .with_context(|| format!("no row: {sql}"))?
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.record.database
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.gateway.shutdown.cancel();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, gateway: Arc<Gateway>) {
    while let Ok((io, agent)) = listener.accept().await {
        tokio::spawn(Arc::clone(&gateway).connection(io, AgentAddr(agent)));
    }
}

async fn start_upstream(ca: &Arc<TestCa>, change: Box<dyn FnOnce(&mut UpstreamConfig)>) -> Result<Upstream> {
    let (id, secret, token) = GATEWAY_KEY;
    let key = Key { id: id.to_owned(), secret: secret.to_owned(), session_token: Some(token.to_owned()) };
    let mut config = UpstreamConfig::new(Arc::clone(ca), vec![key]);
    change(&mut config);
    Upstream::start(config).await
}

/// The gateway's own keys, or those that the upstream's STS gives for them.
fn credentials(upstream: &Upstream, roots: &Roots, clock: &Clock) -> Result<credentials::Source> {
    if !upstream.has_roles() {
        return Ok(credentials::Source::fixed(gateway_keys(), clock.clone()));
    }
    let (id, secret, token) = GATEWAY_KEY;
    let own = Credentials::new(id, secret, Some(token.to_owned()), None, "direct");
    let config = credentials::Config { sts_endpoint: Some(upstream.sts_url()), ..Default::default() };
    let own = SharedCredentialsProvider::new(own);
    Ok(credentials::Source::with_provider(own, config, roots, clock.clone())?)
}

fn gateway_keys() -> Keys {
    let (id, secret, token) = GATEWAY_KEY;
    Keys {
        access_key_id: id.to_owned(),
        secret: SecretText::new(secret.to_owned()),
        session_token: Some(SecretText::new(token.to_owned())),
        expires: None,
    }
}

/// Policies from text.
///
/// # Errors
/// When they do not parse.
pub fn policies(text: &str) -> Result<Policies> {
    Ok(Policies::parse([(PathBuf::from("test.cedar"), text.to_owned())])?)
}

fn workload(egress: Egress, mode: Mode, credentials: CredentialSource) -> Result<WorkloadConfig> {
    Ok(WorkloadConfig {
        cgroup: Some("agents.slice/agent-*.service".to_owned()),
        egress,
        mode,
        region: Some("eu-central-1".parse()?),
        account: Some("123456789012".parse()?),
        groups: vec!["ai-agents".to_owned()],
        credentials,
        ..WorkloadConfig::named("builds".parse()?)
    })
}

fn registry(
    workload: WorkloadConfig,
    mut more: Vec<WorkloadConfig>,
    vouchers: Vouchers,
    kernel: Arc<FakeKernel>,
    clock: &Clock,
) -> Result<Registry> {
    more.push(WorkloadConfig {
        cgroup: Some(NEIGHBOUR.cgroup.to_owned()),
        ..WorkloadConfig::named("neighbours".parse()?)
    });
    for other in &mut more {
        (other.region, other.account) = (workload.region.clone(), workload.account.clone());
    }
    more.insert(0, workload);
    let workloads = Workloads::new(CgroupPath::new("agents.slice"), more)?;
    let placeholders = Placeholders::new(&MasterKey::from_bytes([42; 32]));
    let boot = BootId::new("direct-boot");
    let config = identify::Config::default();
    Ok(Registry::new(&config, workloads, kernel, placeholders, vouchers, boot, clock.clone()))
}

/// An address where nothing listens.
async fn closed_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?)
}
