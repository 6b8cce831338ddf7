//! How many calls a second become durable in SQLite, with their leaves of the log, and how fast the record is verified.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use gateway_user::{
    clock::Clock,
    identify::{Identity, WorkloadConfig},
    prim::{CallId, CgroupId, CgroupPath, SessionId},
    record::{
        Config, Decision, Intent, Outcome, OutcomeKind, Recorder, SessionStart,
        audit::{Progress, Request, audit},
    },
};

/// Calls, in all.
const CALLS: u32 = 100_000;
/// Callers at once.
const CALLERS: u32 = 256;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    calls_per_second: f64,
    rows: u64,
    rows_per_second: f64,
}

/// Measures in this process, on the disk of the build directory.
pub(crate) fn measure() -> Result<Figures> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let dir = tempfile::tempdir_in("target")?;
        let config = Config { database: dir.path().join("chaperone.db"), ..Config::default() };
        let recorder = Recorder::open(&config, Clock::system()).await?.recorder;
        let session = SessionId::generate();
        recorder.session_started(start(session)?).await?;
        let began = Instant::now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let recorder = recorder.clone();
                tokio::spawn(async move {
                    for _ in 0..CALLS / CALLERS {
                        recorder.intend(intent(session)).await?.finish(Outcome::new(OutcomeKind::Forwarded));
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for caller in callers {
            caller.await??;
        }
        let took = began.elapsed().as_secs_f64();
        recorder.close().await;
        let began = Instant::now();
        let found = audit(&config, Request::default(), Progress::default()).await?;
        ensure!(!found.has_discrepancy(), "{found:?}");
        let rows =
            found.logs.iter().filter_map(|log| log.found.as_ref().ok()).map(|report| report.rows).sum();
        Ok(Figures {
            calls_per_second: f64::from(CALLS / CALLERS * CALLERS) / took,
            rows,
            rows_per_second: precise(rows) / began.elapsed().as_secs_f64(),
        })
    })
}

/// Far fewer than would lose a digit.
fn precise(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn start(id: SessionId) -> Result<SessionStart> {
    Ok(SessionStart {
        id,
        started: Clock::system().now(),
        workload: "bench".parse()?,
        identity: Arc::new(Identity::host(&WorkloadConfig::named("bench".parse()?))),
        hostname: "bench".to_owned(),
        boot_id: "6f1d7c1e-4a7b-4a53-9d8e-3f2c3b1a0e55".to_owned(),
        cgroup_path: CgroupPath::new("agents.slice/bench.scope"),
        cgroup_id: CgroupId(1),
        command: vec!["bench".to_owned()],
        uid: Some(1000),
    })
}

fn intent(session: SessionId) -> Intent {
    Intent {
        account: Some("123456789012".to_owned()),
        region: Some("eu-central-1".to_owned()),
        host: Some("builds.s3.eu-central-1.amazonaws.com".to_owned()),
        service: Some("s3".to_owned()),
        operation: Some("GetObject".to_owned()),
        method: Some("GET".to_owned()),
        actions: vec!["s3:GetObject".to_owned()],
        resources: vec!["arn:aws:s3:::builds/2026/03/01/app.tar".to_owned()],
        params: serde_json::json!({"Bucket": "builds", "Key": "2026/03/01/app.tar", "Range": "bytes=0-8191"}),
        rules: vec!["builds-read".to_owned()],
        ..Intent::new(CallId::generate(), session, 42, 1000, Decision::Allow)
    }
}

impl Figures {
    /// Markdown: one row per figure.
    pub(crate) fn report(&self) -> String {
        format!(
            "| the record, SQLite | a second | limit |\n|---|---:|---:|\n| durable calls, {CALLERS} at once | {:.0} | 3,000 |\n\
             | rows verified, of {} | {:.0} | 100,000 |",
            self.calls_per_second, self.rows, self.rows_per_second
        )
    }
}
