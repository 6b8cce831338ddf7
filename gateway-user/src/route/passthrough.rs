//! Everything that is not AWS, in `open` egress: dialled by us, relayed untouched.
//!
//! A name is dialled at our own resolution of it, never at the agent's address alone: otherwise an
//! AWS address with a foreign server name would slip through.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::{Config, destination};
use crate::prim::{HostName, OriginalDst};

mod relay;

pub use relay::{RelayError, Traffic, relay};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// Longer time-outs mean this long: it keeps the arithmetic of instants from overflowing.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Why a pass-through destination was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name does not resolve.
    #[error("{name} does not resolve: {source}")]
    Unresolved {
        /// The server name the agent asked for.
        name: HostName,
        /// The resolver's words.
        source: io::Error,
    },
    /// The only addresses are the gateway's, loopback, metadata or link-local ones.
    #[error("{0} is an address that nothing is passed through to")]
    Forbidden(SocketAddr),
    /// No address answered in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The last address tried refused.
    #[error("{address}: {source}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
}

/// Dials `name` at the addresses that the host's resolver knows, the agent's own choice first if it
/// is among them. `fixed`, an address from the configuration, replaces the resolution.
///
/// # Errors
/// [`DialError`].
pub async fn connect_name(
    name: &HostName,
    port: u16,
    asked: OriginalDst,
    fixed: Option<SocketAddr>,
    own: &[SocketAddr],
    config: &Config,
) -> Result<TcpStream, DialError> {
    let limit = Duration::from_secs(config.connect_timeout_secs).min(LONGEST);
    let deadline = Instant::now() + limit;
    if let Some(address) = fixed {
        return connect_first(&[address], deadline, limit).await;
    }
    let unresolved = |source| DialError::Unresolved { name: name.clone(), source };
    let found = timeout_at(deadline, lookup_host((name.as_str(), port)))
        .await
        .map_err(|_| DialError::Timeout(limit))?
        .map_err(unresolved)?;
    connect_first(&choose(found, asked, own, unresolved)?, deadline, limit).await
}

/// Dials the very address the agent asked for.
///
/// # Errors
/// [`DialError`].
pub async fn connect_address(
    address: SocketAddr,
    own: &[SocketAddr],
    config: &Config,
) -> Result<TcpStream, DialError> {
    if is_forbidden(address, OriginalDst(address), own) {
        return Err(DialError::Forbidden(address));
    }
    let limit = Duration::from_secs(config.connect_timeout_secs).min(LONGEST);
    connect_first(&[address], Instant::now() + limit, limit).await
}

/// The addresses to try, in order.
fn choose(
    found: impl Iterator<Item = SocketAddr>,
    asked: OriginalDst,
    own: &[SocketAddr],
    unresolved: impl FnOnce(io::Error) -> DialError,
) -> Result<Vec<SocketAddr>, DialError> {
    let mut forbidden = None;
    let mut chosen: Vec<SocketAddr> = Vec::new();
    for address in found.map(destination::canonical) {
        if is_forbidden(address, asked, own) {
            forbidden = Some(address);
        } else if !chosen.contains(&address) {
            chosen.push(address);
        }
    }
    if chosen.is_empty() {
        return Err(match forbidden {
            Some(address) => DialError::Forbidden(address),
            None => unresolved(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
        });
    }
    let asked = destination::canonical(asked.0);
    chosen.sort_by_key(|address| *address != asked);
    chosen.truncate(MAX_ADDRESSES);
    Ok(chosen)
}

/// A name must not lead the gateway, which is no agent, to what only the host itself may reach.
/// A link-local address is dialled if the agent asked for that very address itself.
fn is_forbidden(address: SocketAddr, asked: OriginalDst, own: &[SocketAddr]) -> bool {
    let address = destination::canonical(address);
    let link_local = match address.ip() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    destination::is_this_host(address.ip())
        || destination::is_listener(address, own)
        || destination::is_metadata(address.ip())
        || address.ip().is_multicast()
        || (link_local && destination::canonical(asked.0) != address)
}

/// Tries one after the other; each gets its share of the time that is left, so that an address
/// which swallows packets does not use up the time of the next.
async fn connect_first(
    addresses: &[SocketAddr],
    deadline: Instant,
    limit: Duration,
) -> Result<TcpStream, DialError> {
    let mut failed = DialError::Timeout(limit);
    for (tried, address) in addresses.iter().enumerate() {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let left = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(u32::MAX).max(1);
        match timeout_at(Instant::now() + remaining / left, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => failed = DialError::Refused { address: *address, source },
            Err(_) => failed = DialError::Timeout(limit),
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests;
