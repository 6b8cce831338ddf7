//! `chaperone policy test --recorded`: what today's policies would have said to calls of the past.
//!
//! A call is asked about as the record has it: who the session was, which actions it needed on which resources, with which
//! parameters, when. What the record does not have is said: values that were hidden or cut, and how much a session had
//! done before, which some rules limit.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    path::Path,
};

use anyhow::Context as _;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    cases::withheld,
    count,
    subject::{self, Said, Vouched},
};
use crate::{
    classify::{ActionOn, Operation, Param},
    cli::{
        calls::Which,
        progress::{Line, bar},
        table::printable,
    },
    clock::Clock,
    config::{Config, policies},
    decide::{DayUsage, Facts, Policies, SessionUsage},
    parse::RequestDigest,
    record::query::{CallFilter, CallView, Order, Page, Reader, SessionView},
};

/// Rows that are read at once.
const AT_ONCE: u32 = 1000;
/// Sessions that are remembered.
const SESSIONS: usize = 1000;
/// How the record writes what it does not have.
const REDACTED: &str = "[redacted]";

/// Which calls.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten, next_help_heading = "With --recorded")]
    which: Which,
}

/// Compares; whether nothing would be decided otherwise.
pub(super) async fn run(
    args: &Args,
    dir: &Path,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let policies = Policies::parse(policies::read(dir).context("reading the policies")?.files)
        .with_context(|| format!("loading the policies of {}", dir.display()))?;
    let reader = Reader::open(&config.record).await?;
    let filter = args.which.filter(Clock::system().now())?;
    let mut progress = Line::stderr();
    let compared = compare(&reader, &filter, &policies, &mut progress).await;
    progress.clear();
    let compared = compared?;
    compared.print(out)?;
    Ok(compared.changed.is_empty())
}

/// What came of comparing.
#[derive(Debug, Default)]
struct Compared {
    asked: usize,
    /// Policy was not asked then.
    skipped: usize,
    /// Judged without all that was known then.
    partly: usize,
    changed: BTreeMap<Change, Example>,
}

/// A difference between then and now.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    then: &'static str,
    now: &'static str,
    operation: String,
    workload: String,
    /// The rules now.
    rules: Vec<String>,
}

#[derive(Debug)]
struct Example {
    calls: usize,
    id: String,
    reason: Option<String>,
}

async fn compare(
    reader: &Reader,
    filter: &CallFilter,
    policies: &Policies,
    progress: &mut Line,
) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    let newest = Page { limit: 1, cursor: None, order: Order::Newest };
    let last = reader.calls(filter, &newest).await?.rows.first().map_or(0, |call| call.seq);
    let mut first = None;
    let mut sessions: HashMap<String, SessionView> = HashMap::new();
    let mut page = Page { limit: AT_ONCE, cursor: None, order: Order::Oldest };
    loop {
        let listing = reader.calls(filter, &page).await?;
        for call in &listing.rows {
            let Some(then) = then(call) else {
                compared.skipped += 1;
                continue;
            };
            if !sessions.contains_key(&call.session) {
                if sessions.len() >= SESSIONS {
                    sessions.clear();
                }
                sessions.insert(call.session.clone(), reader.session(&call.session).await?);
            }
            let Some(session) = sessions.get(&call.session) else { continue };
            let said = ask(call, session, policies).with_context(|| format!("call {}", call.id))?;
            compared.add(call, then, said);
        }
        if let Some(at) = listing.rows.last().map(|call| call.seq) {
            let first = *first.get_or_insert(listing.rows.first().map_or(at, |call| call.seq));
            let done = bar(at.abs_diff(first), last.abs_diff(first));
            progress.show(&format!("{done}  {} calls", compared.asked));
        }
        match listing.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(compared),
        }
    }
}

/// What policy said then; `None` where it was not asked.
fn then(call: &CallView) -> Option<&'static str> {
    match call.decision.as_str() {
        "allow" => Some("allow"),
        "deny" => Some("deny"),
        "ask" => Some("ask"),
        // It was made all the same; the reason says what policy objected to.
        "observed" if call.reason.as_deref().is_some_and(|reason| reason.starts_with("observed ask")) => {
            Some("ask")
        }
        "observed" => Some("deny"),
        _ => None,
    }
}

fn ask(call: &CallView, session: &SessionView, policies: &Policies) -> anyhow::Result<Said> {
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).context("its time");
    let workload = subject::workload(call.workload.parse()?, call.groups.texts());
    let claims = session.claims.0.as_object().into_iter().flatten();
    let vouched = Vouched {
        issuer: Some(call.issuer.clone()),
        subject: Some(call.subject.clone()),
        claims: claims.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
    };
    let caller = subject::caller(workload, vouched, time(&session.started)?)?;
    let facts =
        Facts { now: time(&call.time)?, session: &SessionUsage::default(), day: &DayUsage::default() };
    Ok(Said::of(&policies.decide(&caller, operation(call)?, facts)))
}

/// About no request at all, so that nothing can be signed with a permit for it.
fn operation(call: &CallView) -> anyhow::Result<Operation> {
    let (service, name) =
        (call.service.clone().unwrap_or_default(), call.operation.clone().unwrap_or_default());
    let pairs = call.actions.texts().into_iter().zip(call.resources.texts());
    let params = call.params.0.as_object().into_iter().flatten();
    Ok(Operation {
        region: call.region.as_deref().unwrap_or("us-east-1").parse()?,
        account: call.account.as_deref().map(str::parse).transpose()?,
        actions: pairs.map(|(action, resource)| ActionOn { action, resource }).collect(),
        params: params.filter_map(|(name, value)| Some((name.clone(), param(value)?))).collect(),
        unread: Default::default(),
        keys: None,
        withheld: withheld(&service, &name),
        // What a token stood for is not on record.
        tokens: Vec::new(),
        model: Default::default(),
        digest: RequestDigest([0; 32]),
        service,
        name,
    })
}

fn param(value: &Value) -> Option<Param> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => Param::Bool(*truth),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Param::Text(number.to_string()), Param::Number)
        }
        Value::String(text) => Param::Text(text.clone()),
        Value::Array(items) => Param::List(items.iter().filter_map(param).collect()),
        Value::Object(fields) => Param::Record(
            fields.iter().filter_map(|(name, value)| Some((name.clone(), param(value)?))).collect(),
        ),
    })
}

impl Compared {
    fn add(&mut self, call: &CallView, then: &'static str, said: Said) {
        self.asked += 1;
        if !call.truncated.texts().is_empty() || hides(&call.params.0) {
            self.partly += 1;
        }
        if said.verdict == then {
            return;
        }
        let part = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
        let change = Change {
            then,
            now: said.verdict,
            operation: format!("{}:{}", part(&call.service), part(&call.operation)),
            workload: call.workload.clone(),
            rules: said.rules,
        };
        let new = || Example { calls: 0, id: call.id.clone(), reason: said.reason };
        self.changed.entry(change).or_insert_with(new).calls += 1;
    }

    fn print(&self, out: &mut impl Write) -> anyhow::Result<()> {
        for (Change { then, now, operation, workload, rules }, Example { calls, id, reason }) in &self.changed
        {
            let by = if rules.is_empty() { String::new() } else { format!(" by {}", rules.join(", ")) };
            writeln!(
                out,
                "{then} → {now}{by}: {} of {workload}, {}, such as {id}",
                printable(operation),
                count(*calls, "call")
            )?;
            if let Some(reason) = reason {
                writeln!(out, "  {}", printable(reason))?;
            }
        }
        let changed: usize = self.changed.values().map(|example| example.calls).sum();
        writeln!(out, "{} asked about, {changed} would be decided otherwise", count(self.asked, "call"))?;
        if self.partly > 0 {
            writeln!(
                out,
                "{} judged without values that the record hides or cut",
                count(self.partly, "call")
            )?;
        }
        if self.skipped > 0 {
            writeln!(out, "{} left out: policy was not asked about them then", count(self.skipped, "call"))?;
        }
        Ok(())
    }
}

fn hides(value: &Value) -> bool {
    match value {
        Value::String(text) => text == REDACTED,
        Value::Array(items) => items.iter().any(hides),
        Value::Object(fields) => fields.values().any(hides),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::seed::Night;

    async fn said(rules: &str) -> String {
        let night = Night::new().await;
        let policies = Policies::parse(vec![("a.cedar".into(), rules.to_owned())]).unwrap();
        let compared =
            compare(&night.reader, &CallFilter::default(), &policies, &mut Line::hidden()).await.unwrap();
        let mut out = Vec::new();
        compared.print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn what_would_be_decided_otherwise_is_shown() {
        let rules = r#"
            @id("all") permit (principal, action, resource);
            @id("no-lists") forbid (principal in Group::"ai-agents", action in Action::"s3:ListBucket", resource);
            @id("no-iam") forbid (principal, action in Action::"iam:CreateUser", resource);
        "#;
        insta::assert_snapshot!(said(rules).await, @r#"
        allow → deny by no-lists: s3:ListObjectsV2 of claude-builds, 1 call, such as c-000000020000700080000000000000cc
          forbidden by no-lists
        deny → allow by all: s3:DeleteObject of docs-bot, 1 call, such as c-000000030000700080000000000000cc
        8 calls asked about, 2 would be decided otherwise
        1 call left out: policy was not asked about them then
        "#);
    }
}
