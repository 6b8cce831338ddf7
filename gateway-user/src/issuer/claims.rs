//! What a token says, and whether that is for us, by the right issuer, and for now.
//!
//! RFC 7519 §4.1, OpenID Connect Core 1.0 §3.1.3.7. `jsonwebtoken` has a check of claims, too; it reads the system's
//! clock and takes a list for `iss`, so it is not used.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use super::{Claim, Claims, Config, TokenDigest, TokenError, config::steps};

/// Characters of a subject.
const SUBJECT_MAX: usize = 256;
const GROUPS_MAX: usize = 256;
/// Characters of a group.
const GROUP_MAX: usize = 256;
/// Bytes of a claim shown to policy.
const ATTRIBUTE_MAX: usize = 1024;

/// Reads and checks a payload. Nothing of it may be used before the signature is checked.
pub(super) fn read(
    payload: &Map<String, Value>,
    digest: TokenDigest,
    config: &Config,
    now: OffsetDateTime,
) -> Result<Claims, TokenError> {
    check_issuer(payload, config)?;
    check_audience(payload, config)?;
    let (issued, expires) = check_times(payload, config, now)?;
    Ok(Claims {
        issuer: config.name.clone(),
        subject: subject(payload)?,
        groups: groups(payload, config)?,
        attributes: attributes(payload, config)?,
        issued,
        expires,
        digest,
    })
}

fn check_issuer(payload: &Map<String, Value>, config: &Config) -> Result<(), TokenError> {
    let iss = payload.get("iss").ok_or(TokenError::Missing(Claim::Iss))?;
    let iss = iss.as_str().ok_or(TokenError::Bad(Claim::Iss))?;
    if iss == config.url { Ok(()) } else { Err(TokenError::WrongIssuer) }
}

/// One text or a list of texts; one of them is ours.
fn check_audience(payload: &Map<String, Value>, config: &Config) -> Result<(), TokenError> {
    let ours = |aud: &str| config.audiences.iter().any(|audience| audience == aud);
    let for_us = match payload.get("aud").ok_or(TokenError::Missing(Claim::Aud))? {
        Value::String(aud) => ours(aud),
        Value::Array(list) => list.iter().try_fold(false, |found, aud| {
            aud.as_str().map(|aud| found || ours(aud)).ok_or(TokenError::Bad(Claim::Aud))
        })?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(TokenError::Bad(Claim::Aud));
        }
    };
    if for_us { Ok(()) } else { Err(TokenError::WrongAudience) }
}

/// `iat` and `exp`.
fn check_times(
    payload: &Map<String, Value>,
    config: &Config,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), TokenError> {
    let expires = date(payload, Claim::Exp)?.ok_or(TokenError::Missing(Claim::Exp))?;
    let issued = date(payload, Claim::Iat)?.ok_or(TokenError::Missing(Claim::Iat))?;
    let from = date(payload, Claim::Nbf)?;
    let skew = seconds(config.skew_secs);
    if expires.saturating_add(skew) <= now {
        return Err(TokenError::Expired);
    }
    let latest = now.saturating_add(skew);
    if from.is_some_and(|from| from > latest) {
        return Err(TokenError::NotYetValid);
    }
    if issued > latest {
        return Err(TokenError::IssuedInFuture);
    }
    if expires <= issued {
        return Err(TokenError::NeverValid);
    }
    if expires - issued > seconds(config.max_lifetime_secs) {
        return Err(TokenError::Lifetime(std::time::Duration::from_secs(config.max_lifetime_secs)));
    }
    Ok((issued, expires))
}

fn seconds(count: u64) -> Duration {
    i64::try_from(count).map_or(Duration::MAX, Duration::seconds)
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, which may have a fraction. Before that and after the year 9999
/// no token is issued.
fn date(payload: &Map<String, Value>, claim: Claim) -> Result<Option<OffsetDateTime>, TokenError> {
    let Some(value) = payload.get(claim.name()) else { return Ok(None) };
    let since = match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Some(Duration::seconds(whole)),
            None => number.as_f64().and_then(Duration::checked_seconds_f64),
        },
        _ => None,
    };
    since
        .filter(|since| !since.is_negative())
        .and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since))
        .map(Some)
        .ok_or(TokenError::Bad(claim))
}

fn subject(payload: &Map<String, Value>) -> Result<String, TokenError> {
    let sub = payload.get("sub").ok_or(TokenError::Missing(Claim::Sub))?;
    let sub = sub.as_str().ok_or(TokenError::Bad(Claim::Sub))?;
    if is_name(sub, SUBJECT_MAX) { Ok(sub.to_owned()) } else { Err(TokenError::Bad(Claim::Sub)) }
}

/// Whether a text can stand for somebody: not empty, of at most `max` characters, none of them a control character.
fn is_name(text: &str, max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}

fn groups(payload: &Map<String, Value>, config: &Config) -> Result<Vec<String>, TokenError> {
    let Some(name) = &config.groups_claim else { return Ok(Vec::new()) };
    let list = match find(payload, name)? {
        Found::Absent => return Ok(Vec::new()),
        Found::Value(Value::Array(list)) => list.as_slice(),
        Found::Value(one @ Value::String(_)) => std::slice::from_ref(one),
        Found::Value(_) => return Err(TokenError::Groups("neither a text nor a list of texts")),
        Found::Unclear(detail) => return Err(TokenError::Groups(detail)),
    };
    if list.len() > GROUPS_MAX {
        return Err(TokenError::Groups("more than 256"));
    }
    let prefixed = |group: &Value| {
        let group = group.as_str().ok_or(TokenError::Groups("neither a text nor a list of texts"))?;
        if is_name(group, GROUP_MAX) {
            Ok(format!("{}{group}", config.groups_prefix))
        } else {
            Err(TokenError::Groups("a group has 1 to 256 characters and no control characters"))
        }
    };
    list.iter().map(prefixed).collect()
}

fn attributes(payload: &Map<String, Value>, config: &Config) -> Result<BTreeMap<String, String>, TokenError> {
    let mut attributes = BTreeMap::new();
    for name in &config.claims {
        let bad = |detail| TokenError::Attribute { name: name.clone(), detail };
        let text = match find(payload, name)? {
            Found::Absent => continue,
            Found::Value(value) => scalar(value).map_err(bad)?,
            Found::Unclear(detail) => return Err(bad(detail)),
        };
        if text.len() > ATTRIBUTE_MAX {
            return Err(bad("it has more than 1024 bytes"));
        }
        attributes.insert(name.clone(), text);
    }
    Ok(attributes)
}

/// The text of a value that has one.
fn scalar(value: &Value) -> Result<String, &'static str> {
    /// From here on not every whole number is a double, so two of them could have one text.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|n| n.abs() >= EXACT) => {
            Err("the number is too large")
        }
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Err("it is null"),
        Value::Array(_) => Err("it is a list"),
        Value::Object(_) => Err("it is an object"),
    }
}

/// What is at a configured name.
enum Found<'v> {
    Absent,
    Value(&'v Value),
    /// This is in the way.
    Unclear(&'static str),
}

fn find<'v>(payload: &'v Map<String, Value>, name: &str) -> Result<Found<'v>, TokenError> {
    let unusable = Ok(Found::Unclear("its configured name is none"));
    let Some(steps) = steps(name) else { return unusable };
    let Some((&first, steps)) = steps.split_first() else { return unusable };
    // Where a provider leaves out a list of groups because it is long, the subject has groups all the same.
    if payload.get("_claim_names").is_some_and(|names| names.get(first).is_some()) {
        return Err(TokenError::Elsewhere(name.to_owned()));
    }
    if first != name && payload.contains_key(name) {
        return Ok(Found::Unclear("a member has the whole name, although dots are a path"));
    }
    let Some(mut value) = payload.get(first) else { return Ok(Found::Absent) };
    for step in steps {
        let Value::Object(inner) = value else {
            return Ok(Found::Unclear("a part of its path is not an object"));
        };
        match inner.get(*step) {
            Some(next) => value = next,
            None => return Ok(Found::Absent),
        }
    }
    Ok(Found::Value(value))
}
