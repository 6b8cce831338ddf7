//! The hosts of S3: where the bucket and the region are.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
//!
//! Read from the right: after suffix and region come the S3 label and its variants; everything
//! before that is the bucket, dots and all.

use super::{AddressStyle, EndpointError};
use crate::prim::AccountId;

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
        "s3express-control" if bucket.is_some() => return None,
        "s3express-control" if has_region => {
            return Some(Ok(S3Host { style: AddressStyle::S3Directories, region: None }));
        }
        "s3-website" => return Some(Err(EndpointError::Unsupported("S3 website hosting"))),
        "s3-object-lambda" if has_region && without_dualstack.is_none() => {
            return Some(object_lambda(bucket));
        }
        "s3-object-lambda" => return Some(Err(EndpointError::Unsupported("this form of S3 Object Lambda"))),
        "s3-outposts" if has_region && without_dualstack.is_none() && label == "s3-outposts" => {
            return Some(outpost(bucket));
        }
        "s3-outposts" => return Some(Err(EndpointError::Unsupported("this form of S3 on Outposts"))),
        "s3-global" => {
            return Some(Err(EndpointError::Unsupported(
                "an S3 Multi-Region Access Point (Signature Version 4A)",
            )));
        }
        _ if label.starts_with("s3express-") => {
            let zone = label.strip_prefix("s3express-fips-").or_else(|| label.strip_prefix("s3express-"));
            return Some(directory_host(bucket, zone.filter(|_| has_region)));
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

/// Whether `bucket` is the name of a directory bucket: `NAME--ZONE--x-s3`. The result is its zone.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html>
pub(crate) fn directory_zone(bucket: &str) -> Option<&str> {
    let (name, zone) = bucket.strip_suffix("--x-s3")?.rsplit_once("--")?;
    let word = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && !text.ends_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    (bucket.len() <= 63 && word(name) && word(zone)).then_some(zone)
}

/// A directory bucket at the host of its zone; nothing else is there.
fn directory_host(bucket: Option<&str>, zone: Option<&str>) -> Result<S3Host, EndpointError> {
    match bucket {
        Some(bucket) if zone.is_some() && directory_zone(bucket) == zone => {
            Ok(S3Host { style: AddressStyle::S3Directory(bucket.to_owned()), region: None })
        }
        Some(_) | None => Err(EndpointError::Unsupported("this form of S3 Express host")),
    }
}

fn access_point(label: Option<&str>) -> Result<S3Host, EndpointError> {
    let (name, account) = name_and_account(label, "this form of S3 access point")?;
    Ok(S3Host { style: AddressStyle::S3AccessPoint { name, account }, region: None })
}

fn object_lambda(label: Option<&str>) -> Result<S3Host, EndpointError> {
    let (name, account) = name_and_account(label, "this form of S3 Object Lambda")?;
    Ok(S3Host { style: AddressStyle::S3ObjectLambda { name, account }, region: None })
}

/// `NAME-ACCOUNT.OUTPOST`.
fn outpost(labels: Option<&str>) -> Result<S3Host, EndpointError> {
    const WHAT: &str = "this form of S3 on Outposts";
    let (label, outpost) =
        labels.and_then(|labels| labels.split_once('.')).ok_or(EndpointError::Unsupported(WHAT))?;
    let (name, account) = name_and_account(Some(label), WHAT)?;
    let id = outpost.strip_prefix("op-").unwrap_or_default();
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(EndpointError::Unsupported(WHAT));
    }
    Ok(S3Host { style: AddressStyle::S3Outpost { name, account, outpost: outpost.to_owned() }, region: None })
}

/// `NAME-ACCOUNT`; anything else is `what`.
fn name_and_account(label: Option<&str>, what: &'static str) -> Result<(String, AccountId), EndpointError> {
    let unsupported = || EndpointError::Unsupported(what);
    let (name, account) = label.and_then(|label| label.rsplit_once('-')).ok_or_else(unsupported)?;
    let account = account.parse().map_err(|_| unsupported())?;
    if name.is_empty() || name.contains('.') { Err(unsupported()) } else { Ok((name.to_owned(), account)) }
}
