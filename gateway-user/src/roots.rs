//! Who vouches for those that the gateway talks to: AWS, STS and the issuers of tokens.
//!
//! The system's roots, or those that an admin names, and never the gateway's own CA. That one is for agents, and an admin
//! may install it in the system's store for them: were it a root here, too, whoever holds one of its leaves could pass
//! for AWS.

use std::{path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, TrustAnchor, pem::PemObject as _};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

/// How the names of the CAs begin that gateways make, before that of the host.
pub const OWN_CA_NAME: &str = "chaperone CA on ";

/// The roots that a client of the gateway trusts: at least one, and none of them the gateway's own CA.
#[derive(Debug, Clone)]
pub struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    store: Arc<RootCertStore>,
}

impl Roots {
    /// These roots, as far as they can be read, without `own_ca`. That is told by its key: a certificate that was made anew
    /// for the same key, or that somebody else signed, vouches for the same leaves. CAs that it had before, and those of other
    /// gateways, are told by their name ([`OWN_CA_NAME`]): one that was replaced because its key was stolen may still be
    /// in the system's store. `None` where no root is left, or
    /// `own_ca` cannot be told.
    #[must_use]
    pub fn without(
        own_ca: Option<&CertificateDer<'_>>,
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Option<Self> {
        let own = own_ca.map(anchor).transpose().ok()?;
        let named = |root: &TrustAnchor<'_>| {
            root.subject.windows(OWN_CA_NAME.len()).any(|part| part == OWN_CA_NAME.as_bytes())
        };
        let is_own = |root: &TrustAnchor<'_>| {
            own.as_ref()
                .is_some_and(|own| own.subject_public_key_info == root.subject_public_key_info || named(root))
        };
        let (mut certificates, mut store) = (Vec::new(), RootCertStore::empty());
        for certificate in roots {
            if let Ok(root) = anchor(&certificate)
                && !is_own(&root)
            {
                store.roots.push(root);
                certificates.push(certificate);
            }
        }
        (!store.is_empty()).then(|| Self { certificates, store: Arc::new(store) })
    }

    /// TLS that trusts them.
    ///
    /// # Errors
    /// Never in practice: the versions are rustls' own.
    pub fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.store))
            .with_no_client_auth())
    }

    /// Their certificates, for clients that take them as text (RFC 7468).
    #[must_use]
    pub fn pem(&self) -> String {
        let mut pem = String::new();
        for certificate in &self.certificates {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            for (place, character) in STANDARD.encode(certificate).chars().enumerate() {
                if place > 0 && place % 64 == 0 {
                    pem.push('\n');
                }
                pem.push(character);
            }
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
        pem
    }
}

/// The system's roots, and in one line why there may be fewer than there should be.
#[must_use]
pub fn system() -> (Vec<CertificateDer<'static>>, String) {
    let native = rustls_native_certs::load_native_certs();
    let errors = native.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    (native.certs, errors)
}

/// The roots in a PEM file that an admin names: every one must be usable.
///
/// # Errors
/// What is wrong with it.
pub fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it contains no certificate".to_owned());
    }
    for certificate in &certificates {
        anchor(certificate).map_err(|error| error.to_string())?;
    }
    Ok(certificates)
}

/// What a certificate is as a root.
fn anchor(certificate: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, rustls::Error> {
    let mut one = RootCertStore::empty();
    one.add(certificate.clone().into_owned())?;
    one.roots.pop().ok_or(CertificateError::BadEncoding.into())
}
