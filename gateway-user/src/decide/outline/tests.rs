use super::*;
use crate::decide::testing::caller;

fn outlines(text: &str) -> Vec<Outline> {
    let policies = Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap();
    let session = caller(&["agents"]).session;
    policies.outlines(&session.workload.name, &session.identity())
}

/// The places of one rule, with `…` for any text; `None`: anywhere.
#[track_caller]
fn check(rule: &str, expected: Option<&[&str]>) {
    let outlines = outlines(rule);
    let [outline] = outlines.as_slice() else { panic!("{outlines:?}") };
    let written = |Place(pieces): &Place| -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Anything => "…".to_owned(),
        };
        pieces.iter().map(piece).collect()
    };
    let places: Option<Vec<String>> =
        outline.places.as_ref().map(|places| places.iter().map(written).collect());
    let expected = expected.map(|places| places.iter().map(|place| (*place).to_owned()).collect());
    assert_eq!(places, expected, "{rule}");
}

#[test]
fn where_a_rule_can_apply() {
    let when = |clauses: &str, expected| {
        check(&format!("permit (principal, action, resource) {clauses};"), expected)
    };
    check("permit (principal, action, resource == Resource::\"arn:aws:s3:::b\");", Some(&["arn:aws:s3:::b"]));
    check("permit (principal, action, resource == Resource::\"*\");", None);
    when("", None);
    when("when { resource.arn like \"arn:aws:s3:::b*c\" }", Some(&["arn:aws:s3:::b…c"]));
    when("when { resource.arn like \"arn:aws:s3:::b\\*c\" }", Some(&["arn:aws:s3:::b*c"]));
    when("when { \"arn:aws:s3:::b\" == resource.arn }", Some(&["arn:aws:s3:::b"]));
    when("when { resource == Resource::\"arn:aws:s3:::b\" }", Some(&["arn:aws:s3:::b"]));
    // Both must hold, so the smaller place is enough.
    when(
        "when { resource.arn like \"arn:a*\" || resource.arn like \"arn:b*\" } when { resource.arn like \"arn:c*\" }",
        Some(&["arn:c…"]),
    );
    when(
        "when { context.region == \"x\" && (resource.arn like \"arn:a*\" || resource.arn like \"arn:b*\") }",
        Some(&["arn:a…", "arn:b…"]),
    );
    // Anywhere, as far as can be seen.
    when("when { resource.arn like \"arn:a*\" || context.region == \"x\" }", None);
    when("when { !(resource.arn like \"arn:a*\") }", None);
    when("unless { resource.arn like \"arn:a*\" }", None);
    when("when { resource.arn like \"*\" }", None);
    when("when { resource.arn like \"*\\**\" }", None);
    when("when { resource == Resource::\"*\" || resource.arn like \"arn:a*\" }", None);
    when("when { context.region like \"arn:a*\" }", None);
}

#[test]
fn what_a_forbid_says_beyond_its_scope_is_not_outlined() {
    check("forbid (principal, action, resource == Resource::\"arn:aws:s3:::b\");", Some(&["arn:aws:s3:::b"]));
    for rule in [
        "forbid (principal, action, resource) when { context.region == \"x\" };",
        "forbid (principal, action, resource == Resource::\"*\");",
        "forbid (principal in Group::\"others\", action, resource);",
    ] {
        assert_eq!(outlines(rule), [], "{rule}");
    }
}

#[test]
fn actions_of_groups() {
    let of = |action: &str| outlines(&format!("permit (principal, {action}, resource);")).remove(0).actions;
    assert!(of("action").all && of("action in Action::\"*\"").all);
    let service = of("action in [Action::\"s3:*\", Action::\"s3:GetObject\", Action::\"sqs:SendMessage\"]");
    assert_eq!(service.services, BTreeSet::from(["s3".to_owned()]));
    assert_eq!(service.names, BTreeSet::from(["sqs:SendMessage"]));
    let level = of("action in Action::\"s3:Tagging\"");
    assert!(level.names.contains("s3:PutObjectTagging") && !level.names.contains("s3:PutObject"));
    assert!(of("action in Action::\"*:Tagging\"").names.len() > 500);
}
