//! `chaperone policy explain`: what a call is to the gateway, and what policy says to it.

use std::{ffi::OsString, io::Write, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use serde::Serialize;
use time::Duration;

use super::{
    capture::{self, Captured},
    request_file,
    subject::{self, Inserts, Reveals, Said, Vouched},
};
use crate::{
    catalog::{AccessLevel, catalog},
    classify::{Operation, answer::WHOLE, classify},
    cli::table::printable,
    clock::Clock,
    config::{Config, ConfigError, policies},
    decide::{DayUsage, Facts, Policies, SessionUsage},
    identify::{MasterKey, WorkloadConfig},
    mask::{self, Asked, Masks},
    parse::{AwsRequest, BodyPlan, VerifiedRequest},
    prim::{AccountId, Region, WorkloadName},
    tokens::Secret,
};

/// Which call, and for whom.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The workload that would make the call [default: the configured one, where there is one only].
    #[arg(long)]
    workload: Option<WorkloadName>,
    /// Directory of *.cedar files [default: `policy.dir` of the configuration].
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Groups of the workload, instead of the configured ones.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Who the caller is to its issuer, instead of `host:WORKLOAD`.
    #[arg(long)]
    subject: Option<String>,
    /// A further claim of the caller's token; may be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, String)>,
    /// What tokens in the call stand for: operation=…, field=…, resource=…, id=…, version=…
    #[arg(long, value_name = "NAME=VALUE", value_parser = secret)]
    secret: Vec<(String, String)>,
    /// The region that the command is told [default: the workload's, else us-east-1].
    #[arg(long)]
    region: Option<Region>,
    /// The account the call would act in [default: the workload's, else its role's].
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// A file with the request as it was on the wire, instead of a command.
    #[arg(long, value_name = "FILE", conflicts_with = "command", required_unless_present = "command")]
    request: Option<PathBuf>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    /// The command whose first call is explained; nothing of it reaches AWS.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// All that is known of a call.
#[derive(Debug, Serialize)]
struct Explained {
    operation: String,
    workload: WorkloadName,
    host: String,
    method: String,
    path: String,
    region: String,
    account: Option<String>,
    needs: Vec<Needed>,
    params: serde_json::Map<String, serde_json::Value>,
    unread: Vec<String>,
    /// What of the answer is hidden, and no rule is about revealing anything.
    hides: Vec<String>,
    #[serde(flatten)]
    said: Said,
    policy_digest: String,
}

/// An action that the call needs.
#[derive(Debug, Serialize)]
struct Needed {
    action: String,
    access: Option<&'static str>,
    resource: String,
}

/// Explains; whether the call would be allowed.
pub(super) async fn run(
    args: Args,
    load: impl FnOnce() -> Result<Config, ConfigError>,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let (workload, dir, mask) = whom(&args, load)?;
    // Nobody is to recognise a value.
    let masks = Masks::new(&mask, MasterKey::from_bytes([0; 32]).key_for("explain"))?;
    let policies = Policies::parse(policies::read(&dir).context("reading the policies")?.files)
        .with_context(|| format!("loading the policies of {}", dir.display()))?;
    let now = Clock::system().now();
    let vouched = vouched(&args);
    let region = match args.region.or_else(|| workload.region.clone()) {
        Some(region) => region,
        None => "us-east-1".parse()?,
    };
    let caller = subject::caller(workload, vouched, now)?;
    let captured = match &args.request {
        Some(file) => request_file::read(file, &caller.session.placeholder, now)?,
        None => capture::capture(&args.command, &caller.session, &region).await?,
    };
    let (method, path) = (captured.head.method.to_string(), captured.head.uri.to_string());
    let host = captured.host.to_string();
    let request = understand(captured, &caller)?;
    let secrets = args.secret;
    let of_account = |account: Option<&AccountId>| {
        let mut operation = classify(&request, account).context("the request is refused")?;
        if let (Some(token), true) = (operation.tokens.first(), secrets.is_empty()) {
            bail!(
                "say what the token in {} stands for: --secret operation=secretsmanager:GetSecretValue --secret field=SecretString",
                printable(&token.path)
            );
        }
        let secret = Arc::new(origin(&secrets, &operation));
        operation.resolve(|_| Some(Arc::clone(&secret)))?;
        operation.hide(masks.hidden(Asked::of(&operation)));
        anyhow::Ok(operation)
    };
    let mut operation = of_account(caller.session.workload.stated_account().as_ref())?;

    let facts = Facts { now, session: &SessionUsage::default(), day: &DayUsage::default() };
    let mut verdict = policies.decide(&caller, operation.clone(), facts);
    if let Some((role, account)) = verdict.elsewhere() {
        operation = of_account(Some(&account))?;
        verdict = policies.decide(&caller, operation.clone(), facts).in_role(&role);
    }
    let reveals = Reveals::of(&policies.reveals(&caller, &operation, facts));
    let shown = |part: &str| reveals.iter().any(|reveals| *reveals.field == *part);
    let hides = operation.withheld.iter().filter(|part| !shown(part)).map(ToString::to_string).collect();
    let inserts = Inserts::of(&policies.inserts(&caller, &operation, facts));
    let said = Said { reveals, inserts, ..Said::of(&verdict) };
    let explained = Explained {
        operation: operation.full_name(),
        workload: caller.session.workload.name.clone(),
        host,
        method,
        path,
        region: operation.region.to_string(),
        account: operation.account.as_ref().map(ToString::to_string),
        needs: operation
            .actions
            .iter()
            .map(|pair| Needed {
                action: pair.action.clone(),
                access: catalog().action(&pair.action).map(|action| AccessLevel::name(action.access)),
                resource: pair.resource.clone(),
            })
            .collect(),
        params: operation.params.iter().map(|(name, value)| (name.clone(), value.json())).collect(),
        unread: operation.unread.into_iter().collect(),
        hides,
        said,
        policy_digest: policies.digest().to_owned(),
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&explained)?)?;
    } else {
        print(&explained, out)?;
    }
    Ok(explained.said.verdict == "allow")
}

/// The workload and the policies that are asked about.
fn whom(
    args: &Args,
    load: impl FnOnce() -> Result<Config, ConfigError>,
) -> anyhow::Result<(WorkloadConfig, PathBuf, mask::Config)> {
    let (configured, dir, mask): (Vec<WorkloadConfig>, PathBuf, _) = match (load(), &args.policies) {
        (Ok(config), dir) => {
            let dir = dir.clone().unwrap_or(config.policy.dir);
            (config.workload, dir, config.mask)
        }
        // Who names policies need not have a configuration.
        (Err(ConfigError::Unreadable { .. }), Some(dir)) => {
            (Vec::new(), dir.clone(), mask::Config::default())
        }
        (Err(error), _) => return Err(error.into()),
    };
    let mut workload = match (&args.workload, configured.as_slice()) {
        (None, [only]) => only.clone(),
        (None, []) => subject::workload("agent".parse()?, Vec::new()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|workload| workload.name.as_str()).collect();
            bail!("say which workload: --workload {}", names.join(" | "));
        }
        (Some(name), []) => subject::workload(name.clone(), Vec::new()),
        (Some(name), several) => several
            .iter()
            .find(|workload| workload.name == *name)
            .cloned()
            .with_context(|| format!("there is no workload {name}"))?,
    };
    if !args.group.is_empty() {
        workload.groups.clone_from(&args.group);
    }
    if let Some(account) = &args.account {
        workload.account = Some(account.clone());
    }
    Ok((workload, dir, mask))
}

fn vouched(args: &Args) -> Vouched {
    let claims = args.claim.iter().cloned().collect();
    Vouched { issuer: None, subject: args.subject.clone(), claims }
}

fn secret(text: &str) -> Result<(String, String), String> {
    let (name, value) = claim(text)?;
    let parts = Secret::default().parts().map(|(part, _)| part);
    if parts.contains(&name.as_str()) {
        return Ok((name, value));
    }
    Err(format!("write {}=…", parts.join("=…, ")))
}

/// What the tokens of the call stand for: read in its region and account, unless something else is said.
fn origin(said: &[(String, String)], operation: &Operation) -> Secret {
    let of = |name: &str| said.iter().rev().find(|(of, _)| of == name).map(|(_, value)| value.clone());
    let here = operation.origin();
    Secret {
        operation: of("operation").unwrap_or_default(),
        field: of("field").unwrap_or_default(),
        region: of("region").unwrap_or(here.region),
        account: of("account").unwrap_or(here.account),
        resource: of("resource").unwrap_or_else(|| "*".to_owned()),
        id: of("id").unwrap_or_default(),
        version: of("version").unwrap_or_default(),
        alone: false,
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// parse → verify, as the daemon does it.
fn understand(captured: Captured, caller: &crate::identify::Caller) -> anyhow::Result<VerifiedRequest> {
    let Captured { head, host, body } = captured;
    let request = AwsRequest::read(head, &host).context("the request is refused")?;
    let body = (request.body_plan() == BodyPlan::Inspect).then_some(body);
    let placeholder = &caller.session.placeholder;
    request
        .verify(body, placeholder, Clock::system().now(), Duration::minutes(5))
        .context("the signature is refused")
}

fn print(explained: &Explained, out: &mut impl Write) -> anyhow::Result<()> {
    let Explained {
        operation,
        workload,
        host,
        method,
        path,
        region,
        account,
        needs,
        params,
        unread,
        hides,
        said,
        ..
    } = explained;
    writeln!(out, "operation  {}", printable(operation))?;
    writeln!(out, "request    {method} https://{}{}", printable(host), printable(path))?;
    writeln!(out, "region     {region}")?;
    writeln!(
        out,
        "account    {}",
        account.as_deref().unwrap_or("not stated: the daemon asks STS; see --account")
    )?;
    writeln!(out, "needs")?;
    for Needed { action, access, resource } in needs {
        let access = access.unwrap_or("level unknown");
        writeln!(out, "  {}  ({access})  on  {}", printable(action), printable(resource))?;
    }
    if !params.is_empty() {
        writeln!(out, "parameters")?;
    }
    for (name, value) in params {
        writeln!(out, "  {}  {}", printable(name), printable(&value.to_string()))?;
    }
    if !unread.is_empty() {
        writeln!(out, "not read   {}", printable(&unread.join(", ")))?;
    }
    let rules = if said.rules.is_empty() { String::new() } else { format!("  by {}", said.rules.join(", ")) };
    writeln!(out, "verdict    {} for {workload}{rules}", said.verdict)?;
    if let Some(role) = &said.role {
        writeln!(out, "role       {}", printable(role))?;
    }
    if let Some(reason) = &said.reason {
        writeln!(out, "because    {}", printable(reason))?;
    }
    if !hides.is_empty() {
        writeln!(out, "hides      {}", hides.join(", "))?;
    }
    for Reveals { field, revealed, rules, reason } in &said.reveals {
        let what = if **field == *WHOLE { "the whole answer, which carries credentials" } else { field };
        let by = if rules.is_empty() { String::new() } else { format!("  by {}", rules.join(", ")) };
        let reason = reason.as_ref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
        let word = if *revealed { "reveals" } else { "withholds" };
        writeln!(out, "{word:<9}  {what}{by}{reason}")?;
    }
    for Inserts { path, inserted, rules, reason, .. } in &said.inserts {
        let by = if rules.is_empty() { String::new() } else { format!("  by {}", rules.join(", ")) };
        let reason = reason.as_ref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
        let word = if *inserted { "inserts" } else { "keeps out" };
        writeln!(out, "{word:<9}  the secret in the place of its token in {}{by}{reason}", printable(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
