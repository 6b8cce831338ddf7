//! The log on real files and real servers: whatever is changed is found and named.

use std::fs;

use super::support::{Bench, HOST, On, call_id, intent, on_both, session, session_id};
use crate::record::{
    Config, Event, Holds, MaskedValue, Outcome, OutcomeKind, RecordError, Recorder, SessionEnd, Side,
    StoreKind,
    audit::{Audit, Contents, Progress, Request, audit, verifier},
    log::{leaf::Form, tombstone::TABLE, verify::Report},
    restart_log,
    store::columns::{HOST as HOST_COLUMN, LEAVES},
};

on_both!(
    what_was_written_fits,
    leaves_are_made_of_the_tables_columns,
    a_change_of_any_column_is_named,
    what_is_removed_added_or_moved_is_named,
    a_shortened_log_is_known_by_the_file,
    rows_go_only_with_a_tombstone_and_without_a_hold,
    a_log_that_nobody_founded_is_named,
    what_is_done_to_a_former_log_is_named,
    what_nobody_signed_says_nothing,
    what_is_changed_of_a_content_is_named,
);

/// A row in every table that the daemon fills.
pub(super) async fn fill(bench: &Bench) {
    let recorder = bench.recorder().await;
    for n in 1..=3 {
        let call = recorder.intend(intent(n)).await.unwrap();
        let path = "SecretString".to_owned();
        let masked = MaskedValue { cause: path.clone(), path, digest: Some([7; 16]), count: 1 };
        call.finish(Outcome { masked: vec![masked], ..Outcome::new(OutcomeKind::Forwarded) });
        recorder.event(Event::new("tick", format!("the {n}th"))).await.unwrap();
    }
    recorder
        .session_ended(SessionEnd { session: session_id(1), reason: "cgroup removed".to_owned() })
        .await
        .unwrap();
    recorder.close().await;
}

/// One more call, whose answer is kept.
async fn answer(bench: &Bench) {
    let recorder = bench.open().await.recorder;
    let mut call = recorder.intend(intent(8)).await.unwrap();
    let capture = recorder.capture(session_id(1), Holds::Document, Some("application/json"));
    capture.push(br#"{"SecretString":"chaperone:masked"}"#);
    capture.end();
    call.capture(Side::Response, capture);
    call.finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.close().await;
}

pub(super) async fn filled(on: On) -> Bench {
    let bench = on.bench();
    fill(&bench).await;
    bench
}

pub(super) async fn audited(bench: &Bench, request: Request) -> Audit {
    audit(&bench.config, request, Progress::default()).await.unwrap()
}

/// What is found of the only log.
pub(super) async fn found(bench: &Bench) -> Result<Report, String> {
    let mut audit = audited(bench, Request::default()).await;
    assert_eq!(audit.logs.len(), 1);
    audit.logs.remove(0).found.map_err(|discrepancy| discrepancy.to_string())
}

#[track_caller]
pub(super) fn is_named(found: &Result<Report, String>, words: &str, what: &str) {
    let Err(said) = found else { panic!("{what}: {found:?}") };
    assert!(said.contains(words), "{what}: {said}");
}

pub(super) fn against_file(bench: &Bench) -> Request {
    Request { against: vec![fs::read(bench.config.checkpoint_file()).unwrap()], ..Request::default() }
}

/// Does `sql` as somebody who may do everything: without triggers, checks and keys.
pub(super) async fn tamper(bench: &Bench, sql: &str) {
    match bench.config.store {
        StoreKind::Sqlite => {
            let triggers = bench.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'").await.unwrap();
            for trigger in triggers.iter().skip(1) {
                bench.rows(&format!("DROP TRIGGER {}", trigger[0])).await.unwrap();
            }
            let free = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; ";
            bench.rows(&format!("{free}{sql}")).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        StoreKind::Postgres => {
            let free = "DO $$ DECLARE t record; BEGIN \
                FOR t IN SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'r' \
                    AND relnamespace = 'public'::regnamespace LOOP \
                    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', t.name); END LOOP; \
                FOR t IN SELECT conrelid::regclass AS name, conname FROM pg_constraint \
                    WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace LOOP \
                    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, t.conname); END LOOP; \
                END $$; ";
            bench.rows(&format!("{free}{sql}")).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}

async fn what_was_written_fits(on: On) {
    let bench = filled(on).await;
    let report = found(&bench).await.unwrap();
    // One session with who it is and its end, three calls with outcomes and what was masked, five events.
    assert_eq!((report.rows, report.size, report.pruned), (17, 17, 0));
    // That of the database, and that of the file.
    assert_eq!((report.checkpoints, report.signed), (2, 17), "a daemon that stops in order signs all");
    let audit = audited(&bench, against_file(&bench)).await;
    assert_eq!(audit.logs[0].found.as_ref().unwrap().checkpoints, 2, "the same note counts once");
    assert!(audit.logs[0].origin.starts_with("chaperone/build7/"), "{audit:?}");
    // A crash leaves what was written since the last checkpoint unsigned, and the next start goes on.
    let recorder = bench.open().await.recorder;
    std::mem::forget(recorder.intend(intent(9)).await);
    recorder.event(Event::new("tick", "unsigned")).await.unwrap();
    let report = found(&bench).await.unwrap();
    assert_eq!((report.size, report.signed), (20, 17));
    let again = Request { keys: vec![verifier(&bench.config).await.unwrap()], ..against_file(&bench) };
    assert!(!audited(&bench, again).await.has_discrepancy());
    // Nobody's key says nothing.
    let stranger = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
    let unsaid = audited(&bench, Request { keys: vec![stranger], ..Request::default() }).await;
    assert!(unsaid.logs.is_empty() && unsaid.without_key.len() == 1, "{unsaid:?}");
}

async fn leaves_are_made_of_the_tables_columns(on: On) {
    let bench = filled(on).await;
    let (tables, columns) = match on {
        On::Sqlite => (
            "SELECT name FROM pragma_table_list WHERE type = 'table' AND strict ORDER BY name",
            "SELECT name FROM pragma_table_info('{table}') ORDER BY cid",
        ),
        On::Postgres => (
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
             AND relname NOT LIKE '\\_%' ORDER BY relname",
            "SELECT attname::text FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum",
        ),
    };
    let list = async |sql: &str| -> Vec<String> {
        bench.rows(sql).await.unwrap().into_iter().skip(1).map(|row| row[0].clone()).collect()
    };
    const NO_LEAVES: [&str; 5] = ["logs", "log", "checkpoints", "bodies", "commits"];
    for table in list(tables).await {
        if NO_LEAVES.contains(&table.as_str()) {
            continue;
        }
        let leaves = LEAVES.iter().find(|leaves| leaves.table == table).unwrap_or_else(|| panic!("{table}"));
        let later = (leaves.hosted && on == On::Postgres).then_some(HOST_COLUMN);
        let expected: Vec<&str> = ["seq"].iter().chain(leaves.columns).copied().chain(later).collect();
        assert_eq!(list(&columns.replace("{table}", &table)).await, expected, "{table}");
    }
}

async fn a_change_of_any_column_is_named(on: On) {
    let bench = filled(on).await;
    answer(&bench).await;
    for leaves in LEAVES {
        let table = leaves.table;
        if bench.ask(&format!("SELECT count(*) FROM {table}")).await == "0" {
            continue;
        }
        tamper(&bench, &format!("CREATE TABLE saved AS SELECT * FROM {table}")).await;
        let row = bench.ask(&format!("SELECT max(seq) FROM {table}")).await;
        let later = (leaves.hosted && on == On::Postgres).then_some(HOST_COLUMN);
        for column in leaves.columns.iter().copied().chain(later) {
            let kind = match on {
                On::Sqlite => {
                    format!("SELECT type FROM pragma_table_info('{table}') WHERE name = '{column}'")
                }
                On::Postgres => format!(
                    "SELECT data_type FROM information_schema.columns WHERE table_name = '{table}' AND column_name = '{column}'"
                ),
            };
            let changed = match bench.ask(&kind).await.to_lowercase().as_str() {
                "text" => format!("coalesce(\"{column}\", '') || 'x'"),
                _ => format!("coalesce(\"{column}\", 0) + 1"),
            };
            bench
                .rows(&format!("{}UPDATE {table} SET \"{column}\" = {changed} WHERE seq = {row}", free(on)))
                .await
                .unwrap();
            is_named(&found(&bench).await, &format!("{table} row {row} was altered"), column);
            let back = format!(
                "{}UPDATE {table} SET \"{column}\" = (SELECT s.\"{column}\" FROM saved AS s WHERE s.seq = {table}.seq)",
                free(on)
            );
            bench.rows(&back).await.unwrap();
        }
        bench.rows("DROP TABLE saved").await.unwrap();
    }
    found(&bench).await.unwrap();
}

/// What a connection of SQLite needs to write anything.
fn free(on: On) -> &'static str {
    match on {
        On::Sqlite => "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; ",
        On::Postgres => "",
    }
}

async fn what_is_changed_of_a_content_is_named(on: On) {
    let bench = filled(on).await;
    answer(&bench).await;
    let contents = async || {
        let audit = audited(&bench, Request::default()).await;
        assert!(audit.logs.iter().all(|log| log.found.is_ok()), "{audit:?}");
        assert_eq!(audit.has_discrepancy(), audit.contents.wrong.is_some());
        audit.contents
    };
    assert_eq!(contents().await, Contents { fit: 1, wrong: None });
    let digest = bench.ask("SELECT kept FROM call_bodies").await;
    let of = format!("the content {digest}, kept of the response of the call {}", call_id(8));
    tamper(&bench, "CREATE TABLE saved AS SELECT * FROM bodies").await;
    let flipped = match on {
        On::Sqlite => "CAST(substr(content, 1, length(content) - 1) || x'00' AS BLOB)",
        On::Postgres => {
            "set_byte(content, length(content) - 1, 255 - get_byte(content, length(content) - 1))"
        }
    };
    for (change, words) in [
        (format!("UPDATE bodies SET content = {flipped}"), format!("{of}: its content ")),
        ("UPDATE bodies SET length = length + 1".to_owned(), format!("{of}: its content has another length")),
        ("DELETE FROM bodies".to_owned(), format!("{of}: it is missing")),
        (
            format!(
                "UPDATE bodies SET digest = '{}'; INSERT INTO bodies SELECT * FROM saved",
                "0".repeat(64)
            ),
            format!("the content {} was added: it belongs to no call", "0".repeat(64)),
        ),
    ] {
        bench.rows(&format!("{}{change}", free(on))).await.unwrap();
        let said = contents().await.wrong.map(|wrong| wrong.to_string()).unwrap_or_default();
        assert!(said.starts_with(&words), "{change}: {said}");
        let back = "DELETE FROM bodies; INSERT INTO bodies SELECT * FROM saved";
        bench.rows(&format!("{}{back}", free(on))).await.unwrap();
    }
    assert_eq!(contents().await, Contents { fit: 1, wrong: None });
}

async fn what_is_removed_added_or_moved_is_named(on: On) {
    let bench = filled(on).await;
    let tick = "(SELECT min(seq) FROM events WHERE kind = 'tick')";
    let row = bench.ask(&format!("SELECT {tick}")).await;
    let call = bench.ask("SELECT min(seq) FROM calls").await;
    let entry = bench.ask("SELECT min(leaf_index) FROM log WHERE table_name = 'calls'").await;
    tamper(&bench, "CREATE TABLE log_saved AS SELECT * FROM log; CREATE TABLE events_saved AS SELECT * FROM events; \
                    CREATE TABLE calls_saved AS SELECT * FROM calls; CREATE TABLE checkpoints_saved AS SELECT * FROM checkpoints").await;
    let overriding = if on == On::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
    let hosted = if on == On::Postgres { ", hostname" } else { "" };
    let cases = [
        (format!("DELETE FROM events WHERE seq = {row}"), format!("events row {row} is missing")),
        (format!("DELETE FROM log WHERE leaf_index = {entry}"), format!("log entry {entry} is missing")),
        (
            format!(
                "INSERT INTO events (seq, time, kind, message, detail, truncated{hosted}) {overriding} \
                 SELECT 1000, time, kind, message, detail, truncated{hosted} FROM events WHERE seq = {row}"
            ),
            "events row 1000 is not in the log".to_owned(),
        ),
        (
            format!(
                "INSERT INTO events (seq, time, kind, message, detail, truncated{hosted}) {overriding} \
                 SELECT {}, time, kind, message, detail, truncated{hosted} FROM events WHERE seq = {row}",
                i64::MIN
            ),
            format!("events row {} is not in the log", i64::MIN),
        ),
        (
            // Two calls change places.
            format!(
                "UPDATE calls SET id = CASE WHEN seq = {call} THEN '{}' ELSE '{}' END WHERE seq IN ({call}, {call} + 1)",
                call_id(2),
                call_id(1)
            ),
            format!("calls row {call} was altered"),
        ),
        (
            format!("UPDATE log SET row_seq = -row_seq WHERE table_name = 'calls' AND row_seq = {call}"),
            format!("log entry {entry} was altered: it has the hash of calls row {call}"),
        ),
        (
            // The row and its entry, with a hash that is right.
            format!("UPDATE events SET message = 'never' WHERE seq = {row}; {}", forged(&bench, &row).await),
            "of size 17 does not fit the log".to_owned(),
        ),
        (
            "UPDATE checkpoints SET size = 16".to_owned(),
            "the checkpoint that is stored as that of size 16 was altered".to_owned(),
        ),
        (
            "UPDATE checkpoints SET note = replace(note, 'chaperone/', 'chaperon/')".to_owned(),
            "cannot be believed".to_owned(),
        ),
    ];
    for (sql, words) in cases {
        // The unique key of calls stands in the way of a swap.
        let sql = if sql.starts_with("UPDATE calls") {
            format!("UPDATE calls SET id = id || 'x' WHERE seq IN ({call}, {call} + 1); {sql}")
        } else {
            sql
        };
        bench.rows(&format!("{}{sql}", free(on))).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        is_named(&found(&bench).await, &words, &sql);
        for table in ["log", "events", "calls", "checkpoints"] {
            let overriding = if on == On::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
            bench
                .rows(&format!(
                    "{}DELETE FROM {table}; INSERT INTO {table} {overriding} SELECT * FROM {table}_saved",
                    free(on)
                ))
                .await
                .unwrap();
        }
        found(&bench).await.unwrap();
    }
}

/// Gives the entry of an event whose message is `never` the hash that it then has.
pub(super) async fn forged(bench: &Bench, row: &str) -> String {
    let form = event_form(bench, row, row.parse().unwrap(), Some("never")).await;
    let hash = match bench.config.store {
        StoreKind::Sqlite => format!("x'{}'", form.hash()),
        StoreKind::Postgres => format!("decode('{}', 'hex')", form.hash()),
    };
    format!("UPDATE log SET leaf = {hash} WHERE table_name = 'events' AND row_seq = {row}")
}

/// An event as it would be under another number.
async fn renumbered(bench: &Bench, row: &str, number: i64) -> Form {
    event_form(bench, row, number, None).await
}

async fn event_form(bench: &Bench, row: &str, number: i64, message: Option<&str>) -> Form {
    let columns = LEAVES.iter().find(|leaves| leaves.table == "events").unwrap().columns;
    let stored =
        bench.rows(&format!("SELECT {} FROM events WHERE seq = {row}", columns.join(", "))).await.unwrap();
    let mut form = Form::new("events", number);
    for (name, text) in columns.iter().zip(&stored[1]) {
        let text = message.filter(|_| *name == "message").unwrap_or(text.as_str());
        form = form.column(name, (text != "NULL").then_some(text));
    }
    match bench.config.store {
        StoreKind::Sqlite => form,
        StoreKind::Postgres => form.later_column(HOST_COLUMN, HOST),
    }
}

/// Removes everything from this entry on, with what was signed of it.
pub(super) async fn cut(bench: &Bench, from: u64) {
    let mut sql = String::new();
    for leaves in LEAVES {
        let table = leaves.table;
        sql += &format!(
            "DELETE FROM {table} WHERE seq IN \
             (SELECT row_seq FROM log WHERE table_name = '{table}' AND leaf_index >= {from}); "
        );
    }
    tamper(
        bench,
        &format!(
            "{sql} DELETE FROM log WHERE leaf_index >= {from}; DELETE FROM checkpoints WHERE size > {from}"
        ),
    )
    .await;
}

/// In SQLite a text may be anything, and with its checks off a hash, too.
#[tokio::test]
async fn what_is_no_text_and_no_hash_is_named() {
    for (sql, words) in [
        ("UPDATE log SET table_name = CAST(x'e3616c6c73' AS TEXT) WHERE leaf_index = 5", "log entry 5"),
        ("UPDATE log SET leaf = x'00' WHERE leaf_index = 5", "log entry 5"),
        ("UPDATE log SET leaf = CAST('' AS BLOB) WHERE leaf_index = 0", "log entry 0"),
        ("UPDATE checkpoints SET note = CAST(x'e3' || CAST(note AS BLOB) AS TEXT)", "checkpoint"),
        ("UPDATE calls SET operation = CAST(x'e3' AS TEXT) WHERE seq = 2", "calls row 2"),
    ] {
        let bench = filled(On::Sqlite).await;
        tamper(&bench, sql).await;
        is_named(&found(&bench).await, words, sql);
    }
    for sql in [
        "UPDATE call_bodies SET side = CAST(x'e3' AS TEXT)",
        "UPDATE call_bodies SET call = CAST(x'e3' AS TEXT)",
        "UPDATE bodies SET digest = CAST(x'e3' AS TEXT)",
    ] {
        let bench = filled(On::Sqlite).await;
        answer(&bench).await;
        tamper(&bench, sql).await;
        let audit = audited(&bench, Request::default()).await;
        assert!(audit.has_discrepancy(), "{sql}: {audit:?}");
    }
}

async fn a_shortened_log_is_known_by_the_file(on: On) {
    let bench = filled(on).await;
    fill_again(&bench).await;
    cut(&bench, 17).await;
    // By itself it fits.
    let key = verifier(&bench.config).await.unwrap();
    let audit = audited(&bench, Request { keys: vec![key.clone()], ..Request::default() }).await;
    assert_eq!(audit.logs[0].found.as_ref().unwrap().size, 17);
    // What is beside it says otherwise, to whoever looks for it and to whoever does not say what to look for.
    for request in [Request { keys: vec![key], ..against_file(&bench) }, Request::default()] {
        let audit = audited(&bench, request).await;
        assert_eq!(
            audit.logs[0].found.as_ref().unwrap_err().to_string(),
            "the log ends with 17 entries, but the checkpoint kept outside the database covers 19: the last ones were removed"
        );
    }
    let refused = refused(&bench).await;
    assert!(refused.contains("the log has 17 leaves, the last checkpoint covers 19"), "{refused}");
    assert!(refused.contains("chaperone log restart --reason"), "{refused}");
}

/// Why the daemon does not start.
pub(super) async fn refused(bench: &Bench) -> String {
    match Recorder::open(&bench.config, bench.clock.clone()).await {
        Err(RecordError::Open { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn fill_again(bench: &Bench) {
    let recorder = bench.open().await.recorder;
    recorder.event(Event::new("tick", "later")).await.unwrap();
    recorder.close().await;
}

/// Rows of nobody's making, and a log that says otherwise.
async fn a_log_that_nobody_founded_is_named(on: On) {
    let bench = filled(on).await;
    let hosted = if on == On::Postgres { ", hostname" } else { "" };
    let overriding = if on == On::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
    let row = bench.ask("SELECT min(seq) FROM events WHERE kind = 'tick'").await;
    let hash = renumbered(&bench, &row, 1000).await.hash();
    let hash = if on == On::Sqlite { format!("x'{hash}'") } else { format!("decode('{hash}', 'hex')") };
    let forged = format!(
        "INSERT INTO events (seq, time, kind, message, detail, truncated{hosted}) {overriding} \
         SELECT 1000, time, kind, message, detail, truncated{hosted} FROM events WHERE seq = {row}; \
         INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) \
         VALUES (99, 0, 'events', 1000, {hash}); "
    );
    tamper(&bench, &forged).await;
    let audit = audited(&bench, Request::default()).await;
    assert_eq!((audit.stray, audit.has_discrepancy()), (Some(99), true));
    // Under a name of its own, later and earlier than the host's.
    for id in [99, -1] {
        let named = format!(
            "UPDATE log SET log_id = {id} WHERE row_seq = 1000; DELETE FROM logs WHERE origin = 'other'; \
             INSERT INTO logs (id, origin, hostname, created) {overriding} \
             SELECT {id}, 'other', hostname, created FROM logs"
        );
        bench.rows(&format!("{}{named}", free(on))).await.unwrap();
        let audit = audited(&bench, Request::default()).await;
        let wrong: Vec<String> =
            audit.logs.iter().filter_map(|log| log.found.as_ref().err()).map(ToString::to_string).collect();
        assert!(audit.has_discrepancy() && audit.stray.is_none(), "{audit:?}");
        assert!(
            wrong.iter().any(|wrong| wrong.starts_with("nobody has signed for this log's beginning")),
            "{wrong:?}"
        );
    }
    // A checkpoint of no log hides nothing, and is named all the same.
    bench
        .rows(&format!(
            "{}DELETE FROM log WHERE row_seq = 1000; DELETE FROM events WHERE seq = 1000; \
        DELETE FROM logs WHERE origin = 'other'; UPDATE checkpoints SET log_id = 98",
            free(on)
        ))
        .await
        .unwrap();
    assert_eq!(audited(&bench, Request::default()).await.stray, Some(98));
}

/// A log that is not gone on with is not anybody's to add to.
async fn what_is_done_to_a_former_log_is_named(on: On) {
    let bench = filled(on).await;
    let old = verifier(&bench.config).await.unwrap();
    assert_eq!(restart_log(&bench.config, "a new beginning", &bench.clock).await, Ok(()));
    bench.open().await.recorder.close().await;
    let logs = audited(&bench, Request::default()).await.logs;
    assert!(logs.len() == 2 && logs.iter().all(|log| log.found.is_ok()), "{logs:?}");
    // With one more row at its end, and the hash that it has.
    let hosted = if on == On::Postgres { ", hostname" } else { "" };
    let overriding = if on == On::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
    let row = bench.ask("SELECT min(seq) FROM events WHERE kind = 'tick'").await;
    let form = renumbered(&bench, &row, 1000).await;
    let hash = match on {
        On::Sqlite => format!("x'{}'", form.hash()),
        On::Postgres => format!("decode('{}', 'hex')", form.hash()),
    };
    let added = format!(
        "INSERT INTO events (seq, time, kind, message, detail, truncated{hosted}) {overriding} \
         SELECT 1000, time, kind, message, detail, truncated{hosted} FROM events WHERE seq = {row}; \
         INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) \
         SELECT 1, max(leaf_index) + 1, 'events', 1000, {hash} FROM log WHERE log_id = 1"
    );
    tamper(&bench, &added).await;
    let audit = audited(&bench, Request::default()).await;
    is_named(
        &audit.logs[0].found.clone().map_err(|error| error.to_string()),
        "as the signed beginning of the log after it says",
        &added,
    );
    assert!(audit.logs[1].found.is_ok());
    // Under the least number that there is, it is in no log that is read.
    let least = format!("UPDATE log SET log_id = {}, leaf_index = 0 WHERE row_seq = 1000", i64::MIN);
    bench.rows(&format!("{}{least}", free(on))).await.unwrap();
    let audit = audited(&bench, Request::default()).await;
    assert_eq!((audit.stray, audit.unread), (Some(i64::MIN), Some(1)));
    bench
        .rows(&format!(
            "{}DELETE FROM log WHERE row_seq = 1000; DELETE FROM events WHERE seq = 1000",
            free(on)
        ))
        .await
        .unwrap();
    assert!(!audited(&bench, Request::default()).await.has_discrepancy());
    // The new one is gone, with everything in it: who has its key has seen it.
    let new = verifier(&bench.config).await.unwrap();
    let second = "(SELECT max(id) FROM logs)";
    let mut gone = String::new();
    for leaves in LEAVES {
        let table = leaves.table;
        gone += &format!(
            "DELETE FROM {table} WHERE seq IN (SELECT row_seq FROM log WHERE table_name = '{table}' AND log_id = {second}); "
        );
    }
    gone += &format!(
        "DELETE FROM log WHERE log_id = {second}; DELETE FROM checkpoints WHERE log_id = {second}; DELETE FROM logs WHERE id = {second}"
    );
    bench.rows(&format!("{}{gone}", free(on))).await.unwrap();
    let keys = Request { keys: vec![old, new.clone()], ..Request::default() };
    let audit = audited(&bench, keys).await;
    assert_eq!((audit.missing, audit.logs.len()), (vec![new.name().as_str().to_owned()], 1));
}

async fn what_nobody_signed_says_nothing(on: On) {
    let bench = filled(on).await;
    let keys = Request { keys: vec![verifier(&bench.config).await.unwrap()], ..Request::default() };
    tamper(&bench, "DELETE FROM checkpoints").await;
    let audit = audited(&bench, keys).await;
    assert!(!audit.has_discrepancy() && audit.is_silent(), "{audit:?}");
    assert_eq!(audit.unsigned, [audit.logs[0].origin.clone()]);
    // Nor is it gone on with where somebody began it who has no key, and the file is not there.
    fs::remove_file(bench.config.checkpoint_file()).unwrap();
    let overriding = if on == On::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
    let begun = format!(
        "INSERT INTO logs (id, origin, hostname, created) {overriding} \
         SELECT 99, 'chaperone/build7/00', hostname, created FROM logs"
    );
    bench.rows(&format!("{}{begun}", free(on))).await.unwrap();
    let said = refused(&bench).await;
    assert!(said.contains("is not this host's first, and nobody has signed it"), "{said}");
}

async fn rows_go_only_with_a_tombstone_and_without_a_hold(on: On) {
    let bench = filled(on).await;
    let row = bench.ask("SELECT min(seq) FROM outcomes").await;
    let hash = if on == On::Sqlite { "zeroblob(32)" } else { "decode(repeat('00', 32), 'hex')" };
    let remove = format!("DELETE FROM outcomes WHERE seq = {row}");
    let refused = async |what: &str| {
        let error = bench.rows(&remove).await.expect_err(what).to_string();
        assert!(error.contains("records are append-only"), "{what}: {error}");
    };
    refused("nothing stands for it").await;
    let time = "2026-03-01T12:00:00.000000Z";
    let stone = format!(
        "INSERT INTO {TABLE} (time, table_name, first_row, last_row, row_count, digest, actor, reason, note) \
         VALUES ('{time}', 'outcomes', {row}, {row}, 1, {hash}, 'a', 'r', '')"
    );
    bench.rows(&stone).await.unwrap();
    refused("its tombstone is not logged").await;
    let next = "(SELECT max(leaf_index) + 1 FROM log)";
    let entry = format!(
        "INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf) VALUES (1, {next}, '{TABLE}', 1, {hash})"
    );
    bench.rows(&entry).await.unwrap();
    for (n, scope) in [
        ("session", format!("'{}'", session_id(1))),
        ("workload", format!("'{}'", session(1).workload)),
        ("since", "'2026-01-01T00:00:00.000000Z'".to_owned()),
        ("until", "'2027-01-01T00:00:00.000000Z'".to_owned()),
    ] {
        bench
            .rows(&format!(
                "INSERT INTO holds (id, time, actor, reason, {n}) VALUES ('{n}', '{time}', 'a', 'r', {scope})"
            ))
            .await
            .unwrap();
        refused(n).await;
        bench
            .rows(&format!(
                "INSERT INTO hold_releases (hold, time, actor, reason) VALUES ('{n}', '{time}', 'a', 'r')"
            ))
            .await
            .unwrap();
    }
    for (id, column, scope) in [
        ("x", "session", "'another'".to_owned()),
        ("y", "since", "'2027-01-01T00:00:00.000000Z'".to_owned()),
        ("z", "until", "'2026-01-01T00:00:00.000000Z'".to_owned()),
    ] {
        let hold = format!(
            "INSERT INTO holds (id, time, actor, reason, {column}) VALUES ('{id}', '{time}', 'a', 'r', {scope})"
        );
        bench.rows(&hold).await.unwrap();
    }
    bench.rows(&remove).await.unwrap();
    assert_eq!(bench.ask("SELECT count(*) FROM outcomes").await, "2");
    // A tombstone that nobody signed excuses nothing.
    is_named(&found(&bench).await, "tombstone 1", "a forged tombstone");
}

#[tokio::test]
async fn every_host_has_a_log_of_its_own() {
    let bench = On::Postgres.bench();
    let other = Config {
        host: Some("build8".to_owned()),
        log: crate::record::log::Config {
            key: Some(bench.dir.path().join("other.key")),
            ..Default::default()
        },
        ..bench.config.clone()
    };
    let other = Config {
        log: crate::record::log::Config {
            checkpoint_file: Some(bench.dir.path().join("other.checkpoint")),
            ..other.log.clone()
        },
        ..other
    };
    fill(&bench).await;
    let theirs = Recorder::open(&other, bench.clock.clone()).await.unwrap().recorder;
    let ours = bench.open().await.recorder;
    for _ in 0..10 {
        theirs.event(Event::new("tick", "theirs")).await.unwrap();
        ours.event(Event::new("tick", "ours")).await.unwrap();
    }
    theirs.close().await;
    ours.close().await;
    // With what is on this host, this host's log.
    let ours = audited(&bench, Request::default()).await;
    assert_eq!((ours.logs.len(), ours.without_key.len(), ours.has_discrepancy()), (1, 1, false), "{ours:?}");
    let keys = vec![verifier(&bench.config).await.unwrap(), verifier(&other).await.unwrap()];
    let request = Request { keys, ..Request::default() };
    let all = audited(&bench, request.clone()).await;
    let rows: Vec<u64> = all.logs.iter().map(|log| log.found.as_ref().unwrap().rows).collect();
    assert_eq!(rows, [17 + 11, 12]);
    // A row that no log names is found by whoever looks.
    tamper(
        &bench,
        "INSERT INTO events (time, kind, message, detail, truncated, hostname) \
                    SELECT time, kind, message, detail, truncated, hostname FROM events WHERE seq = 1",
    )
    .await;
    let all = audited(&bench, request).await;
    assert!(all.logs.iter().all(|log| log.found.is_err()), "{all:?}");
}
