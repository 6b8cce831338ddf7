use std::fs;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

const POLICY: &str =
    "@id(\"builds\") permit (principal in Group::\"ai\", action in Action::\"s3:Read\", resource)
    when { resource.arn like \"arn:aws:s3:::builds/*\" };
    @id(\"lake\") @role(\"arn:aws:iam::222222222222:role/x\")
    permit (principal in Group::\"lake\", action in Action::\"s3:Read\", resource);
    @id(\"token\") permit (principal, action == Action::\"ecr:GetAuthorizationToken\", resource)
    unless { principal in Group::\"lake\" };
    @id(\"login\") permit (principal in Group::\"docker\", action == Action::\"reveal\", resource);
    @id(\"parameters\") permit (principal, action == Action::\"ssm:PutParameter\", resource);
    @id(\"put\") permit (principal, action == Action::\"insert\", resource) when { context.secret.id == \"db\" };";

/// What `explain` prints with these arguments and [`POLICY`], without a configuration.
fn explained(arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("a.cedar"), POLICY)?;
    fs::write(
        dir.path().join("get.http"),
        "GET /app.tar?versionId=3 HTTP/1.1\r\n\
         Host: builds.s3.eu-central-1.amazonaws.com\r\n\
         X-Amz-Date: 20260101T000000Z\r\n\
         X-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=ASIAX/20260101/eu-central-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0\r\n\r\n",
    )?;
    fs::write(
        dir.path().join("token.http"),
        "POST / HTTP/1.1\r\n\
         Host: api.ecr.eu-central-1.amazonaws.com\r\n\
         X-Amz-Date: 20260101T000000Z\r\n\
         X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken\r\n\
         Content-Type: application/x-amz-json-1.1\r\n\
         Content-Length: 2\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=ASIAX/20260101/eu-central-1/ecr/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0\r\n\r\n{}",
    )?;
    let body = r#"{"Name":"n","Value":"chaperone:secret:00000000000000000000000000000000"}"#;
    fs::write(
        dir.path().join("put.http"),
        format!(
            "POST / HTTP/1.1\r\n\
             Host: ssm.eu-central-1.amazonaws.com\r\n\
             X-Amz-Date: 20260101T000000Z\r\n\
             X-Amz-Target: AmazonSSM.PutParameter\r\n\
             Content-Type: application/x-amz-json-1.1\r\n\
             Content-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=ASIAX/20260101/eu-central-1/ssm/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=0\r\n\r\n{body}",
            body.len()
        ),
    )?;
    let missing = || Config::load(std::path::Path::new("/nonexistent/chaperone.toml"));
    let directory = dir.path().display().to_string();
    let arguments: Vec<String> = arguments.iter().map(|text| text.replace("DIR", &directory)).collect();
    let line = ["explain".to_owned(), "--policies".to_owned(), directory].into_iter().chain(arguments);
    let args = Line::try_parse_from(line)?.args;
    let mut out = Vec::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let allowed = runtime.block_on(run(args, missing, &mut out))?;
    Ok((allowed, String::from_utf8(out)?))
}

#[test]
fn a_request_from_a_file() {
    let (allowed, words) = explained(&["--group", "ai", "--request", "DIR/get.http"]).unwrap();
    assert!(allowed);
    insta::assert_snapshot!(words, @r#"
    operation  s3:GetObject
    request    GET https://builds.s3.eu-central-1.amazonaws.com/app.tar?versionId=3
    region     eu-central-1
    account    not stated: the daemon asks STS; see --account
    needs
      s3:GetObjectVersion  (Read)  on  arn:aws:s3:::builds/app.tar
    parameters
      Bucket  "builds"
      Key  "app.tar"
      VersionId  "3"
    verdict    allow for agent  by builds
    "#);
}

#[test]
fn the_role_of_the_rule_and_its_account() {
    let (allowed, words) =
        explained(&["--group", "lake", "--account", "123456789012", "--request", "DIR/get.http"]).unwrap();
    assert!(allowed);
    assert!(words.contains("account    222222222222\n"), "{words}");
    let end = "verdict    allow for agent  by lake\nrole       arn:aws:iam::222222222222:role/x\n";
    assert!(words.ends_with(end), "{words}");
}

#[test]
fn what_is_withheld_and_what_is_revealed() {
    let words = |group: &str| {
        explained(&["--group", group, "--account", "123456789012", "--request", "DIR/token.http"]).unwrap()
    };
    let (allowed, text) = words("docker");
    assert!(allowed);
    let end = "verdict    allow for agent  by token, login\n\
        reveals    the whole answer, which carries credentials  by login\n";
    assert!(text.ends_with(end), "{text}");
    let (allowed, text) = words("ai");
    assert!(!allowed);
    let end = "verdict    deny for agent\n\
        because    its answer carries credentials, which policy does not reveal: no rule permits reveal on *\n\
        withholds  the whole answer, which carries credentials: no rule permits reveal on *\n";
    assert!(text.ends_with(end), "{text}");
    // Also where the call itself is not permitted.
    let (allowed, text) = words("lake");
    assert!(!allowed);
    let end = "because    no rule permits ecr:GetAuthorizationToken on *\n\
        withholds  the whole answer, which carries credentials: no rule permits reveal on *\n";
    assert!(text.ends_with(end), "{text}");
    let (_, json) = explained(&["--group", "docker", "--json", "--request", "DIR/token.http"]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let reveals = serde_json::json!([{ "field": "*", "revealed": true, "rules": ["login"], "reason": null }]);
    assert_eq!(value["reveals"], reveals);
}

#[test]
fn what_is_inserted() {
    let request = ["--request", "DIR/put.http"];
    let with = |id: &str| {
        let secret = ["--secret".to_owned(), format!("id={id}")];
        let secret: Vec<&str> = secret.iter().map(String::as_str).collect();
        explained(&[&request[..], &secret].concat()).unwrap()
    };
    let (allowed, text) = with("db");
    assert!(
        allowed && text.ends_with("inserts    the secret in the place of its token in Value  by put\n"),
        "{text}"
    );
    let (allowed, text) = with("other");
    assert!(
        !allowed && text.contains("keeps out  the secret in the place of its token in Value: "),
        "{text}"
    );
    let error = explained(&request).unwrap_err().to_string();
    assert!(error.contains("say what the token in Value stands for"), "{error}");
}

#[test]
fn json_for_programs() {
    let (allowed, words) =
        explained(&["--workload", "other", "--json", "--request", "DIR/get.http"]).unwrap();
    assert!(!allowed);
    let value: serde_json::Value = serde_json::from_str(&words).unwrap();
    assert_eq!(value["workload"], "other");
    assert_eq!(value["verdict"], "deny");
    assert_eq!(value["needs"][0]["resource"], "arn:aws:s3:::builds/app.tar");
    assert_eq!(value["params"]["Bucket"], "builds");
    assert!(value["reason"].as_str().unwrap().starts_with("no rule permits s3:Get"));
}

#[test]
fn a_command_that_makes_no_call_is_an_error_with_its_words() {
    let error = explained(&["--", "sh", "-c", "echo no such bucket >&2"]).unwrap_err();
    assert_eq!(error.to_string(), "sh made no call to AWS through HTTPS_PROXY\nno such bucket");
    assert!(explained(&["--", "/nonexistent/program"]).is_err());
}

/// What the command is given leads nowhere but to the proxy.
#[test]
fn a_command_gets_placeholders_only() {
    let error = explained(&["--region", "eu-west-1", "--", "sh", "-c", "env >&2"]).unwrap_err().to_string();
    let value = |name: &str| {
        let found = error.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {error}")).to_owned()
    };
    assert!(value("AWS_ACCESS_KEY_ID").starts_with("ASIACHAP"));
    assert_eq!(value("AWS_CONFIG_FILE"), "/dev/null");
    assert_eq!(value("AWS_REGION"), "eu-west-1");
    assert!(value("HTTPS_PROXY").starts_with("http://127.0.0.1:"));
    assert!(value("AWS_CA_BUNDLE").ends_with("/ca/bundle.pem"));
    assert!(!std::path::Path::new(&value("AWS_CA_BUNDLE")).exists(), "nothing stays behind");
}
