//! Old records go and held ones stay, by a daemon and the command; and an agent decides nothing of it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig, built},
    pki::TestCa,
    upstream::{Key, Upstream, UpstreamConfig},
};
use serde_json::Value;

async fn running() -> (Gateway, Upstream) {
    let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
    let config = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key.clone()]);
    let upstream = Upstream::start(config).await.unwrap();
    let gateway = Gateway::start(GatewayConfig {
        purpose: "retention",
        workload: "agents",
        policies:
            "@id(\"identity\") permit (principal, action == Action::\"sts:GetCallerIdentity\", resource);\n"
                .to_owned(),
        upstream: upstream.addr(),
        upstream_ca: upstream.ca_pem().to_owned(),
        key,
        hosts: vec!["sts.eu-central-1.amazonaws.com".to_owned()],
        core: None,
        extra: String::new(),
    });
    (gateway.unwrap(), upstream)
}

/// It has a runtime of its own.
fn rows(gateway: &Gateway, sql: &str) -> Vec<Value> {
    tokio::task::block_in_place(|| gateway.rows(sql)).unwrap()
}

fn count(gateway: &Gateway, table: &str) -> u64 {
    let rows = rows(gateway, &format!("SELECT count(*) AS n FROM {table}"));
    rows[0]["n"].as_u64().unwrap()
}

/// The outcome of a call is written after its answer.
fn until_bodies(gateway: &Gateway, bodies: u64) {
    for _ in 0..1000 {
        if count(gateway, "call_bodies") == bodies {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("there are {} bodies", count(gateway, "call_bodies"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_what_is_held_stays_and_no_agent_decides() {
    let (mut gateway, _upstream) = running().await;
    let mut agent = AgentShell::start(&gateway).unwrap();
    agent.run("aws sts get-caller-identity").unwrap().ok().unwrap();
    until_bodies(&gateway, 1);

    // Root in an agent's cgroup asks the daemon for all that it does for root.
    let chaperone = built("chaperone").unwrap();
    let config = gateway.config_file();
    let mut from_within = |arguments: &str| {
        let line = format!("{} {arguments} --config {} 2>&1", chaperone.display(), config.display());
        agent.run(&line).unwrap()
    };
    for arguments in
        ["retention run --bodies-older-than now", "retention holds add --workload agents --reason mine"]
    {
        let refused = from_within(arguments);
        assert_eq!(refused.code, 1, "{arguments}: {}", refused.output);
        assert!(refused.output.contains("runs inside the agent slice"), "{arguments}: {}", refused.output);
    }
    assert_eq!((count(&gateway, "holds"), count(&gateway, "tombstones")), (0, 0));

    let unknown =
        gateway.fails(&["retention", "holds", "add", "--workload", "agnets", "--reason", "r"]).unwrap();
    assert!(unknown.contains("did you mean agents?"), "{unknown}");
    let add = ["retention", "holds", "add", "--workload", "agents", "--reason", "incident 42", "--json"];
    let placed: Value = serde_json::from_str(&gateway.ask(&add).unwrap()).unwrap();
    assert_eq!(placed["sessions"], 1);
    let hold = placed["hold"].as_str().unwrap();
    let run = ["retention", "run", "--bodies-older-than", "now", "--reason", "a test", "--json"];
    let report: Value = serde_json::from_str(&gateway.ask(&run).unwrap()).unwrap();
    assert_eq!(report["tables"], serde_json::json!([]), "it is held");
    let refused = from_within(&format!("retention holds release {hold} --reason mine"));
    assert_eq!(refused.code, 1, "{}", refused.output);
    gateway.ask(&["retention", "holds", "release", hold, "--reason", "it is over"]).unwrap();

    let report: Value = serde_json::from_str(&gateway.ask(&run).unwrap()).unwrap();
    assert_eq!(report["tables"][0]["table"], "call_bodies");
    assert_eq!(report["tables"][0]["rows"], 1);
    assert_eq!((count(&gateway, "call_bodies"), count(&gateway, "bodies")), (0, 0));
    let event = rows(&gateway, "SELECT detail FROM events WHERE kind = 'retention'");
    let detail: Value = match &event[0]["detail"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        detail => detail.clone(),
    };
    assert_eq!(detail["run"], report["run"]);
    assert_eq!(event.len(), 1, "a run that removes nothing is none");

    // Calls go on; without a daemon the command does the same.
    agent.run("aws sts get-caller-identity").unwrap().ok().unwrap();
    until_bodies(&gateway, 1);
    gateway.stop().unwrap();
    let table = gateway.ask(&run[..6]).unwrap();
    assert!(table.contains("call_bodies"), "{table}");
    gateway.start_daemon().unwrap();
    agent.run("aws sts get-caller-identity").unwrap().ok().unwrap();
    let verified = gateway.ask(&["verify"]).unwrap();
    assert!(verified.contains("removed"), "{verified}");
}
