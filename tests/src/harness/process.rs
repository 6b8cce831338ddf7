//! Child processes that do not outlive the test.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::Cgroup;

/// A child that is killed and reaped on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self { child })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child, for its pipes and exit status.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// `kill -9`, and waits for its end.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill")?;
        self.child.wait().map(drop).context("wait")
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// The kernel's.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("SIGTERM")?;
        self.child.wait().context("wait")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that enters `cgroup` before it becomes `program`, so that every socket it ever has is
/// made inside; on one processor core where `core` says so. Its environment is empty.
pub fn start_pinned(program: &Path, cgroup: Option<&Cgroup>, core: Option<u32>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("-c");
    let enter = if cgroup.is_some() { r#"echo 0 > "$0"; "# } else { "" };
    let pin = core.map(|core| format!("taskset -c {core} ")).unwrap_or_default();
    command.arg(format!(r#"set -e; {enter}exec {pin}"$@""#));
    command.arg(cgroup.map_or_else(|| "sh".into(), Cgroup::procs));
    command.arg(program);
    command
}

/// Tries `attempt` until it succeeds, for at most `limit`: for ends of processes and kernel objects
/// that cannot be waited for.
pub(super) fn eventually<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let start = std::time::Instant::now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > limit => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
