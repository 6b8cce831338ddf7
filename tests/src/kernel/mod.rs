//! The kernel tier: real cgroups, network namespaces and a private bpffs.
//!
//! A test has a [`Bench`] of its own. It moves the test's thread into fresh network and mount
//! namespaces and the test's process into a cgroup of its own, as the daemon is; everything is
//! undone when the bench is dropped. Needs root.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's tools fail by panicking")]

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use gateway_user::{
    prim::AgentAddr,
    redirect::{Config, Redirect, RedirectError},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

mod bpffs;
mod cgroup;
mod netns;

pub use self::{
    bpffs::Bpffs,
    cgroup::{Agent, Cgroup, Running},
    netns::NetworkNamespace,
};

/// Addresses of the test's own network namespace that stand for AWS: whoever is not redirected
/// reaches a server there.
pub const AWS_V4: &str = "192.0.2.1";
/// As [`AWS_V4`], for IPv6.
pub const AWS_V6: &str = "2001:db8::1";

/// One test's kernel: namespaces, cgroups, and a configuration that names them.
#[derive(Debug)]
pub struct Bench {
    // Dropped in this order: the process leaves before the cgroups go, children before parents.
    _membership: cgroup::Membership,
    /// The cgroup that an agent runs in, below the slice.
    pub leaf: Cgroup,
    /// The agents' cgroup.
    pub slice: Cgroup,
    /// The daemon's cgroup, which the test's process is in.
    pub proxy: Cgroup,
    /// A cgroup beside both.
    pub outside: Cgroup,
    _bpffs: Bpffs,
    /// What the daemon is started with.
    pub config: Config,
    // Where tests are threads of one process, they take turns: the process has one cgroup.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Bench {
    /// Sets everything up; nothing is loaded yet.
    ///
    /// # Errors
    /// Where the machine does not allow it, which fails the test.
    pub fn new() -> Result<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        NetworkNamespace::enter()?.with_address(AWS_V4)?.with_address(AWS_V6)?;
        let bpffs = Bpffs::mount()?;
        let slice = Cgroup::create("slice")?;
        let leaf = slice.child("agent")?;
        let proxy = Cgroup::create("proxy")?;
        let outside = Cgroup::create("outside")?;
        let membership = proxy.enter()?;
        let config = Config {
            slice: slice.path().as_str().to_owned(),
            bpffs: bpffs.path().join("chaperone"),
            ..Config::default()
        };
        Ok(Self { config, slice, leaf, proxy, outside, _membership: membership, _bpffs: bpffs, _turn: turn })
    }

    /// Starts the redirect as the daemon does.
    ///
    /// # Errors
    /// Those of [`Redirect::start`].
    pub fn start(&self) -> Result<Redirect, RedirectError> {
        Redirect::start(&self.config, self.proxy.path())
    }

    /// Opens the configured listeners.
    ///
    /// # Errors
    /// Where an address is taken.
    pub fn listen(&self) -> Result<Listeners> {
        let addresses = self.config.listen_v4.iter().chain(&self.config.listen_v6);
        addresses.map(|address| listen(*address)).collect::<Result<_>>().map(Listeners)
    }
}

/// The daemon's listeners.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// The next connection at any of them.
    ///
    /// # Errors
    /// Those of `accept(2)`.
    pub async fn accept(&self) -> Result<(TcpStream, AgentAddr)> {
        let accepted = std::future::poll_fn(|context| {
            let mut ready = self.0.iter().map(|listener| listener.poll_accept(context));
            ready.find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
        });
        let (stream, peer) = accepted.await.context("accept")?;
        Ok((stream, AgentAddr(peer)))
    }
}

/// A TCP server at a stand-in address of AWS.
///
/// # Errors
/// Where the address is taken.
pub fn serve(address: &str, port: u16) -> Result<TcpListener> {
    let address: IpAddr = address.parse()?;
    listen(SocketAddr::new(address, port))
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| address.to_string())?;
    socket.listen(1024).with_context(|| address.to_string())
}
