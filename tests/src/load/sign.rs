//! Signing as the SDKs do, with the SDKs' own signer.

use anyhow::Result;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode,
    },
    sign::v4,
};
use http::Request;
use time::OffsetDateTime;

use super::REGION;
use crate::upstream::Key;

/// What the signature says about the body.
#[derive(Debug, Clone, Copy)]
pub enum Coverage<'a> {
    /// It covers these bytes.
    Body(&'a [u8]),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
}

/// Signs a request that has its Host header and the path as URI.
///
/// # Errors
/// When a header is not text.
pub fn sign<B>(request: &mut Request<B>, service: &str, key: &Key, body: Coverage<'_>) -> Result<()> {
    sign_at(request, service, key, body, now())
}

/// The time of the system.
pub(super) fn now() -> OffsetDateTime {
    gateway_user::clock::Clock::system().now()
}

/// As [`sign`], at another time.
///
/// # Errors
/// As [`sign`].
pub(crate) fn sign_at<B>(
    request: &mut Request<B>,
    service: &str,
    key: &Key,
    body: Coverage<'_>,
    at: OffsetDateTime,
) -> Result<()> {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = Credentials::new(&key.id, &key.secret, key.session_token.clone(), None, "load").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(service)
        .time(at.into())
        .settings(settings)
        .build()?
        .into();
    let host = request.headers().get(http::header::HOST).map_or(Ok(""), |host| host.to_str())?;
    let uri = format!("https://{host}{}", request.uri());
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
        .collect::<Result<Vec<_>>>()?;
    let body = match body {
        Coverage::Body(bytes) => SignableBody::Bytes(bytes),
        Coverage::Unsigned => SignableBody::UnsignedPayload,
    };
    let signable = SignableRequest::new(request.method().as_str(), uri, headers.into_iter(), body)?;
    let (instructions, _) = aws_sigv4::http_request::sign(signable, &params)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}
