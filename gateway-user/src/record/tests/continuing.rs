//! A daemon goes on only with a log that it signed, and what it signs is written down.

use std::{
    fs, io,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::json;
use sqlx::migrate::Migrator;
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

use super::{
    log::{against_file, audited, cut, fill, fill_again, filled, forged, found, is_named, refused, tamper},
    support::{Bench, On, intent, on_both},
};
use crate::{
    record::{
        Config, Event, Outcome, OutcomeKind, RecordError,
        audit::{AuditError, Progress, Request, audit},
        restart_log,
        store::{POSTGRES, SQLITE, Store},
    },
    telemetry,
};

on_both!(
    an_older_copy_is_not_gone_on_with,
    another_history_is_not_gone_on_with,
    a_lost_file_is_made_anew,
    a_lost_key_is_not_replaced_in_silence,
    another_database_in_its_place_is_refused,
    who_else_writes_to_the_log_stops_the_daemon,
    what_was_added_after_an_orderly_stop_is_not_gone_on_with,
    rows_of_before_become_leaves,
    a_file_that_cannot_be_written_stops_nothing,
    checkpoints_come_while_the_daemon_runs,
    a_log_begins_and_begins_again_as_a_whole,
    a_checkpoint_of_somebody_else_is_not_taken_for_ours,
);

async fn an_older_copy_is_not_gone_on_with(on: On) {
    let bench = filled(on).await;
    let file = bench.config.checkpoint_file();
    if on == On::Sqlite {
        let copy = bench.dir.path().join("copy.db");
        fs::copy(&bench.config.database, &copy).unwrap();
        fill_again(&bench).await;
        fs::copy(&copy, &bench.config.database).unwrap();
    } else {
        fill_again(&bench).await;
        cut(&bench, 17).await;
    }
    let said = refused(&bench).await;
    assert!(said.contains("this is an older copy of the database"), "{said}");
    assert!(said.contains(&file.display().to_string()), "what to look at: {said}");
    // The way out, which the record remembers.
    assert_eq!(restart_log(&bench.config, "the disk was lost", &bench.clock).await, Ok(()));
    fill_again(&bench).await;
    let audit = audited(&bench, against_file(&bench)).await;
    assert_eq!(audit.logs.len(), 2);
    assert!(!audit.has_discrepancy(), "{audit:?}");
    let detail = bench.ask("SELECT detail FROM events WHERE kind = 'log-restarted'").await;
    let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
    assert_eq!((&detail["reason"], &detail["same_key"]), (&json!("the disk was lost"), &json!(true)));
    assert_eq!(detail["old_log"], audit.logs[0].origin);
    assert!(
        detail["old_file"].as_str().unwrap().starts_with(&format!("{}\n19\n", audit.logs[0].origin)),
        "{detail}"
    );
    // What it said is still there, and shows that the old log was longer.
    let old = fs::read(detail["old_file_is_now"].as_str().unwrap()).unwrap();
    let audit = audited(&bench, Request { against: vec![old], ..Request::default() }).await;
    assert!(audit.logs[0].found.as_ref().unwrap_err().to_string().contains("the last ones were removed"));
    assert!(audit.logs[1].found.is_ok());
}

async fn another_history_is_not_gone_on_with(on: On) {
    let bench = filled(on).await;
    let row = bench.ask("SELECT min(seq) FROM events WHERE kind = 'tick'").await;
    let forged = forged(&bench, &row).await;
    tamper(&bench, &format!("UPDATE events SET message = 'never' WHERE seq = {row}; {forged}")).await;
    tamper(&bench, "DELETE FROM checkpoints").await;
    let said = refused(&bench).await;
    assert!(said.contains("are not those that the last checkpoint covers"), "{said}");
}

async fn a_lost_file_is_made_anew(on: On) {
    let bench = filled(on).await;
    fs::remove_file(bench.config.checkpoint_file()).unwrap();
    fill_again(&bench).await;
    assert!(!audited(&bench, against_file(&bench)).await.has_discrepancy());
    // Or an older one: that of the database is newer.
    let old = fs::read(bench.config.checkpoint_file()).unwrap();
    fill_again(&bench).await;
    fs::write(bench.config.checkpoint_file(), &old).unwrap();
    fill_again(&bench).await;
    assert_ne!(fs::read(bench.config.checkpoint_file()).unwrap(), old);
    // What is none is not passed over.
    fs::write(bench.config.checkpoint_file(), String::from_utf8(old).unwrap().replace("\n1", "\n2")).unwrap();
    let said = refused(&bench).await;
    assert!(said.contains("is not believed"), "{said}");
}

async fn a_lost_key_is_not_replaced_in_silence(on: On) {
    let bench = filled(on).await;
    fs::remove_file(bench.config.log_key()).unwrap();
    let said = refused(&bench).await;
    assert!(said.contains("log.key is missing, and the log chaperone/build7/"), "{said}");
    assert!(!bench.config.log_key().exists());
    let unsaid = audit(&bench.config, Request::default(), Progress::default()).await;
    assert!(matches!(unsaid, Err(AuditError::Key(_))), "{unsaid:?}");
    // Another key is not believed.
    fs::write(bench.config.log_key(), [3; 32]).unwrap();
    fs::set_permissions(bench.config.log_key(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let said = refused(&bench).await;
    assert!(said.contains("is not believed"), "{said}");
    fs::remove_file(bench.config.log_key()).unwrap();
    let old = bench.ask("SELECT origin FROM logs").await;
    assert_eq!(restart_log(&bench.config, "the key was lost", &bench.clock).await, Ok(()));
    bench.open().await.recorder.close().await;
    // Of the old log this host can say nothing any more, and says so.
    let audit = audited(&bench, Request::default()).await;
    assert!(!audit.has_discrepancy() && audit.logs.len() == 1, "{audit:?}");
    assert_eq!(audit.without_key, [old]);
}

/// The daemon dies between what a start does first and what it does then.
async fn a_log_begins_and_begins_again_as_a_whole(on: On) {
    let bench = on.bench();
    // A database in which rows became leaves, and no more.
    drop(Store::open(&bench.config, bench.clock.now()).await.unwrap());
    assert_eq!(bench.ask("SELECT count(*) FROM logs").await, "1");
    fill(&bench).await;
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'log-begun'").await, "1");
    fs::remove_file(bench.config.log_key()).unwrap();
    // A restart that comes to nothing leaves the log that is there, and its file.
    let before = fs::read(bench.config.checkpoint_file()).unwrap();
    drop(Store::restart_log(&bench.config, "a try", bench.clock.now()).await.unwrap());
    assert_eq!(bench.ask("SELECT count(*) FROM logs").await, "1");
    assert_eq!(fs::read(bench.config.checkpoint_file()).unwrap(), before);
    // One that was cut off before its file was written is signed, and can be made again.
    let mut store = Store::restart_log(&bench.config, "cut off", bench.clock.now()).await.unwrap();
    store.recover(bench.clock.now()).await.unwrap();
    drop(store);
    let first = "SELECT kind FROM events JOIN log ON table_name = 'events' AND row_seq = seq \
                 WHERE leaf_index = 0 AND log_id = (SELECT max(id) FROM logs)";
    assert_eq!(bench.ask(first).await, "log-restarted");
    assert!(refused(&bench).await.contains("which is not the last log of this database"));
    assert_eq!(restart_log(&bench.config, "again", &bench.clock).await, Ok(()));
    bench.open().await.recorder.close().await;
    let audit = audited(&bench, Request::default()).await;
    assert_eq!(
        (audit.logs.len(), audit.without_key.len(), audit.has_discrepancy()),
        (2, 1, false),
        "{audit:?}"
    );
}

async fn a_checkpoint_of_somebody_else_is_not_taken_for_ours(on: On) {
    let bench = on.with(|config| config.log.checkpoint_secs = 3600);
    let recorder = bench.recorder().await;
    let size = "(SELECT max(leaf_index) + 1 FROM log)";
    let frontier = if on == On::Sqlite { "x''" } else { "''" };
    let forged =
        format!("INSERT INTO checkpoints (log_id, size, frontier, note) VALUES (1, {size}, {frontier}, 'x')");
    bench.rows(&forged).await.unwrap();
    recorder.close().await;
    let said = refused(&bench).await;
    assert!(said.contains("the newest checkpoint of the database is not believed"), "{said}");
    assert!(!bench.config.checkpoint_file().exists(), "nothing was signed");
}

async fn another_database_in_its_place_is_refused(on: On) {
    let bench = filled(on).await;
    let other = on.with(|config| {
        config.log = crate::record::log::Config {
            key: Some(bench.config.log_key()),
            checkpoint_file: Some(bench.config.checkpoint_file()),
            ..config.log.clone()
        };
    });
    let said = refused(&other).await;
    assert!(said.contains("which is not the last log of this database"), "{said}");
    let audit = audit(&bench.config, Request::default(), Progress::default()).await.unwrap();
    assert!(!audit.has_discrepancy());
    // Who verifies the other one against the file is told, too.
    let config = Config { log: crate::record::log::Config::default(), ..other.config.clone() };
    fill(&Bench { dir: tempfile::tempdir().unwrap(), config, clock: other.clock.clone() }).await;
    let compared = audited(&other, against_file(&bench)).await;
    assert!(compared.has_discrepancy() && compared.missing.len() == 1, "{compared:?}");
}

async fn who_else_writes_to_the_log_stops_the_daemon(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let hash = if on == On::Sqlite { "zeroblob(32)" } else { "decode(repeat('00', 32), 'hex')" };
    let next = "(SELECT max(leaf_index) + 1 FROM log)";
    let forged = format!(
        "INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) VALUES (1, {next}, 'calls', 99, {hash})"
    );
    bench.rows(&forged).await.unwrap();
    for _ in 0..2 {
        let Err(RecordError::Store(said)) = recorder.event(Event::new("tick", "")).await else { panic!() };
        assert!(said.contains("somebody else writes to the log"), "{said}");
    }
    assert_eq!(bench.ask("SELECT count(*) FROM events WHERE kind = 'tick'").await, "0");
    recorder.close().await;
    // A start would take it for its own.
    let said = refused(&bench).await;
    assert!(said.contains("somebody else writes to the log"), "{said}");
    assert_eq!(restart_log(&bench.config, "somebody wrote to it", &bench.clock).await, Ok(()));
    bench.open().await.recorder.close().await;
}

async fn what_was_added_after_an_orderly_stop_is_not_gone_on_with(on: On) {
    let bench = filled(on).await;
    bench.open().await.recorder.close().await;
    let hash = if on == On::Sqlite { "zeroblob(32)" } else { "decode(repeat('00', 32), 'hex')" };
    let forged = format!(
        "INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) SELECT 1, max(leaf_index) + 1, 'calls', 99, {hash} FROM log"
    );
    bench.rows(&forged).await.unwrap();
    let said = refused(&bench).await;
    assert!(
        said.contains("the daemon stopped in order with 18 entries signed, and now the log has 19"),
        "{said}"
    );
    assert_eq!(restart_log(&bench.config, "somebody wrote to it", &bench.clock).await, Ok(()));
    bench.open().await.recorder.close().await;
}

/// A database of the version before the log.
async fn rows_of_before_become_leaves(on: On) {
    let bench = on.bench();
    let before = |migrator: &Migrator| Migrator {
        migrations: migrator.iter().filter(|migration| migration.version < 4).cloned().collect(),
        ..Migrator::DEFAULT
    };
    match on {
        On::Sqlite => {
            fs::create_dir(bench.config.database.parent().unwrap()).unwrap();
            fs::write(&bench.config.database, []).unwrap();
            before(&SQLITE).run(&mut bench.sqlite().await).await.unwrap();
        }
        On::Postgres => before(&POSTGRES).run(&mut bench.postgres_connection().await).await.unwrap(),
    }
    let (host, build) = if on == On::Postgres { (", hostname", ", 'build8'") } else { ("", "") };
    for n in 0..25 {
        let time = format!("2026-01-01T00:00:{n:02}.000000Z");
        let sql = format!(
            "INSERT INTO events (time, kind, message, detail, truncated{host}) VALUES ('{time}', 'old', '', '{{}}', '[]'{build})"
        );
        bench.rows(&sql).await.unwrap();
    }
    fill(&bench).await;
    let report = found(&bench).await.unwrap();
    assert_eq!((report.rows, report.signed), (25 + 17, 25 + 17));
    let detail = bench.ask("SELECT detail FROM events WHERE kind = 'log-begun'").await;
    let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
    assert_eq!(detail["rows"], 25);
    tamper(&bench, "UPDATE events SET message = 'x' WHERE seq = 7").await;
    is_named(&found(&bench).await, "events row 7 was altered", "a row of before");
    bench.rows("UPDATE events SET message = '' WHERE seq = 7").await.unwrap();
    // It happens once: what is added later does not become part of it.
    let added = format!(
        "INSERT INTO events (time, kind, message, detail, truncated{host}) SELECT time, kind, message, detail, truncated{host} FROM events WHERE seq = 7"
    );
    bench.rows(&added).await.unwrap();
    bench.open().await.recorder.close().await;
    is_named(&found(&bench).await, "is not in the log", "an added row");
}

async fn a_file_that_cannot_be_written_stops_nothing(on: On) {
    let bench = on.with(|config| {
        config.log.checkpoint_rows = 1;
        config.log.checkpoint_file = Some(config.database.with_file_name("missing/log.checkpoint"));
    });
    let recorder = bench.recorder().await;
    recorder.healthy_when(|health| health.unsigned.is_some()).await;
    recorder.intend(intent(1)).await.unwrap().finish(Outcome::new(OutcomeKind::Forwarded));
    assert!(recorder.health().failing.is_none());
    fs::create_dir(bench.config.checkpoint_file().parent().unwrap()).unwrap();
    recorder.healthy_when(|health| health.unsigned.is_none()).await;
    recorder.close().await;
    assert!(!audited(&bench, against_file(&bench)).await.has_discrepancy());
}

async fn checkpoints_come_while_the_daemon_runs(on: On) {
    // By rows, and by time.
    for (rows, secs) in [(1, 3600), (1_000_000, 0)] {
        let bench = on.with(|config| {
            config.log.checkpoint_rows = rows;
            config.log.checkpoint_secs = secs;
        });
        let recorder = bench.recorder().await;
        let before = recorder.health().signed;
        recorder.event(Event::new("tick", "")).await.unwrap();
        recorder.healthy_when(|health| health.signed > before).await;
        recorder.close().await;
        found(&bench).await.unwrap();
    }
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl io::Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Journal {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The page's way from the journal to a file that `verify` takes.
fn from_journal(lines: &[u8]) -> Vec<u8> {
    const PAGE: &str = include_str!("../../../../docs/verify.md");
    let command =
        PAGE.lines().find_map(|line| line.strip_prefix("journalctl -u chaperone -o cat | ")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    let mut shell = shell.args(["-c", command]).current_dir(&dir).stdin(Stdio::piped()).spawn().unwrap();
    io::Write::write_all(&mut shell.stdin.take().unwrap(), lines).unwrap();
    assert!(shell.wait().unwrap().success());
    fs::read(dir.path().join("checkpoint")).unwrap()
}

/// With and without JSON, every checkpoint is in the daemon's log, whole.
#[tokio::test]
async fn the_journal_has_every_checkpoint() {
    for is_json in [false, true] {
        let bench = On::Sqlite.with(|config| config.log.journald = Some(true));
        let journal = Journal::default();
        // As the daemon logs, whatever else it is to say.
        let layer = tracing_subscriber::fmt::layer().with_writer(journal.clone()).with_target(false);
        let quiet = telemetry::filter(if is_json { "off" } else { "warn,gateway_user=debug" }).unwrap();
        let registry = tracing_subscriber::registry().with(quiet);
        let _guard = if is_json {
            tracing::subscriber::set_default(registry.with(layer.json()))
        } else {
            tracing::subscriber::set_default(registry.with(layer.with_ansi(false)))
        };
        fill(&bench).await;
        let lines = journal.0.lock().unwrap().clone();
        let said = from_journal(&lines);
        assert_eq!(
            said,
            fs::read(bench.config.checkpoint_file()).unwrap(),
            "{}",
            String::from_utf8_lossy(&lines)
        );
        let against = Request { against: vec![said], ..Request::default() };
        assert!(!audited(&bench, against).await.has_discrepancy());
        // A word that is not kept is found.
        cut(&bench, 5).await;
        fs::remove_file(bench.config.checkpoint_file()).unwrap();
        let against = Request { against: vec![from_journal(&lines)], ..Request::default() };
        assert!(audited(&bench, against).await.has_discrepancy());
    }
}
