//! S3: method + target + sub-resource + headers → operation, actions, parameters.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use std::collections::BTreeMap;

use super::{ActionOn, ClassifyError, Param};
use crate::{parse::VerifiedRequest, prim::AccountId};

mod address;
mod beyond;
mod copy_source;
mod delete_objects;
mod extra;
mod operations;
mod params;

use address::Address;
use operations::{Kind, On, Row};

/// An S3 call.
pub(super) struct S3Call {
    pub(super) operation: &'static str,
    pub(super) actions: Vec<ActionOn>,
    pub(super) params: BTreeMap<String, Param>,
}

/// Reads an S3 call. `account` is the workload's.
pub(super) fn read(request: &VerifiedRequest, account: Option<&AccountId>) -> Result<S3Call, ClassifyError> {
    let head = request.request();
    if let Some(name) = head.query().duplicate() {
        return Err(ClassifyError::Ambiguous(format!("the query parameter {name:?} is there twice")));
    }
    if head.headers().contains_key("x-amz-target") || head.headers().contains_key("smithy-protocol") {
        return Err(ClassifyError::Ambiguous("it speaks two protocols at once".to_owned()));
    }
    let address = Address::read(head.endpoint(), head.path(), head.region())?;
    let row = operations::find(head, address.kind())?;
    if row.operation == "CreateSession" {
        return Err(ClassifyError::MintsCredentials("s3:CreateSession".to_owned()));
    }
    if let Some(id) = head.query().get("x-id")
        && id != row.operation
    {
        return Err(ClassifyError::Ambiguous(format!("x-id says {id:?}, the request is {}", row.operation)));
    }
    let mut actions = match row.on {
        On::Copy => copy(request, row, &address)?,
        On::Keys => delete_objects::actions(request, &address)?,
        On::Everything => vec![on(row.action, "*")],
        On::Directories => {
            vec![ActionOn { action: format!("s3express:{}", row.action), resource: "*".to_owned() }]
        }
        On::Target => target(head.query().contains("versionId"), row, &address),
    };
    extra::add(head, row, &address, &mut actions);
    if let Some(bucket) = address.bucket() {
        actions = beyond::needed(head, row, bucket, actions, account)?;
    }
    Ok(S3Call { operation: row.operation, actions, params: params::read(head, &address)? })
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
fn copy(request: &VerifiedRequest, row: &Row, address: &Address) -> Result<Vec<ActionOn>, ClassifyError> {
    let source = copy_source::read(request.request())?;
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
