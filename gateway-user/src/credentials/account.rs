//! Which account the gateway's own keys belong to, as STS says.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::time::timeout;

use super::{
    CredentialsError, Keys,
    sts::{Clients, Place},
};
use crate::{
    clock::Clock,
    prim::{AccountId, Region},
};

/// How long after a failure STS is not asked again in the same region: until then the account is not known.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The account of one pair of keys, asked for once. Renewed keys are asked about anew: nothing says
/// that they are of the same account.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    known: ArcSwapOption<Known>,
    /// Held by the one caller that is asking; the last failure. By region, because agents choose it: one that
    /// names a region without STS must not keep the others from learning.
    flight: tokio::sync::Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    region: Region,
    retry: SystemTime,
}

#[derive(Debug)]
struct Known {
    access_key_id: String,
    account: AccountId,
}

impl Learnt {
    /// The account of `keys`: the known one, or what STS at `place` says; `None` where it did not tell.
    pub(super) async fn of(
        &self,
        sts: &Clients,
        keys: &Keys,
        clock: &Clock,
        place: &Place<'_>,
    ) -> Option<AccountId> {
        if let Some(account) = self.known(keys) {
            return Some(account);
        }
        let limit = place.timeout;
        let mut failure = timeout(limit, self.flight.lock()).await.ok()?;
        if let Some(account) = self.known(keys) {
            return Some(account);
        }
        let now = SystemTime::from(clock.now());
        if failure.as_ref().is_some_and(|failure| failure.region == *place.region && now < failure.retry) {
            return None;
        }
        match timeout(limit, sts.account_of(keys, place))
            .await
            .unwrap_or(Err(CredentialsError::Timeout(limit)))
        {
            Ok(account) => {
                tracing::info!(%account, access_key_id = keys.access_key_id, "the gateway's account is known");
                let known = Known { access_key_id: keys.access_key_id.clone(), account: account.clone() };
                self.known.store(Some(Arc::new(known)));
                *failure = None;
                Some(account)
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    retry_after_secs = RETRY_AFTER.as_secs(),
                    "the gateway's account is not known, so most ARNs are not: set `account` of the workload"
                );
                *failure = Some(Failure { region: place.region.clone(), retry: now + RETRY_AFTER });
                None
            }
        }
    }

    fn known(&self, keys: &Keys) -> Option<AccountId> {
        let known = self.known.load();
        let known = known.as_ref().filter(|known| known.access_key_id == keys.access_key_id);
        known.map(|known| known.account.clone())
    }
}
