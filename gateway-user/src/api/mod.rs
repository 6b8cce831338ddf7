//! The daemon's unix socket: status, and the launcher's requests.
//!
//! HTTP/1.1 with JSON, one request per connection. Who may ask is the socket's mode; who asks is
//! known from the kernel (`SO_PEERCRED`). Requests:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | – | [`wire::Status`] |
//! | `POST /v1/sessions` | [`wire::LaunchRequest`] | [`wire::Launched`] |
//! | `POST /v1/sessions/ID/adopt` | [`wire::AdoptRequest`] | `{}` |
//! | `POST /v1/sessions/ID/token` | [`wire::RenewRequest`] | [`wire::Renewed`] |
//! | `POST /v1/sessions/ID/kill` | – | `{}` |
//! | `POST /v1/retention` | [`wire::RetentionRequest`] | [`wire::RetentionBegun`]; it goes on by itself |
//! | `GET /v1/retention` | – | [`wire::RetentionStatus`] |
//! | `POST /v1/holds` | [`wire::HoldRequest`] | [`wire::HoldPlaced`] |
//! | `POST /v1/holds/ID/release` | [`wire::ReleaseRequest`] | `{}` |
//!
//! Every refusal is a [`wire::ErrorReply`]: what is wrong and what to do next.

use std::path::PathBuf;

/// The other end of the socket.
pub mod client;
/// What a running session's owner may ask: a newer token, or the end.
pub mod control;
/// What a launched command's environment gets.
pub mod environment;
/// Makes the sessions and cgroups of `chaperone run`.
pub mod launcher;
mod log;
/// Looking at a process without being fooled by a reused pid.
pub mod process;
/// What an admin asks about what is kept.
pub mod retention;
/// Requests to replies.
pub mod server;
/// The socket's file: who may connect.
pub mod socket;
/// The messages.
pub mod wire;

pub use self::{
    client::{Client, ClientError, DaemonStart},
    launcher::{Launcher, Peer, Recording, SessionLog},
    retention::Retention,
    server::{Api, StatusSource},
    socket::{Socket, SocketError},
};

/// The daemon's unix socket.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Path of the socket (mode 0660).
    pub socket: PathBuf,
    /// Group whose members may launch agents and ask for status.
    pub group: String,
    /// Connections open at once; further ones wait in the listen queue.
    pub max_connections: usize,
    /// Bytes of one request's body, its token aside; command lines are cut to half of it for the record.
    pub body_max_bytes: usize,
    /// Launched sessions of one user at once.
    pub max_launches_per_user: usize,
    /// Time for a whole request and its answer, in seconds.
    pub request_timeout_secs: u64,
    /// How long a scope that an earlier daemon made may stay empty before it is removed, in seconds.
    pub launch_timeout_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: "/run/chaperone/api.sock".into(),
            group: "chaperone".to_owned(),
            max_connections: 64,
            body_max_bytes: 128 * 1024,
            max_launches_per_user: 256,
            request_timeout_secs: 10,
            launch_timeout_secs: 30,
        }
    }
}
