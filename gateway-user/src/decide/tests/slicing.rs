//! Slicing, and reading scopes ourselves instead of asking Cedar, must not change a decision.

use std::str::FromStr as _;

use cedar_policy::{Context, Decision, PolicySet};
use proptest::prelude::*;

use super::{super::testing::unsliced, *};

const ACTIONS: [&str; 4] = ["s3:GetObject", "s3:PutObject", "dynamodb:GetItem", "iam:PassRole"];
const RESOURCES: [&str; 4] = [
    "arn:aws:s3:::builds/a",
    "arn:aws:s3:::builds/b",
    "arn:aws:dynamodb:eu-central-1:123456789012:table/jobs",
    "arn:aws:iam::123456789012:role/r",
];

fn rule() -> impl Strategy<Value = String> {
    let principal = prop::sample::select(vec![
        "principal",
        "principal is Workload",
        "principal == Workload::\"builds\"",
        "principal == Workload::\"other\"",
        "principal in Group::\"agents\"",
        "principal in Group::\"humans\"",
        "principal is Workload in Group::\"agents\"",
    ]);
    let group = prop::sample::select(vec![
        "*",
        "s3:*",
        "dynamodb:*",
        "*:Read",
        "*:Write",
        "s3:Read",
        "s3:Write",
        "iam:Write",
        "s3:GetObject",
        "s3:PutObject",
        "dynamodb:GetItem",
        "iam:PassRole",
    ]);
    let action = prop_oneof![
        Just("action".to_owned()),
        prop::sample::select(ACTIONS.to_vec()).prop_map(|one| format!("action == Action::\"{one}\"")),
        group.clone().prop_map(|group| format!("action in Action::\"{group}\"")),
        prop::collection::vec(group, 1..4).prop_map(|groups| {
            let list: Vec<String> = groups.iter().map(|group| format!("Action::\"{group}\"")).collect();
            format!("action in [{}]", list.join(", "))
        }),
    ];
    let resource = prop_oneof![
        3 => Just("resource".to_owned()),
        1 => Just("resource is Resource".to_owned()),
        2 => prop::sample::select(RESOURCES.to_vec())
            .prop_map(|arn| format!("resource == Resource::\"{arn}\"")),
    ];
    let condition = prop::sample::select(vec![
        "",
        "",
        "when { true }",
        "when { false }",
        "unless { true }",
        "when { principal in Group::\"agents\" }",
        "when { action in Action::\"s3:*\" }",
        "when { action in [Action::\"s3:Read\", Action::\"*:Write\"] }",
        "when { resource.arn like \"arn:aws:s3:::builds/*\" }",
        "unless { resource has account && resource.account == \"123456789012\" }",
        "when { resource has region || resource.service == \"iam\" }",
        "when { context.region == \"eu-central-1\" } unless { context.params has Key }",
        "when { context has params && context.params.Missing == 1 }",
        "when { principal == Workload::\"builds\" && context.params.Key == \"a\" }",
        "when { context.region }",
        "unless { [context].contains({params: {Key: \"a\"}}) }",
    ]);
    (any::<bool>(), principal, action, resource, condition).prop_map(
        |(permit, principal, action, resource, condition)| {
            let effect = if permit { "permit" } else { "forbid" };
            format!("{effect} ({principal}, {action}, {resource}) {condition};")
        },
    )
}

/// What Cedar says to one pair when it is given everything.
fn whole(text: &str, groups: &[&str], action: &str, resource: &str) -> (Decision, bool) {
    let level = if ["s3:GetObject", "dynamodb:GetItem"].contains(&action) { "Read" } else { "Write" };
    let context =
        Context::from_json_str("{\"params\": {\"Key\": \"a\"}, \"region\": \"eu-central-1\"}", None).unwrap();
    let pair = ActionOn { action: action.to_owned(), resource: resource.to_owned() };
    let response = unsliced(&PolicySet::from_str(text).unwrap(), groups, Some(level), &pair, context);
    (response.decision(), response.diagnostics().errors().next().is_some())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sliced_decision_is_the_whole_decision(
        rules in prop::collection::vec(rule(), 0..8),
        groups in prop::sample::subsequence(vec!["agents", "humans"], 0..=2),
        pairs in prop::collection::vec(
            (prop::sample::select(ACTIONS.to_vec()), prop::sample::select(RESOURCES.to_vec())), 1..3),
    ) {
        let text = rules.join("\n");
        let whole: Vec<_> =
            pairs.iter().map(|(action, resource)| whole(&text, &groups, action, resource)).collect();
        let expected = whole.iter().all(|(decision, failed)| *decision == Decision::Allow && !failed);

        let mut call = operation(&pairs);
        call.params.insert("Key".to_owned(), Param::Text("a".to_owned()));
        let decided = decide_untyped(&text, &groups, call);
        prop_assert_eq!(decided.is_ok(), expected, "{}\n{:?}\n{:?}", text, decided, whole);
        match decided {
            Ok(permits) => prop_assert!(!permits.is_empty()),
            Err(Reason::EvaluationFailed { .. }) => prop_assert!(whole.iter().any(|(_, failed)| *failed)),
            Err(Reason::Forbidden { rules } ) => prop_assert!(!rules.is_empty()),
            Err(Reason::NothingPermits { action, resource }) => {
                prop_assert!(pairs.contains(&(action.as_str(), resource.as_str())));
            }
            Err(reason @ (Reason::NotRevealed { .. } | Reason::NotInserted { .. })) => prop_assert!(false, "nothing is withheld: {:?}", reason),
            Err(Reason::DifferentRoles { roles }) => prop_assert!(false, "no rule names a role: {:?}", roles),
        }
    }

    /// Whatever the rules are, a call whose resource is unknown is allowed only by a permit that
    /// would allow it on every resource.
    #[test]
    fn an_unknown_resource_is_never_easier_than_a_known_one(
        rules in prop::collection::vec(rule(), 0..8),
        action in prop::sample::select(ACTIONS.to_vec()),
    ) {
        let text = rules.join("\n");
        let with = |resource: &str| {
            let mut call = operation(&[(action, resource)]);
            call.params.insert("Key".to_owned(), Param::Text("a".to_owned()));
            decide_untyped(&text, &["agents"], call)
        };
        if with("*").is_ok() {
            for resource in RESOURCES {
                prop_assert!(
                    !matches!(with(resource), Err(Reason::Forbidden { .. } | Reason::NothingPermits { .. })),
                    "{} is denied: {:?}\n{}", resource, with(resource), text
                );
            }
        }
    }
}
