//! What policies can read of an S3 call.

use std::collections::BTreeMap;

use super::address::Address;
use crate::{classify::Param, parse::AwsRequest};

/// Query parameters that are numbers.
const NUMBERS: [&str; 6] =
    ["max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber"];

/// `x-amz-*` headers that are not parameters: signature, framing, and keys for SSE-C.
const NOT_PARAMS: [&str; 9] = [
    "x-amz-content-sha256",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-trailer",
    "x-amz-user-agent",
    "x-amz-te",
];

/// `Bucket`, `Key`, query parameters and headers; see [`crate::classify::Operation::params`].
pub(super) fn read(head: &AwsRequest, address: &Address) -> BTreeMap<String, Param> {
    let mut params = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for (name, value) in head.headers() {
        // `parse` has made sure that values are UTF-8.
        let text = || Param::Text(std::str::from_utf8(value.as_bytes()).unwrap_or_default().to_owned());
        match name.as_str() {
            "content-type" => {
                params.insert("ContentType".to_owned(), text());
            }
            name if NOT_PARAMS.contains(&name) => {}
            name => {
                if let Some(name) = name.strip_prefix("x-amz-meta-") {
                    metadata.insert(name.to_owned(), text());
                } else if let Some(name) = name.strip_prefix("x-amz-") {
                    params.insert(camel(name), text());
                }
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
        params.insert(camel(name), param);
    }
    if let Some(bucket) = address.bucket() {
        params.insert("Bucket".to_owned(), Param::Text(bucket.param()));
    }
    if let Address::Object(_, key) = address {
        params.insert("Key".to_owned(), Param::Text(key.clone()));
    }
    params
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
