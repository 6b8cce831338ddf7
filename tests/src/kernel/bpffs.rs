//! A bpffs of its own: what is pinned there is gone with the test, whatever becomes of it.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    thread::UnshareFlags,
};
use tempfile::TempDir;

/// A bpffs in a mount namespace of this thread.
#[derive(Debug)]
pub struct Bpffs(TempDir);

impl Bpffs {
    /// Moves the thread to a fresh mount namespace and mounts a bpffs there.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn mount() -> Result<Self> {
        // SAFETY: only the mount namespace is unshared; no memory or descriptor table is concerned.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.context("a mount namespace")?;
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
            .context("making the mounts private")?;
        let dir = tempfile::tempdir()?;
        mount("bpf", dir.path(), "bpf", MountFlags::empty(), None).context("mounting a bpffs")?;
        Ok(Self(dir))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if let Err(error) = unmount(self.0.path(), UnmountFlags::DETACH) {
            eprintln!("unmounting {}: {error}", self.0.path().display());
        }
    }
}
