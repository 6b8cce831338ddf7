//! `chaperone policy explain` with real clients: their first call is caught, and goes nowhere.

use std::process::Command;

use anyhow::{Result, ensure};
use chaperone_tests::harness::{built, node_modules, venv};
use serde_json::Value;

const POLICY: &str =
    "@id(\"copies\") permit (principal in Group::\"ai\", action in [Action::\"s3:GetObject\",
    Action::\"s3:PutObject\", Action::\"s3:GetObjectTagging\", Action::\"s3:PutObjectTagging\"], resource)
    when { resource.arn like \"arn:aws:s3:::builds/*\" };";

/// What `explain` says of the first call of `command`, in JSON.
fn explain(command: &[&str]) -> Result<Value> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("a.cedar"), POLICY)?;
    let path = format!("{}:/usr/bin:/bin", venv()?.join("bin").display());
    let output = Command::new(built("chaperone")?)
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir.path())
        // Keys and endpoints of the surroundings must not be used.
        .env("AWS_ACCESS_KEY_ID", "AKIAREALREALREALREAL")
        .env("AWS_SECRET_ACCESS_KEY", "real")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .args(["--config", "/nonexistent.toml", "policy", "explain", "--json", "--group", "ai", "--policies"])
        .arg(dir.path())
        .args(["--region", "eu-central-1", "--"])
        .args(command)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_str(&text)?;
    let allowed = said.get("verdict").is_some_and(|verdict| verdict == "allow");
    ensure!(output.status.success() == allowed, "the exit code is the answer");
    Ok(said)
}

#[test]
fn the_aws_cli() -> Result<()> {
    let copy = |bucket: &str| {
        explain(&[
            "aws",
            "s3api",
            "copy-object",
            "--bucket",
            bucket,
            "--key",
            "b",
            "--copy-source",
            "builds/a",
        ])
    };
    let said = copy("builds")?;
    assert_eq!((&said["operation"], &said["verdict"]), (&"s3:CopyObject".into(), &"allow".into()), "{said}");
    let needs = said["needs"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (action, resource) in
        [("s3:GetObject", "arn:aws:s3:::builds/a"), ("s3:PutObject", "arn:aws:s3:::builds/b")]
    {
        assert!(needs.iter().any(|need| need["action"] == action && need["resource"] == resource), "{said}");
    }
    assert_eq!(said["region"], "eu-central-1");
    assert!(said["host"].as_str().is_some_and(|host| host.ends_with("amazonaws.com")), "{said}");
    assert_eq!(copy("other")?["verdict"], "deny");
    Ok(())
}

#[test]
fn boto3() -> Result<()> {
    let script = "import boto3; boto3.client('dynamodb').get_item(TableName='t', Key={'id': {'S': '1'}})";
    let said = explain(&["python", "-c", script])?;
    assert_eq!(
        (&said["operation"], &said["verdict"]),
        (&"dynamodb:GetItem".into(), &"deny".into()),
        "{said}"
    );
    assert_eq!(said["params"]["TableName"], "t");
    Ok(())
}

#[test]
fn javascript() -> Result<()> {
    let modules = node_modules()?;
    let script = format!(
        "const {{ S3Client, GetObjectCommand }} = require('{}/@aws-sdk/client-s3');
         new S3Client({{}}).send(new GetObjectCommand({{ Bucket: 'builds', Key: 'a' }})).catch(() => {{}});",
        modules.display()
    );
    let said = explain(&["node", "-e", &script])?;
    assert_eq!((&said["operation"], &said["verdict"]), (&"s3:GetObject".into(), &"allow".into()), "{said}");
    Ok(())
}
