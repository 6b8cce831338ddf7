//! Parameters that make an operation need further actions.

use super::{
    Values,
    address::Address,
    on,
    operations::{Kind, Row},
};
use crate::classify::{ActionOn, Param};

/// Adds what the parameters ask for.
pub(super) fn add(params: &Values, row: &Row, address: &Address, actions: &mut Vec<ActionOn>) {
    let has = |name: &str| params.contains_key(name);
    let has_acl = has("ACL") || params.keys().any(|name| name.starts_with("Grant"));
    let arn = address.arn();
    let writes_object = matches!(row.operation, "PutObject" | "CopyObject" | "CreateMultipartUpload");
    let mut need = |condition: bool, action: &str| {
        if condition {
            actions.push(on(action, &arn));
        }
    };
    need(writes_object && has_acl, "PutObjectAcl");
    need(writes_object && has("Tagging"), "PutObjectTagging");
    let retains = has("ObjectLockMode") || has("ObjectLockRetainUntilDate");
    need(writes_object && retains, "PutObjectRetention");
    need(writes_object && has("ObjectLockLegalHoldStatus"), "PutObjectLegalHold");
    let creates = row.operation == "CreateBucket";
    need(creates && has_acl, "PutBucketAcl");
    need(creates && has("ObjectOwnership"), "PutBucketOwnershipControls");
    need(creates && has("ObjectLockEnabledForBucket"), "PutBucketVersioning");
    need(creates && has("ObjectLockEnabledForBucket"), "PutBucketObjectLockConfiguration");
    if has("BypassGovernanceRetention") {
        let touched: Vec<String> = match row.kind {
            Kind::Object => vec![arn],
            Kind::Bucket | Kind::Service | Kind::Directories => {
                actions.iter().map(|action| action.resource.clone()).collect()
            }
        };
        actions.extend(touched.iter().map(|resource| on("BypassGovernanceRetention", resource)));
    }
    // S3 asks KMS for a key of the object with the caller's rights.
    if let Some(Param::Text(key)) = params.get("SSEKMSKeyId").filter(|_| writes_object) {
        let is_key =
            key.starts_with("arn:") && key.contains(":kms:") && key.contains(":key/") && !key.contains('*');
        let resource = if is_key { key.as_str() } else { "*" };
        actions.push(ActionOn { action: "kms:GenerateDataKey".to_owned(), resource: resource.to_owned() });
    }
}
