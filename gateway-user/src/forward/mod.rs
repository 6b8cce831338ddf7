//! `SignedRequest` → `Reply`: own resolver, own roots, pooled connections.

use std::{net::SocketAddr, path::PathBuf};

/// How AWS is reached.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// PEM file of roots trusted in addition to the system's.
    pub extra_ca: Option<PathBuf>,
    /// Host pattern → address, first match wins: VPC endpoints, tests.
    #[serde(rename = "override")]
    pub overrides: Vec<EndpointOverride>,
    /// Time for TCP and TLS to AWS, in seconds.
    pub connect_timeout_secs: u64,
    /// Time until the response head arrives, in seconds.
    pub response_timeout_secs: u64,
    /// Time without a byte after which a streaming body is given up, in seconds.
    pub idle_timeout_secs: u64,
}

/// One host pattern and the address it is dialled at; TLS still names and verifies the host.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointOverride {
    /// A host name, or `*.suffix` for any name below it.
    pub host: String,
    /// Where it is dialled.
    pub address: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            extra_ca: None,
            overrides: Vec::new(),
            connect_timeout_secs: 10,
            response_timeout_secs: 300,
            idle_timeout_secs: 300,
        }
    }
}
