//! An issuer's key set, and the one key that may prove a token.
//!
//! RFC 7517. The set is the only source of keys.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

use super::{
    FetchError, TokenError,
    algorithm::{self, Kind},
    json::{self, JsonError},
};

/// Keys of a set.
const KEYS_MAX: usize = 100;
/// Bits of an RSA modulus (RFC 7518 §3.3: at least 2048), and bytes of an exponent.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
const RSA_EXPONENT_BYTES: usize = 4;

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Those that are not used: their place in the set and why.
    pub(super) skipped: Vec<(usize, &'static str)>,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    kind: Kind,
    /// The only algorithm it is for, where it says so.
    algorithm: Option<Algorithm>,
    public: DecodingKey,
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5). Keys that are not usable here are left out.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FetchError> {
        let document = json::object(bytes).map_err(|error| {
            FetchError::KeySet(match error {
                JsonError::NotAnObject => "it is not a JSON object",
                JsonError::Twice(_) => "a name is there twice",
            })
        })?;
        let Some(Value::Array(list)) = document.get("keys") else {
            return Err(FetchError::KeySet("`keys` is not a list"));
        };
        if list.len() > KEYS_MAX {
            return Err(FetchError::KeySet("it has more than 100 keys"));
        }
        let mut set = Self::default();
        for (place, value) in list.iter().enumerate() {
            match Key::read(value) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.skipped.push((place, why)),
            }
        }
        Ok(set)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key that may prove a token with this header: the one with its id, or the only one that fits where the
    /// header has none.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&DecodingKey, TokenError> {
        let named = || self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(&key.public),
            (Some(_), Some(_)) => Err(TokenError::KeyAmbiguous),
            (None, _) if kid.is_some() && named().next().is_some() => Err(TokenError::KeyMismatch),
            (None, _) => Err(TokenError::UnknownKey),
        }
    }
}

impl Key {
    fn read(value: &Value) -> Result<Self, &'static str> {
        if value.get("d").is_some() {
            return Err("its private half is public");
        }
        let jwk: Jwk = serde_json::from_value(value.clone()).map_err(|_| "its type is not known")?;
        if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return Err("it is not for signatures");
        }
        if jwk.common.key_operations.as_ref().is_some_and(|can| !can.contains(&KeyOperations::Verify)) {
            return Err("it is not for verifying");
        }
        let kind = kind(&jwk)?;
        // Read from the text: the crate has one value for all names that it does not know.
        let algorithm = match value.get("alg") {
            None => None,
            Some(Value::String(name)) => {
                Some(algorithm::named(name).map_err(|_| "its algorithm is not used")?)
            }
            Some(_) => return Err("its algorithm is not a text"),
        };
        if algorithm.is_some_and(|algorithm| Kind::of(algorithm) != Some(kind)) {
            return Err("its type and its algorithm do not agree");
        }
        let public = DecodingKey::from_jwk(&jwk).map_err(|_| "its numbers are not base64url")?;
        check_public(kind, &public)?;
        Ok(Self { kid: jwk.common.key_id, kind, algorithm, public })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        Kind::of(algorithm) == Some(self.kind) && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

fn kind(jwk: &Jwk) -> Result<Kind, &'static str> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Ok(Kind::Rsa),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Ok(Kind::P256),
            EllipticCurve::P384 => Ok(Kind::P384),
            EllipticCurve::P521 | EllipticCurve::Ed25519 => Err("its curve is not used"),
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => Ok(Kind::Ed25519),
            EllipticCurve::P256 | EllipticCurve::P384 | EllipticCurve::P521 => Err("its curve is not used"),
        },
        AlgorithmParameters::OctetKey(_) => Err("it is a shared secret"),
    }
}

/// Whether the numbers are a key: long enough, and on the curve.
fn check_public(kind: Kind, public: &DecodingKey) -> Result<(), &'static str> {
    let off_curve = "it is not a point of its curve";
    match (kind, public.kind()) {
        (Kind::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            if !RSA_BITS.contains(&bits(n)) {
                return Err("its RSA modulus has less than 2048 or more than 8192 bits");
            }
            let odd = e.last().is_some_and(|last| last % 2 == 1);
            if !odd || bits(e) < 2 || bits(e) > RSA_EXPONENT_BYTES * 8 {
                return Err("its RSA exponent is not usable");
            }
            Ok(())
        }
        (Kind::P256, DecodingKeyKind::SecretOrDer(point)) => {
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map(drop).map_err(|_| off_curve)
        }
        (Kind::P384, DecodingKeyKind::SecretOrDer(point)) => {
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).map(drop).map_err(|_| off_curve)
        }
        (Kind::Ed25519, DecodingKeyKind::SecretOrDer(point)) => {
            ParsedPublicKey::new(&ED25519, point).map(drop).map_err(|_| off_curve)
        }
        _ => Err("its type is not known"),
    }
}

/// The bits of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).and_then(|first| number.get(first..));
    let Some([first, rest @ ..]) = significant else { return 0 };
    let in_first = 8_usize.saturating_sub(first.leading_zeros() as usize);
    rest.len() * 8 + in_first
}
