//! Whether a certificate may serve as the local CA. *pure*

use std::path::Path;

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, NameConstraints},
    parse_x509_certificate,
};

use super::TerminateError;
use crate::suffix::{self, AWS_SUFFIXES};

/// What a check found out on the way.
pub(super) struct Facts {
    /// When the certificate expires.
    pub(super) expires: OffsetDateTime,
    /// AWS suffixes it does not permit: an older build made it.
    pub(super) uncovered: Vec<&'static str>,
}

/// Why a certificate cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Unreadable(String),
    OtherKey,
    NotValidNow { from: OffsetDateTime, until: OffsetDateTime },
    NotACa(&'static str),
    Unconstrained(String),
}

/// Checks validity, key, usage and name constraints of a CA certificate. `spki` is the DER of the
/// private key's public half.
pub(super) fn check(
    certificate: &CertificateDer<'_>,
    spki: &[u8],
    now: OffsetDateTime,
) -> Result<Facts, Problem> {
    let (rest, x509) =
        parse_x509_certificate(certificate).map_err(|error| Problem::Unreadable(error.to_string()))?;
    if !rest.is_empty() {
        return Err(Problem::Unreadable("bytes follow the certificate".to_owned()));
    }
    if x509.public_key().raw != spki {
        return Err(Problem::OtherKey);
    }
    let (from, until) = (x509.validity().not_before.to_datetime(), x509.validity().not_after.to_datetime());
    if now < from || now >= until {
        return Err(Problem::NotValidNow { from, until });
    }
    check_usage(&x509)?;
    let uncovered = check_names(&x509)?;
    Ok(Facts { expires: until, uncovered })
}

fn check_usage(x509: &X509Certificate<'_>) -> Result<(), Problem> {
    let basic = x509.basic_constraints().map_err(|error| Problem::Unreadable(error.to_string()))?;
    if !basic
        .is_some_and(|basic| basic.critical && basic.value.ca && basic.value.path_len_constraint == Some(0))
    {
        return Err(Problem::NotACa("it is no CA with path length 0"));
    }
    let usage = x509.key_usage().map_err(|error| Problem::Unreadable(error.to_string()))?;
    if !usage.is_some_and(|usage| usage.critical && usage.value.key_cert_sign()) {
        return Err(Problem::NotACa("its key usage does not include signing certificates"));
    }
    Ok(())
}

/// The permitted names lie within AWS, and no IP address is permitted.
fn check_names(x509: &X509Certificate<'_>) -> Result<Vec<&'static str>, Problem> {
    let constraints = x509
        .name_constraints()
        .map_err(|error| Problem::Unreadable(error.to_string()))?
        .filter(|constraints| constraints.critical)
        .ok_or_else(|| Problem::Unconstrained("it has no critical name constraints".to_owned()))?
        .value;
    let permitted = permitted_dns(constraints)?;
    if !excludes_all_addresses(constraints) {
        return Err(Problem::Unconstrained("its name constraints do not exclude IP addresses".to_owned()));
    }
    Ok(AWS_SUFFIXES.iter().copied().filter(|suffix| !permitted.contains(suffix)).collect())
}

fn permitted_dns<'x>(constraints: &NameConstraints<'x>) -> Result<Vec<&'x str>, Problem> {
    let mut permitted = Vec::new();
    for subtree in constraints.permitted_subtrees.iter().flatten() {
        match &subtree.base {
            GeneralName::DNSName(name) if name.parse().is_ok_and(|name| suffix::is_aws(&name)) => {
                permitted.push(*name);
            }
            other => {
                return Err(Problem::Unconstrained(format!("its name constraints permit {other}")));
            }
        }
    }
    if permitted.is_empty() {
        return Err(Problem::Unconstrained("its name constraints permit every DNS name".to_owned()));
    }
    Ok(permitted)
}

fn excludes_all_addresses(constraints: &NameConstraints<'_>) -> bool {
    let excludes = |all: &[u8]| {
        let mut excluded = constraints.excluded_subtrees.iter().flatten();
        excluded.any(|subtree| matches!(&subtree.base, GeneralName::IPAddress(bytes) if *bytes == all))
    };
    // Address and mask of 0.0.0.0/0 and ::/0.
    excludes(&[0; 8]) && excludes(&[0; 32])
}

impl Problem {
    /// The error with the files it concerns.
    pub(super) fn at(self, key: &Path, certificate: &Path) -> TerminateError {
        let (key, path) = (key.to_owned(), certificate.to_owned());
        match self {
            Self::Unreadable(detail) => TerminateError::CertificateInvalid { path, detail },
            Self::NotACa(detail) => TerminateError::CertificateInvalid { path, detail: detail.to_owned() },
            Self::OtherKey => TerminateError::KeyMismatch { key, certificate: path },
            Self::NotValidNow { from, until } => TerminateError::NotValidNow { path, from, until },
            Self::Unconstrained(detail) => TerminateError::Unconstrained { path, detail },
        }
    }
}
