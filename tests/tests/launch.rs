//! Kernel tier: the launcher on real cgroups, as root and as an unprivileged user. No eBPF is needed.
//!
//! Every test has an agent slice of its own, directly below the cgroup v2 root, and serves the API in
//! its own process; what it made is removed on drop.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test: that is how it fails, in helpers too"
)]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::{PermissionsExt, symlink},
            process::ExitStatusExt,
        },
    },
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use gateway_user::{
    api::{self, Api, Client, ClientError, Launcher, Recording, SessionLog, Socket, StatusSource, wire},
    clock::Clock,
    identify::{
        self, BootId, CgroupError, CgroupFs, CgroupTree, IdentifyError, Identity, MasterKey, Placeholders,
        Registry, Scopes, Session, StoredSession, VouchError, Vouchers, Workloads, scope,
    },
    issuer::Issuers,
    prim::{CgroupId, CgroupPath, OriginalDst, SessionId, WorkloadName},
    record::RecordError,
    redirect::Origin,
};
use tokio::sync::oneshot;

/// `nobody` and its group: a user without any rights of its own.
const NOBODY: u32 = 65534;

// ── the bench ───────────────────────────────────────────────────────────────────────────────────

/// A daemon's worth of identification and API, on a slice and a socket of its own.
struct Bench {
    tree: Arc<CgroupFs>,
    slice: CgroupPath,
    registry: Arc<Registry>,
    launcher: Arc<Launcher>,
    config: api::Config,
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<thread::JoinHandle<()>>,
    dir: tempfile::TempDir,
}

#[derive(Default)]
struct Log(Mutex<Vec<SessionId>>);

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
        _: &'a VouchError,
    ) -> Recording<'a, ()> {
        Box::pin(async {})
    }
}

struct NoStatus;

impl StatusSource for NoStatus {
    fn status(&self) -> wire::Status {
        let ok = || wire::Health { ok: true, detail: String::new() };
        wire::Status {
            version: String::new(),
            pid: std::process::id(),
            started: Clock::system().now(),
            abi: 0,
            workloads: vec![],
            observed: Vec::new(),
            open_sessions: 0,
            calls: wire::CallCounts::default(),
            policy: wire::PolicyStatus { digest: String::new(), count: 0, last_reload_error: None },
            store: ok(),
            redirect: ok(),
            kernel: None,
        }
    }
}

fn registry(slice: &CgroupPath, tree: &Arc<CgroupFs>) -> Arc<Registry> {
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

fn bench() -> Bench {
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
    fn serve(&mut self) {
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
    fn root(&self, command: &[&str]) -> Command {
        let mut launcher = Command::new(env!("CARGO_BIN_EXE_launch-client"));
        self.clean(&mut launcher, command);
        launcher
    }

    /// The launcher as `nobody`, from a copy that `nobody` can reach.
    fn nobody(&self, command: &[&str]) -> Command {
        let copy = self.dir.path().join("launch-client");
        if !copy.exists() {
            fs::copy(env!("CARGO_BIN_EXE_launch-client"), &copy).unwrap();
        }
        let mut launcher = Command::new("setpriv");
        launcher.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        self.clean(&mut launcher, command);
        launcher
    }

    fn clean(&self, launcher: &mut Command, command: &[&str]) {
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

    fn client(&self) -> Client {
        Client::new(&self.config)
    }

    /// The one session that is open, and its cgroup.
    fn session(&self) -> Arc<Session> {
        let [session] = self.registry.open().try_into().unwrap();
        session
    }

    /// Sweeps until nothing is left to end; the kernel may still be taking a dead process out.
    fn sweep(&self) -> Vec<Arc<Session>> {
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

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn both(bench: &Bench, command: &[&str], check: impl Fn(&str, Output)) {
    check("root", bench.root(command).output().unwrap());
    check("nobody", bench.nobody(command).output().unwrap());
}

// ── the tree ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_cgroup_is_found_by_its_id_and_gone_when_it_is_removed() {
    let bench = bench();
    let path = CgroupPath::new(&format!("{}/a b", bench.slice.as_str()));
    let id = bench.tree.create(&path, "night-builds").unwrap();
    assert_eq!(bench.tree.path(id).unwrap(), path);
    assert_eq!(bench.tree.id(&path).unwrap(), id);
    assert_eq!(bench.tree.tag(&path).unwrap().as_deref(), Some("night-builds"));
    assert_eq!(bench.tree.children(&bench.slice).unwrap(), std::slice::from_ref(&path));
    let root = bench.tree.id(&CgroupPath::new("")).unwrap();
    assert_eq!(bench.tree.path(root).unwrap(), CgroupPath::new(""));
    assert_eq!(bench.tree.tag(&CgroupPath::new("")).unwrap(), None);

    bench.tree.remove(&path).unwrap();
    assert!(matches!(bench.tree.path(id), Err(CgroupError::Gone)));
    assert!(matches!(bench.tree.id(&path), Err(CgroupError::Gone)));
    assert!(matches!(bench.tree.tag(&path), Err(CgroupError::Gone)));
    assert!(!bench.tree.exists(id));
    assert!(matches!(bench.tree.path(CgroupId(u64::MAX)), Err(CgroupError::Gone)));
    // The same name again is another cgroup.
    let again = bench.tree.create(&path, "").unwrap();
    assert_ne!(again, id);
    assert!(!bench.tree.exists(id));
}

#[test]
fn a_missing_slice_is_made_and_an_existing_one_kept() {
    let bench = bench();
    let nested = CgroupPath::new(&format!("{}/a.slice/a-b.slice", bench.slice.as_str()));
    let id = bench.tree.ensure(&nested).unwrap();
    assert_eq!(bench.tree.ensure(&nested).unwrap(), id);
    assert_eq!(bench.tree.path(id).unwrap(), nested);
}

#[test]
fn tags_that_no_workload_can_have_are_refused() {
    let bench = bench();
    let check = |tag: &[u8]| {
        let path = CgroupPath::new(&format!("{}/x", bench.slice.as_str()));
        bench.tree.create(&path, "").unwrap();
        let directory = bench.tree.directory(&path).unwrap();
        let replace = rustix::fs::XattrFlags::REPLACE;
        rustix::fs::fsetxattr(&directory, identify::cgroup::TAG, tag, replace).unwrap();
        assert!(matches!(bench.tree.tag(&path), Err(CgroupError::BadTag)), "{tag:?}");
        bench.tree.remove(&path).unwrap();
    };
    check(&[b'a'; 129]);
    check(b"\xff\xfe");
}

#[test]
fn a_populated_cgroup_is_not_removed() {
    let bench = bench();
    let path = CgroupPath::new(&format!("{}/x", bench.slice.as_str()));
    bench.tree.create(&path, "").unwrap();
    let below = CgroupPath::new(&format!("{}/y", path.as_str()));
    bench.tree.create(&below, "").unwrap();
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    bench.tree.admit(&below, cat.id()).unwrap();
    assert!(bench.tree.populated(&path).unwrap());
    assert!(matches!(bench.tree.remove(&path), Err(CgroupError::Io { .. })));
    assert!(bench.tree.id(&below).is_ok());
    drop(cat.stdin.take());
    cat.wait().unwrap();
    assert!(!bench.tree.populated(&path).unwrap());
    bench.tree.remove(&path).unwrap();
}

#[tokio::test]
async fn a_connection_is_identified_by_its_real_cgroup() {
    let bench = bench();
    let identify = async |path: &str| {
        let path = CgroupPath::new(path);
        let id = bench.tree.id(&path).unwrap();
        let origin =
            Origin { destination: OriginalDst(([192, 0, 2, 1], 443).into()), cgroup: id, pid: 1, uid: 0 };
        bench.registry.identify(&origin, async |_: &Session| Ok::<(), RecordError>(())).await
    };
    let slice = bench.slice.as_str();
    let globbed = CgroupPath::new(&format!("{slice}/claude-1.service"));
    let below = CgroupPath::new(&format!("{slice}/claude-1.service/sub"));
    let tagged = CgroupPath::new(&format!("{slice}/anything"));
    let untagged = CgroupPath::new(&format!("{slice}/other"));
    for (path, tag) in [(&globbed, ""), (&below, ""), (&tagged, "claude"), (&untagged, "")] {
        bench.tree.create(path, tag).unwrap();
    }
    let session = identify(below.as_str()).await.unwrap().session;
    assert_eq!(session.cgroup, globbed);
    assert_eq!(identify(globbed.as_str()).await.unwrap().session.id, session.id);
    assert_eq!(identify(tagged.as_str()).await.unwrap().session.workload.name.as_str(), "claude");
    assert!(matches!(identify(untagged.as_str()).await, Err(IdentifyError::NoWorkload { .. })));
    assert!(matches!(identify("").await, Err(IdentifyError::NotAnAgent { .. })));

    bench.tree.remove(&globbed).unwrap();
    let ended: Vec<_> = bench.registry.gone().iter().map(|session| session.id).collect();
    assert_eq!(ended, [session.id]);
}

// ── the launch ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_command_is_in_its_cgroup_from_the_first_instruction() {
    let bench = bench();
    both(&bench, &["cat", "/proc/self/cgroup"], |who, output| {
        assert!(output.status.success(), "{who}: {}", err(&output));
        let line = out(&output).lines().find_map(|line| line.strip_prefix("0::")).unwrap();
        let session = bench.log.0.lock().unwrap().last().copied().unwrap();
        let expected = scope::path(&bench.slice, &"claude".parse().unwrap(), session);
        assert_eq!(CgroupPath::new(line), expected, "{who}");
    });
}

#[test]
fn the_session_knows_the_command_and_the_user() {
    let bench = bench();
    assert!(bench.nobody(&["true", "-x", "a b"]).status().unwrap().success());
    let launch = bench.session().launch.clone().unwrap();
    assert_eq!(
        (launch.uid, launch.command),
        (NOBODY, vec!["true".to_owned(), "-x".to_owned(), "a b".to_owned()])
    );
}

#[test]
fn exit_codes_pass_through() {
    let bench = bench();
    let check = |command: &[&str], code: i32, message: &str| {
        both(&bench, command, |who, output| {
            assert_eq!(output.status.code(), Some(code), "{who} {command:?}: {}", err(&output));
            assert!(err(&output).contains(message), "{who} {command:?}: {}", err(&output));
        });
    };
    check(&["true"], 0, "");
    check(&["sh", "-c", "exit 3"], 3, "");
    check(&["sh", "-c", "exit 255"], 255, "");
    check(&["no-such-command"], 127, "chaperone: no-such-command: command not found");
    check(&["/no/such/command"], 127, "/no/such/command: command not found");
    check(&["/etc/passwd"], 126, "/etc/passwd: Permission denied");
    check(&["/etc"], 126, "/etc: Permission denied");
}

#[test]
fn a_script_without_an_interpreter_line_is_the_shells() {
    let bench = bench();
    let script = bench.dir.path().join("script");
    fs::write(&script, "echo \"$0 $1\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    both(&bench, &[script, "arg"], |who, output| {
        assert_eq!(out(&output).trim(), format!("{script} arg"), "{who}: {}", err(&output));
    });
}

#[test]
fn the_command_ends_by_a_signal_and_so_does_the_launcher() {
    let bench = bench();
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGPIPE, libc::SIGSEGV] {
        both(&bench, &["sh", "-c", &format!("kill -{signal} $$")], |who, output| {
            assert_eq!(output.status.signal(), Some(signal), "{who}: {:?} {}", output.status, err(&output));
        });
    }
}

/// Starts the launcher and waits for the first line of its command.
fn started(launcher: &mut Command) -> (Child, BufReader<std::process::ChildStdout>) {
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

fn send(child: &Child, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: sends a signal to a child of this test that was not waited for.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[test]
fn signals_sent_to_the_launcher_reach_the_command() {
    let bench = bench();
    let signals = [
        ("TERM", libc::SIGTERM),
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
    ];
    for (name, number) in signals {
        // Blocks the signal before it says that it is ready, so that none is lost (a shell's trap can
        // be, between two commands).
        let script = format!(
            "use POSIX; $| = 1; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIG{name})); \
             $SIG{{{name}}} = sub {{ print qq(got {name}\\n); exit 9 }}; \
             print qq(ready\\n); sigsuspend(POSIX::SigSet->new())"
        );
        let command = ["perl", "-e", &script];
        for mut launcher in [bench.root(&command), bench.nobody(&command)] {
            let (mut child, mut lines) = started(&mut launcher);
            send(&child, number);
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, format!("got {name}\n"));
            assert_eq!(child.wait().unwrap().code(), Some(9));
        }
    }
}

#[test]
fn the_launchers_own_signal_mask_and_dispositions_are_the_commands() {
    let bench = bench();
    let command = ["cat", "/proc/self/status"];
    let own = mask_of(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn:");
    both(&bench, &command, |who, output| {
        // The test harness ignores SIGPIPE, as every Rust program does; commands must not.
        assert_eq!(mask_of(out(&output), "SigIgn:"), own & !bit(libc::SIGPIPE), "{who}");
        assert_eq!(mask_of(out(&output), "SigBlk:"), 0, "{who}");
    });
    // As with nohup: what was ignored for the launcher is ignored for the command.
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_launch-client")]);
    bench.clean(&mut nohup, &command);
    let output = nohup.output().unwrap();
    assert_eq!(mask_of(out(&output), "SigIgn:"), (own & !bit(libc::SIGPIPE)) | bit(libc::SIGHUP));
}

/// A signal set of `/proc/PID/status`, without the real-time signals that glibc uses for itself.
fn mask_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
}

fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

#[test]
fn stopped_by_the_terminal_and_continued_together() {
    let bench = bench();
    let script = "echo ready; kill -TSTP $$; echo continued";
    let (mut child, mut lines) = started(&mut bench.root(&["sh", "-c", script]));
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: waits for a child of this test; the status outlives the call.
    let stopped = unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
    assert!(stopped == pid && libc::WIFSTOPPED(status), "{status}");
    send(&child, libc::SIGCONT);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "continued\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_but_standard_descriptors_comes_along() {
    let bench = bench();
    let (reader, writer) = std::io::pipe().unwrap();
    let extra = File::open("/etc/passwd").unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let fds: Vec<OwnedFd> = vec![reader.into(), writer.into(), extra.into(), socket.into()];
    for fd in &fds {
        // Without close-on-exec, they reach the launcher.
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
    }
    let high = rustix::io::dup(&fds[2]).unwrap();
    assert!(high.as_raw_fd() > 2);
    let script = "for fd in /proc/self/fd/*; do echo ${fd##*/}; done";
    both(&bench, &["bash", "-c", script], |who, output| {
        let seen: Vec<u32> = out(&output).lines().filter_map(|line| line.parse().ok()).collect();
        // The shell itself opens the directory to list it, on the lowest free number.
        assert_eq!(seen, [0, 1, 2, 3], "{who}: {}", err(&output));
    });
}

#[test]
fn a_network_connection_as_standard_input_is_refused() {
    let bench = bench();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = || OwnedFd::from(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    for mut launcher in [bench.root(&["true"]), bench.nobody(&["true"])] {
        let output = launcher.stdin(connect()).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
        assert!(err(&output).contains("descriptor 0 is a network connection"), "{}", err(&output));
    }
    assert!(bench.registry.open().is_empty());
}

#[test]
fn the_environment_has_the_ca_and_no_credentials() {
    let bench = bench();
    for mut launcher in [bench.root(&["env"]), bench.nobody(&["env"])] {
        let output = launcher
            .env("AWS_ACCESS_KEY_ID", "AKIAREAL")
            .env("AWS_SECRET_ACCESS_KEY", "very-secret")
            .env("AWS_PROFILE", "prod")
            .env("AWS_CA_BUNDLE", "/other.pem")
            .env("KEPT", "1")
            .output()
            .unwrap();
        let session = bench.log.0.lock().unwrap().last().copied().unwrap();
        let variables: Vec<_> = out(&output).lines().collect();
        for expected in [
            "AWS_CA_BUNDLE=/etc/chaperone-test.pem",
            "AWS_REGION=eu-central-1",
            "AWS_DEFAULT_REGION=eu-central-1",
            "KEPT=1",
            &format!("CHAPERONE_SESSION={session}"),
        ] {
            assert!(variables.contains(&expected), "{expected} in {variables:?}");
        }
        for absent in ["AKIAREAL", "very-secret", "AWS_PROFILE", "/other.pem"] {
            assert!(!out(&output).contains(absent), "{absent} in {variables:?}");
        }
        let said =
            "gets its credentials from the gateway: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE";
        assert!(err(&output).contains(said), "{}", err(&output));
        assert!(!err(&output).contains("secret"), "values are not shown");
    }
}

#[test]
fn standard_streams_pass_through_and_without_a_pipe_reader_the_command_ends() {
    let bench = bench();
    let mut child = bench.root(&["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"through");

    let mut child = bench.root(&["yes"]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGPIPE));
}

// ── the end of a session ────────────────────────────────────────────────────────────────────────

#[test]
fn the_session_ends_with_its_last_process_and_its_cgroup_is_removed() {
    let bench = bench();
    let fifo = bench.dir.path().join("fifo");
    assert!(Command::new("mkfifo").args(["-m", "666"]).arg(&fifo).status().unwrap().success());
    // A process that outlives the command, for as long as somebody could write to the FIFO.
    let script = format!("cat < {} & echo ready", fifo.display());
    let command = ["sh", "-c", &script];
    for mut launcher in [bench.root(&command), bench.nobody(&command)] {
        let (mut child, _lines) = started(&mut launcher);
        let hold = File::options().write(true).open(&fifo).unwrap();
        assert!(child.wait().unwrap().success());
        let session = bench.session();
        bench.launcher.sweep();
        assert!(bench.registry.gone().is_empty(), "a process of the session still runs");

        drop(hold);
        let ended: Vec<_> = bench.sweep().iter().map(|session| session.id).collect();
        assert_eq!(ended, [session.id]);
        assert!(matches!(bench.tree.id(&session.cgroup), Err(CgroupError::Gone)));
    }
}

#[test]
fn a_restarted_daemon_goes_on_with_a_launched_session() {
    let bench = bench();
    let (mut child, lines) =
        started(bench.root(&["sh", "-c", "echo ready; read line"]).stdin(Stdio::piped()));
    let session = bench.session();
    // A registry and launcher as a new daemon makes them, from what the database holds.
    let registry = registry(&bench.slice, &bench.tree);
    let ended = registry.restore([StoredSession {
        id: session.id,
        workload: session.workload.name.clone(),
        cgroup: session.cgroup.clone(),
        cgroup_id: session.cgroup_id,
        boot: BootId::current().unwrap(),
        started: session.started,
        launch: session.launch.clone(),
        identity: None,
    }]);
    assert_eq!(ended, []);
    let launcher = Launcher::new(
        &bench.config,
        Arc::clone(&registry),
        bench.tree.clone(),
        bench.log.clone(),
        vec![],
        Clock::system(),
    );
    launcher.sweep();
    assert!(registry.gone().is_empty());
    let [restored] = registry.open().try_into().unwrap();
    assert_eq!(restored.placeholder.access_key_id, session.placeholder.access_key_id);

    drop(child.stdin.take());
    drop(lines);
    child.wait().unwrap();
    while !registry.open().is_empty() {
        launcher.sweep();
        registry.gone();
    }
    assert!(matches!(bench.tree.id(&session.cgroup), Err(CgroupError::Gone)));
}

// ── who may ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_agent_may_not_start_another_session() {
    let bench = bench();
    let inner = env!("CARGO_BIN_EXE_launch-client");
    let socket = bench.config.socket.to_str().unwrap();
    let output = bench.root(&[inner, socket, "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("runs inside the agent slice already"), "{}", err(&output));
    assert!(err(&output).contains("next step: start the command without chaperone run"), "{}", err(&output));
}

#[test]
fn without_membership_in_the_group_nothing_is_launched() {
    let bench = bench();
    fs::set_permissions(&bench.config.socket, fs::Permissions::from_mode(0o600)).unwrap();
    let output = bench.nobody(&["true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("you may not use"), "{}", err(&output));
    assert!(bench.registry.open().is_empty());
}

#[test]
fn without_a_daemon_the_command_does_not_run() {
    let bench = bench();
    let marker = bench.dir.path().join("ran");
    let mut launcher = Command::new(env!("CARGO_BIN_EXE_launch-client"));
    let absent: PathBuf = bench.dir.path().join("absent.sock");
    launcher.env_clear().arg(absent).arg("--").arg("/usr/bin/touch").arg(&marker);
    let output = launcher.output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("the daemon is not running"), "{}", err(&output));
    assert!(!marker.exists());
}

#[test]
fn a_stale_socket_says_that_the_daemon_is_not_running() {
    let bench = bench();
    let link = bench.dir.path().join("dangling.sock");
    symlink("/nonexistent", &link).unwrap();
    let config = api::Config { socket: link, ..api::Config::default() };
    let error = Client::new(&config).status().unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

#[test]
fn only_a_fresh_child_of_the_one_who_asks_is_adopted() {
    let bench = bench();
    let request = wire::LaunchRequest { workload: None, command: vec!["cat".to_owned()], token: None };
    let launched = bench.client().launch(&request).unwrap();
    let check = |mut command: Command, expected: &str| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // `cat` answers once it runs as what it is.
        child.stdin.as_mut().unwrap().write_all(b"ready\n").unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        let before = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
        let result = bench.client().adopt(launched.session, child.id());
        let after = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        match result {
            Err(ClientError::Refused(reply)) => assert!(reply.error.contains(expected), "{reply:?}"),
            other => panic!("{other:?} instead of {expected}"),
        }
        assert_eq!(before, after, "what is refused is not moved");
    };
    let mut socket = Command::new("cat");
    socket.stderr(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    check(socket, "holds descriptor 2, a TCP socket");

    let mut other_user = Command::new("setpriv");
    other_user.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]);
    check(other_user, "does not run as user 0, who asks");

    // A grandchild: its parent is the shell.
    let mut shell = Command::new("sh")
        .args(["-c", "exec 3<&0; cat >/dev/null <&3 & echo $!; wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let grandchild = line.trim().parse().unwrap();
    let refused = bench.client().adopt(launched.session, grandchild).unwrap_err().to_string();
    drop(shell.stdin.take());
    shell.wait().unwrap();
    assert!(refused.contains("is not a child of process"), "{refused}");
    let init = bench.client().adopt(launched.session, 1).unwrap_err().to_string();
    assert!(init.contains("process 1 is not a child of process"), "{init}");
    assert!(!bench.tree.populated(&launched.cgroup).unwrap());
}
