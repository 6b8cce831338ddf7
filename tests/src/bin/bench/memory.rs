//! The daemon's resident memory against its limits.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

/// Limit when idle, in KiB.
const IDLE_LIMIT: u64 = 40 * 1024;
/// Limit during a transfer of a GiB, in KiB.
const TRANSFER_LIMIT: u64 = 64 * 1024;

/// Figures in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    idle: u64,
    before: u64,
    peak: u64,
}

impl Memory {
    /// With the idle figure of this process.
    pub(crate) fn fresh(pid: u32) -> Result<Self> {
        Ok(Self { idle: status(pid, "VmRSS:")?, before: 0, peak: 0 })
    }

    /// Measures the highest point of `pid` while `work` runs.
    pub(crate) fn during(&mut self, pid: u32, work: impl FnOnce() -> Result<()>) -> Result<()> {
        // 5 resets the high-water mark; proc_pid_clear_refs(5).
        fs::write(process(pid, "clear_refs"), "5").context("clear_refs")?;
        self.before = status(pid, "VmRSS:")?;
        work()?;
        self.peak = status(pid, "VmHWM:")?;
        Ok(())
    }

    /// Whether both limits are kept: memory is not a matter of the machine's mood.
    pub(crate) fn is_within(&self) -> bool {
        self.idle < IDLE_LIMIT && self.peak < TRANSFER_LIMIT
    }

    /// Lines of the report.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mib = |kib: u64| format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024);
        let verdict = |kib: u64, limit: u64| if kib < limit { "met" } else { "NOT met" };
        let Self { idle, before, peak } = *self;
        vec![
            format!(
                "| resident, idle | {} | under {} | {} |",
                mib(idle),
                mib(IDLE_LIMIT),
                verdict(idle, IDLE_LIMIT)
            ),
            format!(
                "| resident, peak during the transfers | {} (before: {}) | under {} | {} |",
                mib(peak),
                mib(before),
                mib(TRANSFER_LIMIT),
                verdict(peak, TRANSFER_LIMIT)
            ),
        ]
    }
}

fn process(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

/// A line of `/proc/PID/status`, in KiB.
fn status(pid: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(process(pid, "status")).context("the daemon is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).with_context(|| field.to_owned())?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| line.to_owned())
}
