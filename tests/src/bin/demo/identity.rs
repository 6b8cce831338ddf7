//! Agents that nobody launched, told apart by the tokens of an issuer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chaperone_tests::harness::{AgentShell, Cgroup, Wanted, peer_scripts};
use serde_json::Value;

use crate::{
    acts::{containing, refusal},
    checks::Checks,
    stage::{BUCKET, Stage},
};

/// How long the end of a session may take to be noticed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cgroup with an agent in it, as systemd makes one for a unit; the agent goes first.
struct Unit {
    agent: AgentShell,
    _cgroup: Cgroup,
}

/// The same call on the same host, by agents of other groups.
pub(crate) fn told_by_tokens(stage: &Stage, checks: &mut Checks) -> Result<()> {
    let mut reader = unit(stage, "builds-1.service", "agent-7", "readers", 600)?;
    let mut writer = unit(stage, "reviews-1.service", "agent-8", "writers", 600)?;
    let get = format!("aws s3api get-object --bucket {BUCKET} --key cli object --output text");
    let got = reader.agent.run(&get)?.ok();
    checks.add("an agent whose token says group readers: AWS CLI reads from S3", got);
    let denied = refusal(writer.agent.run(&get)?, &["AccessDenied", "s3:GetObject"]);
    checks.add("the same call on the same host, group writers: AccessDenied", denied);
    for (workload, subject, groups) in [("builds", "agent-7", "readers"), ("reviews", "agent-8", "writers")] {
        let session = session(stage, workload)?;
        let shown = stage.gateway.ask(&["sessions", "show", text(&session, "id")])?;
        let named = ["issuer", "subject", "groups"].into_iter().zip(["idp", subject, groups]);
        let lines: Vec<String> = named.map(|(name, value)| format!("{name:<12}{value}")).collect();
        let missing = lines.iter().find(|line| !shown.lines().any(|shown| shown == line.as_str()));
        checks.add(&format!("the record of {workload} names issuer, subject and groups"), {
            missing
                .map_or(Ok(lines.join("\n")), |line| Err(anyhow::anyhow!("{line:?} is missing in: {shown}")))
        });
    }
    Ok(())
}

/// A token that is not renewed takes the session with it.
pub(crate) fn expired(stage: &Stage, checks: &mut Checks) -> Result<()> {
    let mut unit = unit(stage, "builds-2.service", "agent-9", "readers", 15)?;
    let script = peer_scripts().join("show_credentials.py");
    let words = unit.agent.run(&format!("python3 {}", script.display()))?.ok()?;
    let words: Vec<&str> = words.split_whitespace().collect();
    let [_, id, secret, token] = words.as_slice() else { anyhow::bail!("no placeholder: {words:?}") };
    let ended = ended(stage, "agent-9");
    checks.add("a session whose token expires ends", containing(ended, "token-expired"));
    // A client that has been running holds the placeholder still.
    let holds = format!(
        "export AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret} AWS_SESSION_TOKEN={token}; \
         aws sts get-caller-identity"
    );
    let refused = refusal(unit.agent.run(&holds)?, &["AccessDenied", "identity not accepted"]);
    checks.add("and its calls are refused", refused);
    let why = stage.gateway.ask(&["events", "list", "--kind", "identity-not-accepted", "--json"])?;
    let why = why.lines().next().unwrap_or_default().to_owned();
    checks.add("why is an event for security", containing(Ok(why), "expired"));
    Ok(())
}

/// An agent in a cgroup of its own, with a token in its file.
fn unit(stage: &Stage, name: &str, subject: &str, group: &str, ttl: u64) -> Result<Unit> {
    let wanted =
        Wanted { subject: subject.to_owned(), ttl, ..Wanted::default() }.claim("groups", vec![group]);
    let token = tokio::runtime::Runtime::new()?.block_on(stage.oidc.token(&wanted))?;
    stage.tokens.put(name, &token)?;
    let cgroup = stage.gateway.agents().child(name)?;
    let agent = AgentShell::of(stage.gateway.transparent(&cgroup)?)?;
    Ok(Unit { agent, _cgroup: cgroup })
}

/// The newest session of a workload.
fn session(stage: &Stage, workload: &str) -> Result<Value> {
    let list = stage.gateway.ask(&["sessions", "list", "--json", "--workload", workload])?;
    serde_json::from_str(list.lines().next().unwrap_or_default()).with_context(|| list.clone())
}

/// Why the newest session of `builds`, which is this subject's, has ended, once it has.
fn ended(stage: &Stage, subject: &str) -> Result<String> {
    let start = Instant::now();
    loop {
        let session = session(stage, "builds")?;
        ensure!(text(&session, "subject") == subject, "another session: {session}");
        let reason = text(&session, "end_reason");
        if !reason.is_empty() {
            return Ok(reason.to_owned());
        }
        ensure!(start.elapsed() < PATIENCE, "it never ended: {session}");
    }
}

/// A text of the session; empty where there is none.
fn text<'s>(session: &'s Value, name: &str) -> &'s str {
    session.get(name).and_then(Value::as_str).unwrap_or_default()
}
