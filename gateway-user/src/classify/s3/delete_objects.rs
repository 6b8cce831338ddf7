//! The objects that DeleteObjects names: one action for each.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use std::collections::BTreeMap;

use super::{
    address::{Bucket, check_key},
    on,
};
use crate::classify::{ActionOn, ClassifyError, Param};

/// Keys in one call (S3's own bound).
const MAX_KEYS: usize = 1000;

/// `s3:DeleteObject` or `s3:DeleteObjectVersion` on every key. What S3 would do with members that it does not
/// have is not known, so there may be none.
pub(super) fn actions(
    params: &BTreeMap<String, Param>,
    bucket: &Bucket,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let delete = match params.get("Delete") {
        Some(Param::Record(delete)) => delete,
        _ => return Err(bad("it names no objects")),
    };
    known(delete, &["Objects", "Quiet"])?;
    let objects = match delete.get("Objects") {
        Some(Param::List(objects)) if !objects.is_empty() => objects,
        _ => return Err(bad("it names no objects")),
    };
    if objects.len() > MAX_KEYS {
        return Err(bad(format!("more than {MAX_KEYS} objects")));
    }
    objects.iter().map(|object| action(object, bucket)).collect()
}

fn action(object: &Param, bucket: &Bucket) -> Result<ActionOn, ClassifyError> {
    let Param::Record(object) = object else { return Err(bad("an Object that is none")) };
    known(object, &["ETag", "Key", "LastModifiedTime", "Size", "VersionId"])?;
    let key = match object.get("Key") {
        Some(Param::Text(key)) if !key.is_empty() => key,
        _ => return Err(bad("an Object without Key")),
    };
    check_key(key)?;
    let action = match object.get("VersionId") {
        None => "DeleteObject",
        Some(Param::Text(version)) if !version.is_empty() => "DeleteObjectVersion",
        Some(_) => return Err(bad("a VersionId that is none")),
    };
    Ok(on(action, &bucket.object_arn(key)))
}

fn known(record: &BTreeMap<String, Param>, names: &[&str]) -> Result<(), ClassifyError> {
    match record.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(bad(format!("the element {:?}", name.chars().take(100).collect::<String>()))),
    }
}

fn bad(what: impl Into<String>) -> ClassifyError {
    ClassifyError::BadBody(what.into())
}
