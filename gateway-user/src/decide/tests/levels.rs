use super::*;

/// Which of these groups an action is in, by the scope and by a condition.
#[test]
fn an_action_is_in_its_groups() {
    let groups = [
        "*",
        "*:List",
        "*:Read",
        "*:Write",
        "*:Tagging",
        "*:PermissionsManagement",
        "s3:*",
        "s3:Read",
        "s3:Write",
        "iam:PermissionsManagement",
    ];
    let check = |action: &str, expected: &[&str]| {
        for group in groups {
            let wanted = expected.contains(&group);
            for rule in [
                format!("permit (principal, action in Action::\"{group}\", resource);"),
                format!(
                    "permit (principal, action in [Action::\"sts:AssumeRole\", Action::\"{group}\"], resource);"
                ),
                format!("permit (principal, action, resource) when {{ action in Action::\"{group}\" }};"),
            ] {
                let allowed = decide(&rule, &[], operation(&[(action, "*")])).is_ok();
                assert_eq!(allowed, wanted, "{action} in {group}: {rule}");
            }
        }
    };
    check("s3:GetObject", &["*", "*:Read", "s3:*", "s3:Read"]);
    check("s3:ListBucket", &["*", "*:List", "s3:*"]);
    check("s3:PutObject", &["*", "*:Write", "s3:*", "s3:Write"]);
    check("s3:PutObjectTagging", &["*", "*:Tagging", "s3:*"]);
    check("s3:PutBucketPolicy", &["*", "*:PermissionsManagement", "s3:*"]);
    check("iam:AttachRolePolicy", &["*", "*:PermissionsManagement", "iam:PermissionsManagement"]);
    // What the catalogue does not know has no level.
    check("s3:GetSomethingNew", &["*", "s3:*"]);
    check("newservice:Get", &["*"]);
}

#[test]
fn a_rule_that_lists_overlapping_groups_counts_once() {
    let rule = "@id(\"r\") permit (principal, action in
        [Action::\"s3:GetObject\", Action::\"s3:Read\", Action::\"*:Read\", Action::\"s3:*\"], resource);";
    assert_eq!(decide(rule, &[], operation(&[("s3:GetObject", "*")])), allowed(&["r"]));
    let forbid = rule.replace("permit", "forbid");
    assert_eq!(decide(&forbid, &[], operation(&[("s3:GetObject", "*")])), forbidden(&["r"]));
}
