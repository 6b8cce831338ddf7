//! The `Authorization` header of Signature Version 4, and every other way to sign, refused by name;
//! `presigned` reads the one that is not.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use http::{HeaderMap, header};

use super::{presigned, query::Query};
use crate::prim::Region;

/// Why a request is not signed in the one way that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// No signature at all.
    #[error("the request is not signed; unsigned (anonymous) requests are refused")]
    Unsigned,
    /// Two Authorization headers.
    #[error("there is more than one Authorization header")]
    Duplicate,
    /// A parameter of a presigned URL is missing, unknown or not well formed.
    #[error("the presigned URL is refused for its parameter {parameter}: {why}")]
    Presigned {
        /// Its name.
        parameter: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A URL presigned by Signature Version 2 (`AWSAccessKeyId`, `Signature`, `Expires`).
    #[error(
        "URLs presigned by Signature Version 2 are not supported; configure the SDK for Signature Version 4 \
         (boto3: signature_version \"s3v4\")"
    )]
    SigV2,
    /// Signed in the header and in the query string.
    #[error("the request is signed twice: in the Authorization header and in the query string")]
    DoublySigned,
    /// Signature Version 4A (several regions).
    #[error("Signature Version 4A is not supported")]
    SigV4a,
    /// Some other scheme: Signature Version 2, Bearer, Basic …
    #[error("only AWS4-HMAC-SHA256 signatures are accepted")]
    Scheme,
    /// AWS4-HMAC-SHA256, but not well formed.
    #[error("the Authorization header is not well formed: {0}")]
    Malformed(&'static str),
    /// SignedHeaders names a header that the request does not have.
    #[error("the signature covers the header {0}, which the request does not have")]
    SignedHeaderMissing(String),
    /// A header with a meaning for AWS is not covered by the signature.
    #[error("the signature must cover the header {0}")]
    HeaderNotSigned(String),
    /// No `x-amz-date`, or not of the form `20150830T123600Z`.
    #[error("x-amz-date is missing or not of the form 20150830T123600Z")]
    Date,
}

/// What a well-formed signature says, together with the date it belongs to; not verified.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    access_key_id: String,
    date: String,
    region: Region,
    service: String,
    signed_headers: Vec<String>,
    signature: [u8; 32],
    timestamp: String,
}

impl Authorization {
    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }
    /// The scope's date, `YYYYMMDD`.
    pub(super) fn date(&self) -> &str {
        &self.date
    }
    pub(super) fn region(&self) -> &Region {
        &self.region
    }
    pub(super) fn service(&self) -> &str {
        &self.service
    }
    /// Lower case, sorted, each present in the request.
    pub(super) fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }
    pub(super) fn signature(&self) -> &[u8; 32] {
        &self.signature
    }
    /// Region and service of the scope.
    pub(super) fn into_scope(self) -> (Region, String) {
        (self.region, self.service)
    }
    pub(super) fn into_signed_headers(self) -> Vec<String> {
        self.signed_headers
    }
    /// Whether the signature covers the header of this name.
    pub(super) fn signs(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == name)
    }
    /// `x-amz-date` or `X-Amz-Date`, of the form `20150830T123600Z`, on the scope's date.
    pub(super) fn timestamp(&self) -> &str {
        &self.timestamp
    }
}

/// `x-amz-*` headers that may be left unsigned: some services' SDKs add the token after signing,
/// and it is compared with the placeholder's anyway.
const MAY_BE_UNSIGNED: [&str; 1] = ["x-amz-security-token"];

/// What a signature says of itself, in whichever place.
pub(super) struct Claims<'a> {
    pub(super) credential: &'a str,
    pub(super) signed_headers: &'a str,
    pub(super) signature: &'a str,
    pub(super) timestamp: &'a str,
}

/// Where a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the `Authorization` header.
    Header,
    /// In the query string.
    Query,
}

impl Place {
    /// The one place; everything else is refused by name.
    pub(super) fn of(headers: &HeaderMap, query: &Query) -> Result<Self, AuthorizationError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let has = |known: &str| query.pairs().any(|(name, _)| name.eq_ignore_ascii_case(known));
        // Signature Version 2; without its key, `Signature` may be a parameter of the operation's.
        let v2 = has("AWSAccessKeyId");
        let in_query = v2 || has("Signature") || query.pairs().any(|(name, _)| presigned::is_amz(name));
        match (values.next(), values.next(), in_query) {
            (None, _, _) if v2 => Err(AuthorizationError::SigV2),
            (None, _, _) if presigned::is_presigned(query) => Ok(Self::Query),
            (None, _, _) => Err(AuthorizationError::Unsigned),
            (Some(_), _, true) => Err(AuthorizationError::DoublySigned),
            (Some(_), Some(_), false) => Err(AuthorizationError::Duplicate),
            (Some(_), None, false) => Ok(Self::Header),
        }
    }
}

impl Authorization {
    /// From the one `Authorization` header that [`Place::of`] has found.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, AuthorizationError> {
        let value = headers.get(header::AUTHORIZATION).ok_or(AuthorizationError::Unsigned)?;
        let value = value.to_str().map_err(|_| AuthorizationError::Malformed("it is not ASCII"))?;
        let (scheme, fields) = value.split_once(' ').unwrap_or((value, ""));
        match scheme {
            "AWS4-HMAC-SHA256" => {}
            "AWS4-ECDSA-P256-SHA256" => return Err(AuthorizationError::SigV4a),
            _ => return Err(AuthorizationError::Scheme),
        }
        let Fields { credential, signed_headers, signature } = Fields::read(fields)?;
        // The `Date` header that AWS takes in place of `x-amz-date` is not used by any SDK.
        let timestamp = headers.get("x-amz-date").and_then(|value| value.to_str().ok());
        let timestamp = timestamp.ok_or(AuthorizationError::Date)?;
        let authorization = Self::from_claims(&Claims { credential, signed_headers, signature, timestamp })?;
        authorization.check_coverage(headers)?;
        Ok(authorization)
    }

    /// From what a signature says of itself.
    pub(super) fn from_claims(claims: &Claims<'_>) -> Result<Self, AuthorizationError> {
        let timestamp = timestamp(claims.timestamp)?;
        let mut scope = claims.credential.split('/');
        let mut part =
            || scope.next().ok_or(AuthorizationError::Malformed("the credential scope is too short"));
        let (access_key_id, date, region, service, end) = (part()?, part()?, part()?, part()?, part()?);
        if scope.next().is_some() {
            return Err(AuthorizationError::Malformed("the credential scope is too long"));
        }
        if end != "aws4_request" {
            return Err(AuthorizationError::Malformed("the credential scope does not end in aws4_request"));
        }
        if !(1..=128).contains(&access_key_id.len())
            || !access_key_id.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return Err(AuthorizationError::Malformed("the access key id is not one"));
        }
        if timestamp.get(..8) != Some(date) {
            return Err(AuthorizationError::Malformed("the date of the scope is not that of x-amz-date"));
        }
        let service_ok = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if service.is_empty() || service.len() > 64 || !service.bytes().all(service_ok) {
            return Err(AuthorizationError::Malformed("the service of the scope is not one"));
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region
                .parse()
                .map_err(|_| AuthorizationError::Malformed("the region of the scope is not one"))?,
            service: service.to_owned(),
            signed_headers: signed_headers(claims.signed_headers)?,
            signature: signature(claims.signature)?,
            timestamp,
        })
    }

    /// Every signed header exists; host and every `x-amz-*` header are signed.
    ///
    /// AWS itself demands the second only for S3. Demanding it everywhere costs nothing (all SDKs
    /// sign all of them) and makes the digest that a permit is bound to cover everything that
    /// gives a request its meaning. Other unsigned headers are harmless: the gateway signs what it
    /// sends, and the head cannot change in between.
    pub(super) fn check_coverage(&self, headers: &HeaderMap) -> Result<(), AuthorizationError> {
        for name in &self.signed_headers {
            // Over HTTP/2 the host is in `:authority`; that there is one is already known.
            if name != "host" && !headers.contains_key(name) {
                return Err(AuthorizationError::SignedHeaderMissing(name.clone()));
            }
        }
        if !self.signs("host") {
            return Err(AuthorizationError::HeaderNotSigned("host".to_owned()));
        }
        let unsigned = headers
            .keys()
            .map(http::HeaderName::as_str)
            .find(|name| name.starts_with("x-amz-") && !MAY_BE_UNSIGNED.contains(name) && !self.signs(name));
        match unsigned {
            Some(name) => Err(AuthorizationError::HeaderNotSigned(name.to_owned())),
            None => Ok(()),
        }
    }
}

struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    /// `Credential=…, SignedHeaders=…, Signature=…`: each once, in any order.
    fn read(text: &'a str) -> Result<Self, AuthorizationError> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in text.split(',') {
            let (name, value) = field
                .trim_matches(' ')
                .split_once('=')
                .ok_or(AuthorizationError::Malformed("a field has no value"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(AuthorizationError::Malformed("an unknown field")),
            };
            if slot.replace(value).is_some() {
                return Err(AuthorizationError::Malformed("a field is there twice"));
            }
        }
        Ok(Self {
            credential: credential.ok_or(AuthorizationError::Malformed("Credential is missing"))?,
            signed_headers: signed_headers
                .ok_or(AuthorizationError::Malformed("SignedHeaders is missing"))?,
            signature: signature.ok_or(AuthorizationError::Malformed("Signature is missing"))?,
        })
    }
}

fn signed_headers(text: &str) -> Result<Vec<String>, AuthorizationError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let valid = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
    };
    if !names.iter().all(valid) {
        return Err(AuthorizationError::Malformed("a name in SignedHeaders is not one in lower case"));
    }
    if !names.is_sorted_by(|one, two| one < two) {
        return Err(AuthorizationError::Malformed("SignedHeaders is not sorted or names a header twice"));
    }
    Ok(names)
}

fn signature(text: &str) -> Result<[u8; 32], AuthorizationError> {
    let lower_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 32];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if lower_hex => Ok(bytes),
        _ => Err(AuthorizationError::Malformed("the signature is not 64 lower-case hexadecimal digits")),
    }
}

/// A date of the form `20150830T123600Z`.
fn timestamp(text: &str) -> Result<String, AuthorizationError> {
    let shape = b"00000000T000000Z";
    let fits = text.len() == shape.len()
        && text.bytes().zip(shape).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *shape,
        });
    if fits { Ok(text.to_owned()) } else { Err(AuthorizationError::Date) }
}
