//! Slicing, and reading scopes ourselves instead of asking Cedar, must not change a decision.

use std::str::FromStr as _;

use cedar_policy::{Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request};
use proptest::prelude::*;

use super::*;

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

/// What Cedar says to one pair when it is given everything, written down independently.
fn unsliced(text: &str, groups: &[&str], action: &str, resource: &str) -> (Decision, bool) {
    let uid = |text: String| EntityUid::from_str(&text).unwrap();
    let principal = uid("Workload::\"builds\"".to_owned());
    let verb = uid(format!("Action::\"{action}\""));
    let object = uid(format!("Resource::\"{resource}\""));
    let service = action.split(':').next().unwrap();
    let level = if ["s3:GetObject", "dynamodb:GetItem"].contains(&action) { "Read" } else { "Write" };
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let mut attributes = vec![("arn", resource), ("service", parts[2])];
    attributes.extend(
        [("region", parts[3]), ("account", parts[4])].into_iter().filter(|(_, value)| !value.is_empty()),
    );
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| {
            (name.to_owned(), cedar_policy::RestrictedExpression::new_string(value.to_owned()))
        })
        .collect();
    let entities = Entities::from_entities(
        [
            Entity::new_no_attrs(
                principal.clone(),
                groups.iter().map(|group| uid(format!("Group::\"{group}\""))).collect(),
            ),
            Entity::new_no_attrs(
                verb.clone(),
                ["*".to_owned(), format!("{service}:*"), format!("*:{level}"), format!("{service}:{level}")]
                    .map(|group| uid(format!("Action::\"{group}\"")))
                    .into(),
            ),
            Entity::new(object.clone(), attributes, Default::default()).unwrap(),
        ],
        None,
    )
    .unwrap();
    let context =
        Context::from_json_str("{\"params\": {\"Key\": \"a\"}, \"region\": \"eu-central-1\"}", None).unwrap();
    let request = Request::new(principal, verb, object, context, None).unwrap();
    let set = PolicySet::from_str(text).unwrap();
    let response = Authorizer::new().is_authorized(&request, &set, &entities);
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
            pairs.iter().map(|(action, resource)| unsliced(&text, &groups, action, resource)).collect();
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
