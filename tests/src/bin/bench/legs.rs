//! The legs: ways from the generator to the upstream, and what is measured on each.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chaperone_tests::{
    harness::{AWS_ADDRESS, Cgroup, Gateway, GatewayConfig, Running, built, start_pinned},
    load::Report,
    upstream::Key,
};

use crate::{PEER_CORE, PROXY_CORE, memory::Memory, peers};

const POLICIES: &str = r#"
@id("bench")
permit (
    principal == Workload::"bench",
    action in [Action::"dynamodb:PutItem", Action::"s3:GetObject", Action::"s3:PutObject"],
    resource
);
"#;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// POSTs on so many connections, for so many seconds.
    Post(u32, u32),
    /// New TLS connections, for so many seconds.
    Connect(u32),
    /// So many bytes down.
    Download(u64),
    /// So many bytes up.
    Upload(u64),
}

impl Measure {
    /// What every leg is measured on, in the order of the table.
    pub(crate) fn all(seconds: u32, bytes: u64) -> Vec<Self> {
        vec![
            Self::Post(1, seconds),
            Self::Post(16, seconds),
            Self::Post(64, seconds),
            Self::Connect(seconds),
            Self::Download(bytes),
            Self::Upload(bytes),
        ]
    }

    /// What the table calls it.
    pub(crate) fn name(self) -> String {
        let gib = |bytes: u64| match bytes >> 30 {
            0 => format!("{} MiB", bytes >> 20),
            whole => format!("{whole} GiB"),
        };
        match self {
            Self::Post(connections, _) => format!("POST 1 KiB, {connections} conn."),
            Self::Connect(_) => "new TLS connections".to_owned(),
            Self::Download(bytes) => format!("{} down", gib(bytes)),
            Self::Upload(bytes) => format!("{} up", gib(bytes)),
        }
    }

    /// Arguments of the generator.
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Post(connections, seconds) => {
                vec!["post".into(), connections.to_string(), seconds.to_string()]
            }
            Self::Connect(seconds) => vec!["connect".into(), seconds.to_string()],
            Self::Download(bytes) => vec!["download".into(), bytes.to_string()],
            Self::Upload(bytes) => vec!["upload".into(), bytes.to_string()],
        }
    }
}

/// One measurement on one leg.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// The leg's name.
    pub(crate) leg: &'static str,
    /// What was measured.
    pub(crate) measure: Measure,
    /// The generator's figures.
    pub(crate) report: Report,
    /// CPU time the proxy used meanwhile; zero for the direct leg.
    pub(crate) cpu: Duration,
    /// That of SQLite's thread alone; zero where there is none.
    pub(crate) sqlite: Duration,
}

/// A way to the upstream.
pub(crate) struct Leg {
    pub(crate) name: &'static str,
    /// Where the generator connects to, and whom it trusts.
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    /// The proxy's cgroup, for its CPU time; the gateway's is its own.
    pub(crate) cgroup: Option<Cgroup>,
    /// Keeps the proxy alive.
    pub(crate) _proxy: Option<Running>,
}

/// Everything that runs during the bench. Fields are dropped in this order.
pub(crate) struct Bench {
    legs: Vec<Leg>,
    gateway: Option<Gateway>,
    _upstream: Running,
    load: PathBuf,
    key: Key,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// Starts the upstream, the gateway, and whichever peers are installed.
    pub(crate) fn start(load: &Path, key: &Key, with_gateway: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("chaperone-bench-").tempdir()?;
        let upstream_ca = dir.path().join("upstream-ca.pem");
        let (upstream, address) = start_upstream(&upstream_ca, key)?;
        let mut legs =
            vec![Leg { name: "direct", address, ca: upstream_ca.clone(), cgroup: None, _proxy: None }];
        let gateway = with_gateway.then(|| start_gateway(address, &upstream_ca, key)).transpose()?;
        if let Some(gateway) = &gateway {
            let address = SocketAddr::from((AWS_ADDRESS, 443));
            legs.push(Leg { name: "chaperone", address, ca: gateway.ca_file(), cgroup: None, _proxy: None });
        }
        for (name, peer) in [
            ("nginx", peers::nginx(dir.path(), address, &upstream_ca)),
            ("mitmproxy", peers::mitmproxy(dir.path(), address, &upstream_ca)),
        ] {
            match peer {
                Ok(leg) => legs.push(leg),
                Err(error) => println!("{name} is left out: {error:#}"),
            }
        }
        Ok(Self { legs, gateway, _upstream: upstream, load: load.to_owned(), key: key.clone(), _dir: dir })
    }

    /// Names of the legs, the direct one first.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.legs.iter().map(|leg| leg.name).collect()
    }

    /// Measures once on every leg.
    pub(crate) fn measure(&mut self, measure: Measure, samples: &mut Vec<Sample>) -> Result<()> {
        for leg in &self.legs {
            let (before, sqlite_before) = (self.cpu_time(leg)?, self.sqlite_time(leg)?);
            let report =
                self.run(leg, measure).with_context(|| format!("{}: {}", leg.name, measure.name()))?;
            let cpu = self.cpu_time(leg)?.saturating_sub(before);
            let sqlite = self.sqlite_time(leg)?.saturating_sub(sqlite_before);
            samples.push(Sample { leg: leg.name, measure, report, cpu, sqlite });
        }
        Ok(())
    }

    /// The daemon's memory: idle, and at its highest during one transfer each way.
    pub(crate) fn memory(&mut self, bytes: u64) -> Result<Option<Memory>> {
        let Some(gateway) = &self.gateway else { return Ok(None) };
        let leg = self.legs.iter().find(|leg| leg.name == "chaperone").context("no gateway leg")?;
        let mut memory = Memory::fresh(start_idle_gateway()?.pid())?;
        memory.during(gateway.pid(), || {
            self.run(leg, Measure::Download(bytes))?;
            self.run(leg, Measure::Upload(bytes)).map(drop)
        })?;
        Ok(Some(memory))
    }

    fn run(&self, leg: &Leg, measure: Measure) -> Result<Report> {
        let mut command = match (&self.gateway, leg.name) {
            (Some(gateway), "chaperone") => {
                let mut command = gateway.agent()?;
                command.args(["taskset", "-c", &PEER_CORE.to_string()]).arg(&self.load);
                command
            }
            _ => {
                let mut command = start_pinned(&self.load, None, Some(PEER_CORE));
                command.args(["--key-id", &self.key.id, "--secret", &self.key.secret]);
                command
            }
        };
        command.args(["--address", &leg.address.to_string(), "--ca"]).arg(&leg.ca).args(measure.arguments());
        let output = command.stdin(Stdio::null()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the generator ended with {}: {errors}", output.status);
        serde_json::from_slice(&output.stdout).context("the generator printed no report")
    }

    fn sqlite_time(&self, leg: &Leg) -> Result<Duration> {
        match &self.gateway {
            // As sqlx calls it, as far as the kernel keeps names.
            Some(gateway) if leg.name == "chaperone" => thread_time(gateway.pid(), "sqlx-sqlite"),
            _ => Ok(Duration::ZERO),
        }
    }

    fn cpu_time(&self, leg: &Leg) -> Result<Duration> {
        match (&leg.cgroup, &self.gateway, leg.name) {
            (Some(cgroup), ..) => cgroup.cpu_time(),
            (None, Some(gateway), "chaperone") => gateway.cgroup().cpu_time(),
            _ => Ok(Duration::ZERO),
        }
    }
}

/// CPU time of the threads of this name so far (proc_pid_task(5), and the kernel's `sched-stats`: nanoseconds come first).
fn thread_time(pid: u32, name: &str) -> Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim().starts_with(name) {
            let stat = std::fs::read_to_string(task.join("schedstat"))?;
            nanos += stat.split(' ').next().context("schedstat is empty")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

fn start_upstream(ca: &Path, key: &Key) -> Result<(Running, SocketAddr)> {
    let mut command: Command = start_pinned(&built("upstream")?, None, Some(PEER_CORE));
    command.arg("--ca").arg(ca).args(["--key", &format!("{}:{}", key.id, key.secret)]);
    let mut upstream = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut line = String::new();
    let stdout = upstream.child().stdout.take().context("stdout")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim().parse().with_context(|| format!("the upstream printed {line:?}"))?;
    Ok((upstream, address))
}

fn start_gateway(upstream: SocketAddr, upstream_ca: &Path, key: &Key) -> Result<Gateway> {
    Gateway::start(GatewayConfig {
        purpose: "bench",
        workload: "bench",
        policies: POLICIES.to_owned(),
        upstream,
        upstream_ca: std::fs::read_to_string(upstream_ca)?,
        key: key.clone(),
        hosts: vec!["dynamodb.eu-central-1.amazonaws.com".to_owned()],
        core: Some(PROXY_CORE),
        extra: String::new(),
    })
}

/// A second daemon that nobody has spoken to: what it needs when idle.
fn start_idle_gateway() -> Result<Gateway> {
    let key = Key { id: "AKIAIDLE".into(), secret: "idle".into(), session_token: None };
    let ca = tempfile::NamedTempFile::new()?;
    std::fs::write(ca.path(), chaperone_tests::pki::TestCa::new()?.pem())?;
    start_gateway(SocketAddr::from(([127, 0, 0, 1], 9)), ca.path(), &key)
}
