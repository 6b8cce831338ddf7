//! An issuer's URL → its key set.
//!
//! OpenID Connect Discovery 1.0 §4, RFC 8414 §3.3.

use std::time::Duration;

use http::{Uri, uri::Scheme};
use rustls_pki_types::CertificateDer;
use serde_json::Value;

use super::{Config, FetchError, IssuerError, fetch::Fetcher, json, jwk::KeySet};

/// Where an issuer's keys come from.
#[derive(Debug)]
pub(super) struct Source {
    fetcher: Fetcher,
    issuer: String,
    document: Uri,
    timeout: Duration,
}

impl Source {
    pub(super) fn new(config: &Config, own_ca: Option<&CertificateDer<'_>>) -> Result<Self, IssuerError> {
        let document = document_url(&config.url)
            .ok_or_else(|| IssuerError::Url { name: config.name.clone(), url: config.url.clone() })?;
        Ok(Self {
            fetcher: Fetcher::new(config, own_ca)?,
            issuer: config.url.clone(),
            document,
            timeout: Duration::from_secs(config.timeout_secs),
        })
    }

    /// The keys as they are now. The document is asked for each time: an issuer may move its keys.
    pub(super) async fn keys(&self) -> Result<KeySet, FetchError> {
        let fetching = async {
            let document = self.fetcher.get(&self.document).await?;
            let keys = keys_url(&document, &self.issuer)?;
            KeySet::read(&self.fetcher.get(&keys).await?)
        };
        tokio::time::timeout(self.timeout, fetching).await.unwrap_or(Err(FetchError::Timeout(self.timeout)))
    }
}

/// Whether a text can be an issuer's URL: https, a host, neither query nor fragment (Discovery §3).
#[must_use]
pub fn is_issuer_url(text: &str) -> bool {
    document_url(text).is_some()
}

/// Discovery §4.1: a slash at the end is dropped.
fn document_url(issuer: &str) -> Option<Uri> {
    if issuer.contains(['?', '#', '@']) {
        return None;
    }
    https(issuer)?;
    https(&format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer)))
}

fn https(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let ok = url.scheme() == Some(&Scheme::HTTPS) && url.host().is_some_and(|host| !host.is_empty());
    ok.then_some(url)
}

/// The `jwks_uri` of a document that speaks of this issuer and no other (Discovery §4.3).
fn keys_url(document: &[u8], issuer: &str) -> Result<Uri, FetchError> {
    let document = json::object(document)
        .map_err(|_| FetchError::Discovery("it is not a JSON object, or names a member twice"))?;
    match document.get("issuer").and_then(Value::as_str) {
        None => return Err(FetchError::Discovery("it has no `issuer`")),
        Some(other) if other != issuer => {
            return Err(FetchError::OtherIssuer(other.chars().take(200).collect()));
        }
        Some(_) => {}
    }
    let keys = document.get("jwks_uri").and_then(Value::as_str);
    let keys = keys.ok_or(FetchError::Discovery("it has no `jwks_uri`"))?;
    https(keys).ok_or(FetchError::Discovery("its `jwks_uri` is not an https URL"))
}
