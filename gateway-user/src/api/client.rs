//! The other end of the socket: blocking, for the command line.
//!
//! Each request runs on a runtime of its own on the calling thread and is over when it returns, so
//! that no other thread exists when the launcher clones.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use super::wire::{
    AdoptRequest, ErrorReply, HoldPlaced, HoldRequest, LaunchRequest, Launched, ReleaseRequest, RenewRequest,
    Renewed, RetentionBegun, RetentionRequest, RetentionStatus, Status, Token,
};
use crate::prim::SessionId;

/// Bytes of an answer; a launch answers about 3 KiB.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Asks the daemon.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("the daemon is not running: nobody listens on {socket}")]
    NotRunning {
        /// The socket.
        socket: String,
    },
    /// The socket is not open to this user.
    #[error("you may not use {socket}")]
    NotAllowed {
        /// The socket.
        socket: String,
    },
    /// No answer in time.
    #[error("the daemon did not answer within {0:?}")]
    Timeout(Duration),
    /// The daemon refused.
    #[error("{}", .0.error)]
    Refused(ErrorReply),
    /// The exchange failed.
    #[error("talking to the daemon failed: {0}")]
    Exchange(String),
}

impl ClientError {
    /// What to do.
    #[must_use]
    pub fn next_step(&self) -> &str {
        match self {
            Self::NotRunning { .. } => {
                "start it: systemctl start chaperone (and see journalctl -u chaperone)"
            }
            Self::NotAllowed { .. } => {
                "ask to be added to the group chaperone (usermod -aG chaperone USER), then log in anew"
            }
            Self::Timeout(_) | Self::Exchange(_) => "see the daemon's log: journalctl -u chaperone",
            Self::Refused(reply) => &reply.next_step,
        }
    }
}

/// Tells one start of the daemon from the next: each makes its socket anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaemonStart {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Client {
    /// A client of the daemon that `config` describes.
    #[must_use]
    pub fn new(config: &super::Config) -> Self {
        // Longer than the daemon's own limit, so that its answer arrives.
        Self {
            socket: config.socket.clone(),
            timeout: Duration::from_secs(config.request_timeout_secs.saturating_add(2)),
        }
    }

    /// Which start of the daemon made the socket; `None` where there is none to be seen.
    #[must_use]
    pub fn daemon(&self) -> Option<DaemonStart> {
        let socket = fs::metadata(&self.socket).ok()?;
        Some(DaemonStart {
            device: socket.dev(),
            inode: socket.ino(),
            changed: (socket.ctime(), socket.ctime_nsec()),
        })
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/v1/status", Bytes::new())
    }

    /// A session to start a command in.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn launch(&self, request: &LaunchRequest) -> Result<Launched, ClientError> {
        self.ask(Method::POST, "/v1/sessions", body(request)?)
    }

    /// Moves this process's child `pid` into the session's cgroup.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn adopt(&self, session: SessionId, pid: u32) -> Result<(), ClientError> {
        let path = format!("/v1/sessions/{session}/adopt");
        self.ask::<serde::de::IgnoredAny>(Method::POST, &path, body(&AdoptRequest { pid })?).map(drop)
    }

    /// Presents a newer token for the session.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn renew(&self, session: SessionId, token: Token) -> Result<Renewed, ClientError> {
        let path = format!("/v1/sessions/{session}/token");
        self.ask(Method::POST, &path, body(&RenewRequest { token })?)
    }

    /// Ends the session at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn kill(&self, session: SessionId) -> Result<(), ClientError> {
        let path = format!("/v1/sessions/{session}/kill");
        self.ask::<serde::de::IgnoredAny>(Method::POST, &path, Bytes::new()).map(drop)
    }

    /// Begins to remove what is old.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remove_old(&self, request: &RetentionRequest) -> Result<RetentionBegun, ClientError> {
        self.ask(Method::POST, "/v1/retention", body(request)?)
    }

    /// How that goes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn retention(&self) -> Result<RetentionStatus, ClientError> {
        self.ask(Method::GET, "/v1/retention", Bytes::new())
    }

    /// Places a hold.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn hold(&self, request: &HoldRequest) -> Result<HoldPlaced, ClientError> {
        self.ask(Method::POST, "/v1/holds", body(request)?)
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn release(&self, hold: &str, request: &ReleaseRequest) -> Result<(), ClientError> {
        let path = format!("/v1/holds/{hold}/release");
        self.ask::<serde::de::IgnoredAny>(Method::POST, &path, body(request)?).map(drop)
    }

    fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::Exchange(error.to_string()))?;
        let answer = runtime.block_on(async {
            tokio::time::timeout(self.timeout, self.exchange(method, path, body))
                .await
                .map_err(|_| ClientError::Timeout(self.timeout))
        })??;
        serde_json::from_slice(&answer).map_err(exchange)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(exchange)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "chaperone")
            .body(Full::new(body))
            .map_err(exchange)?;
        let exchange_both = async {
            let response = sender.send_request(request).await.map_err(exchange)?;
            let status = response.status();
            let limited = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
            let bytes = limited.collect().await.map_err(|error| ClientError::Exchange(error.to_string()))?;
            Ok((status, bytes.to_bytes()))
        };
        // The connection drives the exchange; it ends when the answer is complete, or with it.
        let (status, bytes) = tokio::select! {
            biased;
            answer = exchange_both => answer?,
            Err(error) = connection => return Err(exchange(error)),
        };
        if status.is_success() { Ok(bytes) } else { Err(refused(status, &bytes)) }
    }

    fn unreachable(&self, error: &io::Error) -> ClientError {
        let socket = self.socket.display().to_string();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning { socket },
            io::ErrorKind::PermissionDenied => ClientError::NotAllowed { socket },
            _ => ClientError::Exchange(format!("{socket}: {error}")),
        }
    }
}

fn body(value: &impl Serialize) -> Result<Bytes, ClientError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(exchange)
}

fn refused(status: StatusCode, bytes: &[u8]) -> ClientError {
    match serde_json::from_slice(bytes) {
        Ok(reply) => ClientError::Refused(reply),
        Err(_) => ClientError::Exchange(format!("the daemon answered {status} without a reason")),
    }
}

fn exchange(error: impl std::fmt::Display) -> ClientError {
    ClientError::Exchange(error.to_string())
}
