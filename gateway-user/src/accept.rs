//! listener → `Accepted`: an agent's connection together with its origin.

use tokio::net::TcpStream;

use crate::{prim::AgentAddr, redirect::Origin};

/// An agent's connection together with where it wanted to go.
#[derive(Debug)]
pub struct Accepted {
    /// The connection; not a byte has been read.
    pub io: TcpStream,
    /// The far end.
    pub agent: AgentAddr,
    /// What the kernel remembers of it.
    pub origin: Origin,
}
