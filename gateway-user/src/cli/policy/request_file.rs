//! A request from a file, as it was on the wire: signed anew, since nobody has the key it was signed
//! with.

use std::{fs, io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use time::OffsetDateTime;

use super::capture::Captured;
use crate::{
    credentials::Keys,
    identify::Placeholder,
    parse::{Endpoint, PayloadMode, Signable, Token},
    prim::HostName,
    sign::sign_head,
};

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
    // The daemon would read another body than this one.
    if field("transfer-encoding").is_some() {
        bail!("a body with Transfer-Encoding: write it plain, with Content-Length");
    }
    if let Some(length) = field("content-length")
        && length.parse() != Ok(body.len())
    {
        bail!("Content-Length says {length}, but {} bytes follow the head", body.len());
    }

    let mut request = Request::builder().method(method).uri(target);
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).context("a header field's name")?;
        if ![header::AUTHORIZATION.as_str(), "x-amz-date", "x-amz-security-token"].contains(&name.as_str()) {
            let value = HeaderValue::from_bytes(field.value).context("a header field's value")?;
            request = request.header(name, value);
        }
    }
    let (parts, ()) = request.body(()).context("the request")?.into_parts();
    let endpoint = Endpoint::read(&host)?;
    let payload = PayloadMode::read(&parts.headers, parts.uri.path(), &endpoint)?;
    let s3 = endpoint.signs_as_s3();
    let (region, body) = (region.parse()?, Some(body));
    let signable = Signable { parts, host, s3, region, service, token: Token::Security, payload, body };
    sign(signable, placeholder, now)
}

/// Signs with the placeholder as the gateway does with its keys.
fn sign(mut signable: Signable, placeholder: &Placeholder, now: OffsetDateTime) -> anyhow::Result<Captured> {
    let keys = Keys {
        access_key_id: placeholder.access_key_id.clone(),
        secret: placeholder.secret.clone(),
        session_token: Some(placeholder.session_token.clone()),
        expires: None,
    };
    sign_head(&mut signable, &keys, now)?;
    let Signable { parts: head, host, body, .. } = signable;
    Ok(Captured { head, host, body: body.unwrap_or_default() })
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
