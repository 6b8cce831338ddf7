//! HTTP with the agent: one terminated connection, h1 or h2, every bound stated.

use std::{
    convert::Infallible,
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Config, watched_io::WatchedIo};
use crate::body::Body;

/// Why a connection ended badly; the caller records it.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The raw bytes have two readings, see [`super::framing`].
    #[error("{0}")]
    Framing(super::framing::Violation),
    /// hyper refused the bytes, or the peer broke off.
    #[error("{0}")]
    Protocol(String),
}

/// Serves requests over `io` until the agent is done or `shutdown` asks for an end.
///
/// # Errors
/// [`HttpError`]; an agent that merely closes is no error.
pub(super) async fn serve<T, S, F>(
    io: T,
    h2: bool,
    config: &Config,
    shutdown: &CancellationToken,
    handler: S,
) -> Result<(), HttpError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let busy = Busy::default();
    let counted = busy.clone();
    let service = service_fn(move |request| {
        let answer = handler(request);
        let at_work = counted.start();
        async move {
            let answer = answer.await;
            drop(at_work);
            Ok::<_, Infallible>(answer)
        }
    });
    if h2 {
        let mut builder = conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            // h2 answers 431 at its bound without telling us, so it lies above ours, see `intake::head`.
            .max_header_list_size(
                u32::try_from(config.header_max_bytes.saturating_mul(2)).unwrap_or(u32::MAX),
            )
            .max_concurrent_streams(u32::try_from(config.h2_max_streams).unwrap_or(u32::MAX))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
        let idle = Duration::from_secs(config.header_timeout_secs);
        let ended = tokio::select! {
            ended = drive(connection.as_mut(), shutdown, |c| c.graceful_shutdown()) => Some(ended),
            () = busy.idle_for(idle) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            // As over HTTP/1.1: who asks nothing for so long is let go.
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        return ended.or_else(|error| protocol(error).map_or(Ok(()), Err));
    }
    // hyper answers 431 at its bound, so the watcher's lies a little above it.
    let (io, verdict) = WatchedIo::new(io, config.header_max_bytes + 8 * 1024);
    let mut builder = conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(config.header_timeout_secs))
        .max_header_size(config.header_max_bytes)
        .max_buf_size((config.header_max_bytes + 8 * 1024).max(128 * 1024));
    let connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
    let ended = drive(connection, shutdown, |c| c.graceful_shutdown()).await;
    match (verdict.violation(), ended) {
        (Some(violation), _) => Err(HttpError::Framing(violation.clone())),
        // An idle connection's time-out is its ordinary end.
        (None, Err(error)) if error.is_timeout() && !verdict.ended_inside_head() => Ok(()),
        (None, Err(error)) => protocol(error).map_or(Ok(()), Err),
        (None, Ok(())) => Ok(()),
    }
}

/// What is worth an event: a peer that closes between requests, or in the middle of an answer that
/// is recorded as aborted anyway, is not.
fn protocol(error: hyper::Error) -> Option<HttpError> {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return None;
    }
    if let Some(violation) = h2_violation(&error) {
        return Some(HttpError::Protocol(format!("HTTP/2: {violation}")));
    }
    (error.is_parse() || error.is_timeout()).then(|| HttpError::Protocol(error.to_string()))
}

/// What this side of an HTTP/2 connection ended it for; a peer that ends it itself violates nothing.
fn h2_violation(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref::<h2::Error>().filter(|error| error.is_library())
}

/// Runs a connection; on shutdown lets the request in flight end and takes no further one.
async fn drive<C>(
    mut connection: std::pin::Pin<&mut C>,
    shutdown: &CancellationToken,
    stop: impl FnOnce(std::pin::Pin<&mut C>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shutdown.cancelled() => {}
    }
    stop(connection.as_mut());
    connection.await
}

/// Whether requests of a connection are being answered.
#[derive(Debug, Clone, Default)]
struct Busy(Arc<(AtomicU64, AtomicU64)>);

impl Busy {
    fn start(&self) -> AtWork {
        let (started, _) = &*self.0;
        started.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    /// Ends once no request was answered or begun for `idle`.
    async fn idle_for(&self, idle: Duration) {
        let read = || (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed));
        let mut before = read();
        loop {
            tokio::time::sleep(idle).await;
            let now = read();
            if now == before && now.0 == now.1 {
                return;
            }
            before = now;
        }
    }
}

/// One request at work; dropped when its answer's head is ready.
struct AtWork(Busy);

impl Drop for AtWork {
    fn drop(&mut self) {
        let (_, ended) = &*self.0.0;
        ended.fetch_add(1, Ordering::Relaxed);
    }
}
