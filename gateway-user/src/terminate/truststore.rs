//! The Java truststore: the roots of `bundle.pem` once more, in the form that a JVM reads.
//!
//! Java reads neither PEM nor the environment; a PKCS #12 file (RFC 7292) is named to it by
//! `JAVA_TOOL_OPTIONS`. It is written here and not by `keytool`: a JVM needs writable code, which the
//! daemon's sandbox rightly forbids.

use std::path::PathBuf;

use aws_lc_rs::digest;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    Config, TerminateError,
    files::{self, Directory},
};

/// The truststore, PKCS #12, mode 0644.
pub const TRUSTSTORE_FILE: &str = "truststore.p12";
/// A digest of what the truststore was made from: its own bytes are salted, each time differently.
const MADE_FROM_FILE: &str = "truststore.made-from";
/// The password of every JVM's roots; the content is public.
const PASSWORD: &str = "changeit";
/// The alias of our CA.
const ALIAS: &str = "chaperone";
/// A digest in hexadecimal has 64.
const MAX_DIGEST_BYTES: u64 = 128;

/// Writes the truststore if `bundle`, the PEM text of all roots, has changed. `ca` is the one among
/// them that is ours.
///
/// # Errors
/// [`TerminateError`]; a truststore that does not fit the bundle any more is removed.
pub(super) fn publish(
    directory: &Directory,
    bundle: &[u8],
    ca: &CertificateDer<'_>,
) -> Result<(), TerminateError> {
    let made_from = hex::encode(digest::digest(&digest::SHA256, bundle));
    let current = files::read(&directory.file(MADE_FROM_FILE), MAX_DIGEST_BYTES)?;
    let is_current = current.is_some_and(|(bytes, _)| bytes == made_from.as_bytes());
    if is_current && directory.file(TRUSTSTORE_FILE).is_file() {
        return Ok(());
    }
    directory.remove(MADE_FROM_FILE)?;
    directory.remove(TRUSTSTORE_FILE)?;
    directory.replace(TRUSTSTORE_FILE, 0o644, &make(bundle, ca)?)?;
    directory.replace(MADE_FROM_FILE, 0o644, made_from.as_bytes())
}

/// The JVM options that name the truststore, if there is one and its path can be written.
pub(super) fn java_options(config: &Config) -> Option<String> {
    let path: PathBuf = config.ca_dir.join(TRUSTSTORE_FILE);
    if !path.is_file() {
        return None;
    }
    let store = quoted(&format!("-Djavax.net.ssl.trustStore={}", path.display()))?;
    Some(format!(
        "{store} -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword={PASSWORD}"
    ))
}

/// The JVM splits its options at white space outside of quotes and knows no escape character.
fn quoted(option: &str) -> Option<String> {
    let has = |wanted: fn(char) -> bool| option.contains(wanted);
    match (has(char::is_whitespace), has(|c| c == '"'), has(|c| c == '\'')) {
        (false, false, false) => Some(option.to_owned()),
        (_, false, _) => Some(format!("\"{option}\"")),
        (_, true, false) => Some(format!("'{option}'")),
        (_, true, true) => None,
    }
}

/// A root that is no certificate to this reader is left out: better one root less than no Java.
fn make(bundle: &[u8], ca: &CertificateDer<'_>) -> Result<Vec<u8>, TerminateError> {
    let mut store = KeyStore::new();
    for (number, root) in CertificateDer::pem_slice_iter(bundle).flatten().enumerate() {
        match Certificate::from_der(&root) {
            Ok(certificate) => {
                let alias = if root == *ca { ALIAS.to_owned() } else { format!("root-{number}") };
                store.add_entry(&alias, KeyStoreEntry::Certificate(certificate));
            }
            Err(error) => tracing::warn!(%error, number, "a root is left out of the Java truststore"),
        }
    }
    store.writer(PASSWORD).write().map_err(TerminateError::Truststore)
}

#[cfg(test)]
mod tests;
