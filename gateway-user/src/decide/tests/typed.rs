use super::*;

/// What is wrong with a rule about `action` with this condition; empty where it loads.
fn complaints(effect: &str, action: &str, condition: &str) -> Vec<String> {
    let text = format!("{effect} (principal, {action}, resource) when {{ {condition} }};");
    match Policies::parse([("p.cedar".into(), text)]) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.errors().iter().map(|error| error.message.clone()).collect(),
    }
}

const RUN: &str = "action == Action::\"ec2:RunInstances\"";

#[test]
fn conditions_that_cannot_fail_load() {
    let check = |action: &str, condition: &str| {
        for effect in ["permit", "forbid"] {
            assert_eq!(complaints(effect, action, condition), [""; 0], "{action}: {condition}");
        }
    };
    check(RUN, "context.params has MaxCount && context.params.MaxCount > 5");
    check(RUN, "context.params has DryRun && !context.params.DryRun");
    check(RUN, "context.params has SecurityGroupIds && context.params.SecurityGroupIds.contains(\"sg-1\")");
    check(
        RUN,
        "context.params has MetadataOptions.HttpTokens && context.params.MetadataOptions.HttpTokens == \"required\"",
    );
    check("action", "context.params has Bucket && context.params.Bucket like \"b*\"");
    check("action in Action::\"s3:*\"", "context.params has Key && context.params.Key == \"a\"");
    // No operation has this action, so nothing is known of parameters: they are what they are used as.
    let invoke = "action == Action::\"execute-api:Invoke\"";
    check(invoke, "context.params has DelaySeconds && context.params.DelaySeconds < 3");
    check(invoke, "context.params has Attrs.x.y && context.params.Attrs.x.y like \"z\"");
    // What is done with the data of directory buckets needs it as well, not only the operation of its name.
    let session = "action == Action::\"s3express:CreateSession\"";
    check(session, "context.params has Key && context.params.Key like \"a/*\"");
    check("action", "resource has account && resource.account == \"1\"");
    check("action", "context.time > datetime(\"2026-01-01T00:00:00Z\")");
    check(RUN, "action == Action::\"ec2:RunInstances\" && context.session.calls > 3");
}

#[test]
fn conditions_that_may_fail_do_not_load() {
    let check = |action: &str, condition: &str, expected: &str| {
        for effect in ["permit", "forbid"] {
            assert_eq!(complaints(effect, action, condition), [expected], "{action}: {condition}");
        }
    };
    let unasked = "is read without asking whether it is there";
    check(RUN, "context.params.MaxCount > 5", &format!("`context.params.MaxCount` {unasked}"));
    check(
        "action == Action::\"execute-api:Invoke\"",
        "context.params.DelaySeconds < 3",
        &format!("`context.params.DelaySeconds` {unasked}"),
    );
    // Asked in the wrong branch.
    check(
        RUN,
        "context.params has MaxCount || context.params.MaxCount > 5",
        &format!("`context.params.MaxCount` {unasked}"),
    );
    check(
        RUN,
        "context.params has MaxCount && context.params.MaxCount == \"five\"",
        "the types Long and String are not compatible",
    );
    check(
        RUN,
        "context.params has MaxCount && context.params.MaxCount like \"5*\"",
        "unexpected type: expected String but saw Long",
    );
    check("action", "context.region > 5", "unexpected type: expected Long but saw String");
    check(
        RUN,
        "context.params has MaxConut && context.params.MaxConut > 5",
        "no call that this rule is about has a parameter `MaxConut`",
    );
    check("action", "context == context", "`context` as a whole cannot be read");
    check("action", "context.session == context.session", "`context.session` as a whole cannot be read");
    check(
        "action",
        "context.session.counts == context.session.counts",
        "`context.session.counts` as a whole cannot be read",
    );
    check("action", "context.session.counts[\"ec2:RunInstance\"] > 1", "`ec2:RunInstance` is not an action");
    check(
        "action",
        "context.session.counts[\"ec2:*\"] > 1",
        "`ec2:*` is a group: only single actions are counted",
    );
    check("action", "context.session.sums[\"ec2:RunInstances\"] > 1", "`ec2:RunInstances` is not a sum");
    check("action", "context.session.duration > 1", "attribute `session.duration` not found");
}

/// A type is right only if it is right for every call that the rule is about: three services have an
/// operation that needs rds:CreateDBInstance, and one of them has a parameter MultiTenant.
#[test]
fn every_kind_of_call_is_checked() {
    let found =
        |condition: &str| complaints("forbid", "action == Action::\"rds:CreateDBInstance\"", condition);
    assert_eq!(found("context.params has MultiTenant && context.params.MultiTenant"), [""; 0]);
    let wrong = found("context.params has MultiTenant && context.params.MultiTenant > 5");
    assert!(
        matches!(wrong.as_slice(), [one] if one.starts_with("unexpected type: expected Long")),
        "{wrong:?}"
    );
    let unasked = found("context.params.MultiTenant");
    assert_eq!(unasked.len(), 2, "absent in two, optional in one: {unasked:?}");
}

#[test]
fn errors_say_where() {
    let text = "permit (principal, action == Action::\"ec2:RunInstances\", resource)\nwhen { context.params.MaxCount > 5 };";
    let errors = Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "p.cedar:2:23: `context.params.MaxCount` is read without asking whether it is there\n  \
           help: ask first, with `has` and `&&`: not every call has it"
    );
}
