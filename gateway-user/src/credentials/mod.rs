//! `Permit` → short-lived keys that only the gateway holds.
//!
//! The ambient chain of the AWS SDK gives the gateway's own keys; where the workload has a role,
//! STS gives keys of that role for this session alone, so that CloudTrail names the session, and good
//! for no more than the call, or the workload's rules, ask for.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::config::SharedHttpClient;
use tokio::time::timeout;

use self::{
    account::Learnt,
    ambient::Own,
    cache::{Owner, Slots},
    compiled::Compiled,
    flights::Flights,
    session_policy::SessionPolicy,
    sts::Clients,
    token::token,
    whom::{tags, whom},
};
use crate::{
    clock::Clock,
    decide::{Permit, Policies},
    identify::{Caller, CredentialSource, GivenKeys, Minted, Scope, role_account},
    prim::{AccountId, Region, SessionId, WorkloadName},
    roots::Roots,
    secret::SecretText,
};

mod account;
mod ambient;
mod cache;
mod compiled;
mod flights;
mod http;
mod session_policy;
mod sts;
#[cfg(test)]
mod tests;
mod token;
mod whom;

/// AWS keys of the gateway. They never leave `sign`.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret: SecretText,
    /// Session token, for temporary keys.
    pub session_token: Option<SecretText>,
    /// When they stop working.
    pub expires: Option<SystemTime>,
}

impl From<&GivenKeys> for Keys {
    fn from(given: &GivenKeys) -> Self {
        Self {
            access_key_id: given.access_key_id.clone(),
            secret: given.secret.clone(),
            session_token: Some(given.session_token.clone()),
            expires: given.expires.map(SystemTime::from),
        }
    }
}

/// Why there are no keys; the call is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialsError {
    /// The ambient chain found nothing.
    #[error("the gateway has no AWS credentials: {0}")]
    NoSource(String),
    /// STS did not give the role.
    #[error("assuming {role} failed: {detail}")]
    AssumeRole {
        /// The role's ARN.
        role: String,
        /// STS's words.
        detail: String,
    },
    /// STS refuses the role, and will the next time: its trust policy, the rights of who asks, or what is asked for.
    #[error("STS refuses {role}: {detail}")]
    RoleRefused {
        /// The role's ARN.
        role: String,
        /// STS's words.
        detail: String,
    },
    /// STS takes session policy and tags in a packed form, and these are too much for it.
    #[error(
        "session policy and tags are too much for the keys of {role}: {detail}; name fewer resources in one call, or \
         turn `credentials.session_tags` off"
    )]
    PackedTooLarge {
        /// The role's ARN.
        role: String,
        /// STS's words.
        detail: String,
    },
    /// STS does not accept the token that the role is assumed with.
    #[error("STS refuses the session's token for {role}: {detail}")]
    TokenRefused {
        /// The role's ARN.
        role: String,
        /// STS's words.
        detail: String,
    },
    /// STS did not tell whose the gateway's own keys are.
    #[error("asking STS for the account failed: {0}")]
    CallerIdentity(String),
    /// What was decided is about another account than the keys are of.
    #[error("the call was decided for account {decided}, but the gateway's keys are of {keys}")]
    OtherAccount {
        /// The account of the permit.
        decided: AccountId,
        /// The account of the keys, or that it is not known.
        keys: String,
    },
    /// A call needs more than a session policy can say.
    #[error(
        "the call needs {pairs} actions on resources, a session policy of {characters} characters where STS takes 2048: \
         name fewer resources in one call, or set the workload's scope to \"session\" or \"role\""
    )]
    PolicyTooLarge {
        /// How many pairs of action and resource.
        pairs: usize,
        /// Characters of the policy.
        characters: usize,
    },
    /// A workload's rules are more than a session policy can say.
    #[error(
        "the rules about {workload} make a session policy of {characters} characters ({statements} statements) where STS \
         takes 2048: name groups of a service instead of many actions, and fewer resources, or set its scope to \"call\" \
         or \"role\""
    )]
    RulesTooLarge {
        /// The workload.
        workload: WorkloadName,
        /// Statements of the policy.
        statements: usize,
        /// Characters of the policy.
        characters: usize,
    },
    /// The role is assumed with a token that the session does not have.
    #[error("the session has no token to assume its role with")]
    NoToken,
    /// The source gave keys that no longer work.
    #[error("the keys of {0} have expired")]
    Expired(String),
    /// No answer in time.
    #[error("no credentials within {0:?}")]
    Timeout(Duration),
}

/// Why the client that asks for keys cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("TLS towards STS: {0}")]
pub struct SetupError(String);

/// Where keys come from: the ambient chain, then STS where the workload, or the rule that permits the
/// call, has a role.
///
/// Keys of a role are limited by a session policy, unless the workload's scope says otherwise. Those that
/// are made for one call are not kept; others are kept per role, session and policy, renewed in time by one
/// caller while the others go on with what they have, and never handed out after their expiry.
pub struct Source {
    origin: Origin,
    config: Config,
    clock: Clock,
    slots: Slots,
    own_account: Learnt,
    /// What the rules permit each workload, and by which rules.
    compiled: Compiled,
    /// Keys for single calls that may be asked for at the same time.
    flights: Flights,
}

enum Origin {
    /// The gateway's own keys, and STS with them.
    Own { own: Arc<Own>, sts: Clients },
    /// These keys, whatever the workload.
    Fixed(Keys),
}

impl Source {
    /// The ambient chain of this process: its environment, profile, web identity, container and
    /// instance role, in the SDK's order. Nothing is contacted before the first call. Whoever is asked for keys, `roots`
    /// vouch for.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(config: Config, roots: &Roots, clock: Clock) -> Result<Self, SetupError> {
        let http = http::client(roots)?;
        let ambient = ambient::Ambient::new(http.clone());
        Ok(Self::asking(http, SharedCredentialsProvider::new(ambient), config, clock))
    }

    /// Always these keys, also for workloads with a role, which is not assumed: for upstreams that
    /// are not AWS.
    #[must_use]
    pub fn fixed(keys: Keys, clock: Clock) -> Self {
        Self::of(Origin::Fixed(keys), Config { cache: 1, ..Config::default() }, clock)
    }

    /// The gateway's own keys come from `provider`; `roots` vouch for STS.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn with_provider(
        provider: SharedCredentialsProvider,
        config: Config,
        roots: &Roots,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        Ok(Self::asking(http::client(roots)?, provider, config, clock))
    }

    /// What the gateway does in its own name: its keys, and a client that believes whom it believes. `None` where
    /// there are none of its own.
    #[must_use]
    pub fn own(&self) -> Option<aws_config::SdkConfig> {
        match &self.origin {
            Origin::Own { sts, .. } => Some(sts.sdk()),
            Origin::Fixed(_) => None,
        }
    }

    fn asking(
        http: SharedHttpClient,
        provider: SharedCredentialsProvider,
        config: Config,
        clock: Clock,
    ) -> Self {
        let own = Arc::new(Own::new(provider, &config, clock.clone()));
        let provider = SharedCredentialsProvider::new(Arc::clone(&own) as Arc<dyn ProvideCredentials>);
        let sts = Clients::new(http, provider);
        Self::of(Origin::Own { own, sts }, config, clock)
    }

    fn of(origin: Origin, config: Config, clock: Clock) -> Self {
        let slots = Slots::new(config.cache);
        let flights = Flights::new(config.sts_max_in_flight);
        let (own_account, compiled) = (Learnt::default(), Compiled::default());
        Self { origin, config, clock, slots, own_account, compiled, flights }
    }

    /// The keys to sign this permit with. `policies` are those in force: they say what a session's keys
    /// are good for.
    ///
    /// # Errors
    /// [`CredentialsError`]; never an expired key, and never one of another account than was decided on.
    pub async fn keys(
        &self,
        permit: &Permit,
        caller: &Caller,
        policies: &Policies,
    ) -> Result<Keys, CredentialsError> {
        let operation = permit.operation();
        let decided = operation.account.as_ref();
        let other = |decided: &AccountId, keys: Option<AccountId>| CredentialsError::OtherAccount {
            decided: decided.clone(),
            keys: keys.map_or("an unknown one".to_owned(), |account| account.to_string()),
        };
        let workload = &caller.session.workload;
        let Some(role) = permit.role().or(workload.role_arn.as_deref()) else {
            let keys = self.own_keys().await?;
            if let (Some(decided), None) = (decided, workload.stated_account()) {
                let account = self.account_of(&keys, &operation.region, caller).await;
                if account.as_ref() != Some(decided) {
                    return Err(other(decided, account));
                }
            }
            return Ok(keys);
        };
        if let Some(decided) = decided
            && let account = role_account(role)
            && account.as_ref() != Some(decided)
        {
            return Err(other(decided, account));
        }
        let Origin::Own { .. } = &self.origin else { return self.own_keys().await };
        match scope(permit, caller) {
            Scope::Call => self.for_call(role, permit, caller).await,
            Scope::Session => {
                let policy = self.compiled.get(policies, caller, role)?;
                self.for_session(role, Some(&policy), &operation.region, caller).await
            }
            Scope::Role => self.for_session(role, None, &operation.region, caller).await,
        }
    }

    /// The account that a call of this workload acts in: as configured, that of its role, or what STS
    /// says of the gateway's own keys. `None` where that cannot be found out.
    pub async fn account(&self, region: &Region, caller: &Caller) -> Option<AccountId> {
        if let Some(account) = caller.session.workload.stated_account() {
            return Some(account);
        }
        if !self.config.learn_account {
            return None;
        }
        // Without keys the call fails anyway, and says why once it is decided.
        let keys = self.own_keys().await.ok()?;
        self.account_of(&keys, region, caller).await
    }

    /// The account that calls act in which are made with these keys that AWS gave the session: STS is asked where
    /// their answer did not tell, once, and after a failure again in a while. `None` where that cannot be found out.
    pub async fn account_given(&self, given: &Minted, region: &Region, caller: &Caller) -> Option<AccountId> {
        if let Some(account) = &given.keys.account {
            return Some(account.clone());
        }
        let Origin::Own { sts, .. } = &self.origin else { return None };
        if !self.config.learn_account {
            return None;
        }
        let ask = async {
            let (keys, place) = (Keys::from(&given.keys), self.place(region, caller));
            let now = self.clock.now();
            let untold = || given.untold.lock().unwrap_or_else(PoisonError::into_inner);
            if untold().as_ref().is_some_and(|(region, until)| region == place.region && now < *until) {
                return Err(());
            }
            let asked = timeout(place.timeout, sts.account_of(&keys, &place)).await;
            asked.unwrap_or(Err(CredentialsError::Timeout(place.timeout))).map_err(|error| {
                tracing::warn!(session = %caller.session.id, %error, "the account of minted keys is not known");
                *untold() = Some((place.region.clone(), now + account::RETRY_AFTER));
            })
        };
        given.learnt.get_or_try_init(|| ask).await.ok().cloned()
    }

    async fn account_of(&self, keys: &Keys, region: &Region, caller: &Caller) -> Option<AccountId> {
        let Origin::Own { sts, .. } = &self.origin else { return None };
        let place = self.place(region, caller);
        self.own_account.of(sts, keys, &self.clock, &place).await
    }

    /// Drops and zeroes the keys of a session that has ended.
    pub fn forget(&self, session: SessionId) {
        self.slots.forget(session);
        self.flights.forget(session);
    }

    async fn own_keys(&self) -> Result<Keys, CredentialsError> {
        match &self.origin {
            Origin::Own { own, .. } => own.keys().await,
            Origin::Fixed(keys) => unexpired(keys.clone(), "the gateway", self.now()),
        }
    }

    /// Keys that this call alone is signed with: nobody keeps them.
    async fn for_call(&self, role: &str, permit: &Permit, caller: &Caller) -> Result<Keys, CredentialsError> {
        let policy = session_policy::for_call(permit)?;
        let limit = self.timeout();
        let fetch = async {
            let _flight = self.flights.begin(caller.session.id, || self.over(caller)).await;
            self.assume(role, Some(&policy), SHORTEST, &permit.operation().region, caller).await
        };
        timeout(limit, fetch).await.unwrap_or(Err(CredentialsError::Timeout(limit)))
    }

    /// Keys for all calls of the session with this role and policy.
    async fn for_session(
        &self,
        role: &str,
        policy: Option<&SessionPolicy>,
        region: &Region,
        caller: &Caller,
    ) -> Result<Keys, CredentialsError> {
        let digest = policy.map(SessionPolicy::digest);
        let owner = Owner { role: role.to_owned(), first: false, session: caller.session.id, policy: digest };
        let seconds = self.config.role_duration_secs;
        // Boxed when it is polled: moving what asks STS would be most of what kept keys take.
        let fetch = async { Box::pin(self.assume(role, policy, seconds, region, caller)).await };
        let refresh_before = Duration::from_secs(self.config.refresh_before_secs);
        self.slots
            .get(owner, || self.over(caller))
            .keys(&self.clock, refresh_before, self.timeout(), fetch)
            .await
    }

    async fn assume(
        &self,
        arn: &str,
        policy: Option<&SessionPolicy>,
        seconds: u64,
        region: &Region,
        caller: &Caller,
    ) -> Result<Keys, CredentialsError> {
        let Origin::Own { own, sts } = &self.origin else { return self.own_keys().await };
        let whom = whom(caller);
        let role = sts::Role {
            arn,
            session: caller.session.id,
            source_identity: self.config.source_identity.then(|| whom.source_identity()),
            tags: if self.config.session_tags { tags(caller, &whom) } else { Vec::new() },
            policy: policy.map(SessionPolicy::text),
            seconds: i32::try_from(seconds).unwrap_or(i32::MAX),
        };
        let place = self.place(region, caller);
        let keys = match caller.session.workload.credentials {
            CredentialSource::Gateway => {
                // Kept ones; where there are none, the reason is better said here than by the SDK.
                own.keys().await?;
                sts.assume_role(&place, role).await?
            }
            CredentialSource::WebIdentity => match caller.session.workload.web_identity_role.as_deref() {
                None => {
                    let token = token(caller).ok_or(CredentialsError::NoToken)?;
                    sts.assume_role_with_web_identity(&place, role, &token).await?
                }
                Some(first) => {
                    let keys = self.by_web_identity(sts, first, &place, caller).await?;
                    let seconds = role.seconds.min(CHAINED);
                    sts.assume_role_with(&keys, &place, sts::Role { seconds, ..role }).await?
                }
            },
            // Its calls are forwarded as they were signed; nothing of the gateway's is lent to it.
            CredentialSource::Passthrough => {
                return Err(CredentialsError::NoSource("the workload uses keys of its own".to_owned()));
            }
        };
        unexpired(keys, arn, self.now())
    }

    /// Keys of the role that the workload's token is for: kept for the session, and good for nothing here but to assume
    /// the next role with. AWS is told who calls with that one.
    async fn by_web_identity(
        &self,
        sts: &Clients,
        arn: &str,
        place: &sts::Place<'_>,
        caller: &Caller,
    ) -> Result<Keys, CredentialsError> {
        let session = caller.session.id;
        let owner = Owner { role: arn.to_owned(), first: true, session, policy: None };
        let fetch = async {
            let token = token(caller).ok_or(CredentialsError::NoToken)?;
            let (source_identity, tags, policy) = (None, Vec::new(), None);
            let role = sts::Role { arn, session, source_identity, tags, policy, seconds: CHAINED };
            let keys = Box::pin(sts.assume_role_with_web_identity(place, role, &token)).await?;
            unexpired(keys, arn, self.now())
        };
        let refresh_before = Duration::from_secs(self.config.refresh_before_secs);
        self.slots
            .get(owner, || self.over(caller))
            .keys(&self.clock, refresh_before, self.timeout(), fetch)
            .await
    }

    /// STS for this caller. Keys work in every region of a partition; the workload's own is nearest.
    fn place<'a>(&'a self, region: &'a Region, caller: &'a Caller) -> sts::Place<'a> {
        sts::Place {
            region: caller.session.workload.region.as_ref().unwrap_or(region),
            endpoint: self.config.sts_endpoint.as_deref(),
            timeout: self.timeout(),
        }
    }

    fn over(&self, caller: &Caller) -> bool {
        caller.session.ended(self.clock.now()).is_some()
    }

    fn now(&self) -> SystemTime {
        self.clock.now().into()
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.config.timeout_secs)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The shortest life of a role's keys, in seconds.
const SHORTEST: u64 = 900;

/// The longest life of keys that were given for keys of a role, in seconds.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const CHAINED: i32 = 3600;

/// How far the keys for this call reach. What policy objects to and is only observed is not in what the
/// rules permit, so it has keys of its own.
fn scope(permit: &Permit, caller: &Caller) -> Scope {
    let scope = caller.session.workload.scope.unwrap_or_default();
    match (scope, permit.objection()) {
        (Scope::Session, Some(_)) => Scope::Call,
        (scope, _) => scope,
    }
}

fn unexpired(keys: Keys, whose: &str, now: SystemTime) -> Result<Keys, CredentialsError> {
    if keys.expires.is_some_and(|expires| expires <= now) {
        return Err(CredentialsError::Expired(whose.to_owned()));
    }
    Ok(keys)
}

/// An error and its causes in one line; the SDK hides the useful part in the last of them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let detail = error.to_string();
        if !words.contains(&detail) {
            words.push_str(": ");
            words.push_str(&detail);
        }
        cause = error.source();
    }
    words
}

/// The gateway's own AWS credentials: the ambient chain of the AWS SDK.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time to get keys, in seconds.
    pub timeout_secs: u64,
    /// Time before their expiry at which keys are renewed, in seconds.
    pub refresh_before_secs: u64,
    /// Keys of roles kept, one for each role, session and session policy.
    pub cache: usize,
    /// How long keys of roles work that are kept, in seconds. STS gives no more than 3600 where the
    /// gateway's own keys are those of a role.
    pub role_duration_secs: u64,
    /// Keys for single calls that are asked for at the same time; further calls wait. A session may take
    /// a quarter of it.
    pub sts_max_in_flight: usize,
    /// Whether `AssumeRole` carries the session's subject as SourceIdentity; the role's trust policy
    /// must then allow `sts:SetSourceIdentity`.
    pub source_identity: bool,
    /// Whether `AssumeRole` carries workload, session and issuer as tags of the session; the role's trust
    /// policy must then allow `sts:TagSession`.
    pub session_tags: bool,
    /// Whether STS is asked which account the gateway's own keys belong to, for workloads that state
    /// neither `account` nor `role_arn`.
    pub learn_account: bool,
    /// STS endpoint URL, for VPC endpoints and tests; otherwise the region's own.
    pub sts_endpoint: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout_secs: 10,
            refresh_before_secs: 300,
            cache: 4096,
            role_duration_secs: 3600,
            sts_max_in_flight: 64,
            source_identity: true,
            session_tags: true,
            learn_account: true,
            sts_endpoint: None,
        }
    }
}
