//! Refusals as agents see them: every protocol by boto3 and the SDK for JavaScript, one by that for Rust. Each
//! is the typed error that AWS itself would have answered with, names rule and session, and is not tried
//! again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig, built, peer_scripts},
    pki::TestCa,
    upstream::{Key, Upstream, UpstreamConfig},
};
use serde_json::Value;

/// Each protocol, botocore's name of it, and the error code that its services answer a denied call with.
const CODES: [(&str, &str, &str); 9] = [
    ("json 1.0", "json", "AccessDeniedException"),
    ("json 1.1", "json", "AccessDeniedException"),
    ("rest-json", "rest-json", "AccessDeniedException"),
    ("query", "query", "AccessDenied"),
    ("ec2", "ec2", "UnauthorizedOperation"),
    ("rest-xml", "rest-xml", "AccessDenied"),
    ("s3", "rest-xml", "AccessDenied"),
    // Services that spoke query before have its codes.
    ("json after query", "json", "AccessDenied"),
    ("cbor after query", "smithy-rpc-v2-cbor", "AccessDenied"),
];

struct Refusing {
    agent: AgentShell,
    upstream: Upstream,
    gateway: Gateway,
}

impl Refusing {
    async fn start() -> Self {
        let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
        let ca = Arc::new(TestCa::new().unwrap());
        let upstream = Upstream::start(UpstreamConfig::new(ca, vec![key.clone()])).await.unwrap();
        let regional = ["dynamodb", "ssm", "lambda", "ec2", "s3", "monitoring", "sqs", "sts"];
        let hosts = regional.iter().map(|name| format!("{name}.eu-central-1.amazonaws.com"));
        let global = ["iam.amazonaws.com", "route53.amazonaws.com"].map(str::to_owned);
        let gateway = Gateway::start(GatewayConfig {
            purpose: "refusals",
            workload: "refused",
            policies: "@id(\"no-calls\") forbid (principal, action, resource);".to_owned(),
            upstream: upstream.addr(),
            upstream_ca: upstream.ca_pem().to_owned(),
            key,
            hosts: hosts.chain(global).collect(),
            core: None,
            extra: String::new(),
        })
        .unwrap();
        Self { agent: AgentShell::start(&gateway).unwrap(), upstream, gateway }
    }

    /// The lines that a program of the agent prints.
    fn lines(&mut self, command: &str) -> Vec<Value> {
        let output = self.agent.run(command).unwrap().ok().unwrap();
        // Node.js says on standard error how old it is.
        let lines = output.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{output}"))).collect()
    }

    /// What is the same for every refusal.
    #[track_caller]
    fn check(&self, line: &Value, code: &str) {
        assert_eq!((&line["status"], &line["code"]), (&403.into(), &code.into()), "{line}");
        let message = line["message"].as_str().unwrap_or_default();
        for words in ["\"no-calls\"", "session s-", "ask the administrator"] {
            assert!(message.contains(words), "{line}");
        }
    }

    /// One record for each call: no SDK has tried again.
    fn records(&self) -> Vec<Value> {
        let list = self.gateway.ask(&["calls", "list", "--json"]).unwrap();
        list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The client calls by every protocol but those `left_out`.
async fn every_protocol(command: &str, left_out: &[&str]) {
    let mut refusing = Refusing::start().await;
    let lines = refusing.lines(command);
    let codes: Vec<_> = CODES.into_iter().filter(|(protocol, ..)| !left_out.contains(protocol)).collect();
    assert_eq!(lines.len(), codes.len(), "{lines:?}");
    for (line, (protocol, wire, code)) in lines.iter().zip(&codes) {
        assert_eq!(line["protocol"], *protocol);
        // Only botocore tells.
        assert!(line["wire"].is_null() || line["wire"] == *wire, "{line}");
        refusing.check(line, code);
        assert_eq!(line["retries"], 0, "{line}");
        assert!(line["request"].as_str().is_some_and(|id| id.starts_with("c-")), "{line}");
    }
    let records = refusing.records();
    assert_eq!(records.len(), codes.len(), "{records:?}");
    assert!(records.iter().all(|record| record["rules"].to_string().contains("no-calls")), "{records:?}");
    assert!(refusing.upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_raises_its_own_errors() {
    every_protocol(&format!("python3 {}/refusals.py", peer_scripts().display()), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_raises_its_own_errors() {
    // Its client of SQS is not among the peers; CloudWatch's takes the code from the same header.
    every_protocol(&format!("node {}/refusals.cjs", peer_scripts().display()), &["json after query"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_raises_its_own_errors() {
    let mut refusing = Refusing::start().await;
    let lines = refusing.lines(&built("sdk").unwrap().display().to_string());
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    refusing.check(line, "AccessDenied");
    assert_eq!(refusing.records().len(), 1);
    assert!(refusing.upstream.requests().is_empty());
}
