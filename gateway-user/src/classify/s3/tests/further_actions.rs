use super::{call, check, classified};
use crate::{classify::ClassifyError, parse::testing::TestCall};

#[test]
fn headers_that_need_further_actions() {
    let put = || call("PUT", "/k");
    let object = |actions: &[&str]| {
        actions.iter().map(|action| format!("s3:{action} arn:aws:s3:::bkt/k")).collect::<Vec<_>>()
    };
    let check = |call: TestCall, operation: &str, actions: &[&str]| {
        let expected = object(actions);
        check(&call, operation, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check(put().header("x-amz-acl", "private"), "PutObject", &["PutObject", "PutObjectAcl"]);
    check(put().header("x-amz-grant-read", "id=1"), "PutObject", &["PutObject", "PutObjectAcl"]);
    check(put().header("x-amz-tagging", "a=b"), "PutObject", &["PutObject", "PutObjectTagging"]);
    check(
        put().header("x-amz-object-lock-mode", "GOVERNANCE"),
        "PutObject",
        &["PutObject", "PutObjectRetention"],
    );
    check(
        put().header("x-amz-object-lock-legal-hold", "ON"),
        "PutObject",
        &["PutObject", "PutObjectLegalHold"],
    );
    check(
        call("DELETE", "/k?versionId=v").header("x-amz-bypass-governance-retention", "true"),
        "DeleteObject",
        &["DeleteObjectVersion", "BypassGovernanceRetention"],
    );
    check(
        call("POST", "/k?uploads").header("x-amz-acl", "private"),
        "CreateMultipartUpload",
        &["PutObject", "PutObjectAcl"],
    );
    let create = call("PUT", "/")
        .header("x-amz-acl", "private")
        .header("x-amz-object-ownership", "ObjectWriter")
        .header("x-amz-bucket-object-lock-enabled", "true");
    let actions = [
        "CreateBucket",
        "PutBucketAcl",
        "PutBucketOwnershipControls",
        "PutBucketVersioning",
        "PutBucketObjectLockConfiguration",
    ];
    let expected = actions.map(|action| format!("s3:{action} arn:aws:s3:::bkt"));
    super::check(&create, "CreateBucket", &expected.each_ref().map(String::as_str));
}

#[test]
fn copies_need_the_source_and_the_target() {
    let copy = |source: &str| call("PUT", "/k").header("x-amz-copy-source", source);
    let put = "s3:PutObject arn:aws:s3:::bkt/k";
    check(&copy("src/a%20b"), "CopyObject", &["s3:GetObject arn:aws:s3:::src/a b", put]);
    check(&copy("/src/a/b"), "CopyObject", &["s3:GetObject arn:aws:s3:::src/a/b", put]);
    check(&copy("%2Fsrc%2Fa%2Bb"), "CopyObject", &["s3:GetObject arn:aws:s3:::src/a+b", put]);
    check(&copy("src/a?versionId=v"), "CopyObject", &["s3:GetObjectVersion arn:aws:s3:::src/a", put]);
    let part = call("PUT", "/k?partNumber=1&uploadId=u").header("x-amz-copy-source", "src/a");
    check(&part, "UploadPartCopy", &["s3:GetObject arn:aws:s3:::src/a", put]);
    let refused = |source: &str, why: &str| {
        assert_eq!(
            classified(&copy(source)),
            Err(ClassifyError::Ambiguous(format!("x-amz-copy-source {why}")))
        );
    };
    refused("src", "has no key");
    refused("src/", "has no key");
    refused("src/a+b", "has a bare +, which must be percent-encoded");
    refused("src/%ff", "is not UTF-8");
    refused("src/a?versionId=", "has a query other than versionId");
    refused("src/a?acl", "has a query other than versionId");
    refused("src/a?versionId=v&acl", "has a query other than versionId");
    refused(
        "arn:aws:s3:us-east-1:123456789012:accesspoint/ap/object/k",
        "names an access point, which is not supported",
    );
    assert_eq!(
        classified(&copy("src/../bkt/k")),
        Err(ClassifyError::Ambiguous("the object key has a dot segment".to_owned()))
    );
    let stray = call("GET", "/k").header("x-amz-copy-source", "src/a");
    assert!(matches!(classified(&stray), Err(ClassifyError::UnknownOperation { .. })));
}
