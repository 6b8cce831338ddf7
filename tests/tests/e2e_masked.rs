//! What the AWS CLI shows of answers with secrets, in a real cgroup, through the daemon, from an upstream that verifies
//! every signature.

use std::sync::Arc;

use chaperone_tests::{
    harness::{AgentShell, Gateway, GatewayConfig},
    pki::TestCa,
    upstream::{Behaviour, Key, Upstream, UpstreamConfig},
};
use http::StatusCode;

const POLICIES: &str = r#"
permit (
    principal,
    action in [Action::"lambda:GetFunctionConfiguration", Action::"dynamodb:GetItem"],
    resource
);
"#;
const SECRET: &str = "correct horse battery staple";

/// By REST-JSON, and by an SDK that checks `x-amz-crc32` where it is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_shows_answers_without_their_secrets() {
    let key = Key { id: "AKIAGATEWAY".into(), secret: "gate/way+secret".into(), session_token: None };
    let config = UpstreamConfig::new(Arc::new(TestCa::new().unwrap()), vec![key.clone()]);
    let upstream = Upstream::start(config).await.unwrap();
    let hosts = ["lambda.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com"];
    let gateway = Gateway::start(GatewayConfig {
        purpose: "masked",
        workload: "masked",
        policies: POLICIES.to_owned(),
        upstream: upstream.addr(),
        upstream_ca: upstream.ca_pem().to_owned(),
        key,
        hosts: hosts.map(str::to_owned).to_vec(),
        core: None,
        extra: String::new(),
    })
    .unwrap();
    let mut shell = AgentShell::start(&gateway).unwrap();

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
