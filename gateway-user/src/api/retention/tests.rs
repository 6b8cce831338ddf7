use super::*;
use crate::{
    api::launcher::tests::bench,
    record::{
        SessionEnd,
        tests::support::{Bench, session, session_id},
    },
};

const ROOT: Peer = Peer { pid: 1, uid: 0 };

fn peer(uid: u32) -> Peer {
    Peer { pid: std::process::id(), uid }
}

#[test]
fn root_alone_decides_what_is_kept() {
    let bench = bench(&["claude"]);
    assert!(bench.launcher.may_keep(peer(0)).is_ok());
    assert!(matches!(bench.launcher.may_keep(peer(1000)), Err(KeepError::NotRoot)));
}

async fn retention() -> (Bench, Arc<Retention>) {
    let bench = Bench::new();
    let recorder = bench.open().await.recorder;
    recorder.session_started(session(1)).await.unwrap();
    recorder
        .session_ended(SessionEnd { session: session_id(1), reason: "cgroup-gone".to_owned() })
        .await
        .unwrap();
    bench.tick(time::Duration::days(100));
    let retention = Retention::new(recorder, bench.config.clone(), bench.clock.clone());
    (bench, Arc::new(retention))
}

async fn over(retention: &Retention) -> RetentionStatus {
    loop {
        let status = retention.status();
        if !status.running {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

fn older_than(bench: &Bench, days: i64) -> RetentionRequest {
    RetentionRequest {
        bodies_before: None,
        rows_before: Some(bench.clock.now() - time::Duration::days(days)),
        reason: "a test".to_owned(),
    }
}

fn hold(reason: &str) -> HoldRequest {
    HoldRequest {
        session: Some(session_id(1)),
        workload: None,
        since: None,
        until: None,
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn what_is_held_waits_for_its_release() {
    let (bench, retention) = retention().await;
    let id = retention.hold(ROOT, hold("the incident")).await.unwrap();
    retention.start(ROOT, older_than(&bench, 3)).unwrap();
    assert!(matches!(retention.start(ROOT, older_than(&bench, 3)), Err(KeepError::Running)));
    assert_eq!(over(&retention).await.report.rows(), 0);
    let release = ReleaseRequest { reason: "it is over".to_owned() };
    retention.release(ROOT, &id, release.clone()).await.unwrap();
    let twice = retention.release(ROOT, &id, release).await;
    assert!(matches!(twice, Err(KeepError::Record(RecordError::Rejected(_)))), "{twice:?}");
    retention.start(ROOT, older_than(&bench, 3)).unwrap();
    let status = over(&retention).await;
    assert_eq!((status.report.rows(), status.error), (3, None));
    let who = bench.ask("SELECT group_concat(DISTINCT actor || ': ' || reason) FROM tombstones").await;
    assert_eq!(who, "uid 0: a test");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (bench, retention) = retention().await;
    let senseless = |result: Result<String, KeepError>| matches!(result, Err(KeepError::Senseless(_)));
    assert!(senseless(retention.hold(ROOT, hold(" ")).await));
    assert!(senseless(retention.hold(ROOT, hold(&"x".repeat(2001))).await));
    assert!(senseless(retention.hold(ROOT, HoldRequest { session: None, ..hold("r") }).await));
    let since = Some(bench.clock.now());
    assert!(senseless(retention.hold(ROOT, HoldRequest { since, ..hold("r") }).await));
    let young = retention.start(ROOT, older_than(&bench, 1));
    assert!(matches!(young, Err(KeepError::Young(_))), "{young:?}");
    let silent = RetentionRequest { reason: String::new(), ..older_than(&bench, 3) };
    assert!(matches!(retention.start(ROOT, silent), Err(KeepError::Senseless(_))));
    assert!(!retention.status().running);
}

#[tokio::test]
async fn the_daemon_removes_what_is_due_by_itself() {
    let (bench, keeping) = retention().await;
    assert!(keeping.run_due().await.unwrap().is_none(), "everything is kept unless somebody says otherwise");
    keeping.recorder.close().await;
    let mut config = bench.config.clone();
    config.retention.rows_days = 30;
    let recorder = bench.open().await.recorder;
    let keeping = Retention::new(recorder, config, bench.clock.clone());
    assert_eq!(keeping.run_due().await.unwrap().unwrap().rows(), 4);
    let who = bench.ask("SELECT group_concat(DISTINCT actor || ': ' || reason) FROM tombstones").await;
    assert_eq!(who, "the daemon: bodies_days = 0, rows_days = 30");
    assert!(!keeping.status().running);
}
