//! What an admin sets of the log.

use std::path::PathBuf;

/// How the log is signed, and where its checkpoints go.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The signing key; it is made where it is missing and nothing was signed yet. Unless it is set: `log.key` beside
    /// `record.database`.
    pub key: Option<PathBuf>,
    /// Rows that make a checkpoint due.
    pub checkpoint_rows: u64,
    /// Longest time from a row's commit to the checkpoint that covers it, in seconds.
    pub checkpoint_secs: u64,
    /// The newest checkpoint is kept here, too. Unless it is set: `log.checkpoint` beside the key.
    pub checkpoint_file: Option<PathBuf>,
    /// Whether checkpoints are written to the daemon's log, and so to the journal. Unless it is set: where the log is
    /// the journal's.
    pub journald: Option<bool>,
}

impl Default for Config {
    fn default() -> Self {
        Self { key: None, checkpoint_rows: 4096, checkpoint_secs: 10, checkpoint_file: None, journald: None }
    }
}

impl Config {
    /// Whether checkpoints are written to the daemon's log. systemd sets `JOURNAL_STREAM`
    /// (<https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html>).
    pub(in crate::record) fn is_journaled(&self) -> bool {
        self.journald.unwrap_or_else(|| std::env::var_os("JOURNAL_STREAM").is_some())
    }
}
