//! The public files that make clients trust the CA, and the variables that name them.
//!
//! Most clients have a setting that *replaces* their roots: it gets `bundle.pem`, the system's roots
//! with our CA behind them. Some have one that *adds* to them: it gets `ca.pem` alone.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    Config, TerminateError,
    ca::{CERTIFICATE_FILE, Ca},
    files::{self, Directory},
    truststore,
};

/// The system's roots and the CA, PEM, mode 0644.
pub const BUNDLE_FILE: &str = "bundle.pem";

/// Several times what any distribution ships.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Where distributions keep all roots in one PEM file: the first that exists is taken.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL, Fedora, Amazon Linux
    "/etc/pki/tls/certs/ca-bundle.crt",   // older RHEL
    "/etc/ssl/ca-bundle.pem",             // SUSE
    "/etc/ssl/cert.pem",                  // Alpine
];

/// Variables that replace the client's roots.
const REPLACING: &[&str] = &[
    "AWS_CA_BUNDLE",                    // AWS CLI, boto3
    "REQUESTS_CA_BUNDLE",               // Python requests, botocore
    "SSL_CERT_FILE",                    // OpenSSL, Go, Rust, Ruby, uv
    "CURL_CA_BUNDLE",                   // curl
    "GIT_SSL_CAINFO",                   // git
    "PIP_CERT",                         // pip
    "CARGO_HTTP_CAINFO",                // cargo
    "HTTPLIB2_CA_CERTS",                // Python httplib2
    "NIX_SSL_CERT_FILE",                // Nix
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", // gRPC
];

/// Variables that add to the client's roots.
const ADDING: &[&str] = &[
    "NODE_EXTRA_CA_CERTS", // Node.js, Bun
    "DENO_CERT",           // Deno
];

/// The variable whose value is a list of options: what it already holds must be kept.
pub const JAVA_OPTIONS: &str = "JAVA_TOOL_OPTIONS";

/// Writes `bundle.pem` and the Java truststore if the CA or the system's roots have changed; cheap when they have not, so
/// that it can be called again at every reload.
///
/// # Errors
/// [`TerminateError`]; an older bundle stays.
pub fn publish(config: &Config) -> Result<(), TerminateError> {
    let directory = Directory::lock(&config.ca_dir)?;
    let ca = Ca::public(&config.ca_dir)?;
    let target = directory.file(BUNDLE_FILE);
    let wanted = merged(system_roots(config)?, &ca, &ca_pem(config)?);
    let current = files::read(&target, 2 * MAX_BYTES)?;
    if current.is_none_or(|(bytes, _)| bytes != wanted) {
        directory.replace(BUNDLE_FILE, 0o644, &wanted)?;
    }
    truststore::publish(&directory, &wanted, &ca)?;
    if let Some(closed) = closed_to_agents(&target) {
        tracing::warn!(
            directory = %closed.display(),
            "only some users may enter this directory: clients of the others will not find the CA; run `chmod o+x` on it",
        );
    }
    Ok(())
}

/// Every variable that an agent's clients need, in a stable order: name and value. The launcher sets
/// them; `chaperone ca env` prints them.
///
/// A value for [`JAVA_OPTIONS`] must be joined to an inherited one with [`join_java_options`].
#[must_use]
pub fn client_env(config: &Config) -> Vec<(String, String)> {
    let file = |name| config.ca_dir.join(name).display().to_string();
    let (bundle, ca) = (file(BUNDLE_FILE), file(CERTIFICATE_FILE));
    let replacing = REPLACING.iter().map(|name| ((*name).to_owned(), bundle.clone()));
    let adding = ADDING.iter().map(|name| ((*name).to_owned(), ca.clone()));
    let java = truststore::java_options(config).map(|options| (JAVA_OPTIONS.to_owned(), options));
    replacing.chain(adding).chain(java).collect()
}

/// Java options for a process that inherits others; of two settings of one property the last wins.
#[must_use]
pub fn join_java_options(inherited: Option<&str>, ours: &str) -> String {
    match inherited.map(str::trim) {
        None | Some("") => ours.to_owned(),
        Some(inherited) if inherited.ends_with(ours) => inherited.to_owned(),
        Some(inherited) => format!("{inherited} {ours}"),
    }
}

/// `ca.pem` as it is written.
fn ca_pem(config: &Config) -> Result<Vec<u8>, TerminateError> {
    let path = config.ca_dir.join(CERTIFICATE_FILE);
    Ok(files::read(&path, MAX_BYTES)?.ok_or(TerminateError::NoCa { path })?.0)
}

/// The PEM text of the system's roots; empty when the system has none.
fn system_roots(config: &Config) -> Result<Vec<u8>, TerminateError> {
    if let Some(path) = &config.system_roots {
        let missing = || files::failed("opening", path)(std::io::ErrorKind::NotFound.into());
        return Ok(files::read(path, MAX_BYTES)?.ok_or_else(missing)?.0);
    }
    for path in SYSTEM_ROOTS {
        if let Some((roots, _)) = files::read(Path::new(path), MAX_BYTES)? {
            return Ok(roots);
        }
    }
    tracing::warn!("this system has no CA bundle: agents' clients will trust nothing but the local CA");
    Ok(Vec::new())
}

/// `roots` with our CA behind them, once: `chaperone ca install` may have put it there already.
fn merged(mut roots: Vec<u8>, ca: &CertificateDer<'_>, ca_pem: &[u8]) -> Vec<u8> {
    let present = CertificateDer::pem_slice_iter(&roots).flatten().any(|root| root == *ca);
    if !present {
        if !roots.is_empty() && !roots.ends_with(b"\n") {
            roots.push(b'\n');
        }
        roots.extend_from_slice(ca_pem);
    }
    roots
}

/// The first directory above `file` that not everybody may enter.
fn closed_to_agents(file: &Path) -> Option<PathBuf> {
    let closed = |dir: &&Path| std::fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 == 0);
    file.ancestors().skip(1).filter(closed).last().map(Path::to_owned)
}

#[cfg(test)]
mod tests;
