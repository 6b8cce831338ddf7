use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use time::macros::datetime;

use super::*;
use crate::{
    api::Config,
    identify::{self, BootId, CgroupTree, MasterKey, Placeholders, Vouchers, Workloads, fake::FakeTree},
    issuer::Issuers,
    prim::CgroupId,
};

const START: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

/// A launcher over a fake tree with the workloads `names`.
pub(in crate::api) struct Bench {
    pub(in crate::api) tree: Arc<FakeTree>,
    pub(in crate::api) registry: Arc<Registry>,
    pub(in crate::api) launcher: Arc<Launcher>,
    log: Arc<FakeLog>,
    clock: Clock,
}

#[derive(Default)]
struct FakeLog {
    full: AtomicBool,
    enrolled: Mutex<Vec<SessionId>>,
    killed: Mutex<Vec<(SessionId, u32)>>,
}

impl SessionLog for FakeLog {
    fn enrolled<'a>(&'a self, session: &'a Session) -> Recording<'a> {
        Box::pin(async {
            if self.full.load(Ordering::SeqCst) {
                return Err(RecordError::Store("disk full".to_owned()));
            }
            self.enrolled.lock().unwrap().push(session.id);
            Ok(())
        })
    }

    fn renewed<'a>(&'a self, session: &'a Session, identity: Identity) -> Recording<'a> {
        session.is_known_as(identity);
        Box::pin(async { Ok(()) })
    }

    fn killed<'a>(&'a self, session: &'a Session, uid: u32) -> Recording<'a> {
        self.killed.lock().unwrap().push((session.id, uid));
        Box::pin(async { Ok(()) })
    }

    fn refused<'a>(
        &'a self,
        _: &'a WorkloadName,
        _: Option<&'a Session>,
        _: Peer,
        _: &'a VouchError,
    ) -> Recording<'a, ()> {
        Box::pin(async {})
    }
}

pub(in crate::api) fn bench(names: &[&str]) -> Bench {
    bench_with_slice(names, "agents.slice")
}

pub(in crate::api) fn bench_with_slice(names: &[&str], slice: &str) -> Bench {
    let tree = Arc::new(FakeTree::with(&[slice]));
    let workloads = names.iter().map(|name| {
        toml::from_str(&format!("name = {name:?}\nidentity = 'host'\ncgroup = 'agents.slice/{name}-*'"))
            .unwrap()
    });
    let clock = Clock::manual(START);
    let registry = Arc::new(Registry::new(
        &identify::Config::default(),
        Workloads::new(CgroupPath::new(slice), workloads).unwrap(),
        tree.clone(),
        Placeholders::new(&MasterKey::from_bytes([1; 32])),
        Vouchers::new(Arc::new(Issuers::new(&[], clock.clone()).unwrap())),
        BootId::new("boot"),
        clock.clone(),
    ));
    let log = Arc::new(FakeLog::default());
    let launcher = Arc::new(Launcher::new(
        &Config { body_max_bytes: 64, ..Config::default() },
        Arc::clone(&registry),
        tree.clone(),
        log.clone(),
        vec![("AWS_CA_BUNDLE".to_owned(), "/ca.pem".to_owned())],
        clock.clone(),
    ));
    Bench { tree, registry, launcher, log, clock }
}

fn me() -> Peer {
    Peer { pid: std::process::id(), uid: rustix::process::geteuid().as_raw() }
}

fn request(workload: Option<&str>) -> LaunchRequest {
    let workload = workload.map(|name| name.parse().unwrap());
    LaunchRequest { workload, command: vec!["true".to_owned()], token: None }
}

/// A process that ends when told to.
struct Cat(Child);

impl Cat {
    fn start() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn end(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test]
async fn a_launch_makes_a_recorded_session_in_a_tagged_cgroup() {
    let bench = bench(&["claude"]);
    let launched = bench.launcher.launch(me(), request(None)).await.unwrap();
    assert_eq!(launched.workload.as_str(), "claude");
    assert_eq!(launched.cgroup.as_str(), format!("agents.slice/chaperone-claude-{}.scope", launched.session));
    assert_eq!(bench.tree.tag(&launched.cgroup).unwrap().as_deref(), Some("claude"));
    assert_eq!(*bench.log.enrolled.lock().unwrap(), [launched.session]);
    let [session] = bench.registry.open().try_into().unwrap();
    assert_eq!(session.id, launched.session);
    assert_eq!(session.launch, Some(Launch { command: vec!["true".to_owned()], uid: me().uid }));
    assert!(launched.environment.set.iter().any(|(name, _)| name == "AWS_CA_BUNDLE"));
    let placement = if me().uid == 0 { Placement::Clone } else { Placement::Adopt };
    assert_eq!(launched.placement, placement);
}

#[tokio::test]
async fn the_workload_must_be_clear() {
    let check = async |configured: &[&str], wanted: Option<&str>, expected: Result<&str, &str>| {
        let bench = bench(configured);
        let result = bench.launcher.launch(me(), request(wanted)).await;
        let text = result.as_ref().map(|l| l.workload.as_str()).map_err(ToString::to_string);
        assert_eq!(text, expected.map_err(str::to_owned), "{configured:?} {wanted:?}");
        if expected.is_err() {
            assert_eq!(bench.tree.children(&CgroupPath::new("agents.slice")).unwrap(), []);
            assert!(bench.launcher.launches().is_empty());
        }
    };
    check(&["a", "b"], Some("b"), Ok("b")).await;
    check(&["a"], None, Ok("a")).await;
    check(&[], None, Err("no workload is configured")).await;
    check(&["a", "b"], None, Err("several workloads are configured, and none was named")).await;
    check(&["a"], Some("c"), Err("workload c is not configured")).await;
}

#[tokio::test]
async fn an_agent_may_not_launch() {
    // The test's own cgroup is below the root, so with the root as slice the test is an agent.
    let bench = bench_with_slice(&["a"], "");
    let refused = bench.launcher.launch(me(), request(None)).await.unwrap_err().to_string();
    assert!(refused.contains("runs inside the agent slice already"), "{refused}");
}

#[tokio::test]
async fn a_launcher_that_is_gone_gets_no_session() {
    let mut cat = Cat::start();
    let peer = Peer { pid: cat.0.id(), uid: 1000 };
    cat.end();
    let bench = bench(&["a"]);
    let refused = bench.launcher.launch(peer, request(None)).await.unwrap_err();
    assert!(matches!(refused, LaunchError::Peer(Refusal::Gone(_))), "{refused}");
}

#[tokio::test]
async fn a_session_that_cannot_be_recorded_leaves_nothing() {
    let bench = bench(&["a"]);
    bench.log.full.store(true, Ordering::SeqCst);
    let refused = bench.launcher.launch(me(), request(None)).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the session could not be recorded: the session database cannot be written: disk full"
    );
    assert_eq!(bench.tree.children(&CgroupPath::new("agents.slice")).unwrap(), []);
    assert!(bench.registry.open().is_empty() && bench.launcher.launches().is_empty());
}

#[tokio::test]
async fn one_fresh_child_is_adopted_and_no_other() {
    let bench = bench(&["a"]);
    let peer = me();
    let launched = bench.launcher.launch(peer, request(None)).await.unwrap();
    let (child, second) = (Cat::start(), Cat::start());
    let adopt = |peer, id, cat: &Cat| bench.launcher.adopt(peer, id, cat.0.id());

    let other_user = adopt(Peer { uid: 4242, ..peer }, launched.session, &child);
    assert!(matches!(other_user, Err(AdoptError::NotWaiting(_))), "{other_user:?}");
    let other_session = adopt(peer, SessionId::generate(), &child);
    assert!(matches!(other_session, Err(AdoptError::NotWaiting(_))), "{other_session:?}");
    let other_parent = adopt(Peer { pid: 1, ..peer }, launched.session, &child);
    assert!(
        matches!(other_parent, Err(AdoptError::Process(Refusal::NotYourChild { .. }))),
        "{other_parent:?}"
    );
    assert!(!bench.tree.populated(&launched.cgroup).unwrap(), "what was refused was not moved");

    adopt(peer, launched.session, &child).unwrap();
    assert!(bench.tree.populated(&launched.cgroup).unwrap());
    let again = adopt(peer, launched.session, &second);
    assert!(matches!(again, Err(AdoptError::NotWaiting(_))), "{again:?}");
}

#[tokio::test]
async fn a_cgroup_is_removed_when_it_is_empty_and_its_launcher_is_gone() {
    let bench = bench(&["a"]);
    let mut launcher = Cat::start();
    let peer = Peer { pid: launcher.0.id(), ..me() };
    let launched = bench.launcher.launch(peer, request(None)).await.unwrap();
    let sweep = || {
        bench.launcher.sweep();
        bench.registry.gone().len()
    };
    // The command may still be coming, however long that takes.
    bench.clock.set(START + time::Duration::HOUR);
    assert_eq!(sweep(), 0);
    bench.tree.admit(&launched.cgroup, 1).unwrap();
    launcher.end();
    // A process the command left behind keeps the session alive.
    assert_eq!(sweep(), 0);
    bench.tree.empty(launched.cgroup.as_str());
    assert_eq!(sweep(), 1);
    assert!(bench.registry.open().is_empty() && bench.launcher.launches().is_empty());
    assert!(matches!(bench.tree.id(&launched.cgroup), Err(CgroupError::Gone)));
}

#[tokio::test]
async fn what_an_earlier_daemon_left_is_removed_in_time_and_nothing_else() {
    let bench = bench(&["a"]);
    let workload = "a".parse().unwrap();
    let slice = CgroupPath::new("agents.slice");
    let left = scope::path(&slice, &workload, SessionId::generate());
    bench.tree.create(&left, "a").unwrap();
    bench.tree.add("agents.slice/a-by-hand.service");
    bench.launcher.sweep();
    assert_eq!(bench.tree.children(&slice).unwrap().len(), 2, "its launcher may have been about to use it");
    bench.clock.set(START + time::Duration::seconds(31));
    bench.launcher.sweep();
    assert_eq!(bench.tree.children(&slice).unwrap(), [CgroupPath::new("agents.slice/a-by-hand.service")]);
}

#[test]
fn a_long_command_line_is_cut() {
    let check = |command: &[&str], expected: &[&str]| {
        assert_eq!(shorten(command.iter().map(ToString::to_string).collect(), 8), expected);
    };
    check(&["ls", "-l"], &["ls", "-l"]);
    check(&["12345678"], &["12345678"]);
    check(&["123456789"], &["…"]);
    check(&["1234", "12345", "1"], &["1234", "…"]);
    check(&[], &[]);
}

#[test]
fn ids_of_the_fake_tree_are_not_reused() {
    let tree = FakeTree::with(&["x"]);
    tree.end("x");
    assert_eq!(tree.add("x"), CgroupId(2));
}

#[tokio::test]
async fn one_user_has_so_many_launches_and_another_may_still() {
    let bench = bench(&["a"]);
    let mut launched = Vec::new();
    for _ in 0..Config::default().max_launches_per_user {
        match bench.launcher.launch(me(), request(None)).await {
            Ok(one) => launched.push(one.session),
            Err(error) => panic!("{}: {error}", launched.len()),
        }
    }
    let (uid, limit) = (me().uid, launched.len());
    let refused = bench.launcher.launch(me(), request(None)).await.unwrap_err();
    let is_it =
        matches!(refused, LaunchError::TooMany { uid: of, limit: most } if of == uid && most == limit);
    assert!(is_it, "{refused}");
    assert_eq!(bench.registry.open().len(), limit);
    bench.launcher.launch(Peer { uid: uid + 1, ..me() }, request(None)).await.unwrap();
}

#[tokio::test]
async fn only_its_user_and_root_end_a_session() {
    let bench = bench(&["a"]);
    let of = |uid| Peer { uid, ..me() };
    let session = bench.launcher.launch(of(1000), request(None)).await.unwrap().session;
    let refused = bench.launcher.kill(of(1001), session).await.unwrap_err().to_string();
    assert_eq!(refused, format!("you have no open session {session}"));
    assert_eq!(bench.registry.open().len(), 1);
    bench.launcher.kill(of(1000), session).await.unwrap();
    let session = bench.launcher.launch(of(1000), request(None)).await.unwrap().session;
    bench.launcher.kill(of(0), session).await.unwrap();
    assert!(bench.registry.open().is_empty());
}
