//! The count can fail.

use super::*;

fn line(prefix: &str, operation: &str) -> Line {
    let truth = serde_json::json!({
        "service": "elbv2", "prefix": prefix, "operation": operation, "variant": "least",
        "params": {}, "unsigned": false
    });
    let line = serde_json::json!({
        "method": "POST", "url": "elasticloadbalancing.us-east-1.amazonaws.com/", "headers": [], "body": "",
        "truth": truth
    });
    Line::parse(&line.to_string()).unwrap()
}

fn counted(prefix: &str, operation: &str, reading: Reading) -> (u32, u32, u32) {
    let mut tally = Tally::default();
    tally.add(&line(prefix, operation), reading);
    let Counts { right, refused, wrong, .. } = tally.total();
    (right, refused, wrong)
}

#[test]
fn right_refused_and_wrong_are_told_apart() {
    let minting = |name: &str| Reading::Minting(name.to_owned());
    for (prefix, operation, reading, expected) in [
        ("sts", "AssumeRole", minting("sts:AssumeRole"), (1, 0, 0)),
        ("sts", "AssumeRole", minting("sts:AssumeRoot"), (0, 0, 1)),
        ("sts", "AssumeRole", minting("iam:AssumeRole"), (0, 0, 1)),
        ("osm,aoss", "X", minting("aoss:X"), (1, 0, 0)),
        ("s3", "GetBucketLifecycle", minting("s3:GetBucketLifecycleConfiguration"), (1, 0, 0)),
        ("s3", "GetBucketLifecycleConfiguration", minting("s3:GetBucketLifecycle"), (0, 0, 1)),
        (
            "sts",
            "AssumeRole",
            Reading::Refused(Refusal { stage: "parse", message: "no".to_owned() }),
            (0, 1, 0),
        ),
    ] {
        let name = format!("{prefix}:{operation} {reading:?}");
        assert_eq!(counted(prefix, operation, reading), expected, "{name}");
    }
}

#[test]
fn the_report_names_what_is_left() {
    let mut tally = Tally::default();
    tally.add(&line("sts", "AssumeRole"), Reading::Minting("sts:AssumeRoot".to_owned()));
    let refusal = Refusal { stage: "parse", message: "no such host".to_owned() };
    tally.add(&line("sts", "AssumeRole"), Reading::Refused(refusal));
    let report = tally.report(false);
    assert!(report.contains("elbv2 AssumeRole (least) → sts:AssumeRoot"), "{report}");
    assert!(report.contains("1 × elbv2 AssumeRole: parse: no such host"), "{report}");
    assert_eq!(tally.wrong(), 1);
    assert!(tally.right_share() < 0.001);
}
