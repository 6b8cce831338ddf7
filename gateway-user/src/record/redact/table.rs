//! Hides what the table of secrets says of an operation's parameters.

use serde_json::Value;

use super::hide;
use crate::catalog::{Reach, SecretNode, Secrets, Service, catalog, secrets};

/// Hides the secrets in the parameters of `operation`. `service` is the prefix of its IAM actions, or botocore's name:
/// where several services have it, what any of them calls secret is.
pub(super) fn redact(service: &str, operation: &str, params: &mut Value) {
    let called = |known: &&Service| known.prefix == service || known.name == service;
    for known in catalog().services().iter().filter(called) {
        if let Some(secrets) = secrets(known.name)
            && let Some(reach) = secrets.input(operation)
        {
            visit(secrets, reach, params);
        }
    }
}

fn visit(secrets: &Secrets, reach: Reach, value: &mut Value) {
    if reach.hidden.is_some() {
        return hide(value, false);
    }
    let Some(node) = reach.below.map(|id| secrets.node(id)) else { return };
    match (node, value) {
        (_, Value::Null) => {}
        (SecretNode::Structure(members), Value::Object(fields)) => {
            for (name, field) in fields {
                let is = |known: &str| known.eq_ignore_ascii_case(name);
                for member in members.iter().filter(|member| is(member.name) || is(member.wire)) {
                    visit(secrets, member.to, field);
                }
                // What no shape was found for keeps the name that it has in a form.
                let parts: Vec<&str> = name.split('.').collect();
                if parts.len() > 1 && flat(secrets, reach, &parts) {
                    hide(field, false);
                }
            }
        }
        (SecretNode::List { item, .. }, Value::Array(items)) => {
            items.iter_mut().for_each(|element| visit(secrets, *item, element));
        }
        (SecretNode::Map { value, .. }, Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| visit(secrets, *value, entry));
        }
        // It is not what the model says.
        (_, value) => hide(value, false),
    }
}

/// Whether a name of a form, `Environment.Variables.entry.1.value`, leads to something secret. What stands between
/// names of members counts items.
fn flat(secrets: &Secrets, reach: Reach, parts: &[&str]) -> bool {
    if reach.hidden.is_some() {
        return true;
    }
    let Some(node) = reach.below.map(|id| secrets.node(id)) else { return false };
    match (node, parts) {
        (_, []) => false,
        (SecretNode::Structure(members), [name, rest @ ..]) => members
            .iter()
            .filter(|member| member.name.eq_ignore_ascii_case(name) || member.wire.eq_ignore_ascii_case(name))
            .any(|member| flat(secrets, member.to, rest)),
        (SecretNode::List { item: to, .. } | SecretNode::Map { value: to, .. }, parts) => {
            (0..=parts.len().min(3))
                .any(|skipped| flat(secrets, *to, parts.get(skipped..).unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::REDACTED, *};

    fn check(service: &str, operation: &str, mut params: Value, expected: Value) {
        redact(service, operation, &mut params);
        assert_eq!(params, expected, "{service} {operation}");
    }

    #[test]
    fn what_the_table_says_is_hidden() {
        check(
            "secretsmanager",
            "CreateSecret",
            json!({"Name": "n", "SecretString": "s"}),
            json!({"Name": "n", "SecretString": REDACTED}),
        );
        check(
            "ssm",
            "PutParameter",
            json!({"Name": "n", "Value": "v", "Type": "String"}),
            json!({"Name": "n", "Value": REDACTED, "Type": "String"}),
        );
        check(
            "iam",
            "CreateLoginProfile",
            json!({"UserName": "u", "Password": "p"}),
            json!({"UserName": "u", "Password": REDACTED}),
        );
        check(
            "lambda",
            "UpdateFunctionConfiguration",
            json!({"FunctionName": "f", "Environment": {"Variables": {"A": "x", "B": null}}, "Timeout": 3}),
            json!({"FunctionName": "f", "Environment": {"Variables": {"A": REDACTED, "B": null}}, "Timeout": 3}),
        );
        check(
            "ecs",
            "RegisterTaskDefinition",
            json!({"containerDefinitions": [{"image": "i", "environment": [{"name": "A", "value": "x"}]}]}),
            json!({"containerDefinitions": [{"image": "i", "environment": [{"name": "A", "value": REDACTED}]}]}),
        );
    }

    #[test]
    fn names_on_the_wire_and_in_any_case_count() {
        for name in ["value", "Value", "VALUE"] {
            check(
                "apigateway",
                "CreateApiKey",
                json!({"name": "n", name: "x"}),
                json!({"name": "n", name: REDACTED}),
            );
        }
        check(
            "ec2",
            "RunInstances",
            json!({"UserData": "x", "userData": "y", "ImageId": "ami"}),
            json!({"UserData": REDACTED, "userData": REDACTED, "ImageId": "ami"}),
        );
    }

    #[test]
    fn what_has_another_form_than_in_the_model_is_hidden() {
        check(
            "lambda",
            "CreateFunction",
            json!({"Environment": "A=x", "Role": "r"}),
            json!({"Environment": REDACTED, "Role": "r"}),
        );
        check(
            "elasticbeanstalk",
            "UpdateEnvironment",
            json!({"OptionSettings.member.1.Value": "x", "OptionSettings.member.1.OptionName": "n"}),
            json!({"OptionSettings.member.1.Value": REDACTED, "OptionSettings.member.1.OptionName": "n"}),
        );
    }

    #[test]
    fn services_of_one_prefix_count_together_and_others_not() {
        // Two services call their actions elasticloadbalancing; only one has listeners with client secrets.
        check(
            "elasticloadbalancing",
            "CreateListener",
            json!({"DefaultActions": [{"AuthenticateOidcConfig": {"ClientId": "i", "ClientSecret": "s"}}]}),
            json!({"DefaultActions": [{"AuthenticateOidcConfig": {"ClientId": "i", "ClientSecret": REDACTED}}]}),
        );
        let params = json!({"SecretString": "s"});
        check("dynamodb", "CreateSecret", params.clone(), params);
    }
}
