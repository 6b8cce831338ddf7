//! What the AWS CLI shows of answers with secrets, in a real cgroup, through the daemon, from an upstream that verifies
//! every signature.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig},
    pki::TestCa,
    upstream::{Behaviour, Key, Upstream, UpstreamConfig},
};
use http::StatusCode;

const POLICIES: &str = r#"
permit (
    principal,
    action in [Action::"lambda:GetFunctionConfiguration", Action::"dynamodb:GetItem", Action::"s3:GetObject"],
    resource
);
"#;
const SECRET: &str = "correct horse battery staple";

/// The upstream, the gateway before it, and an agent's shell. Fields are dropped in this order.
struct Stage {
    shell: AgentShell,
    gateway: Gateway,
    upstream: Upstream,
}

async fn stage(extra: &str) -> Stage {
    let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
    let config = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key.clone()]);
    let upstream = Upstream::start(config).await.unwrap();
    let hosts = ["lambda", "dynamodb", "s3", "bucket.s3"];
    let gateway = Gateway::start(GatewayConfig {
        purpose: "masked",
        workload: "masked",
        policies: POLICIES.to_owned(),
        upstream: upstream.addr(),
        upstream_ca: upstream.ca_pem().to_owned(),
        key,
        hosts: hosts.map(|host| format!("{host}.eu-central-1.amazonaws.com")).to_vec(),
        core: None,
        extra: extra.to_owned(),
    })
    .unwrap();
    let shell = AgentShell::start(&gateway).unwrap();
    Stage { shell, gateway, upstream }
}

/// By REST-JSON, and by an SDK that checks `x-amz-crc32` where it is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_shows_answers_without_their_secrets() {
    let Stage { shell, upstream, .. } = &mut stage("").await;
    let body = format!(
        r#"{{"FunctionName":"f","Environment":{{"Variables":{{"DB_PASSWORD":"{SECRET}"}}}},"Timeout":3}}"#
    );
    let (status, content_type) = (StatusCode::OK, "application/json");
    upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
    let command = "aws lambda get-function-configuration --function-name f \
                   --query '[FunctionName,Environment.Variables.DB_PASSWORD,Timeout]' --output text";
    let said = shell.run(command).unwrap().ok().unwrap();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["f", "chaperone:masked", "3"]);

    // Of a private key in an item nothing is left, and neither is the checksum of what AWS wrote.
    let pem = "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n-----END PRIVATE KEY-----";
    let body = format!(r#"{{"Item":{{"id":{{"S":"1"}},"key":{{"S":"{pem}"}}}}}}"#);
    let (name, value, content_type) = ("x-amz-crc32", "1", "application/x-amz-json-1.0");
    upstream.script([Behaviour::AnswerWith { name, value, status, content_type, body: body.into() }]);
    let command = r#"aws dynamodb get-item --table-name t --key '{"id":{"S":"1"}}' --output json"#;
    let said = shell.run(command).unwrap().ok().unwrap();
    assert!(said.contains("chaperone:masked") && !said.contains("MIIEvQ"), "{said}");
    assert!(upstream.requests().iter().all(|request| request.refused.is_none()));
}

/// The SDK checks what S3 said of the bytes: of an object in which something was hidden it finds nothing amiss, of one that
/// was damaged on its way it does.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_checks_objects_and_finds_masked_ones_whole() {
    let Stage { shell, gateway, upstream } = &mut stage("[mask]\nobjects = true\n").await;
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";
    let mut get = |body: &'static str, summed: &str| {
        let crc = BASE64_STANDARD.encode(crc32fast::hash(summed.as_bytes()).to_be_bytes());
        let (name, value, status) = ("x-amz-checksum-crc32", crc.leak(), StatusCode::OK);
        let (content_type, body) = ("text/plain", body.into());
        upstream.script([Behaviour::AnswerWith { name, value, status, content_type, body }]);
        let object = gateway.dir().join("object");
        let get = format!("aws s3api get-object --bucket bucket --key key {0} && cat {0}", object.display());
        shell.run(&get).unwrap()
    };
    let whole = get("nothing to hide", "nothing to hide").ok().unwrap();
    assert!(whole.contains("ChecksumCRC32") && whole.ends_with("nothing to hide"), "{whole}");
    let masked = get(pem, pem).ok().unwrap();
    assert!(masked.ends_with("chaperone:masked") && !masked.contains("MIIEvQ"), "{masked}");
    let damaged = get("nothing to hide", "nothing to hid3");
    assert!(damaged.code != 0 && damaged.output.contains("checksum"), "{}", damaged.output);
}
