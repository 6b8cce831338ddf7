//! A token is good for one cgroup and one user, for as long as it lives: also when it was renewed, when two present it
//! at once, and after a restart. Tokens are a real OpenID provider's, cgroups the test's.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use chaperone_tests::harness::{Oidc, Wanted};
use gateway_user::{
    clock::Clock,
    identify::{
        BootId, CgroupError, CgroupTree, Config, IdentifyError, Identity, Launch, MasterKey, Placeholders,
        Registry, Session, StoredToken, Voucher, Vouchers, WorkloadConfig, Workloads,
    },
    issuer::Issuers,
    prim::{CgroupId, CgroupPath, SessionId},
    secret::SecretText,
};
use time::Duration;

const ALICE: u32 = 1000;
const BOB: u32 = 1001;

/// The cgroups `agents.slice/N` that live.
#[derive(Default)]
struct Tree(Mutex<HashSet<u64>>);

impl CgroupTree for Tree {
    fn path(&self, id: CgroupId) -> Result<CgroupPath, CgroupError> {
        let lives = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id.0);
        if lives { Ok(path(id.0)) } else { Err(CgroupError::Gone) }
    }

    fn id(&self, _: &CgroupPath) -> Result<CgroupId, CgroupError> {
        Err(CgroupError::Gone)
    }

    fn tag(&self, _: &CgroupPath) -> Result<Option<String>, CgroupError> {
        Ok(None)
    }
}

fn path(cgroup: u64) -> CgroupPath {
    CgroupPath::new(&format!("agents.slice/{cgroup}"))
}

struct Stage {
    oidc: Oidc,
    tree: Arc<Tree>,
    clock: Clock,
    registry: Registry,
}

impl Stage {
    fn start() -> Result<Self> {
        let (oidc, tree) = (Oidc::start()?, Arc::new(Tree::default()));
        let clock = Clock::manual(Clock::system().now());
        let registry = registry(&oidc, &tree, &clock)?;
        Ok(Self { oidc, tree, clock, registry })
    }

    async fn token(&self, ttl: u64) -> Result<SecretText> {
        self.oidc.token(&Wanted { subject: "agent-7".to_owned(), ttl, ..Wanted::default() }).await
    }

    /// A session that `user` launches in `cgroup` with `token`, or why there is none.
    async fn launch(&self, cgroup: u64, user: u32, token: &SecretText) -> Result<Arc<Session>, &'static str> {
        self.tree.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cgroup);
        let workload = self.registry.workloads().all().next().cloned().ok_or("no workload")?;
        let launch = Launch { command: Vec::new(), uid: user };
        let recorded = async |_: &Session| Ok::<(), Infallible>(());
        let place = (path(cgroup), CgroupId(cgroup));
        self.registry
            .launched(SessionId::generate(), workload, place, launch, Some(token.clone()), recorded)
            .await
            .map_err(|error| IdentifyError::reason(&error).unwrap_or("another reason"))
    }

    async fn renew(&self, session: &Session, token: &SecretText) -> Result<(), &'static str> {
        let renewed = self.registry.renewed(session, token.clone()).await;
        renewed.map(|identity| session.is_known_as(identity)).map_err(|error| error.reason())
    }

    /// Ends a cgroup, and the session in it.
    fn end(&self, cgroup: u64) {
        self.tree.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&cgroup);
        assert_eq!(self.registry.gone().len(), 1);
    }
}

fn registry(oidc: &Oidc, tree: &Arc<Tree>, clock: &Clock) -> Result<Registry> {
    let workload = WorkloadConfig {
        identity: Voucher::Oidc,
        issuer: "idp".parse().ok(),
        ..WorkloadConfig::named("builds".parse()?)
    };
    let issuers = Issuers::new(&[oidc.config("idp")?], clock.clone())?;
    Ok(Registry::new(
        &Config::default(),
        Workloads::new(CgroupPath::new("agents.slice"), [workload])?,
        Arc::clone(tree) as Arc<dyn CgroupTree>,
        Placeholders::new(&MasterKey::from_bytes([1; 32])),
        Vouchers::new(Arc::new(issuers)),
        BootId::new("boot"),
        clock.clone(),
    ))
}

const ANOTHER: Option<&str> = Some("token-of-another");

#[tokio::test]
async fn a_token_that_was_renewed_opens_no_other_session() -> Result<()> {
    let stage = Stage::start()?;
    let (old, new) = (stage.token(300).await?, stage.token(600).await?);
    let session = stage.launch(1, ALICE, &old).await.map_err(anyhow::Error::msg)?;
    stage.renew(&session, &new).await.map_err(anyhow::Error::msg)?;
    for token in [&old, &new] {
        for (cgroup, user) in [(2, ALICE), (3, BOB), (4, 0)] {
            assert_eq!(stage.launch(cgroup, user, token).await.err(), ANOTHER, "{user}");
        }
    }
    // With nobody left in the cgroup its user may use it again, and still nobody else.
    stage.end(1);
    assert_eq!(stage.launch(5, BOB, &old).await.err(), ANOTHER);
    assert!(stage.launch(6, ALICE, &old).await.is_ok());
    assert_eq!(stage.launch(7, ALICE, &old).await.err(), ANOTHER);
    // Its end is the end of the matter.
    stage.clock.set(stage.clock.now() + Duration::seconds(301));
    assert_eq!(stage.launch(8, BOB, &old).await.err(), Some("expired"));
    Ok(())
}

#[tokio::test]
async fn of_two_launches_at_once_with_one_token_one_wins() -> Result<()> {
    let stage = Stage::start()?;
    for (round, other) in [(0, ALICE), (10, BOB)] {
        let token = stage.token(300).await?;
        let (one, two) =
            tokio::join!(stage.launch(round + 1, ALICE, &token), stage.launch(round + 2, other, &token));
        let mut both = [one.err(), two.err()];
        both.sort_unstable();
        assert_eq!(both, [None, ANOTHER]);
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_not_renewed_with_anothers_token_nor_with_an_older_one() -> Result<()> {
    let stage = Stage::start()?;
    let (own, others) = (stage.token(300).await?, stage.token(300).await?);
    let session = stage.launch(1, ALICE, &own).await.map_err(anyhow::Error::msg)?;
    stage.launch(2, ALICE, &others).await.map_err(anyhow::Error::msg)?;
    assert_eq!(stage.renew(&session, &others).await, Err("token-of-another"));
    assert_eq!(stage.renew(&session, &own).await, Ok(()), "its own it may have again");

    let fresh = stage.token(300).await?;
    let known = session.identity();
    let issued = known.issued.context("issued")?;
    session.is_known_as(Identity { issued: Some(issued + Duration::hours(1)), ..(*known).clone() });
    assert_eq!(stage.renew(&session, &fresh).await, Err("older-token"));
    // After a restart it is told by its end.
    let expires = known.expires.map(|expires| expires + Duration::hours(1));
    session.is_known_as(Identity { issued: None, expires, ..(*known).clone() });
    assert_eq!(stage.renew(&session, &fresh).await, Err("older-token"));
    session.is_known_as(Identity { issued: None, ..(*known).clone() });
    assert_eq!(stage.renew(&session, &stage.token(400).await?).await, Ok(()));
    Ok(())
}

#[tokio::test]
async fn a_restarted_daemon_knows_whose_tokens_are() -> Result<()> {
    let mut stage = Stage::start()?;
    let tokens = [stage.token(300).await?, stage.token(300).await?, stage.token(300).await?];
    let stored = |token: &SecretText, cgroup| StoredToken {
        digest: Identity::digest(token),
        expires: stage.clock.now() + Duration::seconds(300),
        workload: "builds".parse().unwrap_or_else(|_| unreachable!("a name")),
        cgroup,
        uid: Some(ALICE),
    };
    let known = [stored(&tokens[0], Some(CgroupId(1))), stored(&tokens[1], None)];
    stage.tree.0.lock().unwrap_or_else(PoisonError::into_inner).insert(1);
    stage.registry = registry(&stage.oidc, &stage.tree, &stage.clock)?;
    stage.registry.bind(known);
    assert_eq!(stage.launch(2, ALICE, &tokens[0]).await.err(), ANOTHER);
    assert_eq!(stage.launch(2, BOB, &tokens[1]).await.err(), ANOTHER);
    assert!(stage.launch(3, ALICE, &tokens[1]).await.is_ok(), "of an earlier boot: nobody is left");
    assert!(stage.launch(4, BOB, &tokens[2]).await.is_ok());
    Ok(())
}
