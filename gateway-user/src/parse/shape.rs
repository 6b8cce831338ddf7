//! How an error must be written so that the agent's SDK shows it as a normal AWS error.

use http::{HeaderMap, header, request::Parts};

use super::Endpoint;
use crate::{catalog::Protocol, prim::HostName};

/// How errors are written on the wire; guessed early, because even a request that cannot be parsed
/// deserves an error its SDK can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorShape {
    /// `application/x-amz-json-1.0` or `-1.1`: JSON body with `__type`.
    AwsJson {
        /// Whether the service spoke query before: see [`ErrorShape::was_query`].
        was_query: bool,
    },
    /// REST-JSON: `x-amzn-errortype` header and JSON body.
    RestJson,
    /// AWS query: `<ErrorResponse><Error>…`.
    Query,
    /// EC2 query: `<Response><Errors><Error>…`.
    Ec2,
    /// REST-XML: `<ErrorResponse><Error>…`.
    RestXml,
    /// S3: a bare `<Error>`.
    S3,
    /// `smithy-protocol: rpc-v2-cbor`.
    Cbor {
        /// Whether the service spoke query before: see [`ErrorShape::was_query`].
        was_query: bool,
    },
}

impl ErrorShape {
    /// The likeliest shape for a head, however broken; decides nothing but how an error looks.
    #[must_use]
    pub fn guess(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let content_type = text(headers, header::CONTENT_TYPE.as_str());
        let host = match parts.uri.authority() {
            Some(authority) => authority.as_str(),
            None => text(headers, header::HOST.as_str()),
        };
        if headers.contains_key("smithy-protocol") || content_type.starts_with("application/cbor") {
            return Self::Cbor { was_query: speaks(host, Protocol::Query) };
        }
        if headers.contains_key("x-amz-target") || content_type.starts_with("application/x-amz-json") {
            return Self::AwsJson { was_query: speaks(host, Protocol::Query) };
        }
        let action_in_query =
            parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("Action=")));
        if content_type.starts_with("application/x-www-form-urlencoded") || action_in_query {
            return if speaks(host, Protocol::Ec2) { Self::Ec2 } else { Self::Query };
        }
        let is_s3_label =
            |label: &str| label == "s3" || label.starts_with("s3-") || label.starts_with("s3express");
        if host.split('.').any(is_s3_label) {
            Self::S3
        } else if speaks(host, Protocol::RestXml) {
            Self::RestXml
        } else {
            Self::RestJson
        }
    }

    /// Whether the service spoke query before it spoke this protocol. Its errors still have two codes: SDKs
    /// take the one of the query protocol, from the header `x-amzn-query-error`.
    ///
    /// Those are the services whose model has the trait `awsQueryCompatible`. In the catalogue, they are those
    /// with query beside JSON or CBOR.
    /// <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait>
    #[must_use]
    pub fn was_query(self) -> bool {
        match self {
            Self::AwsJson { was_query } | Self::Cbor { was_query } => was_query,
            Self::RestJson | Self::Query | Self::Ec2 | Self::RestXml | Self::S3 => false,
        }
    }
}

/// Whether a service behind `host` speaks `protocol`.
fn speaks(host: &str, protocol: Protocol) -> bool {
    let endpoint = host.parse::<HostName>().ok().and_then(|host| Endpoint::read(&host).ok());
    endpoint.is_some_and(|endpoint| {
        endpoint.candidates().iter().any(|candidate| candidate.service.speaks(protocol))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
