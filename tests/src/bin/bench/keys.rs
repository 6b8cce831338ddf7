//! What keys cost: kept ones, and those that are made for one call.
//!
//! Gateway, STS and AWS are in this process and on loopback, so the absolute figures of a call are those
//! of all of them; STS over a network adds its way there and back.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use chaperone_tests::{
    direct::{ALLOW_ALL, Agent, Direct, Setup, Signing},
    upstream::Role,
};
use gateway_user::{
    classify::classify,
    clock::Clock,
    decide::{DayUsage, Facts, Permit, SessionUsage, Verdict},
    identify::Scope,
    parse::AwsRequest,
};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;

use crate::understand::percentile;

/// Times that kept keys are asked for.
const HITS: usize = 100_000;
/// Calls of each kind, after a tenth as many to warm up.
const CALLS: usize = 1_000;
/// What kept keys may take, in microseconds.
const LIMIT: f64 = 5.0;

const HOST: &str = "dynamodb.eu-central-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/bench";
const BODY: &str = r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#;
const HEADERS: [(&str, &str); 2] =
    [("x-amz-target", "DynamoDB_20120810.GetItem"), ("content-type", "application/x-amz-json-1.0")];

/// Times, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    hits: Vec<u64>,
    kept: Vec<u64>,
    own: Vec<u64>,
}

/// Measures everything.
pub(crate) fn measure() -> Result<Figures> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let session = start(Scope::Session).await?;
        let call = start(Scope::Call).await?;
        let mut figures = Figures { hits: hits(&session).await?, ..Figures::default() };
        let (kept, own) = (session.agent(HOST), call.agent(HOST));
        let (mut to_kept, mut to_own) = (open(&kept).await?, open(&own).await?);
        for turn in 0..CALLS / 10 + CALLS {
            // One after the other, so that both see the same machine.
            let (a, b) = (one(&kept, &mut to_kept).await?, one(&own, &mut to_own).await?);
            if turn >= CALLS / 10 {
                figures.kept.push(a);
                figures.own.push(b);
            }
        }
        ensure!(session.upstream.issued().len() == 1, "kept keys were made anew");
        ensure!(call.upstream.issued().len() == CALLS / 10 + CALLS, "a call had no keys of its own");
        Ok(figures)
    })
}

async fn start(scope: Scope) -> Result<Direct> {
    Direct::start(Setup {
        policies: ALLOW_ALL.to_owned(),
        upstream: Box::new(|config| config.roles = vec![Role::allowing(ROLE, &["*"])]),
        workload: Box::new(move |workload| {
            workload.role_arn = Some(ROLE.to_owned());
            workload.scope = Some(scope);
        }),
        ..Setup::default()
    })
    .await
}

/// Asks for the session's keys again and again.
async fn hits(direct: &Direct) -> Result<Vec<u64>> {
    let (caller, permit) = (direct.caller().await?, permit(direct).await?);
    let (gateway, policies) = (&direct.gateway, direct.gateway.policies.load_full());
    let mut times = Vec::with_capacity(HITS);
    for turn in 0..=HITS {
        let start = Instant::now();
        let keys = gateway.credentials.keys(&permit, &caller, &policies).await?;
        let took = nanoseconds(start);
        drop(keys);
        // The first asks STS.
        if turn > 0 {
            times.push(took);
        }
    }
    Ok(times)
}

/// The permit of the call that is measured.
async fn permit(direct: &Direct) -> Result<Permit> {
    let caller = direct.caller().await?;
    let now = Clock::system().now();
    let (head, _) = signed(&direct.agent(HOST)).await?.into_parts();
    let request = AwsRequest::read(head, &HOST.parse()?)?;
    let placeholder = &caller.session.placeholder;
    let request = request.verify(Some(BODY.into()), placeholder, now, time::Duration::minutes(5))?;
    let operation = classify(&request, caller.session.workload.stated_account().as_ref())?;
    let facts = Facts { now, session: &SessionUsage::default(), day: &DayUsage::default() };
    match direct.gateway.policies.load().decide(&caller, operation, facts) {
        Verdict::Allow(permit) => Ok(permit),
        Verdict::Ask(_) | Verdict::Deny(_) => anyhow::bail!("the call is not allowed"),
    }
}

async fn signed(agent: &Agent<'_>) -> Result<Request<Full<bytes::Bytes>>> {
    let mut request = agent.signed(Method::POST, "/", &HEADERS, BODY, &Signing::new("dynamodb")).await?;
    request.headers_mut().insert("host", HOST.parse()?);
    *request.uri_mut() = "/".parse()?;
    Ok(request)
}

async fn open(agent: &Agent<'_>) -> Result<SendRequest<Full<bytes::Bytes>>> {
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(agent.tls().await?)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One call, until the last byte of its answer.
async fn one(agent: &Agent<'_>, sender: &mut SendRequest<Full<bytes::Bytes>>) -> Result<u64> {
    let request = signed(agent).await?;
    sender.ready().await?;
    let start = Instant::now();
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await.context("the answer")?.to_bytes();
    let took = nanoseconds(start);
    ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(took)
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Figures {
    /// Markdown: one row per kind of keys.
    pub(crate) fn report(&self) -> String {
        let of = |times: &[u64]| (percentile(times, 50), percentile(times, 99));
        let (hit, kept, own) = (of(&self.hits), of(&self.kept), of(&self.own));
        let verdict = if hit.0 <= LIMIT { "met" } else { "NOT met" };
        [
            "| keys of a role, µs | p50 | p99 | limit | |".to_owned(),
            "|---|---:|---:|---|---|".to_owned(),
            format!("| keys that are kept | {:.1} | {:.1} | p50 {LIMIT:.0} | {verdict} |", hit.0, hit.1),
            format!("| a call with kept keys | {:.0} | {:.0} | – | |", kept.0, kept.1),
            format!("| a call with keys of its own | {:.0} | {:.0} | – | |", own.0, own.1),
            format!(
                "\nA call with keys of its own takes {:.2} times as long (p50), with STS in the same process; \
                 the way to STS and back comes on top.",
                own.0 / kept.0
            ),
        ]
        .join("\n")
    }
}
