//! An agent moves a secret with the AWS CLI without ever seeing it, in real cgroups; what its tokens are worth elsewhere and
//! later: nothing.

use std::sync::Arc;

use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig, Moto, Ran},
    pki::TestCa,
    upstream::{Behaviour, Key, Upstream, UpstreamConfig},
};
use http::StatusCode;

/// What `prepare_moto.py` makes the secret of.
const PASSWORD: &str = "correct horse battery staple";
const POLICIES: &str = r#"
permit (
    principal,
    action in [
        Action::"secretsmanager:GetSecretValue",
        Action::"lambda:UpdateFunctionConfiguration",
        Action::"lambda:GetFunctionConfiguration"
    ],
    resource
);
permit (principal, action == Action::"insert", resource)
when {
    context.operation == "lambda:UpdateFunctionConfiguration" && context.field == "Environment.Variables{}" &&
    context.secret.operation == "secretsmanager:GetSecretValue" && context.secret.id == "demo/db" &&
    context.secret.region == "eu-central-1"
};
"#;
const REVERSIBLE: &str = r#"
[[mask.rule]]
operation = "secretsmanager:GetSecretValue"
path = "SecretString"
reversible = true
"#;
const READ: &str =
    "aws secretsmanager get-secret-value --secret-id demo/db --query SecretString --output text";
const UPDATE: &str = "aws lambda update-function-configuration --function-name demo";

fn config(upstream: std::net::SocketAddr, ca: &str, key: Key) -> GatewayConfig {
    let hosts = ["lambda.eu-central-1.amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com"];
    GatewayConfig {
        purpose: "secrets",
        workload: "secrets",
        policies: POLICIES.to_owned(),
        upstream,
        upstream_ca: ca.to_owned(),
        key,
        hosts: hosts.map(str::to_owned).to_vec(),
        core: None,
        extra: REVERSIBLE.to_owned(),
    }
}

fn environment(token: &str) -> String {
    format!("{UPDATE} --environment 'Variables={{DB_PASSWORD={token}}}'")
}

#[track_caller]
fn refused(ran: &Ran, why: &str) {
    assert!(ran.code != 0 && ran.output.contains(why), "{}", ran.output);
}

/// That AWS has the value, and not the token, shows the digest of what it answers with later.
#[test]
fn the_aws_cli_moves_a_secret_into_a_function_and_never_has_it() {
    let moto = Moto::start("chaperone-secrets", "secrets").unwrap();
    let gateway = Gateway::start(config(moto.addr, moto.ca_pem(), moto.key.clone())).unwrap();
    let mut shell = AgentShell::start(&gateway).unwrap();
    let mut seen = Vec::new();
    let mut run = |line: &str| {
        let said = shell.run(line).unwrap().ok().unwrap();
        seen.push(said.clone());
        said.trim().to_owned()
    };
    let token = run(READ);
    assert!(token.starts_with("chaperone:secret:"), "{token}");
    run(&environment(&token));
    let read = "aws lambda get-function-configuration --function-name demo";
    let shown = run(&format!("{read} --query Environment.Variables.DB_PASSWORD --output text"));
    assert_eq!(shown, "chaperone:masked");
    run(read);
    assert!(seen.iter().all(|said| !said.contains("horse")), "{seen:?}");

    let digests = |condition: &str| {
        let rows = gateway.rows(&format!("SELECT DISTINCT digest FROM v_masked WHERE {condition}")).unwrap();
        let digest = |row: &serde_json::Value| {
            row.get("digest").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        rows.iter().map(digest).collect::<Vec<_>>()
    };
    let read = digests("operation = 'GetSecretValue'");
    assert_eq!(read.len(), 1, "{read:?}");
    let moved = "operation = 'GetFunctionConfiguration' AND path = 'Environment.Variables.DB_PASSWORD'";
    assert_eq!(digests(moved), read, "moto has the value itself");
    for name in ["chaperone.db", "chaperone.db-wal", "daemon.log"] {
        let bytes = std::fs::read(gateway.dir().join(name)).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_their_session_and_with_the_daemon() {
    let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
    let upstream = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key.clone()]);
    let upstream = Upstream::start(upstream).await.unwrap();
    let answer = |content_type: &'static str, body: String| {
        let (status, body) = (StatusCode::OK, body.into());
        upstream.script([Behaviour::Answer { status, content_type, body }]);
    };
    let secret = || {
        let body = format!(r#"{{"Name":"demo/db","SecretString":"{PASSWORD}"}}"#);
        answer("application/x-amz-json-1.1", body);
    };
    let done = || answer("application/json", "{}".to_owned());
    let unknown = "is unknown in this session: read the secret again";

    let mut gateway = Gateway::start(config(upstream.addr(), upstream.ca_pem(), key)).unwrap();
    let mut first = AgentShell::start(&gateway).unwrap();
    secret();
    let token = first.run(READ).unwrap().ok().unwrap().trim().to_owned();
    done();
    first.run(&environment(&token)).unwrap().ok().unwrap();

    // Another session, while the first one lives, and when it has ended.
    let mut second = AgentShell::start(&gateway).unwrap();
    refused(&second.run(&environment(&token)).unwrap(), unknown);
    drop(first);
    refused(&second.run(&environment(&token)).unwrap(), unknown);

    // The same session, after the daemon was started anew.
    secret();
    let token = second.run(READ).unwrap().ok().unwrap().trim().to_owned();
    done();
    second.run(&environment(&token)).unwrap().ok().unwrap();
    gateway.kill().unwrap();
    gateway.start_daemon().unwrap();
    refused(&second.run(&environment(&token)).unwrap(), unknown);
    secret();
    let again = second.run(READ).unwrap().ok().unwrap().trim().to_owned();
    assert!(again.starts_with("chaperone:secret:") && again != token, "{again}");
    done();
    second.run(&environment(&again)).unwrap().ok().unwrap();
    let events = gateway.ask(&["events", "list", "--json"]).unwrap();
    assert_eq!(events.lines().filter(|event| event.contains("\"inserted\"")).count(), 3, "{events}");
    // What was refused never reached AWS.
    assert_eq!(upstream.requests().len(), 6);
}
