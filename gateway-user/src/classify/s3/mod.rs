//! S3: method + target + sub-resource + headers → operation and actions.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use std::collections::BTreeMap;

use super::{ActionOn, ClassifyError, Param, members, needs};
use crate::{
    catalog::{Operation, Partition, Protocol, Service, catalog},
    parse::{AwsRequest, Token},
};

mod address;
mod beyond;
mod copy_source;
mod delete_objects;
mod extra;
mod moved;
mod operations;

use address::Address;
use members::Params;
use operations::{Kind, On, Row};

/// Parameters by name.
type Values = BTreeMap<String, Param>;

/// An S3 call.
pub(super) struct S3Call {
    pub(super) operation: &'static str,
    pub(super) actions: Vec<ActionOn>,
    pub(super) params: Params,
}

/// Parameters that are secret: keys that S3 encrypts with and forgets. Nothing may read them.
const KEYS: [&str; 2] = ["SSECustomerKey", "CopySourceSSECustomerKey"];

/// Reads an S3 call; no body: it was not inspected.
pub(super) fn read(
    head: &AwsRequest,
    body: Option<&[u8]>,
    arns: &needs::Arns<'_>,
) -> Result<S3Call, ClassifyError> {
    if let Some(name) = head.query().duplicate() {
        return Err(ClassifyError::Ambiguous(format!("the query parameter {name:?} is there twice")));
    }
    if head.headers().contains_key("x-amz-target") || head.headers().contains_key("smithy-protocol") {
        return Err(ClassifyError::Ambiguous("it speaks two protocols at once".to_owned()));
    }
    // Whose rights count is the session's matter then, not that of the keys that the gateway signs with.
    // Where it is the token of the signature itself, the signer puts its own in its place.
    if head.headers().contains_key("x-amz-s3session-token") && head.token_place() != Token::S3Session {
        return Err(ClassifyError::Ambiguous(
            "it carries a session of S3 Express beside its signature".to_owned(),
        ));
    }
    let address = Address::read(head.endpoint(), head.path(), head.region())?;
    let row = operations::find(head, address.kind())?;
    // Only directory buckets have sessions.
    if row.operation == "CreateSession" && !head.endpoint().is_directory_bucket() {
        return Err(ClassifyError::MintsCredentials("s3:CreateSession".to_owned()));
    }
    let (service, operation) = modelled(row)?;
    moved::check(head, service, operation)?;
    let mut params = members::read(service, operation, Protocol::RestXml, &address.labels(), (head, body))?;
    params.values.retain(|name, _| !KEYS.contains(&name.as_str()));
    let actions = actions(row, operation, &params.values, &address, arns)?;
    Ok(S3Call { operation: operation.name, actions, params })
}

/// The actions of a call that is known by name and parameters.
///
/// # Errors
/// [`ClassifyError`]: there is no such operation, or its parameters are none.
pub(super) fn needs_of(
    operation: &str,
    params: &Values,
    arns: &needs::Arns<'_>,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let row = operations::named(operation).ok_or_else(|| unknown(operation))?;
    let (_, modelled) = modelled(row)?;
    actions(row, modelled, params, &Address::of(params, arns.partition())?, arns)
}

/// What IAM is asked: on the target or what else the row says, for what the headers want besides, and for
/// roles that S3 is given.
fn actions(
    row: &Row,
    operation: &Operation,
    params: &Values,
    address: &Address,
    arns: &needs::Arns<'_>,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let mut actions = match (row.on, address.bucket()) {
        (On::Copy, _) => copy(params, row, address, arns.partition())?,
        (On::Keys, Some(bucket)) => delete_objects::actions(params, bucket)?,
        (On::Keys | On::Everything, _) => vec![on(row.action, "*")],
        (On::Directories, _) => {
            vec![ActionOn { action: format!("s3express:{}", row.action), resource: "*".to_owned() }]
        }
        (On::Target, _) => target(params.contains_key("VersionId"), row, address),
    };
    extra::add(params, row, address, &mut actions);
    actions.extend(passed_roles(operation, params, arns));
    match address.bucket() {
        Some(bucket) => beyond::needed(params, row, bucket, actions, arns.own_account()),
        None => Ok(actions),
    }
}

/// The operation as the models have it.
fn modelled(row: &Row) -> Result<(&'static Service, &'static Operation), ClassifyError> {
    let service = catalog().service("s3");
    let found = service.and_then(|service| Some((service, service.operation(row.operation)?)));
    found.ok_or_else(|| unknown(row.operation))
}

fn unknown(operation: &str) -> ClassifyError {
    ClassifyError::UnknownOperation { service: "s3".to_owned(), detail: operation.to_owned() }
}

/// The roles that S3 is given to act in.
fn passed_roles(operation: &Operation, params: &Values, arns: &needs::Arns<'_>) -> Vec<ActionOn> {
    let mut roles = needs::of(&operation.needs, params, arns);
    roles.retain(|on| on.action == "iam:PassRole");
    roles
}

fn on(action: &str, resource: &str) -> ActionOn {
    ActionOn { action: format!("s3:{action}"), resource: resource.to_owned() }
}

/// The row's actions on the bucket or object; with a version, IAM has actions of their own.
fn target(versioned: bool, row: &Row, address: &Address) -> Vec<ActionOn> {
    let names = row.action.split(' ').zip(row.versioned.split(' ').chain(std::iter::repeat("")));
    names
        .map(|(plain, of_version)| {
            let action = if versioned && !of_version.is_empty() { of_version } else { plain };
            on(action, &address.arn())
        })
        .collect()
}

/// Reading the source and writing the target are two actions on two resources.
fn copy(
    params: &Values,
    row: &Row,
    address: &Address,
    partition: Partition,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let source = copy_source::read(params, partition)?;
    let action = if source.versioned { "GetObjectVersion" } else { "GetObject" };
    Ok(vec![on(action, &source.arn), on(row.action, &address.arn())])
}

impl Address {
    fn kind(&self) -> Kind {
        match self {
            Address::Service => Kind::Service,
            Address::Directories => Kind::Directories,
            Address::Bucket(_) => Kind::Bucket,
            Address::Object(_, _) => Kind::Object,
        }
    }
}

#[cfg(test)]
mod tests;
