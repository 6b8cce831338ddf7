//! What the models call sensitive is not in the record: parameters of every operation that takes any.

use anyhow::{Context as _, Result, ensure};
use chaperone_tests::{
    corpus::Generated,
    direct::{Direct, Setup},
};
use gateway_user::{
    catalog::catalog,
    prim::CallId,
    record::{Decision, Intent, Outcome, OutcomeKind},
};
use serde_json::Value;

/// Operations of botocore 1.44.5 that take something sensitive, at least.
const OPERATIONS: usize = 1_650;
/// What stands in the place of a value.
const REDACTED: &str = "[redacted]";

/// Parameters of an operation, and where in them the secrets are.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    service: String,
    operation: String,
    params: Value,
    secrets: Vec<String>,
}

#[tokio::test]
async fn no_sensitive_parameter_is_recorded() -> Result<()> {
    let mut setup = Setup::default();
    setup.record.params_max_bytes = 1024 * 1024;
    let direct = Direct::start(setup).await?;
    let session = direct.session().await?;
    let mut generated = Generated::start("answers.py", &["--requests"])?;
    let mut requests = Vec::new();
    while let Some(line) = generated.next_text()? {
        let request: Request = serde_json::from_str(&line)?;
        let service = catalog().service(&request.service).context("no such service")?;
        // As calls are recorded: by the prefix of IAM's actions.
        let intent = Intent {
            service: Some(service.prefix.to_owned()),
            operation: Some(request.operation.clone()),
            params: request.params.clone(),
            method: Some(requests.len().to_string()),
            ..Intent::new(CallId::generate(), session.id, 1, 0, Decision::Refused)
        };
        direct.gateway.recorder.refuse(intent, Outcome::new(OutcomeKind::Denied)).await?;
        requests.push(request);
    }
    ensure!(requests.len() >= OPERATIONS, "only {} operations", requests.len());

    let rows = direct.rows("SELECT method, params, truncated FROM calls").await?;
    let (mut seen, mut found, mut kept, mut leaks) = (0, 0, 0, Vec::new());
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let Some(request) = text("method").parse().ok().and_then(|number: usize| requests.get(number)) else {
            continue;
        };
        let recorded: Value = serde_json::from_str(text("params"))?;
        for pointer in &request.secrets {
            let given = request.params.pointer(pointer).with_context(|| pointer.clone())?;
            // Of what is long or deep only the beginning is stored.
            let Some(value) = recorded.pointer(pointer) else { continue };
            found += 1;
            if let Some(leaf) = leaves(value).into_iter().find(|leaf| **leaf != REDACTED) {
                leaks.push(format!("{} {} {pointer}: {leaf} of {given}", request.service, request.operation));
            }
        }
        kept += leaves(&recorded).iter().filter(|leaf| ***leaf != REDACTED).count();
        seen += 1;
    }
    assert_eq!(seen, requests.len());
    assert_eq!(leaks, Vec::<String>::new());
    let all: usize = requests.iter().map(|request| request.secrets.len()).sum();
    assert!(found * 10 > all * 9, "{found} of {all} secrets were looked at");
    // A record that hides everything would tell nothing.
    assert!(kept > 20 * seen, "{kept} values of {seen} operations");
    Ok(())
}

/// Every value without parts.
fn leaves(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Null => Vec::new(),
        leaf => vec![leaf],
    }
}
