//! Nothing is changed, nothing is removed; not by this program, and not by a person with a shell.

use sqlx::{AssertSqlSafe, Executor, SqliteConnection};

use super::support::{Bench, intent, session_id};
use crate::record::{Event, SessionEnd};

async fn check_refused(conn: &mut SqliteConnection, sql: String) {
    let error = conn.execute(AssertSqlSafe(sql.clone())).await.expect_err(&sql);
    let message = error.to_string();
    assert!(message.contains("records are append-only"), "{sql}: {message}");
}

#[tokio::test]
async fn update_delete_and_replace_are_refused_in_every_table() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    drop(recorder.intend(intent(1)).await.unwrap());
    recorder.event(Event::new("tick", "a row")).await.unwrap();
    recorder
        .session_ended(SessionEnd { session: session_id(1), reason: "cgroup removed".to_owned() })
        .await
        .unwrap();
    recorder.close().await;

    let mut conn = bench.sqlite().await;
    let keys = [
        ("sessions", "id"),
        ("identities", "session"),
        ("session_ends", "session"),
        ("calls", "id"),
        ("outcomes", "call"),
        ("events", "seq"),
    ];
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND strict")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!(usize::try_from(count).unwrap(), keys.len(), "every strict table is listed here");
    for (table, key) in keys {
        check_refused(&mut conn, format!("UPDATE {table} SET seq = seq + 1")).await;
        check_refused(&mut conn, format!("UPDATE {table} SET {key} = {key}")).await;
        check_refused(&mut conn, format!("DELETE FROM {table}")).await;
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
