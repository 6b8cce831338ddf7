//! first bytes → `Route`: AWS, metadata endpoint, pass-through, or refused.
//!
//! | destination | egress `aws` | egress `open` |
//! |---|---|---|
//! | the gateway, loopback | refused | refused |
//! | a metadata address, port 80 | metadata endpoint | metadata endpoint |
//! | a metadata address, another port | refused | refused |
//! | port 443, AWS server name | AWS | AWS |
//! | port 443, another server name | refused | passed through to our own resolution of the name |
//! | port 443, no TLS or no server name | refused | refused |
//! | another port | refused | passed through to the address |
//!
//! Present limit: in `open` egress only port 443 is looked into. TLS to an AWS name on another port
//! (8443, say), plain HTTP to AWS on port 80, and a server name hidden by Encrypted Client Hello
//! pass through like any other traffic; they reach AWS with nothing but what the agent holds itself.

use std::{net::SocketAddr, time::Duration};

use crate::{accept::Accepted, identify::Egress, prim::HostName, suffix};

mod destination;
mod hello;
/// The metadata endpoint: IMDSv2 and the container credential protocol. *pure*
pub mod metadata;
/// Everything that is not AWS, in `open` egress: dialled by us, relayed untouched.
pub mod passthrough;
mod peek;

/// Where a connection goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// TLS to an AWS name: terminate it.
    Aws(HostName),
    /// Plain HTTP to a metadata address: answer it ourselves.
    Metadata,
    /// TLS to another name in `open` egress: dial our own resolution of the name.
    PassThroughName(HostName, u16),
    /// Another port in `open` egress: dial the original address.
    PassThroughAddress(SocketAddr),
}

/// Why a connection is closed without an answer. Each becomes a recorded event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Port 443 spoke, but not TLS.
    #[error("the first bytes are not a TLS ClientHello")]
    NotTls,
    /// TLS, but not what RFC 8446 and RFC 6066 allow: two readers could see two names.
    #[error("the TLS ClientHello is malformed: {0}")]
    MalformedHello(&'static str),
    /// The hello carries no server name, so the service cannot be known.
    #[error("the TLS ClientHello has no server name (SNI)")]
    NoServerName,
    /// The server name is not a valid DNS name.
    #[error("the server name in the TLS ClientHello is not a valid DNS name")]
    BadServerName,
    /// The hello did not arrive in time.
    #[error("no complete TLS ClientHello within {0:?}")]
    HelloTimeout(Duration),
    /// The hello is larger than the bound.
    #[error("the TLS ClientHello has more than {0} bytes")]
    HelloTooLarge(usize),
    /// The agent closed before its hello was complete.
    #[error("the connection closed before the TLS ClientHello was complete")]
    Closed,
    /// The workload's egress does not allow this destination.
    #[error("egress of this workload allows only AWS")]
    EgressClosed,
    /// A metadata address on a port where nothing answers.
    #[error("the metadata endpoint answers on port 80, not on {0}")]
    MetadataPort(u16),
    /// The destination is the gateway itself.
    #[error("the destination is the gateway itself")]
    Loop,
    /// Reading from the agent failed.
    #[error("reading the first bytes failed: {0}")]
    Io(String),
}

/// Bounds on the first bytes and on what is passed through.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time for the whole ClientHello, in seconds.
    pub hello_timeout_secs: u64,
    /// Bytes a ClientHello may have.
    pub hello_max_bytes: usize,
    /// Time to resolve and dial a destination that is passed through, in seconds.
    pub connect_timeout_secs: u64,
    /// Time without a byte in either direction after which a passed-through connection is closed,
    /// in seconds. The default is the least that RFC 5382 (REQ-5) lets a middlebox choose.
    pub idle_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hello_timeout_secs: 5,
            hello_max_bytes: 16 * 1024,
            connect_timeout_secs: 10,
            idle_timeout_secs: 2 * 3600 + 4 * 60,
        }
    }
}

/// Decides where `accepted` goes, by its original destination and its first bytes (peeked, so that
/// what follows still sees them). Port 443 must speak TLS with a server name in every egress mode.
/// `own` are the addresses of the gateway's listeners.
///
/// # Errors
/// [`RouteError`]; the caller records it and closes the connection.
pub async fn route(
    accepted: &Accepted,
    egress: Egress,
    own: &[SocketAddr],
    config: &Config,
) -> Result<Route, RouteError> {
    match destination::judge(accepted.origin.destination, egress, own)? {
        destination::Destination::Metadata => Ok(Route::Metadata),
        destination::Destination::Other(address) => Ok(Route::PassThroughAddress(address)),
        destination::Destination::Tls(port) => {
            by_name(peek::server_name(&accepted.io, config).await?, port, egress)
        }
    }
}

fn by_name(name: HostName, port: u16, egress: Egress) -> Result<Route, RouteError> {
    if suffix::is_aws(&name) {
        return Ok(Route::Aws(name));
    }
    match egress {
        Egress::Open => Ok(Route::PassThroughName(name, port)),
        Egress::Aws => Err(RouteError::EgressClosed),
    }
}

#[cfg(test)]
mod tests;
