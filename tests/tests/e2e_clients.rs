//! boto3 and the AWS SDK for JavaScript in a real cgroup, through the daemon, to the verifying
//! upstream: what they send must arrive, signed by the gateway and unchanged.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc};

use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig, peer_scripts},
    pki::TestCa,
    upstream::{Behaviour, Key, Protocols, Received, Upstream, UpstreamConfig, generated_sha256},
};
use http::StatusCode;
use serde_json::Value;

const POLICIES: &str = r#"
@id("e2e")
permit (
    principal,
    action in [
        Action::"s3:GetObject",
        Action::"s3:PutObject",
        Action::"s3:ListBucket",
        Action::"dynamodb:PutItem",
        Action::"sts:GetCallerIdentity"
    ],
    resource
) when { principal == Workload::"e2e" || principal == Workload::"glob" };

@id("never-delete-buckets")
forbid (principal, action == Action::"s3:DeleteBucket", resource);
"#;

/// A real client: how its script is started.
#[derive(Debug, Clone, Copy)]
enum Sdk {
    Boto3,
    JavaScript,
}

/// One SDK in one session, and the upstream it reaches.
struct Bench {
    sdk: Sdk,
    shell: AgentShell,
    /// What the script's environment has besides the shell's, as `NAME=value`.
    variables: Vec<&'static str>,
    upstream: Upstream,
    // Dropped after the shell.
    gateway: Gateway,
}

impl Bench {
    async fn start(sdk: Sdk, protocols: Protocols) -> Self {
        let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
        let ca = Arc::new(TestCa::new().unwrap());
        let config = UpstreamConfig { protocols, ..UpstreamConfig::new(ca, vec![key.clone()]) };
        let upstream = Upstream::start(config).await.unwrap();
        let gateway = start_gateway(upstream.addr(), upstream.ca_pem(), key);
        let shell = AgentShell::start(&gateway).unwrap();
        Self { sdk, shell, variables: Vec::new(), upstream, gateway }
    }

    /// Runs one case of the SDK's script; what it printed, and what reached the upstream meanwhile.
    fn call(&mut self, case: &str) -> (Value, Vec<Received>) {
        let before = self.upstream.requests().len();
        let (program, script) = match self.sdk {
            Sdk::Boto3 => ("python3", "e2e.py"),
            Sdk::JavaScript => ("node", "e2e.cjs"),
        };
        let (variables, scripts) = (self.variables.join(" "), peer_scripts());
        let line = format!("{variables} {program} {}/{script} {case}", scripts.display());
        let ran = self.shell.run(&line).unwrap();
        let line = ran.output.lines().last().unwrap_or_default().to_owned();
        let answer = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{case}: {}", ran.output));
        (answer, self.upstream.requests().into_iter().skip(before).collect())
    }

    /// A case that must succeed with exactly one request, accepted by the upstream.
    #[track_caller]
    fn arrives(&mut self, case: &str) -> (Value, Received) {
        let (answer, mut requests) = self.call(case);
        assert_eq!(answer["status"], 200, "{case}: {answer}");
        let request = requests.pop().unwrap_or_else(|| panic!("{case}: nothing arrived"));
        assert!(requests.is_empty(), "{case}: arrived more than once");
        assert_eq!(request.refused, None, "{case}");
        assert!(request.header("authorization").contains("Credential=AKIAGATEWAY/"), "{case}");
        assert_eq!(request.header("x-amz-security-token"), "", "{case}: the placeholder's token left");
        (answer, request)
    }

    /// A case that the gateway must refuse, naming `words`; nothing may arrive.
    #[track_caller]
    fn refused(&mut self, case: &str, words: &str) {
        let (answer, requests) = self.call(case);
        assert_eq!(answer["status"], 403, "{case}: {answer}");
        assert!(answer["Code"].as_str().is_some_and(|code| code.starts_with("AccessDenied")), "{answer}");
        assert!(answer["Message"].as_str().is_some_and(|text| text.contains(words)), "{answer}");
        assert!(requests.is_empty(), "{case}: arrived all the same");
    }

    /// The newest session of a workload, as `chaperone sessions list` has it.
    fn session(&self, workload: &str) -> Value {
        let list = self.gateway.ask(&["sessions", "list", "--json", "--workload", workload]).unwrap();
        serde_json::from_str(list.lines().next().unwrap_or_default()).unwrap_or_else(|_| panic!("{list}"))
    }
}

/// A workload that is recognised by its cgroup's name alone.
const GLOB: &str = r#"
[[workload]]
name = "glob"
cgroup = "{slice}/glob-*"
identity = "host"
region = "eu-central-1"
account = "123456789012"
"#;

fn start_gateway(upstream: SocketAddr, ca: &str, key: Key) -> Gateway {
    let hosts = ["s3", "e2e-bucket.s3", "dynamodb", "sts"];
    Gateway::start(GatewayConfig {
        purpose: "e2e",
        workload: "e2e",
        policies: POLICIES.to_owned(),
        upstream,
        upstream_ca: ca.to_owned(),
        key,
        hosts: hosts.map(|host| format!("{host}.eu-central-1.amazonaws.com")).to_vec(),
        core: None,
        extra: GLOB.to_owned(),
    })
    .unwrap()
}

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Everything an SDK does by default, allowed and denied.
fn everyday_calls(bench: &mut Bench) {
    let (_, put) = bench.arrives("put");
    assert_eq!(put.body_sha256.as_deref(), Some(HELLO));
    let (_, odd) = bench.arrives("put-odd-key");
    assert_eq!(odd.uri.path(), "/a%20b/%2B%25%C3%A9~%281%29.txt");
    let (_, stream) = bench.arrives("put-stream");
    assert!(stream.body_length > 4_900_000, "{}", stream.body_length);
    let (got, _) = bench.arrives("get");
    assert_eq!(got["sha256"], generated_sha256(1_000_000).as_str());
    let (_, list) = bench.arrives("list");
    assert!(list.uri.query().is_some_and(|query| query.contains("prefix=a%20b%2Fc")), "{}", list.uri);
    bench.arrives("put-item");
    let (identity, _) = bench.arrives("identity");
    assert_eq!(identity["arn"], "arn:aws:iam::123456789012:user/gateway");
    bench.refused("delete-bucket", "never-delete-buckets");
    bench.refused("delete-table", "dynamodb:DeleteTable");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_over_http1() {
    everyday_calls(&mut Bench::start(Sdk::Boto3, Protocols::Http1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_over_h2() {
    everyday_calls(&mut Bench::start(Sdk::Boto3, Protocols::H2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_over_http1() {
    everyday_calls(&mut Bench::start(Sdk::JavaScript, Protocols::Http1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_over_h2() {
    everyday_calls(&mut Bench::start(Sdk::JavaScript, Protocols::H2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwell_upstream_looks_as_it_does_without_the_gateway() {
    let mut bench = Bench::start(Sdk::Boto3, Protocols::Http1).await;

    // The SDK's own retries see the upstream's 503.
    bench.upstream.script([Behaviour::Fail { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown" }]);
    let (answer, requests) = bench.call("get");
    assert_eq!((answer["status"].as_u64(), requests.len()), (Some(200), 2), "{answer}");

    // A download that breaks off must not look complete.
    bench.upstream.script([Behaviour::ResetAfter(70_000)]);
    let (answer, _) = bench.call("get");
    assert!(answer["exception"].is_string(), "{answer}");

    // The session is none the worse for it.
    bench.arrives("put");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_protocol_gives_the_placeholder_too() {
    let mut bench = Bench::start(Sdk::Boto3, Protocols::Http1).await;
    // A client that is told so asks there alone.
    for variable in [
        "AWS_EC2_METADATA_DISABLED=true",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials",
    ] {
        bench.variables.push(variable);
    }
    let (_, put) = bench.arrives("put");
    assert_eq!(put.body_sha256.as_deref(), Some(HELLO));
}

#[tokio::test(flavor = "multi_thread")]
async fn imds_without_a_token_is_unauthorized() {
    let mut bench = Bench::start(Sdk::Boto3, Protocols::Http1).await;
    let get = "curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}'";
    let url = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
    assert_eq!(bench.shell.run(&format!("{get} {url}")).unwrap().output, "401");
    let put = "curl --silent --max-time 10 --request PUT http://169.254.169.254/latest/api/token";
    let token = bench.shell.run(&format!("{put} --header 'X-aws-ec2-metadata-token-ttl-seconds: 60'"));
    let header = format!("--header 'X-aws-ec2-metadata-token: {}'", token.unwrap().ok().unwrap());
    assert_eq!(bench.shell.run(&format!("{get} {header} {url}")).unwrap().output, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_nobody_launched_is_an_agent_by_its_cgroup() {
    let mut bench = Bench::start(Sdk::Boto3, Protocols::Http1).await;
    let cgroup = bench.gateway.agents().child("glob-x").unwrap();
    bench.shell = AgentShell::of(bench.gateway.transparent(&cgroup).unwrap()).unwrap();
    let variables = bench.shell.run("env").unwrap().ok().unwrap();
    assert!(!variables.contains("CHAPERONE") && !variables.contains("KEY"), "{variables}");

    let (_, put) = bench.arrives("put");
    assert_eq!(put.body_sha256.as_deref(), Some(HELLO));
    bench.refused("delete-bucket", "never-delete-buckets");

    let session = bench.session("glob");
    assert_eq!(session["cgroup_path"], cgroup.path().as_str(), "{session}");
    assert_eq!((&session["uid"], &session["calls"]), (&Value::Null, &2.into()), "{session}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unprivileged_user_launches_an_agent() {
    let mut bench = Bench::start(Sdk::Boto3, Protocols::Http1).await;
    bench.shell = AgentShell::of(bench.gateway.agent_as_nobody().unwrap()).unwrap();
    assert_eq!(bench.shell.run("id -u").unwrap().output, "65534");
    let (_, put) = bench.arrives("put");
    assert_eq!(put.body_sha256.as_deref(), Some(HELLO));
    let session = bench.session("e2e");
    assert_eq!((&session["uid"], &session["calls"]), (&65534.into(), &1.into()), "{session}");
}
