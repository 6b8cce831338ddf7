//! The head as it leaves the host: without the agent's signature and its connection's headers.

use http::{HeaderName, HeaderValue, Uri, Version, header, uri::PathAndQuery};

use super::SignError;
use crate::{parse::Signable, prim::SessionId};

/// Headers that belong to the agent's signature or to its connection (RFC 9110 section 7.6.1), not
/// to the request. `Connection` names no others: `parse` refuses that.
const REMOVED: [HeaderName; 16] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
    header::DATE,
    header::HOST,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // Answered by the gateway itself before it reads the body.
    header::EXPECT,
];

/// Removes what is not to be forwarded, makes the URI absolute, names the session.
pub(super) fn prepare(signable: &mut Signable, session: SessionId) -> Result<(), SignError> {
    let failed = |what: &dyn std::fmt::Display| SignError::Signing(what.to_string());
    let parts = &mut signable.parts;
    for name in &REMOVED {
        parts.headers.remove(name);
    }
    let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::builder()
        .scheme("https")
        .authority(signable.host.as_str())
        .path_and_query(target)
        .build()
        .map_err(|error| failed(&error))?;
    // What the agent's connection spoke says nothing about the upstream's.
    parts.version = Version::HTTP_11;
    let agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let agent = [agent, b" chaperone/", session.to_string().as_bytes()].concat();
    let agent = HeaderValue::from_bytes(agent.trim_ascii_start()).map_err(|error| failed(&error))?;
    parts.headers.insert(header::USER_AGENT, agent);
    Ok(())
}
