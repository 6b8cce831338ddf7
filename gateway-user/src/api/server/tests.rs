use std::{
    io::{Read, Write},
    os::unix::net::UnixStream as StdStream,
    path::PathBuf,
    thread,
};

use time::macros::datetime;
use tokio::sync::oneshot;

use super::*;
use crate::api::{
    Client, ClientError, Config,
    launcher::tests::{Bench, bench},
    wire::{CallCounts, Health, HoldRequest, LaunchRequest, PolicyStatus, ReleaseRequest, RetentionRequest},
};

/// The API on a real socket, served until the end of the test.
struct Served {
    config: Config,
    bench: Bench,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

struct Fixed;

impl StatusSource for Fixed {
    fn status(&self) -> Status {
        Status {
            version: "1.2.3".to_owned(),
            pid: 42,
            started: datetime!(2030-01-01 00:00 UTC),
            abi: 7,
            workloads: vec!["claude".parse().unwrap()],
            observed: Vec::new(),
            open_sessions: 3,
            calls: CallCounts { allowed: 5, denied: 2, failed: 1 },
            policy: PolicyStatus { digest: "abc".to_owned(), count: 4, last_reload_error: None },
            store: Health { ok: true, detail: String::new() },
            redirect: Health { ok: true, detail: String::new() },
            kernel: None,
        }
    }
}

fn serve(workloads: &[&str], change: impl FnOnce(&mut Config)) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        socket: dir.path().join("api.sock"),
        group: "no-such-group".to_owned(),
        ..Config::default()
    };
    change(&mut config);
    let bench = bench(workloads);
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (api_config, launcher) = (config.clone(), Arc::clone(&bench.launcher));
    let known = workloads.iter().map(|name| name.parse().unwrap()).collect();
    let record = crate::record::Config { database: dir.path().join("chaperone.db"), ..Default::default() };
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = crate::clock::Clock::system();
            let recorder = crate::record::Recorder::open(&record, clock.clone()).await.unwrap().recorder;
            let retention = Retention::new(recorder, record, clock);
            let retention = Arc::new(retention.of(known, tokio_util::sync::CancellationToken::new()));
            let api = Api::new(api_config, Arc::new(Fixed), launcher).with_retention(retention);
            let socket = Socket::bind(&api.config).unwrap();
            ready.send(()).unwrap();
            api.serve(socket, async { drop(stopped.await) }).await;
        });
    });
    is_ready.recv().unwrap();
    Served { config, bench, stop: Some(stop), thread: Some(thread), _dir: dir }
}

impl Served {
    fn client(&self) -> Client {
        Client::new(&self.config)
    }

    /// Sends `request` as it is and returns status and body.
    fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = StdStream::connect(&self.config.socket).unwrap();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(thread::JoinHandle::join);
    }
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn status_reads_back_as_it_was_told() {
    let served = serve(&["claude"], |_| {});
    let status = served.client().status().unwrap();
    assert_eq!((status.version.as_str(), status.pid, status.abi), ("1.2.3", 42, 7));
    assert_eq!(status.started, datetime!(2030-01-01 00:00 UTC));
    assert_eq!((status.calls.allowed, status.calls.denied, status.calls.failed), (5, 2, 1));
    assert!(status.healthy());
}

/// Root alone may; this test may not run as root.
#[test]
fn what_is_kept_is_asked_over_the_socket() {
    let served = serve(&["claude"], |_| {});
    let hold = HoldRequest {
        session: None,
        workload: Some("claude".parse().unwrap()),
        since: None,
        until: None,
        reason: "the incident".to_owned(),
    };
    let placed = served.client().hold(&hold);
    if !rustix::process::geteuid().is_root() {
        let Err(ClientError::Refused(reply)) = placed else { panic!("{placed:?}") };
        assert_eq!(reply.error, "only root may decide what is kept");
        return;
    }
    let placed = placed.unwrap().hold;
    let release = ReleaseRequest { reason: "it is over".to_owned() };
    served.client().release(&placed, &release).unwrap();
    let Err(ClientError::Refused(reply)) = served.client().release("h-none", &release) else { panic!() };
    assert_eq!(reply.next_step, "look for holds in force (chaperone retention holds list)");
    let old = datetime!(2020-01-01 00:00 UTC);
    let request = RetentionRequest {
        bodies_before: None,
        rows_before: Some(old),
        clock_is_right: false,
        reason: "a test".to_owned(),
    };
    let begun = served.client().remove_old(&request).unwrap();
    let status =
        std::iter::repeat_with(|| served.client().retention().unwrap()).find(|status| !status.running);
    let status = status.unwrap();
    assert_eq!((status.report.rows(), status.error), (0, None));
    assert_eq!(status.report.run, Some(begun.run));
    assert_eq!(status.report.rows_before.as_deref(), Some("2020-01-01T00:00:00.000000Z"));
}

#[test]
fn a_session_is_launched_for_the_user_the_kernel_names() {
    let served = serve(&["claude"], |_| {});
    let request = LaunchRequest { workload: None, command: vec!["true".to_owned()], token: None };
    let launched = served.client().launch(&request).unwrap();
    let [session] = served.bench.registry.open().try_into().unwrap();
    assert_eq!(session.id, launched.session);
    assert_eq!(session.launch.as_ref().unwrap().uid, rustix::process::geteuid().as_raw());

    // A child of this process, which the kernel names as the one that asks.
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let adopted = served.client().adopt(launched.session, child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    adopted.unwrap();
}

#[test]
fn a_refusal_says_what_to_do() {
    let check = |workloads: &[&str], wanted: Option<&str>, error: &str, next_step: &str| {
        let served = serve(workloads, |_| {});
        let workload = wanted.map(|name| name.parse().unwrap());
        let request = LaunchRequest { workload, command: vec![], token: None };
        match served.client().launch(&request) {
            Err(ClientError::Refused(reply)) => {
                assert_eq!((reply.error.as_str(), reply.next_step.as_str()), (error, next_step));
            }
            other => panic!("{other:?}"),
        }
    };
    check(
        &["a", "b"],
        None,
        "several workloads are configured, and none was named",
        "add --workload with one of: a, b",
    );
    check(&["a", "b"], Some("c"), "workload c is not configured", "use one of: a, b");
    check(
        &[],
        None,
        "no workload is configured",
        "add a [[workload]] to /etc/chaperone/chaperone.toml and restart the daemon",
    );
}

#[test]
fn bad_requests() {
    let served = serve(&["claude"], |config| config.body_max_bytes = 256);
    let check = |request: &[u8], status: u16, error: &str| {
        let (found, body) = served.raw(request);
        assert!(found == status && body.contains(error), "{found} {body}");
    };
    check(&post("/v1/sessions", "{"), 400, "not what it should be");
    check(&post("/v1/sessions", r#"{"command":[],"uid":0}"#), 400, "unknown field `uid`");
    check(&post("/v1/sessions", r#"{"workload":"../etc","command":[]}"#), 400, "not a valid workload name");
    check(
        &post("/v1/sessions", &format!(r#"{{"command":["{}"]}}"#, "x".repeat(256))),
        413,
        "more than 256 bytes",
    );
    check(&post("/v1/sessions/s-1/adopt", r#"{"pid":1}"#), 404, "there is nothing at");
    let absent = SessionId::generate();
    check(&post(&format!("/v1/sessions/{absent}/adopt"), r#"{"pid":1}"#), 409, "does not wait for a process");
    check(&post(&format!("/v1/sessions/{absent}/adopt"), r#"{"pid":-1}"#), 400, "not what it should be");
    check(&post("/v1/status", ""), 405, "POST is not possible here");
    check(b"GET /v1/sessions HTTP/1.1\r\nhost: x\r\n\r\n", 405, "GET is not possible here");
    check(b"GET /etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n", 404, "there is nothing at");
    let long = [b"GET /v1/status HTTP/1.1\r\nx: ".as_slice(), &[b'a'; 10_000], b"\r\n\r\n"].concat();
    check(&long, 431, "");
    check(b"\x16\x03\x01 no http\r\n\r\n", 400, "");
    check(
        &post(
            "/v1/sessions",
            &format!(r#"{{"command":["{}"],"token":"{}"}}"#, "x".repeat(257), "x".repeat(1 << 20)),
        ),
        413,
        "more than 256 bytes",
    );
    // A long token is a matter of identity, not of size.
    let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(1 << 20));
    check(&post(&format!("/v1/sessions/{absent}/token"), &long), 404, "you have no open session");
    // None of it did anything, and the next request is answered.
    assert!(served.bench.registry.open().is_empty());
    assert!(served.client().status().is_ok());
}

#[test]
fn connections_are_bounded_and_a_silent_one_is_closed() {
    let served = serve(&["claude"], |config| {
        config.max_connections = 1;
        config.request_timeout_secs = 1;
    });
    let mut silent = StdStream::connect(&served.config.socket).unwrap();
    silent.write_all(b"GET /v1/st").unwrap();
    // Waits in the listen queue until the silent one's time is up.
    assert!(served.client().status().is_ok());
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200"));
}

#[test]
fn who_cannot_reach_the_daemon_is_told_why() {
    let served = serve(&["claude"], |_| {});
    let mut config = served.config.clone();
    drop(served);
    let error = Client::new(&config).status().unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
    assert!(error.next_step().contains("systemctl start chaperone"));
    config.socket = PathBuf::from("/dev/null");
    let error = Client::new(&config).status().unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. } | ClientError::Exchange(_)), "{error}");
}
