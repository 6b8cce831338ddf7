//! The promises of the fuzz target, held by its seeds, by mutations of them, and by calls made up of words
//! that mean something to the rules.

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::super::fuzzing::policy_context;
use crate::classify::tests::mutations::{has_seeds_that_it_reads, mutation, seeds};

#[test]
fn the_target_has_seeds_that_it_reads() {
    has_seeds_that_it_reads("policy_context", policy_context);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "secret",
            "sg-open",
            "required",
            "Body",
            "us-east-1",
            "arn:aws:s3:::secret/a"
        ])
        .prop_map(str::to_owned),
        "[\\\\\"'{}:,*?\u{0}\n\u{202e}a-z]{0,12}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => prop_oneof![any::<i64>(), 0_i64..12, Just(i64::MAX)].prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..3).prop_map(|members| json!(members)),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let read = ["Key", "MaxCount", "SecurityGroupIds", "MetadataOptions", "HttpTokens", "__entity", "__extn"];
    prop_oneof![3 => prop::sample::select(read.to_vec()).prop_map(str::to_owned), 1 => text()]
}

fn pair() -> impl Strategy<Value = (&'static str, String)> {
    let action = prop::sample::select(vec![
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteBucket",
        "dynamodb:PutItem",
        "dynamodb:Scan",
        "ec2:RunInstances",
        "iam:GetRole",
        "iam:PassRole",
        "sqs:SendMessage",
        "new:Thing",
    ]);
    let resource = prop_oneof![
        Just("*".to_owned()),
        Just("arn:aws:dynamodb:eu-central-1:123456789012:table/jobs".to_owned()),
        (
            prop::sample::select(vec![
                "arn:aws:s3:::secret",
                "arn:aws:s3:::builds/",
                "arn:aws:iam::123456789012:role/admin",
                "arn:aws:sqs:us-east-1:123456789012:jobs",
                "arn:aws:dynamodb:us-east-1:",
                "arn:",
            ]),
            text(),
        )
            .prop_map(|(begin, end)| format!("{begin}{end}")),
    ];
    (action, resource)
}

fn counters() -> impl Strategy<Value = Value> {
    let count = || prop_oneof![4 => 0_u64..120, 1 => any::<u64>()];
    (count(), count(), count(), prop_oneof![4 => 0_i64..12, 1 => any::<i64>()]).prop_map(
        |(calls, minute, runs, instances)| {
            json!({ "calls": calls, "minute": minute, "runs": runs, "instances": instances })
        },
    )
}

proptest! {
    #[test]
    fn calls_break_no_promise(
        on in prop::collection::vec(pair(), 0..4),
        params in prop::collection::btree_map(name(), value(), 0..4),
        groups in prop::sample::subsequence(vec!["agents", "admins", "careful", "", "\"]\n"], 0..=3),
        unread in prop::collection::vec(text(), 0..3),
        region in prop::sample::select(vec!["us-east-1", "eu-central-1"]),
        operation in prop_oneof![Just("s3:PutObject".to_owned()), text().prop_map(|text| format!("s3:{text}"))],
        withheld in any::<bool>(),
        session in prop::option::weighted(0.3, counters()),
        day in prop::option::weighted(0.3, counters()),
    ) {
        let none = || json!({});
        let call = json!({
            "on": on, "params": params, "groups": groups, "unread": unread, "region": region, "withheld": withheld,
            "operation": operation, "session": session.unwrap_or_else(none), "day": day.unwrap_or_else(none),
        });
        prop_assert!(policy_context(call.to_string().as_bytes()));
    }

    #[test]
    fn mutated_seeds_break_no_promise(
        seed in any::<Index>(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        let mut data = seed.get(&seeds("policy_context")).clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut data));
        policy_context(&data);
    }
}
