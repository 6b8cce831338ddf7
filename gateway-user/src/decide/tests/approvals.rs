use super::*;
use crate::identify::Mode;

const BUCKET: &str = "arn:aws:s3:::builds";

fn asks(id: &str, action: &str, reviewers: &str, wanted: &str) -> String {
    format!(
        "@id(\"{id}\") @reviewers(\"{reviewers}\") @grant(\"once\") @reason(\"required\") @ttl(\"8h\")
         permit (principal, action == Action::\"{action}\", resource)
         when {{ context has approval && context.approval.groups.contains(\"{wanted}\") }};"
    )
}

/// `allow`, `deny`, or `ask RULE…`.
#[track_caller]
fn check(text: &str, pairs: &[(&str, &str)], expected: &str) {
    let shown = match judge(&policies(text), &caller(&["agents"]), operation(pairs)) {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Deny(_) => "deny".to_owned(),
        Verdict::Ask(question) => {
            format!("ask {}", question.approvals.rules().join(" "))
        }
    };
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn what_only_an_approval_would_permit_asks() {
    let delete = [("s3:DeleteBucket", BUCKET)];
    let oncall = asks("a", "s3:DeleteBucket", "oncall", "oncall");
    check(&oncall, &delete, "ask a");
    check(&format!("{oncall}{}", asks("b", "s3:DeleteBucket", "owners", "owners")), &delete, "ask a b");
    // Nobody whom it names would do.
    check(&asks("a", "s3:DeleteBucket", "oncall", "owners"), &delete, "deny");
    check(&asks("a", "s3:CreateBucket", "oncall", "oncall"), &delete, "deny");
    // Where another rule permits it, nobody is asked.
    check(&format!("{oncall} permit (principal, action, resource);"), &delete, "allow");
    let elsewhere = oncall.replace("when {", "when { context.region == \"us-east-1\" &&");
    check(&elsewhere, &delete, "deny");
}

#[test]
fn an_approval_never_overrides_a_forbid_or_a_failure() {
    let delete = [("s3:DeleteBucket", BUCKET)];
    let oncall = asks("a", "s3:DeleteBucket", "oncall", "oncall");
    for forbid in [
        "forbid (principal, action in Action::\"s3:Write\", resource);",
        "forbid (principal, action, resource) when { resource.arn like \"arn:aws:s3:::b*\" };",
        "forbid (principal, action, resource) when
            { context.time.offset(duration(\"9223372036854775807ms\")) > context.time };",
    ] {
        check(&format!("{oncall}{forbid}"), &delete, "deny");
    }
}

#[test]
fn every_pair_must_be_approvable_or_permitted() {
    let pairs = [("s3:DeleteBucket", BUCKET), ("s3:DeleteObject", "arn:aws:s3:::builds/a")];
    let bucket = asks("a", "s3:DeleteBucket", "oncall", "oncall");
    let object = asks("b", "s3:DeleteObject", "owners", "owners");
    check(&bucket, &pairs, "deny");
    check(&format!("{bucket}{object}"), &pairs, "ask a b");
    check(
        &format!("{bucket} permit (principal, action == Action::\"s3:DeleteObject\", resource);"),
        &pairs,
        "ask a",
    );
}

#[test]
fn a_question_says_whom_to_ask_and_on_which_terms() {
    let text = asks("a", "s3:DeleteBucket", "oncall, owners", "owners");
    let Verdict::Ask(question) =
        judge(&policies(&text), &caller(&[]), operation(&[("s3:DeleteBucket", BUCKET)]))
    else {
        panic!("does not ask")
    };
    // Of the two groups it names, the rule wants one.
    assert_eq!(question.approvals.to_string(), "owners (rule \"a\")");
    let [Wanted { any_of, .. }] = question.approvals.each() else { panic!("{:?}", question.approvals) };
    let [approval] = any_of.as_slice() else { panic!("{:?}", question.approvals) };
    assert_eq!(
        approval.terms,
        Terms {
            reviewers: vec!["oncall".to_owned(), "owners".to_owned()],
            uses: Some(1),
            reason_required: true,
            ttl: Some(std::time::Duration::from_secs(8 * 3600)),
        }
    );
}

#[test]
fn a_question_tells_one_of_several_from_each_of_several() {
    let words =
        |text: &str, pairs: &[(&str, &str)]| match judge(&policies(text), &caller(&[]), operation(pairs)) {
            Verdict::Ask(question) => question.approvals.to_string(),
            other => panic!("{other:?}"),
        };
    let delete = ("s3:DeleteBucket", BUCKET);
    let create = ("s3:CreateBucket", BUCKET);
    let either = format!(
        "{}{}",
        asks("a", "s3:DeleteBucket", "oncall", "oncall"),
        asks("b", "s3:DeleteBucket", "owners", "owners")
    );
    assert_eq!(words(&either, &[delete]), "oncall (rule \"a\") or owners (rule \"b\")");
    let each = format!(
        "{}{}",
        asks("a", "s3:DeleteBucket", "oncall", "oncall"),
        asks("b", "s3:CreateBucket", "owners", "owners")
    );
    assert_eq!(words(&each, &[delete, create]), "oncall (rule \"a\"), and owners (rule \"b\")");
    // The same rule twice is one approval.
    let object = ("s3:DeleteBucket", "arn:aws:s3:::other");
    assert_eq!(
        words(&asks("a", "s3:DeleteBucket", "oncall", "oncall"), &[delete, object]),
        "oncall (rule \"a\")"
    );
    let both = asks("a", "s3:DeleteBucket", "oncall, owners", "oncall")
        .replace("contains(\"oncall\")", "containsAll([\"oncall\", \"owners\"])");
    assert_eq!(words(&both, &[delete]), "oncall together with owners (rule \"a\")");
    let any = asks("a", "s3:DeleteBucket", "oncall, owners", "oncall")
        .replace("contains(\"oncall\")", "containsAny([\"oncall\", \"owners\"])");
    assert_eq!(words(&any, &[delete]), "oncall or owners (rule \"a\")");
}

/// Where a workload is only observed, an objection allows, and says so.
#[test]
fn observed_objections_allow() {
    let observed = || {
        let Caller { session, pid, uid } = caller(&["agents"]);
        let mut session = Arc::into_inner(session).unwrap();
        let mut workload = Arc::into_inner(session.workload).unwrap();
        workload.mode = Mode::Observe;
        session.workload = Arc::new(workload);
        Caller { session: Arc::new(session), pid, uid }
    };
    let check = |text: &str, expected: Option<&str>, rules: &[&str]| {
        let call = operation(&[("s3:DeleteBucket", BUCKET)]);
        let Verdict::Allow(permit) = judge(&policies(text), &observed(), call) else { panic!("{text}") };
        assert_eq!(permit.objection().map(ToString::to_string).as_deref(), expected, "{text}");
        assert_eq!(permit.rules(), rules);
    };
    check("@id(\"p\") permit (principal, action, resource);", None, &["p"]);
    check("", Some("no rule permits s3:DeleteBucket on arn:aws:s3:::builds"), &[]);
    check("@id(\"f\") forbid (principal, action, resource);", Some("forbidden by f"), &["f"]);
    check(
        &asks("a", "s3:DeleteBucket", "oncall", "oncall"),
        Some("it needs the approval of oncall (rule \"a\")"),
        &["a"],
    );
    // Nothing asked for is nothing understood.
    let nothing = judge(&policies("permit (principal, action, resource);"), &observed(), operation(&[]));
    assert!(matches!(nothing, Verdict::Deny(_)));
}
