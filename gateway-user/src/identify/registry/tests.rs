use std::{
    convert::Infallible,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use time::macros::datetime;
use tokio::sync::Barrier;

use super::*;
use crate::{
    identify::{Config, EndReason, Identity, MasterKey, VouchError, fake::FakeTree},
    issuer::Issuers,
    prim::OriginalDst,
};

const CLAUDE: &str = "agents.slice/claude-1.service";

/// A registry over a fake tree: workload `claude` by glob, `tagged` by its name, at most 3 sessions.
struct Bench {
    tree: Arc<FakeTree>,
    registry: Arc<Registry>,
}

fn bench() -> Bench {
    let tree =
        Arc::new(FakeTree::with(&["agents.slice", CLAUDE, "system.slice", "system.slice/sshd.service"]));
    bench_over(tree, "boot-1")
}

fn bench_over(tree: Arc<FakeTree>, boot: &str) -> Bench {
    let claude = "name = 'claude'\nidentity = 'host'\ncgroup = 'agents.slice/claude-*.service'";
    let tagged = "name = 'tagged'\nidentity = 'host'";
    let vouched =
        "name = 'vouched'\nidentity = 'oidc'\nissuer = 'idp'\nsubjects = ['agent-*']\ngroups = ['today']";
    let workloads = [claude, tagged, vouched].map(|text| toml::from_str(text).unwrap());
    let registry = Registry::new(
        &Config { max_sessions: 3, ..Config::default() },
        Workloads::new(CgroupPath::new("agents.slice"), workloads).unwrap(),
        tree.clone(),
        Placeholders::new(&MasterKey::from_bytes([1; 32])),
        nobody_else(),
        BootId::new(boot),
        Clock::manual(datetime!(2030-01-01 00:00 UTC)),
    );
    Bench { tree, registry: Arc::new(registry) }
}

/// Only the host vouches.
fn nobody_else() -> Vouchers {
    let clock = Clock::manual(datetime!(2030-01-01 00:00 UTC));
    Vouchers::new(Arc::new(Issuers::new(&[], clock).unwrap()))
}

impl Bench {
    async fn identify(&self, cgroup: &str) -> Result<Caller, IdentifyError> {
        self.identify_id(self.tree.id(&CgroupPath::new(cgroup)).unwrap()).await
    }

    async fn identify_id(&self, cgroup: CgroupId) -> Result<Caller, IdentifyError> {
        self.registry.identify(&origin(cgroup), async |_: &Session| Ok::<(), Infallible>(())).await
    }

    /// What the database would hold of `session`.
    fn stored(&self, session: &Session, boot: &str) -> StoredSession {
        StoredSession {
            id: session.id,
            workload: session.workload.name.clone(),
            cgroup: session.cgroup.clone(),
            cgroup_id: session.cgroup_id,
            boot: BootId::new(boot),
            started: session.started,
            launch: session.launch.clone(),
            identity: None,
        }
    }
}

fn origin(cgroup: CgroupId) -> Origin {
    let destination = OriginalDst(([192, 0, 2, 1], 443).into());
    Origin { destination, cgroup, pid: 42, uid: 1000 }
}

#[tokio::test]
async fn a_cgroup_is_one_session_and_so_are_the_cgroups_below_it() {
    let bench = bench();
    bench.tree.add(&format!("{CLAUDE}/sub"));
    let caller = bench.identify(CLAUDE).await.unwrap();
    assert_eq!((caller.pid, caller.uid), (42, 1000));
    assert_eq!(caller.session.workload.name.as_str(), "claude");
    assert_eq!(caller.session.cgroup.as_str(), CLAUDE);
    assert_eq!(caller.session.started, datetime!(2030-01-01 00:00 UTC));
    let again = bench.identify(CLAUDE).await.unwrap();
    let below = bench.identify(&format!("{CLAUDE}/sub")).await.unwrap();
    assert!(Arc::ptr_eq(&caller.session, &again.session) && Arc::ptr_eq(&caller.session, &below.session));

    bench.tree.add("agents.slice/claude-2.service");
    let other = bench.identify("agents.slice/claude-2.service").await.unwrap();
    assert_ne!(caller.session.id, other.session.id);
    assert_ne!(caller.session.placeholder.access_key_id, other.session.placeholder.access_key_id);
    let open: Vec<_> = bench.registry.open().iter().map(|session| session.id).collect();
    assert_eq!(open, [caller.session.id, other.session.id]);
}

#[tokio::test]
async fn who_cannot_be_identified_is_refused() {
    let check = async |cgroup: &str, expected: &str| {
        let bench = bench();
        for path in ["agents.slice/aider.service", "agents.slice/claude-both.service", "agents.slice/spoilt"]
        {
            bench.tree.add(path);
        }
        bench.tree.set_tag("agents.slice/claude-both.service", "tagged");
        bench.tree.spoil_tag("agents.slice/spoilt");
        assert_eq!(bench.identify(cgroup).await.unwrap_err().to_string(), expected);
        assert!(bench.registry.open().is_empty());
    };
    check("system.slice/sshd.service", "cgroup /system.slice/sshd.service is not below the agent slice")
        .await;
    check("agents.slice", "no workload is configured for cgroup /agents.slice").await;
    check("agents.slice/aider.service", "no workload is configured for cgroup /agents.slice/aider.service")
        .await;
    check(
        "agents.slice/claude-both.service",
        "both workload claude and workload tagged answer for cgroup /agents.slice/claude-both.service",
    )
    .await;
    check(
        "agents.slice/spoilt",
        "the cgroup tree could not be read: the extended attribute trusted.chaperone.workload has a value that \
         no workload can have",
    )
    .await;
    let gone = bench().identify_id(CgroupId(999)).await.unwrap_err();
    assert!(matches!(gone, IdentifyError::CgroupGone(CgroupId(999))), "{gone}");
}

#[tokio::test]
async fn connections_at_once_record_one_session_before_any_of_them_uses_it() {
    let bench = bench();
    let records = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(32));
    let leaf = bench.tree.id(&CgroupPath::new(CLAUDE)).unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (registry, records, start) =
                (Arc::clone(&bench.registry), Arc::clone(&records), Arc::clone(&start));
            // Spawned, as the daemon does: the future must be `Send`.
            tokio::spawn(async move {
                start.wait().await;
                let record = async |_: &Session| {
                    tokio::task::yield_now().await;
                    records.fetch_add(1, Ordering::SeqCst);
                    Ok::<(), Infallible>(())
                };
                let caller = registry.identify(&origin(leaf), record).await.unwrap();
                // Nobody has the session before it is recorded.
                assert_eq!(records.load(Ordering::SeqCst), 1);
                caller.session.id
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(records.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_session_that_cannot_be_recorded_is_not_used_and_the_next_attempt_has_the_same_id() {
    let bench = bench();
    let leaf = bench.tree.id(&CgroupPath::new(CLAUDE)).unwrap();
    let mut tried = None;
    let failed = bench
        .registry
        .identify(&origin(leaf), async |session: &Session| {
            tried = Some(session.id);
            Err(io::Error::other("disk full"))
        })
        .await
        .unwrap_err();
    assert_eq!(failed.to_string(), "the session could not be recorded: disk full");
    assert!(bench.registry.open().is_empty());
    let caller = bench.identify(CLAUDE).await.unwrap();
    assert_eq!(Some(caller.session.id), tried);
}

#[tokio::test]
async fn a_connection_that_goes_away_while_recording_leaves_the_session_to_the_next() {
    let bench = bench();
    let leaf = bench.tree.id(&CgroupPath::new(CLAUDE)).unwrap();
    let origin = origin(leaf);
    let mut stuck = Box::pin(bench.registry.identify(&origin, async |_: &Session| {
        std::future::pending::<()>().await;
        Ok::<(), Infallible>(())
    }));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(stuck.as_mut().poll(cx).is_pending())).await);
    drop(stuck);
    assert!(bench.registry.open().is_empty());
    bench.identify(CLAUDE).await.unwrap();
    assert_eq!(bench.registry.open().len(), 1);
}

#[tokio::test]
async fn sessions_are_bounded_and_an_ended_one_makes_room() {
    let bench = bench();
    let paths: Vec<_> = (1..=4).map(|n| format!("agents.slice/claude-n{n}.service")).collect();
    for path in &paths {
        bench.tree.add(path);
    }
    for path in paths.iter().take(3) {
        bench.identify(path).await.unwrap();
    }
    let refused = bench.identify(&paths[3]).await.unwrap_err();
    assert!(matches!(refused, IdentifyError::TooManySessions(3)), "{refused}");
    bench.identify(&paths[0]).await.unwrap();

    bench.tree.end(&paths[0]);
    assert_eq!(bench.registry.gone().len(), 1);
    bench.identify(&paths[3]).await.unwrap();
}

#[tokio::test]
async fn the_sweep_returns_each_ended_session_once() {
    let bench = bench();
    bench.tree.add(&format!("{CLAUDE}/sub"));
    let session = bench.identify(&format!("{CLAUDE}/sub")).await.unwrap().session;
    assert!(bench.registry.gone().is_empty());
    // The leaf alone is not the session.
    bench.tree.end(&format!("{CLAUDE}/sub"));
    assert!(bench.registry.gone().is_empty());

    bench.tree.end(CLAUDE);
    let ended: Vec<_> = bench.registry.gone().iter().map(|session| session.id).collect();
    assert_eq!(ended, [session.id]);
    assert!(bench.registry.gone().is_empty());
    // A new cgroup of the same name is a new session.
    bench.tree.add(CLAUDE);
    assert_ne!(bench.identify(CLAUDE).await.unwrap().session.id, session.id);
}

#[tokio::test]
async fn a_restarted_daemon_goes_on_with_the_same_session() {
    let before = bench();
    let session = before.identify(CLAUDE).await.unwrap().session;
    let after = bench_over(Arc::clone(&before.tree), "boot-1");
    assert_eq!(after.registry.restore([before.stored(&session, "boot-1")]), []);
    let refuse = async |_: &Session| Err(io::Error::other("must not be recorded again"));
    let again = after.registry.identify(&origin(session.cgroup_id), refuse).await.unwrap().session;
    assert_eq!(again.id, session.id);
    assert_eq!(again.started, session.started);
    assert_eq!(again.placeholder.access_key_id, session.placeholder.access_key_id);
    assert_eq!(again.placeholder.secret.expose(), session.placeholder.secret.expose());
}

#[tokio::test]
async fn what_ended_while_the_daemon_was_down_is_reported() {
    let check = async |change: &dyn Fn(&Bench, &mut StoredSession), expected: EndReason| {
        let bench = bench();
        let session = bench.identify(CLAUDE).await.unwrap().session;
        let mut stored = bench.stored(&session, "boot-1");
        change(&bench, &mut stored);
        let after = bench_over(Arc::clone(&bench.tree), "boot-1");
        assert_eq!(after.registry.restore([stored]), [(session.id, expected)]);
        assert!(after.registry.open().is_empty());
    };
    check(&|_, stored| stored.boot = BootId::new("boot-0"), EndReason::HostRestarted).await;
    check(&|bench, _| bench.tree.end(CLAUDE), EndReason::CgroupGone).await;
    check(&|_, stored| stored.workload = "retired".parse().unwrap(), EndReason::WorkloadRemoved).await;
    let remade = |bench: &Bench, _: &mut StoredSession| {
        bench.tree.end(CLAUDE);
        bench.tree.add(CLAUDE);
    };
    check(&remade, EndReason::CgroupGone).await;
}

#[tokio::test]
async fn a_launched_session_is_bound_to_its_cgroup_whatever_the_globs_say() {
    let bench = bench();
    // The glob of `claude` would match this name; the session was launched for `tagged`.
    let path = CgroupPath::new("agents.slice/claude-x.service");
    let id = bench.tree.add(path.as_str());
    let tagged = bench.registry.workloads().named(&"tagged".parse().unwrap()).unwrap().clone();
    let launch = Launch { command: vec!["true".to_owned()], uid: 1000 };
    let session_id = SessionId::generate();
    let session = bench
        .registry
        .launched(
            session_id,
            tagged.clone(),
            (path.clone(), id),
            launch.clone(),
            None,
            async |_: &Session| Ok::<(), Infallible>(()),
        )
        .await
        .unwrap();
    assert_eq!((session.id, session.launch.as_ref()), (session_id, Some(&launch)));
    let caller = bench.identify(path.as_str()).await.unwrap();
    assert!(Arc::ptr_eq(&caller.session, &session));

    // What cannot be recorded leaves nothing behind.
    let other = bench.tree.add("agents.slice/other");
    let failed = bench
        .registry
        .launched(
            SessionId::generate(),
            tagged,
            (CgroupPath::new("agents.slice/other"), other),
            launch,
            None,
            async |_: &Session| Err(io::Error::other("disk full")),
        )
        .await;
    assert!(matches!(failed, Err(IdentifyError::RecordFailed(_))));
    assert_eq!(bench.registry.open().len(), 1);
    assert!(matches!(bench.identify("agents.slice/other").await, Err(IdentifyError::NoWorkload { .. })));
}

#[tokio::test]
async fn a_restored_identity_is_held_against_todays_configuration() {
    let known = |change: &dyn Fn(&mut Identity)| {
        let bench = bench();
        let workload = bench.registry.workloads().named(&"vouched".parse().unwrap()).unwrap().clone();
        let mut identity = Identity::host(&workload);
        identity.issuer = "idp".to_owned();
        identity.subject = "agent-7".to_owned();
        identity.groups = vec!["readers".to_owned(), "yesterday".to_owned()];
        identity.token_groups = vec!["readers".to_owned()];
        identity.expires = Some(datetime!(2030-01-01 01:00 UTC));
        change(&mut identity);
        let path = CgroupPath::new("agents.slice/vouched-1.scope");
        let stored = StoredSession {
            id: SessionId::generate(),
            workload: workload.name.clone(),
            cgroup_id: bench.tree.add(path.as_str()),
            cgroup: path,
            boot: BootId::new("boot-1"),
            started: datetime!(2030-01-01 00:00 UTC),
            launch: None,
            identity: Some(identity),
        };
        let ended = bench.registry.restore([stored]);
        let open = bench.registry.open();
        (
            ended.first().map(|(_, reason)| *reason),
            open.first().map(|session| session.identity().groups.clone()),
        )
    };
    let groups = vec!["readers".to_owned(), "today".to_owned()];
    assert_eq!(known(&|_| {}), (None, Some(groups)));
    let over = (Some(EndReason::TokenExpired), None);
    assert_eq!(known(&|identity| identity.subject = "somebody".to_owned()), over);
    assert_eq!(known(&|identity| identity.issuer = "host".to_owned()), over);
    assert_eq!(known(&|identity| identity.expires = None), over);
    assert_eq!(known(&|identity| identity.expires = Some(datetime!(2030-01-01 00:00 UTC))), over);
}

#[tokio::test]
async fn a_killed_session_s_cgroup_gets_no_other() {
    let bench = bench();
    let session = bench.identify(CLAUDE).await.unwrap().session;
    let killed = bench.registry.kill(session.id).unwrap();
    assert_eq!(killed.ended(datetime!(2030-01-01 00:00 UTC)), Some(EndReason::Killed));
    assert!(matches!(bench.identify(CLAUDE).await, Err(IdentifyError::Killed { .. })));
    bench.tree.add(&format!("{CLAUDE}/below"));
    assert!(matches!(bench.identify(&format!("{CLAUDE}/below")).await, Err(IdentifyError::Killed { .. })));
    assert!(bench.registry.kill(session.id).is_none());
    // As a restarted daemon knows it.
    let after = bench_over(Arc::clone(&bench.tree), "boot-1");
    after.registry.bar([session.cgroup_id]);
    assert!(matches!(after.identify(CLAUDE).await, Err(IdentifyError::Killed { .. })));
    // A new cgroup of the same name is another one.
    bench.tree.end(CLAUDE);
    bench.tree.add(CLAUDE);
    assert!(bench.identify(CLAUDE).await.is_ok());
}

/// Makes the token of a session expire, as far as the registry can tell.
fn expire(session: &Session) {
    let expires = Some(datetime!(2029-12-31 23:00 UTC));
    session.is_known_as(Identity { expires, ..Identity::host(&session.workload) });
}

#[tokio::test]
async fn a_connection_that_waited_for_a_session_which_has_expired_does_not_hold_the_next_one_up() {
    let bench = bench();
    let leaf = bench.tree.id(&CgroupPath::new(CLAUDE)).unwrap();
    let origin = origin(leaf);
    let (recorded, wait) = tokio::sync::oneshot::channel::<()>();
    let mut first = Box::pin(bench.registry.identify(&origin, async |_: &Session| {
        wait.await.map_err(io::Error::other)?;
        Ok::<(), io::Error>(())
    }));
    let mut second = Box::pin(bench.registry.identify(&origin, async |_: &Session| Ok::<(), Infallible>(())));
    std::future::poll_fn(|cx| {
        assert!(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    recorded.send(()).unwrap();
    let old = first.await.unwrap().session;
    expire(&old);
    assert_eq!(bench.registry.expired().len(), 1);
    let new = bench.identify(CLAUDE).await.unwrap().session;
    assert_ne!(old.id, new.id);
    assert!(matches!(second.await, Err(IdentifyError::Over { .. })));
    assert_eq!(bench.identify(CLAUDE).await.unwrap().session.id, new.id);
}

#[tokio::test]
async fn what_takes_out_an_old_session_leaves_the_next_one_of_its_cgroup() {
    let bench = bench();
    let old = bench.identify(CLAUDE).await.unwrap().session;
    expire(&old);
    let slots: Vec<_> = bench.registry.state().slots.values().cloned().collect();
    assert_eq!(bench.registry.expired().len(), 1);
    let new = bench.identify(CLAUDE).await.unwrap().session;
    // As who had looked before.
    assert_eq!(bench.registry.remove(EndReason::TokenExpired, |_| true, slots).len(), 0);
    assert_eq!(bench.registry.open().first().map(|session| session.id), Some(new.id));
    assert!(new.ended(datetime!(2030-01-01 00:00 UTC)).is_none());
}

/// The daemon can read files that the launching user perhaps cannot: a session of his goes on with his own tokens alone.
#[tokio::test]
async fn a_session_that_a_user_launched_is_not_renewed_from_a_file() {
    let bench = bench();
    let workload = "name = 'w'\nidentity = 'oidc'\nissuer = 'idp'\ntoken_file = '/nowhere/token'";
    let workload: Arc<WorkloadConfig> = Arc::new(toml::from_str(workload).unwrap());
    let session = |launch| {
        let place = (CgroupPath::new(CLAUDE), CgroupId(7));
        bench.registry.session(
            SessionId::generate(),
            Arc::clone(&workload),
            place,
            bench.registry.clock.now(),
            launch,
        )
    };
    let by = |uid| Some(Launch { command: Vec::new(), uid });
    assert!(bench.registry.renewal(&session(by(1000))).await.is_none());
    for launch in [None, by(0)] {
        let renewal = bench.registry.renewal(&session(launch)).await;
        assert!(matches!(renewal, Some(Err(VouchError::File(_)))), "{renewal:?}");
    }
}
