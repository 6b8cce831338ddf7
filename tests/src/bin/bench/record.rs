//! What the record of a call takes: durable calls in a second, processor time, bytes on disk; and verifying it.
//!
//! The recorder alone, as the gateway uses it, on SQLite and a disk: each caller waits until its intent is durable, says
//! what came of it, and begins the next.

use std::{
    fs::{File, OpenOptions},
    io::{Seek as _, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use gateway_user::{
    clock::Clock,
    identify::{Identity, WorkloadConfig},
    prim::{CallId, CgroupId, CgroupPath, SessionId},
    record::{
        Config, Decision, Intent, Outcome, OutcomeKind, Recorder, SessionStart,
        audit::{Progress, Request, audit},
    },
};

use crate::understand::percentile;

/// Callers at once: a busy host, and the most that flushes are shared by.
const CALLERS: [usize; 2] = [64, 512];
/// Calls of each round.
const CALLS: usize = 20_000;
/// Rounds; the medians are printed.
const ROUNDS: usize = 5;
/// Durable calls in a second wanted, with the most callers.
const LIMIT: f64 = 3000.0;
/// Rows verified in a second wanted.
const VERIFIED: f64 = 100_000.0;
/// Flushes of a file that are measured for comparison, each round.
const FLUSHES: u32 = 200;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    rounds: Vec<Round>,
    /// Nanoseconds of a flush of one page.
    flushes: Vec<u64>,
    /// Bytes of the database for each call.
    growth: f64,
    /// Rows verified in a second, each round.
    verified: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Round {
    callers: usize,
    per_second: f64,
    cpu_us: f64,
}

/// Measures in this process, in `target`, so that it is a disk and no memory.
pub(crate) fn measure() -> Result<Figures> {
    let dir =
        tempfile::tempdir_in(chaperone_tests::harness::built("bench")?.parent().context("a directory")?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Figures::default();
    for round in 0..ROUNDS {
        figures.flushes.extend(flushes(dir.path())?);
        for callers in CALLERS {
            // A log's key and its last checkpoint lie beside its database.
            let database = dir.path().join(format!("{round}-{callers}/chaperone.db"));
            let config = Config { database: database.clone(), ..Config::default() };
            figures.rounds.push(runtime.block_on(calls(&config, callers))?);
            figures.verified.push(runtime.block_on(verified(&config))?);
            figures.growth = std::fs::metadata(&database)?.len() as f64 / CALLS as f64;
        }
    }
    Ok(figures)
}

/// Nanoseconds of flushes of a page each.
fn flushes(dir: &Path) -> Result<Vec<u64>> {
    let path = dir.join("page");
    let mut file: File = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..FLUSHES {
        file.rewind()?;
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(times)
}

async fn calls(config: &Config, callers: usize) -> Result<Round> {
    let opened = Recorder::open(config, Clock::system()).await?;
    let recorder = opened.recorder;
    let session = SessionId::generate();
    recorder.session_started(start(session)).await?;
    let (cpu, begun) = (cpu(), Instant::now());
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let recorder = recorder.clone();
            let turns = CALLS / callers + usize::from(caller < CALLS % callers);
            tokio::spawn(async move {
                for turn in 0..turns {
                    let call = recorder.intend(intent(session, turn)).await?;
                    call.finish(outcome());
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    recorder.close().await;
    let (took, cpu) = (begun.elapsed(), self::cpu() - cpu);
    opened.writer.await?;
    let calls = CALLS as f64;
    Ok(Round { callers, per_second: calls / took.as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / calls })
}

/// How many rows a second are verified.
pub(crate) async fn verified(config: &Config) -> Result<f64> {
    let begun = Instant::now();
    let found = audit(config, Request::default(), Progress::default()).await?;
    let took = begun.elapsed();
    ensure!(!found.has_discrepancy(), "{found:?}");
    let reports = found.logs.iter().filter_map(|log| log.found.as_ref().ok());
    Ok(reports.map(|report| report.rows as f64).sum::<f64>() / took.as_secs_f64())
}

pub(crate) fn start(id: SessionId) -> SessionStart {
    let workload = "bench".parse().unwrap_or_else(|_| unreachable!("a name"));
    SessionStart {
        id,
        started: Clock::system().now(),
        identity: Arc::new(Identity::host(&WorkloadConfig::named(workload))),
        workload: "bench".parse().unwrap_or_else(|_| unreachable!("a name")),
        hostname: "bench".to_owned(),
        boot_id: "6f1d7c1e-4a7b-4a53-9d8e-3f2c3b1a0e55".to_owned(),
        cgroup_path: CgroupPath::new("agents.slice/bench.scope"),
        cgroup_id: CgroupId(4711),
        command: vec!["bench".to_owned()],
        uid: Some(1000),
    }
}

/// A call of usual length: 300 bytes of parameters.
pub(crate) fn intent(session: SessionId, turn: usize) -> Intent {
    let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders";
    Intent {
        account: Some("123456789012".to_owned()),
        region: Some("eu-central-1".to_owned()),
        host: Some("dynamodb.eu-central-1.amazonaws.com".to_owned()),
        service: Some("dynamodb".to_owned()),
        operation: Some("Query".to_owned()),
        method: Some("POST".to_owned()),
        actions: vec!["dynamodb:Query".to_owned()],
        resources: vec![table.to_owned()],
        params: serde_json::json!({
            "TableName": "orders",
            "KeyConditionExpression": "pk = :customer AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":customer": {"S": format!("CUSTOMER#{turn}")}, ":prefix": {"S": "ORDER#2026"}},
            "ProjectionExpression": "pk, sk, total, currency, paid",
            "Limit": 100,
            "ScanIndexForward": false
        }),
        rules: vec!["orders-read".to_owned()],
        policy_digest: Some("5f".repeat(32)),
        access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
        request_digest: Some("a7".repeat(32)),
        ..Intent::new(CallId::generate(), session, 42, 1000, Decision::Allow)
    }
}

pub(crate) fn outcome() -> Outcome {
    Outcome {
        status: Some(200),
        aws_request_id: Some("OQKDNVGGH7A7EXAMPLEVRT3PJVVV4KQNSO5AEMVJF66Q9EXAMPLE".to_owned()),
        upstream: Some(Duration::from_micros(4321)),
        gateway: Some(Duration::from_micros(321)),
        bytes_in: Some(420),
        bytes_out: Some(2048),
        ..Outcome::new(OutcomeKind::Forwarded)
    }
}

/// Processor time of this process so far, of all its threads.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to the place it is given, and nothing else.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(read, 0, "this clock is always there: clock_gettime(2)");
    Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

impl Figures {
    /// Markdown: one row per number of callers.
    pub(crate) fn report(&self) -> String {
        let mut lines = vec![
            "| record a call, SQLite | per second | CPU µs each | limit | |".to_owned(),
            "|---|---:|---:|---|---|".to_owned(),
        ];
        for callers in CALLERS {
            let of = |what: fn(&Round) -> f64| {
                median(self.rounds.iter().filter(|round| round.callers == callers).map(what).collect())
            };
            let (per_second, cpu) = (of(|round| round.per_second), of(|round| round.cpu_us));
            let verdict = if per_second >= LIMIT { "met" } else { "NOT met" };
            lines.push(format!(
                "| durable calls, {callers} callers at once | {per_second:.0} | {cpu:.0} | {LIMIT:.0} per second | {verdict} |"
            ));
        }
        let verified = median(self.verified.clone());
        let verdict = if verified >= VERIFIED { "met" } else { "NOT met" };
        lines.push(format!(
            "| rows verified in a second | {verified:.0} | – | {VERIFIED:.0} per second | {verdict} |"
        ));
        lines.push(String::new());
        lines.push(format!(
            "A flush of one page to the same disk took {:.0} µs in the same run. The database grew by {:.0} bytes a call, of \
             which 300 are parameters.",
            percentile(&self.flushes, 50),
            self.growth
        ));
        lines.join("\n")
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
