//! One generated request, as the generators write it.

use anyhow::{Context as _, Result, anyhow};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use gateway_user::prim::HostName;
use http::{Request, request::Parts};
use serde_json::{Map, Value};

/// A signed request and what it was meant to be.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    method: String,
    /// Host, path and query as sent.
    url: String,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
    /// What it was made from.
    pub truth: Truth,
}

/// What a request was made from.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// botocore's name of the service.
    pub service: String,
    /// The prefix of its IAM actions; several with commas between them where any is right.
    pub prefix: String,
    /// The API operation.
    pub operation: String,
    /// Which style, region and protocol; the golden file's line where it comes from there.
    pub variant: String,
    /// What was given, by the model's names; `tests/corpus/values.py` says how.
    pub params: Map<String, Value>,
    /// A client would send it without a signature; it was signed for this purpose.
    pub unsigned: bool,
    /// The member that is sent as a stream, which the product may leave unread.
    #[serde(default)]
    pub streaming: Option<String>,
}

impl Line {
    /// Reads one line of JSON.
    ///
    /// # Errors
    /// When it is not such a line.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("not a line of the corpus")
    }

    /// The head as hyper would deliver it.
    ///
    /// # Errors
    /// When it is no HTTP head.
    pub fn head(&self) -> Result<Parts> {
        let (host, _) = self.host_and_target()?;
        let target = self.url.get(host.len()..).unwrap_or_default();
        let mut request = Request::builder().method(self.method.as_str()).uri(target).header("host", host);
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let (parts, ()) = request.body(()).context(self.url.clone())?.into_parts();
        Ok(parts)
    }

    /// The name the client would ask for in its TLS hello.
    ///
    /// # Errors
    /// When it is no host name.
    pub fn server_name(&self) -> Result<HostName> {
        let (host, _) = self.host_and_target()?;
        host.parse().with_context(|| host.to_owned())
    }

    /// The body.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn body(&self) -> Result<Bytes> {
        let bytes = BASE64_STANDARD.decode(&self.body).map_err(|error| anyhow!("the body: {error}"))?;
        Ok(bytes.into())
    }

    /// Method and URL, for messages.
    #[must_use]
    pub fn call(&self) -> String {
        format!("{} https://{}", self.method, self.url)
    }

    fn host_and_target(&self) -> Result<(&str, &str)> {
        self.url.split_once('/').with_context(|| format!("{} has no path", self.url))
    }
}
