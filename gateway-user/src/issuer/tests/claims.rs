//! Groups and further claims.

use super::*;

fn groups_of(claim: &str, payload: &Value) -> Result<Vec<String>, &'static str> {
    let mut config = config();
    config.groups_claim = Some(claim.to_owned());
    config.groups_prefix = "idp:".to_owned();
    claims_of(payload, &config).map(|claims| claims.groups).map_err(|error| error.reason())
}

#[track_caller]
fn check(claim: &str, member: &str, value: Value, expected: Result<&[&str], &str>) {
    let found = groups_of(claim, &with(member, value.clone()));
    let found = found.as_ref().map(|groups| groups.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found.as_deref().map_err(|reason| **reason), expected, "{claim} in {member}: {value}");
}

#[test]
fn groups() {
    check("groups", "groups", json!(["a", "b"]), Ok(&["idp:a", "idp:b"]));
    check("groups", "groups", json!("a"), Ok(&["idp:a"]));
    check("groups", "groups", json!([]), Ok(&[]));
    check("groups", "other", json!(["a"]), Ok(&[]));
    check("cognito:groups", "cognito:groups", json!(["a"]), Ok(&["idp:a"]));
    for wrong in [json!(7), json!(true), json!({ "a": 1 }), json!(["a", 7]), json!([["a"]]), json!([null])] {
        check("groups", "groups", wrong, Err("bad-groups"));
    }
    let mut null = payload();
    null["groups"] = Value::Null;
    assert_eq!(groups_of("groups", &null), Err("bad-groups"));
    for wrong in ["", "a\nb", "a\0"] {
        check("groups", "groups", json!([wrong]), Err("bad-groups"));
        check("groups", "groups", json!(wrong), Err("bad-groups"));
    }
}

#[test]
fn groups_are_bounded() {
    let many = |count: usize| (0..count).map(|n| format!("g{n}")).collect::<Vec<_>>();
    assert_eq!(groups_of("groups", &with("groups", json!(many(256)))).map(|groups| groups.len()), Ok(256));
    check("groups", "groups", json!(many(257)), Err("bad-groups"));
    assert!(groups_of("groups", &with("groups", json!("ü".repeat(256)))).is_ok());
    check("groups", "groups", json!("ü".repeat(257)), Err("bad-groups"));
}

#[test]
fn dots_are_a_path() {
    let roles = "realm_access.roles";
    check(roles, "realm_access", json!({ "roles": ["a"] }), Ok(&["idp:a"]));
    check(roles, "realm_access", json!({ "other": ["a"] }), Ok(&[]));
    check(roles, "other", json!({ "roles": ["a"] }), Ok(&[]));
    check("a.b.c", "a", json!({ "b": { "c": "x" } }), Ok(&["idp:x"]));
    for in_the_way in [json!("roles"), json!(["roles"]), json!(7)] {
        check(roles, "realm_access", in_the_way, Err("bad-groups"));
    }
    // Both readings of the name at once.
    check(roles, roles, json!(["a"]), Err("bad-groups"));
    // A name that is a URL has dots of its own.
    let url = "https://chaperone.example/groups";
    check(url, url, json!(["a"]), Ok(&["idp:a"]));
    check(url, "https://chaperone", json!({ "example/groups": ["a"] }), Ok(&[]));
}

/// Kubernetes' tokens say whose they are in `kubernetes.io`.
#[test]
fn quotes_keep_dots_in_names() {
    let kubernetes = json!({ "namespace": "prod", "serviceaccount": { "name": "agents" } });
    check("'kubernetes.io'.namespace", "kubernetes.io", kubernetes.clone(), Ok(&["idp:prod"]));
    check("'kubernetes.io'.serviceaccount.name", "kubernetes.io", kubernetes.clone(), Ok(&["idp:agents"]));
    check("'kubernetes.io'.'serviceaccount'.name", "kubernetes.io", kubernetes.clone(), Ok(&["idp:agents"]));
    check("kubernetes.io.namespace", "kubernetes.io", kubernetes, Ok(&[]));
    check("a.'b.c'", "a", json!({ "b.c": "x", "b": { "c": "y" } }), Ok(&["idp:x"]));
    check("'https://a.example/b'.c", "https://a.example/b", json!({ "c": "x" }), Ok(&["idp:x"]));
    check("'kubernetes.io'", "_claim_names", json!({ "kubernetes.io": "src1" }), Err("claim-elsewhere"));
    let config = Config { claims: vec!["'kubernetes.io'.namespace".to_owned()], ..config() };
    let claims = claims_of(&with("kubernetes.io", json!({ "namespace": "prod" })), &config).unwrap();
    assert_eq!(claims.attributes["'kubernetes.io'.namespace"], "prod");
}

/// A provider may leave a long list out and say where it is: then "no groups" would be wrong.
#[test]
fn groups_kept_elsewhere_are_not_no_groups() {
    check("groups", "_claim_names", json!({ "groups": "src1" }), Err("claim-elsewhere"));
    check("realm.roles", "_claim_names", json!({ "realm": "src1" }), Err("claim-elsewhere"));
    check("groups", "_claim_names", json!({ "address": "src1" }), Ok(&[]));
    let mut config = config();
    config.claims = vec!["team".to_owned()];
    refused(&with("_claim_names", json!({ "team": "src1" })), &config, "claim-elsewhere");
}

#[test]
fn no_groups_are_read_unless_asked_for() {
    assert_eq!(claims_of(&with("groups", json!(["a"])), &config()).unwrap().groups, [] as [&str; 0]);
}

#[test]
fn further_claims() {
    let mut config = config();
    config.claims = vec!["x".to_owned(), "team.name".to_owned(), "https://a.example/b".to_owned()];
    let found = |value: Value| {
        claims_of(&with("x", value), &config).map(|claims| claims.attributes.get("x").cloned())
    };
    for (value, text) in [
        (json!("a b"), "a b"),
        (json!(""), ""),
        (json!(true), "true"),
        (json!(false), "false"),
        (json!(0), "0"),
        (json!(-7), "-7"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(1.5), "1.5"),
    ] {
        assert_eq!(found(value.clone()), Ok(Some(text.to_owned())), "{value}");
    }
    let mut null = payload();
    null["x"] = Value::Null;
    refused(&null, &config, "bad-claim");
    for (wrong, why) in [
        (json!(["a"]), "it is a list"),
        (json!({ "a": 1 }), "it is an object"),
        (json!(1e20), "the number is too large"),
        (json!("x".repeat(1025)), "it has more than 1024 bytes"),
    ] {
        let error = found(wrong).unwrap_err();
        assert_eq!(error.to_string(), format!("the token's claim \"x\" is not usable: {why}"));
        assert_eq!(error.reason(), "bad-claim");
    }
    assert!(found(json!("x".repeat(1024))).is_ok());

    let mut payload = payload();
    payload["team"] = json!({ "name": "blue", "secret": "s" });
    payload["https://a.example/b"] = json!(1);
    payload["unasked"] = json!("u");
    let attributes: Vec<_> = claims_of(&payload, &config).unwrap().attributes.into_iter().collect();
    let expected = [("https://a.example/b", "1"), ("team.name", "blue")];
    assert_eq!(attributes, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// 12345678901234567890123 and its neighbours are one double.
#[test]
fn two_numbers_never_have_one_text() {
    let mut config = config();
    config.claims = vec!["x".to_owned()];
    let signer = Signer::ed("ed");
    for number in
        ["12345678901234567890123", "18446744073709551616", "-9223372036854775809", "9007199254740993.0"]
    {
        let payload = payload().to_string().replacen('{', &format!("{{\"x\":{number},"), 1);
        let token = signer.sign(&signer.header().to_string(), &payload);
        let error = verify_with(&token, &config, &set(&[signer.jwk()])).unwrap_err();
        assert_eq!(error.to_string(), "the token's claim \"x\" is not usable: the number is too large");
    }
}
