use super::*;
use crate::{
    api::launcher::tests::{bench, bench_with_slice},
    record::{
        Event, SessionEnd,
        tests::support::{Bench, session, session_id},
    },
};

fn root() -> String {
    "uid 0".to_owned()
}

fn peer(uid: u32) -> Peer {
    Peer { pid: std::process::id(), uid }
}

#[test]
fn root_alone_decides_what_is_kept() {
    let bench = bench(&["claude"]);
    let who = bench.launcher.may_keep(peer(0)).unwrap();
    let login = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let known = login.trim().parse().ok().filter(|login| ![0, u32::MAX].contains(login));
    assert_eq!(
        who,
        known.map_or("uid 0".to_owned(), |login: u32| format!("uid 0, logged in as uid {login}"))
    );
    assert!(matches!(bench.launcher.may_keep(peer(1000)), Err(KeepError::NotRoot)));
}

/// Root in an agent's cgroup is an agent, whatever it may do elsewhere.
#[test]
fn an_agent_decides_nothing_of_what_is_kept() {
    // The test's own cgroup is below the root, so with the root as slice the test is an agent.
    let bench = bench_with_slice(&["a"], "");
    let refused = bench.launcher.may_keep(peer(0)).unwrap_err();
    assert!(matches!(refused, KeepError::Peer(Refusal::AlreadyAgent { .. })), "{refused:?}");
    let gone = bench.launcher.may_keep(Peer { pid: u32::MAX, uid: 0 });
    assert!(matches!(gone, Err(KeepError::Peer(_))), "{gone:?}");
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
        clock_is_right: true,
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
    let HoldPlaced { hold: id, sessions } = retention.hold(root(), hold("the incident")).await.unwrap();
    assert_eq!(sessions, 1);
    retention.start(root(), older_than(&bench, 3)).await.unwrap();
    assert!(matches!(retention.start(root(), older_than(&bench, 3)).await, Err(KeepError::Running)));
    assert_eq!(over(&retention).await.report.rows(), 0);
    let release = ReleaseRequest { reason: "it is over".to_owned() };
    retention.release(root(), &id, release.clone()).await.unwrap();
    let twice = retention.release(root(), &id, release).await;
    assert!(matches!(twice, Err(KeepError::Record(RecordError::Rejected(_)))), "{twice:?}");
    retention.start(root(), older_than(&bench, 3)).await.unwrap();
    let status = over(&retention).await;
    assert_eq!((status.report.rows(), status.error), (3, None));
    let who = bench.ask("SELECT group_concat(DISTINCT actor || ': ' || reason) FROM tombstones").await;
    assert_eq!(who, "uid 0: a test");
}

/// What holds nothing is no hold.
#[tokio::test]
async fn what_is_not_there_is_not_held() {
    let (_bench, retention) = retention().await;
    let retention = Arc::into_inner(retention).unwrap();
    let retention = retention.of(vec!["aider".parse().unwrap()], CancellationToken::new());
    let of = |name: &str| HoldRequest { session: None, workload: Some(name.parse().unwrap()), ..hold("r") };
    let refused = retention.hold(root(), of("claude-build")).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "there is no workload claude-build, neither configured nor in the record: did you mean claude-builds?"
    );
    let refused = retention.hold(root(), of("codex")).await.unwrap_err().to_string();
    assert!(refused.ends_with("nor in the record: there are aider, claude-builds"), "{refused}");
    assert_eq!(retention.hold(root(), of("aider")).await.unwrap().sessions, 0, "its first session will come");
    assert_eq!(retention.hold(root(), of("claude-builds")).await.unwrap().sessions, 1);
    let nobody = HoldRequest { session: Some(session_id(9)), ..hold("r") };
    assert!(matches!(retention.hold(root(), nobody).await, Err(KeepError::Nothing(_))));
}

/// What is under way at the end of the daemon ends after its step, and says what it has done.
#[tokio::test]
async fn a_run_ends_with_the_daemon() {
    let (bench, retention) = retention().await;
    let stop = CancellationToken::new();
    let retention = Arc::new(Arc::into_inner(retention).unwrap().of(Vec::new(), stop.clone()));
    stop.cancel();
    let begun = retention.start(root(), older_than(&bench, 3)).await.unwrap();
    retention.ended().await;
    let status = retention.status();
    assert!(!status.running);
    assert_eq!(status.report.run, Some(begun.run));
    assert!(status.error.unwrap().contains("told to stop"));
    assert_eq!(retention.recorder.health().unremoved, None, "nothing is wrong");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (bench, retention) = retention().await;
    let senseless = |result: Result<HoldPlaced, KeepError>| matches!(result, Err(KeepError::Senseless(_)));
    assert!(senseless(retention.hold(root(), hold(" ")).await));
    assert!(senseless(retention.hold(root(), hold(&"x".repeat(2001))).await));
    assert!(senseless(retention.hold(root(), HoldRequest { session: None, ..hold("r") }).await));
    let since = Some(bench.clock.now());
    assert!(senseless(retention.hold(root(), HoldRequest { since, ..hold("r") }).await));
    let young = retention.start(root(), older_than(&bench, 1)).await;
    assert!(matches!(young, Err(KeepError::Young(_))), "{young:?}");
    let silent = RetentionRequest { reason: String::new(), ..older_than(&bench, 3) };
    assert!(matches!(retention.start(root(), silent).await, Err(KeepError::Senseless(_))));
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
    let keeping = Arc::new(Retention::new(recorder, config.clone(), bench.clock.clone()));
    // A hundred days after the last record: if the clock is wrong, young rows would go.
    for _ in 0..2 {
        let doubted = keeping.run_due().await;
        assert!(matches!(doubted, Err(RetentionError::ClockAhead { .. })), "{doubted:?}");
    }
    let unremoved = keeping.recorder.health().unremoved.unwrap();
    assert!(unremoved.contains("--clock-is-right"), "{unremoved}");
    let events = |kind: &str| format!("SELECT count(*) FROM events WHERE kind = '{kind}'");
    assert_eq!(bench.ask(&events("clock-doubted")).await, "1");
    // Neither does the next start believe it, although that of before has recorded by it.
    keeping.recorder.event(Event::new("daemon-started", "by that clock")).await.unwrap();
    keeping.recorder.close().await;
    let recorder = bench.open().await.recorder;
    let keeping = Arc::new(Retention::new(recorder, config, bench.clock.clone()));
    assert!(matches!(keeping.run_due().await, Err(RetentionError::ClockAhead { .. })));
    let unsure = RetentionRequest { clock_is_right: false, ..older_than(&bench, 30) };
    let refused = keeping.start(root(), unsure).await;
    assert!(matches!(refused, Err(KeepError::Clock(_))), "{refused:?}");
    assert_eq!(bench.ask(&events("clock-doubted")).await, "1");
    // A person says that it is right; bodies of nothing go.
    let sure = RetentionRequest {
        rows_before: None,
        bodies_before: Some(bench.clock.now()),
        ..older_than(&bench, 30)
    };
    keeping.start(root(), sure).await.unwrap();
    assert_eq!(over(&keeping).await.error, None);
    assert_eq!(bench.ask(&events("clock-confirmed")).await, "1");
    assert!(keeping.run_due().await.unwrap().unwrap().rows() >= 4);
    assert_eq!(keeping.recorder.health().unremoved, None);
    let who = bench.ask("SELECT group_concat(DISTINCT actor || ': ' || reason) FROM tombstones").await;
    assert_eq!(who, "the daemon: bodies_days = 0, rows_days = 30");
    assert!(!keeping.status().running);
}
