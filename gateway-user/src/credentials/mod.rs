//! `Permit` → short-lived keys that only the gateway holds.
//!
//! The ambient chain of the AWS SDK gives the gateway's own keys; where the workload has a role,
//! STS gives keys of that role for this session alone, so that CloudTrail names the session.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::SharedCredentialsProvider;

use self::{
    account::Learnt,
    cache::{Owner, Slots},
};
use crate::{
    clock::Clock,
    decide::Permit,
    identify::Caller,
    prim::{AccountId, Region, SessionId},
    secret::SecretText,
};

mod account;
mod ambient;
mod cache;
mod sts;
#[cfg(test)]
mod tests;

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
    /// The source gave keys that no longer work.
    #[error("the keys of {0} have expired")]
    Expired(String),
    /// No answer in time.
    #[error("no credentials within {0:?}")]
    Timeout(Duration),
}

/// Where keys come from: the ambient chain, then `sts:AssumeRole` where the workload has a role.
///
/// Keys are kept per role and session, renewed in time by one caller while the others go on with
/// what they have, and never handed out after their expiry.
pub struct Source {
    origin: Origin,
    config: Config,
    clock: Clock,
    slots: Slots,
    own_account: Learnt,
}

enum Origin {
    /// The gateway's own keys, and STS with them.
    Provider(SharedCredentialsProvider),
    /// These keys, whatever the workload.
    Fixed(Keys),
}

impl Source {
    /// The ambient chain of this process: its environment, profile, web identity, container and
    /// instance role, in the SDK's order. Nothing is contacted before the first call.
    #[must_use]
    pub fn new(config: Config, clock: Clock) -> Self {
        Self::with_provider(SharedCredentialsProvider::new(ambient::Ambient::default()), config, clock)
    }

    /// Always these keys, also for workloads with a role, which is not assumed: for upstreams that
    /// are not AWS.
    #[must_use]
    pub fn fixed(keys: Keys, clock: Clock) -> Self {
        let slots = Slots::new(1);
        Self {
            origin: Origin::Fixed(keys),
            config: Config::default(),
            clock,
            slots,
            own_account: Learnt::default(),
        }
    }

    fn with_provider(provider: SharedCredentialsProvider, config: Config, clock: Clock) -> Self {
        let slots = Slots::new(config.cache);
        Self { origin: Origin::Provider(provider), config, clock, slots, own_account: Learnt::default() }
    }

    /// The keys to sign this permit with.
    ///
    /// # Errors
    /// [`CredentialsError`]; never an expired key, and never one of another account than was decided on.
    pub async fn keys(&self, permit: &Permit, caller: &Caller) -> Result<Keys, CredentialsError> {
        let operation = permit.operation();
        let keys = self.keys_in(&operation.region, caller).await?;
        if let (Some(decided), None) = (&operation.account, caller.session.workload.stated_account()) {
            let account = self.account_of(&keys, &operation.region, caller).await;
            if account.as_ref() != Some(decided) {
                let keys = account.map_or("an unknown one".to_owned(), |account| account.to_string());
                return Err(CredentialsError::OtherAccount { decided: decided.clone(), keys });
            }
        }
        Ok(keys)
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
        let keys = self.keys_in(region, caller).await.ok()?;
        self.account_of(&keys, region, caller).await
    }

    async fn account_of(&self, keys: &Keys, region: &Region, caller: &Caller) -> Option<AccountId> {
        if matches!(self.origin, Origin::Fixed(_)) {
            return None;
        }
        let place = self.sts(region, caller);
        self.own_account.of(keys, &self.clock, &place).await
    }

    /// Drops and zeroes the keys of a session that has ended.
    pub fn forget(&self, session: SessionId) {
        self.slots.forget(session);
    }

    async fn keys_in(&self, region: &Region, caller: &Caller) -> Result<Keys, CredentialsError> {
        let provider = match &self.origin {
            Origin::Provider(provider) => provider,
            Origin::Fixed(keys) => return unexpired(keys.clone(), "the gateway", self.now()),
        };
        let workload = &caller.session.workload;
        let owner = match &workload.role_arn {
            None => Owner::Gateway,
            Some(role) => Owner::Role { role: role.clone(), session: caller.session.id },
        };
        let fetch = async {
            let keys = match &workload.role_arn {
                None => ambient::keys(provider).await?,
                Some(role) => {
                    let role = sts::Role {
                        arn: role,
                        session: caller.session.id,
                        source_identity: self.config.source_identity.then(|| workload.name.as_str()),
                    };
                    sts::assume_role(provider, &self.sts(region, caller), role).await?
                }
            };
            unexpired(keys, workload.role_arn.as_deref().unwrap_or("the gateway"), self.now())
        };
        self.slots
            .get(owner)
            .keys(&self.clock, Duration::from_secs(self.config.refresh_before_secs), self.timeout(), fetch)
            .await
    }

    /// STS for this caller. Keys work in every region of a partition; the workload's own is nearest.
    fn sts<'a>(&'a self, region: &'a Region, caller: &'a Caller) -> sts::Place<'a> {
        sts::Place {
            region: caller.session.workload.region.as_ref().unwrap_or(region),
            endpoint: self.config.sts_endpoint.as_deref(),
            timeout: self.timeout(),
        }
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

fn unexpired(keys: Keys, whose: &str, now: SystemTime) -> Result<Keys, CredentialsError> {
    if keys.expires.is_some_and(|expires| expires <= now) {
        return Err(CredentialsError::Expired(whose.to_owned()));
    }
    Ok(keys)
}

/// An error and its causes in one line; the SDK hides the useful part in the last of them.
fn chain(error: &dyn std::error::Error) -> String {
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
    /// Keys of roles kept, one for each role and session.
    pub cache: usize,
    /// Whether `AssumeRole` carries the workload's name as SourceIdentity; the role's trust policy
    /// must then allow `sts:SetSourceIdentity`.
    pub source_identity: bool,
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
            source_identity: false,
            learn_account: true,
            sts_endpoint: None,
        }
    }
}
