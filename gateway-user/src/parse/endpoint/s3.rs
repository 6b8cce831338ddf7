//! The hosts of S3: where the bucket and the region are.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
//!
//! Read from the right: after suffix and region come the S3 label and its variants; everything
//! before that is the bucket, dots and all.

use super::{AddressStyle, EndpointError};

/// What the labels before the region say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct S3Host {
    pub(super) style: AddressStyle,
    /// A region written into the S3 label itself (`s3-eu-west-1`).
    pub(super) region: Option<String>,
}

/// Reads `labels`, which stand before the region where `has_region`, else before the suffix.
/// `None`: not a host of S3.
pub(super) fn read(labels: &str, has_region: bool) -> Option<Result<S3Host, EndpointError>> {
    let without_dualstack = labels.strip_suffix(".dualstack");
    let labels = without_dualstack.unwrap_or(labels);
    let (bucket, label) = match labels.rsplit_once('.') {
        Some((bucket, label)) => (Some(bucket), label),
        None => (None, labels),
    };
    let regional_label = label.strip_suffix("-fips").unwrap_or(label);
    match regional_label {
        "s3" | "s3-external-1" => {}
        "s3-accelerate" if !has_region => {
            let style = match bucket {
                Some(bucket) => return Some(virtual_host(bucket, None)),
                None => AddressStyle::S3Path,
            };
            return Some(Ok(S3Host { style, region: None }));
        }
        "s3-accesspoint" if has_region => return Some(access_point(bucket)),
        // APIs of their own, in the catalogue.
        "s3-control" => return None,
        "s3-outposts" if bucket.is_none() => return None,
        "s3-website" => return Some(Err(EndpointError::Unsupported("S3 website hosting"))),
        "s3-object-lambda" => return Some(Err(EndpointError::Unsupported("S3 Object Lambda"))),
        "s3-outposts" => return Some(Err(EndpointError::Unsupported("S3 on Outposts"))),
        "s3-global" => {
            return Some(Err(EndpointError::Unsupported(
                "an S3 Multi-Region Access Point (Signature Version 4A)",
            )));
        }
        label if label.starts_with("s3express-") => {
            return Some(Err(EndpointError::Unsupported("S3 Express")));
        }
        label if label.starts_with("s3-website-") => {
            return Some(Err(EndpointError::Unsupported("S3 website hosting")));
        }
        // The old form `s3-REGION`, only without another region.
        label if !has_region && without_dualstack.is_none() => {
            let region = label.strip_prefix("s3-")?;
            super::Partition::of_region(region)?;
            let region = Some(region.to_owned());
            return Some(match bucket {
                Some(bucket) => virtual_host(bucket, region),
                None => Ok(S3Host { style: AddressStyle::S3Path, region }),
            });
        }
        _ => return None,
    }
    // Dualstack and FIPS exist only with a region.
    if (without_dualstack.is_some() || regional_label != label) && !has_region {
        return Some(Err(EndpointError::Unsupported("this form of S3 host")));
    }
    Some(match bucket {
        Some(bucket) => virtual_host(bucket, None),
        None => Ok(S3Host { style: AddressStyle::S3Path, region: None }),
    })
}

/// Labels of a VPC endpoint before `vpce-ID.s3`: `bucket`, `NAME.bucket`, `NAME-ACCOUNT.accesspoint`.
pub(super) fn read_vpc_endpoint(prefix: &str) -> Result<S3Host, EndpointError> {
    let unsupported = Err(EndpointError::Unsupported("this form of S3 VPC endpoint"));
    match prefix.rsplit_once('.') {
        None if prefix == "bucket" => Ok(S3Host { style: AddressStyle::S3Path, region: None }),
        Some((bucket, "bucket")) => virtual_host(bucket, None),
        Some((name, "accesspoint")) => access_point(Some(name)),
        None | Some(_) => unsupported,
    }
}

fn virtual_host(bucket: &str, region: Option<String>) -> Result<S3Host, EndpointError> {
    check_bucket(bucket).map_err(EndpointError::Unsupported)?;
    Ok(S3Host { style: AddressStyle::S3Bucket(bucket.to_owned()), region })
}

/// Whether `bucket` is the name of a general purpose bucket, and not an alias for something else.
/// The error names what it is.
pub(crate) fn check_bucket(bucket: &str) -> Result<(), &'static str> {
    if bucket.ends_with("--x-s3") || bucket.ends_with("--xa-s3") {
        return Err("S3 Express");
    }
    if ["-s3alias", "--ol-s3", ".mrap", "--table-s3"].iter().any(|end| bucket.ends_with(end)) {
        return Err("an S3 access point alias");
    }
    let valid = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
        && !bucket.contains("..")
        && !bucket.starts_with('.')
        && !bucket.ends_with('.');
    if valid { Ok(()) } else { Err("this bucket name") }
}

/// `NAME-ACCOUNT`.
fn access_point(label: Option<&str>) -> Result<S3Host, EndpointError> {
    let unsupported = EndpointError::Unsupported("this form of S3 access point");
    let (name, account) =
        label.and_then(|label| label.rsplit_once('-')).ok_or_else(|| unsupported.clone())?;
    let Ok(account) = account.parse() else { return Err(unsupported) };
    if name.is_empty() || name.contains('.') {
        return Err(unsupported);
    }
    Ok(S3Host { style: AddressStyle::S3AccessPoint { name: name.to_owned(), account }, region: None })
}
