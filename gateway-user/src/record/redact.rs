//! Request parameters and arguments that look like secrets: their values are not stored.
//!
//! The names are collected from the AWS API models (members marked `sensitive`) and from the AWS
//! documentation of those that are not marked. Too much is hidden rather than too little: a record
//! that lacks a value can be explained, one that leaks a secret cannot be taken back.
//!
//! Either is enough: the table of the operation's members, as AWS's own CloudTrail hides them (`table`), or a name that
//! looks like a secret's, which also covers what the models do not have.

use serde_json::Value;

mod command;
mod table;

pub(super) use command::redact_command;

/// What is stored instead.
pub(super) const REDACTED: &str = "[redacted]";

/// A parameter is secret if its name, in lower case and without punctuation, ends with one of these.
const SECRET_ENDINGS: &[&str] = &[
    "apikey",
    "assertion",
    "authcode",
    "authorization",
    "authorizationcode",
    "codeverifier",
    "confirmationcode",
    "connectionstring",
    "credential",
    "credentials",
    "customerkey",
    "devicecode",
    "keymaterial",
    "logins",
    "mfacode",
    "passphrase",
    "password",
    "plaintext",
    "privatekey",
    "secret",
    "secretaccesskey",
    "secretbinary",
    "secretkey",
    "secretstring",
    "token",
    "tokencode",
    "usercode",
    "userdata",
    "verificationcode",
];

/// Names with such an ending that page through lists or make a request idempotent.
const HARMLESS: &[&str] = &[
    "clientrequesttoken",
    "clienttoken",
    "continuationtoken",
    "creationtoken",
    "idempotencytoken",
    "nexttoken",
    "paginationtoken",
    "startingtoken",
];

/// Everything below a parameter of this name is secret, save the names in it.
const SECRET_CONTAINERS: &[&str] = &[
    "authparameters",
    "challengeresponses",
    "connectionproperties",
    "defaultarguments",
    "environment",
    "environmentvariables",
    "optionsettings",
    "variables",
];

/// Members whose name alone says nothing: service, operation, member.
const SECRET_MEMBERS: &[(&str, &str, &str)] = &[
    ("amplifyuibuilder", "ExchangeCodeForToken", "code"),
    ("apigateway", "CreateApiKey", "value"),
    ("apigateway", "ImportApiKeys", "body"),
    ("cloudformation", "CreateChangeSet", "parametervalue"),
    ("cloudformation", "CreateStack", "parametervalue"),
    ("cloudformation", "UpdateStack", "parametervalue"),
    ("cognito-idp", "AdminInitiateAuth", "session"),
    ("cognito-idp", "AdminRespondToAuthChallenge", "session"),
    ("cognito-idp", "AssociateSoftwareToken", "session"),
    ("cognito-idp", "RespondToAuthChallenge", "session"),
    ("cognito-idp", "VerifySoftwareToken", "session"),
    ("ssm", "PutParameter", "value"),
    ("sso-oauth", "CreateToken", "code"),
    ("sso-oauth", "CreateTokenWithIAM", "code"),
];

/// In a list of `{name, value}` inside a secret container, the members that are not secret.
const ENTRY_NAMES: &[&str] = &["name", "namespace", "optionname", "resourcename", "type"];

/// `params` with every value replaced whose name looks like a secret's.
pub(super) fn redact_params(service: &str, operation: &str, mut params: Value) -> Value {
    Redactor { service, operation }.visit(&mut params);
    table::redact(service, operation, &mut params);
    params
}

struct Redactor<'a> {
    service: &'a str,
    operation: &'a str,
}

impl Redactor<'_> {
    fn visit(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.visit_field(name, field);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn visit_field(&self, name: &str, field: &mut Value) {
        // Flattened names such as `Environment.Variables.1.Value` count by each of their parts.
        let contained = name.split('.').any(|part| SECRET_CONTAINERS.contains(&normal(part).as_str()));
        let last = normal(name.rsplit('.').next().unwrap_or(name));
        if is_secret(&last) || self.is_secret_member(&last) {
            hide(field, false);
        } else if contained {
            hide(field, true);
        } else {
            self.visit(field);
        }
    }

    fn is_secret_member(&self, member: &str) -> bool {
        SECRET_MEMBERS.iter().any(|&(service, operation, secret)| {
            service == self.service && operation == self.operation && secret == member
        })
    }
}

/// Replaces every leaf. `names_stay`: entries of a list keep the members that name them.
fn hide(value: &mut Value, names_stay: bool) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| hide(field, names_stay)),
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(fields) if names_stay => {
                        for (name, field) in fields {
                            if !ENTRY_NAMES.contains(&normal(name).as_str()) {
                                hide(field, names_stay);
                            }
                        }
                    }
                    other => hide(other, names_stay),
                }
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = REDACTED.into(),
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending)) && !HARMLESS.contains(&name)
}

/// Lower case, letters and digits only: `Master-User_Password` → `masteruserpassword`.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(service: &str, operation: &str, params: Value, expected: Value) {
        assert_eq!(redact_params(service, operation, params), expected);
    }

    #[test]
    fn secret_members_are_hidden_wherever_they_are() {
        for name in [
            "SecretString",
            "SecretBinary",
            "Password",
            "MasterUserPassword",
            "NewPassword",
            "Plaintext",
            "PrivateKey",
            "ClientSecret",
            "SecretAccessKey",
            "SessionToken",
            "AuthToken",
            "WebIdentityToken",
            "SAMLAssertion",
            "TokenCode",
            "Logins",
            "deviceCode",
            "codeVerifier",
            "ConfirmationCode",
            "UserData",
            "EncryptedKeyMaterial",
            "PlatformCredential",
            "apiKey",
            "x-amz-security-token",
            "x-amz-server-side-encryption-customer-key",
            "LaunchSpecification.UserData",
        ] {
            check("any", "Op", json!({ name: "hunter2" }), json!({ name: REDACTED }));
            check("any", "Op", json!({"A": [{ name: "hunter2" }]}), json!({"A": [{ name: REDACTED }]}));
            check(
                "any",
                "Op",
                json!({ name: {"deep": [1, "x"]} }),
                json!({ name: {"deep": [REDACTED, REDACTED]} }),
            );
        }
    }

    #[test]
    fn names_ids_and_pages_stay() {
        let params = json!({
            "SecretId": "prod/db", "Name": "db", "KeyId": "alias/x", "AccessKeyId": "AKIA", "NextToken": "p2",
            "ClientRequestToken": "u", "ContinuationToken": "p3", "MaxResults": 5, "Value": "not ssm",
            "SSECustomerKeyMD5": "digest",
        });
        check("secretsmanager", "GetSecretValue", params.clone(), params);
    }

    #[test]
    fn a_general_name_is_secret_in_one_operation_only() {
        check(
            "ssm",
            "PutParameter",
            json!({"Name": "n", "Value": "v"}),
            json!({"Name": "n", "Value": REDACTED}),
        );
        check("ssm", "OtherOp", json!({"Value": "v"}), json!({"Value": "v"}));
        check(
            "cloudformation",
            "CreateStack",
            json!({"Parameters": [{"ParameterKey": "DbPass", "ParameterValue": "v"}]}),
            json!({"Parameters": [{"ParameterKey": "DbPass", "ParameterValue": REDACTED}]}),
        );
    }

    #[test]
    fn environments_keep_their_names_only() {
        check(
            "lambda",
            "CreateFunction",
            json!({"Environment": {"Variables": {"DB": "x", "name": "y"}}}),
            json!({"Environment": {"Variables": {"DB": REDACTED, "name": REDACTED}}}),
        );
        check(
            "ecs",
            "RegisterTaskDefinition",
            json!({"containerDefinitions": [{"image": "i", "environment": [{"name": "DB", "value": "x"}]}]}),
            json!({"containerDefinitions": [{"image": "i", "environment": [{"name": "DB", "value": REDACTED}]}]}),
        );
        check(
            "elasticbeanstalk",
            "UpdateEnvironment",
            json!({"OptionSettings.member.1.Value": "x"}),
            json!({"OptionSettings.member.1.Value": REDACTED}),
        );
    }
}
