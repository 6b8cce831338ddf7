use super::*;

/// What loads with these warnings.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let set = policies(text);
    let found: Vec<&str> = set.warnings().iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn permits_that_a_forbid_makes_pointless() {
    let forbid = "@id(\"no\") forbid (principal, action in Action::\"iam:*\", resource);";
    let pointless = ["this rule permits nothing: `no` forbids all of it"];
    let with = |permit: &str, expected: &[&str]| check(&format!("{permit} {forbid}"), expected);
    with("permit (principal, action in Action::\"iam:Read\", resource);", &pointless);
    with(
        "permit (principal, action == Action::\"iam:CreateUser\", resource) when { context.region == \"a\" };",
        &pointless,
    );
    with(
        "permit (principal in Group::\"g\", action in [Action::\"iam:List\", Action::\"iam:GetUser\"], resource);",
        &pointless,
    );
    with("permit (principal, action in Action::\"*:Read\", resource);", &[]);
    with("permit (principal, action in [Action::\"iam:Read\", Action::\"s3:GetObject\"], resource);", &[]);
    with("permit (principal, action, resource);", &[]);

    let narrow = "@id(\"no\") forbid (principal == Workload::\"a\", action, resource == Resource::\"arn:aws:s3:::b\");";
    let permit = |scope: &str| format!("permit ({scope}); {narrow}");
    check(
        &permit("principal == Workload::\"a\", action, resource == Resource::\"arn:aws:s3:::b\""),
        &pointless,
    );
    check(&permit("principal == Workload::\"b\", action, resource == Resource::\"arn:aws:s3:::b\""), &[]);
    check(&permit("principal, action, resource == Resource::\"arn:aws:s3:::b\""), &[]);
    check(&permit("principal == Workload::\"a\", action, resource"), &[]);
    // A forbid with a condition may not apply; everything may be switched off at once.
    check(
        "permit (principal, action, resource); forbid (principal, action, resource) when { context.region == \"a\" };",
        &[],
    );
    check(
        "permit (principal, action, resource); @id(\"no\") forbid (principal, action, resource);",
        &pointless,
    );
}

#[test]
fn rules_that_never_apply() {
    let never = ["this rule never applies: its conditions hold for no call that it is about"];
    check(
        "forbid (principal, action == Action::\"s3:GetObject\", resource) when { action == Action::\"s3:PutObject\" };",
        &never,
    );
    check(
        "forbid (principal, action in Action::\"s3:Read\", resource) when { action in Action::\"iam:*\" };",
        &never,
    );
    check("forbid (principal, action, resource) when { false };", &never);
    check(
        "forbid (principal, action in Action::\"s3:*\", resource) when { action == Action::\"s3:PutObject\" };",
        &[],
    );
    check(
        "forbid (principal, action in Action::\"*:Read\", resource) when { action in Action::\"s3:*\" };",
        &[],
    );
}

#[test]
fn resources_of_other_services() {
    let rule = |action: &str, arn: &str| {
        format!("forbid (principal, action in Action::\"{action}\", resource == Resource::\"{arn}\");")
    };
    let foreign = |service: &str| format!("none of the rule's actions acts on a resource of `{service}`");
    let queue = "arn:aws:sqs:eu-central-1:123456789012:q";
    check(&rule("s3:GetObject", queue), &[&foreign("sqs")]);
    check(&rule("s3:*", queue), &[&foreign("sqs")]);
    check(&rule("*:Read", queue), &[]);
    check(&rule("sqs:Write", queue), &[]);
    // Roles are IAM's, instances are EC2's.
    check(&rule("sts:AssumeRole", "arn:aws:iam::123456789012:role/r"), &[]);
    check(&rule("ssm:StartSession", "arn:aws:ec2:eu-central-1:123456789012:instance/i-1"), &[]);
    check(&rule("ssm:StartSession", queue), &[&foreign("sqs")]);
}
