//! Understanding a call and deciding it, stage by stage, as `serve` does: for what is measured of it.
//!
//! Real requests (`tests/corpus/understand.txt`, as the AWS CLI sends them) and generated rules about as
//! many actions, of which a few are about any one call.

use std::{hint::black_box, path::PathBuf, sync::Arc};

use anyhow::{Result, ensure};
use bytes::Bytes;
use gateway_user::{
    classify::{self, Operation},
    decide::{DayUsage, Facts, Policies, SessionUsage, Verdict},
    identify::{Caller, Session, WorkloadConfig},
    parse::{AwsRequest, BodyPlan, VerifiedRequest},
    prim::{AccountId, CgroupId, CgroupPath, HostName, SessionId},
};
use http::request::Parts;

use crate::corpus::{ACCOUNT, Generated, Line, NOW, Reading, SKEW, placeholder};

mod rules;

pub use rules::RULES;

/// A stage of understanding a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The head.
    Parse,
    /// Its signature.
    Verify,
    /// What the call would do.
    Classify,
    /// Whether it may.
    Decide,
}

/// Measures a stage.
pub trait Gauge {
    /// Does `work`, and measures it.
    fn stage<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T;
}

/// One request, ready to be read again and again.
#[derive(Debug)]
pub struct Call {
    /// Service and operation.
    pub name: String,
    head: Parts,
    server_name: HostName,
    body: Bytes,
}

impl Call {
    /// A request as it was generated.
    ///
    /// # Errors
    /// When it is no HTTP request.
    pub fn new(line: &Line) -> Result<Self> {
        let name = format!("{} {}", line.truth.service, line.truth.operation);
        Ok(Self { name, head: line.head()?, server_name: line.server_name()?, body: line.body()? })
    }

    /// Bytes of the request: its URL, headers and body.
    #[must_use]
    pub fn size(&self) -> u64 {
        let header =
            |(name, value): (&http::HeaderName, &http::HeaderValue)| name.as_str().len() + value.len();
        let headers: usize = self.head.headers.iter().map(header).sum();
        let target = self.head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        (headers + target + self.body.len()) as u64
    }
}

/// The requests; what the product does not take is left out and said to be. `read` tries each once.
///
/// # Errors
/// When the generator fails, or none is taken.
pub fn calls(
    left_out: &mut Vec<String>,
    mut read: impl FnMut(&Line) -> Result<Reading>,
) -> Result<Vec<Call>> {
    let mut lines = Generated::start("golden.py", &["--file", "understand.txt"])?;
    let mut calls = Vec::new();
    while let Some(line) = lines.next_line()? {
        match read(&line)? {
            Reading::Known(_) => calls.push(Call::new(&line)?),
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

/// Who calls, and what is decided by.
#[derive(Debug)]
pub struct Gateway {
    caller: Caller,
    account: AccountId,
    policies: Policies,
}

impl Gateway {
    /// One with [`RULES`] rules.
    ///
    /// # Errors
    /// When the rules are none.
    pub fn new() -> Result<Self> {
        let text = rules::rules()?;
        let policies = Policies::parse([(PathBuf::from("bench.cedar"), text)])
            .map_err(|errors| anyhow::anyhow!("{errors}"))?;
        ensure!(policies.rule_count() == RULES, "{} rules", policies.rule_count());
        Ok(Self { caller: caller()?, account: ACCOUNT.parse()?, policies })
    }

    /// Understands one call; whether it is allowed.
    ///
    /// # Errors
    /// When it is refused before it is decided.
    pub fn turn(&self, call: &Call, gauge: &mut impl Gauge) -> Result<bool> {
        let head = call.head.clone();
        let request = gauge.stage(Stage::Parse, || AwsRequest::read(black_box(head), &call.server_name))?;
        let body = (request.body_plan() == BodyPlan::Inspect).then(|| call.body.clone());
        let placeholder = placeholder();
        let verified: VerifiedRequest =
            gauge.stage(Stage::Verify, || request.verify(body, &placeholder, NOW, SKEW))?;
        let operation: Operation =
            gauge.stage(Stage::Classify, || classify::classify(black_box(&verified), Some(&self.account)))?;
        let (session, day) = (SessionUsage::default(), DayUsage::default());
        let facts = Facts { now: NOW, session: &session, day: &day };
        let decide = || self.policies.decide(&self.caller, black_box(operation), facts);
        Ok(match black_box(gauge.stage(Stage::Decide, decide)) {
            Verdict::Allow(_) => true,
            Verdict::Ask(_) | Verdict::Deny(_) => false,
        })
    }
}

fn caller() -> Result<Caller> {
    let workload = WorkloadConfig {
        account: Some(ACCOUNT.parse()?),
        groups: vec!["agents".to_owned()],
        ..WorkloadConfig::named("bench".parse()?)
    };
    let cgroup = (CgroupPath::new("/agents.slice/bench.service"), CgroupId(1));
    let session = Session::new(SessionId::generate(), Arc::new(workload), cgroup, NOW, placeholder(), None);
    Ok(Caller { session: Arc::new(session), pid: 1, uid: 0 })
}
