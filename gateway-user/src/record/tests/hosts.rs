//! One PostgreSQL database, many hosts and several roles.

use super::{
    server::Server,
    support::{Bench, HOST, On, call_id, intent, session, session_id},
};
use crate::{
    identify::EndReason,
    record::{
        Config, DatabaseUrl, Event, Intent, Outcome, OutcomeKind, RecordError, Recorder, Roles, SessionEnd,
        SessionStart, migrate,
        query::{CallFilter, Order, Page, QueryError, Reader},
        retention::{self, Progress, Request, Why},
        store::{POSTGRES, newest},
    },
};

const GUIDE: &str = include_str!("../../../../docs/admin-guide.md");

/// The same database for another host.
fn of_host(bench: &Bench, host: &str) -> Config {
    Config { host: Some(host.to_owned()), ..bench.config.clone() }
}

async fn open(bench: &Bench, config: &Config) -> crate::record::Opened {
    Recorder::open(config, bench.clock.clone()).await.unwrap()
}

#[tokio::test]
async fn a_host_has_one_daemon() {
    let bench = On::Postgres.bench();
    let recorder = bench.recorder().await;
    let refused = Recorder::open(&bench.config, bench.clock.clone()).await.err();
    assert!(matches!(refused, Some(RecordError::InUse { .. })), "{refused:?}");
    let text = refused.unwrap().to_string();
    let begin = format!("the session database {} is in use by", bench.config.url.as_ref().unwrap());
    assert!(text.starts_with(&begin), "{text}");
    assert!(
        text.contains("another chaperone daemon of the host \"build7\" (from a unix socket, process "),
        "{text}"
    );
    assert!(text.ends_with("stop it first, or set another record.host"), "{text}");
    // The one that was there is not disturbed, and another host's is welcome.
    drop(recorder.intend(intent(1)).await.unwrap());
    let other = open(&bench, &of_host(&bench, "build8")).await;
    other.recorder.close().await;
    recorder.close().await;
    bench.open().await.recorder.close().await;
}

/// Who may add rows does not have a host pass over its open calls, or stay down, by a start that was none.
#[tokio::test]
async fn a_start_that_no_log_names_is_none() {
    for detail in
        [r#"{"last_call":"x"}"#, r#"{"last_call":9223372036854775807,"last_end":9223372036854775807}"#]
    {
        let bench = On::Postgres.bench();
        let opened = bench.open().await;
        opened.recorder.session_started(session(1)).await.unwrap();
        std::mem::forget(opened.recorder.intend(intent(1)).await.unwrap());
        opened.writer.abort();
        assert!(opened.writer.await.unwrap_err().is_cancelled());
        bench
            .rows(&format!(
                "INSERT INTO events (seq, time, kind, message, detail, truncated, hostname) OVERRIDING SYSTEM VALUE \
                 SELECT 9223372036854775807, time, kind, message, '{detail}', truncated, hostname FROM events \
                 WHERE kind = 'record-opened'"
            ))
            .await
            .unwrap();
        let opened = bench.open().await;
        assert_eq!(opened.closed_calls, 1, "{detail}");
        opened.recorder.close().await;
    }
}

#[tokio::test]
async fn a_host_recovers_what_is_its_own() {
    let bench = On::Postgres.bench();
    let other_config = of_host(&bench, "build8");
    let ours = bench.recorder().await;
    let theirs = open(&bench, &other_config).await.recorder;
    theirs.session_started(SessionStart { hostname: "build8".to_owned(), ..session(2) }).await.unwrap();
    let their_call = theirs.intend(Intent { session: session_id(2), ..intent(2) }).await.unwrap();
    // Open at the end of our daemon: one in an open session, one in a session that ended.
    ours.session_started(session(3)).await.unwrap();
    std::mem::forget(ours.intend(intent(1)).await.unwrap());
    std::mem::forget(ours.intend(Intent { session: session_id(3), ..intent(3) }).await.unwrap());
    let end = SessionEnd { session: session_id(3), reason: EndReason::Killed.as_str().to_owned() };
    ours.session_ended(end).await.unwrap();
    bench.alter("SET chaperone.test = 'cut'").await;
    drop(ours);

    let opened = bench.open().await;
    assert_eq!(opened.closed_calls, 2);
    let open_sessions: Vec<_> = opened.open_sessions.iter().map(|session| session.id).collect();
    assert_eq!(open_sessions, [session_id(1)]);
    assert_eq!(opened.killed.len(), 1);
    their_call.finish(Outcome::new(OutcomeKind::Forwarded));
    theirs.close().await;
    opened.recorder.close().await;
    let outcomes = "SELECT group_concat(outcome) FROM (SELECT outcome FROM v_calls ORDER BY id) AS c";
    assert_eq!(bench.ask(outcomes).await, "unknown,forwarded,unknown");
    // Nothing is left to close, and whose start was whose is known.
    let again = bench.open().await;
    assert_eq!(again.closed_calls, 0);
    again.recorder.close().await;
    let starts = "SELECT group_concat(hostname) FROM (SELECT hostname FROM events \
                  WHERE kind = 'record-opened' ORDER BY seq) AS starts";
    assert_eq!(bench.ask(starts).await, "build7,build8,build7,build7");
}

#[tokio::test]
async fn a_console_sees_every_host_and_limits_count_one() {
    let bench = On::Postgres.bench();
    let other_config = of_host(&bench, "build8");
    let ours = bench.recorder().await;
    let theirs = open(&bench, &other_config).await.recorder;
    theirs.session_started(SessionStart { hostname: "build8".to_owned(), ..session(2) }).await.unwrap();
    let made = Outcome { upstream: Some(std::time::Duration::ZERO), ..Outcome::new(OutcomeKind::Forwarded) };
    ours.intend(intent(1)).await.unwrap().finish(made.clone());
    theirs.intend(Intent { session: session_id(2), ..intent(2) }).await.unwrap().finish(made);
    ours.close().await;
    theirs.close().await;
    for (config, session) in [(&bench.config, session_id(1)), (&other_config, session_id(2))] {
        let reader = Reader::open(config).await.unwrap();
        let page = Page { limit: 9, cursor: None, order: Order::Oldest };
        let calls = reader.calls(&CallFilter::default(), &page).await.unwrap();
        let ids: Vec<_> = calls.rows.into_iter().map(|call| (call.id, call.hostname)).collect();
        let expected =
            [(call_id(1).to_string(), HOST.to_owned()), (call_id(2).to_string(), "build8".to_owned())];
        assert_eq!(ids, expected);
        let used = reader.used(bench.clock.now(), &[]).await.unwrap();
        assert_eq!(used.iter().map(|used| used.session).collect::<Vec<_>>(), [session]);
    }
}

/// The roles of the admin guide: one owns the tables, one writes, one reads.
#[tokio::test]
async fn the_roles_of_the_guide() {
    let server = Server::start("", &std::env::temp_dir());
    let sql = |begin: &str| {
        let block = GUIDE.split("```sql\n").find(|block| block.starts_with(begin)).unwrap();
        block.split("```").next().unwrap().to_owned()
    };
    for statement in sql("CREATE ROLE").split_inclusive(";\n") {
        server.sql("postgres", statement);
    }
    let bench = Bench::with(|config| {
        config.store = crate::record::StoreKind::Postgres;
        config.url = Some(server.url("chaperone_writer", "chaperone").parse().unwrap());
    });
    let url = |role: &str| -> DatabaseUrl { server.url(role, "chaperone").parse().unwrap() };
    let as_role = |role: &str| Config { url: Some(url(role)), ..bench.config.clone() };

    // Before the owner made the tables.
    match Recorder::open(&bench.config, bench.clock.clone()).await {
        Err(RecordError::Open { detail, .. }) => {
            assert!(detail.contains("permission denied"), "{detail}");
            assert!(detail.contains("`chaperone database migrate`"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    let reader = Reader::open(&as_role("chaperone_reader")).await.err();
    assert!(matches!(reader, Some(QueryError::Foreign(_))), "{reader:?}");
    let names = |name: &str| vec![name.to_owned()];
    let mut roles = Roles {
        writers: names("chaperone_writer"),
        readers: names("chaperone_reader"),
        removers: Vec::new(),
    };
    for _ in 0..2 {
        let owner = as_role("chaperone_owner");
        assert_eq!(migrate(&owner, &roles).await, Ok(newest(&POSTGRES)));
    }

    let recorder = bench.recorder().await;
    drop(recorder.intend(intent(1)).await.unwrap());
    recorder.close().await;
    let reader = Reader::open(&as_role("chaperone_reader")).await.unwrap();
    assert_eq!(reader.call(&call_id(1).to_string()).await.unwrap().outcome, "aborted");

    let refused = async |role: &str, sql: &str| {
        let bench = Bench::with(|config| *config = as_role(role));
        let error = bench.rows(sql).await.expect_err(sql).to_string();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{role}: {sql}: {error}"
        );
    };
    for role in ["chaperone_writer", "chaperone_reader"] {
        for sql in [
            "UPDATE calls SET id = id",
            "DELETE FROM calls",
            "TRUNCATE calls CASCADE",
            "DROP TABLE calls CASCADE",
            "ALTER TABLE calls DISABLE TRIGGER calls_stay",
            "SET session_replication_role = replica",
            "CREATE TABLE more (x text)",
            "DELETE FROM _sqlx_migrations",
        ] {
            refused(role, sql).await;
        }
    }
    refused("chaperone_reader", "INSERT INTO session_ends (session, ended, reason) VALUES ('x', 'x', 'x')")
        .await;
    refused("chaperone_writer", "INSERT INTO _sqlx_migrations SELECT * FROM _sqlx_migrations").await;

    // Retention is a right of its own.
    let recorder = bench.open().await.recorder;
    recorder.event(Event::new("tick", "an old one")).await.unwrap();
    bench.tick(time::Duration::days(10));
    let before = bench.clock.now() - time::Duration::days(3);
    let why = Why { actor: "uid 0".to_owned(), reason: "a test".to_owned() };
    let request = Request { bodies_before: None, rows_before: Some(before), why };
    let remove = async || {
        let progress = Progress::default();
        retention::run(Some(&recorder), &bench.config, &request, bench.clock.now(), &progress).await
    };
    let error = remove().await.unwrap_err().to_string();
    assert!(
        error.contains("permission denied") && error.contains("database migrate --remover ROLE"),
        "{error}"
    );
    roles.removers = names("chaperone_writer");
    migrate(&as_role("chaperone_owner"), &roles).await.unwrap();
    // The events of the first start and that one.
    assert_eq!(remove().await.unwrap().rows(), 2);
    for sql in ["DELETE FROM calls", "DELETE FROM bodies"] {
        let rows = Bench::with(|config| *config = as_role("chaperone_writer")).rows(sql).await;
        assert!(rows.is_ok_and(|rows| rows.is_empty()) == (sql == "DELETE FROM bodies"), "{sql}");
    }
    for table in ["log", "logs", "checkpoints", "tombstones", "holds", "hold_releases", "commits"] {
        refused("chaperone_writer", &format!("DELETE FROM {table}")).await;
    }
    recorder.close().await;
}

#[tokio::test]
async fn hosts_that_start_together_make_the_tables_once() {
    let bench = On::Postgres.bench();
    let start = async |host| open(&bench, &of_host(&bench, host)).await.recorder.close().await;
    tokio::join!(start("a"), start("b"), start("c"), start("d"));
    assert_eq!(bench.ask("SELECT count(*) FROM _sqlx_migrations").await, "8");
    assert_eq!(bench.ask("SELECT count(DISTINCT hostname) FROM events").await, "4");
}

#[tokio::test]
async fn a_server_that_forgets_is_refused() {
    let server = Server::start("fsync = off", &std::env::temp_dir());
    let bench = Bench::postgres(&server, |_| {});
    let refused = Recorder::open(&bench.config, bench.clock.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("fsync = off: what it calls committed may be lost"), "{refused}");
    // To read what is there, it will do.
    let reader = Reader::open(&bench.config).await.err();
    assert!(matches!(reader, Some(QueryError::Foreign(_))), "{reader:?}");
}

#[tokio::test]
async fn readers_are_told_what_is_in_their_way() {
    let bench = On::Postgres.bench();
    bench.recorder().await.close().await;
    let database = bench.ask("SELECT current_database()").await;
    let server = Server::shared();
    let role = format!("stranger_{database}");
    server.sql(&database, &format!("CREATE ROLE {role} LOGIN"));
    let with = |url: &str| Config { url: Some(url.parse().unwrap()), ..bench.config.clone() };
    let stranger = Reader::open(&with(&server.url(&role, &database))).await.err();
    assert!(matches!(stranger, Some(QueryError::NotGranted(_))), "{stranger:?}");
    for url in [server.url("nobody_at_all", &database), format!("postgres://x@/r?host={database}")] {
        let error = Reader::open(&with(&url.replace("host=t", "host=/t"))).await.err();
        assert!(matches!(error, Some(QueryError::Unreachable { .. })), "{error:?}");
    }
}

/// Listings of many hosts' rows stay quick.
#[tokio::test]
async fn listings_walk_an_index_and_do_not_sort() {
    let bench = On::Postgres.bench();
    bench.recorder().await.close().await;
    for (sql, index) in [
        ("SELECT * FROM v_calls ORDER BY time DESC, seq DESC LIMIT 50", "calls_by_time"),
        ("SELECT * FROM v_calls WHERE session = 'x' ORDER BY time, seq LIMIT 50", "calls_by_session"),
        (
            "SELECT * FROM v_denied WHERE time > 'x' ORDER BY time DESC, seq DESC LIMIT 50",
            "calls_not_allowed",
        ),
        ("SELECT * FROM v_sessions ORDER BY started DESC, seq DESC LIMIT 50", "sessions_by_start"),
        ("SELECT * FROM events ORDER BY time DESC, seq DESC LIMIT 50", "events_by_time"),
    ] {
        // Empty tables are read whole unless that is forbidden.
        let explain = format!(
            "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off; EXPLAIN {sql}"
        );
        let plan: Vec<String> = bench.rows(&explain).await.unwrap().into_iter().flatten().collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("Sort")), "{sql}: {plan:#?}");
    }
}
