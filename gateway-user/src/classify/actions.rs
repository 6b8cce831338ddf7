//! operation → IAM actions: the operation's own name, except where IAM knows others.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::BTreeMap;

use super::{
    ActionOn, Param,
    resource::{self, Arns},
};
use crate::catalog::{Service, catalog};

/// Operations of whose name IAM has no action.
const RENAMED: &[(&str, &str)] = &[
    ("dynamodb", "TransactGetItems"),
    ("dynamodb", "TransactWriteItems"),
    ("kms", "ReEncrypt"),
    ("sns", "PublishBatch"),
    ("sqs", "ChangeMessageVisibilityBatch"),
    ("sqs", "DeleteMessageBatch"),
    ("sqs", "SendMessageBatch"),
];

/// Services, by their names in botocore, whose actions were looked at one by one.
const REVIEWED: &[&str] = &[
    "cloudformation",
    "cloudtrail",
    "cloudwatch",
    "dynamodb",
    "dynamodbstreams",
    "ec2",
    "ecr",
    "ecs",
    "events",
    "iam",
    "kinesis",
    "kms",
    "logs",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
];

/// Whether [`of`] knows what the operation needs.
pub(super) fn are_known(service: &Service, operation: &str) -> bool {
    let prefix = service.prefix;
    REVIEWED.contains(&service.name)
        && (RENAMED.contains(&(prefix, operation))
            || catalog().action(&format!("{prefix}:{operation}")).is_some())
}

/// Operations whose answers carry credentials: AWS keys, tokens that act for a caller, private
/// keys of hosts, second factors; or that set credentials the caller chose. They are refused until answers can be rewritten.
const MINTING: &[(&str, &[&str])] = &[
    ("ec2", &["CreateKeyPair", "GetPasswordData"]),
    ("ecr", &["GetAuthorizationToken"]),
    ("ecs", &["ExecuteCommand"]),
    (
        "iam",
        &[
            "ChangePassword",
            "CreateAccessKey",
            "CreateLoginProfile",
            "CreateServiceSpecificCredential",
            "CreateVirtualMFADevice",
            "ResetServiceSpecificCredential",
            "UpdateLoginProfile",
            "UploadSSHPublicKey",
            "UploadSigningCertificate",
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
            // What filters find is not told.
            let ids = if params.contains_key("Filters") { None } else { params.get("SecretIdList") };
            let secrets = resource::texts(ids).map(resource::secret).collect();
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
    match (prefix, operation) {
        // Parameter Store hands out secrets under names of its own.
        ("ssm", "GetParameter" | "GetParameters" | "GetParametersByPath" | "GetParameterHistory") => {
            let mut names =
                ["Name", "Names", "Path"].into_iter().flat_map(|member| resource::texts(params.get(member)));
            if names.any(|name| name.to_ascii_lowercase().contains("aws/reference/secretsmanager")) {
                actions.extend(on_all("secretsmanager", "GetSecretValue", Vec::new()));
            }
        }
        ("dynamodb", "ExportTableToPointInTime") => {
            let target = arns.export(params.get("S3Bucket"), params.get("S3Prefix"));
            actions.extend(on_all("s3", "PutObject", vec![target]));
        }
        _ => {}
    }
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
            actions.extend(on_all("dynamodb", action, tables));
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

/// Operations that pass a role which the request does not name by ARN, whatever others it names; or
/// that act with the caller's own keys, which AWS keeps for later.
const PASS_UNNAMED: &[(&str, &[&str], Option<&str>)] = &[
    ("ec2", &["AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"], None),
    ("ec2", &["RunInstances"], Some("IamInstanceProfile")),
    // A launch template or specification may hold an instance profile.
    ("ec2", &["RunInstances"], Some("LaunchTemplate")),
    (
        "ec2",
        &[
            "CreateFleet",
            "ModifyFleet",
            "ModifySpotFleetRequest",
            "RequestSpotFleet",
            "RequestSpotInstances",
            "RunScheduledInstances",
        ],
        None,
    ),
    // The roles are in the task definition.
    ("ecs", &["CreateService", "CreateTaskSet", "RunTask", "StartTask", "UpdateService"], None),
    // These have no member for a role: the stack's own is used, or the caller's keys are.
    (
        "cloudformation",
        &[
            "CreateStackInstances",
            "CreateStackRefactor",
            "DeleteStackInstances",
            "ExecuteChangeSet",
            "ExecuteStackRefactor",
            "UpdateStackInstances",
        ],
        None,
    ),
    // Whether a runbook uses the role it is given is up to the runbook.
    (
        "ssm",
        &[
            "CreateAssociation",
            "CreateAssociationBatch",
            "StartAutomationExecution",
            "StartChangeRequestExecution",
            "UpdateAssociation",
        ],
        None,
    ),
];

/// The same, unless this member names the role.
const PASS_UNLESS: &[(&str, &[&str], &str)] = &[
    (
        "cloudformation",
        &[
            "ContinueUpdateRollback",
            "CreateChangeSet",
            "CreateStack",
            "DeleteStack",
            "RollbackStack",
            "UpdateStack",
        ],
        "RoleARN",
    ),
    ("cloudformation", &["CreateStackSet", "UpdateStackSet"], "AdministrationRoleARN"),
];

/// Services that take no roles, but carry data in which anything may be written.
const PASS_NOTHING: &[&str] = &["dynamodb", "iam", "kinesis", "kms", "secretsmanager", "sqs", "sts"];

/// `iam:PassRole` for each role that the request hands to a service: the ARN of a role in any
/// member, however deep, and a name in a member that is called a role. More than IAM asks for is
/// possible, less is not.
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
        // Messages are the agent's own texts.
        ("sns", "Publish" | "PublishBatch") | ("logs", "PutLogEvents") => {}
        _ if PASS_NOTHING.contains(&prefix) => {}
        _ => {
            params.iter().for_each(|(name, param)| collect_roles(name, param, arns, &mut roles));
        }
    }
    let unnamed = PASS_UNNAMED.iter().any(|(service, operations, member)| {
        *service == prefix
            && operations.contains(&operation)
            && member.is_none_or(|member| params.contains_key(member))
    });
    let unless = PASS_UNLESS.iter().any(|(service, operations, member)| {
        let named = matches!(params.get(*member), Some(Param::Text(role)) if is_role(role));
        *service == prefix && operations.contains(&operation) && !named
    });
    if unnamed || unless {
        roles.push("*".to_owned());
    }
    roles.sort_unstable();
    roles.dedup();
    roles.into_iter().map(|resource| ActionOn { action: "iam:PassRole".to_owned(), resource }).collect()
}

fn is_role(text: &str) -> bool {
    text.starts_with("arn:") && text.contains(":iam:") && text.contains(":role/")
}

/// Roles in `param`, a member called `name`.
fn collect_roles(name: &str, param: &Param, arns: &Arns<'_>, roles: &mut Vec<String>) {
    let name = name.to_ascii_lowercase();
    match param {
        Param::Text(text) if text.starts_with("arn:") => {
            if is_role(text) {
                roles.push(text.clone());
            }
        }
        // Some services take a role's mere name as well.
        Param::Text(text) if !text.is_empty() && (name.ends_with("role") || name.ends_with("rolearn")) => {
            roles.push(arns.iam("role", text));
        }
        Param::List(items) => items.iter().for_each(|item| collect_roles(&name, item, arns, roles)),
        Param::Record(members) => {
            members.iter().for_each(|(name, member)| collect_roles(name, member, arns, roles));
        }
        Param::Text(_) | Param::Number(_) | Param::Bool(_) => {}
    }
}
