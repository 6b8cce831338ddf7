use super::*;

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn resources_become_patterns_only_where_they_are_many() {
    let check = |resources: &[&str], expected: &[&str]| {
        let shown: Vec<String> = patterns(&set(resources))
            .into_iter()
            .map(|pattern| match pattern {
                Pattern::Exact(text) => text,
                Pattern::Below(start) => format!("{start}…"),
            })
            .collect();
        assert_eq!(shown, expected);
    };
    check(&["*"], &["*"]);
    check(&["arn:aws:s3:::b/a", "arn:aws:s3:::b/b"], &["arn:aws:s3:::b/a", "arn:aws:s3:::b/b"]);
    check(&["*", "arn:aws:s3:::b/a"], &["*", "arn:aws:s3:::b/a"]);
    let many = [
        "arn:aws:s3:::b/x/1",
        "arn:aws:s3:::b/x/2",
        "arn:aws:s3:::b/x/3",
        "arn:aws:s3:::b/x/4",
        "arn:aws:s3:::b/x/5",
    ];
    check(&many, &["arn:aws:s3:::b/x/…"]);
    check(&[many.as_slice(), &["arn:aws:s3:::b/y/1"]].concat(), &["arn:aws:s3:::b/…"]);
    // Never across buckets, kinds, accounts or services.
    check(&[many.as_slice(), &["arn:aws:s3:::c/1"]].concat(), &["arn:aws:s3:::c/1", "arn:aws:s3:::b/x/…"]);
    // Nothing but being buckets is common to these.
    let buckets: Vec<String> = (0..6).map(|n| format!("arn:aws:s3:::{n}-bucket")).collect();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    check(&buckets, &buckets);
    let tables: Vec<String> =
        (0..6).map(|n| format!("arn:aws:dynamodb:eu-central-1:123456789012:table/jobs-{n}")).collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    check(&tables, &["arn:aws:dynamodb:eu-central-1:123456789012:table/jobs-…"]);
    check(
        &[tables.as_slice(), &["*"]].concat(),
        &["*", "arn:aws:dynamodb:eu-central-1:123456789012:table/jobs-…"],
    );
}

#[tokio::test]
async fn rules_for_a_recorded_night() {
    let night = crate::record::tests::seed::Night::new().await;
    let args =
        |denied: bool| Args { session: None, workload: Some("docs-bot".to_owned()), since: None, denied };
    let used = read(&night.reader, &args(false), None).await.unwrap();
    insta::assert_snapshot!(suggestion(&used), @r#"
    // Permits what 1 call did, and as little more as patterns allow: a draft. Look at every rule before you use it, above
    // all at those whose resources are patterns, and at what was recorded by mistake.

    // secretsmanager:GetSecretValue: Read, 1 call, 1 resource
    @id("suggested-docs-bot-secretsmanager-1")
    permit (
      principal == Workload::"docs-bot",
      action == Action::"secretsmanager:GetSecretValue",
      resource == Resource::"arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1b2c3"
    );
    "#);
    let all = read(&night.reader, &args(true), None).await.unwrap();
    let text = suggestion(&all);
    assert!(text.contains("iam:CreateUser") && !text.contains("do not load"), "{text}");
}
