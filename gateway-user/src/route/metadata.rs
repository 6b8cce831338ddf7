//! The metadata endpoint: what an SDK asks of EC2, ECS or EKS, answered with the session's
//! placeholder. *pure*
//!
//! Served as AWS documents it: IMDSv2 (EC2 user guide, "Use IMDSv2"; IMDSv1 is refused) and the
//! container credential provider (SDKs and tools reference, "Container credential provider").
//! The placeholder is worthless outside the session. IMDS requires its token all the same: a server
//! that an agent starts must not hand the session's rights to whoever makes it fetch a URL. The
//! container paths have no token to require: the agents' environment carries none.

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};
use serde::Serialize;
use time::{
    Duration, OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description,
};

use crate::{
    identify::{CredentialSource, Nobody, Placeholder, Session, WorkloadConfig},
    prim::{AccountId, Region, SessionId},
};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
/// The lifetimes of a token that IMDS accepts, in seconds: up to six hours.
const TTL_RANGE: std::ops::RangeInclusive<i64> = 1..=21_600;
/// How long the credentials claim to live: SDKs ask again in time, and get the same ones.
const CREDENTIAL_LIFE: Duration = Duration::hours(6);
/// How long those of nobody do: SDKs ask again before the next call, and get a session's as soon as there is one.
const NOBODYS_LIFE: Duration = Duration::minutes(5);

/// What there is to hand out.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Whom the endpoint's tokens are bound to.
    holder: SessionId,
    placeholder: &'a Placeholder,
    /// When the credentials end, where it is not for SDKs to ask again when they like.
    expires: Option<OffsetDateTime>,
    source: CredentialSource,
    region: Option<&'a Region>,
    account: Option<&'a AccountId>,
    role_arn: Option<&'a str>,
}

impl<'a> From<&'a Session> for Offer<'a> {
    fn from(session: &'a Session) -> Self {
        let workload = &session.workload;
        Self {
            holder: session.id,
            placeholder: &session.placeholder,
            // When a token lapses, the next session has another placeholder: SDKs must ask in time.
            expires: session.identity().expires,
            source: workload.credentials,
            region: workload.region.as_ref(),
            account: workload.account.as_ref(),
            role_arn: workload.role_arn.as_deref(),
        }
    }
}

impl<'a> Offer<'a> {
    /// For an agent whose identity is not accepted: keys of no session, so that its SDK makes the call and shows why it is
    /// refused. Of the workload it learns the region alone, without which no call is made.
    #[must_use]
    pub fn of_nobody(nobody: &'a Nobody, workload: &'a WorkloadConfig, now: OffsetDateTime) -> Self {
        Self {
            holder: nobody.id(),
            placeholder: nobody.placeholder(),
            expires: Some(now.saturating_add(NOBODYS_LIFE)),
            source: workload.credentials,
            region: workload.region.as_ref(),
            account: None,
            role_arn: None,
        }
    }
}

/// Answers one request to a metadata address.
///
/// `role_name` is the only role on offer, `token_key` any 32 secret bytes that stay the same while
/// the daemon runs. Tokens are stateless: an HMAC over the session and the expiry.
pub fn answer<'a>(
    request: &Parts,
    offer: impl Into<Offer<'a>>,
    role_name: &str,
    now: OffsetDateTime,
    token_key: &[u8],
) -> Response<Bytes> {
    let offer = &offer.into();
    let tokens = Tokens { key: hmac::Key::new(hmac::HMAC_SHA256, token_key), holder: offer.holder };
    respond(request, offer, role_name, now, &tokens).unwrap_or_else(Refusal::into_response)
}

fn respond(
    request: &Parts,
    offer: &Offer<'_>,
    role_name: &str,
    now: OffsetDateTime,
    tokens: &Tokens,
) -> Result<Response<Bytes>, Refusal> {
    let path = request.uri.path();
    // As IMDS does: a forwarded request comes through a proxy that somebody else may drive.
    if request.headers.contains_key("x-forwarded-for") {
        return Err(Refusal::Forwarded);
    }
    if path == "/latest/api/token" {
        allow(request, &[Method::PUT])?;
        return tokens.issue(&request.headers, now);
    }
    allow(request, &[Method::GET, Method::HEAD])?;
    if is_container_path(path) {
        if !has_role(offer) {
            return Err(Refusal::Unknown);
        }
        return json(&ContainerCredentials::of(offer, now));
    }
    let remaining = tokens.remaining(&request.headers, now)?;
    let mut response = instance(path, offer, role_name, now)?;
    response.headers_mut().insert(TTL, HeaderValue::from(remaining));
    Ok(response)
}

fn allow(request: &Parts, methods: &'static [Method]) -> Result<(), Refusal> {
    if methods.contains(&request.method) { Ok(()) } else { Err(Refusal::Method(methods)) }
}

/// ECS hands out `/v2/credentials/<id>`, EKS Pod Identity `/v1/credentials`. The network path
/// already tells the session, so id and `Authorization` decide nothing.
fn is_container_path(path: &str) -> bool {
    path == "/v1/credentials" || path == "/v2/credentials" || path.starts_with("/v2/credentials/")
}

/// The instance metadata that SDKs and tools read.
fn instance(
    path: &str,
    offer: &Offer<'_>,
    role_name: &str,
    now: OffsetDateTime,
) -> Result<Response<Bytes>, Refusal> {
    const ROLES: &str = "meta-data/iam/security-credentials";
    let path = path.strip_prefix("/latest/").ok_or(Refusal::Unknown)?;
    if !has_role(offer) && (path == "meta-data/iam" || path.starts_with("meta-data/iam/")) {
        return Err(Refusal::Unknown);
    }
    if let Some(role) = path.strip_prefix(ROLES) {
        return match role {
            "" | "/" => Ok(text(role_name.to_owned())),
            _ if role.strip_prefix('/') == Some(role_name) => json(&InstanceCredentials::of(offer, now)),
            _ => Err(Refusal::Unknown),
        };
    }
    let region = || offer.region.ok_or(Refusal::Unknown);
    // Some SDKs ask with a trailing slash.
    match path.strip_suffix('/').unwrap_or(path) {
        "meta-data" if !has_role(offer) => Ok(text("placement/".to_owned())),
        "meta-data" => Ok(text("iam/\nplacement/".to_owned())),
        "meta-data/iam" => Ok(text("security-credentials/".to_owned())),
        "meta-data/placement" => Ok(text("availability-zone\nregion".to_owned())),
        "meta-data/placement/region" => Ok(text(region()?.to_string())),
        "meta-data/placement/availability-zone" => Ok(text(availability_zone(region()?))),
        "dynamic/instance-identity/document" => json(&IdentityDocument::of(offer, region()?)),
        _ => Err(Refusal::Unknown),
    }
}

/// A workload with keys of its own has no role here, like an instance to which none was given.
fn has_role(offer: &Offer<'_>) -> bool {
    match offer.source {
        CredentialSource::Gateway | CredentialSource::WebIdentity => true,
        CredentialSource::Passthrough => false,
    }
}

/// SDKs that know only this path cut off the last letter to learn the region.
fn availability_zone(region: &Region) -> String {
    format!("{region}a")
}

/// IMDSv2 session tokens, valid for one session until their expiry.
struct Tokens {
    key: hmac::Key,
    holder: SessionId,
}

impl Tokens {
    fn issue(&self, headers: &HeaderMap, now: OffsetDateTime) -> Result<Response<Bytes>, Refusal> {
        let seconds: i64 = single(headers, TTL)
            .and_then(|value| value.parse().ok())
            .filter(|seconds| TTL_RANGE.contains(seconds))
            .ok_or(Refusal::TokenLife)?;
        let expiry = now.unix_timestamp().saturating_add(seconds).to_be_bytes();
        let tag = hmac::sign(&self.key, &self.signed(&expiry));
        let mut response = text(format!("{}{}", hex::encode(expiry), hex::encode(tag)));
        response.headers_mut().insert(TTL, HeaderValue::from(seconds));
        Ok(response)
    }

    /// The seconds left of the request's token.
    fn remaining(&self, headers: &HeaderMap, now: OffsetDateTime) -> Result<i64, Refusal> {
        if !headers.contains_key(TOKEN) {
            return Err(Refusal::TokenMissing);
        }
        let token = single(headers, TOKEN).and_then(|text| hex::decode(text).ok()).unwrap_or_default();
        let (expiry, tag) = token.split_first_chunk::<8>().ok_or(Refusal::TokenInvalid)?;
        // Constant time.
        hmac::verify(&self.key, &self.signed(expiry), tag).map_err(|_| Refusal::TokenInvalid)?;
        let left = i64::from_be_bytes(*expiry).saturating_sub(now.unix_timestamp());
        if left > 0 { Ok(left) } else { Err(Refusal::TokenInvalid) }
    }

    fn signed(&self, expiry: &[u8; 8]) -> Vec<u8> {
        [b"chaperone imds token\0", self.holder.to_string().as_bytes(), expiry].concat()
    }
}

/// The value of a header that occurs once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// `GET /latest/meta-data/iam/security-credentials/<role>`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceCredentials<'a> {
    code: &'static str,
    last_updated: String,
    r#type: &'static str,
    #[serde(flatten)]
    keys: Keys<'a>,
}

impl<'a> InstanceCredentials<'a> {
    fn of(offer: &Offer<'a>, now: OffsetDateTime) -> Self {
        let keys = Keys::of(offer, now);
        Self { code: "Success", last_updated: timestamp(now), r#type: "AWS-HMAC", keys }
    }
}

/// What the container credential provider answers; EKS adds the account, ECS the role.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerCredentials<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    #[serde(flatten)]
    keys: Keys<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

impl<'a> ContainerCredentials<'a> {
    fn of(offer: &Offer<'a>, now: OffsetDateTime) -> Self {
        Self {
            role_arn: offer.role_arn,
            keys: Keys::of(offer, now),
            account_id: offer.account.map(AsRef::as_ref),
        }
    }
}

/// The part that both protocols share.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
}

impl<'a> Keys<'a> {
    fn of(offer: &Offer<'a>, now: OffsetDateTime) -> Self {
        let placeholder = offer.placeholder;
        let life = now.saturating_add(CREDENTIAL_LIFE);
        let expires = offer.expires.map_or(life, |expires| expires.min(life));
        Self {
            access_key_id: &placeholder.access_key_id,
            secret_access_key: placeholder.secret.expose(),
            token: placeholder.session_token.expose(),
            expiration: timestamp(expires),
        }
    }
}

/// `GET /latest/dynamic/instance-identity/document`, the part of it that SDKs read. There is no
/// instance, so there is no instance id and no signature.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    region: &'a str,
    availability_zone: String,
    version: &'static str,
}

impl<'a> IdentityDocument<'a> {
    fn of(offer: &Offer<'a>, region: &'a Region) -> Self {
        Self {
            account_id: offer.account.map(AsRef::as_ref),
            region: region.as_str(),
            availability_zone: availability_zone(region),
            version: "2017-09-30",
        }
    }
}

/// ISO 8601 in UTC to the second: the only form that every SDK reads.
fn timestamp(time: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.to_offset(UtcOffset::UTC).format(FORMAT).unwrap_or_default()
}

/// Why a metadata request is refused.
#[derive(Debug)]
enum Refusal {
    Forwarded,
    TokenMissing,
    TokenInvalid,
    TokenLife,
    Unknown,
    Method(&'static [Method]),
    Unwritable,
}

impl Refusal {
    fn into_response(self) -> Response<Bytes> {
        let (status, message) = match &self {
            Self::Forwarded => {
                (StatusCode::FORBIDDEN, "requests with an X-Forwarded-For header are not answered")
            }
            Self::TokenMissing => (
                StatusCode::UNAUTHORIZED,
                "IMDSv1 is not served: PUT /latest/api/token with X-aws-ec2-metadata-token-ttl-seconds first",
            ),
            Self::TokenInvalid => (StatusCode::UNAUTHORIZED, "the metadata token is not valid, or expired"),
            Self::TokenLife => (
                StatusCode::BAD_REQUEST,
                "one X-aws-ec2-metadata-token-ttl-seconds header from 1 to 21600 is required",
            ),
            Self::Unknown => (StatusCode::NOT_FOUND, "no such metadata"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here"),
            Self::Unwritable => (StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written"),
        };
        let mut response = text(format!("{}: {message}\n", status.as_u16()));
        *response.status_mut() = status;
        if let Self::Method(methods) = self {
            let listed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            if let Ok(value) = HeaderValue::from_str(&listed) {
                response.headers_mut().insert(ALLOW, value);
            }
        }
        response
    }
}

fn text(body: String) -> Response<Bytes> {
    reply("text/plain", body.into())
}

fn json(value: &impl Serialize) -> Result<Response<Bytes>, Refusal> {
    let body = serde_json::to_vec_pretty(value).map_err(|_| Refusal::Unwritable)?;
    Ok(reply("application/json", body.into()))
}

fn reply(content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
