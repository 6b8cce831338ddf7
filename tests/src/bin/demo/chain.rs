//! Roles that the agent assumes by profiles of its own, one by the keys of the other.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    acts::{aws, containing, refusal, rejected, sessions},
    checks::Checks,
    stage::{BUCKET, NOBODY, Stage},
};

/// What an agent's project has in `~/.aws/config`. There is nothing of the gateway in it.
const PROFILES: &str = "\
[profile deploy]
role_arn = arn:aws:iam::123456789012:role/deploy
role_session_name = agent
credential_source = Ec2InstanceMetadata

[profile release]
role_arn = arn:aws:iam::123456789012:role/release
role_session_name = agent
source_profile = deploy
";

/// The chain's two roles.
const ROLES: [&str; 2] = ["deploy", "release"];

/// What the CLI keeps of a role that it assumed.
pub(crate) struct Held {
    role: String,
    id: String,
    secret: String,
    token: String,
}

/// Both roles work, and the agent has keys of neither.
pub(crate) fn roles(stage: &mut Stage, checks: &mut Checks) -> Result<Vec<Held>> {
    fs::create_dir(stage.work.join(".aws"))?;
    fs::write(stage.work.join(".aws/config"), PROFILES)?;
    std::os::unix::fs::chown(stage.work.join(".aws"), Some(NOBODY), Some(NOBODY))?;
    aws(stage, &format!("s3api put-object --bucket {BUCKET} --key old"))?;
    let list = format!("s3api list-objects-v2 --bucket {BUCKET} --query Contents[].Key --output text");
    let delete = format!("s3api delete-object --bucket {BUCKET} --key old");

    let alone = stage.agent.run(&format!("aws {list}"))?;
    let alone = refusal(alone, &["AccessDenied"]).and_then(|said| {
        ensure!(!said.contains("Chaperone"), "the gateway refused it: {said}");
        Ok(said)
    });
    checks.add("without a role AWS itself does not let the agent list the bucket", alone);
    for (role, by, call) in [("deploy", "the session", &list), ("release", "deploy", &delete)] {
        let debug = format!("--profile {role} --debug 2>> debug");
        let arn = aws(stage, &format!("sts get-caller-identity --query Arn --output text {debug}"));
        let what = format!("AWS CLI: profile {role}, whose role is assumed with the keys of {by}");
        checks.add(&what, containing(arn, &format!("assumed-role/{role}/agent")));
        let done = aws(stage, &format!("{call} {debug}"));
        checks.add(&format!("AWS CLI: what role {role} alone may do is done"), done);
    }

    let held = held(stage)?;
    let names: BTreeSet<&str> = held.iter().map(|held| held.role.as_str()).collect();
    ensure!(names == ROLES.into(), "the CLI keeps keys of {names:?}");
    let minted = minted(stage)?;
    checks.add("the record says which keys AWS gave for each role, and what the agent has in their place", {
        held.iter()
            .map(|held| recorded(stage, held, &minted))
            .collect::<Result<Vec<_>>>()
            .map(|lines| lines.join("\n"))
    });
    checks.add("in the CLI's cache, its debug output and the environment there is no key of a role", {
        no_real_key(stage, &held, &minted)
    });
    for held in &held {
        let what = format!("AWS itself rejects what the agent has for role {}", held.role);
        checks.add(&what, rejected(stage, &held.id, &held.secret, &held.token));
    }
    Ok(held)
}

/// With the session its roles are over.
pub(crate) fn killed(stage: &mut Stage, held: &[Held], checks: &mut Checks) -> Result<()> {
    for id in sessions(stage)? {
        stage.gateway.ask(&["sessions", "kill", &id])?;
    }
    for Held { role, id, secret, token } in held {
        let call = format!(
            "AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret} AWS_SESSION_TOKEN={token} \
             aws sts get-caller-identity"
        );
        let refused = refusal(stage.agent.run(&call)?, &["AccessDenied", "identity not accepted"]);
        checks.add(&format!("session killed: what the agent has for role {role} is refused"), refused);
    }
    Ok(())
}

/// What the CLI keeps in its cache.
fn held(stage: &Stage) -> Result<Vec<Held>> {
    let mut all = Vec::new();
    for file in fs::read_dir(stage.work.join(".aws/cli/cache")).context("the CLI's cache")? {
        let kept: Value = serde_json::from_str(&fs::read_to_string(file?.path())?)?;
        let text = |pointer: &str| {
            let value = kept.pointer(pointer).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("{pointer} in the CLI's cache"))
        };
        let arn = text("/AssumedRoleUser/Arn")?;
        all.push(Held {
            role: arn.split('/').nth(1).unwrap_or_default().to_owned(),
            id: text("/Credentials/AccessKeyId")?,
            secret: text("/Credentials/SecretAccessKey")?,
            token: text("/Credentials/SessionToken")?,
        });
    }
    Ok(all)
}

/// The events that tell of keys from AWS.
fn minted(stage: &Stage) -> Result<Vec<Value>> {
    let events = stage.gateway.ask(&["events", "list", "--kind", "keys-minted", "--json"])?;
    events.lines().map(|line| serde_json::from_str(line).with_context(|| events.clone())).collect()
}

/// The event of these keys, and the calls of its session that were signed with them.
fn recorded(stage: &Stage, held: &Held, minted: &[Value]) -> Result<String> {
    let detail = |event: &Value, name: &str| {
        event.pointer(&format!("/detail/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let event = minted.iter().find(|event| detail(event, "placeholder_id") == held.id);
    let event = event.with_context(|| format!("no event of {}", held.id))?;
    let role = detail(event, "role");
    ensure!(role.ends_with(&format!(":role/{}", held.role)), "{} is recorded as of {role}", held.id);
    let session = event.get("session").and_then(Value::as_str).context("the event has no session")?;
    let calls = stage.gateway.ask(&["calls", "list", "--session", session, "--json"])?;
    let mut signed = BTreeSet::new();
    for line in calls.lines() {
        let call: Value = serde_json::from_str(line)?;
        let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("access_key_id") == held.id {
            signed.insert(text("operation"));
        }
    }
    ensure!(!signed.is_empty(), "no call of {session} is recorded as signed with {}", held.id);
    let signed = signed.into_iter().collect::<Vec<_>>().join(", ");
    Ok(format!("{role}\n  {} at AWS, {} at the agent: {signed}", detail(event, "access_key_id"), held.id))
}

/// Looks through all that the agent can see: what AWS gave is not there, what stands in its place is.
fn no_real_key(stage: &mut Stage, held: &[Held], minted: &[Value]) -> Result<String> {
    let seen = stage.agent.run("cat .aws/cli/cache/* debug; env")?.ok()?;
    for event in minted {
        let id = event.pointer("/detail/access_key_id").and_then(Value::as_str).context("a key's id")?;
        ensure!(!seen.contains(id), "{id} is AWS's");
    }
    // AWS alone knows the secrets and tokens that it gave: those that are there are all placeholders'.
    for (name, ours) in [
        ("SecretAccessKey", held.iter().map(|held| held.secret.as_str()).collect::<BTreeSet<_>>()),
        ("SessionToken", held.iter().map(|held| held.token.as_str()).collect()),
    ] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let found: BTreeSet<&str> =
            seen.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap_or_default()).collect();
        ensure!(
            !found.is_empty() && found.is_subset(&ours),
            "{name} in an answer that is not the placeholder's"
        );
    }
    Ok(format!("{} bytes searched", seen.len()))
}
