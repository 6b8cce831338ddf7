//! Tokens made to be believed: each is refused, and for the reason it was made for.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{signer::base64, *};

/// Signed by a key of 1024 bits, which is in the set: the signature is good.
const SMALL_KEY: &str = "viU-MtScDgW_RxrQIffvZLjhM2kRVeW8mP1aT2JNoZSwEoa1wk9Qq9BU13LBTq7ZyiidtO-scihxPfo1wC7h8ZbNB6E-9LwHmNuVTNSnG1RyZinQXPymz8E776dQd6yjyXNqj0mYz7IldeYIABakg8aL6HB0komZs1taN7qpnmk";
const SMALL_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InNtYWxsIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiY2hhcGVyb25lIiwic3ViIjoidSIsImlhdCI6MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjI5MjAwfQ.c_ZUJTDqOMdiTFNH43yN4EJul3BjHLfiOIWl5K3-Ngv9NYnaY1Y0kzOK2XN0bhQ1EcTq4RrI5wjHG3h7cJAYE0RfTW451hmaBAAoVA3WzvT1ISIN--rozEn_v2f-6HcZLD4o0ws1tx0vHHhh1bRynR8B6jvfDSh-fHoxhfW-Cgc";

struct Stage {
    main: Signer,
    ec: Signer,
    keys: KeySet,
}

impl Stage {
    /// The issuer has an RSA key "main", an EC key "ec" and one that is too small.
    fn new() -> Self {
        let (main, ec) = (Signer::rsa("main", "RS256"), Signer::ec("ec", "ES256"));
        let small = json!({ "kty": "RSA", "kid": "small", "n": SMALL_KEY, "e": "AQAB" });
        let keys = set(&[main.jwk(), ec.jwk(), small]);
        Self { main, ec, keys }
    }

    #[track_caller]
    fn refused(&self, what: &str, token: &str, reason: &str) {
        match verify_with(token, &config(), &self.keys) {
            Ok(claims) => panic!("{what}: believed {claims:?}"),
            Err(error) => assert_eq!(error.reason(), reason, "{what}: {error}"),
        }
    }

    /// Well signed, with this header.
    #[track_caller]
    fn header(&self, header: &Value, reason: &str) {
        let token = self.main.sign(&header.to_string(), &payload().to_string());
        self.refused(&header.to_string(), &token, reason);
    }

    /// The header of "main" with one more member.
    #[track_caller]
    fn member(&self, name: &str, value: Value, reason: &str) {
        let mut header = self.main.header();
        header[name] = value;
        self.header(&header, reason);
    }

    /// Well signed, with this payload.
    #[track_caller]
    fn says(&self, payload: &str, reason: &str) {
        let token = self.main.sign(&self.main.header().to_string(), payload);
        self.refused(payload, &token, reason);
    }

    #[track_caller]
    fn claim(&self, name: &str, value: Value, reason: &str) {
        self.says(&with(name, value).to_string(), reason);
    }
}

#[test]
fn the_stage_is_set() {
    let stage = Stage::new();
    for signer in [&stage.main, &stage.ec] {
        assert!(verify_with(&signer.token(&payload()), &config(), &stage.keys).is_ok());
    }
    // Parameters that do no harm.
    let mut header = stage.main.header();
    for (name, value) in [("typ", json!("at+jwt")), ("x5t", json!("AAAA")), ("nonce", json!({"a": 1}))] {
        header[name] = value;
    }
    // The last is a JWT-SVID's.
    for typ in ["at+jwt", "JWT", "JOSE"] {
        header["typ"] = typ.into();
        let token = stage.main.sign(&header.to_string(), &payload().to_string());
        assert!(verify_with(&token, &config(), &stage.keys).is_ok(), "{typ}");
    }
}

#[test]
fn no_algorithm_or_a_shared_secret() {
    let stage = Stage::new();
    for none in ["none", "None", "nOnE", "NONE"] {
        let header = json!({ "alg": none, "kid": "main" });
        stage.header(&header, "alg-none");
        let unsigned = format!("{}.{}.", base64(header.to_string()), base64(payload().to_string()));
        stage.refused("none without a signature", &unsigned, "alg-none");
    }
    let der = stage.main.public_der();
    let lines: Vec<String> = STANDARD
        .encode(&der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    for (algorithm, hash) in
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        for secret in [der.as_slice(), pem.as_bytes()] {
            let header = json!({ "alg": algorithm, "kid": "main" });
            let message = format!("{}.{}", base64(header.to_string()), base64(payload().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hash, secret), message.as_bytes());
            stage.refused(algorithm, &format!("{message}.{}", base64(tag)), "alg-symmetric");
        }
    }
    for unknown in ["rs256", "RS256 ", "ES512", "ES256K", "RS1", "Ed25519", "dir", ""] {
        stage.header(&json!({ "alg": unknown, "kid": "main" }), "alg-unknown");
    }
    for missing in [json!({ "kid": "main" }), json!({ "alg": null }), json!({ "alg": ["RS256"] }), json!({})]
    {
        stage.header(&missing, "alg-missing");
    }
}

#[test]
fn keys_of_the_attackers_choice() {
    let stage = Stage::new();
    for kid in ["../../etc/passwd", "/dev/null", "' OR 1=1 --", "main ", "MAIN", "", "https://evil.example/k"]
    {
        stage.member("kid", kid.into(), "unknown-key");
    }
    for kid in
        [json!("main\0"), json!("a\nb"), json!("k".repeat(257)), json!(7), json!(["main"]), json!(null)]
    {
        stage.member("kid", kid, "bad-kid");
    }
    let evil = Signer::other_rsa("main", "RS256");
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("jwk", evil.jwk()),
    ] {
        let mut header = evil.header();
        header[name] = value;
        let token = evil.sign(&header.to_string(), &payload().to_string());
        stage.refused(name, &token, &format!("header-{name}"));
    }
    stage.refused("another issuer's key of that name", &evil.token(&payload()), "bad-signature");
    stage.refused("a key of 1024 bits", SMALL_TOKEN, "unknown-key");
}

#[test]
fn keys_taken_for_other_algorithms() {
    let stage = Stage::new();
    let cross = |signer: &Signer, algorithm: &str, kid: &str| {
        signer.sign(&json!({ "alg": algorithm, "kid": kid }).to_string(), &payload().to_string())
    };
    stage.refused("RSA as EC", &cross(&stage.main, "ES256", "main"), "key-mismatch");
    stage.refused("EC as RSA", &cross(&stage.ec, "RS256", "ec"), "key-mismatch");
    stage.refused("P-256 as P-384", &cross(&stage.ec, "ES384", "ec"), "key-mismatch");
    stage.refused("EC as Ed25519", &cross(&stage.ec, "EdDSA", "ec"), "key-mismatch");
    let pss = Signer::rsa("main", "PS256");
    stage.refused("a key for PKCS #1 as PSS", &pss.token(&payload()), "key-mismatch");

    // An RSA and an EC key of one name: the algorithm tells which, and the other does not help.
    let (rsa, ec) = (Signer::rsa("both", "RS256"), Signer::ec("both", "ES256"));
    let keys = set(&[rsa.jwk(), ec.jwk()]);
    assert!(verify_with(&rsa.token(&payload()), &config(), &keys).is_ok());
    assert!(verify_with(&ec.token(&payload()), &config(), &keys).is_ok());
    for token in [cross(&rsa, "ES256", "both"), cross(&ec, "RS256", "both")] {
        assert_eq!(verify_with(&token, &config(), &keys), Err(TokenError::Signature));
    }
    // Two that fit are none.
    let keys = set(&[rsa.jwk(), Signer::other_rsa("both", "RS256").jwk()]);
    assert_eq!(verify_with(&rsa.token(&payload()), &config(), &keys), Err(TokenError::KeyAmbiguous));
}

#[test]
fn a_token_without_a_key_id() {
    let (rsa, ec) = (Signer::rsa("a", "RS256"), Signer::ec("b", "ES256"));
    let nameless = |signer: &Signer| {
        let token = signer.sign(&json!({ "alg": signer.algorithm }).to_string(), &payload().to_string());
        move |keys: &[Value]| verify_with(&token, &config(), &set(keys)).map(drop).map_err(|e| e.reason())
    };
    assert_eq!(nameless(&rsa)(&[rsa.jwk(), ec.jwk()]), Ok(()));
    assert_eq!(nameless(&ec)(&[rsa.jwk(), ec.jwk()]), Ok(()));
    assert_eq!(nameless(&rsa)(&[ec.jwk()]), Err("unknown-key"));
    assert_eq!(nameless(&rsa)(&[rsa.jwk(), Signer::other_rsa("c", "RS256").jwk()]), Err("key-ambiguous"));
    // A key for another algorithm does not fit.
    assert_eq!(nameless(&rsa)(&[rsa.jwk(), Signer::other_rsa("c", "PS256").jwk()]), Ok(()));
}

#[test]
fn headers_that_change_the_meaning() {
    let stage = Stage::new();
    stage.member("crit", json!(["exp"]), "header-crit");
    stage.member("crit", json!([]), "header-crit");
    stage.member("b64", json!(false), "header-b64");
    stage.member("zip", json!("DEF"), "header-zip");
    stage.member("enc", json!("A256GCM"), "header-enc");
    stage.member("cty", json!("JWT"), "header-cty");
    for typ in [json!("secevent+jwt"), json!("dpop+jwt"), json!("JWE"), json!(""), json!(1), json!(null)] {
        stage.member("typ", typ, "wrong-type");
    }
}

#[test]
fn the_wrong_audience() {
    let stage = Stage::new();
    stage.claim("aud", json!("someone"), "wrong-audience");
    stage.claim("aud", json!("Chaperone"), "wrong-audience");
    stage.claim("aud", json!("chaperone "), "wrong-audience");
    stage.claim("aud", json!(["someone", "else"]), "wrong-audience");
    stage.claim("aud", json!([]), "wrong-audience");
    stage.claim("aud", json!(["chaperone", 7]), "bad-aud");
    stage.claim("aud", json!([["chaperone"]]), "bad-aud");
    stage.claim("aud", json!({ "chaperone": true }), "bad-aud");
    stage.claim("aud", json!(true), "bad-aud");
    stage.claim("aud", Value::Null, "missing-aud");
}

#[test]
fn the_wrong_issuer_or_subject() {
    let stage = Stage::new();
    stage.claim("iss", json!("https://issuer.example/"), "wrong-issuer");
    stage.claim("iss", json!("https://ISSUER.example"), "wrong-issuer");
    stage.claim("iss", json!("https://issuer.example.evil.example"), "wrong-issuer");
    stage.claim("iss", json!([URL]), "bad-iss");
    stage.claim("iss", Value::Null, "missing-iss");
    stage.claim("sub", json!(""), "bad-sub");
    stage.claim("sub", json!("a\nb"), "bad-sub");
    stage.claim("sub", json!("a\u{7f}"), "bad-sub");
    stage.claim("sub", json!("ü".repeat(257)), "bad-sub");
    stage.claim("sub", json!(7), "bad-sub");
    stage.claim("sub", Value::Null, "missing-sub");
    assert!(claims_of(&with("sub", json!("ü".repeat(256))), &config()).is_ok());
}

#[test]
fn the_wrong_time() {
    let stage = Stage::new();
    let now = NOW.unix_timestamp();
    stage.claim("exp", json!(now - 3600), "expired");
    stage.claim("nbf", json!(now + 3600), "not-yet-valid");
    stage.claim("iat", json!(now + 3600), "issued-in-future");
    stage.claim("exp", json!(now + 30 * 86_400), "lifetime-too-long");
    stage.claim("exp", json!(now - 60), "expired");
    stage.claim("exp", json!((now + 600).to_string()), "bad-exp");
    stage.claim("exp", json!([now + 600]), "bad-exp");
    stage.claim("exp", json!(-1), "bad-exp");
    stage.claim("exp", json!(-1.5), "bad-exp");
    stage.claim("exp", json!(i64::MIN), "bad-exp");
    stage.claim("exp", json!(i64::MAX), "bad-exp");
    stage.claim("exp", json!(u64::MAX), "bad-exp");
    stage.claim("exp", json!(1e300), "bad-exp");
    stage.claim("exp", json!(253_402_300_800_i64), "bad-exp");
    stage.claim("exp", json!(253_402_300_799_i64), "lifetime-too-long");
    stage.claim("exp", Value::Null, "missing-exp");
    stage.claim("iat", Value::Null, "missing-iat");
    stage.claim("iat", json!(true), "bad-iat");
    stage.claim("nbf", json!("soon"), "bad-nbf");
    let number =
        |exp: &str| format!(r#"{{"iss":"{URL}","aud":"chaperone","sub":"s","iat":{now},"exp":{exp}}}"#);
    stage.says(&number("1e400"), "payload-json");
    stage.says(&number("01767228000"), "payload-json");
    stage.says(&number("NaN"), "payload-json");
    stage.says(&number("null"), "bad-exp");
    stage.says(&number("-0.0"), "expired");
}

#[test]
fn members_that_are_there_twice() {
    let stage = Stage::new();
    let good = payload().to_string();
    let inside = good.trim_matches(['{', '}']);
    for more in [
        r#""iss":"https://issuer.example""#,
        r#""exp":9999999999"#,
        r#""aud":"chaperone""#,
        r#""\u0065xp":9999999999"#,
        r#""realm":{"roles":["a"],"roles":["b"]}"#,
        r#""deep":[[{"x":{"y":1,"y":1}}]]"#,
    ] {
        stage.says(&format!("{{{inside},{more}}}"), "payload-duplicate");
        stage.says(&format!("{{{more},{inside}}}"), "payload-duplicate");
    }
    for header in [
        r#"{"alg":"none","alg":"RS256","kid":"main"}"#,
        r#"{"alg":"RS256","kid":"main","kid":"ec"}"#,
        r#"{"alg":"RS256","kid":"main","a":{"b":1,"b":2}}"#,
    ] {
        stage.refused(header, &stage.main.sign(header, &good), "header-duplicate");
    }
}

#[test]
fn what_is_not_a_token() {
    let stage = Stage::new();
    let good = stage.main.token(&payload());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, proof] = parts.as_slice() else { panic!("{good}") };
    let max = config().token_max_bytes;
    stage.refused("1 MB", &"a".repeat(1 << 20), "token-too-long");
    stage.refused("one byte more", &format!("{good}{}", "A".repeat(max + 1 - good.len())), "token-too-long");
    stage.refused("nothing", "", "not-three-parts");
    stage.refused("two parts", &format!("{header}.{body}"), "not-three-parts");
    stage.refused("four parts", &format!("{good}.{proof}"), "not-three-parts");
    stage.refused("JWE", &format!("{header}.{body}.{proof}.AAAA.AAAA"), "encrypted");
    stage.refused("six parts", &format!("{good}.a.b.c"), "not-three-parts");
    stage.refused("no signature", &format!("{header}.{body}."), "unsigned");
    stage.refused("no header", &format!(".{body}.{proof}"), "header-json");
    stage.refused("no payload", &format!("{header}..{proof}"), "payload-json");
    for (what, mark) in [
        ("padding", "="),
        ("a line feed", "\n"),
        ("a carriage return", "\r\n"),
        ("a blank", " "),
        ("NUL", "\0"),
        ("standard base64", "+/"),
        ("a letter of another script", "а"),
    ] {
        stage.refused(what, &format!("{header}{mark}.{body}.{proof}"), "header-encoding");
        stage.refused(what, &format!("{header}.{body}{mark}.{proof}"), "payload-encoding");
        stage.refused(what, &format!("{header}.{body}.{proof}{mark}"), "signature-encoding");
    }
    stage.refused("a scheme in front", &format!("Bearer {good}"), "header-encoding");
    // The last letter of 256 bytes has four bits that count and two that do not.
    let other = format!("{}B", &good[..good.len() - 1]);
    assert!(good.ends_with(['A', 'Q', 'g', 'w']), "{good}");
    stage.refused("trailing bits", &other, "signature-encoding");

    let signed = |header: &str, payload: &str| stage.main.sign(header, payload);
    let own = stage.main.header().to_string();
    for text in ["", "[]", "\"x\"", "null", "{", "{} {}", "{\"a\":1,}", "\u{feff}{}", "{\"a\":\"\\ud800\"}"] {
        stage.refused(text, &signed(text, &payload().to_string()), "header-json");
        stage.refused(text, &signed(&own, text), "payload-json");
    }
    stage.refused("a token in a token", &signed(&own, &good), "payload-json");
    let deep = format!("{}{}", "{\"a\":".repeat(200), "1");
    stage.refused("too deep", &signed(&own, &deep), "payload-json");
    let not_utf8 = format!("{header}.{}.{proof}", base64(b"{\"a\":\"\xff\"}"));
    stage.refused("not UTF-8", &not_utf8, "payload-json");
}

#[test]
fn parts_of_other_tokens() {
    let stage = Stage::new();
    let good = stage.main.token(&payload());
    let (message, proof) = good.rsplit_once('.').unwrap();
    let (header, body) = message.split_once('.').unwrap();
    let admin = base64(with("sub", json!("admin")).to_string());
    let at = base64(r#"{"alg":"RS256","typ":"at+jwt","kid":"main"}"#);
    let flipped = if proof.starts_with('A') { "B" } else { "A" };
    stage.refused("another payload", &format!("{header}.{admin}.{proof}"), "bad-signature");
    stage.refused("another header", &format!("{at}.{body}.{proof}"), "bad-signature");
    stage.refused("another bit", &format!("{message}.{flipped}{}", &proof[1..]), "bad-signature");
    stage.refused("a short signature", &format!("{message}.AAAA"), "bad-signature");
    let ec = stage.ec.token(&payload());
    let (message, _) = ec.rsplit_once('.').unwrap();
    stage.refused("all zero (r, s)", &format!("{message}.{}", base64([0; 64])), "bad-signature");
}
