use super::{call, check, classified};
use crate::{
    classify::{ClassifyError, Param, classify},
    parse::testing::TestCall,
};

/// A call to what is no general purpose bucket.
pub(super) fn other(service: &str, method: &str, host: &str, target: &str) -> TestCall {
    TestCall::new(method.parse().unwrap(), service, host, target).payload("UNSIGNED-PAYLOAD")
}

/// Classified for the workload's account.
pub(super) fn known(call: &TestCall) -> Result<Vec<String>, ClassifyError> {
    let account = "123456789012".parse().unwrap();
    let operation = classify(&call.verify().unwrap(), Some(&account))?;
    Ok(operation.actions.iter().map(|on| format!("{} {}", on.action, on.resource)).collect())
}

fn no_action(operation: &str) -> Result<Vec<String>, ClassifyError> {
    Err(ClassifyError::UnknownAction(format!("s3:{operation}")))
}

#[test]
fn object_lambda_runs_a_function_on_what_is_behind() {
    let host = "ol-123456789012.s3-object-lambda.us-east-1.amazonaws.com";
    let call = |method: &str, target: &str| other("s3-object-lambda", method, host, target);
    let arn = "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/ol";
    check(
        &call("GET", "/a/k?versionId=v"),
        "GetObject",
        &[
            &format!("s3-object-lambda:GetObjectVersion {arn}"),
            "lambda:InvokeFunction *",
            "s3:GetObjectVersion *",
        ],
    );
    check(
        &call("PUT", "/k").header("x-amz-copy-source", "src/a"),
        "CopyObject",
        &[
            "s3:GetObject arn:aws:s3:::src/a",
            &format!("s3-object-lambda:PutObject {arn}"),
            "lambda:InvokeFunction *",
            "s3:PutObject *",
        ],
    );
    assert_eq!(known(&call("GET", "/k?torrent")), no_action("GetObjectTorrent"));
    assert_eq!(known(&call("PUT", "/k?renameObject")), no_action("RenameObject"));
}

#[test]
fn outposts_have_actions_and_arns_of_their_own() {
    let host = "ap-123456789012.op-01.s3-outposts.us-east-1.amazonaws.com";
    let call = |method: &str, target: &str| other("s3-outposts", method, host, target);
    let arn = "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01/accesspoint/ap";
    check(
        &call("GET", "/?list-type=2"),
        "ListObjectsV2",
        &[&format!("s3-outposts:ListBucket {arn}"), "s3-outposts:ListBucket *"],
    );
    check(
        &call("PUT", "/a/k").header("x-amz-acl", "private"),
        "PutObject",
        &[
            &format!("s3-outposts:PutObject {arn}/object/a/k"),
            &format!("s3-outposts:PutObjectAcl {arn}/object/a/k"),
            "s3-outposts:PutObject *",
            "s3-outposts:PutObjectAcl *",
        ],
    );
    assert_eq!(known(&call("PUT", "/k?retention")), no_action("PutObjectRetention"));
    assert_eq!(known(&call("GET", "/k?attributes")), no_action("GetObjectAttributes"));
}

#[test]
fn directory_buckets_are_worked_with_in_sessions() {
    let bucket = "b--use1-az4--x-s3";
    let host = format!("{bucket}.s3express-use1-az4.us-east-1.amazonaws.com");
    let call = |method: &str, target: &str| other("s3express", method, &host, target);
    let any = vec!["s3express:CreateSession *".to_owned()];
    // Another account may have let this one use its bucket, so the name does not tell whose it is.
    for (method, target) in [
        ("GET", "/a/k"),
        ("DELETE", "/k"),
        ("HEAD", "/"),
        ("GET", "/?list-type=2"),
        ("PUT", "/k?partNumber=1&uploadId=u"),
        ("PUT", "/k?renameObject"),
    ] {
        assert_eq!(known(&call(method, target)), Ok(any.clone()), "{method} {target}");
    }
    let owner = |owner: &str| call("PUT", "/k").header("x-amz-expected-bucket-owner", owner);
    let owned =
        |owner: &str| format!("s3express:CreateSession arn:aws:s3express:us-east-1:{owner}:bucket/{bucket}");
    assert_eq!(known(&owner("999999999999")), Ok(vec![owned("999999999999")]));
    assert_eq!(known(&owner("someone")), Ok(any.clone()));
    assert_eq!(
        known(&call("PUT", "/k").header("x-amz-copy-source", "src/a")),
        Ok(["s3:GetObject arn:aws:s3:::src/a".to_owned()].into_iter().chain(any.clone()).collect())
    );
    let rename = classified(&call("PUT", "/k?renameObject").header("x-amz-rename-source", "old")).unwrap();
    assert_eq!(rename.params.get("RenameSource"), Some(&Param::Text("old".to_owned())));
    let keys = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
    let delete = TestCall::new(http::Method::POST, "s3express", &host, "/?delete").body(keys);
    assert_eq!(known(&delete), Ok(any));
    for (target, operation) in
        [("/k?acl", "GetObjectAcl"), ("/", "ListObjects"), ("/?policy", "GetBucketPolicy")]
    {
        assert_eq!(known(&call("GET", target)), no_action(operation), "{target}");
    }
    let why = "it carries a session of S3 Express beside its signature";
    assert_eq!(
        known(&call("GET", "/k").header("x-amz-s3session-token", "t")),
        Err(ClassifyError::Ambiguous(why.to_owned()))
    );
    let session = classified(&call("GET", "/?session")).unwrap();
    assert!(session.name == "CreateSession" && session.keys.is_some(), "{session:?}");
    assert_eq!(
        session.actions.first().map(|on| (on.action.as_str(), on.resource.as_str())),
        Some(("s3express:CreateSession", "*"))
    );
}

#[test]
fn directory_buckets_are_administered_by_their_owners() {
    let host = "s3express-control.us-east-1.amazonaws.com";
    let call = |method: &str, target: &str| other("s3express", method, host, target);
    let arn = "arn:aws:s3express:us-east-1:123456789012:bucket/b--use1-az4--x-s3";
    for (method, target, action) in [
        ("PUT", "", "CreateBucket"),
        ("DELETE", "/", "DeleteBucket"),
        ("PUT", "?policy", "PutBucketPolicy"),
        ("DELETE", "?encryption", "PutEncryptionConfiguration"),
        ("GET", "?lifecycle", "GetLifecycleConfiguration"),
    ] {
        let target = format!("/b--use1-az4--x-s3{target}");
        let call = call(method, &target);
        assert_eq!(known(&call), Ok(vec![format!("s3express:{action} {arn}")]), "{method} {target}");
    }
    check(&call("GET", "/"), "ListDirectoryBuckets", &["s3express:ListAllMyDirectoryBuckets *"]);
    // Without an account there is no ARN.
    check(&call("DELETE", "/b--use1-az4--x-s3"), "DeleteBucket", &["s3express:DeleteBucket *"]);
    let create = call("PUT", "/b--use1-az4--x-s3").header("x-amz-acl", "public-read");
    assert_eq!(known(&create), no_action("CreateBucket"));
    assert_eq!(known(&call("HEAD", "/b--use1-az4--x-s3")), no_action("HeadBucket"));
    for path in
        ["/bkt", "/b--use1-az4--x-s3/k", "/b--use1-az4--x-s3//", "/b--x-s3", "/v20180820", "/%62--a--x-s3"]
    {
        let error = known(&call("DELETE", path)).unwrap_err();
        assert!(matches!(error, ClassifyError::UnknownOperation { .. }), "{path}: {error}");
    }
    // The control API on the same host.
    let scope = |method, target: &str| {
        let call = TestCall::new(http::Method::from_bytes(method).unwrap(), "s3express", host, target);
        known(&call.header("x-amz-account-id", "123456789012"))
    };
    let scoped = scope(b"DELETE", "/v20180820/accesspoint/ap--use1-az4--xa-s3/scope").unwrap();
    assert!(scoped[0].starts_with("s3express:DeleteAccessPointScope "), "{scoped:?}");
    // Elsewhere this is `s3:DeleteAccessPoint`; here it must not pass for that.
    let own = "123456789012.s3express-control.us-east-1.amazonaws.com";
    let delete = TestCall::new(http::Method::DELETE, "s3express", own, "/v20180820/accesspoint/ap");
    assert_eq!(known(&delete.header("x-amz-account-id", "123456789012")), no_action("DeleteAccessPoint"));
}

#[test]
fn only_directory_buckets_are_renamed_in() {
    assert_eq!(known(&call("PUT", "/k?renameObject")), no_action("RenameObject"));
}
