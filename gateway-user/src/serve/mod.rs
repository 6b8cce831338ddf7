//! The whole story in two functions: one connection ([`Gateway::connection`]), one call
//! ([`call::call`]).

mod framing;
mod http;
mod intake;
mod reply;
mod draft;
mod call;
mod watched_io;

/// Bounds on one connection and one call.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Connections open at once; further ones wait in the listen queue.
    pub max_connections: usize,
    /// Bytes of one request's header block.
    pub header_max_bytes: usize,
    /// Time for a request's header block, in seconds; also how long an idle connection is kept.
    pub header_timeout_secs: u64,
    /// Requests at once on one HTTP/2 connection.
    pub h2_max_streams: u32,
    /// Bytes of a body that must be read whole to be understood (parameters, body hash).
    pub inspect_max_bytes: usize,
    /// Time for such a body to arrive, in seconds.
    pub inspect_timeout_secs: u64,
    /// Clock skew accepted in a request's signature, in seconds.
    pub max_skew_secs: u64,
    /// Time for calls in flight to end at shutdown, in seconds.
    pub drain_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            header_max_bytes: 64 * 1024,
            header_timeout_secs: 75,
            h2_max_streams: 100,
            inspect_max_bytes: 16 * 1024 * 1024,
            inspect_timeout_secs: 60,
            max_skew_secs: 300,
            drain_timeout_secs: 30,
        }
    }
}
