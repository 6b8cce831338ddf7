//! `SignedRequest` → `Reply`: own resolver, own roots, pooled connections.
//!
//! The host is the one that was signed, never the address the agent dialled: an agent cannot
//! steer a signed request to another machine.

mod connect;
mod progress;

use std::{error::Error as StdError, net::SocketAddr, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, Error as ClientError},
    rt::{TokioExecutor, TokioTimer},
};

use rustls_pki_types::CertificateDer;

use self::{
    connect::{DialError, Dialer, Timed},
    progress::Watched,
};
use crate::{
    body::{Body, BodyError},
    record::OpenCall,
    roots::{self, Roots},
    sign::SignedRequest,
};

/// How AWS is reached.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// PEM file of roots trusted in addition to the system's, also where the gateway asks for its own keys.
    pub extra_ca: Option<PathBuf>,
    /// Host pattern → address, first match wins: VPC endpoints, tests.
    #[serde(rename = "override")]
    pub overrides: Vec<EndpointOverride>,
    /// Time for TCP and TLS to AWS, in seconds.
    pub connect_timeout_secs: u64,
    /// Time from the last byte sent until the response head arrives, in seconds.
    pub response_timeout_secs: u64,
    /// Time without a byte after which a streaming body is given up, in seconds.
    pub idle_timeout_secs: u64,
    /// Idle connections kept open per AWS host.
    pub pool_per_host: usize,
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

impl EndpointOverride {
    /// The address `host` is dialled at by the first of `overrides` that names it.
    #[must_use]
    pub fn resolve(overrides: &[EndpointOverride], host: &str) -> Option<SocketAddr> {
        let names = |pattern: &str| match pattern.strip_prefix("*.") {
            Some(suffix) => {
                host.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            None => pattern == host,
        };
        overrides.iter().find(|o| names(&o.host)).map(|o| o.address)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            extra_ca: None,
            overrides: Vec::new(),
            connect_timeout_secs: 10,
            response_timeout_secs: 300,
            idle_timeout_secs: 300,
            pool_per_host: 64,
        }
    }
}

impl Config {
    /// Who vouches for AWS: the system's roots and those of `extra_ca`, without `own_ca`, which is what agents trust.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn roots(&self, own_ca: &CertificateDer<'_>) -> Result<Roots, SetupError> {
        let extra = match &self.extra_ca {
            Some(path) => {
                roots::read(path).map_err(|detail| SetupError::ExtraCa { path: path.clone(), detail })?
            }
            None => Vec::new(),
        };
        let (system, errors) = roots::system();
        Roots::without(Some(own_ca), system.into_iter().chain(extra)).ok_or(SetupError::NoRoots(errors))
    }
}

/// Why the client towards AWS cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No trusted root was found.
    #[error("neither the system nor extra_ca has a root certificate besides the gateway's own CA: {0}")]
    NoRoots(String),
    /// The extra CA file is unusable.
    #[error("forward.extra_ca {path}: {detail}")]
    ExtraCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// TLS could not be set up.
    #[error("TLS towards AWS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The host name has no address.
    #[error("{host} cannot be resolved: {detail}")]
    Resolve {
        /// The AWS host.
        host: String,
        /// The resolver's words.
        detail: String,
    },
    /// No TCP connection.
    #[error("no connection to {host}: {detail}")]
    Connect {
        /// The AWS host.
        host: String,
        /// The system's words.
        detail: String,
    },
    /// The certificate or handshake was not accepted.
    #[error("TLS to {host} failed: {detail}")]
    Tls {
        /// The AWS host.
        host: String,
        /// rustls' words.
        detail: String,
    },
    /// TCP and TLS took too long.
    #[error("no connection to {host} within {after:?}")]
    ConnectTimeout {
        /// The AWS host.
        host: String,
        /// The bound.
        after: Duration,
    },
    /// Nothing came back.
    #[error("{host} did not answer within {after:?}")]
    ResponseTimeout {
        /// The AWS host.
        host: String,
        /// The bound.
        after: Duration,
    },
    /// The connection broke before the response head.
    #[error("{host} broke off: {detail}")]
    Broken {
        /// The AWS host.
        host: String,
        /// The HTTP client's words.
        detail: String,
    },
    /// The agent's body broke off while it was being sent.
    #[error("the request body broke off: {0}")]
    RequestBody(String),
}

/// What AWS answered; the body streams.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers without the hop-by-hop ones.
    pub headers: HeaderMap,
    /// The body, given up after the idle time-out.
    pub body: Body,
}

/// The client towards AWS.
#[derive(Debug, Clone)]
pub struct Upstream {
    client: Client<Timed<HttpsConnector<Dialer>>, Body>,
    connect_timeout: Duration,
    response_timeout: Duration,
    idle_timeout: Duration,
}

impl Upstream {
    /// Builds the client, which believes `roots` alone; connects to nothing yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(config: &Config, roots: &Roots) -> Result<Self, SetupError> {
        let connect_timeout = Duration::from_secs(config.connect_timeout_secs);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(roots.tls()?)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Dialer::new(config.overrides.clone(), connect_timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(config.pool_per_host)
            .http2_initial_stream_window_size(4 << 20)
            .http2_initial_connection_window_size(16 << 20)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .build(Timed::new(https, connect_timeout));
        Ok(Self {
            client,
            connect_timeout,
            response_timeout: Duration::from_secs(config.response_timeout_secs),
            idle_timeout: Duration::from_secs(config.idle_timeout_secs),
        })
    }

    /// Sends the request and waits for the response head. A request is never sent twice unless the
    /// connection died before its first byte was written. `intent` proves that the call is on record:
    /// nothing leaves the host before.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn send(&self, signed: SignedRequest, intent: &OpenCall) -> Result<Reply, ForwardError> {
        tracing::trace!(call = %intent.id(), host = %signed.host(), "forwarding");
        let host = signed.host().to_string();
        let (mut parts, body) = signed.into_http().into_parts();
        // The client itself picks h2 where ALPN offers it; an h2 request from the agent must not force it.
        parts.version = http::Version::HTTP_11;
        let (body, progress) = Watched::new(body, self.idle_timeout);
        let sending = self.client.request(http::Request::from_parts(parts, body.boxed_unsync()));
        let response = match progress.unless_silent(self.response_timeout, sending).await {
            Some(result) => result.map_err(|error| self.explain(&host, &error))?,
            None => return Err(ForwardError::ResponseTimeout { host, after: self.response_timeout }),
        };
        let (mut parts, body) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        let body = body.map_err(|error| BodyError::Broken(chain(&error))).boxed_unsync();
        let (body, _) = Watched::new(body, self.idle_timeout);
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.boxed_unsync() })
    }

    fn explain(&self, host: &str, error: &ClientError) -> ForwardError {
        let host = host.to_owned();
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(current) = cause {
            match current.downcast_ref::<DialError>() {
                Some(DialError::Resolve(detail)) => {
                    return ForwardError::Resolve { host, detail: detail.clone() };
                }
                Some(DialError::Connect(detail)) => {
                    return ForwardError::Connect { host, detail: detail.clone() };
                }
                Some(DialError::Timeout) => {
                    return ForwardError::ConnectTimeout { host, after: self.connect_timeout };
                }
                None => {}
            }
            if let Some(body) = current.downcast_ref::<BodyError>() {
                return ForwardError::RequestBody(body.to_string());
            }
            if let Some(tls) = current.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref())
                && let Some(tls) = tls.downcast_ref::<rustls::Error>()
                && error.is_connect()
            {
                return ForwardError::Tls { host, detail: tls.to_string() };
            }
            cause = current.source();
        }
        if error.is_connect() {
            return ForwardError::Tls { host, detail: chain(error) };
        }
        ForwardError::Broken { host, detail: chain(error) }
    }
}

/// RFC 9110 §7.6.1: headers that speak of one connection only, and those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in named.iter().chain(&fixed) {
        headers.remove(name);
    }
    // Alternative services would lead the agent to QUIC or to another host.
    headers.remove(header::ALT_SVC);
}

/// An error and its causes in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.ends_with(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
