//! What the fuzz target `policy_context` calls (`fuzz/`): a call in which every text is hostile, and what
//! must hold of the decision about it.
#![expect(clippy::panic, reason = "a broken promise is what fuzzers look for")]

use std::sync::LazyLock;

use self::{input::Input, rules::RULES, whole::Expected};
use super::{Policies, Reason, Verdict, testing::caller, view::Call};
use crate::classify::{Operation, Param};

mod input;
mod rules;
mod shown;
mod whole;

static POLICIES: LazyLock<Policies> = LazyLock::new(|| {
    let text: Vec<&str> = RULES.iter().map(|rule| rule.text).collect();
    Policies::parse([("p.cedar".into(), text.join("\n"))]).unwrap_or_else(|errors| panic!("{errors}"))
});

/// Decides about a call that JSON describes: operation, region, pairs of action and resource, parameters,
/// groups of the caller and what was allowed before.
///
/// Returns whether the call is one: a target that reads nothing finds nothing.
///
/// # Panics
/// When Cedar is shown anything that the call does not say, when the verdict is not that of Cedar over all
/// rules, or when a rule that forbids the call by its text is not among the reasons.
pub fn policy_context(data: &[u8]) -> bool {
    let Ok(input) = serde_json::from_slice::<Input>(data) else { return false };
    let Some(operation) = input.operation() else { return false };
    let groups: Vec<&str> = input.groups.iter().map(String::as_str).collect();
    let caller = caller(&groups);
    let (session, day) = (input.session.of_session(), input.day.of_day());
    let facts = input::facts(&session, &day);
    let call = Call::new(&caller.session, &operation, facts, POLICIES.meters());
    shown::check(&call, &caller.session, &operation, &input);

    let expected = whole::expected(&operation, &input);
    let decided = match POLICIES.decide(&caller, operation.clone(), facts) {
        Verdict::Allow(permit) => Expected::Allow(permit.rules().to_vec()),
        Verdict::Ask(question) => Expected::Ask(question.approvals.rules().into_iter().collect()),
        Verdict::Deny(denial) => denied(denial.reason),
    };
    assert_eq!(decided, expected, "{operation:?}");

    let rules: &[String] = if let Expected::Forbidden(rules) = &decided { rules } else { &[] };
    for (rule, forbids) in forbidden_by_its_text(&operation) {
        assert_eq!(rules.iter().any(|id| id == rule), forbids, "{rule}: {operation:?}");
    }
    true
}

fn denied(reason: Reason) -> Expected {
    match reason {
        Reason::Forbidden { rules } => Expected::Forbidden(rules),
        Reason::EvaluationFailed { rules, .. } => Expected::Failed(rules),
        Reason::NothingPermits { action, resource } => Expected::Nothing(action, resource),
        Reason::NotRevealed { reason, .. } => Expected::Withheld(Box::new(denied(*reason))),
        Reason::NotInserted { .. } => panic!("no call has a token: {reason:?}"),
        Reason::DifferentRoles { roles } => panic!("no rule names a role: {roles:?}"),
    }
}

/// Rules whose condition is a comparison of texts, and whether they forbid this call: without asking Cedar.
fn forbidden_by_its_text(operation: &Operation) -> [(&'static str, bool); 4] {
    let text = |param: Option<&Param>, wanted: &dyn Fn(&str) -> bool| match param {
        Some(Param::Text(text)) => wanted(text),
        _ => false,
    };
    let params = &operation.params;
    let runs = operation.actions.iter().any(|pair| pair.action == "ec2:RunInstances");
    let of_s3: Vec<_> = operation.actions.iter().filter(|pair| pair.action.starts_with("s3:")).collect();
    let tokens = match params.get("MetadataOptions") {
        Some(Param::Record(options)) => options.get("HttpTokens"),
        _ => None,
    };
    let open = match params.get("SecurityGroupIds") {
        Some(Param::List(ids)) => ids.contains(&Param::Text("sg-open".to_owned())),
        _ => false,
    };
    let secret = of_s3.iter().any(|pair| pair.resource.starts_with("arn:aws:s3:::secret"));
    let key = text(params.get("Key"), &|key| key.contains("secret"));
    [
        ("secret", secret),
        ("key", !of_s3.is_empty() && key),
        ("group", runs && open),
        // What is no text is not the text either.
        ("tokens", runs && tokens.is_some_and(|tokens| *tokens != Param::Text("required".to_owned()))),
    ]
}
