//! The golden file's language, and that its judgement can fail.

use super::*;

const TEXT: &str = "\
# A comment.
[s3]
aws s3api copy-object --bucket b --key k --copy-source a/k
    CopyObject
    s3:GetObject arn:aws:s3:::a/k
    s3:PutObject arn:aws:s3:::b/k | arn:aws:s3:::b/*  # two ways
    ? s3:PutObjectTagging arn:aws:s3:::b/k
";

fn read(pairs: &[(&str, &str)]) -> Vec<ActionOn> {
    let on = |(action, resource): &(&str, &str)| ActionOn {
        action: (*action).to_owned(),
        resource: (*resource).to_owned(),
    };
    pairs.iter().map(on).collect()
}

#[test]
fn verdicts() {
    let golden = Golden::parse(TEXT).unwrap();
    let case = golden.cases.first().unwrap();
    assert_eq!((case.line, case.prefix.as_str(), case.operation.as_str()), (3, "s3", "CopyObject"));
    let get = ("s3:GetObject", "arn:aws:s3:::a/k");
    let put = ("s3:PutObject", "arn:aws:s3:::b/k");
    let wrong = |what: &str| Verdict::Wrong(vec![what.to_owned()]);
    for (pairs, expected) in [
        (vec![get, put], Verdict::Exact),
        (vec![put, get, ("s3:PutObjectTagging", "arn:aws:s3:::b/k")], Verdict::Exact),
        (vec![get, ("s3:PutObject", "arn:aws:s3:::b/*")], Verdict::Exact),
        (vec![get, ("s3:PutObject", "*")], Verdict::Coarse(vec!["s3:PutObject".to_owned()])),
        (vec![put], wrong("missing: s3:GetObject arn:aws:s3:::a/k")),
        (vec![get, put, ("s3:DeleteObject", "*")], wrong("not expected: s3:DeleteObject *")),
        (
            vec![get, put, ("s3:PutObject", "arn:aws:s3:::c/k")],
            wrong("not expected: s3:PutObject arn:aws:s3:::c/k"),
        ),
    ] {
        assert_eq!(case.judge("s3:CopyObject", &read(&pairs)), expected, "{pairs:?}");
    }
    assert_eq!(case.judge("s3:PutObject", &read(&[get, put])), wrong("read as s3:PutObject"));
}

#[test]
fn what_is_not_understood_is_an_error() {
    for text in [
        "aws s3 ls\n    ListBuckets\n    s3:ListAllMyBuckets *\n",
        "[s3]\naws s3 ls\n    ListBuckets\n",
        "[s3]\naws s3 ls\n    ListBuckets\n    ? s3:ListAllMyBuckets *\n",
        "[s3]\naws s3 ls\n    s3:ListAllMyBuckets *\n",
        "[s3]\naws s3 ls\n    ListBuckets\n    s3:ListAllMyBuckets everything\n",
        "[s3]\n    ListBuckets\n",
        "[s3]\nsomething else\n",
    ] {
        assert!(Golden::parse(text).is_err(), "{text}");
    }
}
