//! A daemon's worth of identification and API, for each test its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use chaperone_tests::harness::NoStatus;
use gateway_user::{
    api::{self, Api, Client, Launcher, Peer, Recording, SessionLog, Socket},
    clock::Clock,
    identify::{
        self, BootId, CgroupFs, Identity, MasterKey, Placeholders, Registry, Scopes, Session, VouchError,
        Vouchers, Workloads,
    },
    issuer::Issuers,
    prim::{CgroupPath, SessionId, WorkloadName},
};
use tokio::sync::oneshot;

/// `nobody` and its group: a user without any rights of its own.
pub(crate) const NOBODY: u32 = 65534;

/// A daemon's worth of identification and API, on a slice and a socket of its own.
pub(crate) struct Bench {
    pub(crate) tree: Arc<CgroupFs>,
    pub(crate) slice: CgroupPath,
    pub(crate) registry: Arc<Registry>,
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) config: api::Config,
    pub(crate) log: Arc<Log>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) server: Option<thread::JoinHandle<()>>,
    pub(crate) dir: tempfile::TempDir,
}

#[derive(Default)]
pub(crate) struct Log(pub(crate) Mutex<Vec<SessionId>>);

impl SessionLog for Log {
    fn enrolled<'a>(&'a self, session: &'a Session) -> Recording<'a> {
        self.0.lock().unwrap().push(session.id);
        Box::pin(async { Ok(()) })
    }

    fn renewed<'a>(&'a self, session: &'a Session, identity: Identity) -> Recording<'a> {
        session.is_known_as(identity);
        Box::pin(async { Ok(()) })
    }

    fn killed<'a>(&'a self, _: &'a Session, _: u32) -> Recording<'a> {
        Box::pin(async { Ok(()) })
    }

    fn refused<'a>(
        &'a self,
        _: &'a WorkloadName,
        _: Option<&'a Session>,
        _: Peer,
        _: &'a VouchError,
    ) -> Recording<'a, ()> {
        Box::pin(async {})
    }
}

pub(crate) fn registry(slice: &CgroupPath, tree: &Arc<CgroupFs>) -> Arc<Registry> {
    let workload = format!(
        "name = 'claude'\nidentity = 'host'\nregion = 'eu-central-1'\ncgroup = '{}/claude-*.service'",
        slice.as_str()
    );
    Arc::new(Registry::new(
        &identify::Config::default(),
        Workloads::new(slice.clone(), [toml::from_str(&workload).unwrap()]).unwrap(),
        tree.clone(),
        Placeholders::new(&MasterKey::from_bytes([1; 32])),
        Vouchers::new(Arc::new(Issuers::new(&[], Clock::system()).unwrap())),
        BootId::current().unwrap(),
        Clock::system(),
    ))
}

pub(crate) fn bench() -> Bench {
    let tree = Arc::new(CgroupFs::open().expect("these tests need root and cgroup v2"));
    let id = SessionId::generate();
    let slice = CgroupPath::new(&format!("chaperone-test-{id}.slice"));
    tree.create(&slice, "").unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = api::Config {
        socket: dir.path().join("api.sock"),
        group: "nogroup".to_owned(),
        launch_timeout_secs: 0,
        ..api::Config::default()
    };
    let registry = registry(&slice, &tree);
    let log = Arc::new(Log::default());
    let client_env = vec![("AWS_CA_BUNDLE".to_owned(), "/etc/chaperone-test.pem".to_owned())];
    let launcher = Arc::new(Launcher::new(
        &config,
        Arc::clone(&registry),
        tree.clone(),
        log.clone(),
        client_env,
        Clock::system(),
    ));
    let mut bench = Bench { tree, slice, registry, launcher, config, log, stop: None, server: None, dir };
    bench.serve();
    bench
}

impl Bench {
    pub(crate) fn serve(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let (config, launcher) = (self.config.clone(), Arc::clone(&self.launcher));
        self.server = Some(thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let socket = Socket::bind(&config).unwrap();
                ready.send(()).unwrap();
                Api::new(config, Arc::new(NoStatus), launcher)
                    .serve(socket, async { drop(stopped.await) })
                    .await;
            });
        }));
        self.stop = Some(stop);
        is_ready.recv().unwrap();
    }

    /// The launcher as root, in a clean environment.
    pub(crate) fn root(&self, command: &[&str]) -> Command {
        let mut launcher = Command::new(env!("CARGO_BIN_EXE_launch-client"));
        self.clean(&mut launcher, command);
        launcher
    }

    /// The launcher as `nobody`, from a copy that `nobody` can reach.
    pub(crate) fn nobody(&self, command: &[&str]) -> Command {
        let copy = self.dir.path().join("launch-client");
        if !copy.exists() {
            fs::copy(env!("CARGO_BIN_EXE_launch-client"), &copy).unwrap();
        }
        let mut launcher = Command::new("setpriv");
        launcher.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        self.clean(&mut launcher, command);
        launcher
    }

    pub(crate) fn clean(&self, launcher: &mut Command, command: &[&str]) {
        launcher
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .arg(&self.config.socket)
            .arg("--")
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.config)
    }

    /// The one session that is open, and its cgroup.
    pub(crate) fn session(&self) -> Arc<Session> {
        let [session] = self.registry.open().try_into().unwrap();
        session
    }

    /// Sweeps until nothing is left to end; the kernel may still be taking a dead process out.
    pub(crate) fn sweep(&self) -> Vec<Arc<Session>> {
        let mut ended = Vec::new();
        while !self.registry.open().is_empty() {
            self.launcher.sweep();
            ended.extend(self.registry.gone());
            thread::yield_now();
        }
        ended
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.server.take().map(thread::JoinHandle::join);
        let slice = self.tree.mount().join(self.slice.as_str());
        // Whatever a failed test left running.
        let _ = fs::write(slice.join("cgroup.kill"), "1");
        while matches!(self.tree.populated(&self.slice), Ok(true)) {
            thread::yield_now();
        }
        self.tree.remove(&self.slice).unwrap();
    }
}

pub(crate) fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

pub(crate) fn both(bench: &Bench, command: &[&str], check: impl Fn(&str, Output)) {
    check("root", bench.root(command).output().unwrap());
    check("nobody", bench.nobody(command).output().unwrap());
}

/// Starts the launcher and waits for the first line of its command.
pub(crate) fn started(launcher: &mut Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = launcher.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    if line != "ready\n" {
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        panic!("{line:?} {text}");
    }
    (child, lines)
}
