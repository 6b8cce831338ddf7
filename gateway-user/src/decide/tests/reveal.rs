use super::*;
use crate::{classify::answer::WHOLE, identify::Mode};

const PERMIT: &str = "@id(\"call\") permit (principal, action, resource);";
const REVEAL: &str = "action == Action::\"reveal\"";
const USER: &str = "arn:aws:iam::123456789012:user/ci";
const OTHER: &str = "arn:aws:iam::123456789012:user/root";

/// A call whose answer is withheld as a whole.
fn token() -> Operation {
    withholding(&[("ecr:GetAuthorizationToken", "*")], &[WHOLE])
}

fn withholding(pairs: &[(&str, &str)], fields: &[&str]) -> Operation {
    Operation { withheld: fields.iter().map(|field| (*field).into()).collect(), ..operation(pairs) }
}

/// `allow` with all rules, `ask`, `deny`, or `withheld` and why.
fn said(policies: &Policies, caller: &Caller, call: Operation) -> String {
    match judge(policies, caller, call) {
        Verdict::Allow(permit) => {
            let fields: Vec<&str> = permit.revealed().iter().map(|part| &*part.field).collect();
            assert!(
                permit.revealed().iter().flat_map(|part| &part.rules).all(|id| permit.rules().contains(id))
            );
            format!("allow {} revealing {}", permit.rules().join(" "), fields.join(" "))
        }
        Verdict::Ask(question) => format!("ask {}", question.approvals.rules().join(" ")),
        Verdict::Deny(Denial { reason: Reason::NotRevealed { reason, .. }, .. }) => {
            format!("withheld, {reason}")
        }
        Verdict::Deny(Denial { reason, .. }) => format!("deny, {reason}"),
    }
}

#[track_caller]
fn check(rules: &str, call: Operation, expected: &str) {
    assert_eq!(said(&policies(rules), &caller(&["agents"]), call), expected, "{rules}");
}

fn reveals(scope: &str, condition: &str) -> String {
    format!("{PERMIT} @id(\"show\") permit ({scope}, resource) {condition};")
}

const NOTHING: &str = "withheld, no rule permits reveal on *";

#[test]
fn only_a_rule_that_names_it_reveals() {
    check(PERMIT, token(), NOTHING);
    for action in ["action", "action in Action::\"*\"", "action in [Action::\"*\", Action::\"ecr:*\"]"] {
        check(&format!("permit (principal, {action}, resource);"), token(), NOTHING);
        check(&format!("permit (principal, {action}, resource) when {{ true }};"), token(), NOTHING);
    }
    for action in ["ecr:*", "ecr:Read", "*:Read"] {
        let rule = format!("permit (principal, action in Action::\"{action}\", resource);");
        check(&format!("{PERMIT}{rule}"), token(), NOTHING);
    }
    for action in [
        REVEAL,
        "action in Action::\"reveal\"",
        "action in [Action::\"reveal\"]",
        "action in [Action::\"s3:*\", Action::\"reveal\"]",
    ] {
        check(&reveals(&format!("principal, {action}"), ""), token(), "allow call show revealing *");
    }
    // A rule that lists it beside all others permits the call as well.
    let both = "@id(\"both\") permit (principal, action in [Action::\"*\", Action::\"reveal\"], resource);";
    check(both, token(), "allow both revealing *");
    // It is in no group.
    check(&reveals(&format!("principal, {REVEAL}"), "when { action in Action::\"*\" }"), token(), NOTHING);
    // The call needs a permit of its own.
    let alone = format!("permit (principal, {REVEAL}, resource);");
    check(&alone, token(), "deny, no rule permits ecr:GetAuthorizationToken on *");
    // Where nothing is withheld, nothing is asked and nothing said.
    let plain = operation(&[("ecr:DescribeRepositories", "*")]);
    check(&reveals(&format!("principal, {REVEAL}"), ""), plain, "allow call revealing ");
}

#[test]
fn a_forbid_wins() {
    let shown = reveals(&format!("principal, {REVEAL}"), "");
    let with =
        |forbid: &str, expected: &str| check(&format!("{shown} @id(\"no\") {forbid};"), token(), expected);
    let forbidden = "withheld, forbidden by no";
    with(&format!("forbid (principal, {REVEAL}, resource)"), forbidden);
    with(&format!("forbid (principal in Group::\"agents\", {REVEAL}, resource)"), forbidden);
    with(
        &format!("forbid (principal in Group::\"humans\", {REVEAL}, resource)"),
        "allow call show revealing *",
    );
    // What forbids everything but some calls forbids revealing: it is none of them.
    let but = "unless { action == Action::\"ecr:GetAuthorizationToken\" }";
    with(&format!("forbid (principal, action, resource) {but}"), forbidden);
    with(&format!("forbid (principal, action in Action::\"*\", resource) {but}"), forbidden);
    let neither = "unless { action in [Action::\"ecr:GetAuthorizationToken\", Action::\"reveal\"] }";
    with(&format!("forbid (principal, action, resource) {neither}"), "allow call show revealing *");
    with("forbid (principal, action in Action::\"*:Write\", resource)", "allow call show revealing *");
    // Of a forbidden call it is said that it is forbidden.
    with("forbid (principal, action, resource)", "deny, forbidden by no");
}

#[test]
fn conditions_choose_what_is_revealed() {
    let rule = |condition: &str| reveals(&format!("principal, {REVEAL}"), condition);
    let shown = "allow call show revealing *";
    for condition in [
        "when { context.field == \"*\" }",
        "when { context.operation == \"ecr:GetAuthorizationToken\" }",
        "when { context has field && context.region == \"eu-central-1\" }",
        "when { principal in Group::\"agents\" && resource == Resource::\"*\" }",
        "unless { context.field like \"Secret*\" }",
    ] {
        check(&rule(condition), token(), shown);
    }
    for condition in [
        "when { context.field == \"SecretString\" }",
        "when { context.operation == \"iam:CreateAccessKey\" }",
        "when { principal in Group::\"humans\" }",
        "when { resource.arn like \"arn:aws:ecr:*\" }",
    ] {
        check(&rule(condition), token(), NOTHING);
    }

    let named =
        format!("{PERMIT} @id(\"show\") permit (principal, {REVEAL}, resource == Resource::\"{USER}\");");
    let key = |pairs: &[(&str, &str)]| withholding(pairs, &[WHOLE]);
    check(&named, key(&[("iam:CreateAccessKey", USER)]), shown);
    let nothing = format!("withheld, no rule permits reveal on {OTHER}");
    check(&named, key(&[("iam:CreateAccessKey", OTHER)]), &nothing);
    // Every resource of the call, whatever it is for.
    check(&named, key(&[("iam:CreateAccessKey", USER), ("iam:PassRole", OTHER)]), &nothing);
    check(&named, key(&[("iam:CreateAccessKey", USER), ("iam:TagUser", USER)]), shown);

    let params = rule("when { context.params has UserName && context.params.UserName == \"ci\" }");
    let mut call = key(&[("iam:CreateAccessKey", USER)]);
    call.params.insert("UserName".to_owned(), Param::Text("ci".to_owned()));
    check(&params, call, shown);
    check(&params, token(), NOTHING);
}

#[test]
fn parts_of_answers_are_revealed_one_by_one() {
    const FIELDS: &[&str] = &["SecretString", "Parameters[].Value"];
    let call = || withholding(&[("secretsmanager:GetSecretValue", "*")], FIELDS);
    let rule = |condition: &str| reveals(&format!("principal, {REVEAL}"), condition);
    check(&rule(""), call(), "allow call show revealing SecretString Parameters[].Value");
    check(&rule("when { context.field like \"Secret*\" }"), call(), "allow call show revealing SecretString");
    // Without a part of its answer, a call is made all the same.
    check(PERMIT, call(), "allow call revealing ");
    let forbid = format!("{} @id(\"no\") forbid (principal, {REVEAL}, resource);", rule(""));
    check(&forbid, call(), "allow call revealing ");
    check(&format!("{PERMIT}{}", asks("secret", REVEAL)), call(), "allow call revealing ");
}

#[test]
fn what_cannot_be_evaluated_reveals_nothing() {
    let fails = "context.time.offset(duration(\"9223372036854775807ms\")) > context.time";
    let failing = format!(
        "{PERMIT} @id(\"show\") permit (principal, {REVEAL}, resource);
        @id(\"bad\") permit (principal, {REVEAL}, resource) when {{ {fails} }};"
    );
    let said = said(&policies(&failing), &caller(&[]), token());
    assert!(said.starts_with("withheld, bad could not be evaluated: "), "{said}");
    // A resource that is not known may be the forbidden one.
    let looks = format!(
        "{} @id(\"no\") forbid (principal, {REVEAL}, resource) when {{ resource.arn like \"*prod*\" }};",
        reveals(&format!("principal, {REVEAL}"), "")
    );
    check(
        &looks,
        token(),
        "withheld, no could not be evaluated: the resource of reveal cannot be computed from this \
        request, and the rule depends on it",
    );
}

fn asks(id: &str, action: &str) -> String {
    format!(
        "@id(\"{id}\") @reviewers(\"oncall\") permit (principal, {action}, resource)
         when {{ context has approval && context.approval.groups.contains(\"oncall\") }};"
    )
}

#[test]
fn what_only_an_approval_would_reveal_asks() {
    let (show, call) =
        (asks("show", REVEAL), asks("call", "action == Action::\"ecr:GetAuthorizationToken\""));
    check(&format!("{PERMIT}{show}"), token(), "ask show");
    check(&format!("{call}{show}"), token(), "ask call show");
    check(&call, token(), NOTHING);
    let revealed = format!("@id(\"r\") permit (principal, {REVEAL}, resource);");
    check(&format!("{call}{revealed}"), token(), "ask call");
    check(&format!("{PERMIT}{show}{revealed}"), token(), "allow call r revealing *");
    let forbid = format!("@id(\"no\") forbid (principal, {REVEAL}, resource);");
    check(&format!("{PERMIT}{show}{forbid}"), token(), "withheld, forbidden by no");
    check(&format!("{call}{show}{forbid}"), token(), "withheld, forbidden by no");
    // An approval of a rule that does not name it is none.
    check(&format!("{PERMIT}{}", asks("all", "action")), token(), NOTHING);

    let Verdict::Ask(question) = judge(&policies(&format!("{PERMIT}{show}")), &caller(&[]), token()) else {
        panic!("does not ask")
    };
    assert!(question.reveals() && !question.observed);
}

#[test]
fn observing_does_not_reveal() {
    let observed = || {
        let Caller { session, pid, uid } = caller(&["agents"]);
        let mut session = Arc::into_inner(session).unwrap();
        let mut workload = Arc::into_inner(session.workload).unwrap();
        workload.mode = Mode::Observe;
        session.workload = Arc::new(workload);
        Caller { session: Arc::new(session), pid, uid }
    };
    let show = format!("@id(\"show\") permit (principal, {REVEAL}, resource);");
    let check =
        |rules: &str, expected: &str| assert_eq!(said(&policies(rules), &observed(), token()), expected);
    const UNPERMITTED: &str = "withheld, no rule permits ecr:GetAuthorizationToken on *";
    check("", UNPERMITTED);
    check(PERMIT, NOTHING);
    check(&format!("{PERMIT}{}", asks("ask", REVEAL)), "ask ask");
    check(
        &format!("{PERMIT}{show} @id(\"no\") forbid (principal, {REVEAL}, resource);"),
        "withheld, forbidden by no",
    );
    check(&format!("{PERMIT}{show}"), "allow call show revealing *");
    // The call itself is not only observed then: what permits it permits revealing, too.
    check(&show, UNPERMITTED);
    let forbid =
        "@id(\"not-this\") forbid (principal, action == Action::\"ecr:GetAuthorizationToken\", resource);";
    check(&format!("{PERMIT}{show}{forbid}"), "withheld, forbidden by not-this");
    check(&format!("{}{show}", asks("ask", "action == Action::\"ecr:GetAuthorizationToken\"")), "ask ask");
    let denied = judge(&policies(PERMIT), &observed(), token());
    let Verdict::Deny(Denial { reason, .. }) = denied else { panic!("{denied:?}") };
    assert_eq!(
        reason.to_string(),
        "its answer carries credentials, which policy does not reveal, although the workload is only observed: \
         no rule permits reveal on *"
    );
    let asked = judge(&policies(&format!("{PERMIT}{}", asks("ask", REVEAL))), &observed(), token());
    assert!(matches!(asked, Verdict::Ask(Question { observed: true, .. })), "{asked:?}");
}

#[test]
fn limits_of_what_is_revealed_are_read_and_revealing_is_not_counted() {
    let rules = policies(&reveals(
        &format!("principal, {REVEAL}"),
        "unless { context.session.counts[\"ecr:GetAuthorizationToken\"] >= 1 }",
    ));
    assert!(rules.counts(&token()), "the decision depends on what was allowed before");
    assert!(!rules.counts(&operation(&[("ecr:GetAuthorizationToken", "*")])));
    let charge = rules.charge(&token(), now());
    assert_eq!(charge.actions, ["ecr:GetAuthorizationToken"]);
    let mut session = SessionUsage::default();
    let decide = |session: &SessionUsage| {
        let facts = Facts { now: now(), session, day: &DayUsage::default() };
        matches!(rules.decide(&caller(&[]), token(), facts), Verdict::Allow(_))
    };
    assert!(decide(&session));
    session.add(&charge);
    assert!(!decide(&session));
}

/// What is wrong with a rule; empty where it loads without a warning.
fn complaints(rule: &str) -> Vec<String> {
    match Policies::parse([("p.cedar".into(), rule.to_owned())]) {
        Ok(set) => set.warnings().iter().map(|warning| warning.message.clone()).collect(),
        Err(errors) => errors.errors().iter().map(|error| error.message.clone()).collect(),
    }
}

#[test]
fn conditions_are_typed_for_what_they_are_asked_about() {
    let check = |effect: &str, action: &str, condition: &str, expected: &[&str]| {
        let rule = format!("{effect} (principal, {action}, resource) when {{ {condition} }};");
        assert_eq!(complaints(&rule), expected, "{rule}");
    };
    let mixed = "action in [Action::\"reveal\", Action::\"ecr:GetAuthorizationToken\"]";
    let field = "context.field == \"*\"";
    let operation = "context.operation == \"ecr:GetAuthorizationToken\"";
    for effect in ["permit", "forbid"] {
        check(effect, REVEAL, field, &[]);
        check(effect, REVEAL, operation, &[]);
        check(effect, mixed, operation, &[]);
        check(effect, mixed, &format!("context has field && {field}"), &[]);
        check(effect, mixed, &format!("action == Action::\"reveal\" && {field}"), &[]);
        check(effect, REVEAL, "context.field > 5", &["unexpected type: expected Long but saw String"]);
        check(effect, REVEAL, "context.params has UserName && context.params.UserName like \"ci-*\"", &[]);
        check(
            effect,
            REVEAL,
            "context.params has Username && context.params.Usrname like \"ci-*\"",
            &["no call that this rule is about has a parameter `Usrname`"],
        );
        check(effect, mixed, field, &["`context.field` is read without asking whether it is there"]);
        let only = "`context.field` is there only where it is asked whether to reveal or to insert something";
        check(
            effect,
            "action == Action::\"s3:GetObject\"",
            &format!("context has field && {field}"),
            &[only],
        );
        check(effect, "action in Action::\"s3:*\"", field, &[only]);
        let never = "this rule is never asked whether to reveal anything";
        check(effect, "action in Action::\"ecr:*\"", "action == Action::\"reveal\"", &[never]);
    }
    let never = "this rule is never asked whether to reveal anything";
    check("permit", "action", "action == Action::\"reveal\"", &[never]);
    check("permit", "action in Action::\"*\"", "action == Action::\"reveal\"", &[never]);
    // What forbids everything is asked about this, too.
    check("forbid", "action", "action == Action::\"reveal\"", &[]);
    check("forbid", "action", &format!("context has field && {field}"), &[]);
    check("forbid", "action", "context.session.counts[\"reveal\"] > 1", &["what is revealed is not counted"]);
    let role = "@role(\"arn:aws:iam::123456789012:role/x\")";
    assert_eq!(
        complaints(&format!("{role} permit (principal, {REVEAL}, resource);")),
        ["nothing is revealed in a role"]
    );
}

#[test]
fn a_forbid_of_everything_makes_it_pointless() {
    let show = format!("permit (principal, {REVEAL}, resource);");
    for action in ["action", "action in Action::\"*\"", REVEAL] {
        let forbid = format!("@id(\"no\") forbid (principal, {action}, resource);");
        assert_eq!(
            complaints(&format!("{show}{forbid}")),
            ["this rule permits nothing: `no` forbids all of it"]
        );
    }
    let forbid =
        "@id(\"no\") forbid (principal, action in [Action::\"*:Read\", Action::\"ecr:*\"], resource);";
    assert_eq!(complaints(&format!("{show}{forbid}")), [""; 0]);
    let named = format!("permit (principal, {REVEAL}, resource == Resource::\"{USER}\");");
    assert_eq!(complaints(&named), [""; 0]);
}

#[test]
fn iam_is_told_nothing_of_it() {
    let set = policies(&format!(
        "permit (principal, {REVEAL}, resource); forbid (principal, {REVEAL}, resource);
         permit (principal, action in [Action::\"reveal\", Action::\"s3:GetObject\"], resource);"
    ));
    let caller = caller(&[]);
    let outlines = set.outlines(&caller.session.workload.name, &caller.session.identity());
    let [only] = outlines.as_slice() else { panic!("{outlines:?}") };
    assert_eq!(only.actions.names, ["s3:GetObject"].into());
    assert!(!only.actions.all);
}
