//! How long lists take in a large record, on both stores, and verifying it.
//!
//! Every list is of the newest 50; each is asked several times, and the slowest counts. Filters that match little or nothing
//! are the hard ones: all rows may have to be looked at.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chaperone_tests::harness::{self, Store};
use gateway_user::{
    clock::Clock,
    prim::{CallId, SessionId},
    record::{
        Config, Decision, Intent, Outcome, OutcomeKind, Recorder,
        query::{CallFilter, EventFilter, Order, Page, Reader, SessionFilter},
    },
};

use crate::record;

/// Calls, each with an outcome: a million rows, and those of the sessions.
const CALLS: usize = 500_000;
const SESSIONS: usize = 50;
/// Callers at once.
const CALLERS: usize = 512;
/// Times that each list is asked.
const TURNS: usize = 5;
/// Milliseconds in which a list is wanted.
const LIMIT: f64 = 100.0;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    /// What was asked, and its slowest answer in milliseconds: of SQLite, then of PostgreSQL.
    lists: Vec<(&'static str, [Times; 2])>,
    /// Rows verified in a second.
    verified: [f64; 2],
    /// Bytes of the file of SQLite for each call.
    growth: f64,
}

/// Fills both stores and asks them.
pub(crate) fn measure() -> Result<Figures> {
    let dir = tempfile::tempdir_in(harness::built("bench")?.parent().context("a directory")?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (sqlite, postgres) = (Store::sqlite(), Store::postgres());
    let mut times = Vec::new();
    let mut verified = [0.0; 2];
    for (at, store) in [&sqlite, &postgres].into_iter().enumerate() {
        let place = dir.path().join(at.to_string());
        let config = store.record(&place);
        runtime.block_on(fill(&config))?;
        store.settle();
        let (asked, rows) = runtime.block_on(async {
            let asked = lists(&config).await?;
            anyhow::Ok((asked, record::verified(&config).await?))
        })?;
        times.push(asked);
        if let Some(verified) = verified.get_mut(at) {
            *verified = rows;
        }
    }
    let growth = std::fs::metadata(dir.path().join("0/chaperone.db"))?.len() as f64 / CALLS as f64;
    let postgres = times.pop().unwrap_or_default();
    let sqlite = times.pop().unwrap_or_default();
    let lists = sqlite.into_iter().zip(postgres).map(|((name, here), (_, there))| (name, [here, there]));
    Ok(Figures { lists: lists.collect(), verified, growth })
}

async fn fill(config: &Config) -> Result<()> {
    let opened = Recorder::open(config, Clock::system()).await?;
    let recorder = opened.recorder;
    let sessions: Vec<SessionId> = (0..SESSIONS).map(|_| SessionId::generate()).collect();
    for id in &sessions {
        recorder.session_started(record::start(*id)).await?;
    }
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (recorder, sessions) = (recorder.clone(), sessions.clone());
            tokio::spawn(async move {
                for turn in (caller..CALLS).step_by(CALLERS) {
                    let session = sessions.get(turn % SESSIONS).copied().unwrap_or_else(SessionId::generate);
                    let call = recorder.intend(intent(session, turn)).await?;
                    call.finish(outcome(turn));
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    // A search is quick in what the index has.
    while recorder.health().unindexed > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    recorder.close().await;
    Ok(opened.writer.await?)
}

/// Calls of a few services, of which few are refused, and fewer fail.
fn intent(session: SessionId, turn: usize) -> Intent {
    let (service, action, resource) = match turn % 10 {
        0..6 => (
            "dynamodb",
            "dynamodb:Query",
            format!("arn:aws:dynamodb:eu-central-1:123456789012:table/orders-{}", turn % 97),
        ),
        6..9 => ("s3", "s3:GetObject", format!("arn:aws:s3:::builds/{turn}.tar")),
        _ => (
            "lambda",
            "lambda:InvokeFunction",
            "arn:aws:lambda:eu-central-1:123456789012:function:resize".to_owned(),
        ),
    };
    let is_denied = turn % 50 == 7;
    Intent {
        id: CallId::generate(),
        service: Some(service.to_owned()),
        operation: action.split_once(':').map(|(_, operation)| operation.to_owned()),
        actions: vec![action.to_owned()],
        resources: vec![resource],
        decision: if is_denied { Decision::Deny } else { Decision::Allow },
        rules: vec![if is_denied { "no-secrets" } else { "orders-read" }.to_owned()],
        ..record::intent(session, turn)
    }
}

fn outcome(turn: usize) -> Outcome {
    match turn % 1000 {
        500 => Outcome { status: Some(503), ..Outcome::new(OutcomeKind::Failed) },
        _ => record::outcome(),
    }
}

/// How long each question takes.
async fn lists(config: &Config) -> Result<Vec<(&'static str, Times)>> {
    let reader = Reader::open(config).await?;
    let text = |text: &str| Some(text.to_owned());
    let page = Page { limit: 50, cursor: None, order: Order::Newest };
    let oldest = Page { order: Order::Oldest, ..page.clone() };
    let next = reader.calls(&CallFilter::default(), &page).await?.next.context("a second page")?;
    let second = Page { cursor: Some(next), ..page.clone() };
    let all = CallFilter::default;
    let now = Clock::system().now();
    let calls = [
        ("all calls", all(), &page),
        ("all calls, from the oldest", all(), &oldest),
        ("the second page", all(), &second),
        ("of the last minute", CallFilter { since: Some(now - Duration::from_secs(60)), ..all() }, &page),
        (
            "of a time in which nothing was",
            CallFilter { until: Some(now - Duration::from_secs(86_400)), ..all() },
            &page,
        ),
        ("of a workload", CallFilter { workload: text("bench"), ..all() }, &page),
        ("of a workload without calls", CallFilter { workload: text("nobody"), ..all() }, &page),
        ("of a subject without calls", CallFilter { subject: text("nobody"), ..all() }, &page),
        ("of a service", CallFilter { service: text("lambda"), ..all() }, &page),
        ("of a service without calls", CallFilter { service: text("iam"), ..all() }, &page),
        ("of an action", CallFilter { action: text("s3:Get*"), ..all() }, &page),
        ("of an action without calls", CallFilter { action: text("iam:*"), ..all() }, &page),
        ("of a region without calls", CallFilter { region: text("us-east-1"), ..all() }, &page),
        ("of an account without calls", CallFilter { account: text("000000000000"), ..all() }, &page),
        ("refused", CallFilter { decision: Some(Decision::Deny), ..all() }, &page),
        ("of a rule", CallFilter { rule: text("no-secrets"), ..all() }, &page),
        ("of a rule without calls", CallFilter { rule: text("nothing"), ..all() }, &page),
        ("of a resource", CallFilter { resource: text("table/orders-7"), ..all() }, &page),
        ("of a resource without calls", CallFilter { resource: text("secret:prod"), ..all() }, &page),
        ("failed", CallFilter { outcome: text("failed"), ..all() }, &page),
        ("without an outcome", CallFilter { outcome: text("open"), ..all() }, &page),
        ("of a status without calls", CallFilter { status: Some("418".parse()?), ..all() }, &page),
        ("with a text", CallFilter { text: text("CUSTOMER#4711"), ..all() }, &page),
        ("with a text that is in most", CallFilter { text: text("orders"), ..all() }, &page),
        ("with a text that is nowhere", CallFilter { text: text("nowhere"), ..all() }, &page),
    ];
    let mut times = Vec::new();
    for (name, filter, page) in calls {
        eprintln!("calls {name}");
        times.push((name, slowest(async || reader.calls(&filter, page).await.map(drop)).await?));
    }
    let sessions = [
        ("all sessions", None),
        ("sessions with a call of a service", Some(CallFilter { service: text("lambda"), ..all() })),
        ("sessions with one of a service without calls", Some(CallFilter { service: text("iam"), ..all() })),
        ("sessions with one of an action", Some(CallFilter { action: text("s3:Get*"), ..all() })),
        ("sessions with one of an action without calls", Some(CallFilter { action: text("iam:*"), ..all() })),
        (
            "sessions with one of a resource without calls",
            Some(CallFilter { resource: text("secret:prod"), ..all() }),
        ),
        (
            "sessions with one with a text that is nowhere",
            Some(CallFilter { text: text("nowhere"), ..all() }),
        ),
    ];
    for (name, calls) in sessions {
        eprintln!("sessions {name}");
        let filter = SessionFilter { calls, ..SessionFilter::default() };
        times.push((name, slowest(async || reader.sessions(&filter, &page).await.map(drop)).await?));
    }
    let filter = EventFilter::default();
    times.push(("all events", slowest(async || reader.events(&filter, &page).await.map(drop)).await?));
    Ok(times)
}

async fn slowest<E: std::error::Error + Send + Sync + 'static>(
    ask: impl AsyncFn() -> Result<(), E>,
) -> Result<Times> {
    let timed = async || {
        let begun = Instant::now();
        ask().await?;
        anyhow::Ok(begun.elapsed().as_secs_f64() * 1e3)
    };
    let mut times = Times { first: timed().await?, later: 0.0 };
    for _ in 0..TURNS {
        times.later = times.later.max(timed().await?);
    }
    Ok(times)
}

/// Milliseconds that a list took.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    /// The first time: what it looks at may have to come from the disk.
    first: f64,
    /// The slowest of the others.
    later: f64,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1})", self.later, self.first)
    }
}

impl Figures {
    /// Markdown: one row per list.
    pub(crate) fn report(&self) -> String {
        let mut lines = vec![
            format!(
                "| the newest 50 of {CALLS} calls, ms (the first time) | SQLite | PostgreSQL | limit | |"
            ),
            "|---|---:|---:|---|---|".to_owned(),
        ];
        for (name, [sqlite, postgres]) in &self.lists {
            let verdict = if sqlite.later.max(postgres.later) <= LIMIT { "met" } else { "NOT met" };
            lines.push(format!("| {name} | {sqlite} | {postgres} | {LIMIT:.0} ms | {verdict} |"));
        }
        let [sqlite, postgres] = self.verified;
        lines.push(format!("| rows verified in a second | {sqlite:.0} | {postgres:.0} | 100,000 | |"));
        lines.push(String::new());
        lines.push(format!("The file of SQLite had {:.0} bytes for each call.", self.growth));
        lines.join("\n")
    }
}
