//! kill -9: what was acknowledged is there, what was open becomes unknown.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::support::{Bench, HOST, On, session};
use crate::{
    clock::Clock,
    prim::{CallId, SessionId},
    record::{
        Config, Holds, Intent, MaskedValue, Outcome, OutcomeKind, Recorder, SessionStart, Side, StoreKind,
        log,
    },
};

/// The database of the child, a path or a URL; set in the child only.
const DATABASE: &str = "CHAPERONE_TEST_CRASH_DATABASE";
/// The log's key of the child.
const KEY: &str = "CHAPERONE_TEST_CRASH_KEY";
/// Set to another number of rounds for a soak.
const ROUNDS_VARIABLE: &str = "CHAPERONE_TEST_CRASH_ROUNDS";
const ROUNDS: u64 = 24;
/// After so many the database is a new one: all of it is read again after each.
const ROUNDS_EACH: u64 = 50;

/// This test runs itself again as the process that is killed.
#[test]
fn a_killed_daemon_loses_nothing_it_acknowledged() {
    kill_again_and_again(On::Sqlite, "a_killed_daemon_loses_nothing_it_acknowledged");
}

#[test]
fn a_killed_daemon_loses_nothing_that_postgres_acknowledged() {
    kill_again_and_again(On::Postgres, "a_killed_daemon_loses_nothing_that_postgres_acknowledged");
}

fn kill_again_and_again(on: On, test: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Ok(database) = std::env::var(DATABASE) {
        // A machine that is busy with something else is no failure.
        let config = Config { host: Some(HOST.to_owned()), write_timeout_secs: 60, ..Config::default() };
        let config = match on {
            On::Sqlite => Config { database: database.into(), ..config },
            On::Postgres => {
                Config { store: StoreKind::Postgres, url: Some(database.parse().unwrap()), ..config }
            }
        };
        // Often enough that many a child dies while it signs.
        let log = log::Config {
            key: std::env::var_os(KEY).map(Into::into),
            checkpoint_rows: 16,
            ..log::Config::default()
        };
        let config = Config { log, ..config };
        runtime.block_on(record_until_killed(config));
        return;
    }
    let mut bench = on.bench();
    let mut acknowledged = BTreeSet::new();
    let mut finished = BTreeSet::new();
    let mut all = 0_u64;
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        if round % ROUNDS_EACH == ROUNDS_EACH - 1 {
            println!("{round} of {rounds} rounds: {all} calls were acknowledged, and none is lost");
            bench = on.bench();
            acknowledged.clear();
            finished.clear();
        }
        for line in killed_after(&bench, test, 1 + scatter(round) % 400) {
            match line.split_once(' ') {
                Some(("intended", id)) => {
                    acknowledged.insert(id.to_owned());
                    all += 1;
                }
                Some(("finished", id)) => _ = finished.insert(id.to_owned()),
                _ => {} // The test harness of the child speaks, too.
            }
        }
        runtime.block_on(check_database(&bench, &acknowledged, &finished));
    }
    assert!(all >= rounds, "{all} intents in {rounds} rounds");
}

/// The same well-mixed numbers in every run (SplitMix64).
fn scatter(seed: u64) -> u64 {
    let z = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Starts the child, kills it once it has said `count` lines, and returns all it has said.
fn killed_after(bench: &Bench, test: &str, count: u64) -> Vec<String> {
    let config = &bench.config;
    let database = config.url.as_ref().map_or(config.database.display().to_string(), ToString::to_string);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("record::tests::crash::{test}"), "--nocapture"])
        .env(DATABASE, database)
        .env(KEY, config.log_key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    let mut said = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said += u64::from(line.starts_with("intended"));
        lines.push(line);
        if said == count {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}: {lines:?}");
    lines
}

/// The child: several callers at once, some of which finish their calls, all of which say what was
/// acknowledged.
async fn record_until_killed(config: Config) {
    let recorder = Recorder::open(&config, Clock::system()).await.unwrap().recorder;
    let id = SessionId::generate();
    recorder.session_started(SessionStart { id, ..session(1) }).await.unwrap();
    let callers: Vec<_> = (0..8_u32)
        .map(|n| {
            let recorder = recorder.clone();
            tokio::spawn(async move {
                let mut open = Vec::new();
                // Far more than the parent waits for.
                for turn in 0..2000_u32 {
                    let intent = Intent { id: CallId::generate(), session: id, ..super::support::intent(1) };
                    let call_id = intent.id;
                    let mut call = recorder.intend(intent).await.unwrap();
                    say(&format!("intended {call_id}\n"));
                    if (turn + n) % 3 == 0 {
                        open.push(call);
                    } else {
                        say(&format!("finished {call_id}\n"));
                        let answer = recorder.capture(id, Holds::Document, Some("application/json"));
                        answer.push(format!("{{\"answer\": {}}}", turn % 50).as_bytes());
                        answer.end();
                        call.capture(Side::Response, answer);
                        let path = "SecretString".to_owned();
                        let masked =
                            MaskedValue { cause: path.clone(), path, digest: Some([7; 16]), count: 1 };
                        call.finish(Outcome { masked: vec![masked], ..Outcome::new(OutcomeKind::Forwarded) });
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// One write per line, past the capture of the test harness.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn check_database(bench: &Bench, acknowledged: &BTreeSet<String>, finished: &BTreeSet<String>) {
    bench.check_integrity().await;
    let opened = bench.open().await;
    assert!(opened.closed_calls > 0, "some calls were open");
    opened.recorder.close().await;
    let rows = bench.rows("SELECT id, outcome FROM v_calls").await.unwrap();
    let rows: Vec<(&String, &String)> = rows.iter().skip(1).map(|row| (&row[0], &row[1])).collect();
    let stored: BTreeSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    for (id, outcome) in rows {
        match outcome.as_str() {
            "forwarded" => assert!(finished.contains(id), "{id} was not finished"),
            // Outcomes follow their calls: the last ones were still in the queue.
            "unknown" => {}
            other => panic!("{id} is {other}"),
        }
    }
}
