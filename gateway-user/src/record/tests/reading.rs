//! Filters, pages and what readers are told when they cannot read.

use std::path::Path;

use sqlx::AssertSqlSafe;
use time::{Duration, macros::datetime};

use super::{
    seed::Night,
    support::{Bench, On, call_id, on_both, session_id},
};
use crate::record::{
    Config, Decision,
    query::{CallFilter, EventFilter, Order, Page, QueryError, Reader, SessionFilter},
    store::{POSTGRES, SQLITE, newest},
};

on_both!(
    filters_leave_the_right_calls,
    sessions_and_events_are_filtered_too,
    pages_join_without_gap_or_overlap_in_both_orders,
    calls_of_the_same_moment_are_paged_too,
    ids_may_be_shortened_while_they_are_unique,
    a_cursor_must_come_from_a_page,
    another_schema_is_named,
    readers_see_a_stopped_daemons_database,
    a_reader_sees_what_is_written_meanwhile,
);

fn page(limit: u32, cursor: Option<&str>, order: Order) -> Page {
    Page { limit, cursor: cursor.map(str::to_owned), order }
}

async fn check_calls(night: &Night, filter: CallFilter, expected: &[u32]) {
    let listing = night.reader.calls(&filter, &page(100, None, Order::Oldest)).await.unwrap();
    let found: Vec<String> = listing.rows.into_iter().map(|call| call.id).collect();
    let expected: Vec<String> = expected.iter().map(|&n| call_id(n).to_string()).collect();
    assert_eq!(found, expected, "{filter:?}");
}

async fn filters_leave_the_right_calls(on: On) {
    let night = Night::on(on).await;
    let text = |text: &str| Some(text.to_owned());
    let all = CallFilter::default;
    check_calls(&night, all(), &[1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    check_calls(
        &night,
        CallFilter { since: Some(datetime!(2026-03-01 02:15:00 UTC)), ..all() },
        &[2, 3, 4, 5, 6, 7, 8, 9],
    )
    .await;
    check_calls(&night, CallFilter { until: Some(datetime!(2026-03-01 02:15:00 UTC)), ..all() }, &[1]).await;
    check_calls(&night, CallFilter { since: Some(datetime!(2026-03-02 00:00:00 UTC)), ..all() }, &[]).await;
    check_calls(&night, CallFilter { workload: text("docs-bot"), ..all() }, &[3, 4, 5]).await;
    check_calls(
        &night,
        CallFilter { session: text(&session_id(1).to_string()), ..all() },
        &[1, 2, 6, 7, 8, 9],
    )
    .await;
    check_calls(&night, CallFilter { session: text("s-00000002"), ..all() }, &[3, 4, 5]).await;
    check_calls(&night, CallFilter { action: text("s3:GetObject"), ..all() }, &[1, 8, 9]).await;
    check_calls(&night, CallFilter { action: text("S3:get*"), ..all() }, &[1, 8, 9]).await;
    check_calls(&night, CallFilter { action: text("*:*User"), ..all() }, &[5]).await;
    check_calls(&night, CallFilter { action: text("s3:???Object"), ..all() }, &[1, 8, 9]).await;
    check_calls(&night, CallFilter { action: text("s3:Get_bject"), ..all() }, &[]).await;
    check_calls(&night, CallFilter { action: text("GetObject"), ..all() }, &[]).await;
    check_calls(&night, CallFilter { resource: text("builds/"), ..all() }, &[1, 3, 8, 9]).await;
    check_calls(&night, CallFilter { resource: text("new.tar"), ..all() }, &[8]).await;
    check_calls(&night, CallFilter { decision: Some(Decision::Allow), ..all() }, &[1, 2, 4, 7, 8, 9]).await;
    check_calls(&night, CallFilter { decision: Some(Decision::Deny), ..all() }, &[3, 5]).await;
    check_calls(&night, CallFilter { decision: Some(Decision::Refused), ..all() }, &[6]).await;
    check_calls(&night, CallFilter { service: text("dynamodb"), ..all() }, &[7]).await;
    check_calls(&night, CallFilter { region: text("us-east-1"), ..all() }, &[5, 7]).await;
    check_calls(&night, CallFilter { subject: text("host:docs-bot"), ..all() }, &[3, 4, 5]).await;
    check_calls(&night, CallFilter { account: text("123456789012"), ..all() }, &[1, 2, 3, 4, 5, 7, 8, 9])
        .await;
    check_calls(&night, CallFilter { account: text("999999999999"), ..all() }, &[]).await;
    check_calls(&night, CallFilter { rule: text("no-*"), ..all() }, &[3, 5]).await;
    check_calls(&night, CallFilter { rule: text("builds-write"), ..all() }, &[8]).await;
    check_calls(&night, CallFilter { rule: text("nobody"), ..all() }, &[]).await;
    check_calls(&night, CallFilter { outcome: text("open"), ..all() }, &[9]).await;
    check_calls(&night, CallFilter { outcome: text("aborted"), ..all() }, &[7]).await;
    check_calls(&night, CallFilter { status: "404".parse().ok(), ..all() }, &[8]).await;
    check_calls(&night, CallFilter { status: "4xx".parse().ok(), ..all() }, &[3, 5, 6, 8]).await;
    check_calls(&night, CallFilter { text: text("eve"), ..all() }, &[5]).await;
    check_calls(&night, CallFilter { text: text("100%"), ..all() }, &[7]).await;
    check_calls(&night, CallFilter { text: text("10%"), ..all() }, &[]).await;
    check_calls(&night, CallFilter { text: text("authorization"), ..all() }, &[6]).await;
    check_calls(&night, CallFilter { text: text("' OR 1=1 --"), ..all() }, &[]).await;
    check_calls(
        &night,
        CallFilter {
            workload: text("claude-builds"),
            decision: Some(Decision::Allow),
            status: "2xx".parse().ok(),
            ..all()
        },
        &[1, 2],
    )
    .await;
}

async fn sessions_and_events_are_filtered_too(on: On) {
    let night = Night::on(on).await;
    let sessions = async |filter: SessionFilter| {
        let listing = night.reader.sessions(&filter, &page(100, None, Order::Newest)).await.unwrap();
        listing.rows.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    let (first, second) = (session_id(1).to_string(), session_id(2).to_string());
    assert_eq!(sessions(SessionFilter::default()).await, [second.as_str(), first.as_str()]);
    assert_eq!(sessions(SessionFilter { open: true, ..SessionFilter::default() }).await, [first.as_str()]);
    let docs = SessionFilter { workload: Some("docs-bot".to_owned()), ..SessionFilter::default() };
    assert_eq!(sessions(docs).await, [second.as_str()]);
    let since = Some(datetime!(2026-03-01 02:01:00 UTC));
    assert_eq!(sessions(SessionFilter { since, ..SessionFilter::default() }).await, [second.as_str()]);

    let events = async |filter: EventFilter| {
        let listing = night.reader.events(&filter, &page(100, None, Order::Oldest)).await.unwrap();
        listing.rows.into_iter().map(|event| event.kind).collect::<Vec<_>>()
    };
    let all = EventFilter::default;
    assert_eq!(
        events(all()).await,
        ["log-begun", "record-opened", "route-refused", "revealed", "night-over", "night-over"]
    );
    assert_eq!(events(EventFilter { kind: Some("route-*".to_owned()), ..all() }).await, ["route-refused"]);
    assert_eq!(events(EventFilter { session: Some(second.clone()), ..all() }).await, ["route-refused"]);
    assert_eq!(events(EventFilter { text: Some("192.0.2.10".to_owned()), ..all() }).await, ["route-refused"]);
    let builds = Some("claude-builds".to_owned());
    assert_eq!(events(EventFilter { workload: builds, ..all() }).await, ["revealed"]);
}

async fn pages_join_without_gap_or_overlap_in_both_orders(on: On) {
    let night = Night::on(on).await;
    for (order, expected) in
        [(Order::Oldest, [1, 2, 3, 4, 5, 6, 7, 8, 9]), (Order::Newest, [9, 8, 7, 6, 5, 4, 3, 2, 1])]
    {
        for limit in 1..=10 {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let listing =
                    night.reader.calls(&CallFilter::default(), &Page { limit, cursor, order }).await.unwrap();
                assert!(listing.rows.len() <= usize::try_from(limit).unwrap());
                found.extend(listing.rows.into_iter().map(|call| call.id));
                match listing.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert_eq!(found, expected.map(|n| call_id(n).to_string()), "{order:?} by {limit}");
        }
    }
}

async fn calls_of_the_same_moment_are_paged_too(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    for n in [3, 1, 2] {
        drop(recorder.intend(super::support::intent(n)).await.unwrap());
    }
    let reader = Reader::open(&bench.config).await.unwrap();
    let first = reader.calls(&CallFilter::default(), &page(1, None, Order::Newest)).await.unwrap();
    assert_eq!(first.next, Some(call_id(2).to_string()));
    let rest = page(5, first.next.as_deref(), Order::Newest);
    let rest = reader.calls(&CallFilter::default(), &rest).await.unwrap();
    let ids: Vec<_> = rest.rows.into_iter().map(|call| call.id).collect();
    assert_eq!(ids, [call_id(1), call_id(3)].map(|id| id.to_string()));
}

#[tokio::test]
async fn listings_walk_an_index_and_do_not_sort() {
    let night = Night::new().await;
    let mut conn = night.bench.sqlite().await;
    for (sql, index) in [
        ("SELECT * FROM v_calls WHERE 1 ORDER BY time DESC, seq DESC LIMIT 50", "calls_by_time"),
        ("SELECT * FROM v_calls WHERE session = 'x' ORDER BY time, seq LIMIT 50", "calls_by_session"),
        (
            "SELECT * FROM v_denied WHERE time > 'x' ORDER BY time DESC, seq DESC LIMIT 50",
            "calls_not_allowed",
        ),
        (
            "SELECT * FROM v_calls WHERE service = 'x' ORDER BY time DESC, seq DESC LIMIT 50",
            "calls_by_service",
        ),
        ("SELECT * FROM v_sessions WHERE 1 ORDER BY started DESC, seq DESC LIMIT 50", "sessions_by_start"),
        ("SELECT * FROM events WHERE 1 ORDER BY time DESC, seq DESC LIMIT 50", "events_by_time"),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&mut conn)
                .await
                .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(_, _, _, step)| step).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {plan:?}");
    }
}

async fn ids_may_be_shortened_while_they_are_unique(on: On) {
    let night = Night::on(on).await;
    assert_eq!(night.reader.session("s-00000002").await.unwrap().workload, "docs-bot");
    assert_eq!(
        night.reader.call(&call_id(5).to_string()).await.unwrap().error_code.as_deref(),
        Some("AccessDenied")
    );
    let unknown = |kind, id: &str| QueryError::Unknown { kind, id: id.to_owned() };
    for id in ["s-00000003", "", "s_00000002", "s-0000000%", "c-00000001", "'"] {
        assert_eq!(night.reader.session(id).await.err(), Some(unknown("session", id)));
    }
    assert_eq!(night.reader.call("nope").await.err(), Some(unknown("call", "nope")));
    let stranger = CallFilter { session: Some("s-9".to_owned()), ..CallFilter::default() };
    let refused = night.reader.calls(&stranger, &page(1, None, Order::Newest)).await.err();
    assert_eq!(refused, Some(unknown("session", "s-9")));
    let matches = vec![session_id(1).to_string(), session_id(2).to_string()];
    assert_eq!(
        night.reader.session("s-0").await.err(),
        Some(QueryError::Ambiguous { kind: "session", prefix: "s-0".to_owned(), matches })
    );
}

async fn a_cursor_must_come_from_a_page(on: On) {
    let night = Night::on(on).await;
    for cursor in ["", "c-1", "1' OR 1"] {
        let bad = page(5, Some(cursor), Order::Newest);
        let refused = night.reader.calls(&CallFilter::default(), &bad).await.err();
        assert_eq!(refused, Some(QueryError::BadCursor(cursor.to_owned())));
    }
}

#[tokio::test]
async fn reading_never_creates_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.db");
    check_cannot_read(&file(&path), QueryError::Missing(path.clone())).await;
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

async fn check_cannot_read(config: &Config, expected: QueryError) {
    assert_eq!(Reader::open(config).await.err(), Some(expected));
}

fn file(path: &Path) -> Config {
    Config { database: path.to_owned(), ..Config::default() }
}

#[tokio::test]
async fn other_files_are_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "no database, but long enough to be looked at as one ".repeat(10)).unwrap();
    check_cannot_read(&file(&text), QueryError::Foreign(text.display().to_string())).await;
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    check_cannot_read(&file(&empty), QueryError::Foreign(empty.display().to_string())).await;
}

async fn another_schema_is_named(on: On) {
    let bench = on.bench();
    bench.recorder().await.close().await;
    bench
        .ask(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'future', TRUE, '', 0) RETURNING description",
        )
        .await;
    let expected = newest(if on == On::Sqlite { &SQLITE } else { &POSTGRES });
    let newer = QueryError::Schema { found: 9999, expected, remedy: "use the version that wrote it" };
    check_cannot_read(&bench.config, newer).await;
}

async fn readers_see_a_stopped_daemons_database(on: On) {
    let bench = on.bench();
    bench.recorder().await.close().await;
    let reader = Reader::open(&bench.config).await.unwrap();
    let session = reader.session(&session_id(1).to_string()).await.unwrap();
    assert_eq!((session.calls, session.ended), (0, None));
}

async fn a_reader_sees_what_is_written_meanwhile(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let reader = Reader::open(&bench.config).await.unwrap();
    bench.tick(Duration::seconds(1));
    let call = recorder.intend(super::support::intent(1)).await.unwrap();
    assert_eq!(reader.call(&call_id(1).to_string()).await.unwrap().outcome, "open");
    drop(call);
}

/// A user who may only read. Root may always write, so this test runs itself again in a user namespace
/// where root is nobody in particular.
#[test]
fn a_user_who_may_only_read_can_read() {
    const DATABASE: &str = "CHAPERONE_TEST_READ_ONLY_DATABASE";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(database) = std::env::var_os(DATABASE) {
        let sessions = runtime.block_on(async {
            let reader =
                Reader::open(&file(Path::new(&database))).await.map_err(|error| error.to_string())?;
            let listing = reader.sessions(&SessionFilter::default(), &page(9, None, Order::Newest)).await;
            listing.map(|listing| listing.rows.len()).map_err(|error| error.to_string())
        });
        println!("\nas a reader: {sessions:?}");
        return;
    }
    let bench = Bench::new();
    let directory = bench.config.database.parent().unwrap().to_owned();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let read = || {
        mode(&directory, 0o500);
        let output = std::process::Command::new("unshare")
            .args(["--user", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "record::tests::reading::a_user_who_may_only_read_can_read", "--nocapture"])
            .env(DATABASE, &bench.config.database)
            .output()
            .unwrap();
        mode(&directory, 0o700);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("as a reader: ")).unwrap_or(&text).to_owned()
    };
    let recorder = runtime.block_on(bench.recorder());
    for suffix in ["", "-wal", "-shm"] {
        mode(&bench.file(suffix), 0o400);
    }
    assert_eq!(read(), "Ok(1)", "while the daemon runs");
    runtime.block_on(recorder.close());
    assert!(!bench.file("-wal").exists());
    assert_eq!(read(), "Ok(1)", "after it has stopped");
    mode(&bench.config.database, 0o000);
    let forbidden = QueryError::Forbidden(bench.config.database.clone());
    assert_eq!(read(), format!("Err({:?})", forbidden.to_string()));
}
