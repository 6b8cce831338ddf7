//! Throw-away cgroups.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::process::eventually;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A cgroup; on drop everything in it is killed and it is removed with all below it.
#[derive(Debug)]
pub struct Cgroup {
    dir: PathBuf,
    mount: PathBuf,
}

impl Cgroup {
    /// A fresh cgroup directly below the root of the cgroup v2 hierarchy.
    ///
    /// # Errors
    /// Without cgroup v2 or root.
    pub fn create(purpose: &str) -> Result<Self> {
        let mount = gateway_user::cgroup2::mount().context("cgroup v2 is not mounted")?;
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let dir = mount.join(format!("chaperone-{purpose}-{}-{number}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("creating cgroup {} (root?)", dir.display()))?;
        Ok(Self { dir, mount })
    }

    /// A cgroup below this one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn child(&self, name: &str) -> Result<Self> {
        let dir = self.dir.join(name);
        fs::create_dir(&dir).with_context(|| format!("creating cgroup {}", dir.display()))?;
        Ok(Self { dir, mount: self.mount.clone() })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its path below the mount, as the configuration names it.
    #[must_use]
    pub fn path(&self) -> String {
        self.dir.strip_prefix(&self.mount).unwrap_or(&self.dir).to_string_lossy().into_owned()
    }

    /// The file that moves processes in.
    #[must_use]
    pub fn procs(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// CPU time that its processes have used.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.dir.join("cpu.stat")).context("cpu.stat")?;
        let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(Duration::from_micros(usage.context("usage_usec")?.trim().parse()?))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Linux 5.14; on older kernels whoever started the processes ends them.
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
        let removed = eventually(Duration::from_secs(10), || remove(&self.dir));
        if let Err(error) = removed {
            eprintln!("cgroup {} is left behind: {error:#}", self.dir.display());
        }
    }
}

/// Removes a cgroup and all below it; busy while its processes are still ending.
fn remove(dir: &Path) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(dir).with_context(|| dir.display().to_string())
}
