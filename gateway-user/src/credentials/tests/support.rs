//! Callers, permits, and an ambient source that does what it is told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError as SdkCredentialsError, future},
};
use time::OffsetDateTime;

use crate::credentials::*;
use crate::{
    identify::{self, WorkloadConfig},
    roots::testing::Ca,
};

pub(in crate::credentials) const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
pub(super) const START: i64 = 1_800_000_000;

pub(super) fn clock() -> Clock {
    Clock::manual(OffsetDateTime::from_unix_timestamp(START).unwrap())
}

pub(super) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(START + seconds).unwrap()
}

/// A caller whose keys are kept, where it has a role.
pub(in crate::credentials) fn caller(role: Option<&str>) -> Caller {
    caller_with(|workload| {
        workload.role_arn = role.map(str::to_owned);
        workload.scope = role.map(|_| Scope::Role);
    })
}

pub(in crate::credentials) fn caller_of(role: Option<&str>, groups: &[&str]) -> Caller {
    caller_with(|workload| {
        workload.role_arn = role.map(str::to_owned);
        workload.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    })
}

pub(super) fn caller_with(change: impl FnOnce(&mut WorkloadConfig)) -> Caller {
    let mut workload = WorkloadConfig::named("builds".parse().unwrap());
    change(&mut workload);
    identify::testing::caller(workload, OffsetDateTime::UNIX_EPOCH)
}

pub(super) fn region() -> Region {
    "eu-central-1".parse().unwrap()
}

/// An ambient source that counts, numbers its keys and does what it is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Ambient {
    asked: Arc<AtomicUsize>,
    /// Seconds after START at which the keys expire; `None` for keys that do not.
    expires: Arc<Mutex<Option<i64>>>,
    fails: Arc<Mutex<bool>>,
}

impl Ambient {
    pub(super) fn expiring(seconds: i64) -> Self {
        Self { expires: Arc::new(Mutex::new(Some(seconds))), ..Self::default() }
    }
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
    pub(super) fn set(&self, expires: i64) {
        *self.expires.lock().unwrap() = Some(expires);
    }
    pub(super) fn fail(&self, fails: bool) {
        *self.fails.lock().unwrap() = fails;
    }
    async fn answer(&self) -> Result<Credentials, SdkCredentialsError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // Lets every other caller reach the slot while this flight is up.
        tokio::task::yield_now().await;
        if *self.fails.lock().unwrap() {
            return Err(SdkCredentialsError::not_loaded("nothing here"));
        }
        let expires = self.expires.lock().unwrap().map(|seconds| at(seconds).into());
        Ok(Credentials::new(format!("AKIA{number}"), "ambient-secret", None, expires, "test"))
    }
}

impl ProvideCredentials for Ambient {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.answer())
    }
}

pub(super) fn source(ambient: &Ambient, config: Config, clock: &Clock) -> Source {
    source_trusting(&anybody(), ambient, config, clock)
}

pub(super) fn source_trusting(roots: &Roots, ambient: &Ambient, config: Config, clock: &Clock) -> Source {
    let ambient = SharedCredentialsProvider::new(ambient.clone());
    Source::with_provider(ambient, config, roots, clock.clone()).unwrap()
}

/// For tests in which nobody proves who they are.
pub(in crate::credentials) fn anybody() -> Roots {
    Roots::without(None, [Ca::new().certificate()]).unwrap()
}

/// Keys for a call that everything permits.
pub(super) async fn keys(source: &Source, caller: &Caller) -> Result<Keys, CredentialsError> {
    source.keys(&permit(None, caller), caller, &everything()).await
}

pub(super) async fn id(source: &Source, caller: &Caller) -> String {
    keys(source, caller).await.unwrap().access_key_id
}

pub(super) async fn error(source: &Source, caller: &Caller) -> String {
    keys(source, caller).await.unwrap_err().to_string()
}

/// The permit for these pairs, where the rules give one.
pub(in crate::credentials) fn decide(
    policies: &Policies,
    pairs: Vec<(&str, String)>,
    caller: &Caller,
) -> Option<Permit> {
    decide_in(None, policies, pairs, caller)
}

pub(super) fn decide_in(
    account: Option<&str>,
    policies: &Policies,
    pairs: Vec<(&str, String)>,
    caller: &Caller,
) -> Option<Permit> {
    use crate::{
        classify::{ActionOn, Operation},
        decide::{DayUsage, Facts, SessionUsage, Verdict},
        parse::RequestDigest,
    };
    let actions = pairs
        .into_iter()
        .map(|(action, resource)| ActionOn { action: action.to_owned(), resource })
        .collect();
    let operation = Operation {
        service: "s3".to_owned(),
        name: "GetObject".to_owned(),
        region: region(),
        account: account.map(|account| account.parse().unwrap()),
        actions,
        params: Default::default(),
        unread: Default::default(),
        keys: None,
        withheld: Vec::new(),
        tokens: Vec::new(),
        model: Default::default(),
        digest: RequestDigest([0; 32]),
    };
    let facts = Facts { now: at(0), session: &SessionUsage::default(), day: &DayUsage::default() };
    match policies.decide(caller, operation, facts) {
        Verdict::Allow(permit) => Some(permit),
        Verdict::Ask(_) | Verdict::Deny(_) => None,
    }
}

pub(super) fn policies(text: &str) -> Policies {
    Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap()
}

/// Rules that allow everything.
pub(super) fn everything() -> Policies {
    policies("permit (principal, action, resource);")
}

/// Allowed by a policy that allows everything.
pub(in crate::credentials) fn allowed(pairs: Vec<(&str, String)>, caller: &Caller) -> Permit {
    decide(&everything(), pairs, caller).unwrap()
}

pub(super) fn permit(account: Option<&str>, caller: &Caller) -> Permit {
    decide_in(account, &everything(), vec![("s3:GetObject", "*".to_owned())], caller).unwrap()
}
