//! Headers that make an operation need further actions.

use super::{
    address::Address,
    on,
    operations::{Kind, Row},
};
use crate::{classify::ActionOn, parse::AwsRequest};

/// Adds what the headers of `head` ask for.
pub(super) fn add(head: &AwsRequest, row: &Row, address: &Address, actions: &mut Vec<ActionOn>) {
    let has = |name: &str| head.headers().contains_key(name);
    let has_acl =
        has("x-amz-acl") || head.headers().keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    let arn = address.arn();
    let writes_object = matches!(row.operation, "PutObject" | "CopyObject" | "CreateMultipartUpload");
    let mut need = |condition: bool, action: &str| {
        if condition {
            actions.push(on(action, &arn));
        }
    };
    need(writes_object && has_acl, "PutObjectAcl");
    need(writes_object && has("x-amz-tagging"), "PutObjectTagging");
    let retains = has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date");
    need(writes_object && retains, "PutObjectRetention");
    need(writes_object && has("x-amz-object-lock-legal-hold"), "PutObjectLegalHold");
    let creates = row.operation == "CreateBucket";
    need(creates && has_acl, "PutBucketAcl");
    need(creates && has("x-amz-object-ownership"), "PutBucketOwnershipControls");
    need(creates && has("x-amz-bucket-object-lock-enabled"), "PutBucketVersioning");
    need(creates && has("x-amz-bucket-object-lock-enabled"), "PutBucketObjectLockConfiguration");
    if has("x-amz-bypass-governance-retention") {
        let touched: Vec<String> = match row.kind {
            Kind::Object => vec![arn],
            Kind::Bucket | Kind::Service | Kind::Directories => {
                actions.iter().map(|action| action.resource.clone()).collect()
            }
        };
        actions.extend(touched.iter().map(|resource| on("BypassGovernanceRetention", resource)));
    }
    // The role that replicates is in the body, which is not read.
    if row.operation == "PutBucketReplication" {
        actions.push(ActionOn { action: "iam:PassRole".to_owned(), resource: "*".to_owned() });
    }
}
