//! A network namespace of its own: every test has all ports, and no packet leaves the machine.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::UnshareFlags;

/// The network namespace of this thread and of the processes it starts.
#[derive(Debug)]
pub struct NetworkNamespace(());

impl NetworkNamespace {
    /// Moves the thread to a fresh one, with nothing but the loopback.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn enter() -> Result<Self> {
        // SAFETY: only the network namespace is unshared; no memory or descriptor table is concerned.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.context("a network namespace")?;
        ip(&["link", "set", "lo", "up"])?;
        Ok(Self(()))
    }

    /// Gives the loopback another address, so that servers can be there.
    ///
    /// # Errors
    /// Where `ip` refuses it.
    pub fn with_address(self, address: &str) -> Result<Self> {
        let (prefix, nodad): (_, &[&str]) = if address.contains(':') { (128, &["nodad"]) } else { (32, &[]) };
        let address = format!("{address}/{prefix}");
        ip(&[&["address", "add", &address, "dev", "lo"], nodad].concat())?;
        Ok(self)
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(args).status().context("iproute2")?;
    ensure!(status.success(), "ip {}: {status}", args.join(" "));
    Ok(())
}
