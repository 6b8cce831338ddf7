//! The configuration file: composed from each module's own section.

use std::path::Path;

use crate::{
    api, credentials, decide, forward, identify::WorkloadConfig, record, redirect, route, serve, telemetry,
    terminate,
};

/// `/etc/chaperone/chaperone.toml`. Every field has a documented default except `workload`.
#[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The capture in the kernel and the listeners.
    pub redirect: redirect::Config,
    /// Bounds on the first bytes of a connection.
    pub route: route::Config,
    /// The local CA.
    pub terminate: terminate::Config,
    /// Bounds on one connection and one call.
    pub serve: serve::Config,
    /// The policies.
    pub policy: decide::Config,
    /// The session database.
    pub record: record::Config,
    /// The gateway's own AWS credentials.
    pub credentials: credentials::Config,
    /// How AWS is reached.
    pub forward: forward::Config,
    /// The daemon's unix socket.
    pub api: api::Config,
    /// Logging.
    pub log: telemetry::Config,
    /// The kinds of agents.
    pub workload: Vec<WorkloadConfig>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {detail}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        detail: String,
    },
    /// A value is wrong.
    #[error("{path}:{line}:{column}: {detail}")]
    Invalid {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong and what would be right.
        detail: String,
    },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let _ = path;
        todo!("helper")
    }
}
