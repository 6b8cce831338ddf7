//! The rules of the fuzz target: of every kind that there is, about things that agents can write.

/// One rule.
pub(super) struct Rule {
    /// As it is loaded.
    pub(super) text: &'static str,
    /// What it says where the resource is unknown.
    pub(super) unknown: Unknown,
}

/// What is left of a rule where the resource is unknown.
pub(super) enum Unknown {
    /// All of it: it does not look at the resource, or it names `*`.
    Same,
    /// Nothing: it permits.
    Never,
    /// It forbids, and nobody knows whether the rest of it is about this call; where this is, the call fails.
    Fails(&'static str),
}

const fn rule(text: &'static str, unknown: Unknown) -> Rule {
    Rule { text, unknown }
}

/// The rules that wait for an approval, with their reviewers.
pub(super) const ASKING: [(&str, &[&str]); 2] = [("ask", &["oncall"]), ("ask-queue", &["owners", "oncall"])];

/// The rules that are asked what is revealed: that name it, or forbid everything.
pub(super) const REVEALING: [&str; 2] = ["show", "unread"];

/// All of them.
pub(super) const RULES: [Rule; 18] = [
    rule(
        r#"@id("show") permit (principal in Group::"agents", action in [Action::"reveal", Action::"sqs:*"], resource)
            when { context has field && context.field == "*" && context.operation like "s3:*" };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("read") permit (principal in Group::"agents",
            action in [Action::"*:Read", Action::"s3:List", Action::"iam:GetRole"], resource);"#,
        Unknown::Same,
    ),
    rule(r#"@id("admins") permit (principal in Group::"admins", action, resource);"#, Unknown::Same),
    rule(
        r#"@id("own") permit (principal, action in Action::"s3:*", resource)
            when { resource.arn like "arn:aws:s3:::builds/*" };"#,
        Unknown::Never,
    ),
    rule(
        r#"@id("table") permit (principal == Workload::"builds", action == Action::"dynamodb:PutItem",
            resource == Resource::"arn:aws:dynamodb:eu-central-1:123456789012:table/jobs");"#,
        Unknown::Never,
    ),
    rule(
        r#"@id("kind") permit (principal, action in Action::"dynamodb:*", resource) when {
            resource has account && resource.account == "123456789012" &&
            resource has type && resource.type == "table" &&
            resource has region && resource.region == context.region };"#,
        Unknown::Never,
    ),
    rule(
        r#"@id("few") permit (principal, action == Action::"ec2:RunInstances", resource) when {
            context.params has MaxCount && context.params.MaxCount > 0 &&
            context.session.sums["ec2:RunInstances/MaxCount"] + context.params.MaxCount <= 10 };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("star") permit (principal in Group::"agents", action == Action::"sqs:SendMessage",
            resource == Resource::"*");"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("ask") @reviewers("oncall") permit (principal, action in Action::"s3:Write", resource)
            when { context has approval && context.approval.groups.contains("oncall") };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("ask-queue") @reviewers("owners, oncall") permit (principal, action in Action::"sqs:*", resource)
            when { context has approval && context.approval.groups.contains("owners") &&
                resource.arn like "arn:aws:sqs:*:jobs*" };"#,
        Unknown::Never,
    ),
    rule(
        r#"@id("secret") forbid (principal, action in Action::"s3:*", resource)
            when { resource.arn like "arn:aws:s3:::secret*" };"#,
        Unknown::Fails(r#"@id("secret") forbid (principal, action in Action::"s3:*", resource);"#),
    ),
    rule(
        r#"@id("key") forbid (principal, action in Action::"s3:*", resource)
            when { context.params has Key && context.params.Key like "*secret*" };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("group") forbid (principal, action == Action::"ec2:RunInstances", resource)
            when { context.params has SecurityGroupIds && context.params.SecurityGroupIds.contains("sg-open") };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("tokens") forbid (principal, action == Action::"ec2:RunInstances", resource)
            when { context.params has MetadataOptions.HttpTokens &&
                context.params.MetadataOptions.HttpTokens != "required" };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("rate") forbid (principal, action in [Action::"*:Write", Action::"*:PermissionsManagement"], resource)
            when { context.session.calls_last_minute >= 100 ||
                context.workload_day.counts["ec2:RunInstances"] > 50 };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("unread") forbid (principal in Group::"careful", action, resource)
            when { context.unread.contains("Body") && context.operation like "s3:*" };"#,
        Unknown::Same,
    ),
    rule(
        r#"@id("elsewhere") forbid (principal in Group::"careful", action in Action::"dynamodb:*", resource)
            unless { resource has region && resource.region == context.region };"#,
        Unknown::Fails(
            r#"@id("elsewhere") forbid (principal in Group::"careful", action in Action::"dynamodb:*", resource);"#,
        ),
    ),
    rule(
        r#"@id("roles") forbid (principal, action in Action::"iam:*", resource)
            when { resource.arn like "*:role/admin*" && context.region == "us-east-1" };"#,
        Unknown::Fails(
            r#"@id("roles") forbid (principal, action in Action::"iam:*", resource)
                when { context.region == "us-east-1" };"#,
        ),
    ),
];
