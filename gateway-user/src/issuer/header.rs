//! The header of a token: how it is signed, and nothing else.

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{TokenError, algorithm};

/// Characters of a key's id.
const KID_MAX: usize = 256;

/// Parameters that would name another key than the issuer's (RFC 7515 §4.1), change what is signed (RFC 7797) or
/// how the payload is read (RFC 7519 §5.2, RFC 7516 §4.1), each with its reason's word.
const REFUSED: &[(&str, &str)] = &[
    ("jku", "header-jku"),
    ("jwk", "header-jwk"),
    ("x5u", "header-x5u"),
    ("x5c", "header-x5c"),
    ("crit", "header-crit"),
    ("b64", "header-b64"),
    ("zip", "header-zip"),
    ("enc", "header-enc"),
    ("cty", "header-cty"),
];

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

impl Header {
    /// Reads it strictly. Parameters that are not known and not critical are passed over (RFC 7515 §4).
    pub(super) fn read(header: &Map<String, Value>) -> Result<Self, TokenError> {
        if let Some((_, word)) = REFUSED.iter().find(|(name, _)| header.contains_key(*name)) {
            return Err(TokenError::Header(word));
        }
        check_type(header.get("typ"))?;
        let algorithm =
            algorithm::named(header.get("alg").and_then(Value::as_str).ok_or(TokenError::NoAlgorithm)?)?;
        let kid = header.get("kid").map(|kid| {
            let kid = kid.as_str().ok_or(TokenError::KeyId)?;
            let ok = kid.chars().count() <= KID_MAX && !kid.chars().any(char::is_control);
            if ok { Ok(kid.to_owned()) } else { Err(TokenError::KeyId) }
        });
        Ok(Self { algorithm, kid: kid.transpose()? })
    }
}

/// A JWT (RFC 7519 §5.1), which a JWT-SVID may call "JOSE" (SPIFFE JWT-SVID §2.3), or a JWT access token (RFC 9068 §2.1):
/// other types mean other things (RFC 8725 §3.11).
fn check_type(typ: Option<&Value>) -> Result<(), TokenError> {
    let Some(typ) = typ else { return Ok(()) };
    let typ = typ.as_str().ok_or(TokenError::Type)?.to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "jwt" | "jose" | "at+jwt" => Ok(()),
        _ => Err(TokenError::Type),
    }
}
