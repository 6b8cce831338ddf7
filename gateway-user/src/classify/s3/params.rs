//! What policies can read of an S3 call.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{address::Address, operations::has_query_parameter};
use crate::{
    classify::{ClassifyError, Param},
    parse::AwsRequest,
};

/// Query parameters that are numbers.
const NUMBERS: [&str; 7] = [
    "max-buckets",
    "max-directory-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
];

/// `x-amz-*` headers that are parameters, without that prefix. Keys for SSE-C, signature and framing
/// are none.
const HEADERS: [&str; 54] = [
    "acl",
    "bucket-object-lock-enabled",
    "bypass-governance-retention",
    "checksum-algorithm",
    "checksum-crc32",
    "checksum-crc32c",
    "checksum-crc64nvme",
    "checksum-mode",
    "checksum-sha1",
    "checksum-sha256",
    "checksum-type",
    "confirm-remove-self-bucket-access",
    "copy-source",
    "copy-source-if-match",
    "copy-source-if-modified-since",
    "copy-source-if-none-match",
    "copy-source-if-unmodified-since",
    "copy-source-range",
    "copy-source-server-side-encryption-customer-algorithm",
    "expected-bucket-owner",
    "grant-full-control",
    "grant-read",
    "grant-read-acp",
    "grant-write",
    "grant-write-acp",
    "if-match-last-modified-time",
    "if-match-size",
    "max-parts",
    "metadata-directive",
    "mfa",
    "mp-object-size",
    "object-attributes",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-retain-until-date",
    "object-ownership",
    "optional-object-attributes",
    "part-number-marker",
    "rename-source",
    "rename-source-if-match",
    "rename-source-if-modified-since",
    "rename-source-if-none-match",
    "rename-source-if-unmodified-since",
    "request-payer",
    "sdk-checksum-algorithm",
    "server-side-encryption",
    "server-side-encryption-aws-kms-key-id",
    "server-side-encryption-bucket-key-enabled",
    "server-side-encryption-customer-algorithm",
    "source-expected-bucket-owner",
    "storage-class",
    "tagging",
    "tagging-directive",
    "website-redirect-location",
];

/// `Bucket`, `Key`, query parameters and headers; see [`crate::classify::Operation::params`].
///
/// # Errors
/// [`ClassifyError::Ambiguous`]: a header has the name of something that is not a header.
pub(super) fn read(head: &AwsRequest, address: &Address) -> Result<BTreeMap<String, Param>, ClassifyError> {
    let mut params = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for (name, value) in head.headers() {
        // `parse` has made sure that values are UTF-8.
        let text = || Param::Text(std::str::from_utf8(value.as_bytes()).unwrap_or_default().to_owned());
        if name == "content-type" {
            params.insert("ContentType".to_owned(), text());
        } else if let Some(name) = name.as_str().strip_prefix("x-amz-meta-") {
            metadata.insert(name.to_owned(), text());
        } else if let Some(short) = name.as_str().strip_prefix("x-amz-") {
            if HEADERS.contains(&short) {
                params.insert(camel(short), text());
            } else if is_taken(short) {
                return Err(ClassifyError::Ambiguous(format!("{name} is not a header of S3")));
            }
        }
    }
    if !metadata.is_empty() {
        params.insert("Metadata".to_owned(), Param::Record(metadata));
    }
    for (name, value) in head.query().pairs().filter(|(name, _)| *name != "x-id") {
        let param = match value.parse() {
            Ok(number) if NUMBERS.contains(&name) => Param::Number(number),
            _ => Param::Text(value.to_owned()),
        };
        match params.entry(camel(name)) {
            Entry::Vacant(entry) => {
                entry.insert(param);
            }
            // The sub-resource `?acl` says nothing, unlike the header `x-amz-acl`.
            Entry::Occupied(_) if value.is_empty() => {}
            Entry::Occupied(_) => {
                return Err(ClassifyError::Ambiguous(format!("{name} is in the query and in a header")));
            }
        }
    }
    if let Some(bucket) = address.bucket() {
        params.insert("Bucket".to_owned(), Param::Text(bucket.param()));
    }
    if let Address::Object(_, key) = address {
        params.insert("Key".to_owned(), Param::Text(key.clone()));
    }
    Ok(params)
}

/// Whether `x-amz-NAME` would read like another parameter.
fn is_taken(name: &str) -> bool {
    let folded = name.replace('-', "");
    matches!(folded.as_str(), "bucket" | "key" | "metadata" | "contenttype") || has_query_parameter(&folded)
}

/// `list-type` → `ListType`, `versionId` → `VersionId`.
fn camel(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for word in name.split('-') {
        let mut chars = word.chars();
        text.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(chars.as_str());
    }
    text
}
