//! The daemon under test: its configuration, its cgroup, its private bpffs.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{
    AWS_ADDRESS, Cgroup,
    process::{Running, start_pinned},
    programs::{built, node_modules, repository, venv},
    store::Store,
};
use crate::upstream::Key;

const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The group that may launch agents: one that [`Gateway::agent_as_nobody`] has.
const AGENTS_GROUP: &str = "nogroup";

/// Gateways that this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Part of the names of its cgroups, for those who look at them.
    pub purpose: &'static str,
    /// The workload that agents are started as.
    pub workload: &'static str,
    /// Cedar policies.
    pub policies: String,
    /// Where every AWS host is dialled.
    pub upstream: SocketAddr,
    /// Who vouches for it (PEM).
    pub upstream_ca: String,
    /// The gateway's own AWS keys.
    pub key: Key,
    /// Host names that agents can resolve, each to [`AWS_ADDRESS`].
    pub hosts: Vec<String>,
    /// Processor core of the daemon.
    pub core: Option<u32>,
    /// More lines of the configuration file, after all others; `{slice}` stands for the agents' slice.
    pub extra: String,
}

/// Who starts an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Root, who may do everything to sessions.
    Root,
    /// `nobody`, a member of the group that the daemon serves.
    Nobody,
}

/// A running daemon and everything it needs.
// Fields are dropped in this order: processes, cgroups, mount, directory.
#[derive(Debug)]
pub struct Gateway {
    daemon: Option<Running>,
    agents: Cgroup,
    own: Cgroup,
    _parent: Cgroup,
    _bpffs: Bpffs,
    dir: tempfile::TempDir,
    config: GatewayConfig,
    store: Store,
}

impl Gateway {
    /// Starts the daemon in its own cgroup and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it does not become ready; with the end of its log.
    pub fn start(config: GatewayConfig) -> Result<Self> {
        Self::start_on(Store::sqlite(), config)
    }

    /// The same with its records in `store`.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn start_on(store: Store, config: GatewayConfig) -> Result<Self> {
        // Agents of any user read the CA's files in it.
        let open = fs::Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().prefix("chaperone-").permissions(open).tempdir()?;
        let parent = Cgroup::create(config.purpose)?;
        let (agents, own) = (parent.child("agents")?, parent.child("gateway")?);
        let bpffs = Bpffs::mount(&dir.path().join("bpf"))?;
        for name in ["policies", "ca", "home"] {
            fs::create_dir(dir.path().join(name))?;
        }
        let mut gateway =
            Self { daemon: None, agents, own, _parent: parent, _bpffs: bpffs, dir, config, store };
        gateway.write_files()?;
        gateway.start_daemon()?;
        Ok(gateway)
    }

    fn write_files(&self) -> Result<()> {
        let dir = self.dir.path();
        fs::write(dir.join("policies/test.cedar"), &self.config.policies)?;
        fs::write(dir.join("upstream-ca.pem"), &self.config.upstream_ca)?;
        let names = self.config.hosts.join(" ");
        fs::write(dir.join("hosts"), format!("127.0.0.1 localhost\n{AWS_ADDRESS} {names}\n"))?;
        fs::write(self.config_file(), self.config_text()?)?;
        Ok(())
    }

    fn config_text(&self) -> Result<String> {
        let dir = self.dir.path().display();
        let slice = self.agents.path();
        // Process id and number make loopback addresses that no other gateway has.
        let [.., a, b] = std::process::id().to_be_bytes();
        let first = STARTED.fetch_add(1, Ordering::Relaxed) % 60 * 4;
        let v4: Vec<String> =
            (1..=4).map(|number| format!("\"127.{}.{b}.{}:4143\"", 128 | a >> 1, first + number)).collect();
        let v6: Vec<String> =
            (0..2).map(|_| Ok(format!("\"[::1]:{}\"", free_port("[::1]:0")?))).collect::<Result<_>>()?;
        let GatewayConfig { workload, upstream, .. } = &self.config;
        let extra = self.config.extra.replace("{slice}", &slice);
        let group = AGENTS_GROUP;
        let record = self.store.lines(self.dir.path());
        Ok(format!(
            r#"
[redirect]
slice = "{slice}"
bpffs = "{dir}/bpf/chaperone"
listen_v4 = [{}]
listen_v6 = [{}]

[identify]
placeholder_key = "{dir}/placeholder.key"
# Tests wait for what is looked at every so often.
sweep_secs = 1

[terminate]
ca_dir = "{dir}/ca"

[policy]
dir = "{dir}/policies"

[record]
{record}

[forward]
extra_ca = "{dir}/upstream-ca.pem"

[[forward.override]]
host = "*.amazonaws.com"
address = "{upstream}"

[api]
socket = "{dir}/api.sock"
group = "{group}"

[[workload]]
name = "{workload}"
tag = "{workload}"
identity = "host"
region = "eu-central-1"
account = "123456789012"
{extra}"#,
            v4.join(", "),
            v6.join(", "),
        ))
    }

    /// Starts the daemon, for the first time or again after [`Gateway::kill`].
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn start_daemon(&mut self) -> Result<()> {
        let ready = Ready::listen(&self.dir.path().join("notify.sock"))?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = start_pinned(Path::new("/usr/bin/setpriv"), Some(&self.own), self.config.core);
        command
            .args(["--no-new-privs", "--bounding-set", &unit_capabilities()?])
            .arg(built("chaperone")?)
            .args(["daemon", "--config"])
            .arg(self.config_file())
            .env("HOME", self.dir.path().join("home"))
            .env("NOTIFY_SOCKET", self.dir.path().join("notify.sock"))
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", &self.config.key.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.config.key.secret)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(token) = &self.config.key.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        let mut daemon = Running::start(&mut command)?;
        ready.wait(&mut daemon).with_context(|| format!("the daemon's log ends:\n{}", self.log()))?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// `kill -9` of the daemon.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.take().context("the daemon does not run")?.kill()
    }

    /// SIGTERM to the daemon; waits for its end.
    ///
    /// # Errors
    /// When it does not run, or does not end with success.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.daemon.take().context("the daemon does not run")?.terminate()?;
        anyhow::ensure!(status.success(), "the daemon ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// The daemon's process id; 0 while it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().map_or(0, Running::pid)
    }

    /// The daemon's cgroup.
    #[must_use]
    pub fn cgroup(&self) -> &Cgroup {
        &self.own
    }

    /// The slice of the agents.
    #[must_use]
    pub fn agents(&self) -> &Cgroup {
        &self.agents
    }

    /// A directory for the test's own files, readable by agents.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("chaperone.toml")
    }

    /// The gateway's CA certificate.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca/ca.pem")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }

    /// The last lines of the daemon's log.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = String::new();
        let read = fs::File::open(self.log_file()).and_then(|mut log| log.read_to_string(&mut text));
        if let Err(error) = read {
            return format!("(no log: {error})");
        }
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }

    /// A command of `chaperone` on this configuration, with a clean environment.
    ///
    /// # Errors
    /// When `chaperone` is not built.
    pub fn chaperone(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(built("chaperone")?);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path().join("home"));
        command.args(args).arg("--config").arg(self.config_file());
        Ok(command)
    }

    /// What such a command prints.
    ///
    /// # Errors
    /// When it fails; with what it printed.
    pub fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.chaperone(args)?.stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("chaperone {} ended with {}: {text}{errors}", args.join(" "), output.status);
        }
        Ok(text)
    }

    /// The rows of `sql` on the session database, as JSON objects.
    ///
    /// # Errors
    /// When the query is wrong.
    pub fn rows(&self, sql: &str) -> Result<Vec<serde_json::Value>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.store.rows(self.dir.path(), sql))
    }

    /// Changes the session database behind the daemon's back, as its owner can.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn tamper(&self, sql: &str) -> Result<()> {
        self.store.change(self.dir.path(), sql)
    }

    /// The same statement where nothing of the database stands against it.
    #[must_use]
    pub fn without_triggers(&self, table: &str, sql: &str) -> String {
        self.store.without_triggers(table, sql)
    }

    /// What such a command prints when it fails, on both outputs.
    ///
    /// # Errors
    /// When it succeeds.
    pub fn fails(&self, args: &[&str]) -> Result<String> {
        let output = self.chaperone(args)?.stdin(Stdio::null()).output()?;
        let text =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        anyhow::ensure!(!output.status.success(), "chaperone {} succeeded: {text}", args.join(" "));
        Ok(text)
    }

    /// A command that becomes an agent: started by `chaperone run` in a cgroup of its own, with a
    /// clean environment, in a mount namespace whose `/etc/hosts` knows the AWS hosts.
    ///
    /// # Errors
    /// When `chaperone` or the peers are missing.
    pub fn agent(&self) -> Result<Command> {
        self.launched(User::Root, &["--workload", self.config.workload])
    }

    /// The same for the user `nobody`, whom the daemon serves as a member of its group.
    ///
    /// # Errors
    /// When `chaperone` or the peers are missing.
    pub fn agent_as_nobody(&self) -> Result<Command> {
        self.launched(User::Nobody, &["--workload", self.config.workload])
    }

    /// The same with these options of `chaperone run`.
    ///
    /// # Errors
    /// When `chaperone` or the peers are missing.
    pub fn launched(&self, user: User, options: &[&str]) -> Result<Command> {
        let mut command = self.at_home(Command::new("/usr/bin/unshare"))?;
        command.args(KNOWS_AWS).arg(self.dir.path().join("hosts"));
        if user == User::Nobody {
            command.args(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        command
            .arg(built("chaperone")?)
            .args(["run", "--config"])
            .arg(self.config_file())
            .args(options)
            .arg("--");
        Ok(command)
    }

    /// A command that enters `cgroup` by itself, as any service of the slice does: nothing of it was
    /// started by `chaperone`, and of its variables only those of `chaperone ca env` concern the
    /// gateway.
    ///
    /// # Errors
    /// When the CA's variables or the peers are missing.
    pub fn transparent(&self, cgroup: &Cgroup) -> Result<Command> {
        let trust = self.ask(&["ca", "env", "--shell", "json"])?;
        let trust: BTreeMap<String, String> = serde_json::from_str(&trust)?;
        let mut command = self.at_home(start_pinned(Path::new("/usr/bin/unshare"), Some(cgroup), None))?;
        command
            .args(KNOWS_AWS)
            .arg(self.dir.path().join("hosts"))
            .envs(trust)
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            // boto3 gives the metadata endpoint one second by default; test machines are busy.
            .env("AWS_METADATA_SERVICE_TIMEOUT", "10");
        Ok(command)
    }

    /// A clean environment in which the peers are found.
    fn at_home(&self, mut command: Command) -> Result<Command> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", venv()?.join("bin").display());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path().join("home"))
            .env("NODE_PATH", node_modules()?)
            .current_dir(self.dir.path());
        Ok(command)
    }
}

/// Arguments of `unshare`: what follows runs where the file named first is `/etc/hosts`.
const KNOWS_AWS: [&str; 6] =
    ["--mount", "--propagation", "private", "/bin/sh", "-ec", r#"mount --bind "$0" /etc/hosts; exec "$@""#];

/// The capabilities that the shipped unit leaves the daemon, as setpriv(1) takes them: a test that
/// passes with more than these proves nothing about the service.
fn unit_capabilities() -> Result<String> {
    let unit = fs::read_to_string(repository().join("systemd/chaperone.service"))?;
    let set = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = set.context("the unit has no CapabilityBoundingSet=")?.split_whitespace();
    let plus = names.map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_ascii_lowercase()));
    Ok(format!("-all{}", plus.collect::<String>()))
}

/// A port that was free a moment ago.
pub(super) fn free_port(address: &str) -> Result<u16> {
    Ok(TcpListener::bind(address)?.local_addr()?.port())
}

/// The socket of systemd's readiness protocol (`sd_notify`).
struct Ready(UnixDatagram);

impl Ready {
    fn listen(path: &Path) -> Result<Self> {
        if path.exists() {
            fs::remove_file(path)?;
        }
        let socket = UnixDatagram::bind(path).context("notify socket")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self(socket))
    }

    fn wait(&self, daemon: &mut Running) -> Result<()> {
        let start = Instant::now();
        let mut message = [0; 4096];
        while start.elapsed() < READY_TIMEOUT {
            if let Ok(length) = self.0.recv(&mut message) {
                let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default());
                if text.lines().any(|line| line == "READY=1") {
                    return Ok(());
                }
            }
            if let Some(status) = daemon.child().try_wait()? {
                bail!("the daemon ended with {status} before it was ready");
            }
        }
        bail!("the daemon was not ready within {READY_TIMEOUT:?}")
    }
}

/// A bpffs of our own; the kernel lets go of everything pinned there when it is unmounted.
#[derive(Debug)]
struct Bpffs(PathBuf);

impl Bpffs {
    fn mount(dir: &Path) -> Result<Self> {
        fs::create_dir(dir)?;
        mount(
            "bpf",
            dir,
            "bpf",
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
            Some(c"mode=0700"),
        )
        .context("mounting a bpffs (root?)")?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
