//! Keys that AWS gives to boto3's calls, in a real cgroup, through the daemon, from an upstream that verifies every
//! signature: the agent has placeholders alone, and what it signs with them arrives signed with the keys themselves.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig, peer_scripts},
    pki::TestCa,
    upstream::{Issued, Key, Received, Role, Upstream, UpstreamConfig},
};
use serde_json::Value;

const POLICIES: &str = r#"
permit (
    principal,
    action in [
        Action::"s3:GetObject",
        Action::"s3express:CreateSession",
        Action::"sts:GetCallerIdentity",
        Action::"sts:GetSessionToken"
    ],
    resource
);
"#;

const OWN: &str = "AKIAGATEWAY";

struct Bench {
    shell: AgentShell,
    upstream: Upstream,
    // Dropped after the shell.
    _gateway: Gateway,
}

impl Bench {
    async fn start() -> Self {
        let key = Key { id: OWN.into(), secret: "gate/way+secret".into(), session_token: None };
        let ca = Arc::new(TestCa::new().unwrap());
        // With a role the upstream gives keys; nobody assumes it.
        let roles = vec![Role::allowing("arn:aws:iam::123456789012:role/other", &[])];
        let config = UpstreamConfig { roles, ..UpstreamConfig::new(ca, vec![key.clone()]) };
        let upstream = Upstream::start(config).await.unwrap();
        let hosts = [
            "sts.eu-central-1.amazonaws.com",
            "e2e-bucket.s3.eu-central-1.amazonaws.com",
            "e2e--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
        ];
        let gateway = Gateway::start(GatewayConfig {
            purpose: "minted",
            workload: "minted",
            policies: POLICIES.to_owned(),
            upstream: upstream.addr(),
            upstream_ca: upstream.ca_pem().to_owned(),
            key,
            hosts: hosts.map(str::to_owned).to_vec(),
            core: None,
            extra: String::new(),
        })
        .unwrap();
        let shell = AgentShell::start(&gateway).unwrap();
        Self { shell, upstream, _gateway: gateway }
    }

    /// Runs one case of the script: what it answered, the keys that the upstream gave, and what reached it.
    fn run(&mut self, case: &str) -> (Value, Vec<Issued>, Vec<Received>) {
        let ran = self.shell.run(&format!("python3 {}/minted.py {case}", peer_scripts().display())).unwrap();
        let line = ran.output.lines().last().unwrap_or_default().to_owned();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{case}: {}", ran.output));
        assert_eq!(answer["exception"], Value::Null, "{answer}");
        let (issued, requests) = (self.upstream.issued(), self.upstream.requests());

        // The agent: a placeholder for each pair, nothing of the real ones.
        let given = answer["given"].as_array().unwrap();
        assert_eq!(given.len(), issued.len(), "{answer}");
        for given in given {
            assert!(given[0].as_str().unwrap().starts_with("ASIACHAP"), "{answer}");
        }
        for Issued { key, .. } in &issued {
            for real in [&key.id, &key.secret, key.session_token.as_ref().unwrap()] {
                assert!(!ran.output.contains(real.as_str()), "{real}: {}", ran.output);
            }
        }
        // AWS: real ones, nothing of the placeholders.
        for request in &requests {
            assert_eq!(request.refused, None, "{}", request.uri);
            let head = format!("{} {:?}", request.uri, request.headers);
            for part in given.iter().flat_map(|given| given.as_array().unwrap()) {
                assert!(!head.contains(part.as_str().unwrap()), "{part}: {head}");
            }
            assert!(!head.contains("ASIACHAP"), "{head}");
        }
        (answer, issued, requests)
    }
}

#[track_caller]
fn signed_with(request: &Received, id: &str) {
    let authorization = request.header("authorization");
    assert!(authorization.contains(&format!("Credential={id}/")), "{}: {authorization}", request.uri);
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_works_with_keys_of_get_session_token() {
    let mut bench = Bench::start().await;
    let (answer, issued, requests) = bench.run("session-token");
    assert_eq!(answer["result"], "arn:aws:iam::123456789012:user/gateway", "{answer}");
    let ([given], [get, identity]) = (issued.as_slice(), requests.as_slice()) else { panic!("{requests:?}") };
    assert_eq!(given.by, OWN);
    signed_with(get, OWN);
    signed_with(identity, &given.key.id);
    assert_eq!(Some(identity.header("x-amz-security-token")), given.key.session_token.as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_works_in_a_session_of_s3_express() {
    let mut bench = Bench::start().await;
    let (answer, issued, requests) = bench.run("express");
    assert_eq!(answer["result"], 1000, "{answer}");
    let ([given], [session, get, put]) = (issued.as_slice(), requests.as_slice()) else {
        panic!("{requests:?}")
    };
    signed_with(session, OWN);
    for request in [get, put] {
        signed_with(request, &given.key.id);
        assert_eq!(Some(request.header("x-amz-s3session-token")), given.key.session_token.as_deref());
        assert_eq!(request.header("x-amz-security-token"), "");
    }
    assert_eq!((get.uri.path(), put.body_length), ("/bytes-1000", 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_gets_a_session_with_keys_that_it_got() {
    let mut bench = Bench::start().await;
    let (answer, issued, requests) = bench.run("express-with-session-token");
    assert_eq!(answer["result"], 1000, "{answer}");
    let ([first, second], [.., session, get, _]) = (issued.as_slice(), requests.as_slice()) else {
        panic!("{requests:?}")
    };
    assert_eq!((first.by.as_str(), &second.by), (OWN, &first.key.id));
    signed_with(session, &first.key.id);
    assert_eq!(Some(session.header("x-amz-security-token")), first.key.session_token.as_deref());
    signed_with(get, &second.key.id);
}
