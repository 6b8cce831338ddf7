use super::*;

/// The one thing wrong with `text`, as `line:column: message`.
#[track_caller]
fn check(text: &str, expected: &str) {
    let errors = Policies::parse([("p.cedar".into(), text.to_owned())]).expect_err(text);
    let [error] = errors.errors() else { panic!("{text}\nhas several errors:\n{errors}") };
    let Position { line, column } = error.at;
    let shown: String = text.chars().take(300).collect();
    assert_eq!(format!("{line}:{column}: {}", error.message), expected, "{shown}");
}

/// A rule with this condition, which starts on line 2 in column 8.
fn when(condition: &str) -> String {
    format!("permit (principal, action, resource)\nwhen {{ {condition} }};")
}

/// A rule with this scope, which starts in column 9.
fn scope(scope: &str) -> String {
    format!("permit ({scope});")
}

#[test]
fn syntax() {
    check("permit (principal, action);", "1:26: this policy is missing the `resource` variable in the scope");
    check("\n\nallow (principal, action, resource);", "3:1: invalid policy effect: allow");
    check("permit (principal, action, resource)", "1:37: unexpected end of input");
    check(
        &when("contxt.region == 1"),
        "2:8: invalid member access `contxt.region`, `contxt` has no fields or methods",
    );
    check(&when("ipv4(\"10.0.0.1\")"), "2:8: `ipv4` is not a valid function");
    check("@id(\"a\") @id(\"b\") permit (principal, action, resource);", "1:10: duplicate annotation: @id");
}

#[test]
fn ids() {
    check(
        "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
        "2:6: the rule id `a` is already used at p.cedar:1",
    );
    check(
        "@id(\"p.cedar#2\") permit (principal, action, resource);\nforbid (principal, action, resource);",
        "2:1: the rule id `p.cedar#2` is already used at p.cedar:1",
    );
    check("@id(\"a b\") permit (principal, action, resource);", "1:1: \"a b\" is not a rule id");
    check("@id permit (principal, action, resource);", "1:1: \"\" is not a rule id");
    check("@id(\"a\\nb\") permit (principal, action, resource);", "1:1: \"a\\nb\" is not a rule id");
    let long = "x".repeat(129);
    check(
        &format!("@id(\"{long}\") permit (principal, action, resource);"),
        &format!("1:1: \"{long}\" is not a rule id"),
    );
}

#[test]
fn roles() {
    let fine =
        "@role(\"arn:aws-us-gov:iam::222222222222:role/path/x\") permit (principal, action, resource);";
    assert_eq!(policies(fine).rule_count(), 1);
    for wrong in
        ["x", "arn:aws:iam::2:role/x", "arn:aws:iam::222222222222:user/x", "arn:aws:iam::222222222222:role/*"]
    {
        let rule = format!("@role(\"{wrong}\") permit (principal, action, resource);");
        check(&rule, &format!("1:1: `@role(\"{wrong}\")` is not the ARN of a role"));
    }
    check(
        "@id(\"a\")\n@role(\"arn:aws:iam::222222222222:role/x\") forbid (principal, action, resource);",
        "2:1: a `forbid` assumes no role",
    );
}

#[test]
fn annotations() {
    let rule = "permit (principal, action, resource);";
    check(&format!("@reviewer(\"x\") {rule}"), "1:1: unknown annotation `@reviewer`");
    for name in ["grant", "reason", "ttl"] {
        check(
            &format!("@{name}(\"x\") {rule}"),
            &format!("1:1: `@{name}` says more about an approval, and none is asked for"),
        );
    }
}

#[test]
fn approvals() {
    let asks = "when { context has approval && context.approval.groups.contains(\"a\") };";
    check(
        &format!("@reviewers(\"a\") forbid (principal, action, resource) {asks}"),
        "1:73: an approval never overrides a `forbid`",
    );
    check("@reviewers(\"a\") forbid (principal, action, resource);", "1:1: a `forbid` asks nobody");
    check(&format!("permit (principal, action, resource) {asks}"), "1:57: nobody is named who could approve");
    check(
        "@reviewers(\"a\") permit (principal, action, resource);",
        "1:1: this rule permits without waiting for its reviewers",
    );
    for (annotations, wrong) in [
        ("@reviewers(\"\")", "1:1: `@reviewers(\"\")` is not understood"),
        ("@reviewers(\"a\") @grant(\"twice\")", "1:17: `@grant(\"twice\")` is not understood"),
        ("@reviewers(\"a\") @reason(\"no\")", "1:17: `@reason(\"no\")` is not understood"),
        ("@reviewers(\"a\") @ttl(\"soon\")", "1:17: `@ttl(\"soon\")` is not understood"),
    ] {
        check(&format!("{annotations} permit (principal, action, resource) {asks}"), wrong);
    }
    check(
        "@reviewers(\"a\") permit (principal, action, resource) when { context.approval.groups.contains(\"a\") };",
        "1:69: `context.approval` is read without asking whether it is there",
    );
}

#[test]
fn actions_that_never_match() {
    let action = |name: &str| scope(&format!("principal, action in [Action::\"{name}\"], resource"));
    check(&action("*:*"), "1:40: `*:*` is not a group of actions");
    check(&action("*:Reads"), "1:40: `*:Reads` is not a group of actions");
    check(&action("execute-api:Tagging"), "1:40: no action of `execute-api` has the access level Tagging");
    for name in ["Reveal", "REVEAL", "reveals", "s3:reveal", "*:reveal", "ecr:Reveal"] {
        check(&action(name), &format!("1:40: `{name}` is not an action"));
    }
    check(&action("S3:GetObject"), "1:40: `S3` is not a service prefix");
    check(&action("dynamo:GetItem"), "1:40: `dynamo` is not a service prefix");
    check(&action("s3:getObject"), "1:40: `s3:getObject` is not an action");
    check(&action("s3:GetObjet"), "1:40: `s3:GetObjet` is not an action");
    check(&action("s3:"), "1:40: `s3:` is not an action");
    check(&action("s3:Get*"), "1:40: wildcards inside an action name, as in `s3:Get*`, are not supported");
    for group in ["s3:*", "*", "s3:Read", "*:Read"] {
        check(
            &scope(&format!("principal, action == Action::\"{group}\", resource")),
            &format!("1:39: `{group}` is a group: no action equals it"),
        );
    }
    check(&when("action == Action::\"s3:*\""), "2:27: `s3:*` is a group: no action equals it");
    check(&when("[Action::\"s3:*\"].contains(action)"), "2:18: `s3:*` is a group: no action equals it");
    check(
        &when("action in [Action::\"s3:GetObject\", Action::\"s3:Raed\"]"),
        "2:52: `s3:Raed` is not an action",
    );
}

#[test]
fn suggestions() {
    let help = |name: &str, expected: &str| {
        let text = scope(&format!("principal, action == Action::\"{name}\", resource"));
        let errors = Policies::parse([("p.cedar".into(), text)]).unwrap_err();
        assert_eq!(errors.errors()[0].help.as_deref(), Some(expected), "{name}");
    };
    help("s3:GetObjet", "did you mean `s3:GetObject`? (names are case-sensitive)");
    help("s3:getobject", "did you mean `s3:GetObject`? (names are case-sensitive)");
    help("S3:GetObject", "did you mean `s3`?");
    help("dynamdb:GetItem", "did you mean `dynamodb`?");
}

#[test]
fn principals_that_never_match() {
    let principal = |text: &str| scope(&format!("principal {text}, action, resource"));
    check(&principal("== User::\"a\""), "1:22: unknown entity type `User`");
    check(&principal("== Group::\"a\""), "1:22: `principal == Group` can never hold");
    check(&principal("in Resource::\"*\""), "1:22: `principal in Resource` can never hold");
    check(&principal("is Group"), "1:22: `principal is Group` can never hold");
    check(&principal("is Workload in App::Group::\"a\""), "1:34: unknown entity type `App::Group`");
    check(
        &principal("== Workload::\"Builds\""),
        "1:32: \"Builds\" is not a valid workload name: only a-z, 0-9 and - are allowed",
    );
    check(&principal("in Group::\"\""), "1:22: a group has a name");
    check(&when("principal is User"), "2:21: unknown entity type `User`");
    check(&when("User::\"a\" == principal"), "2:8: unknown entity type `User`");
    check(&when("principal.name == \"a\""), "2:18: `principal` has no attribute `name`");
    check(&when("action has name"), "2:19: action has no attributes such as `name`");
    check(&when("resource.hasTag(\"a\")"), "2:20: only principal has tags: the further claims of its token");
}

#[test]
fn resources_that_never_match() {
    let resource = |text: &str| scope(&format!("principal, action, resource {text}"));
    check(
        &resource("== Resource::\"arn:aws:s3:::b/*\""),
        "1:51: `arn:aws:s3:::b/*` names no single resource: wildcards match nothing here",
    );
    check(&resource("== Resource::\"bucket\""), "1:51: `bucket` is not an ARN");
    check(
        &resource("in Resource::\"arn:aws:s3:::b\""),
        "1:28: resources are in no group, so `resource in` would match only the resource itself",
    );
    check(
        &resource("is Resource in Resource::\"arn:aws:s3:::b\""),
        "1:1: resources are in no group, so `resource in` would match only the resource itself",
    );
    check(&resource("is Bucket"), "1:40: unknown entity type `Bucket`");
    check(&resource("== Workload::\"builds\""), "1:40: `resource == Workload` can never hold");
    check(
        &when("resource in Resource::\"arn:aws:s3:::b\""),
        "2:8: resources are in no group, so `resource in` would match only the resource itself",
    );
    check(&when("resource.acount == \"1\""), "2:17: `resource` has no attribute `acount`");
    check(&when("resource has acount"), "2:21: `resource` has no attribute `acount`");
    check(&when("context.regin == \"1\""), "2:16: `context` has no attribute `regin`");
    check(&when("context has \"my region\""), "2:21: `context` has no attribute `my region`");
    check(
        &when("resource.account == \"1\""),
        "2:8: `resource.account` is read without asking whether there is one",
    );
    check(
        &when("resource == Resource::\"*\" || resource.service == \"s3\""),
        "2:37: `resource.service` is read without asking whether there is one",
    );
}

#[test]
fn templates() {
    check(
        "permit (principal, action, resource);\npermit (principal == ?principal, action, resource);",
        "2:22: templates (`?principal`, `?resource`) are not supported",
    );
}

#[test]
fn comments_and_strings_are_no_places() {
    check(
        "// \"s3:Raed\" is a trap; https://example.com\npermit (principal, // not \"s3:Raed\"\n action in Action::\"s3:Raed\", resource);",
        "3:21: `s3:Raed` is not an action",
    );
    check(
        "// ü\npermit (principal, action, resource) when { \"ü // \\\" //\" == \"\" && principal is User };",
        "2:80: unknown entity type `User`",
    );
}

#[test]
fn a_rule_has_bounds() {
    check(
        &when(&format!("\"{}\" == \"\"", "a".repeat(70_000))),
        "2:65501: a rule may have at most 65536 bytes",
    );
    check(&when(&format!("{}true{}", "(".repeat(40), ")".repeat(40))), "2:39: brackets may nest 32 deep");
    check(&when(&"1 + ".repeat(401)), "2:1610: a rule may have at most 400 operators");
}

/// The worst that is let through neither overflows the stack of a test's thread when it is loaded,
/// nor when it is evaluated.
#[test]
fn nesting_within_bounds_does_not_overflow() {
    let nested = |outer: &str, close: &str, inner: &str, depth: usize| {
        format!("{}{}true{}", outer.repeat(30), inner.repeat(depth), close.repeat(30))
    };
    for condition in [
        nested("(", ")", "if true then false else ", 390),
        nested("(", ")", "true && ", 390),
        nested("(", ")", "false || ", 390),
        nested("[", "]", "", 0),
        nested("{a: ", "}", "", 0),
        format!("context.params{}", ".a".repeat(390)),
        format!("(((((((({}1)))))))) == 2", "1 + ".repeat(390)),
        vec!["resource.arn like \"arn:aws:s3:::*\""; 199].join(" || "),
    ] {
        let set = Policies::parse_untyped(&when(&condition)).unwrap();
        let call = operation(&[("s3:GetObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "*")]);
        drop(judge(&set, &caller(&[]), call));
    }
}

#[test]
fn every_error_is_reported_with_its_file_and_help() {
    let errors = Policies::parse([
        ("dir/b.cedar".into(), "permit (principal, action in Action::\"*:Raed\", resource);\nnonsense".to_owned()),
        (
            "dir/a.cedar".into(),
            "permit (principal is Grup, action, resource);\npermit (principal, action, resource)\nwhen { resource.acount == \"1\" };"
                .to_owned(),
        ),
    ])
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "dir/a.cedar:1:22: unknown entity type `Grup`\n  help: did you mean `Group`?\n\
         dir/a.cedar:3:17: `resource` has no attribute `acount`\n  help: did you mean `account`?\n\
         dir/b.cedar:2:9: unexpected end of input"
    );
}

#[test]
fn ids_count_and_digest() {
    let files = |order: [usize; 2]| {
        let all = [
            (
                "dir/a b.cedar",
                "permit (principal, action, resource);\n@id(\"x\") permit (principal, action, resource);",
            ),
            ("dir/c.cedar", "// nothing\n@description(\"why\") forbid (principal, action, resource);"),
        ];
        Policies::parse(order.map(|at| (all[at].0.into(), all[at].1.to_owned()))).unwrap()
    };
    let set = files([0, 1]);
    assert_eq!(set.rule_ids().collect::<Vec<_>>(), ["a_b.cedar#1", "x", "c.cedar#1"]);
    assert_eq!((set.rule_count(), set.file_count(), set.is_empty()), (3, 2, false));
    assert_eq!(set.digest(), files([1, 0]).digest());
    assert_eq!(set.digest().len(), 64);

    let digest = |name: &str, text: &str| {
        Policies::parse([(name.into(), text.to_owned())]).unwrap().digest().to_owned()
    };
    let rule = "permit (principal, action, resource);";
    assert_eq!(digest("one/a.cedar", rule), digest("two/a.cedar", rule));
    assert_ne!(digest("a.cedar", rule), digest("b.cedar", rule));
    assert_ne!(digest("a.cedar", rule), digest("a.cedar", &format!("{rule} ")));

    let empty = Policies::parse([]).unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.digest(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/// Every example of the guide loads; the first of its two `prod` rules is shown for its fault.
#[test]
fn the_guide_is_right() {
    let guide = include_str!("../../../../docs/policy-guide.md");
    let examples: Vec<&str> =
        guide.split("```cedar\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 10);
    for example in &examples {
        policies(example);
    }
    let prod: Vec<&&str> = examples.iter().filter(|example| example.contains("@id(\"prod\")")).collect();
    let list = || operation(&[("s3:ListAllMyBuckets", "*")]);
    let permit = "permit (principal, action, resource);";
    let refused = decide(&format!("{permit}{}", prod[0]), &[], list());
    assert!(matches!(refused, Err(Reason::EvaluationFailed { rules, .. }) if rules == ["prod"]));
    assert_eq!(decide(&format!("{permit}{}", prod[1]), &[], list()), allowed(&["p.cedar#1"]));
}
