//! What the fuzz target calls (`fuzz/`), with what must hold whatever it sends.
#![expect(clippy::panic, reason = "a broken promise is what fuzzers look for")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use time::{OffsetDateTime, macros::datetime};

use super::{Config, jwk::KeySet, token::Unproven};

/// The public half of a key that signed nothing but the seeds.
pub(super) const KEYS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"seed","alg":"EdDSA","x":"YXL08_-WHZlEU56tRpYtsCwb9M3mPePCT0lvqtafe-s"}]}"#;
/// The payload of the only token that it signed.
pub(super) const SIGNED: &str = r#"{"iss":"https://issuer.example","aud":"chaperone","sub":"seed","iat":1767225600,"exp":1767229200,"groups":["a","b"],"team":{"name":"x"}}"#;

/// When the tokens are looked at.
pub(super) const NOW: OffsetDateTime = datetime!(2026-01-01 0:30 UTC);

/// A token; or, where there is a line feed, a header and a payload in plain text, which no key has signed. Returns
/// whether the token was read.
///
/// # Panics
/// When a token is believed that was not signed, or what is read of one breaks a promise.
pub fn token(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Some(config) = config() else { return false };
    let made = text.split_once('\n').map(|(header, payload)| {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{payload}.AAAA")
    });
    let Ok(keys) = KeySet::read(KEYS) else { return false };
    let token = made.as_deref().unwrap_or(text);
    let Ok(unproven) = Unproven::read(token, &config, NOW) else { return false };
    let Ok(claims) = unproven.prove(&keys) else { return true };
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    if payload.as_deref() != Some(SIGNED.as_bytes()) {
        panic!("believed what nobody signed: {claims:?}");
    }
    if claims.subject != "seed" || claims.groups != ["seed:a", "seed:b"] {
        panic!("believed something else: {claims:?}");
    }
    true
}

/// What is asked of a token.
pub(super) fn config() -> Option<Config> {
    let name = "seed".parse().ok()?;
    let mut config = Config::new(name, "https://issuer.example".to_owned(), vec!["chaperone".to_owned()]);
    config.groups_claim = Some("groups".to_owned());
    config.groups_prefix = "seed:".to_owned();
    config.claims = vec!["team.name".to_owned(), "https://example.com/x.y".to_owned()];
    Some(config)
}
