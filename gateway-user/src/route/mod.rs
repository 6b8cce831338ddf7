//! first bytes → `Route`: AWS, metadata endpoint, pass-through, or refused.

use std::{net::SocketAddr, time::Duration};

use crate::{accept::Accepted, identify::Egress, prim::HostName};

/// Where a connection goes.
#[derive(Debug)]
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
    /// The destination is the gateway itself.
    #[error("the destination is the gateway itself")]
    Loop,
    /// Reading from the agent failed.
    #[error("reading the first bytes failed: {0}")]
    Io(String),
}

/// Bounds on the first bytes.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time for the whole ClientHello, in seconds.
    pub hello_timeout_secs: u64,
    /// Bytes a ClientHello may have.
    pub hello_max_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { hello_timeout_secs: 5, hello_max_bytes: 16 * 1024 }
    }
}

/// Decides where `accepted` goes, by its original destination and its first bytes (peeked, so that
/// what follows still sees them). Port 443 must speak TLS with a server name in every egress mode.
///
/// # Errors
/// [`RouteError`]; the caller records it and closes the connection.
pub async fn route(accepted: &Accepted, egress: Egress, config: &Config) -> Result<Route, RouteError> {
    let _ = (accepted, egress, config);
    todo!("helper")
}
