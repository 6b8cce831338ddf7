//! kill -9 of the daemon itself while boto3 calls through it, in a real cgroup: what AWS received is on record, nothing is on record as answered that AWS
//! did not receive, and the record verifies.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chaperone_tests::{
    harness::{Gateway, GatewayConfig, Running, Store, peer_scripts},
    pki::TestCa,
    upstream::{Key, Received, Upstream, UpstreamConfig},
};

/// Set to another number of rounds for a soak.
const ROUNDS_VARIABLE: &str = "CHAPERONE_TEST_KILL_ROUNDS";
const ROUNDS: usize = 4;
/// The whole record is verified after so many, and after the last.
const VERIFIED_EACH: usize = 10;
/// Within this AWS receives the next requests.
const PATIENCE: Duration = Duration::from_secs(120);

const POLICIES: &str = r#"permit (principal, action == Action::"s3:GetObject", resource);"#;

#[test]
fn what_aws_received_of_a_killed_daemon_is_on_record() {
    kill_again_and_again(Store::sqlite());
}

#[test]
fn what_aws_received_of_a_killed_daemon_is_on_record_in_postgres() {
    kill_again_and_again(Store::postgres());
}

fn kill_again_and_again(store: Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _timers = runtime.enter();
    let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
    let config = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key.clone()]);
    let upstream = runtime.block_on(Upstream::start(config)).unwrap();
    let config = GatewayConfig {
        purpose: "killed",
        workload: "killed",
        policies: POLICIES.to_owned(),
        upstream: upstream.addr(),
        upstream_ca: upstream.ca_pem().to_owned(),
        key,
        hosts: vec!["bucket.s3.eu-central-1.amazonaws.com".to_owned()],
        core: None,
        extra: String::new(),
    };
    let mut gateway = Gateway::start_on(store, config).unwrap();
    let mut agent = gateway.agent().unwrap();
    let script = peer_scripts().join("get_objects.py");
    let _agent = Running::start(agent.arg("python3").arg(script).arg("bucket")).unwrap();

    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut record = Record::default();
    let (mut arrived, mut unchecked) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=rounds {
        // From a request whose intent was just committed to one with many before it.
        let more = tokio::time::timeout(PATIENCE, upstream.wait_for(1 + round * 37 % 150));
        runtime.block_on(more).expect("the agent's calls arrive");
        gateway.kill().unwrap();
        gateway.start_daemon().unwrap();
        // What arrives between these two is looked at the next time.
        unchecked.extend(keys(&upstream.take()));
        let forwarded = record.read(&gateway);
        let later = keys(&upstream.take());
        let lost: Vec<_> = unchecked.iter().filter(|key| !record.calls.contains(*key)).collect();
        assert!(lost.is_empty(), "round {round}: AWS received what nobody recorded: {lost:?}");
        arrived.extend(unchecked.into_iter().chain(later.iter().cloned()));
        let made_up: Vec<_> = forwarded.iter().filter(|key| !arrived.contains(*key)).collect();
        assert!(made_up.is_empty(), "round {round}: AWS never received {made_up:?}");
        unchecked = later;
        if round % VERIFIED_EACH == 0 || round == rounds {
            // All is signed then.
            gateway.stop().unwrap();
            gateway.ask(&["verify"]).unwrap();
            gateway.start_daemon().unwrap();
            println!(
                "{round} of {rounds} rounds: AWS received {} calls, and all are on record",
                arrived.len()
            );
        }
    }
    assert!(arrived.len() > rounds, "{} calls in {rounds} rounds", arrived.len());
    assert!(record.unknown > 0, "no kill came while a call was open");
}

#[derive(serde::Deserialize)]
struct Call {
    seq: i64,
    resources: String,
    outcome: String,
}

/// The record, as far as it was read.
#[derive(Default)]
struct Record {
    /// The number of the last call.
    last: i64,
    /// The keys of the objects that were asked for.
    calls: BTreeSet<String>,
    /// Calls that were open when the daemon was killed.
    unknown: usize,
}

impl Record {
    /// Reads what is new. Says which calls AWS answered.
    fn read(&mut self, gateway: &Gateway) -> Vec<String> {
        let sql =
            format!("SELECT seq, resources, outcome FROM v_calls WHERE seq > {} ORDER BY seq", self.last);
        let mut forwarded = Vec::new();
        for row in gateway.rows(&sql).unwrap() {
            let Call { seq, resources, outcome } = serde_json::from_value(row).unwrap();
            self.last = seq;
            let resources: Vec<String> = serde_json::from_str(&resources).unwrap();
            let [arn] = resources.try_into().unwrap();
            let key = arn.strip_prefix("arn:aws:s3:::bucket/").unwrap().to_owned();
            self.calls.insert(key.clone());
            match outcome.as_str() {
                "forwarded" => forwarded.push(key),
                "unknown" => self.unknown += 1,
                // Of the next daemon, or the agent hung up.
                "open" | "aborted" => {}
                other => panic!("{key} is {other}"),
            }
        }
        forwarded
    }
}

/// The keys of the objects that AWS was asked for.
fn keys(received: &[Received]) -> BTreeSet<String> {
    let good = received.iter().inspect(|request| assert_eq!(request.refused, None));
    good.map(|request| request.uri.path().trim_start_matches('/').to_owned()).collect()
}
