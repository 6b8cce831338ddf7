//! token → [`Claims`]: OIDC issuers, their keys, and which of their tokens are believed.
//!
//! A token is read strictly (`token`, `header`, `claims`: all pure) before a key is looked for; the key comes from the
//! configured issuer's own set and from nowhere else (`discovery`, `jwk`), which is kept and renewed (`keys`); only
//! a good signature makes [`Claims`] of what was read. JWT best current practices: RFC 8725.

mod algorithm;
mod claims;
mod config;
mod discovery;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod header;
mod json;
mod jwk;
mod keys;
#[cfg(test)]
mod tests;
mod token;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use tokio::{sync::Semaphore, task::JoinSet};

pub use self::{
    config::{CLAIMS_MAX, Config, steps},
    discovery::is_issuer_url,
    error::{Claim, IssuerError, Part, TokenError},
};
use self::{error::FetchError, keys::Keys, token::Unproven};
use crate::{clock::Clock, prim::IssuerName, secret::SecretText};

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it, by its configured name.
    pub issuer: IssuerName,
    /// Who it is about: unique at that issuer, 1 to 256 characters, no control characters.
    pub subject: String,
    /// Its groups, each with the issuer's prefix: at most 256.
    pub groups: Vec<String>,
    /// The further claims that are shown to policy, by their configured names; those that it lacks are absent.
    pub attributes: BTreeMap<String, String>,
    /// When it was issued.
    pub issued: OffsetDateTime,
    /// When it expires. The issuer's clock may be a little off, so a token may be verified just after that.
    pub expires: OffsetDateTime,
    /// Tells tokens apart without showing them.
    pub digest: TokenDigest,
}

/// The SHA-256 of what a token's signature covers. The signature is left out: ECDSA's can be written in two ways.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of the token's text.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest(&SHA256, signed.as_bytes()).as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Issuers whose keys are fetched at once.
const REFRESHES: usize = 4;

/// The configured issuers.
#[derive(Debug)]
pub struct Issuers {
    issuers: HashMap<IssuerName, Issuer>,
    clock: Clock,
}

#[derive(Debug)]
struct Issuer {
    config: Config,
    keys: Keys,
}

impl Issuers {
    /// Reads the roots of each issuer; asks nobody yet.
    ///
    /// # Errors
    /// [`IssuerError`], which names the issuer.
    pub fn new(configs: &[Config], clock: Clock) -> Result<Self, IssuerError> {
        Self::with_roots(configs, None, clock)
    }

    /// The same, where the system's roots may hold the CA of this gateway, which is left out: what agents trust vouches
    /// for no issuer.
    ///
    /// # Errors
    /// [`IssuerError`], which names the issuer.
    pub fn without(
        own_ca: &CertificateDer<'_>,
        configs: &[Config],
        clock: Clock,
    ) -> Result<Self, IssuerError> {
        Self::with_roots(configs, Some(own_ca), clock)
    }

    fn with_roots(
        configs: &[Config],
        own_ca: Option<&CertificateDer<'_>>,
        clock: Clock,
    ) -> Result<Self, IssuerError> {
        let mut issuers = HashMap::new();
        for config in configs {
            match issuers.entry(config.name.clone()) {
                Entry::Occupied(_) => return Err(IssuerError::Twice(config.name.clone())),
                Entry::Vacant(entry) => {
                    let keys = Keys::new(config, own_ca, clock.clone())?;
                    entry.insert(Issuer { config: config.clone(), keys });
                }
            }
        }
        Ok(Self { issuers, clock })
    }

    /// What a token of this issuer says, if it is to be believed now: its form, header, claims, times, and its
    /// signature by a key of the issuer. With the keys at hand it takes no input or output; else they are
    /// fetched, which takes at most the issuer's `timeout_secs`.
    ///
    /// # Errors
    /// [`TokenError`]; nothing of the token may be used.
    pub async fn verify(&self, issuer: &IssuerName, token: &SecretText) -> Result<Claims, TokenError> {
        let Some(Issuer { config, keys }) = self.issuers.get(issuer) else {
            return Err(TokenError::UnknownIssuer(issuer.clone()));
        };
        let unproven = Unproven::read(token.expose(), config, self.clock.now())?;
        let Some(set) = keys.current().await else {
            return Err(TokenError::IssuerDown(issuer.clone()));
        };
        match unproven.prove(&set) {
            Err(TokenError::UnknownKey) => match keys.newer().await {
                Some(set) => unproven.prove(&set),
                None => Err(TokenError::UnknownKey),
            },
            known => known,
        }
    }

    /// Fetches the keys of every issuer that are due: there are none yet, or they are older than its
    /// `keys_refresh_secs`. Call it every few seconds, so that no token need wait and a withdrawn key is not believed
    /// longer where nobody brings tokens. Those that are down are logged, and asked again after `min_refetch_secs`.
    pub async fn refresh(&self) {
        let places = Arc::new(Semaphore::new(REFRESHES));
        let mut refreshes = JoinSet::new();
        for issuer in self.issuers.values() {
            let (keys, places) = (issuer.keys.clone(), Arc::clone(&places));
            refreshes.spawn(async move {
                // It is never closed.
                let Ok(_place) = places.acquire().await else { return };
                keys.refresh().await;
            });
        }
        while refreshes.join_next().await.is_some() {}
    }
}
