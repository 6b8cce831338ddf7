//! Certificates for tests: a CA and what it vouches for.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::sign::any_ecdsa_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

/// A CA that nothing but the tests trusts.
#[derive(Debug)]
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What is wrong with a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It ended yesterday.
    Expired,
    /// It is for `wrong.example`.
    WrongName,
    /// A CA issued it that nobody trusts.
    UnknownIssuer,
}

impl TestCa {
    /// A fresh CA.
    ///
    /// # Errors
    /// When the key cannot be made.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "chaperone test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A root store with this CA alone.
    ///
    /// # Errors
    /// Never in practice: the certificate is our own.
    pub fn roots(&self) -> Result<RootCertStore> {
        roots(self.pem.as_bytes())
    }

    /// A certificate and key for these names, valid today unless `fault` says otherwise.
    ///
    /// # Errors
    /// When a name is no DNS name.
    pub fn leaf(&self, names: &[&str], fault: Option<CertificateFault>) -> Result<CertifiedKey> {
        let (cert, key) = self.issue(names, fault)?;
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(CertifiedKey::new(vec![cert.der().clone()], any_ecdsa_type(&der)?))
    }

    /// The same as PEM files `NAME.pem` and `NAME.key` in `dir`, for servers of other makers.
    ///
    /// # Errors
    /// As [`TestCa::leaf`], and the file system's.
    pub fn write_leaf(&self, dir: &Path, name: &str, names: &[&str]) -> Result<()> {
        let (cert, key) = self.issue(names, None)?;
        fs::write(dir.join(format!("{name}.pem")), cert.pem()).context("certificate")?;
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).context("key")
    }

    fn issue(
        &self,
        names: &[&str],
        fault: Option<CertificateFault>,
    ) -> Result<(rcgen::Certificate, KeyPair)> {
        let names = match fault {
            Some(CertificateFault::WrongName) => vec!["wrong.example".to_owned()],
            Some(CertificateFault::Expired | CertificateFault::UnknownIssuer) | None => {
                names.iter().map(|&name| name.to_owned()).collect()
            }
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "chaperone test leaf");
        let now = gateway_user::clock::Clock::system().now();
        params.not_before = now - time::Duration::days(2);
        params.not_after = match fault {
            Some(CertificateFault::Expired) => now - time::Duration::days(1),
            Some(CertificateFault::WrongName | CertificateFault::UnknownIssuer) | None => {
                now + time::Duration::days(2)
            }
        };
        let key = KeyPair::generate()?;
        let cert = match fault {
            Some(CertificateFault::UnknownIssuer) => params.signed_by(&key, &Self::new()?.issuer)?,
            Some(CertificateFault::Expired | CertificateFault::WrongName) | None => {
                params.signed_by(&key, &self.issuer)?
            }
        };
        Ok((cert, key))
    }
}

/// A root store with the certificates of a PEM text.
///
/// # Errors
/// When the text is not PEM or a certificate is unusable.
pub fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.context("not a certificate")?)?;
    }
    Ok(store)
}

/// The provider every TLS configuration of the bench uses, named so that none depends on a default.
#[must_use]
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
