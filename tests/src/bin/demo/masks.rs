//! Secrets in AWS's answers: the agent may read what they are in, and does not get them.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    acts::{aws, containing, refusal},
    checks::Checks,
    stage::Stage,
};

/// What AWS answers with, in three places.
const PASSWORD: &str = "correct horse battery staple";
/// What stands in the place of a secret.
const MASKED: &str = "chaperone:masked";
/// The same, where the agent may send it back.
const TOKEN: &str = "chaperone:secret:";

/// Four calls by the AWS CLI, and where their secrets are. The last has one that nobody else knows.
const CALLS: [(&str, &str, &str); 4] = [
    ("Secrets Manager", "secretsmanager get-secret-value --secret-id demo/db", "SecretString"),
    ("Systems Manager", "ssm get-parameter --name /demo/password --with-decryption", "Parameter.Value"),
    ("Lambda", "lambda get-function-configuration --function-name demo", "Environment.Variables.DB_PASSWORD"),
    ("IAM", "iam create-access-key --user-name ci", "AccessKey.SecretAccessKey"),
];

/// They are hidden, the rest of the answer is there, and the record says what was hidden.
pub(crate) fn hidden(stage: &mut Stage, checks: &mut Checks) -> Result<()> {
    for (service, command, field) in CALLS {
        let said = aws(stage, &format!("{command} --query {field} --output text"));
        let masked = said.and_then(|said| {
            let said = said.trim();
            ensure!(said == MASKED || said.starts_with(TOKEN), "{said}");
            Ok(format!("{field} is {said}"))
        });
        checks.add(&format!("AWS CLI: {service} answers without its secret"), masked);
    }
    let command = "secretsmanager get-secret-value --secret-id demo/motto --query SecretString --output text";
    checks.add("AWS CLI: what a rule reveals is there", containing(aws(stage, command), "festina lente"));
    checks.add("the record says what was hidden, and that three of the values are the same", recorded(stage));
    checks.add("AWS CLI: a Lambda gets a secret by its token", by_token(stage));
    Ok(())
}

/// The agent moves a secret into a function's environment. That AWS has the value shows the digest of what it answers with.
fn by_token(stage: &mut Stage) -> Result<String> {
    let read = "secretsmanager get-secret-value --secret-id demo/db --query SecretString --output text";
    let token = aws(stage, read)?.trim().to_owned();
    ensure!(token.starts_with(TOKEN), "{token}");
    let update = "lambda update-function-configuration --function-name demo";
    let refused = stage.agent.run(&format!("aws {update} --description {token}"))?;
    let said = refusal(refused, &["Description", "is permitted by no rule"])?;
    aws(stage, &format!("{update} --environment Variables={{MOVED={token}}}"))?;
    let read = "lambda get-function-configuration --function-name demo --query Environment.Variables.MOVED";
    let shown = aws(stage, &format!("{read} --output text"))?;
    ensure!(shown.trim() == MASKED, "{shown}");
    let digests = |sql: &str| stage.gateway.rows(sql);
    let read =
        digests("SELECT digest FROM v_masked WHERE operation = 'GetSecretValue' ORDER BY seq LIMIT 1")?;
    let moved =
        digests("SELECT digest FROM v_masked WHERE path = 'Environment.Variables.MOVED' ORDER BY seq")?;
    ensure!(!read.is_empty() && moved.iter().any(|row| read.contains(row)), "{read:?} {moved:?}");
    Ok(format!("{token}\n{}", said.trim()))
}

fn recorded(stage: &Stage) -> Result<String> {
    let sql = "SELECT operation, path, digest FROM v_masked ORDER BY seq";
    let rows = stage.gateway.rows(sql)?;
    let column = |row: &Value, name: &str| Some(row.get(name)?.as_str()?.to_owned());
    let mut lines = Vec::new();
    let mut digests = Vec::new();
    for row in &rows {
        let all = [column(row, "operation"), column(row, "path"), column(row, "digest")];
        let [Some(operation), Some(path), Some(digest)] = all else { anyhow::bail!("{row}") };
        lines.push(format!("{operation}: {path}, {digest}"));
        digests.push((operation, digest));
    }
    let of = |operation: &str| {
        let found = digests.iter().find(|(name, _)| name == operation);
        found.map(|(_, digest)| digest.clone()).with_context(|| format!("{operation} is not in {lines:?}"))
    };
    let secret = of("GetSecretValue")?;
    ensure!(secret == of("GetParameter")? && secret == of("GetFunctionConfiguration")?, "{lines:?}");
    ensure!(secret != of("CreateAccessKey")?, "{lines:?}");
    let calls = stage.gateway.ask(&["calls", "list", "--json"])?;
    ensure!(!calls.contains(PASSWORD), "the password is on record");
    Ok(lines.join("\n"))
}
