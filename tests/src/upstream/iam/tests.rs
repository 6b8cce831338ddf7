use super::policy::Policy;

fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}"#)
}

fn policy(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

#[test]
fn statements_allow_and_deny() {
    let check = |statements: &[String], action: &str, resource: &str, expected: bool| {
        let policy = Policy::read(&policy(statements)).unwrap();
        assert_eq!(policy.allows(action, resource), expected, "{statements:?} {action} {resource}");
    };
    let one = |action: &str, resource: &str| [statement("Allow", action, resource)];
    check(&one("s3:GetObject", "arn:aws:s3:::b/k"), "s3:GetObject", "arn:aws:s3:::b/k", true);
    check(&one("s3:GetObject", "arn:aws:s3:::b/k"), "s3:GetObject", "arn:aws:s3:::b/k2", false);
    check(&one("s3:GetObject", "arn:aws:s3:::b/k"), "s3:PutObject", "arn:aws:s3:::b/k", false);
    check(&one("s3:get*", "arn:aws:s3:::b/*"), "s3:GetObject", "arn:aws:s3:::b/a/b:c", true);
    check(&one("*", "*"), "sqs:SendMessage", "arn:aws:sqs:r:1:q", true);
    check(&one("s3:GetObject", "arn:aws:s3:::b/${*}"), "s3:GetObject", "arn:aws:s3:::b/*", true);
    check(&one("s3:GetObject", "arn:aws:s3:::b/${*}"), "s3:GetObject", "arn:aws:s3:::b/k", false);
    check(&one("s3:GetObject", "arn:aws:s3:::b/?"), "s3:GetObject", "arn:aws:s3:::b/kk", false);
    // A wildcard stays within its part of the ARN.
    check(&one("sqs:*", "arn:aws:sqs:*:1:q"), "sqs:SendMessage", "arn:aws:sqs:r:1:q", true);
    check(&one("sqs:*", "arn:aws:sqs:*:1:q"), "sqs:SendMessage", "arn:aws:sqs:r:2:1:q", false);
    let both = [statement("Allow", "s3:*", "*"), statement("Deny", "s3:PutObject", "arn:aws:s3:::b/*")];
    check(&both, "s3:PutObject", "arn:aws:s3:::c/k", true);
    check(&both, "s3:PutObject", "arn:aws:s3:::b/k", false);
}

#[test]
fn what_is_not_understood_is_refused() {
    for wrong in [
        "".to_owned(),
        "{}".to_owned(),
        r#"{"Version":"2008-10-17","Statement":[]}"#.to_owned(),
        policy(&[]),
        policy(&[statement("Maybe", "s3:GetObject", "*")]),
        policy(&[statement("Allow", "GetObject", "*")]),
        policy(&[statement("Allow", "*:GetObject", "*")]),
        policy(&[statement("Allow", "s3:GetObject", "b/k")]),
        policy(&[statement("Allow", "s3:GetObject", "arn:*:s3:::b")]),
        policy(&[statement("Allow", "s3:GetObject", "arn:aws:s3:::${aws:username}")]),
        policy(&[r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{}}"#.to_owned()]),
    ] {
        Policy::read(&wrong).expect_err(&wrong);
    }
}
