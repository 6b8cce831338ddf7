//! The acts, in the order in which they are played.

use std::{collections::BTreeSet, fs, net::TcpStream, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest;
use chaperone_tests::harness::{AWS_ADDRESS, Ran, peer_scripts, venv};

use crate::{
    checks::Checks,
    stage::{BUCKET, Stage, TABLE, WORKLOAD},
};

/// The agent has placeholders, no key.
pub(crate) fn no_keys(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    let environment = stage.agent.run("env")?.ok()?;
    let real = stage.moto.key.clone();
    checks.add("no AWS key in the agent's environment", {
        let found = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", &real.id, &real.secret]
            .into_iter()
            .find(|word| environment.contains(*word));
        found.map_or_else(
            || Ok(variables(&environment)),
            |word| Err(anyhow::anyhow!("the environment has {}", word.split_at(4).0)),
        )
    });
    let placeholder = placeholder(stage);
    checks.add("boto3 finds the session's placeholder by itself", {
        placeholder.and_then(|[method, id, ..]| {
            ensure!(id.starts_with("ASIA") && id != real.id, "{method}: {id}");
            Ok(format!("{id} from {method}"))
        })
    });
    Ok(())
}

/// S3, DynamoDB and STS work as ever.
pub(crate) fn allowed(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    let sent = sha256(&stage.file)?;
    let back = stage.work.join("back");
    let outcome = aws(stage, &format!("s3 cp file s3://{BUCKET}/cli --no-progress"));
    checks.add("AWS CLI: 64 MiB up to S3", outcome);
    let outcome = aws(stage, &format!("s3 cp s3://{BUCKET}/cli back --no-progress"));
    checks.add("AWS CLI: and down again", outcome);
    checks.add("both files are the same", same(&sent, &back));

    let script = peer_scripts().join("stream_object.py");
    let outcome = stage.agent.run(&format!("python3 {} {BUCKET} file back-boto3", script.display()));
    checks.add("boto3: 64 MiB as one stream, up and down", outcome.and_then(|ran| ran.ok()));
    checks.add("both files are the same", same(&sent, &stage.work.join("back-boto3")));

    let item = r#"'{"id":{"S":"1"},"greeting":{"S":"hello"}}'"#;
    let outcome = aws(stage, &format!("dynamodb put-item --table-name {TABLE} --item {item}"));
    checks.add("AWS CLI: DynamoDB PutItem", outcome);
    let get =
        format!("dynamodb get-item --table-name {TABLE} --key '{{\"id\":{{\"S\":\"1\"}}}}' --output text");
    checks.add("AWS CLI: DynamoDB GetItem has what was put", containing(aws(stage, &get), "hello"));
    let identity = aws(stage, "sts get-caller-identity --query Arn --output text");
    checks.add("AWS CLI: STS knows the gateway, not the agent", containing(identity, ":user/gateway"));
    Ok(())
}

/// A call by each of the other protocols.
pub(crate) fn every_protocol(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    let zip = "python3 -c 'import zipfile; zipfile.ZipFile(\"layer.zip\", \"w\").writestr(\"a\", \"b\")'";
    stage.agent.run(zip)?.ok()?;
    let publish = "lambda publish-layer-version --layer-name demo --zip-file fileb://layer.zip \
                   --query LayerVersionArn --output text";
    checks.add("AWS CLI: Lambda, by REST-JSON", containing(aws(stage, publish), ":layer:demo:1"));
    let users = aws(stage, "iam list-users --query 'Users[].UserName' --output text");
    checks.add("AWS CLI: IAM, by the query protocol", containing(users, "gateway"));
    let networks = aws(stage, "ec2 describe-vpcs --query 'Vpcs[].CidrBlock' --output text");
    checks.add("AWS CLI: EC2, by its own query protocol", containing(networks, "172.31.0.0/16"));
    let script = peer_scripts().join("list_metrics.py");
    // moto does not speak CBOR: the gateway itself answers this one.
    let metrics = stage.agent.run(&format!("python3 {}", script.display()))?.ok();
    let metrics = containing(metrics, "smithy-rpc-v2-cbor: AccessDenied ");
    checks.add(
        "boto3: CloudWatch, by CBOR, forbidden",
        metrics.and_then(|said| containing(Ok(said), "no-metrics")),
    );
    Ok(())
}

/// A refusal is an ordinary AWS error that names its rule.
pub(crate) fn denied(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    let ran = stage.agent.run(&format!("aws s3api delete-bucket --bucket {BUCKET}"))?;
    checks.add(
        "a forbidden call is AccessDenied with its rule",
        refusal(ran, &["AccessDenied", "no-bucket-deletion"]),
    );
    let ran = stage.agent.run(&format!("aws dynamodb delete-table --table-name {TABLE}"))?;
    checks.add(
        "a call that no rule permits is AccessDenied with its action",
        refusal(ran, &["AccessDenied", "dynamodb:DeleteTable"]),
    );
    Ok(())
}

/// What the agent holds is worth nothing without the gateway.
pub(crate) fn placeholder_elsewhere(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    let [_, id, secret, token] = placeholder(stage)?;
    checks.add("AWS itself rejects the placeholder", rejected(stage, &id, &secret, &token));
    Ok(())
}

/// Without the daemon nothing leaves; the host does not notice; afterwards the session goes on.
pub(crate) fn killed_and_restarted(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    let connect = format!(
        "python3 -c 'import errno, socket; s = socket.socket(); s.settimeout(10); \
         print(errno.errorcode.get(s.connect_ex((\"{AWS_ADDRESS}\", 443)), \"connected\"))'"
    );
    let sessions = sessions(stage)?;
    let script = peer_scripts().join("before_and_after.py");
    let start = format!("mkfifo ready go after; python3 {} ready go after >&- & cat ready", script.display());
    let before = containing(stage.agent.run(&start)?.ok(), ":user/gateway");
    checks.add("a long-running boto3 client makes its first call", before);

    stage.gateway.kill()?;
    let refused = containing(stage.agent.run(&connect)?.ok(), "ECONNREFUSED");
    checks.add("daemon killed with SIGKILL: the agent's connect is refused", refused);
    let after = containing(stage.agent.run("echo > go; cat after")?.ok(), "EndpointConnectionError");
    checks.add("and so are calls of a client that has been running", after);
    checks.add("and other processes of the host notice nothing", {
        TcpStream::connect(stage.moto.addr)
            .map(|stream| format!("connected to {:?}", stream.peer_addr().ok()))
            .context("connect outside the slice")
    });

    stage.gateway.start_daemon()?;
    let identity = aws(stage, "sts get-caller-identity --query Arn --output text");
    checks.add("daemon restarted: the agent's calls work again", containing(identity, ":user/gateway"));
    let now = self::sessions(stage)?;
    checks.add("in the same session", {
        ensure_equal(&sessions, &now).map(|()| now.into_iter().collect::<Vec<_>>().join(" "))
    });
    Ok(())
}

/// The database tells it all.
pub(crate) fn recorded(stage: &Stage, checks: &mut Checks) -> Result<()> {
    let id = sessions(stage)?.into_iter().next().context("no session is recorded")?;
    let table = stage.gateway.ask(&["sessions", "show", &id])?;
    println!("\nchaperone sessions show {id}\n{}\n", table.trim_end());
    for word in
        ["PutObject", "GetObject", "PutItem", "GetCallerIdentity", "DeleteBucket", "no-bucket-deletion"]
    {
        checks.add(
            &format!("the session's table has {word}"),
            containing(Ok(table.clone()), word).map(|_| String::new()),
        );
    }
    let calls = stage.gateway.ask(&["calls", "list", "--json"])?;
    let real = &stage.moto.key;
    checks.add("no real key is in the records", {
        ensure_absent(&calls, &[&real.id, &real.secret]).map(|()| format!("{} bytes searched", calls.len()))
    });
    Ok(())
}

/// A session reads like a story.
pub(crate) fn replayed(stage: &Stage, checks: &mut Checks) -> Result<()> {
    let id = sessions(stage)?.into_iter().next().context("no session is recorded")?;
    let story = stage.gateway.ask(&["sessions", "replay", &id])?;
    let beginning: Vec<&str> = story.lines().take(40).collect();
    println!("\nchaperone sessions replay {id}\n{}\n…\n", beginning.join("\n"));
    let told = [
        format!("aws dynamodb put-item --table-name {TABLE} --item '{{\"greeting\":{{\"S\":\"hello\"}}"),
        "aws secretsmanager get-secret-value --secret-id demo/db --region eu-central-1".to_owned(),
        "masked: SecretString".to_owned(),
        "by no-bucket-deletion".to_owned(),
    ];
    checks.add("a replay tells commands, rules, answers, and what was hidden", {
        let missing = told.iter().find(|words| !story.contains(*words));
        missing.map_or_else(
            || Ok(format!("{} lines", story.lines().count())),
            |words| Err(anyhow::anyhow!("{words:?} is missing in:\n{story}")),
        )
    });
    Ok(())
}

/// Whoever changes the database is found out.
pub(crate) fn verified(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    checks.add("chaperone verify: the record is what was written", stage.gateway.ask(&["verify"]));
    let calls = stage.gateway.rows("SELECT max(seq) AS last FROM calls WHERE operation = 'GetItem'")?;
    let last = calls.first().and_then(|row| row.get("last")).context("no GetItem is recorded")?;
    let change = format!("UPDATE calls SET params = replace(params, 'demo', 'demi') WHERE seq = {last}");
    let refused = stage.gateway.tamper(&change);
    checks.add("SQL that changes a call is refused", {
        let said = refused.err().map(|error| format!("{error:#}"));
        said.context("it was not refused").and_then(|said| containing(Ok(said), "append-only"))
    });
    stage.gateway.tamper(&stage.gateway.without_triggers("calls", &change))?;
    let found = stage.gateway.fails(&["verify"])?;
    checks.add("whoever gets around that is found, with the row", {
        containing(Ok(found), &format!("calls row {last} was altered"))
    });
    Ok(())
}

/// What a refused command said; each of the words must be in it.
pub(crate) fn refusal(ran: Ran, words: &[&str]) -> Result<String> {
    ensure!(ran.code != 0, "it was not refused: {}", ran.output);
    let missing = words.iter().find(|word| !ran.output.contains(**word));
    ensure!(missing.is_none(), "the message lacks {missing:?}: {}", ran.output);
    Ok(ran.output)
}

/// What AWS says of these keys where no gateway is between.
pub(crate) fn rejected(stage: &Stage, id: &str, secret: &str, token: &str) -> Result<String> {
    let output = Command::new(venv()?.join("bin/aws"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", stage.gateway.dir().join("home"))
        .env("AWS_CA_BUNDLE", stage.moto.ca_file())
        .env("AWS_ACCESS_KEY_ID", id)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_SESSION_TOKEN", token)
        .args(["--region", "eu-central-1", "sts", "get-caller-identity", "--endpoint-url"])
        .arg(format!("https://{}", stage.moto.addr))
        .output()
        .context("aws")?;
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let rejected = !output.status.success() && message.contains("InvalidClientTokenId");
    ensure!(rejected, "{}: {message}", output.status);
    Ok(message)
}

/// Runs the AWS CLI as the agent.
pub(crate) fn aws(stage: &mut Stage, command: &str) -> Result<String> {
    stage.agent.run(&format!("aws {command}"))?.ok()
}

/// Method, id, secret and token that boto3 finds inside the session.
fn placeholder(stage: &mut Stage) -> Result<[String; 4]> {
    let script = peer_scripts().join("show_credentials.py");
    let output = stage.agent.run(&format!("python3 {}", script.display()))?.ok()?;
    let words: Vec<String> = output.split_whitespace().map(str::to_owned).collect();
    words.try_into().map_err(|words| anyhow::anyhow!("boto3 found no credentials: {words:?}"))
}

/// Ids of the workload's sessions, from the database.
pub(crate) fn sessions(stage: &Stage) -> Result<BTreeSet<String>> {
    let text = stage.gateway.ask(&["sessions", "list", "--json"])?;
    let mut ids = BTreeSet::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>() {
        let value = value.context("sessions list --json is not JSON")?;
        let rows = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        ids.extend(
            rows.iter()
                .filter(|row| row.get("workload").and_then(|name| name.as_str()) == Some(WORKLOAD))
                .filter_map(|row| row.get("id").and_then(|id| id.as_str()).map(str::to_owned)),
        );
    }
    ensure!(!ids.is_empty(), "no session of {WORKLOAD} in: {text}");
    Ok(ids)
}

fn sha256(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(hex::encode(digest::digest(&digest::SHA256, &bytes)))
}

fn same(sent: &str, file: &Path) -> Result<String> {
    let back = sha256(file)?;
    ensure!(back == sent, "{sent} was sent, {back} came back");
    Ok(format!("sha256 {back}"))
}

pub(crate) fn containing(outcome: Result<String>, word: &str) -> Result<String> {
    let text = outcome?;
    ensure!(text.contains(word), "{word:?} is missing in: {text}");
    Ok(text)
}

fn ensure_equal(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<()> {
    ensure!(before == after, "before {before:?}, now {after:?}");
    Ok(())
}

fn ensure_absent(text: &str, secrets: &[&str]) -> Result<()> {
    ensure!(!secrets.iter().any(|secret| text.contains(secret)), "a secret is there");
    Ok(())
}

/// The variables the launcher set, by name.
fn variables(environment: &str) -> String {
    let names: BTreeSet<&str> = environment
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| name.contains("AWS") || name.contains("CA") || name.contains("SSL"))
        .collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}
