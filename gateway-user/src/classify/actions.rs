//! operation → IAM actions: the operation's own name, except where IAM knows others.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::BTreeMap;

use super::{
    ActionOn, Param,
    resource::{self, Arns},
};

/// Operations that are not in `operations.txt`, because IAM has no action of their name.
const RENAMED: &[(&str, &str)] = &[
    ("dynamodb", "TransactGetItems"),
    ("dynamodb", "TransactWriteItems"),
    ("kms", "ReEncrypt"),
    ("sns", "PublishBatch"),
    ("sqs", "ChangeMessageVisibilityBatch"),
    ("sqs", "DeleteMessageBatch"),
    ("sqs", "SendMessageBatch"),
];

/// The operation, if it is one that [`of`] knows by hand.
pub(super) fn renamed(prefix: &str, operation: &str) -> Option<&'static str> {
    RENAMED.iter().find(|known| **known == (prefix, operation)).map(|(_, name)| *name)
}

/// Operations whose answers carry credentials: AWS keys, tokens that act for a caller, private
/// keys of hosts, second factors. They are refused until answers can be rewritten.
const MINTING: &[(&str, &[&str])] = &[
    ("ec2", &["CreateKeyPair", "GetPasswordData"]),
    ("ecr", &["GetAuthorizationToken"]),
    ("ecs", &["ExecuteCommand"]),
    (
        "iam",
        &[
            "CreateAccessKey",
            "CreateServiceSpecificCredential",
            "CreateVirtualMFADevice",
            "ResetServiceSpecificCredential",
        ],
    ),
    ("ssm", &["CreateActivation", "GetAccessToken", "ResumeSession", "StartSession"]),
    (
        "sts",
        &[
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "AssumeRoot",
            "GetDelegatedAccessToken",
            "GetFederationToken",
            "GetSessionToken",
            "GetWebIdentityToken",
        ],
    ),
];

/// Whether the operation's answer carries credentials.
pub(super) fn mints_credentials(prefix: &str, operation: &str) -> bool {
    MINTING.iter().any(|(service, names)| *service == prefix && names.contains(&operation))
}

/// Every action that `operation` needs, with its resources.
pub(super) fn of(
    prefix: &str,
    operation: &str,
    params: &BTreeMap<String, Param>,
    arns: &Arns<'_>,
) -> Vec<ActionOn> {
    let mut actions = match (prefix, operation) {
        ("dynamodb", "TransactGetItems" | "TransactWriteItems") => transaction(operation, params, arns),
        ("kms", "ReEncrypt") => {
            let on =
                |action: &str, member: &str| on_all(prefix, action, vec![arns.kms_key(params.get(member))]);
            let from = on("ReEncryptFrom", "SourceKeyId");
            from.into_iter().chain(on("ReEncryptTo", "DestinationKeyId")).collect()
        }
        ("secretsmanager", "BatchGetSecretValue") => {
            let secrets =
                resource::texts(params.get("SecretIdList")).map(|id| arns.given_or_any(id)).collect();
            let mut actions = on_all(prefix, operation, Vec::new());
            actions.extend(on_all(prefix, "GetSecretValue", secrets));
            actions
        }
        ("sns", "PublishBatch") => on_all(prefix, "Publish", arns.of(prefix, operation, params)),
        ("sqs", _) => {
            let action = operation.strip_suffix("Batch").unwrap_or(operation);
            on_all(prefix, action, arns.of(prefix, operation, params))
        }
        _ => on_all(prefix, operation, arns.of(prefix, operation, params)),
    };
    actions.extend(passed_roles(prefix, operation, params, arns));
    actions
}

/// The action on each resource; on `*` where none is known.
fn on_all(prefix: &str, action: &str, resources: Vec<String>) -> Vec<ActionOn> {
    let resources = if resources.is_empty() { vec!["*".to_owned()] } else { resources };
    resources
        .into_iter()
        .map(|resource| ActionOn { action: format!("{prefix}:{action}"), resource })
        .collect()
}

/// Transactions need the action of each item on that item's table.
fn transaction(operation: &str, params: &BTreeMap<String, Param>, arns: &Arns<'_>) -> Vec<ActionOn> {
    let mut actions = Vec::new();
    let Some(Param::List(items)) = params.get("TransactItems") else { return any_transaction(operation) };
    for item in items {
        let Param::Record(kinds) = item else { return any_transaction(operation) };
        for (kind, body) in kinds {
            let action = match (operation, kind.as_str()) {
                ("TransactGetItems", "Get") => "GetItem",
                ("TransactWriteItems", "ConditionCheck") => "ConditionCheckItem",
                ("TransactWriteItems", "Delete") => "DeleteItem",
                ("TransactWriteItems", "Put") => "PutItem",
                ("TransactWriteItems", "Update") => "UpdateItem",
                _ => return any_transaction(operation),
            };
            let Param::Record(body) = body else { return any_transaction(operation) };
            let tables =
                resource::texts(body.get("TableName")).map(|table| arns.dynamodb_table(table)).collect();
            for needed in on_all("dynamodb", action, tables) {
                if !actions.contains(&needed) {
                    actions.push(needed);
                }
            }
        }
    }
    if actions.is_empty() { any_transaction(operation) } else { actions }
}

/// A transaction that is not understood may do anything a transaction can, anywhere.
fn any_transaction(operation: &str) -> Vec<ActionOn> {
    let actions: &[&str] = match operation {
        "TransactGetItems" => &["GetItem"],
        _ => &["ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"],
    };
    actions.iter().flat_map(|action| on_all("dynamodb", action, Vec::new())).collect()
}

/// Operations that pass a role which the request does not name by ARN.
const PASS_UNNAMED: &[(&str, &[&str], Option<&str>)] = &[
    ("ec2", &["AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"], None),
    ("ec2", &["RunInstances"], Some("IamInstanceProfile")),
    // A launch template or specification may hold an instance profile.
    ("ec2", &["RunInstances"], Some("LaunchTemplate")),
    ("ec2", &["CreateFleet", "RequestSpotFleet", "RequestSpotInstances"], None),
    // The roles are in the task definition.
    ("ecs", &["CreateService", "RunTask", "StartTask", "UpdateService"], None),
];

/// Services that take no roles, but carry data in which anything may be written.
const PASS_NOTHING: &[&str] = &["dynamodb", "iam", "kinesis", "kms", "secretsmanager", "sqs", "sts"];

/// `iam:PassRole` for each role that the request hands to a service: every member, however deep,
/// whose name speaks of a role and whose value is one. More than IAM asks for is possible, less is
/// not.
fn passed_roles(
    prefix: &str,
    operation: &str,
    params: &BTreeMap<String, Param>,
    arns: &Arns<'_>,
) -> Vec<ActionOn> {
    let mut roles = Vec::new();
    match (prefix, operation) {
        ("iam", "AddRoleToInstanceProfile") => {
            roles.extend(resource::texts(params.get("RoleName")).map(|name| arns.iam("role", name)));
        }
        ("sns", "Publish" | "PublishBatch") => {}
        _ if PASS_NOTHING.contains(&prefix) => {}
        _ => {
            // The attributes of SNS are a map of names and values.
            let anywhere = prefix == "sns";
            params.iter().for_each(|(name, param)| collect_roles(name, param, anywhere, arns, &mut roles));
        }
    }
    let unnamed = PASS_UNNAMED.iter().any(|(service, operations, member)| {
        *service == prefix
            && operations.contains(&operation)
            && member.is_none_or(|member| params.contains_key(member))
    });
    if unnamed && roles.is_empty() {
        roles.push("*".to_owned());
    }
    roles.sort_unstable();
    roles.dedup();
    roles.into_iter().map(|resource| ActionOn { action: "iam:PassRole".to_owned(), resource }).collect()
}

/// Roles in `param`, a member called `name`; `inside` a member whose name speaks of a role.
fn collect_roles(name: &str, param: &Param, inside: bool, arns: &Arns<'_>, roles: &mut Vec<String>) {
    let name = name.to_ascii_lowercase();
    let inside = inside || name.contains("role");
    match param {
        Param::Text(text) if text.starts_with("arn:") => {
            if inside && text.contains(":role/") {
                roles.push(text.clone());
            }
        }
        // Some services take a role's mere name as well.
        Param::Text(text) if !text.is_empty() && (name == "role" || name.ends_with("rolearn")) => {
            roles.push(arns.iam("role", text));
        }
        Param::List(items) => items.iter().for_each(|item| collect_roles(&name, item, inside, arns, roles)),
        Param::Record(members) => {
            members.iter().for_each(|(name, member)| collect_roles(name, member, inside, arns, roles));
        }
        Param::Text(_) | Param::Number(_) | Param::Bool(_) => {}
    }
}
