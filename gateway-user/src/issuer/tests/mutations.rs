//! No token is believed that differs from a good one in any byte.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static GOOD: LazyLock<(KeySet, Vec<String>)> = LazyLock::new(|| {
    let signers = [Signer::rsa("rsa", "RS256"), Signer::ec("ec", "ES256"), Signer::ed("ed")];
    let keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    (set(&keys), signers.iter().map(|signer| signer.token(&payload())).collect())
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_byte(which in 0..3_usize, at in any::<prop::sample::Index>(), change in 1..128_u8) {
        let (keys, tokens) = &*GOOD;
        let mut bytes = tokens[which].clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let token = String::from_utf8(bytes).unwrap();
        prop_assert!(verify_with(&tokens[which], &config(), keys).is_ok());
        prop_assert!(verify_with(&token, &config(), keys).is_err(), "{}", token);
    }

    #[test]
    fn a_byte_more_or_less(which in 0..3_usize, at in any::<prop::sample::Index>(), more in 0..128_u8) {
        let (keys, tokens) = &*GOOD;
        let mut token = tokens[which].clone();
        let at = at.index(token.len());
        token.remove(at);
        prop_assert!(verify_with(&token, &config(), keys).is_err(), "{}", token);
        let mut token = tokens[which].clone();
        token.insert(at, char::from(more));
        prop_assert!(verify_with(&token, &config(), keys).is_err(), "{}", token);
    }

    /// Whatever the claims are: no panic, and what is believed is within its bounds.
    #[test]
    fn numbers_that_are_dates(exp in any::<f64>(), iat in any::<f64>(), nbf in any::<i64>()) {
        let payload = json!({ "iss": URL, "aud": "chaperone", "sub": "s", "exp": exp, "iat": iat, "nbf": nbf });
        if let Ok(claims) = claims_of(&payload, &config()) {
            prop_assert!(claims.issued < claims.expires);
        }
    }
}
