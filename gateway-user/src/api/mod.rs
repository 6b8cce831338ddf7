//! The daemon's unix socket: status, and the launcher's requests.

use std::path::PathBuf;

/// The daemon's unix socket.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Path of the socket (mode 0660).
    pub socket: PathBuf,
    /// Group whose members may launch agents and ask for status.
    pub group: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { socket: "/run/chaperone/api.sock".into(), group: "chaperone".to_owned() }
    }
}
