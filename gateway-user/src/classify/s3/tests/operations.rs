use super::{PATH_HOST, call, check, classified};
use crate::{
    catalog::catalog,
    classify::{
        ClassifyError,
        s3::operations::{On, ROWS},
    },
    parse::testing::TestCall,
};

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

/// Where the two would differ, rules would be checked against other actions than are decided on.
#[test]
fn the_catalogue_has_the_same_actions() {
    let service = catalog().service("s3").unwrap();
    for row in ROWS {
        let operation = service.operation(row.operation).unwrap_or_else(|| panic!("{}", row.operation));
        // Of directory buckets alone.
        if operation.mints || row.on == On::Directories || row.action.is_empty() {
            continue;
        }
        let needed: Vec<&str> = operation.needs.iter().map(|need| need.action).collect();
        let own: Vec<String> = row.action.split(' ').map(|action| format!("s3:{action}")).collect();
        let same = own.iter().all(|action| needed.contains(&action.as_str()));
        assert!(same, "{}: {own:?}, {needed:?}", row.operation);
        let others = needed.iter().filter(|need| !own.iter().any(|own| own == *need));
        let others: Vec<&&str> = others.filter(|need| **need != "iam:PassRole").collect();
        let copies = row.on == On::Copy && others == [&"s3:GetObject"];
        assert!(others.is_empty() || copies, "{}: also {others:?}", row.operation);
    }
}
