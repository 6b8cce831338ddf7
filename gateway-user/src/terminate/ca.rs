//! The local certificate authority: created once, checked at every start, never overwritten.
//!
//! Its critical name constraints (RFC 5280 §4.2.1.10) permit the AWS suffixes and no IP address, so
//! that a stolen key cannot impersonate anything that agents and hosts use besides AWS.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData, SanType,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{TerminateError, check, files, files::Directory};
use crate::{prim::HostName, roots::OWN_CA_NAME, suffix::AWS_SUFFIXES};

/// The private key, PEM (PKCS #8), mode 0600.
pub const KEY_FILE: &str = "ca.key";
/// The certificate, PEM, mode 0644.
pub const CERTIFICATE_FILE: &str = "ca.pem";

/// Long enough that it outlives most build hosts, short enough that a forgotten host's CA ends.
const CA_LIFE: Duration = Duration::days(5 * 365);
/// A leaf lives in memory only; this bounds what a leaf key could be used for.
const LEAF_LIFE: Duration = Duration::days(1);
/// Clocks that are a little behind ours still accept a certificate made just now.
const BACKDATED: Duration = Duration::hours(1);
/// Neither file comes near.
const MAX_BYTES: u64 = 64 * 1024;

/// The CA with its key.
#[derive(Debug)]
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    expires: OffsetDateTime,
}

/// A freshly issued certificate.
pub(super) struct Issued {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) expires: OffsetDateTime,
}

impl Ca {
    /// Loads the CA of `directory`, or creates one where there is none. Two processes that do so at
    /// once end with the same CA; a crash at any point leaves no CA or a whole one.
    ///
    /// # Errors
    /// [`TerminateError`]: nothing that exists is repaired or replaced, the message says what to do.
    pub fn load_or_create(directory: &Path, now: OffsetDateTime) -> Result<Self, TerminateError> {
        let directory = Directory::lock(directory)?;
        let (key_file, certificate_file) = (directory.file(KEY_FILE), directory.file(CERTIFICATE_FILE));
        let (key, certificate) = (read_key(&key_file)?, read_certificate(&certificate_file)?);
        let key = match (key, &certificate) {
            (Some(key), _) => key,
            (None, None) => {
                let key = KeyPair::generate()?;
                directory.create(KEY_FILE, 0o600, Zeroizing::new(key.serialize_pem()).as_bytes())?;
                key
            }
            (None, Some(_)) => {
                return Err(TerminateError::KeyMissing { key: key_file, certificate: certificate_file });
            }
        };
        let certificate = match certificate {
            Some(certificate) => certificate,
            // Nobody can have seen a certificate of this key yet, or it was removed on purpose.
            None => {
                let made = parameters(&host_name(), now)?.self_signed(&key)?;
                directory.create(CERTIFICATE_FILE, 0o644, made.pem().as_bytes())?;
                made.into()
            }
        };
        let facts = check::check(&certificate, &key.subject_public_key_info(), now)
            .map_err(|problem| problem.at(&key_file, &certificate_file))?;
        if !facts.uncovered.is_empty() {
            tracing::warn!(
                certificate = %certificate_file.display(),
                suffixes = ?facts.uncovered,
                "the local CA was made before these AWS suffixes were known: clients will refuse its certificates for them",
            );
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { issuer, certificate, expires: facts.expires })
    }

    /// The public certificate of `directory`, without needing its key.
    ///
    /// # Errors
    /// [`TerminateError::NoCa`] when there is none yet; [`TerminateError::CertificateInvalid`].
    pub fn public(directory: &Path) -> Result<CertificateDer<'static>, TerminateError> {
        let path = directory.join(CERTIFICATE_FILE);
        read_certificate(&path)?.ok_or(TerminateError::NoCa { path })
    }

    /// The CA's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// When the certificate expires, and every call with it.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// Issues a server certificate for `name` and the holder of `key`: a day, but never longer than
    /// the CA itself. `None` once the CA has expired.
    pub(super) fn issue(
        &self,
        name: &HostName,
        key: &KeyPair,
        now: OffsetDateTime,
    ) -> Result<Option<Issued>, rcgen::Error> {
        let expires = self.expires.min(now.saturating_add(LEAF_LIFE));
        if expires <= now {
            return Ok(None);
        }
        let mut leaf = CertificateParams::default();
        leaf.not_before = now.saturating_sub(BACKDATED);
        leaf.not_after = expires;
        // All leaves share a key, and rcgen derives the serial from it: it must be chosen.
        leaf.serial_number = Some(serial()?);
        // A common name holds at most 64 characters, S3 names are longer: the name is in the SAN only.
        leaf.distinguished_name = common_name("chaperone");
        leaf.subject_alt_names = vec![SanType::DnsName(name.as_str().try_into()?)];
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let certificate = leaf.signed_by(key, &self.issuer)?.into();
        Ok(Some(Issued { certificate, expires }))
    }
}

/// The CA's own certificate. `host` goes into its name, so that one host's CA is told from another's.
fn parameters(host: &str, now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.not_before = now.saturating_sub(BACKDATED);
    ca.not_after = now.saturating_add(CA_LIFE);
    ca.serial_number = Some(serial()?);
    ca.distinguished_name = common_name(&format!("{OWN_CA_NAME}{host}"));
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Not for mail, code or clients either.
    ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    ca.name_constraints = Some(NameConstraints {
        permitted_subtrees: AWS_SUFFIXES.iter().map(|s| GeneralSubtree::DnsName((*s).to_owned())).collect(),
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    Ok(ca)
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // X.520: at most 64 characters.
    name.push(DnType::CommonName, text.chars().take(64).collect::<String>());
    name
}

/// 16 random bytes: RFC 5280 §4.1.2.2 wants a positive number of at most 20.
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from(bytes.to_vec()))
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect()
}

fn read_key(path: &Path) -> Result<Option<KeyPair>, TerminateError> {
    let Some((bytes, metadata)) = files::read(path, MAX_BYTES)? else { return Ok(None) };
    let bytes = Zeroizing::new(bytes);
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TerminateError::KeyExposed { path: path.to_owned(), mode });
    }
    let (owner, we) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != 0 && owner != we {
        return Err(TerminateError::KeyOwner { path: path.to_owned(), owner });
    }
    let invalid = |detail: String| TerminateError::KeyInvalid { path: path.to_owned(), detail };
    let text = std::str::from_utf8(&bytes).map_err(|error| invalid(error.to_string()))?;
    KeyPair::from_pem(text).map(Some).map_err(|error| invalid(error.to_string()))
}

fn read_certificate(path: &Path) -> Result<Option<CertificateDer<'static>>, TerminateError> {
    let Some((bytes, _)) = files::read(path, MAX_BYTES)? else { return Ok(None) };
    let invalid = |detail: String| TerminateError::CertificateInvalid { path: path.to_owned(), detail };
    let mut found = CertificateDer::pem_slice_iter(&bytes);
    let first = found.next().ok_or_else(|| invalid("it holds no PEM certificate".to_owned()))?;
    if found.next().is_some() {
        return Err(invalid("it holds more than one certificate".to_owned()));
    }
    first.map(Some).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests;
