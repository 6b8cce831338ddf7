//! The head as it leaves the host: without the agent's signature and its connection's headers.

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri, Version, header, request::Parts, uri::PathAndQuery};

use super::SignError;
use crate::{
    parse::{PayloadMode, Received, Signable},
    prim::{HostName, SessionId},
};

/// Headers that belong to the agent's signature, not to the request.
const OF_THE_SIGNATURE: [HeaderName; 7] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-s3session-token"),
    HeaderName::from_static("x-amz-content-sha256"),
    header::DATE,
    header::HOST,
];

/// Headers that belong to the agent's connection (RFC 9110 section 7.6.1). `Connection` names no others: `parse`
/// refuses that.
const OF_THE_CONNECTION: [HeaderName; 10] = [
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
    for name in OF_THE_SIGNATURE.iter().chain(&OF_THE_CONNECTION) {
        parts.headers.remove(name);
    }
    address(parts, &signable.host)?;
    for name in AGENTS {
        if let Some(honest) = without_sessions(parts, &name).map_err(|error| failed(&error))? {
            parts.headers.insert(name, honest);
        }
    }
    let agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let agent = [agent, b" ", OURS, session.to_string().as_bytes()].concat();
    let agent = HeaderValue::from_bytes(agent.trim_ascii_start()).map_err(|error| failed(&error))?;
    parts.headers.insert(header::USER_AGENT, agent);
    Ok(())
}

/// Puts another body in the place of the inspected one, and makes true what the head says of its bytes.
pub(super) fn with_body(signable: &mut Signable, body: Bytes) {
    const OF_THE_BYTES: [HeaderName; 4] = [
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("x-amz-sdk-checksum-algorithm"),
    ];
    let headers = &mut signable.parts.headers;
    let checksum = |name: &&HeaderName| name.as_str().starts_with("x-amz-checksum-");
    let checksums: Vec<HeaderName> = headers.keys().filter(checksum).cloned().collect();
    for name in checksums.iter().chain(&OF_THE_BYTES) {
        headers.remove(name);
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    if let PayloadMode::Hash(hash) = &mut signable.payload {
        *hash = hex::encode(digest::digest(&digest::SHA256, &body));
    }
    signable.body = Some(body);
}

/// Where AWS's records take the user agent from; browsers may set the second alone.
const AGENTS: [HeaderName; 2] = [header::USER_AGENT, HeaderName::from_static("x-amz-user-agent")];

/// What stands before the session's id.
const OURS: &[u8] = b"chaperone/";

/// The header without the words that look like ours: an agent could name the session of another. `None` where there are
/// none of them.
fn without_sessions(
    parts: &Parts,
    name: &HeaderName,
) -> Result<Option<HeaderValue>, header::InvalidHeaderValue> {
    let ours = |word: &[u8]| word.windows(OURS.len()).any(|part| part.eq_ignore_ascii_case(OURS));
    let values = || parts.headers.get_all(name).iter().map(HeaderValue::as_bytes);
    if !values().any(ours) {
        return Ok(None);
    }
    // Whole words, so that nothing grows together to what was taken out.
    let words = values().flat_map(|value| value.split(|b| matches!(b, b' ' | b'\t')));
    let honest: Vec<&[u8]> = words.filter(|word| !word.is_empty() && !ours(word)).collect();
    HeaderValue::from_bytes(&honest.join(&b' ')).map(Some)
}

/// Leaves everything as it is but for the headers of the agent's connection that nobody signed, and user agents that name
/// a session.
pub(super) fn pass_on(received: &mut Received, as_json: bool) -> Result<(), SignError> {
    let Received { parts, host, signed_headers, .. } = received;
    for name in AGENTS {
        let honest = without_sessions(parts, &name).map_err(|error| SignError::Signing(error.to_string()))?;
        let Some(honest) = honest else { continue };
        if signed_headers.iter().any(|signed| signed == name.as_str()) {
            return Err(SignError::NamesSession);
        }
        parts.headers.insert(name, honest);
    }
    for name in &OF_THE_CONNECTION {
        if !signed_headers.iter().any(|signed| signed == name.as_str()) {
            parts.headers.remove(name);
        }
    }
    // In an answer that is compressed, or has another form than the model, secrets could not be hidden.
    let json = as_json.then_some((header::ACCEPT, "application/json"));
    for (name, wanted) in [(header::ACCEPT_ENCODING, "identity")].into_iter().chain(json) {
        let signed = signed_headers.iter().any(|signed| signed == name.as_str());
        if !signed {
            parts.headers.insert(name, HeaderValue::from_static(wanted));
        } else if parts.headers.get(&name).is_none_or(|value| value != wanted) {
            return Err(SignError::Form(name, wanted));
        }
    }
    // The client writes the host itself; where the agent wrote it otherwise (`host:443`), that was signed.
    let authority = || HeaderValue::from_str(parts.uri.authority()?.as_str()).ok();
    let signed = parts.headers.remove(header::HOST).or_else(authority);
    if let Some(signed) = signed.filter(|signed| signed.as_bytes() != host.as_str().as_bytes()) {
        parts.headers.insert(header::HOST, signed);
    }
    address(parts, host)
}

/// Makes the URI absolute.
fn address(parts: &mut Parts, host: &HostName) -> Result<(), SignError> {
    let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::builder()
        .scheme("https")
        .authority(host.as_str())
        .path_and_query(target)
        .build()
        .map_err(|error| SignError::Signing(error.to_string()))?;
    // What the agent's connection spoke says nothing about the upstream's.
    parts.version = Version::HTTP_11;
    Ok(())
}
