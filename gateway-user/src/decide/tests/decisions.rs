use super::*;

const OBJECT: &str = "arn:aws:s3:::builds/app.tar";
const TABLE: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/jobs";

#[track_caller]
fn check(text: &str, pairs: &[(&str, &str)], expected: Result<Vec<String>, Reason>) {
    assert_eq!(decide(text, &["agents"], operation(pairs)), expected, "{text}");
}

#[test]
fn nothing_matched_is_denied() {
    let get = [("s3:GetObject", OBJECT)];
    let denied = || nothing("s3:GetObject", OBJECT);
    check("", &get, denied());
    check("forbid (principal, action, resource) when { false };", &get, denied());
    check("permit (principal, action == Action::\"s3:PutObject\", resource);", &get, denied());
    check("permit (principal, action in Action::\"dynamodb:*\", resource);", &get, denied());
    check("permit (principal == Workload::\"other\", action, resource);", &get, denied());
    check("permit (principal in Group::\"humans\", action, resource);", &get, denied());
    check("permit (principal, action, resource == Resource::\"arn:aws:s3:::builds/b\");", &get, denied());
    check("permit (principal, action, resource == Resource::\"*\");", &get, denied());
    check("permit (principal, action, resource) when { false };", &get, denied());
    check("permit (principal, action, resource) unless { true };", &get, denied());
}

#[test]
fn scopes_match() {
    let get = [("s3:GetObject", OBJECT)];
    for scope in [
        "principal, action, resource",
        "principal == Workload::\"builds\", action, resource",
        "principal in Workload::\"builds\", action, resource",
        "principal in Group::\"agents\", action, resource",
        "principal is Workload, action, resource is Resource",
        "principal is Workload in Group::\"agents\", action, resource",
        "principal, action == Action::\"s3:GetObject\", resource",
        "principal, action in Action::\"s3:GetObject\", resource",
        "principal, action in Action::\"s3:*\", resource",
        "principal, action in Action::\"*\", resource",
        "principal, action in [Action::\"s3:PutObject\", Action::\"s3:GetObject\"], resource",
        "principal, action in [Action::\"s3:*\", Action::\"s3:GetObject\"], resource",
        "principal, action in [Action::\"*\", Action::\"s3:GetObject\"], resource",
        "principal, action, resource == Resource::\"arn:aws:s3:::builds/app.tar\"",
    ] {
        // Once decided by the scope alone, once with Cedar asked.
        check(&format!("@id(\"r\") permit ({scope});"), &get, allowed(&["r"]));
        check(&format!("@id(\"r\") permit ({scope}) when {{ true }};"), &get, allowed(&["r"]));
        check(&format!("@id(\"r\") forbid ({scope});"), &get, forbidden(&["r"]));
        check(&format!("@id(\"r\") forbid ({scope}) when {{ true }};"), &get, forbidden(&["r"]));
    }
}

#[test]
fn conditions_read_the_call() {
    let get = [("s3:GetObject", OBJECT)];
    for condition in [
        "principal in Group::\"agents\" && principal == Workload::\"builds\"",
        "principal in [Group::\"agents\", Group::\"humans\"]",
        "action in Action::\"s3:*\" && action in Action::\"*\" && action == Action::\"s3:GetObject\"",
        "!(action in Action::\"dynamodb:*\")",
        "resource == Resource::\"arn:aws:s3:::builds/app.tar\"",
        "resource.arn like \"arn:aws:s3:::builds/*\"",
        "resource.service == \"s3\" && resource has type && resource.type == \"object\"",
        "!(resource has account) && !(resource has region)",
        "context.region == \"eu-central-1\" && context.workload == \"builds\"",
        "context.operation == \"s3:GetObject\"",
        "context.time == datetime(\"2023-11-14T22:13:20Z\") && context.time.toTime() > duration(\"22h\")",
        "context.unread.isEmpty()",
        "!(context.params has Key)",
    ] {
        let text = format!("@id(\"r\") permit (principal, action, resource) when {{ {condition} }};");
        check(&text, &get, allowed(&["r"]));
    }
    let table = "@id(\"r\") permit (principal, action, resource) when {
        resource has account && resource.account == \"123456789012\" &&
        resource has region && resource.region == \"eu-central-1\" &&
        resource has type && resource.type == \"table\" && resource.service == \"dynamodb\" };";
    check(table, &[("dynamodb:GetItem", TABLE)], allowed(&["r"]));
}

#[test]
fn parameters_of_every_kind() {
    let mut call = operation(&[("ec2:RunInstances", "*")]);
    call.params = BTreeMap::from([
        ("MaxCount".to_owned(), Param::Number(5)),
        ("DryRun".to_owned(), Param::Bool(true)),
        ("ImageId".to_owned(), Param::Text("ami-1".to_owned())),
        ("Ids".to_owned(), Param::List(vec![Param::Text("a".to_owned()), Param::Text("b".to_owned())])),
        (
            "Monitoring".to_owned(),
            Param::Record(BTreeMap::from([("with \"quotes\"".to_owned(), Param::Bool(false))])),
        ),
    ]);
    let text = "@id(\"r\") permit (principal, action, resource) when {
        context.params.MaxCount == 5 && context.params.DryRun && context.params.ImageId like \"ami-*\" &&
        context.params.Ids.containsAll([\"b\", \"a\"]) && !context.params.Monitoring[\"with \\\"quotes\\\"\"] };";
    assert_eq!(decide_untyped(text, &[], call.clone()), allowed(&["r"]));

    let few = "permit (principal, action, resource);
        @id(\"few\") forbid (principal, action == Action::\"ec2:RunInstances\", resource)
        when { context.params has MaxCount && context.params.MaxCount > 4 };";
    assert_eq!(decide(few, &[], call.clone()), forbidden(&["few"]));
    call.params.insert("MaxCount".to_owned(), Param::Number(4));
    assert_eq!(decide(few, &[], call.clone()), allowed(&["p.cedar#1"]));
    call.params.remove("MaxCount");
    assert_eq!(decide(few, &[], call), allowed(&["p.cedar#1"]));
}

#[test]
fn a_forbid_overrides_every_permit() {
    let text = "@id(\"all\") permit (principal, action, resource);
        @id(\"also\") permit (principal, action in Action::\"s3:*\", resource);
        @id(\"no-iam\") forbid (principal, action in Action::\"iam:*\", resource);
        @id(\"no-users\") forbid (principal, action == Action::\"iam:CreateUser\", resource) when { true };";
    check(text, &[("s3:GetObject", OBJECT)], allowed(&["all", "also"]));
    check(text, &[("iam:ListUsers", "*")], forbidden(&["no-iam"]));
    check(text, &[("iam:CreateUser", "*")], forbidden(&["no-iam", "no-users"]));
}

#[test]
fn every_pair_must_be_allowed() {
    let source = "arn:aws:s3:::builds/a";
    let target = "arn:aws:s3:::releases/a";
    let copy = [("s3:GetObject", source), ("s3:PutObject", target)];
    let read = "@id(\"read\") permit (principal, action == Action::\"s3:GetObject\", resource);";
    let write = "@id(\"write\") permit (principal, action == Action::\"s3:PutObject\", resource);";
    let guard = "@id(\"guard\") forbid (principal, action, resource)
        when { resource.arn like \"arn:aws:s3:::releases/*\" };";
    check(read, &copy, nothing("s3:PutObject", target));
    check(write, &copy, nothing("s3:GetObject", source));
    check(&format!("{read}{write}"), &copy, allowed(&["read", "write"]));
    check(&format!("{read}{write}{guard}"), &copy, forbidden(&["guard"]));
    // A forbid is the graver reason, also when an earlier pair is merely not permitted.
    check(&format!("{write}{guard}"), &copy, forbidden(&["guard"]));
    check("permit (principal, action, resource);", &[], nothing("s3:None", "*"));
}

#[test]
fn a_rule_that_fails_denies_the_call() {
    let permit = "permit (principal, action, resource);";
    let failing = |text: &str, rules: &[&str], words: &str| match decide_untyped(
        &format!("{permit}{text}"),
        &[],
        operation(&[("s3:GetObject", OBJECT)]),
    ) {
        Err(Reason::EvaluationFailed { rules: failed, detail }) => {
            assert_eq!(failed, rules, "{text}");
            assert!(detail.contains(words), "{detail}");
        }
        other => panic!("{text}: {other:?}"),
    };
    failing(
        "@id(\"f\") forbid (principal, action, resource) when { context.params.Key == \"a\" };",
        &["f"],
        "does not have the attribute `Key`",
    );
    failing(
        "@id(\"g\") permit (principal, action, resource) when { context.params.Key == \"a\" };",
        &["g"],
        "does not have the attribute `Key`",
    );
    failing(
        "@id(\"t\") forbid (principal, action, resource) when { context.region > 5 };",
        &["t"],
        "type error",
    );
    failing(
        "@id(\"o\") forbid (principal, action, resource) when { context.time.offset(duration(\"9223372036854775807ms\")) > context.time };",
        &["o"],
        "overflow",
    );
    // Asking is not enough, the answer must be heeded.
    failing(
        "@id(\"u\") forbid (principal, action, resource) unless { !(resource has account) && resource.account == \"1\" };",
        &["u"],
        "does not have the attribute",
    );
}

#[test]
fn parameters_nested_too_deep_deny() {
    let mut deep = Param::Number(1);
    for _ in 0..5000 {
        deep = Param::List(vec![deep]);
    }
    let mut call = operation(&[("s3:GetObject", OBJECT)]);
    call.params.insert("Deep".to_owned(), deep);
    let reads = "@id(\"r\") permit (principal, action, resource) when { context.params has Deep };";
    assert_eq!(
        decide(reads, &[], call),
        Err(Reason::EvaluationFailed {
            rules: vec!["r".to_owned()],
            detail: "the parameters nest deeper than 100 levels".to_owned(),
        })
    );
}

/// A resource that cannot be computed satisfies no permit that looks at it, and escapes no forbid.
#[test]
fn an_unknown_resource() {
    let unknown = |rules: &[&str]| -> Result<Vec<String>, Reason> {
        Err(Reason::EvaluationFailed {
            rules: rules.iter().map(|id| (*id).to_owned()).collect(),
            detail: "the resource of s3:DeleteObject cannot be computed from this request, \
                     and the rule depends on it"
                .to_owned(),
        })
    };
    let permit = "@id(\"p\") permit (principal, action, resource);";
    let secret = "Resource::\"arn:aws:s3:::secret/key\"";
    let forbid = |rest: &str| format!("{permit}@id(\"f\") forbid (principal, action, {rest};");
    for resource in ["*", "", "not an arn", "arn:aws:s3"] {
        let delete = [("s3:DeleteObject", resource)];
        let denied = || nothing("s3:DeleteObject", resource);
        let check = |text: &str, expected| check(text, &delete, expected);

        check(permit, allowed(&["p"]));
        for looks in [
            format!("resource == {secret})"),
            format!("resource) when {{ resource == {secret} }}"),
            "resource) when { resource.arn like \"arn:aws:s3:::secret/*\" }".to_owned(),
            "resource) when { resource has account && resource.account == \"1\" }".to_owned(),
            "resource) unless { resource has account && resource.account == \"1\" }".to_owned(),
            format!("resource) when {{ context.region == \"eu-central-1\" && resource == {secret} }}"),
            format!("resource) when {{ resource == {secret} }} unless {{ context.region == \"us-east-1\" }}"),
            format!("resource) unless {{ context.region == \"us-east-1\" || !(resource == {secret}) }}"),
            format!("resource) when {{ if true then resource == {secret} else false }}"),
        ] {
            check(&forbid(&looks), unknown(&["f"]));
        }
        // What is known not to hold, whatever the resource is, still counts.
        for no in [
            format!("resource) when {{ context.region == \"us-east-1\" && resource == {secret} }}"),
            format!(
                "resource) when {{ resource == {secret} }} unless {{ context.region == \"eu-central-1\" }}"
            ),
            format!("resource) unless {{ context.region == \"eu-central-1\" || !(resource == {secret}) }}"),
            format!(
                "resource) when {{ resource == {secret} }} unless {{ action == Action::\"s3:DeleteObject\" }}"
            ),
        ] {
            check(&forbid(&no), allowed(&["p"]));
        }
        // Permits that look at the resource do not apply, not even those that exclude one.
        for looks in [
            format!("resource == {secret})"),
            format!("resource) when {{ resource == {secret} }}"),
            format!("resource) unless {{ resource == {secret} }}"),
            "resource) when { resource.arn like \"*\" }".to_owned(),
            "resource) when { resource has account && resource.account == \"1\" }".to_owned(),
            "resource) unless { resource has account }".to_owned(),
        ] {
            check(&format!("permit (principal, action, {looks};"), denied());
        }
    }
    // A rule that names Resource::"*" is taken at its word.
    for resource in ["*", "", "not an arn"] {
        let delete = [("s3:DeleteObject", resource)];
        check(
            "@id(\"r\") permit (principal, action, resource == Resource::\"*\");",
            &delete,
            allowed(&["r"]),
        );
        check(
            &format!(
                "@id(\"r\") permit (principal, action, resource)
                 when {{ resource == Resource::\"*\" || resource == {secret} }};"
            ),
            &delete,
            allowed(&["r"]),
        );
        let exempt =
            format!("resource) when {{ resource == {secret} }} unless {{ resource == Resource::\"*\" }}");
        check(&forbid(&exempt), &delete, allowed(&["p"]));
        let both = format!("resource) when {{ resource == {secret} || resource == Resource::\"*\" }}");
        check(&forbid(&both), &delete, forbidden(&["f"]));
        check(&forbid("resource == Resource::\"*\")"), &delete, forbidden(&["f"]));
    }
    check(&forbid("resource == Resource::\"*\")"), &[("s3:DeleteObject", OBJECT)], allowed(&["p"]));
    let delete = [("s3:DeleteObject", "*")];
    // Reading what `*` does not have fails, and a failure denies.
    assert!(matches!(
        decide_untyped(
            &forbid(
                "resource) when { resource != Resource::\"*\" || resource.account == \"1\" || resource has account }"
            ),
            &[],
            operation(&delete)
        ),
        Err(Reason::EvaluationFailed { .. })
    ));
}

#[test]
fn what_an_agent_can_choose_is_data() {
    let arn = "arn:aws:s3:::b/\"; permit(principal, action, resource); //\u{0}\u{202e}";
    check(
        "@id(\"r\") permit (principal, action, resource) when { resource.arn like \"arn:aws:s3:::b/*\" };",
        &[("s3:GetObject", arn)],
        allowed(&["r"]),
    );
    // The group itself is no action.
    check(
        "permit (principal, action == Action::\"s3:GetObject\", resource);",
        &[("s3:*", OBJECT)],
        nothing("s3:*", OBJECT),
    );
    check(
        "permit (principal, action == Action::\"s3:GetObject\", resource);",
        &[("", OBJECT)],
        nothing("", OBJECT),
    );
}

#[test]
fn an_allow_names_operation_rules_and_digest() {
    let call = operation(&[("s3:GetObject", OBJECT)]);
    let Verdict::Allow(permit) =
        judge(&policies("permit (principal, action, resource);"), &caller(&[]), call.clone())
    else {
        panic!("denied")
    };
    assert_eq!(permit.operation(), &call);
    assert_eq!(permit.digest(), RequestDigest([7; 32]));
    assert_eq!(permit.rules(), ["p.cedar#1"]);
}

#[test]
fn reasons_in_words() {
    let rules = vec!["a".to_owned(), "b".to_owned()];
    let check = |reason: Reason, words: &str, ids: usize| {
        assert_eq!(reason.to_string(), words);
        assert_eq!(reason.rules().len(), ids);
    };
    check(Reason::Forbidden { rules: rules.clone() }, "forbidden by a, b", 2);
    check(
        Reason::NothingPermits { action: "s3:GetObject".to_owned(), resource: "*".to_owned() },
        "no rule permits s3:GetObject on *",
        0,
    );
    check(
        Reason::EvaluationFailed { rules, detail: "why".to_owned() },
        "a, b could not be evaluated: why",
        2,
    );
}
