//! When a token is believed, to the second.

use super::*;

fn dated(iat: f64, exp: f64, nbf: Option<f64>) -> Value {
    let at = |seconds: f64| json!(1_767_227_400.0 + seconds);
    json!({
        "iss": URL, "aud": "chaperone", "sub": "s",
        "iat": at(iat), "exp": at(exp), "nbf": nbf.map_or(at(iat), at),
    })
}

#[track_caller]
fn check(iat: f64, exp: f64, nbf: Option<f64>, expected: Result<(), &str>) {
    let result = claims_of(&dated(iat, exp, nbf), &config()).map(drop).map_err(|error| error.reason());
    assert_eq!(result, expected, "iat {iat}, exp {exp}, nbf {nbf:?}");
}

/// The skew is 30 s. RFC 7519 §4.1.4: not accepted "on or after" the expiration time.
#[test]
fn at_the_edges_of_the_skew() {
    check(-60.0, -29.5, None, Ok(()));
    check(-60.0, -29.0, None, Ok(()));
    check(-60.0, -30.0, None, Err("expired"));
    check(-60.0, 600.0, Some(30.0), Ok(()));
    check(-60.0, 600.0, Some(30.5), Err("not-yet-valid"));
    check(30.0, 600.0, Some(0.0), Ok(()));
    check(30.5, 600.0, Some(0.0), Err("issued-in-future"));
    check(20.0, 10.0, Some(0.0), Err("never-valid"));
    check(20.0, 20.0, Some(0.0), Err("never-valid"));
}

#[test]
fn at_the_edge_of_the_lifetime() {
    check(-60.0, 86_340.0, None, Ok(()));
    check(-60.0, 86_340.5, None, Err("lifetime-too-long"));
    check(-60.0, 30.0 * 86_400.0, None, Err("lifetime-too-long"));
}

#[test]
fn without_skew() {
    let mut config = config();
    config.skew_secs = 0;
    assert!(claims_of(&dated(0.0, 0.5, None), &config).is_ok());
    refused(&dated(-60.0, 0.0, None), &config, "expired");
    refused(&dated(0.5, 60.0, None), &config, "not-yet-valid");
}

#[test]
fn fractions_are_kept() {
    let claims = claims_of(&dated(-1.5, 10.25, None), &config()).unwrap();
    assert_eq!(claims.issued, NOW - time::Duration::milliseconds(1500));
    assert_eq!(claims.expires, NOW + time::Duration::milliseconds(10_250));
}
