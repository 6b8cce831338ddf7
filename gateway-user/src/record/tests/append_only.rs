//! Nothing is changed, nothing is removed; not by this program, and not by a person with a shell.

use sqlx::{AssertSqlSafe, Executor, SqliteConnection};

use super::support::{Bench, On, intent, session_id};
use crate::record::{Event, Holds, MaskedValue, Outcome, OutcomeKind, SessionEnd, Side, StoreKind};

async fn check_refused(conn: &mut SqliteConnection, sql: String) {
    let error = conn.execute(AssertSqlSafe(sql.clone())).await.expect_err(&sql);
    let message = error.to_string();
    assert!(message.contains("records are append-only"), "{sql}: {message}");
}

/// The tables of both stores, and what tells their rows apart.
const KEYS: [(&str, &str); 15] = [
    ("sessions", "id"),
    ("identities", "session"),
    ("session_ends", "session"),
    ("calls", "id"),
    ("outcomes", "call"),
    ("masked", "call"),
    ("bodies", "digest"),
    ("call_bodies", "call"),
    ("events", "seq"),
    ("logs", "origin"),
    ("log", "leaf_index"),
    ("checkpoints", "size"),
    ("tombstones", "table_name"),
    ("holds", "id"),
    ("hold_releases", "hold"),
];

/// Rows of the tables that the daemon itself does not fill.
const BY_HAND: &str = "\
    INSERT INTO logs (origin, hostname, created) VALUES ('other', 'h', '2026-03-01T12:00:00.000000Z');
    INSERT INTO log (log_id, leaf_index, table_name, row_seq, leaf)
    SELECT max(id), 0, 'none', 1, {hash} FROM logs;
    INSERT INTO checkpoints (log_id, size, frontier, note) SELECT max(id), 1, {hash}, '' FROM logs;
    INSERT INTO tombstones (time, table_name, first_row, last_row, row_count, digest, actor, reason, note)
    VALUES ('2026-03-01T12:00:00.000000Z', 'calls', 1, 1, 1, {hash}, 'a', 'r', '');
    INSERT INTO holds (id, time, actor, reason, session)
    VALUES ('h-1', '2026-03-01T12:00:00.000000Z', 'a', 'r', 'other');
    INSERT INTO hold_releases (hold, time, actor, reason)
    VALUES ('h-1', '2026-03-01T12:00:00.000000Z', 'a', 'r')";

/// A row for every table.
async fn fill(bench: &Bench) {
    let recorder = bench.recorder().await;
    let mut call = recorder.intend(intent(1)).await.unwrap();
    let answer = recorder.capture(session_id(1), Holds::Document, Some("application/json"));
    answer.push(b"{}");
    answer.end();
    call.capture(Side::Response, answer);
    let path = "SecretString".to_owned();
    let masked = MaskedValue { cause: path.clone(), path, digest: Some([7; 16]), count: 1 };
    call.finish(Outcome { masked: vec![masked], ..Outcome::new(OutcomeKind::Forwarded) });
    recorder.event(Event::new("tick", "a row")).await.unwrap();
    recorder
        .session_ended(SessionEnd { session: session_id(1), reason: "cgroup removed".to_owned() })
        .await
        .unwrap();
    recorder.close().await;
    let hash = match bench.config.store {
        StoreKind::Sqlite => "zeroblob(32)",
        StoreKind::Postgres => "decode(repeat('00', 32), 'hex')",
    };
    bench.rows(&BY_HAND.replace("{hash}", hash)).await.unwrap();
}

#[tokio::test]
async fn update_delete_and_replace_are_refused_in_every_table() {
    let bench = Bench::new();
    fill(&bench).await;
    let mut conn = bench.sqlite().await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND strict")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!(usize::try_from(count).unwrap(), KEYS.len(), "every strict table is listed here");
    for (table, key) in KEYS {
        let number = format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = 'seq'");
        if bench.ask(&number).await == "1" {
            check_refused(&mut conn, format!("UPDATE {table} SET seq = seq + 1")).await;
        }
        check_refused(&mut conn, format!("UPDATE {table} SET {key} = {key}")).await;
        check_refused(&mut conn, format!("DELETE FROM {table}")).await;
        if table == "bodies" {
            // Brought again, it is let alone.
            let other = "REPLACE INTO bodies SELECT digest, 7, x'00' FROM bodies";
            conn.execute(other).await.unwrap();
            assert_eq!(bench.ask("SELECT group_concat(length) FROM bodies").await, "2");
            continue;
        }
        check_refused(&mut conn, format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}")).await;
        check_refused(&mut conn, format!("REPLACE INTO {table} SELECT * FROM {table}")).await;
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert!(rows > 0, "{table} had a row to lose and lost none");
    }
    // A replacement that takes an old row's place by another of its keys.
    check_refused(
        &mut conn,
        "INSERT OR REPLACE INTO session_ends (seq, session, ended, reason) \
         SELECT seq, 'other', ended, reason FROM session_ends"
            .to_owned(),
    )
    .await;
}

/// Not even to the superuser, and not as a replica does.
#[tokio::test]
async fn update_delete_and_truncate_are_refused_in_every_table_of_postgres() {
    let bench = On::Postgres.bench();
    fill(&bench).await;
    let tables = bench
        .ask(
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
             AND relname NOT LIKE '\\_%'",
        )
        .await;
    assert_eq!(tables, (KEYS.len() + 1).to_string(), "every table is listed here");
    let check_refused = async |sql: String| {
        let error = bench.rows(&sql).await.expect_err(&sql).to_string();
        assert!(error.contains("records are append-only"), "{sql}: {error}");
    };
    for (table, key) in KEYS.into_iter().chain([("commits", "id")]) {
        // Nobody gives `seq` a value, anyway.
        let key = if key == "seq" { "kind" } else { key };
        for role in ["origin", "replica"] {
            let as_role = |sql: String| format!("SET session_replication_role = {role}; {sql}");
            check_refused(as_role(format!("UPDATE {table} SET {key} = {key}"))).await;
            check_refused(as_role(format!("UPDATE {table} SET {key} = {key} WHERE FALSE"))).await;
            check_refused(as_role(format!("DELETE FROM {table}"))).await;
            check_refused(as_role(format!("TRUNCATE {table} CASCADE"))).await;
        }
        assert_ne!(bench.ask(&format!("SELECT count(*) FROM {table}")).await, "0", "{table} lost nothing");
    }
    check_refused(
        "INSERT INTO session_ends (session, ended, reason) SELECT session, ended, 'other' FROM session_ends \
         ON CONFLICT (session) DO UPDATE SET reason = 'other'"
            .to_owned(),
    )
    .await;
    // The order of writing is the database's to say.
    let forged = "INSERT INTO session_ends (seq, session, ended, reason) \
                  SELECT 0, 'other', ended, reason FROM session_ends";
    assert!(bench.rows(forged).await.unwrap_err().to_string().contains("seq"));
}
