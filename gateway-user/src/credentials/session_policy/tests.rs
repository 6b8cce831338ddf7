use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{actions::short, evaluate::allows, *};
use crate::{
    catalog::catalog,
    credentials::tests::{ROLE, allowed, caller, caller_of},
    decide::Policies,
    identify::Caller,
};

fn call(pairs: &[(&str, &str)]) -> Result<SessionPolicy, CredentialsError> {
    let pairs = pairs.iter().map(|(action, resource)| (*action, (*resource).to_owned()));
    for_call(&allowed(pairs.collect(), &caller(None)))
}

#[test]
fn a_call_gets_its_pairs_and_no_more() {
    let check = |pairs: &[(&str, &str)], expected: &str| {
        let policy = call(pairs).unwrap();
        let expected = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{expected}]}}");
        assert_eq!(policy.text(), expected);
        let mut read: serde_json::Value = serde_json::from_str(policy.text()).unwrap();
        assert!(read["Statement"].take().is_array());
    };
    check(
        &[("s3:GetObject", "arn:aws:s3:::b/k")],
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/k"}"#,
    );
    check(
        &[("s3:ListAllMyBuckets", "*")],
        r#"{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}"#,
    );
    // What goes along with a session into the next role.
    check(
        &[("sts:AssumeRole", "arn:aws:iam::222222222222:role/x")],
        r#"{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity","sts:TagSession"],"Resource":"arn:aws:iam::222222222222:role/x"}"#,
    );
    // The partition is the ARN's.
    check(
        &[("sqs:SendMessage", "arn:aws-cn:sqs:cn-north-1:123456789012:q")],
        r#"{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws-cn:sqs:cn-north-1:123456789012:q"}"#,
    );
    // Two pairs do not become four.
    check(
        &[("s3:GetObject", "arn:aws:s3:::a/k"), ("s3:PutObject", "arn:aws:s3:::b/k")],
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a/k"},{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/k"}"#,
    );
    check(
        &[("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:PutObjectTagging", "arn:aws:s3:::b/k")],
        r#"{"Effect":"Allow","Action":["s3:PutObject","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::b/k"}"#,
    );
    check(
        &[("s3:DeleteObject", "arn:aws:s3:::b/1"), ("s3:DeleteObject", "arn:aws:s3:::b/2")],
        r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":["arn:aws:s3:::b/1","arn:aws:s3:::b/2"]}"#,
    );
}

#[test]
fn signs_in_a_name_stand_for_themselves() {
    for (key, other) in [
        ("a*b", "axxb"),
        ("a?b", "axb"),
        ("${aws:username}", "alice"),
        ("a$*b", "a$xb"),
        ("*", "x"),
        ("**", "x"),
    ] {
        let (own, foreign) = (format!("arn:aws:s3:::b/{key}"), format!("arn:aws:s3:::b/{other}"));
        let policy = call(&[("s3:GetObject", &own)]).unwrap();
        assert!(allows(policy.text(), "s3:GetObject", &own), "{}", policy.text());
        assert!(!allows(policy.text(), "s3:GetObject", &foreign), "{}", policy.text());
    }
    let policy = call(&[("s3:GetObject", "arn:aws:s3:::b/a*b")]).unwrap();
    assert!(policy.text().contains("arn:aws:s3:::b/a${*}b"), "{}", policy.text());
}

#[test]
fn what_stands_in_json_is_ascii() {
    let arn = "arn:aws:s3:::b/\u{4e2d}\u{1f600}\"\\\n ";
    let policy = call(&[("s3:GetObject", arn)]).unwrap();
    assert!(policy.text().is_ascii(), "{}", policy.text());
    assert!(policy.text().contains(r#"b/\u4e2d\ud83d\ude00\"\\\u000a "#), "{}", policy.text());
    assert!(allows(policy.text(), "s3:GetObject", arn));
}

#[test]
fn a_call_that_is_too_much_is_refused() {
    let of = |keys: usize| {
        let pairs = (0..keys).map(|n| ("s3:DeleteObject", format!("arn:aws:s3:::b/{n:04}")));
        for_call(&allowed(pairs.collect(), &caller(None)))
    };
    // 89 characters around them, and 22 for each but the last.
    let most = (1..).take_while(|keys| of(*keys).is_ok()).last().unwrap();
    assert!((80..=95).contains(&most), "{most}");
    assert!(of(most).unwrap().text().len() <= LIMIT);
    let error = of(1000).unwrap_err().to_string();
    assert!(error.starts_with("the call needs 1000 actions on resources, a session policy of "), "{error}");
    assert!(
        error.contains("2048") && error.contains("fewer resources") && error.contains("\"session\""),
        "{error}"
    );
}

#[test]
fn groups_are_said_in_few_words_and_exactly() {
    let names: Vec<&str> = catalog().actions().map(|action| action.name).collect();
    let mut services: Vec<&str> = names.iter().map(|name| name.split(':').next().unwrap()).collect();
    services.dedup();
    let levels = ["List", "Read", "Write", "Tagging", "PermissionsManagement"];
    for (service, level) in services.iter().flat_map(|service| levels.map(|level| (*service, level))) {
        let of_level = catalog().actions().filter(|action| action.access.name() == level);
        let group: BTreeSet<&str> = of_level
            .map(|action| action.name)
            .filter(|name| name.starts_with(&format!("{service}:")))
            .collect();
        let words = short(&group);
        let list = serde_json::json!([{ "Effect": "Allow", "Action": words, "Resource": "*" }]);
        // IAM reads them without regard to case.
        for name in names.iter().filter(|name| name.starts_with(&format!("{service}:"))) {
            let covered = words.iter().any(|word| match word.strip_suffix('*') {
                Some(start) => name.to_lowercase().starts_with(&start.to_lowercase()),
                None => name.eq_ignore_ascii_case(word),
            });
            let meant = group.iter().any(|meant| meant.eq_ignore_ascii_case(name));
            assert_eq!(covered, meant, "{name} {list}");
        }
        assert!(words.len() <= group.len());
    }
    let tagging = catalog().actions().filter(|action| action.name.starts_with("sqs:"));
    assert_eq!(short(&tagging.map(|action| action.name).collect()), ["sqs:*"]);
    let some = ["s3:GetObject", "sqs:SendMessage"].into_iter().collect();
    assert_eq!(short(&some), ["s3:GetObject", "sqs:SendMessage"]);
}

/// What IAM is asked is what the catalogue has: a wildcard that fits no other name of the catalogue fits
/// no other name that a rule could permit.
#[test]
fn every_action_that_is_needed_is_in_the_catalogue() {
    let needs = catalog().services().iter().flat_map(|service| service.operations());
    let unknown: BTreeSet<&str> = needs
        .flat_map(|operation| operation.needs.iter().map(|need| need.action))
        .filter(|action| catalog().action(action).is_none())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn rules(text: &str) -> Policies {
    Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn of_rules(text: &str, caller: &Caller, role: &str) -> Result<SessionPolicy, CredentialsError> {
    for_workload(&rules(text), &caller.session.workload, &caller.session.identity(), role)
}

#[test]
fn rules_become_a_policy() {
    let caller = caller_of(Some(ROLE), &["agents"]);
    let check = |text: &str, expected: &str| {
        let policy = of_rules(text, &caller, ROLE).unwrap();
        assert_eq!(
            policy.text(),
            format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{expected}]}}"),
            "{text}"
        );
    };
    check("", r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#);
    check("permit (principal, action, resource);", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    check(
        r#"permit (principal in Group::"agents", action in Action::"sqs:*", resource);
           permit (principal in Group::"others", action in Action::"iam:*", resource);
           permit (principal == Workload::"other", action in Action::"iam:*", resource);"#,
        r#"{"Effect":"Allow","Action":"sqs:*","Resource":"*"}"#,
    );
    check(
        r#"permit (principal, action in Action::"sqs:Write", resource);"#,
        r#"{"Effect":"Allow","Action":["sqs:C*","sqs:Delete*","sqs:PurgeQueue","sqs:SendMessage","sqs:StartMessageMoveTask"],"Resource":"*"}"#,
    );
    check(
        r#"permit (principal, action == Action::"s3:GetObject", resource)
           when { resource.arn like "arn:aws:s3:::builds-*" && context.region == "eu-central-1" };
           permit (principal, action == Action::"s3:PutObject", resource)
           when { resource.arn like "arn:aws:s3:::a\*b/?$*" || resource == Resource::"arn:aws:s3:::c/d" };
           permit (principal, action == Action::"s3:DeleteObject", resource == Resource::"arn:aws:s3:::c/d")
           unless { context.region == "eu-central-1" };
           forbid (principal, action == Action::"s3:PutObject", resource == Resource::"arn:aws:s3:::c/d");
           forbid (principal, action == Action::"s3:GetObject", resource) when { context.region == "us-east-1" };
           forbid (principal, action in Action::"iam:*", resource);"#,
        concat!(
            r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":["arn:aws:s3:::a${*}b/${?}${$}*","arn:aws:s3:::c/d"]},"#,
            r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::builds-*"},"#,
            r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::c/d"},"#,
            r#"{"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::c/d"}"#
        ),
    );
    // What is allowed everywhere is not said again; what begins with a wildcard is anywhere.
    check(
        r#"permit (principal, action == Action::"s3:GetObject", resource) when { resource.arn like "*:b/*" };
           permit (principal, action in [Action::"s3:GetObject", Action::"s3:PutObject"], resource)
           when { resource.arn like "arn:aws:s3:::b/*" };"#,
        concat!(
            r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"},"#,
            r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}"#
        ),
    );
}

#[test]
fn a_role_of_rules_gets_what_these_rules_permit() {
    const OTHER: &str = "arn:aws:iam::222222222222:role/x";
    let caller = caller_of(Some(ROLE), &[]);
    let text = format!(
        r#"permit (principal, action in Action::"sqs:*", resource);
           @role("{OTHER}") permit (principal, action in Action::"sns:*", resource);"#
    );
    for (role, expected, not) in [(ROLE, "sqs:*", "sns"), (OTHER, "sns:*", "sqs")] {
        let policy = of_rules(&text, &caller, role).unwrap();
        assert!(
            policy.text().contains(expected) && !policy.text().contains(not),
            "{role}: {}",
            policy.text()
        );
    }
}

#[test]
fn rules_that_are_too_much_are_refused() {
    let text = r#"permit (principal, action in Action::"*:Read", resource);"#;
    let error = of_rules(text, &caller_of(Some(ROLE), &[]), ROLE).unwrap_err().to_string();
    assert!(error.starts_with("the rules about builds make a session policy of "), "{error}");
    assert!(error.contains("2048") && error.contains("scope to \"call\" or \"role\""), "{error}");
}

/// Parts of rules and of calls, few enough to meet.
fn a_rule() -> impl Strategy<Value = String> {
    let effect = prop_oneof![4 => Just("permit"), 1 => Just("forbid")];
    let principal = prop::sample::select(vec![
        "principal",
        "principal in Group::\"agents\"",
        "principal in Group::\"others\"",
        "principal == Workload::\"builds\"",
    ]);
    let action = prop::sample::select(vec![
        "action",
        "action == Action::\"s3:GetObject\"",
        "action in [Action::\"s3:PutObject\", Action::\"sqs:SendMessage\"]",
        "action in Action::\"s3:*\"",
        "action in Action::\"s3:Read\"",
        "action in Action::\"sqs:Write\"",
    ]);
    let resource = prop::sample::select(vec![
        "resource",
        "resource == Resource::\"arn:aws:s3:::b/k\"",
        "resource == Resource::\"*\"",
        "resource is Resource",
    ]);
    let clause = prop::sample::select(vec![
        "",
        "when { resource.arn like \"arn:aws:s3:::b/*\" }",
        "when { resource.arn like \"arn:aws:s3:::*\\*b\" }",
        "when { resource.arn like \"*/k\" || resource.arn == \"arn:aws:s3:::c?/x\" }",
        "when { resource == Resource::\"arn:aws:s3:::b/a*b\" || context.region == \"eu-central-1\" }",
        "when { resource.arn like \"arn:aws:s*:::b/*\" && context.region == \"eu-central-1\" }",
        "unless { resource.arn like \"arn:aws:s3:::b/*\" }",
        "when { !(resource.arn like \"arn:aws:s3:::b/*\") }",
        "when { resource == Resource::\"*\" || resource.arn like \"arn:aws:s3:::c/*\" }",
    ]);
    (effect, principal, action, resource, clause)
        .prop_map(|(effect, whom, action, resource, clause)| {
            format!("{effect} ({whom}, {action}, {resource}) {clause};\n")
        })
        // Such a literal does not load.
        .prop_filter("a wildcard in a literal", |rule| !rule.contains("Resource::\"arn:aws:s3:::b/a*b\""))
}

fn a_pair() -> impl Strategy<Value = (&'static str, String)> {
    let action = prop::sample::select(vec![
        "s3:GetObject",
        "s3:PutObject",
        "s3:GetBucketLocation",
        "s3:ListBucket",
        "sqs:SendMessage",
        "sqs:CreateQueue",
        "iam:PassRole",
    ]);
    let resource = prop::sample::select(vec![
        "*",
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/k",
        "arn:aws:s3:::b/a*b",
        "arn:aws:s3:::b/axb",
        "arn:aws:s3:::c/x",
        "arn:aws:s3:::c?/x",
        "arn:aws:sqs:eu-central-1:123456789012:b",
    ]);
    (action, resource.prop_map(str::to_owned))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever the rules permit, the keys of the session are good for.
    #[test]
    fn a_session_can_do_what_its_rules_permit(
        written in prop::collection::vec(a_rule(), 1..6),
        pairs in prop::collection::vec(a_pair(), 1..4),
    ) {
        let caller = caller_of(Some(ROLE), &["agents"]);
        let policies = rules(&written.concat());
        let policy = for_workload(&policies, &caller.session.workload, &caller.session.identity(), ROLE).unwrap();
        for (action, resource) in pairs {
            if crate::credentials::tests::decide(&policies, vec![(action, resource.clone())], &caller).is_some() {
                // A resource that is not known may be any.
                let real = if resource == "*" { "arn:aws:any:::thing" } else { &resource };
                prop_assert!(allows(policy.text(), action, real), "{action} {resource}\n{}{}", written.concat(), policy.text());
            }
        }
    }

    /// The keys of a call are good for its pairs alone.
    #[test]
    fn a_call_can_do_what_it_needs_alone(pairs in prop::collection::vec(a_pair(), 1..5), other in a_pair()) {
        let policy = for_call(&allowed(pairs.clone(), &caller(None))).unwrap();
        for (action, resource) in &pairs {
            prop_assert!(allows(policy.text(), action, resource));
        }
        let meant = pairs.iter().any(|(action, resource)| {
            *action == other.0 && (*resource == other.1 || resource == "*")
        });
        prop_assert_eq!(allows(policy.text(), other.0, &other.1), meant, "{:?} {}", other, policy.text());
    }
}
