//! The listeners on loopback, and the loop that accepts.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;

use crate::{prim::AgentAddr, redirect, serve::Gateway};

/// Connections the kernel holds for us while we are busy.
const BACKLOG: u32 = 4096;
/// Pause after a failed accept: file descriptors may be short for a moment.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {source}; is another daemon running?")]
pub(super) struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Bound, not yet accepting.
pub(super) struct Listeners(Vec<TcpListener>);

impl Listeners {
    pub(super) fn bind(config: &redirect::Config) -> Result<Self, BindError> {
        let bind = |&address: &SocketAddr| bind(address).map_err(|source| BindError { address, source });
        config.listen_v4.iter().chain(&config.listen_v6).map(bind).collect::<Result<_, _>>().map(Self)
    }

    /// One accepting task per listener, until shutdown.
    pub(super) fn accept(self, gateway: &Arc<Gateway>, connections: &TaskTracker) {
        let room = Arc::new(Semaphore::new(gateway.config.max_connections));
        for listener in self.0 {
            connections.spawn(accept(listener, Arc::clone(gateway), Arc::clone(&room), connections.clone()));
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted daemon must not wait for connections of the old one in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    room: Arc<Semaphore>,
    connections: TaskTracker,
) {
    loop {
        // Room first: what does not fit waits in the kernel's backlog.
        let accepted = tokio::select! {
            accepted = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
            () = gateway.shutdown.cancelled() => return,
        };
        match accepted {
            (Ok(place), Ok((io, agent))) => {
                let connection = Arc::clone(&gateway).connection(io, AgentAddr(agent));
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            (Ok(_), Err(error)) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
            (Err(_), _) => return,
        }
    }
}
