//! Headers that stand in the query string of a presigned URL.
//!
//! S3 takes `x-amz-acl=…` there for the header `x-amz-acl`. Which others it takes is not documented, so each
//! must be one that the operation has: any other might as well be a sub-resource for it.

use crate::{
    catalog::{Location, Operation, Service},
    classify::ClassifyError,
    parse::AwsRequest,
};

/// Says how the body is signed; `parse` has read it.
const OF_THE_SIGNATURE: &str = "x-amz-content-sha256";

/// Refuses what is no header of the operation.
pub(super) fn check(
    head: &AwsRequest,
    service: &Service,
    operation: &Operation,
) -> Result<(), ClassifyError> {
    let members = service.members(operation);
    let known = |header: &str| {
        header == OF_THE_SIGNATURE
            || members.iter().any(|member| match member.at {
                Location::Header => member.wire.eq_ignore_ascii_case(header),
                Location::Headers => header.starts_with(&member.wire.to_ascii_lowercase()),
                _ => false,
            })
    };
    match head.moved_headers().find(|header| !known(header)) {
        Some(header) => Err(ClassifyError::Ambiguous(format!(
            "the query parameter {header:?} is no header of {}",
            operation.name
        ))),
        None => Ok(()),
    }
}
