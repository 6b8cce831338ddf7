//! Builds every stage, binds everything, then serves until told to stop.

mod budgets;
mod listen;
mod reload;
mod renewals;
mod status;
mod upkeep;

use std::{
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{listen::Listeners, reload::Reloader, status::DaemonStatus};
use crate::{
    api::{Api, Launcher, Retention, SessionLog, Socket},
    archive::Archive,
    cgroup2,
    clock::Clock,
    config::Config,
    credentials,
    decide::Policies,
    forward::Upstream,
    identify::{
        BootId, CgroupFs, CgroupTree, Host, MasterKey, Mode, Placeholders, Registry, Removals, StoredSession,
        StoredToken, Vouchers, Workloads,
    },
    issuer::Issuers,
    mask::Masks,
    prim::CgroupPath,
    record::{
        AcceptedToken, Event, KilledCgroup, OpenSession, Opened, Recorder, SessionEnd, retention::STARTED,
    },
    redirect::{Redirect, Refusal},
    serve::{Bursts, Counters, Gateway},
    telemetry,
    terminate::{Terminator, bundle},
    tokens::Tokens,
};

/// `chaperone daemon`: runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting, with the step that failed.
pub fn main(config: &Config, config_path: &Path) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(run(config, config_path))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(config: &Config, config_path: &Path) -> anyhow::Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %config_path.display(), "chaperone starts");
    let daemon = Daemon::build(config).await?;
    // Before READY: who is told that we run may send a signal at once.
    let signals = Signals::install()?;
    daemon.serve(config, signals).await
}

/// Everything is loaded and bound before the first connection is accepted.
struct Daemon {
    gateway: Arc<Gateway>,
    issuers: Arc<Issuers>,
    /// Where the kernel tells of removed cgroups.
    removals: Option<Removals>,
    redirect: Arc<Redirect>,
    kernel_events: Option<mpsc::Receiver<Refusal>>,
    listeners: Listeners,
    reloader: Arc<Reloader>,
    launcher: Arc<Launcher>,
    retention: Arc<Retention>,
    api: Api,
    socket: Socket,
    writer: JoinHandle<()>,
    /// What takes the record's checkpoints elsewhere, where it is to.
    archive: Option<JoinHandle<()>>,
}

impl Daemon {
    async fn build(config: &Config) -> anyhow::Result<Self> {
        let clock = Clock::system();
        // Loaded first: a daemon with broken policies must not even touch the kernel.
        // The first use reads it: better now than in the first call.
        let services = crate::catalog::catalog().services().len();
        tracing::info!(services, "catalogue read");
        let policies = crate::config::policies::load(&config.policy.dir).context("loading the policies")?;
        tracing::info!(digest = policies.digest(), rules = policies.rule_count(), "policies loaded");
        let terminator = Terminator::new(&config.terminate, clock.clone()).context("loading the CA")?;
        let Opened { recorder, writer, open_sessions, killed, tokens, closed_calls, checkpoints } =
            Recorder::open(&config.record, clock.clone()).await.context("opening the session database")?;
        if closed_calls > 0 {
            tracing::warn!(closed_calls, "calls of a former run were closed as unknown");
        }
        let tree = Arc::new(CgroupFs::open().context("opening the cgroup tree")?);
        let removals = Removals::new(tree.mount())
            .inspect_err(|error| tracing::warn!(%error, "removed cgroups are found by the sweep alone"))
            .ok();
        let issuers = Issuers::without(terminator.ca().certificate(), &config.issuer, clock.clone());
        let issuers = Arc::new(issuers.context("setting up the issuers")?);
        let vouchers = Vouchers::new(Arc::clone(&issuers));
        let key = MasterKey::load_or_create(&config.identify.placeholder_key)
            .context("loading the placeholder key")?;
        let registry = registry(config, &key, Arc::clone(&tree) as Arc<dyn CgroupTree>, vouchers, &clock)?;
        let host = config.record.host_name();
        bind(&registry, &host, tokens);
        restore(&registry, &recorder, &host, open_sessions, killed).await?;
        let used = budgets::used(&config.record, &policies, clock.now()).await?;
        let ledger = budgets::restore(&registry, used, clock.now());
        for workload in registry.workloads().all().filter(|workload| workload.mode == Mode::Observe) {
            tracing::warn!(workload = %workload.name, "OBSERVE: policy is NOT enforced for this workload, only recorded");
        }

        // The listeners must be made inside the daemon's cgroup: the kernel finds its hooks by it.
        let listeners = Listeners::bind(&config.redirect).context("binding the listeners")?;
        // Whatever can fail comes before the fence: a failed start must not leave agents cut off.
        let roots = config.forward.roots(terminator.ca().certificate());
        let roots = roots.context("finding who vouches for AWS")?;
        let upstream = Upstream::new(&config.forward, &roots).context("setting up the client towards AWS")?;
        let credentials = credentials::Source::new(config.credentials.clone(), &roots, clock.clone())
            .context("setting up the client towards STS")?;
        let archive = Archive::new(&config.record.log, &credentials, checkpoints);
        let masks = masks(config, &key).context("setting up the masks")?;
        let socket = Socket::bind(&config.api).context("binding the api socket")?;
        let own_cgroup = cgroup2::own().context("this process is in no cgroup v2: is it mounted?")?;
        let redirect =
            Arc::new(Redirect::start(&config.redirect, &own_cgroup).context("attaching the redirect")?);
        let kernel_events = redirect.events().context("opening the kernel's events")?;

        let (connections, calls, memory) = config.serve.shares(config.record.open_calls);
        let gateway = Arc::new(Gateway {
            config: config.serve.clone(),
            route: config.route.clone(),
            overrides: config.forward.overrides.clone(),
            own: config.redirect.listen_v4.iter().chain(&config.redirect.listen_v6).copied().collect(),
            origins: redirect.origins(),
            registry: Arc::clone(&registry),
            hostname: config.record.host_name(),
            terminator,
            metadata_key: random_key()?,
            policies: ArcSwap::from_pointee(policies),
            recorder,
            credentials,
            upstream,
            masks,
            tokens: Arc::new(Tokens::new(config.mask.tokens())),
            clock,
            counters: Counters::default(),
            ledger,
            connections,
            calls,
            memory,
            bursts: Bursts::default(),
            unrecorded: Mutex::default(),
            shutdown: CancellationToken::new(),
        });
        let reloader = Arc::new(Reloader::new(Arc::clone(&gateway), config.policy.dir.clone()));
        let client_env = bundle::client_env(&config.terminate);
        let launcher = Arc::new(Launcher::new(
            &config.api,
            Arc::clone(&registry),
            tree,
            Arc::clone(&gateway) as Arc<dyn SessionLog>,
            client_env,
            gateway.clock.clone(),
        ));
        let status =
            Arc::new(DaemonStatus::new(Arc::clone(&gateway), Arc::clone(&redirect), Arc::clone(&reloader)));
        let retention =
            Retention::new(gateway.recorder.clone(), config.record.clone(), gateway.clock.clone());
        let workloads = gateway.registry.workloads().all().map(|workload| workload.name.clone()).collect();
        let retention = Arc::new(retention.of(workloads, gateway.shutdown.clone()));
        let api = Api::new(config.api.clone(), status, Arc::clone(&launcher));
        let api = api.with_retention(Arc::clone(&retention));

        Ok(Self {
            gateway,
            issuers,
            removals,
            redirect,
            kernel_events,
            listeners,
            reloader,
            launcher,
            retention,
            api,
            socket,
            writer,
            archive: archive.map(|archive| tokio::spawn(archive.run())),
        })
    }

    /// Serves until a signal; then lets the calls in flight end.
    async fn serve(self, config: &Config, signals: Signals) -> anyhow::Result<()> {
        let Self {
            gateway,
            issuers,
            removals,
            redirect,
            kernel_events,
            listeners,
            reloader,
            launcher,
            retention,
            api,
            socket,
            writer,
            archive,
        } = self;
        let tasks = TaskTracker::new();
        let connections = TaskTracker::new();
        tasks.spawn(api.serve(socket, gateway.shutdown.clone().cancelled_owned()));
        tasks.spawn(upkeep::sweep(
            Arc::clone(&gateway),
            launcher,
            Duration::from_secs(config.identify.sweep_secs),
        ));
        if let Some(removals) = removals {
            tasks.spawn(upkeep::removals(Arc::clone(&gateway), removals));
        }
        let sweep = Duration::from_secs(config.identify.sweep_secs);
        tasks.spawn(upkeep::renew(Arc::clone(&gateway), sweep));
        tasks.spawn(upkeep::expire(Arc::clone(&gateway)));
        tasks.spawn(upkeep::retain(Arc::clone(&gateway), retention));
        tasks.spawn(upkeep::issuer_keys(Arc::clone(&gateway), issuers));
        tasks.spawn(upkeep::tend(Arc::clone(&gateway), redirect));
        if let Some(events) = kernel_events {
            tasks.spawn(upkeep::kernel_events(Arc::clone(&gateway), events));
        }
        tasks.spawn(upkeep::watchdog(Arc::clone(&gateway)));
        listeners.accept(&gateway, &connections);
        gateway.recorder.event(started(config, &gateway.policies.load())).await?;
        notify(&[NotifyState::Ready]);
        tracing::info!("serving");

        signals.until_told_to_stop(&reloader, writer).await?;
        notify(&[NotifyState::Stopping]);
        drain(config, &gateway, tasks, connections, archive).await;
        Ok(())
    }
}

/// That the daemon serves, and by which files.
fn started(config: &Config, policies: &Policies) -> Event {
    let detail = serde_json::json!({
        "config": config.digest,
        "policies": policies.digest(),
        "rules": policies.rule_count(),
    });
    Event { detail, ..Event::new(STARTED, format!("version {}", env!("CARGO_PKG_VERSION"))) }
}

fn registry(
    config: &Config,
    key: &MasterKey,
    tree: Arc<dyn CgroupTree>,
    vouchers: Vouchers,
    clock: &Clock,
) -> anyhow::Result<Arc<Registry>> {
    let slice = CgroupPath::new(&config.redirect.slice);
    let workloads =
        Workloads::new(slice, config.workload.iter().cloned()).context("reading the workloads")?;
    let boot = BootId::current().context("reading the boot id")?;
    let placeholders = Placeholders::new(key);
    let clock = clock.clone();
    Ok(Arc::new(Registry::new(&config.identify, workloads, tree, placeholders, vouchers, boot, clock)))
}

/// Hidden values are recognised by a key of this host's, which outlives the daemon.
fn masks(config: &Config, key: &MasterKey) -> anyhow::Result<Masks> {
    Ok(Masks::new(&config.mask, key.key_for("chaperone masks v1"))?)
}

/// Takes up which tokens live, and for whom.
fn bind(registry: &Registry, hostname: &str, tokens: Vec<AcceptedToken>) {
    let here = Host { name: hostname.to_owned(), boot: registry.boot().clone() };
    registry.bind(tokens.into_iter().filter_map(|token| {
        let there = Host { name: token.hostname, boot: BootId::new(&token.boot_id) };
        let stored = StoredToken {
            digest: token.digest,
            expires: token.expires,
            workload: token.workload,
            cgroup: Some(token.cgroup_id),
            uid: token.uid,
        };
        stored.counts(&here, &there)
    }));
}

/// Takes up the sessions of a former run; those whose cgroup is gone are ended.
async fn restore(
    registry: &Registry,
    recorder: &Recorder,
    hostname: &str,
    stored: Vec<OpenSession>,
    killed: Vec<KilledCgroup>,
) -> anyhow::Result<()> {
    // A boot is of one host, whatever it is called.
    let here = |killed: &KilledCgroup| BootId::new(&killed.boot_id) == *registry.boot();
    registry.bar(killed.iter().filter(|killed| here(killed)).map(|killed| killed.cgroup_id));
    // Other hosts' sessions in the same database are theirs to end.
    let ours =
        stored.into_iter().filter(|session| session.hostname == hostname).map(|session| StoredSession {
            id: session.id,
            workload: session.workload,
            cgroup: session.cgroup_path,
            cgroup_id: session.cgroup_id,
            boot: BootId::new(&session.boot_id),
            started: session.started,
            launch: session.launch,
            identity: Some(session.identity),
        });
    for (session, reason) in registry.restore(ours) {
        recorder.session_ended(SessionEnd { session, reason: reason.as_str().to_owned() }).await?;
    }
    tracing::info!(open = registry.open().len(), "sessions of a former run taken up");
    Ok(())
}

/// SIGHUP reloads the policies; SIGTERM, SIGINT and the death of the record writer end the daemon.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> anyhow::Result<Self> {
        let install = |kind| signal(kind).context("installing the signal handlers");
        Ok(Self {
            hangup: install(SignalKind::hangup())?,
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    async fn until_told_to_stop(mut self, reloader: &Reloader, writer: JoinHandle<()>) -> anyhow::Result<()> {
        let mut writer = std::pin::pin!(writer);
        loop {
            tokio::select! {
                _ = self.hangup.recv() => reloader.reload().await,
                _ = self.terminate.recv() => return Ok(()),
                _ = self.interrupt.recv() => return Ok(()),
                ended = writer.as_mut() => {
                    ended.context("the record writer died")?;
                    anyhow::bail!("the record writer stopped: no call can be recorded any more");
                }
            }
        }
    }
}

/// Lets calls in flight end, up to the deadline, then writes what is left.
async fn drain(
    config: &Config,
    gateway: &Gateway,
    tasks: TaskTracker,
    connections: TaskTracker,
    archive: Option<JoinHandle<()>>,
) {
    let within = Duration::from_secs(config.serve.drain_timeout_secs);
    gateway.shutdown.cancel();
    tasks.close();
    connections.close();
    let ended = tokio::time::timeout(within, async {
        connections.wait().await;
        tasks.wait().await;
    });
    if ended.await.is_err() {
        tracing::warn!(open = connections.len(), ?within, "connections were cut off at the drain deadline");
    }
    gateway.report_bursts().await;
    let stopped = Event::new("daemon-stopped", "told to stop");
    if let Err(error) = gateway.recorder.event(stopped).await {
        tracing::error!(%error, "the end could not be recorded");
    }
    // Together with the drain and the event these stay below the unit's TimeoutStopSec.
    const WRITING: Duration = Duration::from_secs(5);
    const ARCHIVING: Duration = Duration::from_secs(3);
    if tokio::time::timeout(WRITING, gateway.recorder.close()).await.is_err() {
        tracing::error!("records are unwritten at the end; the next start closes their calls as unknown");
    }
    if let Some(archive) = archive
        && tokio::time::timeout(ARCHIVING, archive).await.is_err()
    {
        tracing::error!("the last checkpoint is not in its bucket");
    }
}

fn random_key() -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    Ok(key)
}

/// Tells systemd; outside a unit nobody listens, which is no error.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
