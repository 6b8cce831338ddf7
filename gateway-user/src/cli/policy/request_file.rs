//! A request from a file, as it was on the wire: signed anew, since nobody has the key it was signed
//! with.

use std::{fs, io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode,
    },
    sign::v4,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use time::OffsetDateTime;

use super::capture::Captured;
use crate::{identify::Placeholder, prim::HostName};

/// Bytes of a file.
const MAX_BYTES: u64 = 17 * 1024 * 1024;
/// Header fields of a request.
const MAX_FIELDS: usize = 100;

/// Reads a request and signs it with `placeholder`.
pub(super) fn read(path: &Path, placeholder: &Placeholder, now: OffsetDateTime) -> anyhow::Result<Captured> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("reading {}", path.display()))?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{} has more than {MAX_BYTES} bytes", path.display());
    }
    parse(&bytes, placeholder, now).with_context(|| path.display().to_string())
}

fn parse(bytes: &[u8], placeholder: &Placeholder, now: OffsetDateTime) -> anyhow::Result<Captured> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).context("this is no HTTP/1.1 request")? else {
        bail!("the request's head does not end with an empty line");
    };
    let body = Bytes::copy_from_slice(bytes.get(length..).unwrap_or_default());
    let (Some(method), Some(target)) = (head.method, head.path) else { bail!("there is no request line") };
    let field = |name: &str| {
        let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let host: HostName = field("host").context("there is no Host")?.parse()?;
    let (region, service) = scope(field("authorization").context("there is no Authorization")?)?;

    let mut request = Request::builder().method(method).uri(target);
    let mut kept = Vec::new();
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).context("a header field's name")?;
        if name == header::AUTHORIZATION || name == "x-amz-date" || name == "x-amz-security-token" {
            continue;
        }
        let value = HeaderValue::from_bytes(field.value).context("a header field's value")?;
        if let Ok(text) = value.to_str()
            && name != header::HOST
        {
            kept.push((name.to_string(), text.to_owned()));
        }
        request = request.header(name, value);
    }
    let uri = format!("https://{host}{target}");
    let announced = field("x-amz-content-sha256");
    for (name, value) in sign(method, uri, &kept, &body, announced, (&region, &service), placeholder, now)? {
        request = request.header(name, value);
    }
    let (head, ()) = request.body(()).context("the request")?.into_parts();
    Ok(Captured { head, host, body })
}

/// Region and service of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn scope(authorization: &str) -> anyhow::Result<(String, String)> {
    let scope = authorization.split_once("Credential=").map(|(_, rest)| rest.split([',', ' ']).next());
    let parts: Vec<&str> = scope.flatten().unwrap_or_default().split('/').collect();
    match parts.as_slice() {
        [_, _, region, service, "aws4_request"] => Ok(((*region).to_owned(), (*service).to_owned())),
        _ => bail!("the Authorization names no region and service"),
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request")]
fn sign(
    method: &str,
    uri: String,
    headers: &[(String, String)],
    body: &Bytes,
    announced: Option<&str>,
    (region, service): (&str, &str),
    placeholder: &Placeholder,
    now: OffsetDateTime,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = SigningSettings::default();
    if service.starts_with("s3") {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    if announced.is_some() {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let payload = match announced {
        Some(mode) => SignableBody::Precomputed(mode.to_owned()),
        None => SignableBody::Bytes(body),
    };
    let token = Some(placeholder.session_token.expose().to_owned());
    let identity =
        Credentials::new(&placeholder.access_key_id, placeholder.secret.expose(), token, None, "chaperone")
            .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now.into())
        .settings(settings)
        .build()?
        .into();
    let headers = headers
        .iter()
        .filter(|(name, _)| name != "x-amz-content-sha256")
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new(method, uri, headers, payload)?;
    let (instructions, _) = aws_sigv4::http_request::sign(signable, &params)?.into_parts();
    Ok(instructions
        .headers()
        .filter(|(name, _)| *name != "x-amz-content-sha256")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_an_authorization() {
        let scope = |text: &str| scope(text).ok();
        let whole = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(scope(whole), Some(("eu-central-1".to_owned(), "s3".to_owned())));
        for bad in ["", "Basic x", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/s3/aws4_request"] {
            assert_eq!(scope(bad), None, "{bad}");
        }
    }
}
