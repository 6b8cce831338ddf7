use std::sync::Arc;

use super::*;
use crate::{classify::Token, identify::Mode, tokens::Secret};

const PERMIT: &str = "@id(\"call\") permit (principal, action, resource);";
const INSERT: &str = "action == Action::\"insert\"";

/// A call with a token in one parameter, or in two.
fn call(fields: &[&str]) -> Operation {
    let secret = Secret {
        operation: "secretsmanager:GetSecretValue".to_owned(),
        field: "SecretString".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "123456789012".to_owned(),
        resource: "*".to_owned(),
        id: "db".to_owned(),
        version: String::new(),
        alone: true,
    };
    let token = |field: &&str| Token {
        field: (*field).to_owned(),
        path: (*field).to_owned(),
        text: "chaperone:secret:x".to_owned(),
        secret: Some(Arc::new(secret.clone())),
    };
    let pairs =
        [("lambda:UpdateFunctionConfiguration", "arn:aws:lambda:eu-central-1:123456789012:function:f")];
    Operation { tokens: fields.iter().map(token).collect(), ..operation(&pairs) }
}

fn said(rules: &str, caller: &Caller, call: Operation) -> String {
    match judge(&policies(rules), caller, call) {
        Verdict::Allow(permit) => {
            let fields: Vec<&str> = permit.inserted().iter().map(|one| one.token.field.as_str()).collect();
            assert!(
                permit.inserted().iter().flat_map(|one| &one.rules).all(|id| permit.rules().contains(id))
            );
            format!("allow {} inserting {}", permit.rules().join(" "), fields.join(" "))
        }
        Verdict::Ask(question) => {
            assert!(question.inserts());
            format!("ask {}", question.approvals.rules().join(" "))
        }
        Verdict::Deny(Denial { reason: Reason::NotInserted { field, reason, .. }, .. }) => {
            format!("not into {field}, {reason}")
        }
        Verdict::Deny(Denial { reason, .. }) => format!("deny, {reason}"),
    }
}

#[track_caller]
fn check(rules: &str, call: Operation, expected: &str) {
    assert_eq!(said(rules, &caller(&["agents"]), call), expected, "{rules}");
}

fn inserts(condition: &str) -> String {
    format!("{PERMIT} @id(\"put\") permit (principal, {INSERT}, resource) {condition};")
}

fn nothing(field: &str) -> String {
    format!("not into {field}, no rule permits insert on arn:aws:lambda:eu-central-1:123456789012:function:f")
}

#[test]
fn only_a_rule_that_names_it_inserts() {
    check(PERMIT, call(&["A"]), &nothing("A"));
    for action in
        ["action in Action::\"*\"", "action in Action::\"lambda:*\"", "action == Action::\"reveal\""]
    {
        check(&format!("{PERMIT} permit (principal, {action}, resource);"), call(&["A"]), &nothing("A"));
    }
    check(&inserts(""), call(&["A", "B"]), "allow call put inserting A B");
    check(&inserts(""), call(&[]), "allow call inserting ");
    let alone = format!("permit (principal, {INSERT}, resource);");
    check(
        &alone,
        call(&["A"]),
        "deny, no rule permits lambda:UpdateFunctionConfiguration on arn:aws:lambda:eu-central-1:123456789012:function:f",
    );
    // Of what nobody knows what it stands for nothing is permitted.
    let mut unknown = call(&["A"]);
    unknown.tokens[0].secret = None;
    check(&inserts(""), unknown, "not into A, no rule permits insert on *");
}

#[test]
fn every_token_is_asked_about_with_its_place_and_its_origin() {
    for condition in [
        "when { context.field == \"A\" }",
        "when { context.secret.operation == \"secretsmanager:GetSecretValue\" && context.secret.id == \"db\" }",
        "when { context.secret.field == \"SecretString\" && context.secret.resource == \"*\" }",
        "when { context.secret.version == \"\" }",
        "when { context.secret.region == \"eu-central-1\" && context.secret.account == \"123456789012\" }",
        "when { context.operation == \"lambda:UpdateFunctionConfiguration\" && resource has type && resource.type == \"function\" }",
    ] {
        check(&inserts(condition), call(&["A"]), "allow call put inserting A");
    }
    check(&inserts("when { context.field == \"A\" }"), call(&["A", "B"]), &nothing("B"));
    check(&inserts("when { context.secret.id == \"other\" }"), call(&["A"]), &nothing("A"));
    check(&inserts("when { context.secret.region == \"us-east-1\" }"), call(&["A"]), &nothing("A"));
    check(&inserts("when { context.secret.account == \"210987654321\" }"), call(&["A"]), &nothing("A"));
    let both =
        "@id(\"both\") permit (principal, action in [Action::\"lambda:*\", Action::\"insert\"], resource)
        when { !(context has secret) || context.secret.id == \"db\" };";
    check(both, call(&["A"]), "allow both inserting A");
}

#[test]
fn a_forbid_wins_and_observing_inserts_nothing() {
    for action in [INSERT, "action"] {
        let forbid = format!(
            "@id(\"no\") forbid (principal, {action}, resource) when {{ context has secret && context.secret.id == \"db\" }};"
        );
        check(&format!("{}{forbid}", inserts("")), call(&["A"]), "not into A, forbidden by no");
    }
    let Caller { session, pid, uid } = caller(&["agents"]);
    let mut session = Arc::into_inner(session).unwrap();
    let mut workload = Arc::into_inner(session.workload).unwrap();
    workload.mode = Mode::Observe;
    session.workload = Arc::new(workload);
    let watched = Caller { session: Arc::new(session), pid, uid };
    let said = |rules: &str| said(rules, &watched, call(&["A"]));
    assert_eq!(said(PERMIT), nothing("A"));
    assert_eq!(said(&inserts("")), "allow call put inserting A");
    // The call itself is enforced, too.
    assert!(
        said(&format!("permit (principal, {INSERT}, resource);"))
            .starts_with("not into A, no rule permits lambda:")
    );
}

#[test]
fn somebody_may_be_asked() {
    let asks =
        "@id(\"ask\") @reviewers(\"oncall\") permit (principal, action == Action::\"insert\", resource)
        when { context has approval && context.approval.groups.contains(\"oncall\") };";
    check(&format!("{PERMIT}{asks}"), call(&["A", "B"]), "ask ask");
}

#[test]
fn what_would_mean_nothing_does_not_load() {
    let complaint = |rule: &str| match Policies::parse([("p.cedar".into(), rule.to_owned())]) {
        Ok(set) => panic!("it loads: {rule} {:?}", set.warnings()),
        Err(errors) => errors.to_string(),
    };
    for (rule, expected) in [
        ("permit (principal, action == Action::\"Insert\", resource);", "`Insert` is not an action"),
        (
            "permit (principal, action == Action::\"lambda:insert\", resource);",
            "`lambda:insert` is not an action",
        ),
        (
            "permit (principal, action == Action::\"reveal\", resource) when { context.secret.id == \"a\" };",
            "`context.secret` is there only where it is asked whether to insert something",
        ),
        (
            "permit (principal, action in [Action::\"s3:*\", Action::\"insert\"], resource) when { context.secret.id == \"a\" };",
            "`context.secret` is read without asking whether it is there",
        ),
        (
            "permit (principal, action in Action::\"s3:*\", resource) when { action == Action::\"insert\" };",
            "this rule is never asked whether to insert anything",
        ),
        (
            "permit (principal, action == Action::\"insert\", resource) when { context.session.counts[\"insert\"] > 1 };",
            "what is put into requests is not counted",
        ),
        (
            "permit (principal, action == Action::\"insert\", resource) when { context.secret.value == \"a\" };",
            "value",
        ),
    ] {
        let found = complaint(rule);
        assert!(found.contains(expected), "{rule}: {found}");
    }
}

#[test]
fn what_does_not_look_at_the_field_is_warned_of() {
    let warnings = |condition: &str| {
        let set = policies(&format!("permit (principal, {INSERT}, resource) {condition};"));
        set.warnings().iter().map(|warning| warning.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(warnings("when { context.field == \"A\" }"), [""; 0]);
    for condition in ["", "when { context.secret.id == \"db\" }"] {
        let found = warnings(condition);
        assert!(found.len() == 1 && found[0].contains("into any parameter"), "{found:?}");
    }
}
