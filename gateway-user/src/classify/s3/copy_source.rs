//! `x-amz-copy-source`: `bucket/key`, percent-encoded, with an optional `?versionId=`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html#API_CopyObject_RequestSyntax>

use super::{Values, address};
use crate::{
    catalog::Partition,
    classify::{ClassifyError, Param},
};

/// What is copied.
pub(super) struct Source {
    /// The object's ARN.
    pub(super) arn: String,
    /// Whether one version of it is named.
    pub(super) versioned: bool,
}

/// Reads the copy source of a call.
pub(super) fn read(params: &Values, partition: Partition) -> Result<Source, ClassifyError> {
    let refused = |why: &str| ClassifyError::Ambiguous(format!("x-amz-copy-source {why}"));
    let Some(Param::Text(text)) = params.get("CopySource") else { return Err(refused("is missing")) };
    let (object, query) = match text.split_once('?') {
        Some((object, query)) => (object, Some(query)),
        None => (text.as_str(), None),
    };
    let versioned = match query.map(|query| query.strip_prefix("versionId=")) {
        None => false,
        Some(Some(version)) if !version.is_empty() && !version.contains(['&', '?', '%']) => true,
        Some(_) => return Err(refused("has a query other than versionId")),
    };
    // Decoded by some as a space, by others not.
    if object.contains('+') {
        return Err(refused("has a bare +, which must be percent-encoded"));
    }
    let object =
        percent_encoding::percent_decode_str(object).decode_utf8().map_err(|_| refused("is not UTF-8"))?;
    if object.starts_with("arn:") {
        return Err(refused("names an access point, which is not supported"));
    }
    let object = object.strip_prefix('/').unwrap_or(&object);
    let (bucket, key) = object.split_once('/').ok_or_else(|| refused("has no key"))?;
    if key.is_empty() {
        return Err(refused("has no key"));
    }
    address::check_key(key)?;
    let bucket = address::named(partition, bucket)?;
    Ok(Source { arn: bucket.object_arn(key), versioned })
}
