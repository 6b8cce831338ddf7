//! Key sets: what is used of them, and what is left out.

use super::*;

const P521: (&str, &str) = (
    "AZd8Ysi9TRIfn3LaXYJTBVzV5DfYNhlwlMpG2VBjhYLwb_6C0OkSddNrXWTLT4C_WeCepN_yKuQMiV2KWXadiYCK",
    "AJi_c2C2wgDjsj1TGCBkdGRGlPkUC4uKMkgYaWisTff6cf88FGvc5iWGNb17QLp5ZabS9TRFrnTR4kiYgM3SIQb6",
);

/// A key that is left out does not spoil the set, and is not used.
#[track_caller]
fn skipped(key: Value, why: &str) {
    let good = Signer::ed("good");
    let set = set(&[key.clone(), good.jwk()]);
    assert_eq!(set.skipped, [(0, why)], "{key}");
    assert_eq!(set.len(), 1);
    assert!(verify_with(&good.token(&payload()), &config(), &set).is_ok());
}

fn changed(signer: &Signer, name: &str, value: Value) -> Value {
    let mut jwk = signer.jwk();
    jwk[name] = value;
    jwk
}

fn without(signer: &Signer, name: &str) -> Value {
    let mut jwk = signer.jwk();
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

#[test]
fn keys_that_are_left_out() {
    let (rsa, ec, ed) = (Signer::rsa("k", "RS256"), Signer::ec("k", "ES256"), Signer::ed("k"));
    skipped(json!("key"), "its type is not known");
    skipped(json!({}), "its type is not known");
    skipped(json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }), "its type is not known");
    skipped(json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }), "it is a shared secret");
    skipped(changed(&rsa, "use", json!("enc")), "it is not for signatures");
    skipped(changed(&rsa, "key_ops", json!(["encrypt"])), "it is not for verifying");
    skipped(changed(&rsa, "alg", json!("RSA-OAEP")), "its algorithm is not used");
    skipped(changed(&rsa, "alg", json!("HS256")), "its algorithm is not used");
    skipped(changed(&rsa, "alg", json!("none")), "its algorithm is not used");
    skipped(changed(&rsa, "alg", json!("ES256")), "its type and its algorithm do not agree");
    skipped(changed(&ec, "alg", json!("ES384")), "its type and its algorithm do not agree");
    skipped(changed(&ed, "alg", json!("RS256")), "its type and its algorithm do not agree");
    skipped(changed(&rsa, "d", json!("AAAA")), "its private half is public");
    skipped(changed(&rsa, "n", json!("not base64!")), "its numbers are not base64url");
    let short = "its RSA modulus has less than 2048 or more than 8192 bits";
    skipped(changed(&rsa, "n", json!(signer::base64([0xff; 128]))), short);
    skipped(changed(&rsa, "n", json!(signer::base64([0xff; 255]))), short);
    skipped(changed(&rsa, "n", json!(signer::base64([&[0; 128][..], &[0xff; 128]].concat()))), short);
    skipped(changed(&rsa, "n", json!(signer::base64([0xff; 1025]))), short);
    skipped(changed(&rsa, "n", json!("")), short);
    for exponent in [&[][..], &[1], &[2], &[1, 0, 0, 0, 1]] {
        skipped(changed(&rsa, "e", json!(signer::base64(exponent))), "its RSA exponent is not usable");
    }
    skipped(changed(&ec, "x", json!(signer::base64([1; 32]))), "it is not a point of its curve");
    skipped(changed(&ec, "y", json!("")), "it is not a point of its curve");
    skipped(changed(&ed, "x", json!(signer::base64([1; 31]))), "it is not a point of its curve");
    skipped(changed(&ed, "crv", json!("X25519")), "its type is not known");
    skipped(json!({ "kty": "EC", "crv": "P-521", "x": P521.0, "y": P521.1 }), "its curve is not used");
}

#[test]
fn a_key_need_not_say_what_it_is_for() {
    let rsa = Signer::rsa("k", "PS384");
    for name in ["alg", "use"] {
        let set = set(&[without(&rsa, name)]);
        assert!(verify_with(&rsa.token(&payload()), &config(), &set).is_ok(), "{name}");
    }
    let set = set(&[changed(&rsa, "key_ops", json!(["verify"]))]);
    assert!(verify_with(&rsa.token(&payload()), &config(), &set).is_ok());
}

#[test]
fn sets_that_are_none() {
    let read = |text: &str| KeySet::read(text.as_bytes()).map(|set| set.len()).map_err(|e| e.to_string());
    let wrong = |text: &str, why: &str| {
        assert_eq!(read(text), Err(format!("the key set is not usable: {why}")), "{text}");
    };
    wrong("", "it is not a JSON object");
    wrong("<html>", "it is not a JSON object");
    wrong("[]", "it is not a JSON object");
    wrong("{}", "`keys` is not a list");
    wrong("{\"keys\":{}}", "`keys` is not a list");
    wrong("{\"keys\":[],\"keys\":[]}", "a name is there twice");
    wrong("{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"EC\"}]}", "a name is there twice");
    assert_eq!(read("{\"keys\":[]}"), Ok(0));
    let ed = Signer::ed("k").jwk();
    let many = |count: usize| json!({ "keys": vec![ed.clone(); count] }).to_string();
    assert_eq!(read(&many(100)), Ok(100));
    wrong(&many(101), "it has more than 100 keys");
}
