//! AWS connection → TLS with a leaf minted for the name the agent asked for.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    AlertDescription, ServerConfig,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, Ticketer, kx_group},
    },
    server::NoServerSessionStorage,
};
use time::OffsetDateTime;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{clock::Clock, prim::HostName};

/// The public files that make clients trust the CA, and the variables that name them.
pub mod bundle;
/// The local certificate authority.
pub mod ca;
mod check;
mod files;
mod leaf;
/// The Java truststore.
pub mod truststore;

/// Where the CA lives and how many leaves are kept.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of `ca.key` (0600), and of the files agents read: `ca.pem`, `bundle.pem`,
    /// `truststore.p12`. Agents must be able to enter it and every directory above it.
    pub ca_dir: PathBuf,
    /// PEM file of the roots that `bundle.pem` starts with; by default the distribution's. The
    /// daemon's own `SSL_CERT_FILE` has no say.
    pub system_roots: Option<PathBuf>,
    /// Leaves kept in memory.
    pub leaf_cache: u64,
    /// Time for a TLS handshake, in seconds.
    pub handshake_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ca_dir: "/var/lib/chaperone/ca".into(),
            system_roots: None,
            leaf_cache: 1024,
            handshake_timeout_secs: 10,
        }
    }
}

/// Why the CA or its public files cannot be used. The daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum TerminateError {
    /// A file could not be read or written.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Others could replace what lies in the CA directory.
    #[error("{path} has mode {mode:04o}: others can replace the CA's key; run `chmod 755 {path}`")]
    DirectoryWritable {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others can read the key.
    #[error(
        "{path} has mode {mode:04o}: others can read the CA's key; run `chmod 600 {path}`, or remove it \
         together with ca.pem if it may have been copied"
    )]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else owns the key.
    #[error("{path} belongs to user {owner}: the CA's key must belong to root or to the daemon's user")]
    KeyOwner {
        /// The key file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
    },
    /// There is a certificate without its key.
    #[error("{certificate} is there but {key} is not: restore the key, or remove {certificate} for a new CA")]
    KeyMissing {
        /// The missing key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
    /// The key file holds no key.
    #[error(
        "{path} holds no usable private key ({detail}): restore it, or remove it with ca.pem for a new CA"
    )]
    KeyInvalid {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The certificate file holds no CA certificate.
    #[error("{path} is not a usable CA certificate ({detail}): remove it, and it is issued anew for ca.key")]
    CertificateInvalid {
        /// The certificate file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Key and certificate are not a pair.
    #[error("{certificate} was not made for {key}: restore the right one, or remove both for a new CA")]
    KeyMismatch {
        /// The key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
    /// The certificate is expired, or not valid yet.
    #[error(
        "{path} is valid from {from} to {until}, not now: check the clock, or remove it together with ca.key \
         for a new CA and run `chaperone ca install` again"
    )]
    NotValidNow {
        /// The certificate file.
        path: PathBuf,
        /// Start of its validity.
        from: OffsetDateTime,
        /// End of its validity.
        until: OffsetDateTime,
    },
    /// The certificate could sign for names that are not AWS's.
    #[error("{path} is too powerful ({detail}): remove it together with ca.key for a new, constrained CA")]
    Unconstrained {
        /// The certificate file.
        path: PathBuf,
        /// What it permits.
        detail: String,
    },
    /// There is no CA yet.
    #[error("{path} does not exist: the daemon makes the CA when it first starts")]
    NoCa {
        /// The certificate file.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("setting up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The Java truststore could not be made.
    #[error("making the Java truststore: {0}")]
    Truststore(p12_keystore::error::Error),
}

/// Why a TLS handshake with an agent failed. Each becomes a recorded event.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The handshake did not end in time.
    #[error("no TLS handshake within {0:?}")]
    Timeout(Duration),
    /// The client does not know our CA: it was started without the variables of `chaperone ca env`.
    #[error("the client does not trust the local CA: {0}")]
    Untrusted(io::Error),
    /// TLS saw another name than the one the connection was routed by.
    #[error("the handshake names {seen:?}, the connection was routed by {routed}")]
    NameMismatch {
        /// The name `route` saw.
        routed: HostName,
        /// The name the handshake saw.
        seen: Option<String>,
    },
    /// Anything else that TLS or the socket report.
    #[error("the TLS handshake failed: {0}")]
    Failed(io::Error),
}

/// Ends the agents' TLS connections to AWS.
#[derive(Clone)]
pub struct Terminator {
    acceptor: TlsAcceptor,
    leaves: Arc<leaf::Leaves>,
    timeout: Duration,
}

impl Terminator {
    /// Loads or creates the CA and publishes what agents read. Reads and writes files: call it
    /// before serving, or from a blocking task.
    ///
    /// # Errors
    /// [`TerminateError`]; the daemon must not start.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, TerminateError> {
        let ca = ca::Ca::load_or_create(&config.ca_dir, clock.now())?;
        bundle::publish(config)?;
        let leaves = Arc::new(leaf::Leaves::new(ca, config.leaf_cache, clock)?);
        let acceptor = TlsAcceptor::from(Arc::new(server_config(Arc::clone(&leaves))?));
        Ok(Self { acceptor, leaves, timeout: Duration::from_secs(config.handshake_timeout_secs) })
    }

    /// The CA that agents must trust.
    #[must_use]
    pub fn ca(&self) -> &ca::Ca {
        self.leaves.ca()
    }

    /// Shakes hands with an agent that asked for `name`; `io` still starts with its ClientHello.
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is closed by then.
    pub async fn handshake(
        &self,
        io: TcpStream,
        name: &HostName,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        io.set_nodelay(true).map_err(HandshakeError::Failed)?;
        let stream = timeout(self.timeout, self.acceptor.accept(io))
            .await
            .map_err(|_| HandshakeError::Timeout(self.timeout))?
            .map_err(handshake_error)?;
        let seen = stream.get_ref().1.server_name();
        if seen.and_then(|seen| seen.parse().ok()).as_ref() == Some(name) {
            return Ok(stream);
        }
        Err(HandshakeError::NameMismatch { routed: name.clone(), seen: seen.map(ToOwned::to_owned) })
    }
}

fn server_config(leaves: Arc<leaf::Leaves>) -> Result<ServerConfig, TerminateError> {
    // The far end is on this host: post-quantum key exchange is offered to clients that insist on it,
    // but costs everybody else nothing.
    let kx_groups =
        vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1, kx_group::X25519MLKEM768];
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(leaves);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session saves the client a signature check. It proves no identity (that comes from the
    // kernel, for every connection anew) and is bound to its server name. Tickets are encrypted with
    // keys that rotate, so that nothing is stored here; early data, which could be replayed, stays off.
    config.ticketer = Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Tells the one failure that has a remedy from the rest.
fn handshake_error(error: io::Error) -> HandshakeError {
    use AlertDescription::{BadCertificate, CertificateUnknown, UnknownCA};
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(UnknownCA | BadCertificate | CertificateUnknown)) => {
            HandshakeError::Untrusted(error)
        }
        _ => HandshakeError::Failed(error),
    }
}

#[cfg(test)]
mod tests;
