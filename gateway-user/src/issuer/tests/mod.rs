mod cache;
mod claims;
mod discovery;
mod fuzzing;
mod hostile;
mod keys;
mod mutations;
mod server;
mod signer;
mod times;

use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use super::{jwk::KeySet, token::Unproven, *};
use crate::roots::testing::Ca;
use signer::Signer;

const URL: &str = "https://issuer.example";
const NOW: OffsetDateTime = datetime!(2026-01-01 0:30 UTC);

fn config() -> Config {
    Config::new("idp".parse().unwrap(), URL.to_owned(), vec!["chaperone".to_owned(), "other".to_owned()])
}

/// What a good token says.
fn payload() -> Value {
    let now = NOW.unix_timestamp();
    json!({ "iss": URL, "aud": "chaperone", "sub": "agent-7", "iat": now - 60, "exp": now + 600 })
}

/// The good payload with a member set, or removed where it is null.
fn with(name: &str, value: Value) -> Value {
    let mut payload = payload();
    let members = payload.as_object_mut().unwrap();
    members.remove(name);
    if !value.is_null() {
        members.insert(name.to_owned(), value);
    }
    payload
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn verify_with(token: &str, config: &Config, keys: &KeySet) -> Result<Claims, TokenError> {
    Unproven::read(token, config, NOW)?.prove(keys)
}

/// The claims of a payload, well signed, under this configuration.
fn claims_of(payload: &Value, config: &Config) -> Result<Claims, TokenError> {
    let signer = Signer::ed("ed");
    verify_with(&signer.token(payload), config, &set(&[signer.jwk()]))
}

#[track_caller]
fn refused(payload: &Value, config: &Config, reason: &str) {
    let error = claims_of(payload, config).expect_err(&payload.to_string());
    assert_eq!(error.reason(), reason, "{payload}: {error}");
}

#[test]
fn a_good_token_of_every_algorithm() {
    for signer in [
        Signer::rsa("k", "RS256"),
        Signer::rsa("k", "RS384"),
        Signer::rsa("k", "RS512"),
        Signer::rsa("k", "PS256"),
        Signer::rsa("k", "PS384"),
        Signer::rsa("k", "PS512"),
        Signer::ec("k", "ES256"),
        Signer::ec("k", "ES384"),
        Signer::ed("k"),
    ] {
        let token = signer.token(&payload());
        let claims = verify_with(&token, &config(), &set(&[signer.jwk()])).unwrap();
        assert_eq!(
            claims,
            Claims {
                issuer: "idp".parse().unwrap(),
                subject: "agent-7".to_owned(),
                groups: vec![],
                attributes: BTreeMap::new(),
                issued: NOW - time::Duration::seconds(60),
                expires: NOW + time::Duration::seconds(600),
                digest: TokenDigest::of(&token),
            },
            "{}",
            signer.algorithm
        );
    }
}

/// FIPS 180-4, the digest of "abc".
#[test]
fn the_digest_is_a_sha_256() {
    assert_eq!(
        TokenDigest::of("abc").to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

/// An admin may have it among an issuer's roots, because agents need it among theirs.
#[tokio::test]
async fn the_gateway_s_own_ca_vouches_for_no_issuer() {
    let server = server::Server::start(&[]).await;
    let (own, other) = (&server.ca, Ca::new());
    let get = async |own_ca: &CertificateDer<'_>, roots: &[CertificateDer<'static>]| {
        server.fetcher_of(own_ca, roots).get(&server.jwks_url()).await.map_err(|error| error.to_string())
    };
    for root in [own.certificate(), own.made_anew(), own.signed_by(&other)] {
        let roots = [root, other.certificate()];
        // It would vouch for this one.
        get(&other.certificate(), &roots).await.unwrap();
        let error = get(&own.certificate(), &roots).await.unwrap_err();
        assert!(error.ends_with("invalid peer certificate: UnknownIssuer"), "{error}");
    }
}

#[test]
fn issuers_that_cannot_be_used() {
    let error = |configs: &[Config]| Issuers::new(configs, Clock::system()).unwrap_err().to_string();
    let mut own_root = config();
    own_root.ca_file = Some("/nonexistent/ca.pem".into());
    assert!(error(&[own_root.clone()]).starts_with("issuer idp: ca_file /nonexistent/ca.pem: "));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, "").unwrap();
    own_root.ca_file = Some(file.clone());
    assert_eq!(
        error(&[own_root.clone()]),
        format!("issuer idp: ca_file {}: it contains no certificate", file.display())
    );
    std::fs::write(&file, Ca::new().pem()).unwrap();
    assert!(Issuers::new(&[own_root.clone()], Clock::system()).is_ok());
    assert_eq!(error(&[own_root.clone(), own_root.clone()]), "issuer idp is configured twice");
    own_root.url = "http://issuer.example".to_owned();
    assert_eq!(
        error(&[own_root]),
        "issuer idp: \"http://issuer.example\" is not an https URL without query and fragment"
    );
}
