//! The operations of S3: what tells them apart, and the actions they need.
//!
//! A row fits when method and target fit, every marker is in the query and every other query
//! parameter is among its optional ones. So an unknown sub-resource fits nothing, and neither do
//! two sub-resources at once.

use crate::{classify::ClassifyError, parse::AwsRequest};

/// What the path addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// S3 itself.
    Service,
    /// S3 Express itself.
    Directories,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// Whether the request has a copy source, and where its resources are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// The bucket or object of the path.
    Target,
    /// The copy source and the object of the path.
    Copy,
    /// The keys in the body.
    Keys,
    /// `*`.
    Everything,
    /// `*`, and the action is one of S3 Express.
    Directories,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Row {
    method: &'static str,
    pub(super) kind: Kind,
    /// Query parameters that must be there; `name=value` where the value matters.
    markers: &'static str,
    /// Query parameters that may be there.
    optional: &'static str,
    /// Its name in the API.
    pub(super) operation: &'static str,
    /// IAM actions without `s3:`, separated by spaces; empty where general purpose buckets have no such
    /// operation.
    pub(super) action: &'static str,
    /// The actions that take their place when a version is named.
    pub(super) versioned: &'static str,
    pub(super) on: On,
}

/// The one operation that fits.
pub(super) fn find(head: &AwsRequest, kind: Kind) -> Result<&'static Row, ClassifyError> {
    let copies = head.headers().contains_key("x-amz-copy-source");
    let mut fitting = ROWS.iter().filter(|row| row.kind == kind && row.fits(head, copies));
    match (fitting.next(), fitting.next()) {
        (Some(row), None) => Ok(row),
        (Some(one), Some(two)) => {
            Err(ClassifyError::Ambiguous(format!("it may be {} or {}", one.operation, two.operation)))
        }
        (None, _) => {
            let names: Vec<&str> = head.query().pairs().map(|(name, _)| name).collect();
            let what = match kind {
                Kind::Service | Kind::Directories => "the service",
                Kind::Bucket => "a bucket",
                Kind::Object => "an object",
            };
            let detail = format!("{} on {what} with the query parameters {names:?}", head.method());
            Err(ClassifyError::UnknownOperation {
                service: "s3".to_owned(),
                detail: detail.chars().take(300).collect(),
            })
        }
    }
}

/// The operation of this name.
pub(super) fn named(operation: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.operation == operation)
}

/// Markers that have a value; the others are sub-resources, which have none.
const VALUED: [&str; 4] = ["annotationName", "id", "partNumber", "uploadId"];

impl Row {
    fn fits(&self, head: &AwsRequest, copies: bool) -> bool {
        let query = head.query();
        let marked = |marker: &str| match marker.split_once('=') {
            Some((name, value)) => query.get(name) == Some(value),
            None if VALUED.contains(&marker) => query.get(marker).is_some_and(|value| !value.is_empty()),
            // `?acl` and `?acl=` are the same; what `?acl=x` is depends on the reader.
            None => query.get(marker) == Some(""),
        };
        let known = |name: &str| {
            name == "x-id"
                || self.markers.split_whitespace().any(|marker| marker.split('=').next() == Some(name))
                || self.optional.split_whitespace().any(|optional| optional == name)
        };
        self.method == head.method().as_str()
            && (self.on == On::Copy) == copies
            && self.markers.split_whitespace().all(marked)
            && query.pairs().all(|(name, _)| known(name))
    }
}

const fn row(
    method: &'static str,
    kind: Kind,
    markers: &'static str,
    operation: &'static str,
    action: &'static str,
) -> Row {
    Row { method, kind, markers, optional: "", operation, action, versioned: "", on: On::Target }
}

const fn bucket(
    method: &'static str,
    marker: &'static str,
    operation: &'static str,
    action: &'static str,
) -> Row {
    row(method, Kind::Bucket, marker, operation, action)
}

const fn object(
    method: &'static str,
    marker: &'static str,
    operation: &'static str,
    action: &'static str,
) -> Row {
    row(method, Kind::Object, marker, operation, action)
}

impl Row {
    const fn optional(self, optional: &'static str) -> Self {
        Self { optional, ..self }
    }
    /// An object operation that takes `versionId`, with the actions it then needs.
    const fn versioned(self, versioned: &'static str) -> Self {
        Self { versioned, optional: "versionId", ..self }
    }
    const fn on(self, on: On) -> Self {
        Self { on, ..self }
    }
}

const READ_OVERRIDES: &str = "versionId partNumber response-cache-control response-content-disposition \
     response-content-encoding response-content-language response-content-type response-expires";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("GET", Kind::Service, "", "ListBuckets", "ListAllMyBuckets").on(On::Everything)
        .optional("max-buckets continuation-token prefix bucket-region"),
    row("GET", Kind::Directories, "", "ListDirectoryBuckets", "ListAllMyDirectoryBuckets").on(On::Directories)
        .optional("continuation-token max-directory-buckets"),

    bucket("PUT", "", "CreateBucket", "CreateBucket"),
    bucket("DELETE", "", "DeleteBucket", "DeleteBucket"),
    bucket("HEAD", "", "HeadBucket", "ListBucket"),
    bucket("GET", "", "ListObjects", "ListBucket").optional("delimiter encoding-type marker max-keys prefix"),
    bucket("GET", "list-type=2", "ListObjectsV2", "ListBucket")
        .optional("delimiter encoding-type max-keys prefix continuation-token fetch-owner start-after"),
    bucket("GET", "versions", "ListObjectVersions", "ListBucketVersions")
        .optional("delimiter encoding-type key-marker max-keys prefix version-id-marker"),
    bucket("GET", "uploads", "ListMultipartUploads", "ListBucketMultipartUploads")
        .optional("delimiter encoding-type key-marker max-uploads prefix upload-id-marker"),
    bucket("POST", "delete", "DeleteObjects", "DeleteObject").on(On::Keys),
    bucket("GET", "session", "CreateSession", "CreateSession"),
    bucket("GET", "location", "GetBucketLocation", "GetBucketLocation"),

    bucket("GET", "abac", "GetBucketAbac", "GetBucketAbac"),
    bucket("PUT", "abac", "PutBucketAbac", "PutBucketAbac"),
    bucket("GET", "accelerate", "GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"),
    bucket("PUT", "accelerate", "PutBucketAccelerateConfiguration", "PutAccelerateConfiguration"),
    bucket("GET", "acl", "GetBucketAcl", "GetBucketAcl"),
    bucket("PUT", "acl", "PutBucketAcl", "PutBucketAcl"),
    bucket("GET", "analytics id", "GetBucketAnalyticsConfiguration", "GetAnalyticsConfiguration"),
    bucket("GET", "analytics", "ListBucketAnalyticsConfigurations", "GetAnalyticsConfiguration").optional("continuation-token"),
    bucket("PUT", "analytics id", "PutBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    bucket("DELETE", "analytics id", "DeleteBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    bucket("GET", "cors", "GetBucketCors", "GetBucketCORS"),
    bucket("PUT", "cors", "PutBucketCors", "PutBucketCORS"),
    bucket("DELETE", "cors", "DeleteBucketCors", "PutBucketCORS"),
    bucket("GET", "encryption", "GetBucketEncryption", "GetEncryptionConfiguration"),
    bucket("PUT", "encryption", "PutBucketEncryption", "PutEncryptionConfiguration"),
    bucket("DELETE", "encryption", "DeleteBucketEncryption", "PutEncryptionConfiguration"),
    bucket("GET", "intelligent-tiering id", "GetBucketIntelligentTieringConfiguration", "GetIntelligentTieringConfiguration"),
    bucket("GET", "intelligent-tiering", "ListBucketIntelligentTieringConfigurations", "GetIntelligentTieringConfiguration")
        .optional("continuation-token"),
    bucket("PUT", "intelligent-tiering id", "PutBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    bucket("DELETE", "intelligent-tiering id", "DeleteBucketIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    bucket("GET", "inventory id", "GetBucketInventoryConfiguration", "GetInventoryConfiguration"),
    bucket("GET", "inventory", "ListBucketInventoryConfigurations", "GetInventoryConfiguration").optional("continuation-token"),
    bucket("PUT", "inventory id", "PutBucketInventoryConfiguration", "PutInventoryConfiguration"),
    bucket("DELETE", "inventory id", "DeleteBucketInventoryConfiguration", "PutInventoryConfiguration"),
    bucket("PUT", "metadataAnnotationTable", "UpdateBucketMetadataAnnotationTableConfiguration", "UpdateBucketMetadataAnnotationTableConfiguration"),
    bucket("GET", "metadataConfiguration", "GetBucketMetadataConfiguration", "GetBucketMetadataTableConfiguration"),
    bucket("POST", "metadataConfiguration", "CreateBucketMetadataConfiguration", "CreateBucketMetadataTableConfiguration"),
    bucket("DELETE", "metadataConfiguration", "DeleteBucketMetadataConfiguration", "DeleteBucketMetadataTableConfiguration"),
    bucket("PUT", "metadataInventoryTable", "UpdateBucketMetadataInventoryTableConfiguration", "UpdateBucketMetadataInventoryTableConfiguration"),
    bucket("PUT", "metadataJournalTable", "UpdateBucketMetadataJournalTableConfiguration", "UpdateBucketMetadataJournalTableConfiguration"),
    bucket("GET", "metadataTable", "GetBucketMetadataTableConfiguration", "GetBucketMetadataTableConfiguration"),
    bucket("POST", "metadataTable", "CreateBucketMetadataTableConfiguration", "CreateBucketMetadataTableConfiguration"),
    bucket("DELETE", "metadataTable", "DeleteBucketMetadataTableConfiguration", "DeleteBucketMetadataTableConfiguration"),
    bucket("GET", "lifecycle", "GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    bucket("PUT", "lifecycle", "PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    bucket("DELETE", "lifecycle", "DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    bucket("GET", "logging", "GetBucketLogging", "GetBucketLogging"),
    bucket("PUT", "logging", "PutBucketLogging", "PutBucketLogging"),
    bucket("GET", "metrics id", "GetBucketMetricsConfiguration", "GetMetricsConfiguration"),
    bucket("GET", "metrics", "ListBucketMetricsConfigurations", "GetMetricsConfiguration").optional("continuation-token"),
    bucket("PUT", "metrics id", "PutBucketMetricsConfiguration", "PutMetricsConfiguration"),
    bucket("DELETE", "metrics id", "DeleteBucketMetricsConfiguration", "PutMetricsConfiguration"),
    bucket("GET", "notification", "GetBucketNotificationConfiguration", "GetBucketNotification"),
    bucket("PUT", "notification", "PutBucketNotificationConfiguration", "PutBucketNotification"),
    bucket("GET", "object-lock", "GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    bucket("PUT", "object-lock", "PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
    bucket("GET", "ownershipControls", "GetBucketOwnershipControls", "GetBucketOwnershipControls"),
    bucket("PUT", "ownershipControls", "PutBucketOwnershipControls", "PutBucketOwnershipControls"),
    bucket("DELETE", "ownershipControls", "DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    bucket("GET", "policy", "GetBucketPolicy", "GetBucketPolicy"),
    bucket("PUT", "policy", "PutBucketPolicy", "PutBucketPolicy"),
    bucket("DELETE", "policy", "DeleteBucketPolicy", "DeleteBucketPolicy"),
    bucket("GET", "policyStatus", "GetBucketPolicyStatus", "GetBucketPolicyStatus"),
    bucket("GET", "publicAccessBlock", "GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    bucket("PUT", "publicAccessBlock", "PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    bucket("DELETE", "publicAccessBlock", "DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
    bucket("GET", "replication", "GetBucketReplication", "GetReplicationConfiguration"),
    bucket("PUT", "replication", "PutBucketReplication", "PutReplicationConfiguration"),
    bucket("DELETE", "replication", "DeleteBucketReplication", "PutReplicationConfiguration"),
    bucket("GET", "requestPayment", "GetBucketRequestPayment", "GetBucketRequestPayment"),
    bucket("PUT", "requestPayment", "PutBucketRequestPayment", "PutBucketRequestPayment"),
    bucket("GET", "tagging", "GetBucketTagging", "GetBucketTagging"),
    bucket("PUT", "tagging", "PutBucketTagging", "PutBucketTagging"),
    bucket("DELETE", "tagging", "DeleteBucketTagging", "PutBucketTagging"),
    bucket("GET", "versioning", "GetBucketVersioning", "GetBucketVersioning"),
    bucket("PUT", "versioning", "PutBucketVersioning", "PutBucketVersioning"),
    bucket("GET", "website", "GetBucketWebsite", "GetBucketWebsite"),
    bucket("PUT", "website", "PutBucketWebsite", "PutBucketWebsite"),
    bucket("DELETE", "website", "DeleteBucketWebsite", "DeleteBucketWebsite"),

    object("GET", "annotation annotationName", "GetObjectAnnotation", "GetObjectAnnotation").versioned("GetObjectVersionAnnotation"),
    object("PUT", "annotation annotationName", "PutObjectAnnotation", "PutObjectAnnotation").versioned("PutObjectVersionAnnotation"),
    object("DELETE", "annotation annotationName", "DeleteObjectAnnotation", "DeleteObjectAnnotation").versioned("DeleteObjectVersionAnnotation"),
    object("GET", "annotation", "ListObjectAnnotations", "ListObjectAnnotations").versioned("ListObjectVersionAnnotations")
        .optional("versionId max-annotation-results annotation-prefix continuation-token"),
    object("GET", "", "GetObject", "GetObject").versioned("GetObjectVersion").optional(READ_OVERRIDES),
    object("HEAD", "", "HeadObject", "GetObject").versioned("GetObjectVersion").optional(READ_OVERRIDES),
    object("PUT", "", "PutObject", "PutObject"),
    object("PUT", "", "CopyObject", "PutObject").on(On::Copy),
    object("DELETE", "", "DeleteObject", "DeleteObject").versioned("DeleteObjectVersion"),
    object("POST", "uploads", "CreateMultipartUpload", "PutObject"),
    object("PUT", "partNumber uploadId", "UploadPart", "PutObject"),
    object("PUT", "partNumber uploadId", "UploadPartCopy", "PutObject").on(On::Copy),
    object("POST", "uploadId", "CompleteMultipartUpload", "PutObject"),
    object("DELETE", "uploadId", "AbortMultipartUpload", "AbortMultipartUpload"),
    object("GET", "uploadId", "ListParts", "ListMultipartUploadParts").optional("max-parts part-number-marker"),
    object("GET", "acl", "GetObjectAcl", "GetObjectAcl").versioned("GetObjectVersionAcl"),
    object("PUT", "acl", "PutObjectAcl", "PutObjectAcl").versioned("PutObjectVersionAcl"),
    object("GET", "attributes", "GetObjectAttributes", "GetObject GetObjectAttributes")
        .versioned("GetObjectVersion GetObjectVersionAttributes"),
    object("GET", "legal-hold", "GetObjectLegalHold", "GetObjectLegalHold").versioned(""),
    object("PUT", "legal-hold", "PutObjectLegalHold", "PutObjectLegalHold").versioned(""),
    object("GET", "retention", "GetObjectRetention", "GetObjectRetention").versioned(""),
    object("PUT", "retention", "PutObjectRetention", "PutObjectRetention").versioned(""),
    object("GET", "tagging", "GetObjectTagging", "GetObjectTagging").versioned("GetObjectVersionTagging"),
    object("PUT", "tagging", "PutObjectTagging", "PutObjectTagging").versioned("PutObjectVersionTagging"),
    object("DELETE", "tagging", "DeleteObjectTagging", "DeleteObjectTagging").versioned("DeleteObjectVersionTagging"),
    object("GET", "torrent", "GetObjectTorrent", "GetObjectTorrent"),
    object("PUT", "renameObject", "RenameObject", ""),
    object("PUT", "encryption", "UpdateObjectEncryption", "UpdateObjectEncryption").versioned(""),
    object("POST", "restore", "RestoreObject", "RestoreObject").versioned(""),
    object("POST", "select select-type=2", "SelectObjectContent", "GetObject"),
];
