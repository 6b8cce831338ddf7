//! Signature Version 4 in the `Authorization` header, by the AWS SDK's own signer.

use std::borrow::Cow;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode,
    },
    sign::v4,
};
use http::HeaderValue;
use time::OffsetDateTime;

use super::SignError;
use crate::{
    credentials::Keys,
    parse::{PayloadMode, Signable},
};

/// Signs a prepared head in place.
///
/// # Errors
/// [`SignError::Signing`], [`SignError::Body`].
pub(crate) fn apply(signable: &mut Signable, keys: &Keys, now: OffsetDateTime) -> Result<(), SignError> {
    let failed = |error: &dyn std::fmt::Display| SignError::Signing(error.to_string());
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let identity =
        Credentials::new(&keys.access_key_id, keys.secret.expose(), token, None, "chaperone").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signable.region.as_str())
        .name(&signable.service)
        .time(now.into())
        .settings(settings(signable))
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let instructions = {
        // `parse` has made sure that every value is UTF-8.
        let headers =
            signable.parts.headers.iter().filter_map(|(name, value)| {
                Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?))
            });
        let uri = signable.parts.uri.to_string();
        let request =
            SignableRequest::new(signable.parts.method.as_str(), uri, headers, signable_body(signable)?)
                .map_err(|error| failed(&error))?;
        aws_sigv4::http_request::sign(request, &params).map_err(|error| failed(&error))?.into_parts().0
    };
    for header in instructions.into_parts().0 {
        let mut value = HeaderValue::from_str(header.value()).map_err(|error| failed(&error))?;
        value.set_sensitive(header.sensitive());
        signable.parts.headers.insert(header.name(), value);
    }
    Ok(())
}

/// Headers left out of the signature: what proxies and HTTP clients may change, and what SDKs
/// leave out themselves.
const UNSIGNED: [&str; 12] = [
    "accept",
    "accept-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "cache-control",
    "content-length",
    "from",
    "pragma",
    "referer",
    "user-agent",
    "x-amzn-trace-id",
    "x-forwarded-for",
];

fn settings(signable: &Signable) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.excluded_headers = Some(UNSIGNED.map(Cow::Borrowed).to_vec());
    if signable.s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings.session_token_name_override = Some(signable.token.header());
    // S3 requires x-amz-content-sha256; elsewhere it stays if the agent's SDK sent it.
    if signable.s3 || signable.payload != PayloadMode::Absent {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

fn signable_body(signable: &Signable) -> Result<SignableBody<'_>, SignError> {
    match (&signable.payload, &signable.body) {
        (PayloadMode::Hash(hash), _) => Ok(SignableBody::Precomputed(hash.clone())),
        (PayloadMode::Absent, Some(bytes)) => Ok(SignableBody::Bytes(bytes)),
        (PayloadMode::Absent, None) => Err(SignError::Body),
        (PayloadMode::Unsigned, _) => Ok(SignableBody::UnsignedPayload),
        // `parse` verifies none of these: the signatures of the chunks follow from the agent's.
        (PayloadMode::SignedChunks(_), _) => Err(SignError::Body),
        (PayloadMode::StreamingUnsignedTrailer, _) => Ok(SignableBody::StreamingUnsignedPayloadTrailer),
    }
}
