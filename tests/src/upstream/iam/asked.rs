//! What a request asks for: actions on resources of a handful of operations; nothing is known of others.

use http::{Method, request::Parts};
use serde_json::Value;

use crate::upstream::sigv4::{Claim, decode};

/// Every action and the resource it is done to; `None`: not known here.
pub(super) fn of(head: &Parts, claim: &Claim, account: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let here =
        |service: &str, resource: &str| format!("arn:aws:{service}:{}:{account}:{resource}", claim.region);
    let one = |action: &str, resource: String| Some(vec![(action.to_owned(), resource)]);
    match claim.service.as_str() {
        "s3" => s3(head),
        "dynamodb" => match target(head)? {
            operation @ ("GetItem" | "PutItem") => {
                let table = text(body, "TableName")?;
                let arn = if table.starts_with("arn:") {
                    table
                } else {
                    here("dynamodb", &format!("table/{table}"))
                };
                one(&format!("dynamodb:{operation}"), arn)
            }
            "ListTables" => one("dynamodb:ListTables", "*".to_owned()),
            _ => None,
        },
        "sqs" => match target(head)? {
            "SendMessage" => {
                let url = text(body, "QueueUrl")?;
                let mut parts = url.rsplit('/');
                let (name, account) = (parts.next()?, parts.next()?);
                one("sqs:SendMessage", format!("arn:aws:sqs:{}:{account}:{name}", claim.region))
            }
            _ => None,
        },
        "secretsmanager" => match target(head)? {
            "GetSecretValue" => {
                let id = text(body, "SecretId")?;
                // AWS appends six characters to the name.
                let arn = if id.starts_with("arn:") {
                    id
                } else {
                    here("secretsmanager", &format!("secret:{id}-AbCdEf"))
                };
                one("secretsmanager:GetSecretValue", arn)
            }
            _ => None,
        },
        "lambda" => {
            let name =
                head.uri.path().strip_prefix("/2015-03-31/functions/")?.strip_suffix("/invocations")?;
            let name = String::from_utf8(decode(name)).ok()?;
            one("lambda:InvokeFunction", here("lambda", &format!("function:{name}")))
        }
        "sts" => {
            let form = form(body);
            match form.iter().find(|(name, _)| name == "Action")?.1.as_str() {
                // Nothing is needed to ask who one is, and the token is what counts for the other.
                "GetCallerIdentity" | "AssumeRoleWithWebIdentity" => Some(Vec::new()),
                "AssumeRole" => {
                    one("sts:AssumeRole", form.iter().find(|(name, _)| name == "RoleArn")?.1.clone())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// `Service.Operation` of the JSON protocols.
fn target(head: &Parts) -> Option<&str> {
    Some(head.headers.get("x-amz-target")?.to_str().ok()?.split_once('.')?.1)
}

fn text(body: &[u8], member: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get(member)?.as_str()?.to_owned())
}

/// The pairs of a form.
pub(super) fn form(body: &[u8]) -> Vec<(String, String)> {
    let text = |part: &str| String::from_utf8_lossy(&decode(&part.replace('+', " "))).into_owned();
    let body = String::from_utf8_lossy(body);
    body.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn s3(head: &Parts) -> Option<Vec<(String, String)>> {
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).or_else(|| head.uri.host())?;
    let path = String::from_utf8(decode(head.uri.path().strip_prefix('/')?)).ok()?;
    let (bucket, key) = match host.split_once(".s3.") {
        Some((bucket, _)) => (bucket.to_owned(), path),
        None => match path.split_once('/') {
            Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
            None => (path, String::new()),
        },
    };
    let parameters = || head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let names = || parameters().map(|pair| pair.split('=').next().unwrap_or(pair));
    let pair = |action: &str, resource: &str| (format!("s3:{action}"), format!("arn:aws:s3:::{resource}"));
    if key.is_empty() {
        let listing = ["list-type", "prefix", "delimiter", "max-keys", "encoding-type", "x-id"];
        let lists = head.method == Method::GET || head.method == Method::HEAD;
        return (lists && names().all(|name| listing.contains(&name)))
            .then(|| vec![pair("ListBucket", &bucket)]);
    }
    if names().any(|name| name != "x-id") {
        return None;
    }
    let object = format!("{bucket}/{key}");
    match head.method {
        Method::GET | Method::HEAD => Some(vec![pair("GetObject", &object)]),
        Method::DELETE => Some(vec![pair("DeleteObject", &object)]),
        Method::PUT => {
            let mut asked = vec![pair("PutObject", &object)];
            if let Some(source) = head.headers.get("x-amz-copy-source") {
                let source = String::from_utf8(decode(source.to_str().ok()?)).ok()?;
                asked.push(pair("GetObject", source.trim_start_matches('/')));
            }
            let also = [("x-amz-acl", "PutObjectAcl"), ("x-amz-tagging", "PutObjectTagging")];
            let also = also.iter().filter(|(header, _)| head.headers.contains_key(*header));
            asked.extend(also.map(|(_, action)| pair(action, &object)));
            Some(asked)
        }
        _ => None,
    }
}
