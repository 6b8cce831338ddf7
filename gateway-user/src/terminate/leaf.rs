//! One server certificate per AWS name, minted when first asked for and kept in memory only.

use std::sync::Arc;

use moka::sync::Cache;
use rcgen::KeyPair;
use rustls::{
    crypto::aws_lc_rs::sign::any_ecdsa_type,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::OffsetDateTime;

use super::{TerminateError, ca::Ca};
use crate::{clock::Clock, prim::HostName, suffix};

/// Picks the certificate for the server name of a ClientHello.
///
/// All leaves share one key that never leaves this process: making a key per name costs more than
/// the certificate itself, and protects nothing, since every key lies in the same memory.
#[derive(Debug)]
pub(super) struct Leaves {
    ca: Ca,
    key: KeyPair,
    signer: Arc<dyn SigningKey>,
    cache: Cache<String, Leaf>,
    clock: Clock,
}

#[derive(Debug, Clone)]
struct Leaf {
    certified: Arc<CertifiedKey>,
    minted: OffsetDateTime,
    /// Half of its life is over.
    renew: OffsetDateTime,
}

impl Leaves {
    /// With at most `capacity` leaves in memory.
    pub(super) fn new(ca: Ca, capacity: u64, clock: Clock) -> Result<Self, TerminateError> {
        let key = KeyPair::generate()?;
        let signer = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        Ok(Self { ca, key, signer, cache: Cache::new(capacity), clock })
    }

    /// The CA that signs them.
    pub(super) fn ca(&self) -> &Ca {
        &self.ca
    }

    /// The certificate for `name`, as the hello spells it; `None` for names that are not AWS's.
    fn leaf(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let now = self.clock.now();
        // A clock that was set back makes a leaf "not yet valid": that one is minted anew, too.
        let fresh = |leaf: &Leaf| leaf.minted <= now && now < leaf.renew;
        if let Some(leaf) = self.cache.get(name).filter(fresh) {
            return Some(leaf.certified);
        }
        let host: HostName = name.parse().ok().filter(suffix::is_aws)?;
        let leaf = self.mint(&host, now)?;
        self.cache.insert(name.to_owned(), leaf.clone());
        Some(leaf.certified)
    }

    fn mint(&self, name: &HostName, now: OffsetDateTime) -> Option<Leaf> {
        let issued = match self.ca.issue(name, &self.key, now) {
            Ok(Some(issued)) => issued,
            Ok(None) => {
                tracing::error!(%name, expired = %self.ca.expires(), "the local CA has expired");
                return None;
            }
            Err(error) => {
                tracing::error!(%name, %error, "no certificate could be made");
                return None;
            }
        };
        let certified = Arc::new(CertifiedKey::new(vec![issued.certificate], Arc::clone(&self.signer)));
        Some(Leaf { certified, minted: now, renew: now + (issued.expires - now) / 2 })
    }
}

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf(hello.server_name()?)
    }
}

#[cfg(test)]
mod tests;
