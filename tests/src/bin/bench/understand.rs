//! What it takes to understand a call and decide it: parse, verify, classify, decide.
//!
//! Real requests (`tests/corpus/understand.txt`, as the AWS CLI sends them) take turns, with 200
//! generated rules about as many actions, of which a few are about any one call.

use std::{
    fmt::Write as _,
    hint::black_box,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use chaperone_tests::corpus::{ACCOUNT, Generated, Golden, NOW, Reading, SKEW, placeholder, read};
use gateway_user::{
    catalog::{Member, Shape, catalog},
    classify::{self, Operation},
    decide::{DayUsage, Facts, Policies, SessionUsage, Verdict},
    identify::{Caller, CredentialSource, Egress, Identity, Mode, Session, WorkloadConfig},
    parse::{AwsRequest, BodyPlan, VerifiedRequest},
    prim::{AccountId, CgroupId, CgroupPath, HostName, SessionId},
};
use http::request::Parts;

/// Rules in the set.
const RULES: usize = 200;
/// Times that each request is understood, after a tenth as many to warm up.
const TURNS: usize = 2000;
/// Actions and resources for the rules.
const GOLDEN: &str = include_str!("../../../corpus/golden.txt");

/// Limits for a whole call, in microseconds: median, and 99 of 100.
const LIMITS: (f64, f64) = (30.0, 150.0);
/// Limit for the decision's median.
const DECISION_LIMIT: f64 = 15.0;

/// Nanoseconds of every turn, by stage.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Of the catalogue, once.
    loading: u64,
    requests: usize,
    allowed: usize,
    left_out: Vec<String>,
    parse: Vec<u64>,
    verify: Vec<u64>,
    classify: Vec<u64>,
    decide: Vec<u64>,
    /// Parse, classify and decide of the same call.
    whole: Vec<u64>,
    /// The slowest request by its median: that and 99 of 100, in microseconds.
    slowest: Option<(String, f64, f64)>,
}

/// Measures in this process and thread.
pub(crate) fn measure() -> Result<Figures> {
    let (_, loading) = timed(|| black_box(catalog().services().len()));
    let bench = Bench::new()?;
    let mut figures = Figures { loading: nanoseconds(loading), ..Figures::default() };
    let calls = calls(&mut figures.left_out)?;
    figures.requests = calls.len();
    for call in &calls {
        figures.allowed += usize::from(bench.turn(call, &mut Figures::default())?);
    }
    for _ in 0..TURNS / 10 {
        calls.iter().try_for_each(|call| bench.turn(call, &mut Figures::default()).map(drop))?;
    }
    for _ in 0..TURNS {
        calls.iter().try_for_each(|call| bench.turn(call, &mut figures).map(drop))?;
    }
    figures.slowest = slowest(&calls, &figures.whole);
    Ok(figures)
}

/// The requests took turns, so every so many times are one request's.
fn slowest(calls: &[Call], whole: &[u64]) -> Option<(String, f64, f64)> {
    let of_one = |(first, call): (usize, &Call)| {
        let own: Vec<u64> = whole.iter().copied().skip(first).step_by(calls.len()).collect();
        (call.name.clone(), percentile(&own, 50), percentile(&own, 99))
    };
    let medians = calls.iter().enumerate().map(of_one);
    medians.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// One request, ready to be read again and again.
struct Call {
    name: String,
    head: Parts,
    server_name: HostName,
    body: Bytes,
}

/// The requests; what the product does not take is left out and said to be.
fn calls(left_out: &mut Vec<String>) -> Result<Vec<Call>> {
    let mut lines = Generated::start("golden.py", &["--file", "understand.txt"])?;
    let mut calls = Vec::new();
    while let Some(line) = lines.next_line()? {
        match read(&line)? {
            Reading::Known(_) => {
                let name = format!("{} {}", line.truth.service, line.truth.operation);
                let (head, server_name, body) = (line.head()?, line.server_name()?, line.body()?);
                calls.push(Call { name, head, server_name, body });
            }
            Reading::Minting(name) => left_out.push(format!("{name}, for its answer")),
            Reading::Actionless(name) => left_out.push(format!("{name}, whose action is not known")),
            Reading::Refused(refusal) => {
                left_out.push(format!("{}, {}", line.truth.operation, refusal.message));
            }
        }
    }
    ensure!(!calls.is_empty(), "the product takes none of the requests");
    Ok(calls)
}

struct Bench {
    caller: Caller,
    account: AccountId,
    policies: Policies,
}

impl Bench {
    fn new() -> Result<Self> {
        let text = rules()?;
        let policies = Policies::parse([(PathBuf::from("bench.cedar"), text)])
            .map_err(|errors| anyhow::anyhow!("{errors}"))?;
        ensure!(policies.rule_count() == RULES, "{} rules", policies.rule_count());
        Ok(Self { caller: caller()?, account: ACCOUNT.parse()?, policies })
    }

    /// Understands one call; whether it is allowed.
    fn turn(&self, call: &Call, figures: &mut Figures) -> Result<bool> {
        let head = call.head.clone();
        let (request, parse) = timed(|| AwsRequest::read(black_box(head), &call.server_name));
        let request = request?;
        let body = (request.body_plan() == BodyPlan::Inspect).then(|| call.body.clone());
        let placeholder = placeholder();
        let (verified, verify) = timed(|| request.verify(body, &placeholder, NOW, SKEW));
        let verified: VerifiedRequest = verified?;
        let (operation, classify) = timed(|| classify::classify(black_box(&verified), Some(&self.account)));
        let operation: Operation = operation?;
        let (session, day) = (SessionUsage::default(), DayUsage::default());
        let facts = Facts { now: NOW, session: &session, day: &day };
        let (verdict, decide) = timed(|| self.policies.decide(&self.caller, black_box(operation), facts));
        figures.parse.push(nanoseconds(parse));
        figures.verify.push(nanoseconds(verify));
        figures.classify.push(nanoseconds(classify));
        figures.decide.push(nanoseconds(decide));
        figures.whole.push(nanoseconds(parse + classify + decide));
        Ok(match black_box(verdict) {
            Verdict::Allow(_) => true,
            Verdict::Ask(_) | Verdict::Deny(_) => false,
        })
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Rules of the kinds that people write, about the actions of the golden file.
fn rules() -> Result<String> {
    let golden = Golden::parse(GOLDEN)?;
    let mut pairs: Vec<(&str, &str)> = golden
        .cases
        .iter()
        .flat_map(|case| &case.expected)
        .filter_map(|on| Some((on.action.as_str(), on.resources.first()?.as_str())))
        .filter(|(_, resource)| *resource != "*")
        .collect();
    pairs.sort_unstable();
    pairs.dedup_by_key(|(action, _)| *action);
    ensure!(pairs.len() >= RULES, "only {} actions", pairs.len());
    // Spread over all services.
    let step = pairs.len() / RULES;
    let mut text = String::new();
    for (number, (action, resource)) in pairs.iter().step_by(step).take(RULES).enumerate() {
        let (service, _) = action.split_once(':').context("an action without a service")?;
        let rule = match number % 8 {
            0 => format!(
                "permit (principal == Workload::\"bench\", action == Action::\"{action}\", resource);"
            ),
            1 => format!(
                "permit (principal in Group::\"agents\", action == Action::\"{action}\", resource)\n\
                 when {{ resource.arn like \"{resource}\" }};"
            ),
            2 => format!(
                "forbid (principal, action == Action::\"{action}\", resource)\n\
                 when {{ context.region == \"ap-east-1\" }};"
            ),
            3 => format!(
                "permit (principal in Group::\"agents\", action in Action::\"{service}:*\", resource)\n\
                 when {{ context has account && context.account == \"{ACCOUNT}\" }};"
            ),
            4 => format!(
                "forbid (principal, action == Action::\"{action}\", resource)\n\
                 when {{ context.session.counts[\"{action}\"] >= 1000000 }};"
            ),
            5 => format!(
                "@reviewers(\"oncall\")\npermit (principal, action == Action::\"{action}\", resource)\n\
                 when {{ context has approval && context.approval.groups.contains(\"oncall\") }};"
            ),
            6 => match text_parameter(action) {
                Some(name) => format!(
                    "forbid (principal, action == Action::\"{action}\", resource)\n\
                     when {{ context.params has {name} && context.params.{name} like \"forbidden-*\" }};"
                ),
                None => format!(
                    "forbid (principal, action == Action::\"{action}\", resource)\n\
                     when {{ context.unread.contains(\"Body\") && context.region == \"ap-east-1\" }};"
                ),
            },
            _ => format!(
                "forbid (principal in Group::\"interns\", action in Action::\"{service}:*\", resource);"
            ),
        };
        writeln!(text, "@id(\"rule-{number}\")\n{rule}")?;
    }
    Ok(text)
}

/// A parameter that is a text, of the operation that is called like the action.
fn text_parameter(action: &str) -> Option<&'static str> {
    let (prefix, name) = action.split_once(':')?;
    let services = catalog().services().iter().filter(|service| service.prefix == prefix);
    let mut operations = services.filter_map(|service| Some((service, service.operation(name)?)));
    let (service, operation) = operations.next()?;
    let text = |member: &&Member| matches!(service.shape(member.shape), Shape::Text);
    service.members(operation).iter().find(text).map(|member| member.name)
}

fn caller() -> Result<Caller> {
    let workload = WorkloadConfig {
        name: "bench".parse()?,
        cgroup: None,
        tag: None,
        identity: Identity::Host,
        egress: Egress::Aws,
        region: None,
        account: Some(ACCOUNT.parse()?),
        groups: vec!["agents".to_owned()],
        mode: Mode::Enforce,
        credentials: CredentialSource::Gateway,
        role_arn: None,
    };
    let session = Session {
        id: SessionId::generate(),
        workload: Arc::new(workload),
        cgroup: CgroupPath::new("/agents.slice/bench.service"),
        cgroup_id: CgroupId(1),
        started: NOW,
        placeholder: placeholder(),
        launch: None,
    };
    Ok(Caller { session: Arc::new(session), pid: 1, uid: 0 })
}

impl Figures {
    /// Markdown: one row per stage.
    pub(crate) fn report(&self) -> String {
        let mut lines = vec![
            format!("| understand a call, µs; {RULES} rules | p50 | p99 | limit | |"),
            "|---|---:|---:|---|---|".to_owned(),
        ];
        let stages = [
            ("parse", &self.parse, None, None),
            ("verify the signature", &self.verify, None, None),
            ("classify", &self.classify, None, None),
            ("decide", &self.decide, Some(DECISION_LIMIT), None),
            ("parse, classify and decide", &self.whole, Some(LIMITS.0), Some(LIMITS.1)),
        ];
        for (name, turns, median, tail) in stages {
            let (p50, p99) = (percentile(turns, 50), percentile(turns, 99));
            let limit = match (median, tail) {
                (Some(median), Some(tail)) => format!("p50 {median:.0}, p99 {tail:.0}"),
                (Some(median), None) => format!("p50 {median:.0}"),
                (None, _) => "–".to_owned(),
            };
            let met = p50 <= median.unwrap_or(f64::MAX) && p99 <= tail.unwrap_or(f64::MAX);
            let verdict = if median.is_none() {
                ""
            } else if met {
                "met"
            } else {
                "NOT met"
            };
            lines.push(format!("| {name} | {p50:.1} | {p99:.1} | {limit} | {verdict} |"));
        }
        let Self { requests, allowed, .. } = self;
        lines.push(format!("\n{requests} requests {TURNS} times each; {allowed} of them allowed."));
        if let Some((name, median, tail)) = &self.slowest {
            lines.push(format!("The slowest is {name} with p50 {median:.1} and p99 {tail:.1}."));
        }
        let loading = percentile(&[self.loading], 50) / 1e3;
        lines.push(format!("The catalogue is read in {loading:.1} ms, once, at the daemon's start."));
        if !self.left_out.is_empty() {
            lines.push(format!("Left out, because they are refused: {}.", self.left_out.join("; ")));
        }
        lines.join("\n")
    }
}

/// In microseconds.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn percentile(turns: &[u64], of_100: usize) -> f64 {
    let mut sorted = turns.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * of_100 / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default() as f64 / 1e3
}
