//! The session database: the intent is durable before anything leaves the host.

use std::path::PathBuf;

/// Where records go and how they are batched.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The SQLite file.
    pub database: PathBuf,
    /// Rows waiting to be written; a full queue holds new calls back.
    pub queue: usize,
    /// Time to make an intent durable before the call is refused, in seconds.
    pub write_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { database: "/var/lib/chaperone/chaperone.db".into(), queue: 4096, write_timeout_secs: 5 }
    }
}

/// The record could not be written; the call must not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    /// The database refused.
    #[error("the session database cannot be written: {0}")]
    Store(String),
    /// The database did not answer in time.
    #[error("the session database did not answer within {0:?}")]
    Timeout(std::time::Duration),
    /// The writer is gone.
    #[error("the record writer has stopped")]
    Stopped,
}
