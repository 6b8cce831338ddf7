use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    catalog::catalog,
    classify::{ClassifyError, Operation, Param, classify},
    parse::{
        AwsRequest,
        testing::{TestCall, verify},
    },
};

const HOST: &str = "bkt.s3.us-east-1.amazonaws.com";
const PATH_HOST: &str = "s3.us-east-1.amazonaws.com";

fn call(method: &str, target: &str) -> TestCall {
    TestCall::s3(method.parse().unwrap(), HOST, target)
}

fn classified(call: &TestCall) -> Result<Operation, ClassifyError> {
    classify(&call.verify().unwrap(), None)
}

#[track_caller]
fn check(call: &TestCall, operation: &str, expected: &[&str]) {
    let got = classified(call).unwrap_or_else(|error| panic!("{} {}: {error}", call.method, call.target));
    let actions: Vec<String> =
        got.actions.iter().map(|on| format!("{} {}", on.action, on.resource)).collect();
    assert_eq!((got.name.as_str(), actions), (operation, expected.iter().map(|s| (*s).to_owned()).collect()));
}

/// Rows of `method target operation action…`; `B` is the bucket's ARN, `K` the object `a/k`'s.
const OPERATIONS: &str = "
    GET    /                                  ListObjects                       s3:ListBucket@B
    GET    /?prefix=x%2F&max-keys=2&delimiter=%2F&encoding-type=url ListObjects  s3:ListBucket@B
    GET    /?list-type=2                      ListObjectsV2                     s3:ListBucket@B
    GET    /?list-type=2&prefix=x&continuation-token=%3D&fetch-owner=true&start-after=a ListObjectsV2 s3:ListBucket@B
    GET    /?versions                         ListObjectVersions                s3:ListBucketVersions@B
    GET    /?versions&key-marker=a&version-id-marker=b ListObjectVersions       s3:ListBucketVersions@B
    GET    /?uploads                          ListMultipartUploads              s3:ListBucketMultipartUploads@B
    HEAD   /                                  HeadBucket                        s3:ListBucket@B
    PUT    /                                  CreateBucket                      s3:CreateBucket@B
    DELETE /                                  DeleteBucket                      s3:DeleteBucket@B
    GET    /?location                         GetBucketLocation                 s3:GetBucketLocation@B
    GET    /?abac                             GetBucketAbac                     s3:GetBucketAbac@B
    GET    /?accelerate                       GetBucketAccelerateConfiguration  s3:GetAccelerateConfiguration@B
    PUT    /?accelerate                       PutBucketAccelerateConfiguration  s3:PutAccelerateConfiguration@B
    GET    /?acl                              GetBucketAcl                      s3:GetBucketAcl@B
    PUT    /?acl                              PutBucketAcl                      s3:PutBucketAcl@B
    GET    /?analytics                        ListBucketAnalyticsConfigurations s3:GetAnalyticsConfiguration@B
    GET    /?analytics&id=1                   GetBucketAnalyticsConfiguration   s3:GetAnalyticsConfiguration@B
    PUT    /?analytics&id=1                   PutBucketAnalyticsConfiguration   s3:PutAnalyticsConfiguration@B
    DELETE /?analytics&id=1                   DeleteBucketAnalyticsConfiguration s3:PutAnalyticsConfiguration@B
    GET    /?cors                             GetBucketCors                     s3:GetBucketCORS@B
    PUT    /?cors                             PutBucketCors                     s3:PutBucketCORS@B
    DELETE /?cors                             DeleteBucketCors                  s3:PutBucketCORS@B
    GET    /?encryption                       GetBucketEncryption               s3:GetEncryptionConfiguration@B
    PUT    /?encryption                       PutBucketEncryption               s3:PutEncryptionConfiguration@B
    DELETE /?encryption                       DeleteBucketEncryption            s3:PutEncryptionConfiguration@B
    GET    /?intelligent-tiering&id=1         GetBucketIntelligentTieringConfiguration s3:GetIntelligentTieringConfiguration@B
    GET    /?inventory                        ListBucketInventoryConfigurations s3:GetInventoryConfiguration@B
    PUT    /?inventory&id=1                   PutBucketInventoryConfiguration   s3:PutInventoryConfiguration@B
    GET    /?lifecycle                        GetBucketLifecycleConfiguration   s3:GetLifecycleConfiguration@B
    PUT    /?lifecycle                        PutBucketLifecycleConfiguration   s3:PutLifecycleConfiguration@B
    DELETE /?lifecycle                        DeleteBucketLifecycle             s3:PutLifecycleConfiguration@B
    GET    /?logging                          GetBucketLogging                  s3:GetBucketLogging@B
    PUT    /?logging                          PutBucketLogging                  s3:PutBucketLogging@B
    PUT    /?metadataAnnotationTable          UpdateBucketMetadataAnnotationTableConfiguration s3:UpdateBucketMetadataAnnotationTableConfiguration@B
    GET    /?metadataConfiguration            GetBucketMetadataConfiguration    s3:GetBucketMetadataTableConfiguration@B
    POST   /?metadataConfiguration            CreateBucketMetadataConfiguration s3:CreateBucketMetadataTableConfiguration@B
    DELETE /?metadataConfiguration            DeleteBucketMetadataConfiguration s3:DeleteBucketMetadataTableConfiguration@B
    PUT    /?metadataJournalTable             UpdateBucketMetadataJournalTableConfiguration s3:UpdateBucketMetadataJournalTableConfiguration@B
    GET    /?metadataTable                    GetBucketMetadataTableConfiguration s3:GetBucketMetadataTableConfiguration@B
    GET    /?metrics&id=1                     GetBucketMetricsConfiguration     s3:GetMetricsConfiguration@B
    GET    /?notification                     GetBucketNotificationConfiguration s3:GetBucketNotification@B
    PUT    /?notification                     PutBucketNotificationConfiguration s3:PutBucketNotification@B
    GET    /?object-lock                      GetObjectLockConfiguration        s3:GetBucketObjectLockConfiguration@B
    PUT    /?object-lock                      PutObjectLockConfiguration        s3:PutBucketObjectLockConfiguration@B
    GET    /?ownershipControls                GetBucketOwnershipControls        s3:GetBucketOwnershipControls@B
    DELETE /?ownershipControls                DeleteBucketOwnershipControls     s3:PutBucketOwnershipControls@B
    GET    /?policy                           GetBucketPolicy                   s3:GetBucketPolicy@B
    PUT    /?policy                           PutBucketPolicy                   s3:PutBucketPolicy@B
    DELETE /?policy                           DeleteBucketPolicy                s3:DeleteBucketPolicy@B
    GET    /?policyStatus                     GetBucketPolicyStatus             s3:GetBucketPolicyStatus@B
    GET    /?publicAccessBlock                GetPublicAccessBlock              s3:GetBucketPublicAccessBlock@B
    PUT    /?publicAccessBlock                PutPublicAccessBlock              s3:PutBucketPublicAccessBlock@B
    DELETE /?publicAccessBlock                DeletePublicAccessBlock           s3:PutBucketPublicAccessBlock@B
    GET    /?replication                      GetBucketReplication              s3:GetReplicationConfiguration@B
    PUT    /?replication                      PutBucketReplication              s3:PutReplicationConfiguration@B
    GET    /?requestPayment                   GetBucketRequestPayment           s3:GetBucketRequestPayment@B
    GET    /?tagging                          GetBucketTagging                  s3:GetBucketTagging@B
    PUT    /?tagging                          PutBucketTagging                  s3:PutBucketTagging@B
    DELETE /?tagging                          DeleteBucketTagging               s3:PutBucketTagging@B
    GET    /?versioning                       GetBucketVersioning               s3:GetBucketVersioning@B
    PUT    /?versioning                       PutBucketVersioning               s3:PutBucketVersioning@B
    GET    /?website                          GetBucketWebsite                  s3:GetBucketWebsite@B
    PUT    /?website                          PutBucketWebsite                  s3:PutBucketWebsite@B
    DELETE /?website                          DeleteBucketWebsite               s3:DeleteBucketWebsite@B
    GET    /a/k                               GetObject                         s3:GetObject@K
    GET    /a/k?x-id=GetObject                GetObject                         s3:GetObject@K
    GET    /a/k?versionId=v                   GetObject                         s3:GetObjectVersion@K
    GET    /a/k?partNumber=1&response-content-type=text%2Fplain GetObject       s3:GetObject@K
    HEAD   /a/k                               HeadObject                        s3:GetObject@K
    HEAD   /a/k?versionId=v                   HeadObject                        s3:GetObjectVersion@K
    PUT    /a/k                               PutObject                         s3:PutObject@K
    PUT    /a/k?x-id=PutObject                PutObject                         s3:PutObject@K
    DELETE /a/k                               DeleteObject                      s3:DeleteObject@K
    DELETE /a/k?versionId=v                   DeleteObject                      s3:DeleteObjectVersion@K
    POST   /a/k?uploads                       CreateMultipartUpload             s3:PutObject@K
    POST   /a/k?uploads=                      CreateMultipartUpload             s3:PutObject@K
    PUT    /a/k?partNumber=1&uploadId=u       UploadPart                        s3:PutObject@K
    PUT    /a/k?partNumber=1&uploadId=u&x-id=UploadPart UploadPart              s3:PutObject@K
    POST   /a/k?uploadId=u                    CompleteMultipartUpload           s3:PutObject@K
    DELETE /a/k?uploadId=u                    AbortMultipartUpload              s3:AbortMultipartUpload@K
    GET    /a/k?uploadId=u&max-parts=3        ListParts                         s3:ListMultipartUploadParts@K
    GET    /a/k?acl                           GetObjectAcl                      s3:GetObjectAcl@K
    GET    /a/k?annotation                    ListObjectAnnotations             s3:ListObjectAnnotations@K
    GET    /a/k?annotation&annotationName=n   GetObjectAnnotation               s3:GetObjectAnnotation@K
    GET    /a/k?annotation&annotationName=n&versionId=v GetObjectAnnotation     s3:GetObjectVersionAnnotation@K
    DELETE /a/k?annotation&annotationName=n   DeleteObjectAnnotation            s3:DeleteObjectAnnotation@K
    GET    /a/k?acl&versionId=v               GetObjectAcl                      s3:GetObjectVersionAcl@K
    PUT    /a/k?acl                           PutObjectAcl                      s3:PutObjectAcl@K
    PUT    /a/k?acl&versionId=v               PutObjectAcl                      s3:PutObjectVersionAcl@K
    GET    /a/k?attributes                    GetObjectAttributes               s3:GetObject@K s3:GetObjectAttributes@K
    GET    /a/k?attributes&versionId=v        GetObjectAttributes               s3:GetObjectVersion@K s3:GetObjectVersionAttributes@K
    GET    /a/k?legal-hold                    GetObjectLegalHold                s3:GetObjectLegalHold@K
    PUT    /a/k?legal-hold&versionId=v        PutObjectLegalHold                s3:PutObjectLegalHold@K
    GET    /a/k?retention                     GetObjectRetention                s3:GetObjectRetention@K
    PUT    /a/k?retention                     PutObjectRetention                s3:PutObjectRetention@K
    GET    /a/k?tagging                       GetObjectTagging                  s3:GetObjectTagging@K
    GET    /a/k?tagging&versionId=v           GetObjectTagging                  s3:GetObjectVersionTagging@K
    PUT    /a/k?tagging                       PutObjectTagging                  s3:PutObjectTagging@K
    DELETE /a/k?tagging                       DeleteObjectTagging               s3:DeleteObjectTagging@K
    DELETE /a/k?tagging&versionId=v           DeleteObjectTagging               s3:DeleteObjectVersionTagging@K
    GET    /a/k?torrent                       GetObjectTorrent                  s3:GetObjectTorrent@K
    POST   /a/k?restore                       RestoreObject                     s3:RestoreObject@K
    POST   /a/k?select&select-type=2          SelectObjectContent               s3:GetObject@K
";

#[test]
fn operations_by_method_target_and_sub_resource() {
    let mut rows = 0;
    for line in OPERATIONS.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap();
        let (method, target, operation) = (word(), word(), word());
        let resource = |name: &str| match name {
            "B" => "arn:aws:s3:::bkt".to_owned(),
            "K" => "arn:aws:s3:::bkt/a/k".to_owned(),
            other => other.to_owned(),
        };
        let expected: Vec<String> = words
            .map(|action| action.split_once('@').unwrap())
            .map(|(action, on)| format!("{action} {}", resource(on)))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&call(method, target), operation, &expected);
        // The same in path style.
        let path_style =
            TestCall { host: PATH_HOST.to_owned(), target: format!("/bkt{target}"), ..call(method, target) };
        check(&path_style, operation, &expected);
        rows += 1;
    }
    assert!(rows >= 90, "{rows}");
}

#[test]
fn addresses() {
    let get = |host: &str, target: &str, expected: &str| {
        check(
            &TestCall::s3(http::Method::GET, host, target),
            "GetObject",
            &[&format!("s3:GetObject {expected}")],
        );
    };
    check(&TestCall::s3(http::Method::GET, PATH_HOST, "/"), "ListBuckets", &["s3:ListAllMyBuckets *"]);
    check(
        &TestCall::s3(http::Method::GET, PATH_HOST, "/bkt"),
        "ListObjects",
        &["s3:ListBucket arn:aws:s3:::bkt"],
    );
    get(HOST, "//a//b/", "arn:aws:s3:::bkt//a//b/");
    get(HOST, "/a%20b%2Fc%2Bd%C3%A9", "arn:aws:s3:::bkt/a b/c+dé");
    get(HOST, "/a+b:c@d*", "arn:aws:s3:::bkt/a+b:c@d*");
    get(PATH_HOST, "/my.dotted.bucket/k", "arn:aws:s3:::my.dotted.bucket/k");
    get("my.dotted.bucket.s3.us-east-1.amazonaws.com", "/k", "arn:aws:s3:::my.dotted.bucket/k");
    get("bkt.s3-accelerate.amazonaws.com", "/k", "arn:aws:s3:::bkt/k");
    let access_point = "arn:aws:s3:us-east-1:123456789012:accesspoint/ap";
    let through =
        TestCall::s3(http::Method::GET, "ap-123456789012.s3-accesspoint.us-east-1.amazonaws.com", "/k");
    check(&through, "GetObject", &[&format!("s3:GetObject {access_point}/object/k"), "s3:GetObject *"]);
    let cn = TestCall::s3(http::Method::GET, "bkt.s3.cn-north-1.amazonaws.com.cn", "/k").region("cn-north-1");
    check(&cn, "GetObject", &["s3:GetObject arn:aws-cn:s3:::bkt/k"]);
}

/// A call to what is no general purpose bucket.
fn other(service: &str, method: &str, host: &str, target: &str) -> TestCall {
    TestCall::new(method.parse().unwrap(), service, host, target).payload("UNSIGNED-PAYLOAD")
}

/// Classified for the workload's account.
fn known(call: &TestCall) -> Result<Vec<String>, ClassifyError> {
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
    assert_eq!(
        known(&call("GET", "/?session")),
        Err(ClassifyError::MintsCredentials("s3:CreateSession".to_owned()))
    );
}

#[test]
fn sessions_of_directory_buckets_are_understood() {
    let host = "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
    let token = crate::parse::testing::placeholder().session_token;
    let mut call = other("s3express", "GET", host, "/k").header("x-amz-s3session-token", token.expose());
    call.keys.session_token = crate::secret::SecretText::new(String::new());
    assert_eq!(known(&call), Ok(vec!["s3express:CreateSession *".to_owned()]));
}

/// A presigned call as `serve` reads it.
fn presigned(method: &str, target: &str) -> Result<Vec<String>, ClassifyError> {
    let call = call(method, target).payload("UNSIGNED-PAYLOAD");
    let request = AwsRequest::read(call.presign(60), &call.sni()).unwrap();
    let operation = classify(&verify(request, b"").unwrap(), None)?;
    let actions = operation.actions.iter().map(|on| format!("{} {}", on.action, on.resource));
    Ok(std::iter::once(operation.name.clone()).chain(actions).collect())
}

#[test]
fn headers_in_the_query_string_of_a_presigned_url_count_as_headers() {
    let check = |method: &str, target: &str, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(presigned(method, target), Ok(expected), "{target}");
    };
    let object = "arn:aws:s3:::bkt/k";
    let on = |action: &str| format!("s3:{action} {object}");
    check("GET", "/k", &["GetObject", &on("GetObject")]);
    check("GET", "/k?x-amz-checksum-mode=ENABLED&x-id=GetObject", &["GetObject", &on("GetObject")]);
    check("GET", "/k?versionId=v", &["GetObject", &on("GetObjectVersion")]);
    let whole = "/k?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-sdk-checksum-algorithm=CRC32\
                 &x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Meta-A=b&x-amz-acl=private&x-amz-tagging=a%3Db";
    check("PUT", whole, &["PutObject", &on("PutObject"), &on("PutObjectAcl"), &on("PutObjectTagging")]);
    let source = "s3:GetObject arn:aws:s3:::src/a";
    check("PUT", "/k?x-amz-copy-source=src%2Fa", &["CopyObject", source, &on("PutObject")]);
    for (method, target, header, operation) in [
        ("GET", "/k?x-amz-acl=private", "x-amz-acl", "GetObject"),
        ("PUT", "/k?x-amz-decoded-content-length=5", "x-amz-decoded-content-length", "PutObject"),
        ("PUT", "/k?x-amz-unheard-of=1", "x-amz-unheard-of", "PutObject"),
        ("PUT", "/k?x-amz-user-agent=1", "x-amz-user-agent", "PutObject"),
    ] {
        let why = format!("the query parameter {header:?} is no header of {operation}");
        assert_eq!(presigned(method, target), Err(ClassifyError::Ambiguous(why)));
    }
    // A name that is a header of the operation, but no `x-amz-`, stays what it is: nothing that is known.
    assert!(matches!(presigned("PUT", "/k?content-type=a"), Err(ClassifyError::UnknownOperation { .. })));
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
    super::tests::check(&create, "CreateBucket", &expected.each_ref().map(String::as_str));
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

fn delete(body: &str) -> TestCall {
    call("POST", "/?delete").body(body)
}

#[test]
fn delete_objects_needs_an_action_for_each_key() {
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
        <Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Object><Key>a &amp; b&#x41;</Key></Object>
            <!-- a comment -->
            <Object><Key> spaced </Key><VersionId>v</VersionId></Object>
            <Quiet>true</Quiet>
        </Delete>"#;
    let expected =
        ["s3:DeleteObject arn:aws:s3:::bkt/a & bA", "s3:DeleteObjectVersion arn:aws:s3:::bkt/ spaced "];
    check(&delete(body), "DeleteObjects", &expected);
    let bypass = delete("<Delete><Object><Key>a</Key></Object></Delete>")
        .header("x-amz-bypass-governance-retention", "true");
    let expected = ["s3:DeleteObject arn:aws:s3:::bkt/a", "s3:BypassGovernanceRetention arn:aws:s3:::bkt/a"];
    check(&bypass, "DeleteObjects", &expected);
    let keys = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(n));
    assert!(classified(&delete(&keys(1000))).is_ok());
    assert_eq!(
        classified(&delete(&keys(1001))),
        Err(ClassifyError::BadBody("more than 1000 objects".to_owned()))
    );
}

#[test]
fn delete_objects_bodies_that_are_refused() {
    let check = |body: &str, why: &str| {
        assert_eq!(classified(&delete(body)), Err(ClassifyError::BadBody(why.to_owned())), "{body}");
    };
    let plain = "XML other than plain elements and text";
    check("<!DOCTYPE x [<!ENTITY e \"v\">]><Delete><Object><Key>&e;</Key></Object></Delete>", plain);
    check(
        "<Delete><Object><Key>&e;</Key></Object></Delete>",
        "a reference to something else than a character",
    );
    check(
        "<Delete><Object><Key>&#1;</Key></Object></Delete>",
        "a reference to something else than a character",
    );
    check("<Delete><Object><Key><![CDATA[k]]></Key></Object></Delete>", plain);
    check("<Delete><?pi x?><Object><Key>k</Key></Object></Delete>", plain);
    check("<Delete><Object><Key>a<!-- c -->b</Key></Object></Delete>", "a comment inside a value");
    check("<Delete><Object><Key/></Object></Delete>", "an Object without Key");
    check("<Delete><Object><Key></Key></Object></Delete>", "an Object without Key");
    check("<Delete><Object><VersionId>v</VersionId></Object></Delete>", "an Object without Key");
    check("<Delete><Object><Key>a</Key><VersionId/></Object></Delete>", "a VersionId that is none");
    check("<Delete><Object><Key>a<Key>b</Key></Key></Object></Delete>", "text between elements");
    check("<Delete><Other/></Delete>", "the element \"Other\"");
    check("<Delete><Object><Key>a</Key><Other>b</Other></Object></Delete>", "the element \"Other\"");
    check("<Delete evil=\"1\"><Object><Key>a</Key></Object></Delete>", "the attribute \"evil\"");
    check("<x:Delete><Object><Key>a</Key></Object></x:Delete>", "an element with the name \"x:Delete\"");
    check(
        "<Other><Object><Key>a</Key></Object></Other>",
        "the outermost element is \"Other\", not \"Delete\"",
    );
    check("<Delete>text<Object><Key>a</Key></Object></Delete>", "text between elements");
    check("<Delete><Object><Key>a</Key></Object></Delete>text", "text outside of the outermost element");
    check(
        "<Delete><Object><Key>a</Key></Object></Delete><Delete></Delete>",
        "more than one outermost element",
    );
    check("<Delete><Object><Key>a\r</Key></Object></Delete>", "a carriage return, which XML parsers change");
    check("<Delete><Object><Key>a</Key></Object>", "it ends before its outermost element does");
    check("<Delete></Delete>", "it names no objects");
    check("", "it names no objects");
    check(
        "<?xml version='1.0' encoding='UTF-7'?><Delete><Object><Key>a</Key></Object></Delete>",
        "an XML declaration of something else than XML 1.0 in UTF-8",
    );
    let twice = classified(&delete("<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>"));
    assert_eq!(twice, Err(ClassifyError::Ambiguous("the member \"Key\" is there twice".to_owned())));
    let gzip = delete("<Delete><Object><Key>a</Key></Object></Delete>").header("content-encoding", "gzip");
    let why = "it is encoded as \"gzip\"; only plain bodies are read";
    assert_eq!(classified(&gzip), Err(ClassifyError::BadBody(why.to_owned())));
    let utf16 = TestCall { body: vec![0xff, 0xfe, b'<', 0], ..delete("") };
    assert_eq!(classified(&utf16), Err(ClassifyError::BadBody("it is not UTF-8".to_owned())));
    let dots = classified(&delete("<Delete><Object><Key>a/../b</Key></Object></Delete>"));
    assert_eq!(dots, Err(ClassifyError::Ambiguous("the object key has a dot segment".to_owned())));
    let chunked = delete("5\r\n")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "5");
    assert_eq!(classified(&chunked), Err(ClassifyError::BadBody("it is aws-chunked".to_owned())));
}

#[test]
fn two_readings_and_unknown_sub_resources_are_refused() {
    let ambiguous = |call: TestCall, why: &str| {
        assert_eq!(classified(&call), Err(ClassifyError::Ambiguous(why.to_owned())), "{why}");
    };
    let dots = "the object key has a dot segment";
    ambiguous(call("GET", "/a/../b"), dots);
    ambiguous(call("GET", "/a/%2e%2e/b"), dots);
    ambiguous(call("GET", "/a%2F..%2Fb"), dots);
    ambiguous(call("GET", "/./a"), dots);
    ambiguous(call("GET", "/k?versionId=a&versionId=b"), "the query parameter \"versionId\" is there twice");
    ambiguous(call("GET", "/k?x-id=DeleteObject"), "x-id says \"DeleteObject\", the request is GetObject");
    ambiguous(call("GET", "/k").header("x-amz-target", "S3.DeleteObject"), "it speaks two protocols at once");
    let unknown = |call: TestCall| {
        assert!(
            matches!(classified(&call), Err(ClassifyError::UnknownOperation { .. })),
            "{} {}",
            call.method,
            call.target
        );
    };
    for (method, target) in [
        ("GET", "/?acl&policy"),
        ("GET", "/?nosuch"),
        ("GET", "/?acl=x"),
        ("GET", "/k?acl&tagging"),
        ("GET", "/k?policy"),
        ("PUT", "/?uploads"),
        ("PUT", "/k?uploadId=u"),
        ("PUT", "/k?partNumber=1&uploadId="),
        ("PUT", "/k?versionId=v"),
        ("POST", "/k"),
        ("POST", "/"),
        ("PATCH", "/k"),
        ("GET", "/?list-type=3"),
        ("GET", "/?metadataFuture"),
        ("DELETE", "/k?uploads"),
        ("HEAD", "/?location"),
        ("GET", "/k?prefix=x"),
    ] {
        unknown(call(method, target));
    }
    for path in
        ["/BKT/k", "/a%2Fb/k", "/b%6bt/k", "//k", "/ab/k", "/x--use1-az4--x-s3/k", "/x-s3alias/k", "/a..b/k"]
    {
        unknown(TestCall::s3(http::Method::GET, PATH_HOST, path));
    }
}

#[test]
fn parameters() {
    let put = call("PUT", "/a%20b")
        .header("x-amz-server-side-encryption", "aws:kms")
        .header("x-amz-server-side-encryption-customer-key", "c2VjcmV0")
        .header("x-amz-meta-team", "blue")
        .header("content-type", "text/plain");
    let text = |text: &str| Param::Text(text.to_owned());
    let expected = [
        ("Bucket", text("bkt")),
        ("ContentType", text("text/plain")),
        ("Key", text("a b")),
        ("Metadata", Param::Record([("team".to_owned(), text("blue"))].into())),
        ("ServerSideEncryption", text("aws:kms")),
    ];
    assert_eq!(
        classified(&put).unwrap().params,
        expected.map(|(name, param)| (name.to_owned(), param)).into()
    );
    let list = classified(&call("GET", "/?list-type=2&prefix=a%2F&max-keys=7")).unwrap().params;
    assert_eq!(list.get("Prefix"), Some(&text("a/")));
    assert_eq!(list.get("MaxKeys"), Some(&Param::Number(7)));
    let acl = classified(&call("PUT", "/k?acl").header("x-amz-acl", "public-read")).unwrap();
    assert_eq!(acl.params.get("ACL"), Some(&text("public-read")));
    let bypass = call("DELETE", "/k").header("x-amz-bypass-governance-retention", "true");
    let bypass = classified(&bypass).unwrap().params;
    assert_eq!(bypass.get("BypassGovernanceRetention"), Some(&Param::Bool(true)));
}

#[test]
fn what_a_bucket_is_told_is_in_the_body() {
    let public = call("PUT", "/?publicAccessBlock").body(
        "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>",
    );
    let block = Param::Record([("BlockPublicAcls".to_owned(), Param::Bool(false))].into());
    let operation = classified(&public).unwrap();
    assert_eq!(operation.params.get("PublicAccessBlockConfiguration"), Some(&block));
    assert_eq!(operation.unread, BTreeSet::new());
    let policy = call("PUT", "/?policy").body("{\"Statement\":[]}");
    let text = Param::Text("{\"Statement\":[]}".to_owned());
    assert_eq!(classified(&policy).unwrap().params.get("Policy"), Some(&text));
    let create = call("PUT", "/").body(
        "<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>",
    );
    let place = Param::Record([("LocationConstraint".to_owned(), Param::Text("EU".to_owned()))].into());
    assert_eq!(classified(&create).unwrap().params.get("CreateBucketConfiguration"), Some(&place));
    let role = "arn:aws:iam::123456789012:role/replicates";
    let replicate = format!("<ReplicationConfiguration><Role>{role}</Role></ReplicationConfiguration>");
    check(
        &call("PUT", "/?replication").body(&replicate),
        "PutBucketReplication",
        &["s3:PutReplicationConfiguration arn:aws:s3:::bkt", &format!("iam:PassRole {role}")],
    );
}

#[test]
fn data_is_not_read() {
    for (target, member) in [("/k", "Body"), ("/k?partNumber=1&uploadId=u", "Body")] {
        let operation = classified(&call("PUT", target).body("<Delete/>")).unwrap();
        assert_eq!(operation.unread, BTreeSet::from([member.to_owned()]), "{target}");
    }
    let create = classified(&call("POST", "/k?uploads").header("content-encoding", "gzip")).unwrap();
    assert_eq!(create.params.get("ContentEncoding"), Some(&Param::Text("gzip".to_owned())));
    let complete = classified(&call("POST", "/k?uploadId=u").body("<")).unwrap();
    assert_eq!(complete.unread, BTreeSet::from(["MultipartUpload".to_owned()]));
}

/// Where the two would differ, rules would be checked against other actions than are decided on.
#[test]
fn the_catalogue_has_the_same_actions() {
    let service = catalog().service("s3").unwrap();
    for row in super::operations::ROWS {
        let operation = service.operation(row.operation).unwrap_or_else(|| panic!("{}", row.operation));
        // Of directory buckets alone.
        if operation.mints || row.on == super::operations::On::Directories || row.action.is_empty() {
            continue;
        }
        let needed: Vec<&str> = operation.needs.iter().map(|need| need.action).collect();
        let own: Vec<String> = row.action.split(' ').map(|action| format!("s3:{action}")).collect();
        let same = own.iter().all(|action| needed.contains(&action.as_str()));
        assert!(same, "{}: {own:?}, {needed:?}", row.operation);
        let others = needed.iter().filter(|need| !own.iter().any(|own| own == *need));
        let others: Vec<&&str> = others.filter(|need| **need != "iam:PassRole").collect();
        let copies = row.on == super::operations::On::Copy && others == [&"s3:GetObject"];
        assert!(others.is_empty() || copies, "{}: also {others:?}", row.operation);
    }
}

#[test]
fn headers_do_not_forge_parameters() {
    for name in ["prefix", "list-type", "version-id", "key", "metadata", "other"] {
        let header = format!("x-amz-{name}");
        let operation = classified(&call("GET", "/?list-type=2").header(&header, "public/")).unwrap();
        let bucket = ("Bucket".to_owned(), Param::Text("bkt".to_owned()));
        assert_eq!(operation.params, [bucket].into(), "{header}");
    }
    let both = call("GET", "/k?uploadId=u&max-parts=1").header("x-amz-max-parts", "2");
    assert_eq!(classified(&both).unwrap().params.get("MaxParts"), Some(&Param::Number(1)));
}

proptest! {
    #[test]
    fn any_key_is_read_back(key in "[ -~é]{1,40}") {
        prop_assume!(!key.split('/').any(|segment| matches!(segment, "." | "..")));
        let encoded = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
        let operation = classified(&call("GET", &format!("/{encoded}"))).unwrap();
        prop_assert_eq!(&operation.actions[0].resource, &format!("arn:aws:s3:::bkt/{key}"));
    }

    #[test]
    fn delete_bodies_never_panic(body in prop_oneof![".{0,80}", "(<Delete>|<Object>|<Key>|k|&amp;|</Key>|</Object>|</Delete>|<!--|-->|\\]\\]>){0,12}"]) {
        let _ = classified(&delete(&body));
    }

    #[test]
    fn keys_survive_xml(keys in prop::collection::vec("[ -~]{1,12}", 1..4)) {
        prop_assume!(keys.iter().all(|key| !key.split('/').any(|segment| matches!(segment, "." | ".."))));
        let escaped = |key: &String| format!("<Object><Key>{}</Key></Object>", quick_xml::escape::escape(key));
        let body = format!("<Delete>{}</Delete>", keys.iter().map(escaped).collect::<String>());
        let operation = classified(&delete(&body)).unwrap();
        let got: Vec<&str> = operation.actions.iter().filter_map(|on| on.resource.strip_prefix("arn:aws:s3:::bkt/")).collect();
        // What is named twice is decided on once.
        let named: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        prop_assert_eq!(got.len(), named.len());
        prop_assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), named);
    }
}
