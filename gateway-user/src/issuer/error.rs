//! Why a token is not believed, why keys are not there, why an issuer cannot be used at all.

use std::{fmt, path::PathBuf, time::Duration};

use crate::prim::IssuerName;

/// Why the configured issuers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Two issuers have one name.
    #[error("issuer {0} is configured twice")]
    Twice(IssuerName),
    /// Its URL is none that could be asked.
    #[error("issuer {name}: {url:?} is not an https URL without query and fragment")]
    Url {
        /// The issuer.
        name: IssuerName,
        /// What is configured.
        url: String,
    },
    /// The file with its roots is unusable.
    #[error("issuer {name}: ca_file {path}: {detail}")]
    CaFile {
        /// The issuer.
        name: IssuerName,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Nobody vouches for it.
    #[error(
        "issuer {name}: neither the system nor ca_file has a root certificate besides the gateway's own CA: {detail}"
    )]
    NoRoots {
        /// The issuer.
        name: IssuerName,
        /// The system's words.
        detail: String,
    },
    /// TLS could not be set up.
    #[error("issuer {name}: TLS: {error}")]
    Tls {
        /// The issuer.
        name: IssuerName,
        /// rustls' words.
        error: rustls::Error,
    },
}

/// Why an issuer's keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer from {url}: {detail}")]
    Unreachable { url: String, detail: String },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("the answer of {url} broke off or has more than {max} bytes")]
    Body { url: String, max: usize },
    #[error("not done within {0:?}")]
    Timeout(Duration),
    #[error("the discovery document is not usable: {0}")]
    Discovery(&'static str),
    #[error("the discovery document is of another issuer: {0:?}")]
    OtherIssuer(String),
    #[error("the key set is not usable: {0}")]
    KeySet(&'static str),
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What says how it is signed.
    Header,
    /// What it says.
    Payload,
    /// What proves it.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// A registered claim that is checked (RFC 7519 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Issuer.
    Iss,
    /// Audience.
    Aud,
    /// Expiration time.
    Exp,
    /// Issued at.
    Iat,
    /// Not before.
    Nbf,
    /// Subject.
    Sub,
}

impl Claim {
    /// Its name in the payload.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iss => "iss",
            Self::Aud => "aud",
            Self::Exp => "exp",
            Self::Iat => "iat",
            Self::Nbf => "nbf",
            Self::Sub => "sub",
        }
    }
}

/// Why a token is not believed. No text of the token itself is in it, apart from names of members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No issuer of this name is configured.
    #[error("no issuer {0} is configured")]
    UnknownIssuer(IssuerName),
    /// There are no keys to check it with.
    #[error("the keys of issuer {0} cannot be fetched")]
    IssuerDown(IssuerName),
    /// It is too long to be looked at.
    #[error("the token has {bytes} bytes; at most {max} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Not `header.payload.signature`.
    #[error("a token has three parts, not {0}")]
    Parts(usize),
    /// A JWE (RFC 7516), which nobody but its addressee reads.
    #[error("the token is encrypted")]
    Encrypted,
    /// A part is not base64url without padding, in its one spelling.
    #[error("the token's {0} is not base64url without padding")]
    Encoding(Part),
    /// A part is not a JSON object.
    #[error("the token's {0} is not a JSON object")]
    Json(Part),
    /// A part names a member twice.
    #[error("the token's {part} has {name:?} twice")]
    Twice {
        /// Where.
        part: Part,
        /// The member, shortened.
        name: String,
    },
    /// There is no signature.
    #[error("the token is not signed")]
    Unsigned,
    /// The header has a parameter that would change what the token means or which key proves it; this is the
    /// reason's word, `header-` and the parameter.
    #[error("the token's header has `{}`", .0.trim_start_matches("header-"))]
    Header(&'static str),
    /// `typ` is neither of a JWT nor of an access token.
    #[error("the token's type is not JWT, JOSE or at+jwt")]
    Type,
    /// `alg` is missing or no text.
    #[error("the token names no algorithm")]
    NoAlgorithm,
    /// `alg` is "none", in any spelling.
    #[error("the token's algorithm is none")]
    AlgorithmNone,
    /// `alg` is one with a shared secret.
    #[error("the token's algorithm has a shared secret")]
    AlgorithmSymmetric,
    /// `alg` is one that is not used here.
    #[error("the token's algorithm is not known")]
    AlgorithmUnknown,
    /// `kid` is no text, too long, or has control characters.
    #[error("the token's key id is not usable")]
    KeyId,
    /// The issuer has no such key.
    #[error("the token's key is not among the issuer's")]
    UnknownKey,
    /// The key of this id is for another algorithm.
    #[error("the token's key is for another algorithm")]
    KeyMismatch,
    /// Several keys could be meant.
    #[error("the token does not say which of the issuer's keys proves it")]
    KeyAmbiguous,
    /// The signature is of another key or another token.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim that must be there is not.
    #[error("the token has no `{}`", .0.name())]
    Missing(Claim),
    /// A claim has a value it cannot have.
    #[error("the token's `{}` is not usable", .0.name())]
    Bad(Claim),
    /// `iss` is not the issuer's URL.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `exp` lies too far behind `iat`.
    #[error("the token is valid for longer than {} s", .0.as_secs())]
    Lifetime(Duration),
    /// `exp` is not after `iat`.
    #[error("the token expires before it is issued")]
    NeverValid,
    /// The groups are neither a text nor a list of texts, or a group cannot be one.
    #[error("the token's groups are not usable: {0}")]
    Groups(&'static str),
    /// A claim shown to policy is not usable.
    #[error("the token's claim {name:?} is not usable: {detail}")]
    Attribute {
        /// As configured.
        name: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A claim is kept elsewhere (OpenID Connect Core 1.0 §5.6.2): as if it were absent, it would be believed
    /// to be empty.
    #[error("the token's claim {0:?} is kept elsewhere")]
    Elsewhere(String),
}

impl TokenError {
    /// A fixed word for the event log: lower case and hyphens.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownIssuer(_) => "unknown-issuer",
            Self::IssuerDown(_) => "issuer-down",
            Self::TooLong { .. } => "token-too-long",
            Self::Parts(_) => "not-three-parts",
            Self::Encrypted => "encrypted",
            Self::Encoding(Part::Header) => "header-encoding",
            Self::Encoding(Part::Payload) => "payload-encoding",
            Self::Encoding(Part::Signature) => "signature-encoding",
            Self::Json(Part::Header) => "header-json",
            Self::Json(Part::Payload | Part::Signature) => "payload-json",
            Self::Twice { part: Part::Header, .. } => "header-duplicate",
            Self::Twice { part: Part::Payload | Part::Signature, .. } => "payload-duplicate",
            Self::Unsigned => "unsigned",
            Self::Header(word) => word,
            Self::Type => "wrong-type",
            Self::NoAlgorithm => "alg-missing",
            Self::AlgorithmNone => "alg-none",
            Self::AlgorithmSymmetric => "alg-symmetric",
            Self::AlgorithmUnknown => "alg-unknown",
            Self::KeyId => "bad-kid",
            Self::UnknownKey => "unknown-key",
            Self::KeyMismatch => "key-mismatch",
            Self::KeyAmbiguous => "key-ambiguous",
            Self::Signature => "bad-signature",
            Self::Missing(claim) => match claim {
                Claim::Iss => "missing-iss",
                Claim::Aud => "missing-aud",
                Claim::Exp => "missing-exp",
                Claim::Iat => "missing-iat",
                Claim::Nbf => "missing-nbf",
                Claim::Sub => "missing-sub",
            },
            Self::Bad(claim) => match claim {
                Claim::Iss => "bad-iss",
                Claim::Aud => "bad-aud",
                Claim::Exp => "bad-exp",
                Claim::Iat => "bad-iat",
                Claim::Nbf => "bad-nbf",
                Claim::Sub => "bad-sub",
            },
            Self::WrongIssuer => "wrong-issuer",
            Self::WrongAudience => "wrong-audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::IssuedInFuture => "issued-in-future",
            Self::Lifetime(_) => "lifetime-too-long",
            Self::NeverValid => "never-valid",
            Self::Groups(_) => "bad-groups",
            Self::Attribute { .. } => "bad-claim",
            Self::Elsewhere(_) => "claim-elsewhere",
        }
    }
}
