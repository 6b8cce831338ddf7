//! The algorithms that are used, and the keys they need.
//!
//! RFC 7518 §3.1, RFC 8037 §3.1. Asymmetric ones only: the keys of an issuer are public, so whoever takes one for
//! a shared secret believes everybody (RFC 8725 §2.1).

use jsonwebtoken::Algorithm;

use super::TokenError;

/// The algorithm of this name.
pub(super) fn named(name: &str) -> Result<Algorithm, TokenError> {
    match name {
        "RS256" => Ok(Algorithm::RS256),
        "RS384" => Ok(Algorithm::RS384),
        "RS512" => Ok(Algorithm::RS512),
        "PS256" => Ok(Algorithm::PS256),
        "PS384" => Ok(Algorithm::PS384),
        "PS512" => Ok(Algorithm::PS512),
        "ES256" => Ok(Algorithm::ES256),
        "ES384" => Ok(Algorithm::ES384),
        "EdDSA" => Ok(Algorithm::EdDSA),
        none if none.eq_ignore_ascii_case("none") => Err(TokenError::AlgorithmNone),
        "HS256" | "HS384" | "HS512" => Err(TokenError::AlgorithmSymmetric),
        _ => Err(TokenError::AlgorithmUnknown),
    }
}

/// What a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    /// What the keys of an algorithm are made of; none for those that [`named`] does not know.
    pub(super) fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Some(Self::Rsa),
            Algorithm::ES256 => Some(Self::P256),
            Algorithm::ES384 => Some(Self::P384),
            Algorithm::EdDSA => Some(Self::Ed25519),
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => None,
        }
    }
}
