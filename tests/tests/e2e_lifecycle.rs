//! The daemon's life: started, reloaded, killed, started again, started twice; and what agents, the
//! host and the records see of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, net::SocketAddr, sync::Arc};

use chaperone_tests::{
    harness::{AWS_ADDRESS, AgentShell, Gateway, GatewayConfig},
    pki::TestCa,
    upstream::{Key, Upstream, UpstreamConfig},
};
use serde_json::Value;

const ALLOW: &str =
    "@id(\"identity\") permit (principal, action == Action::\"sts:GetCallerIdentity\", resource);\n";
const BROKEN: &str = "@id(\"broken\")\npermit (principal, action, resource\n";

async fn upstream() -> (Upstream, Key) {
    let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
    let config = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key.clone()]);
    (Upstream::start(config).await.unwrap(), key)
}

fn config(policies: &str, upstream: SocketAddr, ca: &str, key: Key) -> GatewayConfig {
    GatewayConfig {
        purpose: "lifecycle",
        workload: "agents",
        policies: policies.to_owned(),
        upstream,
        upstream_ca: ca.to_owned(),
        key,
        hosts: vec!["sts.eu-central-1.amazonaws.com".to_owned()],
        core: None,
        extra: String::new(),
    }
}

async fn running(policies: &str) -> (Gateway, Upstream) {
    let (upstream, key) = upstream().await;
    let gateway = Gateway::start(config(policies, upstream.addr(), upstream.ca_pem(), key)).unwrap();
    (gateway, upstream)
}

/// What `chaperone status --json` says, and its exit code.
fn status(gateway: &Gateway) -> (Value, i32) {
    let output = gateway.chaperone(&["status", "--json"]).unwrap().output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (value, output.status.code().unwrap())
}

/// Sends SIGHUP and asks until the daemon has taken notice: `accept` sees the status.
fn reload(gateway: &Gateway, accept: impl Fn(&Value) -> bool) -> (Value, i32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(gateway.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    for _ in 0..1000 {
        let (value, code) = status(gateway);
        if accept(&value) {
            return (value, code);
        }
    }
    panic!("the reload was never noticed: {:?}", status(gateway));
}

const IDENTITY: &str = "aws sts get-caller-identity";

#[tokio::test(flavor = "multi_thread")]
async fn broken_policies_refuse_to_start() {
    let (upstream, key) = upstream().await;
    let config = config(BROKEN, upstream.addr(), upstream.ca_pem(), key);
    let error = Gateway::start(config).expect_err("the policies are broken");
    let text = format!("{error:#}");
    assert!(text.contains("test.cedar:") && text.contains("loading the policies"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_reload_keeps_the_last_good_policies_and_says_so() {
    let (gateway, _upstream) = running(ALLOW).await;
    let mut agent = AgentShell::start(&gateway).unwrap();
    agent.run(IDENTITY).unwrap().ok().unwrap();
    let good = status(&gateway).0["policy"]["digest"].clone();

    let file = gateway.dir().join("policies/test.cedar");
    fs::write(&file, BROKEN).unwrap();
    let (seen, code) = reload(&gateway, |status| !status["policy"]["last_reload_error"].is_null());
    assert_eq!((&seen["policy"]["digest"], code), (&good, 1), "{seen}");
    assert!(seen["policy"]["last_reload_error"].as_str().unwrap().contains("test.cedar:"), "{seen}");
    agent.run(IDENTITY).unwrap().ok().unwrap();
    let events = gateway.ask(&["events", "list", "--json"]).unwrap();
    assert!(events.contains("policies-rejected"), "{events}");

    fs::write(&file, "@id(\"none\") forbid (principal, action, resource);\n").unwrap();
    let (seen, code) = reload(&gateway, |status| status["policy"]["last_reload_error"].is_null());
    assert_eq!(code, 0, "{seen}");
    assert_ne!(seen["policy"]["digest"], good);
    let refused = agent.run(IDENTITY).unwrap();
    assert!(refused.code != 0 && refused.output.contains("\"none\""), "{}", refused.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_agents_are_refused_the_host_is_not_and_a_restart_goes_on() {
    let (mut gateway, upstream) = running(ALLOW).await;
    let mut agent = AgentShell::start(&gateway).unwrap();
    agent.run(IDENTITY).unwrap().ok().unwrap();
    let sessions = |gateway: &Gateway| gateway.ask(&["sessions", "list", "--json"]).unwrap();
    let before = sessions(&gateway);

    gateway.kill().unwrap();
    let connect = format!(
        "python3 -c 'import errno, socket; s = socket.socket(); s.settimeout(10); \
         print(errno.errorcode.get(s.connect_ex((\"{AWS_ADDRESS}\", 443)), \"connected\"))'"
    );
    assert_eq!(agent.run(&connect).unwrap().output, "ECONNREFUSED");
    assert_ne!(agent.run(IDENTITY).unwrap().code, 0);
    std::net::TcpStream::connect(upstream.addr()).expect("a process outside the slice connects as ever");
    let down = gateway.chaperone(&["status"]).unwrap().output().unwrap();
    assert_eq!(down.status.code(), Some(69), "{}", String::from_utf8_lossy(&down.stderr));

    gateway.start_daemon().unwrap();
    agent.run(IDENTITY).unwrap().ok().unwrap();
    let id = |text: &str| -> Value {
        let first = text.lines().next().unwrap_or_default();
        serde_json::from_str::<Value>(first).unwrap()["id"].clone()
    };
    let after = sessions(&gateway);
    assert_eq!(id(&after), id(&before), "the same session");
    assert_eq!(after.lines().count(), 1, "{after}");
    assert_eq!(status(&gateway).1, 0, "{:?}", status(&gateway));
}

/// No file that the daemon writes may hold a secret: neither the gateway's own nor the placeholder's.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_kept_holds_a_secret() {
    let (gateway, _upstream) = running(ALLOW).await;
    let mut agent = AgentShell::start(&gateway).unwrap();
    agent.run(IDENTITY).unwrap().ok().unwrap();
    agent.run("aws sts get-session-token || true").unwrap();
    let python = "import boto3; print(boto3.Session().get_credentials().get_frozen_credentials().secret_key)";
    let placeholder = agent.run(&format!("python3 -c '{python}'")).unwrap().ok().unwrap();
    assert!(placeholder.len() >= 40, "{placeholder}");

    let mut searched = 0;
    for name in ["chaperone.db", "chaperone.db-wal", "daemon.log"] {
        let bytes = fs::read(gateway.dir().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for secret in ["gate/way+secret", placeholder.trim()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds {secret}");
        }
        // The search works: what is meant to be there is found.
        searched += bytes.windows(14).filter(|window| *window == b"GetCallerIdent").count();
    }
    assert!(searched > 0, "no record of the call was searched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_harms_nothing() {
    let (gateway, _upstream) = running(ALLOW).await;
    let second = gateway.chaperone(&["daemon"]).unwrap().output().unwrap();
    let message = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{message}");
    assert!(
        message.contains(&format!("in use by another chaperone daemon (pid {})", gateway.pid())),
        "{message}"
    );
    AgentShell::start(&gateway).unwrap().run(IDENTITY).unwrap().ok().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_last_process() {
    let (mut gateway, _upstream) = running(ALLOW).await;
    let mut agent = AgentShell::start(&gateway).unwrap();
    agent.run(IDENTITY).unwrap().ok().unwrap();
    let refused = gateway.ask(&["detach", "--yes"]).expect_err("an agent is running").to_string();
    assert!(refused.contains("--even-with-agents"), "{refused}");
    drop(agent);
    let ended = (0..5000).any(|_| {
        let list = gateway.ask(&["sessions", "list", "--json"]).unwrap();
        serde_json::from_str::<Value>(list.lines().next().unwrap()).unwrap()["ended"].is_string()
    });
    assert!(ended, "the session never ended");
    gateway.stop().unwrap();
    gateway.ask(&["detach", "--yes"]).unwrap();

    // What was in force is on record.
    let started = gateway.ask(&["events", "list", "--kind", "daemon-started", "--json"]).unwrap();
    let started: Value = serde_json::from_str(&started).unwrap();
    let text = fs::read(gateway.config_file()).unwrap();
    assert_eq!(started["detail"]["config"], sha256(&text), "{started}");
    assert_eq!(started["detail"]["rules"], 1, "{started}");
    assert_eq!(started["detail"]["policies"].as_str().map(str::len), Some(64), "{started}");
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}
