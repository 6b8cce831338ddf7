//! HTTP: what two parsers could read differently is refused.
//!
//! # What hyper decides before this code sees the head
//! As the sources of hyper 1.12, httparse 1.10, h2 0.4 and http 1.5 have it:
//! - `Content-Length` **and** `Transfer-Encoding`: hyper silently drops `Content-Length`, reads
//!   chunked and closes the connection after the answer. Only the raw bytes show it: whoever owns
//!   the connection must look there. (If the agent signed `content-length`, the signature fails
//!   here, because a signed header is missing.) Two equal `Content-Length` become one; different
//!   ones are refused by hyper.
//! - a fragment (`/path#x`) is cut off by `http::Uri`. What is left is what is verified, decided,
//!   signed and sent.
//! - header folding, a space before the colon, bare CR, NUL and other control characters (but
//!   TAB), a Transfer-Encoding that does not end in chunked or comes with HTTP/1.0: refused by
//!   hyper with 400.
//! - over h2, connection headers, a `:path` that is empty, and bad pseudo headers: refused by h2.

use http::{HeaderMap, HeaderName, Method, Version, header, request::Parts};

use crate::prim::HostName;

/// Why a head is refused at the level of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Neither HTTP/1.1 nor HTTP/2.
    #[error("HTTP/1.1 or HTTP/2 is required")]
    Version,
    /// CONNECT, TRACE, OPTIONS or an invention.
    #[error("the method {0} is not used by AWS APIs")]
    Method(String),
    /// The request target is not a path.
    #[error("the request target must be a path: absolute-form and * are refused")]
    TargetForm,
    /// The path has characters that RFC 3986 does not allow, or a broken percent-encoding.
    #[error("the path is not valid: {0}")]
    Path(&'static str),
    /// No host at all.
    #[error("the request names no host")]
    NoHost,
    /// The host is not a plain DNS name on port 443.
    #[error("the host of the request is not a DNS name on port 443")]
    BadHost,
    /// Host, `:authority` and the TLS server name are not all the same.
    #[error("the request is for {host}, but the TLS connection is for {sni}")]
    HostMismatch {
        /// What the head says.
        host: String,
        /// What the TLS ClientHello said.
        sni: String,
    },
    /// A header that must be single is there twice.
    #[error("the header {0} is there more than once")]
    DuplicateHeader(String),
    /// A value has control characters or is not UTF-8.
    #[error("the value of the header {0} is not plain text")]
    HeaderValue(String),
    /// Both ways to give the length of a body.
    #[error("both Content-Length and Transfer-Encoding are given")]
    TwoLengths,
    /// A transfer coding other than `chunked`, or a length that is not a number.
    #[error("the framing of the body is not valid")]
    Framing,
    /// A header that changes what the request is.
    #[error("the header {0} is refused")]
    RefusedHeader(&'static str),
}

/// Checks the head and returns its host, which equals `sni`.
pub(super) fn check(parts: &Parts, sni: &HostName) -> Result<HostName, HeadError> {
    if !matches!(parts.version, Version::HTTP_11 | Version::HTTP_2) {
        return Err(HeadError::Version);
    }
    method(&parts.method)?;
    target(parts)?;
    headers(&parts.headers)?;
    framing(&parts.headers)?;
    let host = host(parts)?;
    if host != *sni {
        return Err(HeadError::HostMismatch { host: host.to_string(), sni: sni.to_string() });
    }
    Ok(host)
}

fn method(method: &Method) -> Result<(), HeadError> {
    match *method {
        Method::GET | Method::HEAD | Method::PUT | Method::POST | Method::DELETE | Method::PATCH => Ok(()),
        _ => Err(HeadError::Method(method.as_str().chars().take(20).collect())),
    }
}

/// HTTP/1.1 must use the origin form; in HTTP/2 scheme and authority are pseudo headers.
fn target(parts: &Parts) -> Result<(), HeadError> {
    let uri = &parts.uri;
    let http1 = parts.version == Version::HTTP_11;
    if http1 && (uri.authority().is_some() || uri.scheme().is_some()) {
        return Err(HeadError::TargetForm);
    }
    if uri.scheme().is_some_and(|scheme| *scheme != http::uri::Scheme::HTTPS) {
        return Err(HeadError::TargetForm);
    }
    let path = uri.path();
    if !path.starts_with('/') {
        return Err(HeadError::TargetForm);
    }
    if !path.bytes().all(|byte| is_pchar(byte) || byte == b'/' || byte == b'%') {
        return Err(HeadError::Path("it has characters that must be percent-encoded"));
    }
    if !percent_encoding_is_whole(path) {
        return Err(HeadError::Path("a percent-encoding is broken"));
    }
    match percent_encoding::percent_decode_str(path).decode_utf8() {
        Ok(text) if text.contains('\0') => Err(HeadError::Path("it contains a NUL")),
        Ok(_) => Ok(()),
        Err(_) => Err(HeadError::Path("it is not UTF-8")),
    }
}

/// `pchar` of RFC 3986 section 3.3, without percent-encodings.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(super) fn percent_encoding_is_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        let mut is_hex = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        is_hex() && is_hex()
    })
}

/// Headers besides `x-amz-*` of which there may be only one.
const SINGLE: [HeaderName; 11] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::DATE,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("content-md5"),
];

/// List-valued `x-amz-*` headers, which some SDKs write as several lines.
const LISTS: [&str; 2] = ["x-amz-object-attributes", "x-amz-optional-object-attributes"];

/// Headers that some servers let replace the request line or the connection.
const REFUSED: [&str; 6] = [
    "upgrade",
    "http2-settings",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
];

/// What `Connection` may name. Any other header named there would have to be dropped before
/// forwarding (RFC 9110 section 7.6.1), after policy has seen it.
const CONNECTION_OPTIONS: [&str; 5] = ["close", "keep-alive", "te", "trailer", ""];

fn headers(headers: &HeaderMap) -> Result<(), HeadError> {
    for name in headers.keys() {
        let amz = name.as_str().starts_with("x-amz-") && !LISTS.contains(&name.as_str());
        let single = amz || name == "smithy-protocol" || SINGLE.contains(name);
        if single && headers.get_all(name).iter().nth(1).is_some() {
            return Err(HeadError::DuplicateHeader(name.to_string()));
        }
    }
    for (name, value) in headers {
        let plain =
            std::str::from_utf8(value.as_bytes()).is_ok_and(|text| !text.chars().any(char::is_control));
        if !plain {
            return Err(HeadError::HeaderValue(name.to_string()));
        }
    }
    for named in
        headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','))
    {
        let named = named.trim_ascii();
        if !CONNECTION_OPTIONS.iter().any(|option| named.eq_ignore_ascii_case(option.as_bytes())) {
            return Err(HeadError::RefusedHeader("connection"));
        }
    }
    match REFUSED.iter().find(|name| headers.contains_key(**name)) {
        Some(name) => Err(HeadError::RefusedHeader(name)),
        None => Ok(()),
    }
}

fn framing(headers: &HeaderMap) -> Result<(), HeadError> {
    let length = headers.get(header::CONTENT_LENGTH);
    let coding = headers.get(header::TRANSFER_ENCODING);
    match (length, coding) {
        (Some(_), Some(_)) => Err(HeadError::TwoLengths),
        (Some(length), None) => {
            let digits = length.as_bytes();
            let number = !digits.is_empty() && digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit);
            if number { Ok(()) } else { Err(HeadError::Framing) }
        }
        (None, Some(coding)) if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Err(HeadError::Framing)
        }
        (None, _) => Ok(()),
    }
}

/// The host of the head: `Host` in HTTP/1.1; in HTTP/2 `:authority`, and `Host` only if it agrees.
fn host(parts: &Parts) -> Result<HostName, HeadError> {
    let from_header = match parts.headers.get(header::HOST) {
        Some(value) => Some(host_name(value.to_str().map_err(|_| HeadError::BadHost)?)?),
        None => None,
    };
    let from_authority = match parts.uri.authority() {
        Some(authority) => Some(host_name(authority.as_str())?),
        None => None,
    };
    match (from_header, from_authority) {
        (Some(header), Some(authority)) if header != authority => {
            Err(HeadError::HostMismatch { host: header.to_string(), sni: authority.to_string() })
        }
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(HeadError::NoHost),
    }
}

fn host_name(text: &str) -> Result<HostName, HeadError> {
    let name = text.strip_suffix(":443").unwrap_or(text);
    // A trailing dot names the same host but another canonical request.
    if name.ends_with('.') {
        return Err(HeadError::BadHost);
    }
    name.parse().map_err(|_| HeadError::BadHost)
}
