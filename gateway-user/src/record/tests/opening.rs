//! Opening: what is created, what is refused, what a former run left.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use super::support::{Bench, On, START, identity, intent, on_both, session, session_id};
use crate::{
    identify::{Identity, Launch},
    prim::CgroupId,
    record::{AcceptedToken, IdentityRenewal, RecordError, Recorder, SessionEnd, SessionStart},
};

on_both!(
    opening_twice_migrates_once,
    a_newer_schema_is_refused,
    open_sessions_are_handed_over_for_adoption,
    tokens_are_known_until_they_expire,
    an_adopted_session_goes_on,
);

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn files_are_closed_to_others() {
    let bench = Bench::new();
    let _recorder = bench.recorder().await;
    assert_eq!(mode(bench.config.database.parent().unwrap()), 0o750);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&bench.file(suffix)), 0o640, "{suffix:?}");
    }
}

#[tokio::test]
async fn a_database_open_to_others_is_closed_to_them() {
    let bench = Bench::new();
    std::fs::create_dir(bench.config.database.parent().unwrap()).unwrap();
    std::fs::write(&bench.config.database, "").unwrap();
    std::fs::set_permissions(&bench.config.database, PermissionsExt::from_mode(0o666)).unwrap();
    let _recorder = bench.recorder().await;
    assert_eq!(mode(&bench.config.database), 0o640);
}

#[tokio::test]
async fn a_second_daemon_is_refused_by_name() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    let refused = Recorder::open(&bench.config, bench.clock.clone()).await.err();
    let pid = std::process::id();
    assert!(matches!(refused, Some(RecordError::InUse { .. })), "{refused:?}");
    assert_eq!(
        refused.unwrap().to_string(),
        format!(
            "the session database {} is in use by another chaperone daemon (pid {pid}); stop it first, or set \
             another record.database",
            bench.config.database.display()
        )
    );
    recorder.close().await;
    bench.open().await.recorder.close().await;
}

async fn opening_twice_migrates_once(on: On) {
    let bench = on.bench();
    let schema = match on {
        On::Sqlite => {
            "SELECT group_concat(sql, ';') || (SELECT count(*) FROM _sqlx_migrations) FROM sqlite_schema"
        }
        On::Postgres => {
            "SELECT group_concat(concat(relname, relfilenode)) || (SELECT count(*) FROM _sqlx_migrations) \
             FROM (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY oid) AS classes"
        }
    };
    bench.recorder().await.close().await;
    let first = bench.ask(schema).await;
    bench.open().await.recorder.close().await;
    assert_eq!(bench.ask(schema).await, first);
    let kinds = bench.ask("SELECT group_concat(kind) FROM events").await;
    assert_eq!(kinds, "log-begun,record-opened,record-opened");
}

async fn check_cannot_open(bench: &Bench, expected: &str) {
    match Recorder::open(&bench.config, bench.clock.clone()).await {
        Err(RecordError::Open { detail, .. }) => assert_eq!(detail, expected),
        other => panic!("{other:?}"),
    }
}

async fn a_newer_schema_is_refused(on: On) {
    let bench = on.bench();
    bench.recorder().await.close().await;
    bench
        .ask(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'future', TRUE, '', 0) RETURNING description",
        )
        .await;
    check_cannot_open(
        &bench,
        "its schema (version 9999) was written by a newer chaperone; use that version or another database",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.config.database.parent().unwrap()).unwrap();
    std::fs::write(&bench.config.database, "not a database, but more than a hundred bytes of text".repeat(4))
        .unwrap();
    check_cannot_open(&bench, "error returned from database: (code: 26) file is not a database").await;
}

#[tokio::test]
async fn a_parent_that_is_a_file_is_refused() {
    let bench = Bench::new();
    std::fs::write(bench.dir.path().join("state"), "").unwrap();
    check_cannot_open(&bench, "its directory: File exists (os error 17)").await;
}

async fn open_sessions_are_handed_over_for_adoption(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let huge = CgroupId(u64::MAX - 1);
    recorder.session_started(SessionStart { cgroup_id: huge, ..session(2) }).await.unwrap();
    recorder.session_started(session(3)).await.unwrap();
    let end = SessionEnd { session: session_id(3), reason: "cgroup removed".to_owned() };
    recorder.session_ended(end).await.unwrap();
    recorder.close().await;

    let open = bench.open().await.open_sessions;
    assert_eq!(open.iter().map(|session| session.id).collect::<Vec<_>>(), [session_id(1), session_id(2)]);
    let start = session(2);
    let found = open.get(1).unwrap();
    assert_eq!((found.started, &found.workload), (START, &start.workload));
    assert_eq!((&found.hostname, &found.boot_id), (&start.hostname, &start.boot_id));
    assert_eq!((&found.cgroup_path, found.cgroup_id), (&start.cgroup_path, huge));
    let launch = Launch { command: start.command, uid: 1000 };
    assert_eq!(found.launch.as_ref(), Some(&launch));
    assert!(found.identity.is(&start.identity), "{:?}", found.identity);
    assert_eq!(found.identity.groups, start.identity.groups);
}

async fn tokens_are_known_until_they_expire(on: On) {
    let bench = on.bench();
    let recorder = bench.recorder().await;
    let until = |hours: i64, digest: &str| {
        let (expires, token_digest) = (Some(START + time::Duration::hours(hours)), Some(digest.to_owned()));
        Arc::new(Identity { expires, token_digest, ..identity("claude-builds") })
    };
    let start = SessionStart { identity: until(1, "expired"), ..session(2) };
    recorder.session_started(start).await.unwrap();
    for (hours, digest) in [(3, "renewed"), (4, "newest")] {
        let renewal = IdentityRenewal { session: session_id(2), identity: until(hours, digest) };
        recorder.identity_renewed(renewal).await.unwrap();
    }
    let end = SessionEnd { session: session_id(2), reason: "cgroup removed".to_owned() };
    recorder.session_ended(end).await.unwrap();
    recorder.close().await;

    bench.tick(time::Duration::hours(2));
    let tokens = bench.open().await.tokens;
    assert_eq!(tokens.iter().map(|token| token.digest.as_str()).collect::<Vec<_>>(), ["renewed", "newest"]);
    let start = session(2);
    let expected = AcceptedToken {
        digest: "renewed".to_owned(),
        expires: START + time::Duration::hours(3),
        workload: start.workload,
        uid: Some(1000),
        hostname: start.hostname,
        boot_id: start.boot_id,
        cgroup_id: start.cgroup_id,
    };
    assert_eq!(tokens.first(), Some(&expected));
}

async fn an_adopted_session_goes_on(on: On) {
    let bench = on.bench();
    bench.recorder().await.close().await;
    let recorder = bench.open().await.recorder;
    drop(recorder.intend(intent(1)).await.unwrap());
    recorder.close().await;
    assert_eq!(
        bench.ask("SELECT session || outcome FROM v_calls").await,
        format!("{}aborted", session_id(1))
    );
}
