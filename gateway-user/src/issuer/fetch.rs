//! One bounded GET over HTTPS: no redirects, no proxy, own roots where they are configured.

use std::error::Error as StdError;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls_pki_types::CertificateDer;

use super::{Config, FetchError, IssuerError};
use crate::roots::{self, Roots};

/// Fetches documents of one issuer.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    max_bytes: usize,
}

impl Fetcher {
    /// `own_ca` is the gateway's: it vouches for nobody, also where an admin installed it in the system's store
    /// or names a file that has it.
    pub(super) fn new(config: &Config, own_ca: Option<&CertificateDer<'_>>) -> Result<Self, IssuerError> {
        let mut http = HttpConnector::new();
        // The connector is given https URLs alone.
        http.enforce_http(false);
        let tls = roots(config, own_ca)?.tls();
        let tls = tls.map_err(|error| IssuerError::Tls { name: config.name.clone(), error })?;
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(http);
        // Fetched once an hour: no connection is worth keeping.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
        Ok(Self { client, max_bytes: config.response_max_bytes })
    }

    /// The whole answer, which must be a 200. How long it takes is the caller's to bound.
    pub(super) async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let unreachable = |detail| FetchError::Unreachable { url: url.to_string(), detail };
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .body(Empty::new())
            .map_err(|error| unreachable(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| unreachable(chain(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.to_string(), status: answer.status().as_u16() });
        }
        let body = Limited::new(answer.into_body(), self.max_bytes).collect().await;
        body.map(|body| body.to_bytes())
            .map_err(|_| FetchError::Body { url: url.to_string(), max: self.max_bytes })
    }
}

/// Who vouches for the issuer: the roots of `ca_file`, or the system's, without `own_ca`. What the gateway's own CA signs
/// is the gateway's: an issuer that it vouched for would be whoever has its key.
fn roots(config: &Config, own_ca: Option<&CertificateDer<'_>>) -> Result<Roots, IssuerError> {
    let (roots, errors) = match &config.ca_file {
        Some(path) => {
            let bad = |detail| IssuerError::CaFile { name: config.name.clone(), path: path.clone(), detail };
            (roots::read(path).map_err(bad)?, path.display().to_string())
        }
        None => roots::system(),
    };
    Roots::without(own_ca, roots)
        .ok_or_else(|| IssuerError::NoRoots { name: config.name.clone(), detail: errors })
}

/// An error and its causes in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
