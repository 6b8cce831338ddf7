//! Keys that sign tokens, and the JWK of their public half.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(super) struct Signer {
    pub(super) kid: String,
    pub(super) algorithm: &'static str,
    private: Private,
}

enum Private {
    /// RSA keys take long to make: all tests share two.
    Rsa(&'static RsaKeyPair),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_key(keys: &'static OnceLock<RsaKeyPair>) -> Private {
    Private::Rsa(keys.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
}

impl Signer {
    pub(super) fn rsa(kid: &str, algorithm: &'static str) -> Self {
        static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
        Self { kid: kid.to_owned(), algorithm, private: rsa_key(&KEY) }
    }

    /// Another RSA key than [`Signer::rsa`]'s.
    pub(super) fn other_rsa(kid: &str, algorithm: &'static str) -> Self {
        static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
        Self { kid: kid.to_owned(), algorithm, private: rsa_key(&KEY) }
    }

    pub(super) fn ec(kid: &str, algorithm: &'static str) -> Self {
        let curve = match algorithm {
            "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let key = EcdsaKeyPair::generate(curve).unwrap();
        Self { kid: kid.to_owned(), algorithm, private: Private::Ec(Box::new(key)) }
    }

    pub(super) fn ed(kid: &str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        Self { kid: kid.to_owned(), algorithm: "EdDSA", private: Private::Ed(Box::new(key)) }
    }

    /// Its public half, with `alg`, `use` and `kid`.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.private {
            Private::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({ "kty": "RSA", "n": base64(public.n), "e": base64(public.e) })
            }
            Private::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point[1..].split_at(point.len() / 2);
                let curve = if self.algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) })
            }
            Private::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key().as_ref()) })
            }
        };
        jwk["alg"] = self.algorithm.into();
        jwk["use"] = "sig".into();
        jwk["kid"] = self.kid.clone().into();
        jwk
    }

    /// The public half as SubjectPublicKeyInfo, DER; of RSA keys.
    pub(super) fn public_der(&self) -> Vec<u8> {
        let Private::Rsa(key) = &self.private else { panic!("not an RSA key") };
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.kid })
    }

    /// A token with its own header.
    pub(super) fn token(&self, payload: &Value) -> String {
        self.sign(&self.header().to_string(), &payload.to_string())
    }

    /// A token of these very texts.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64(header), base64(payload));
        let signature = base64(self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match self.algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Private::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}
