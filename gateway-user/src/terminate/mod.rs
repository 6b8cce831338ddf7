//! AWS connection → TLS with a leaf minted for the name the agent asked for.

use std::path::PathBuf;

/// Where the CA lives and how many leaves are kept.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of `ca.key` (0600), `ca.pem`, `bundle.pem`, `truststore.p12`.
    pub ca_dir: PathBuf,
    /// Leaves kept in memory.
    pub leaf_cache: u64,
    /// Time for a TLS handshake, in seconds.
    pub handshake_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { ca_dir: "/var/lib/chaperone/ca".into(), leaf_cache: 1024, handshake_timeout_secs: 10 }
    }
}
