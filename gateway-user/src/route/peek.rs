//! Looks at the first bytes of a connection without taking them.
//!
//! `MSG_PEEK` leaves the bytes in the kernel, so the connection stays a plain `TcpStream` for
//! whatever comes next: no replay buffer, no wrapper type.

use std::{io, time::Duration};

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::TcpStream};

use super::{Config, RouteError, hello};
use crate::prim::HostName;

/// Bytes of the first look: more than the hello of any common client, post-quantum key included.
const FIRST_LOOK: usize = 4 * 1024;

/// The server name of the ClientHello that `io` starts with; not a byte is consumed.
///
/// # Errors
/// Those of [`hello::server_name`], [`RouteError::HelloTimeout`], [`RouteError::Closed`],
/// [`RouteError::Io`].
pub(super) async fn server_name(io: &TcpStream, config: &Config) -> Result<HostName, RouteError> {
    let limit = Duration::from_secs(config.hello_timeout_secs);
    tokio::time::timeout(limit, look(io, config.hello_max_bytes))
        .await
        .unwrap_or(Err(RouteError::HelloTimeout(limit)))
}

async fn look(io: &TcpStream, max: usize) -> Result<HostName, RouteError> {
    let mut buffer = vec![0; FIRST_LOOK.min(max)];
    loop {
        let failed = |error: io::Error| RouteError::Io(error.to_string());
        let ready = io.ready(Interest::READABLE).await.map_err(failed)?;
        // Peeked bytes keep the socket readable, and a loop over "readable" would spin. Saying
        // WouldBlock inside try_io clears the remembered readiness instead; epoll is edge-triggered
        // and wakes us for the next segment. Readiness that arrives meanwhile is not lost.
        match io.try_io(Interest::READABLE, || look_once(io, &mut buffer, max)) {
            Ok(outcome) => return outcome,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(failed(error)),
        }
        // The end of the stream was already known before this look: nothing can follow.
        if ready.is_read_closed() {
            return Err(RouteError::Closed);
        }
    }
}

/// One look; `WouldBlock` when the hello is not complete yet.
fn look_once(io: &TcpStream, buffer: &mut Vec<u8>, max: usize) -> io::Result<Result<HostName, RouteError>> {
    loop {
        let (_, count) = recv(io, buffer.as_mut_slice(), RecvFlags::PEEK)?;
        let seen = buffer.get(..count).unwrap_or_default();
        if seen.is_empty() {
            return Ok(Err(RouteError::Closed));
        }
        match hello::server_name(seen, max) {
            Ok(Some(name)) => return Ok(Ok(name)),
            Err(refused) => return Ok(Err(refused)),
            // The buffer was too small, not the hello: look again at once.
            Ok(None) if count == buffer.len() => buffer.resize(max, 0),
            Ok(None) => return Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
