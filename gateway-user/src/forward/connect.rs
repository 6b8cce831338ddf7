//! One connection to AWS: resolve, dial, TLS, all within one time-out.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tower_service::Service;

use super::EndpointOverride;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("name resolution: {0}")]
    Resolve(String),
    #[error("{0}")]
    Connect(String),
    #[error("timed out")]
    Timeout,
}

/// Resolves and dials; an override replaces the resolution only, never the name TLS verifies.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    overrides: std::sync::Arc<[EndpointOverride]>,
    within: Duration,
}

impl Dialer {
    /// `within`: time for the name and all its addresses.
    pub(super) fn new(overrides: Vec<EndpointOverride>, within: Duration) -> Self {
        Self { overrides: overrides.into(), within }
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let fixed = EndpointOverride::resolve(&self.overrides, &host);
        let within = self.within;
        Box::pin(async move {
            let begun = Instant::now();
            let addresses = match fixed {
                Some(address) => vec![address],
                None => lookup(&host, port).await?,
            };
            let stream = dial(&addresses, within.saturating_sub(begun.elapsed())).await?;
            // Without it the last segment of a body waits for an acknowledgement (about 40 ms).
            stream.set_nodelay(true).map_err(|error| DialError::Connect(error.to_string()))?;
            Ok(TokioIo::new(stream))
        })
    }
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = found.map_err(|error| DialError::Resolve(error.to_string()))?.collect();
    if addresses.is_empty() { Err(DialError::Resolve("no address".to_owned())) } else { Ok(addresses) }
}

/// Tries one after the other; each gets its share of the time that is left, so that an address
/// which swallows packets does not use up the time of the next.
async fn dial(addresses: &[SocketAddr], within: Duration) -> Result<TcpStream, DialError> {
    let (mut failures, mut all_silent) = (Vec::new(), true);
    let begun = Instant::now();
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(u32::MAX).max(1);
        let share = within.saturating_sub(begun.elapsed()) / untried;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                all_silent = false;
                failures.push(format!("{address}: {error}"));
            }
            Err(_) => failures.push(format!("{address}: no answer within {share:?}")),
        }
    }
    Err(if all_silent { DialError::Timeout } else { DialError::Connect(failures.join("; ")) })
}

/// A connector with a time-out over everything it does.
#[derive(Debug, Clone)]
pub(super) struct Timed<C> {
    connector: C,
    after: Duration,
}

impl<C> Timed<C> {
    pub(super) fn new(connector: C, after: Duration) -> Self {
        Self { connector, after }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(ready!(self.connector.poll_ready(cx)))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.after, self.connector.call(uri));
        Box::pin(async move { connecting.await.unwrap_or_else(|_| Err(DialError::Timeout.into())) })
    }
}
