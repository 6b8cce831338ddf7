//! One bounded GET over HTTPS: no redirects, no proxy, own roots where they are configured.

use std::{error::Error as StdError, path::Path, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls_pki_types::{CertificateDer, TrustAnchor, pem::PemObject as _};

use super::{Config, FetchError, IssuerError};

/// Fetches documents of one issuer.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    max_bytes: usize,
}

impl Fetcher {
    /// `own_ca` is the gateway's: it vouches for nobody, also where an admin installed it in the system's store.
    pub(super) fn new(config: &Config, own_ca: Option<&CertificateDer<'_>>) -> Result<Self, IssuerError> {
        let mut http = HttpConnector::new();
        // The connector is given https URLs alone.
        http.enforce_http(false);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(config, own_ca)?)
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

/// TLS with the roots of `ca_file`, or the system's without `own_ca`.
fn tls(config: &Config, own_ca: Option<&CertificateDer<'_>>) -> Result<rustls::ClientConfig, IssuerError> {
    let roots = match &config.ca_file {
        Some(path) => own_roots(path).map_err(|detail| IssuerError::CaFile {
            name: config.name.clone(),
            path: path.clone(),
            detail,
        })?,
        None => {
            let native = rustls_native_certs::load_native_certs();
            let errors = native.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            system_roots(native.certs, own_ca)
                .ok_or_else(|| IssuerError::NoRoots { name: config.name.clone(), detail: errors })?
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| IssuerError::Tls { name: config.name.clone(), error })?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn own_roots(path: &Path) -> Result<rustls::RootCertStore, String> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it contains no certificate".to_owned());
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// What the gateway's own CA signs is the gateway's: an issuer that it vouched for would be whoever has its key. `None`
/// where no root is left.
pub(super) fn system_roots(
    native: Vec<CertificateDer<'static>>,
    own_ca: Option<&CertificateDer<'_>>,
) -> Option<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(native);
    // By its key: there may be an older certificate of it in the store.
    let mut own = rustls::RootCertStore::empty();
    own.add_parsable_certificates(own_ca.map(|own_ca| own_ca.clone().into_owned()));
    let is_own = |root: &TrustAnchor<'_>| {
        own.roots.iter().any(|own| own.subject_public_key_info == root.subject_public_key_info)
    };
    roots.roots.retain(|root| !is_own(root));
    (!roots.is_empty()).then_some(roots)
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
