//! A database that cannot be written: new calls are refused, outcomes wait, and it recovers by itself.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use sqlx::{Connection, Executor};

use super::{
    server::Server,
    support::{Bench, call_id, intent},
};
use crate::record::{Event, Outcome, OutcomeKind, RecordError};

const FULL: &str = "error returned from database: (code: 13) database or disk is full";

#[tokio::test]
async fn a_full_database_refuses_and_recovers() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    let finished = recorder.intend(intent(1)).await.unwrap();
    let dropped = recorder.intend(intent(2)).await.unwrap();

    recorder.limit_pages(Some(1)).await;
    let big = || {
        let mut event = Event::new("filler", "x".repeat(4000));
        event.detail = serde_json::json!(vec!["y".repeat(2000); 2]);
        event
    };
    assert_eq!(recorder.event(big()).await, Err(RecordError::Store(FULL.to_owned())));
    assert_eq!(
        recorder.health().failing.as_deref(),
        Some(RecordError::Store(FULL.to_owned()).to_string().as_str())
    );
    // The outcomes of calls that already happened fill their pages too, and wait.
    finished.finish(Outcome { error_code: Some("e".repeat(256)), ..Outcome::new(OutcomeKind::Forwarded) });
    drop(dropped);
    let mut refused = 0;
    for n in 3..40 {
        match recorder.intend(intent(n)).await {
            Err(error) => {
                assert_eq!(error, RecordError::Store(FULL.to_owned()));
                refused += 1;
            }
            Ok(call) => drop(call),
        }
    }
    assert!(refused > 0, "the pages ran out");

    recorder.limit_pages(None).await;
    recorder.intend(intent(50)).await.unwrap().finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.close().await;
    assert_eq!(
        bench
            .ask("SELECT group_concat(outcome) FROM v_calls WHERE id IN (SELECT id FROM calls ORDER BY seq LIMIT 2)")
            .await,
        "forwarded,aborted"
    );
    assert_eq!(bench.ask("SELECT outcome FROM v_calls ORDER BY seq DESC LIMIT 1").await, "forwarded");
    assert_eq!(bench.ask("SELECT count(*) FILTER (WHERE outcome = 'open') || '' FROM v_calls").await, "0");
    assert_eq!(bench.ask("PRAGMA integrity_check").await, "ok");
}

/// As when its file system is mounted anew, to be read alone.
#[tokio::test]
async fn a_database_that_may_only_be_read_refuses_and_recovers() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    let open = recorder.intend(intent(1)).await.unwrap();
    recorder.only_read(true).await;
    let refused = "error returned from database: (code: 8) attempt to write a readonly database";
    for n in 2..5 {
        assert_eq!(recorder.intend(intent(n)).await.err(), Some(RecordError::Store(refused.to_owned())));
    }
    assert!(recorder.health().failing.is_some());
    // It happened, and waits.
    open.finish(Outcome::new(OutcomeKind::Forwarded));
    assert_eq!(recorder.event(Event::new("tick", "")).await, Err(RecordError::Store(refused.to_owned())));
    recorder.only_read(false).await;
    recorder.healthy_when(|health| health.failing.is_none() && health.open_calls == 0).await;
    recorder.intend(intent(6)).await.unwrap().finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.close().await;
    assert_eq!(
        bench.ask("SELECT group_concat(id || outcome) FROM v_calls").await,
        [1, 6].map(|n| format!("{}forwarded", call_id(n))).join(",")
    );
    bench.check_integrity().await;
}

#[tokio::test]
async fn outcomes_are_retried_without_a_new_call() {
    let bench = Bench::with(|config| config.busy_timeout_ms = 1);
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    let mut shell = bench.sqlite().await;
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    let locked = RecordError::Store("error returned from database: (code: 5) database is locked".to_owned());
    assert_eq!(recorder.intend(intent(2)).await.err(), Some(locked));
    call.finish(Outcome::new(OutcomeKind::Forwarded));
    shell.execute("ROLLBACK").await.unwrap();
    shell.close().await.unwrap();
    recorder.healthy_when(|health| health.failing.is_none() && health.open_calls == 0).await;
    assert_eq!(
        bench.ask("SELECT group_concat(id || outcome) FROM v_calls").await,
        format!("{}forwarded", call_id(1))
    );
}

#[tokio::test]
async fn while_the_database_refuses_outcomes_stay_in_their_slots() {
    let bench = Bench::with(|config| {
        config.busy_timeout_ms = 1;
        config.batch_rows = 2;
    });
    let recorder = bench.recorder().await;
    let mut calls = Vec::new();
    for n in 1..=10 {
        calls.push(recorder.intend(intent(n)).await.unwrap());
    }
    let mut shell = bench.sqlite().await;
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    calls.into_iter().for_each(|call| call.finish(Outcome::new(OutcomeKind::Forwarded)));
    for _ in 0..20 {
        assert!(recorder.event(Event::new("tick", "")).await.is_err());
        // A batch of two is all that the writer took out.
        assert_eq!(recorder.health().open_calls, 8);
    }
    shell.execute("ROLLBACK").await.unwrap();
    shell.close().await.unwrap();
    recorder.close().await;
    assert_eq!(bench.ask("SELECT count(*) || outcome FROM v_calls GROUP BY outcome").await, "10forwarded");
}

#[tokio::test]
async fn a_locked_database_refuses_within_the_time_out() {
    let bench = Bench::with(|config| {
        config.busy_timeout_ms = 60_000;
        config.write_timeout_secs = 1;
    });
    let recorder = bench.recorder().await;
    let mut shell = bench.sqlite().await;
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    let timeout = RecordError::Timeout(std::time::Duration::from_secs(1));
    assert_eq!(recorder.intend(intent(1)).await.err(), Some(timeout));
    shell.execute("ROLLBACK").await.unwrap();
    shell.close().await.unwrap();
    recorder.close().await;
    // It was queued already; what is written says that it did not go on.
    assert_eq!(bench.ask("SELECT outcome FROM v_calls").await, "aborted");
}

#[tokio::test]
async fn a_file_that_was_moved_away_collects_nothing() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    let moved = bench.file(".moved");
    std::fs::rename(&bench.config.database, &moved).unwrap();
    let missing = RecordError::Store(
        "error communicating with database: No such file or directory (os error 2)".to_owned(),
    );
    assert_eq!(recorder.intend(intent(1)).await.err(), Some(missing));
    std::fs::write(&bench.config.database, "").unwrap();
    let replaced = RecordError::Store(
        "error communicating with database: the file was moved or replaced; restart the daemon".to_owned(),
    );
    assert_eq!(recorder.intend(intent(1)).await.err(), Some(replaced));
    std::fs::rename(&moved, &bench.config.database).unwrap();
    drop(recorder.intend(intent(1)).await.unwrap());
}

#[tokio::test]
async fn stopping_while_the_database_refuses_leaves_unknown_calls() {
    let bench = Bench::with(|config| {
        config.busy_timeout_ms = 1;
        config.retry_max_secs = 0;
    });
    let recorder = bench.recorder().await;
    let call = recorder.intend(intent(1)).await.unwrap();
    let mut shell = bench.sqlite().await;
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    call.finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.close().await;
    shell.close().await.unwrap();
    let opened = bench.open().await;
    assert_eq!(opened.closed_calls, 1);
    assert_eq!(bench.ask("SELECT outcome FROM v_calls").await, "unknown");
}

/// A real full disk: this test runs itself again in its own user and mount namespaces, on a small tmpfs.
#[test]
fn a_full_disk_refuses_and_recovers() {
    on_a_small_disk(&["--user", "--map-root-user"], "1m", "a_full_disk_refuses_and_recovers", |dir| {
        let mut bench = Bench::with(|config| config.database = dir.join("chaperone.db"));
        bench.config.retry_max_secs = 0;
        one_thread().block_on(fill_and_free(&bench, dir));
    });
}

/// The same for PostgreSQL, whose tables are on the small disk.
#[test]
fn a_full_tablespace_refuses_and_recovers() {
    on_a_small_disk(&[], "16m", "a_full_tablespace_refuses_and_recovers", |dir| {
        let server = Server::start("", &std::env::temp_dir());
        let bench = Bench::postgres(&server, |config| config.retry_max_secs = 0);
        let database = one_thread().block_on(bench.ask("SELECT current_database()"));
        server.move_database(&database, dir);
        one_thread().block_on(fill_and_free(&bench, dir));
    });
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `test` again with a tmpfs that nobody else sees, which ends with it; there, does `inside`.
fn on_a_small_disk(namespaces: &[&str], size: &str, test: &str, inside: impl FnOnce(&Path)) {
    const MOUNTED: &str = "CHAPERONE_TEST_SMALL_DISK";
    if let Some(dir) = std::env::var_os(MOUNTED) {
        inside(Path::new(&dir));
        println!("full and free again");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!(r#"mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@""#);
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["--mount", "sh", "-c", &script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("record::tests::disk::{test}"), "--nocapture"])
        .env(MOUNTED, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("full and free again"), "{text}");
}

async fn fill_and_free(bench: &Bench, dir: &Path) {
    let recorder = bench.recorder().await;
    let finished = recorder.intend(intent(1)).await.unwrap();
    let dropped = recorder.intend(intent(2)).await.unwrap();

    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![0; 64 << 20]).expect_err("the disk is smaller than that");
    let mut error = None;
    for n in 3..10_000 {
        match recorder.intend(intent(n)).await {
            Ok(call) => drop(call),
            Err(refused) => {
                error = Some(refused);
                break;
            }
        }
    }
    assert!(matches!(error, Some(RecordError::Store(_))), "{error:?}");
    finished.finish(Outcome::new(OutcomeKind::Forwarded));
    drop(dropped);
    let big = Event::new("tick", "still full".repeat(400));
    while recorder.event(big.clone()).await.is_ok() {}

    std::fs::remove_file(&ballast).unwrap();
    recorder.healthy_when(|health| health.failing.is_none()).await;
    recorder.intend(intent(50_000)).await.unwrap().finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.close().await;
    let first = "SELECT group_concat(outcome) FROM (SELECT outcome FROM v_calls ORDER BY seq LIMIT 2) AS c";
    assert_eq!(bench.ask(first).await, "forwarded,aborted");
    assert_eq!(bench.ask("SELECT outcome FROM v_calls ORDER BY seq DESC LIMIT 1").await, "forwarded");
    assert_eq!(bench.ask("SELECT count(*) || '' FROM v_calls WHERE outcome = 'open'").await, "0");
    bench.check_integrity().await;
}
