//! The DNS suffixes under which AWS serves its APIs, in every partition.
//!
//! One list for everything that must agree on "is this AWS?": routing, the name constraints of the
//! local CA, and the endpoint table.

use crate::prim::HostName;

/// Every suffix, lower case, without a leading dot: the `dnsSuffix` and `dualStackDnsSuffix` of each
/// partition of the SDKs' `partitions.json`, and `on.aws` for Lambda function URLs.
pub const AWS_SUFFIXES: &[&str] = &[
    // aws, aws-us-gov
    "amazonaws.com",
    "api.aws",
    "on.aws",
    // aws-cn
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    // aws-eusc
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    // aws-iso
    "c2s.ic.gov",
    "api.aws.ic.gov",
    // aws-iso-b
    "sc2s.sgov.gov",
    "api.aws.scloud",
    // aws-iso-e
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    // aws-iso-f
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
];

/// Whether `name` is one of [`AWS_SUFFIXES`] or lies below one, at a label boundary.
#[must_use]
pub fn is_aws(name: &HostName) -> bool {
    split(name).is_some()
}

/// Splits `name` into what stands before its AWS suffix (empty for the suffix itself) and the suffix.
#[must_use]
pub fn split(name: &HostName) -> Option<(&str, &'static str)> {
    AWS_SUFFIXES.iter().find_map(|suffix| {
        // Both are lower case: `HostName` guarantees the one, the table the other.
        let rest = name.as_str().strip_suffix(suffix)?;
        if rest.is_empty() {
            Some(("", *suffix))
        } else {
            rest.strip_suffix('.').map(|labels| (labels, *suffix))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: bool) {
        assert_eq!(is_aws(&name.parse().unwrap()), expected, "{name}");
    }

    #[test]
    fn below_a_suffix_at_a_label_boundary() {
        for suffix in AWS_SUFFIXES {
            check(suffix, true);
            check(&format!("sts.{suffix}"), true);
            check(&format!("a.b.c.{suffix}."), true);
            check(&format!("STS.{}", suffix.to_uppercase()), true);
            check(&format!("evil{suffix}"), false);
            check(&format!("{suffix}.example.com"), false);
        }
    }

    #[test]
    fn other_names() {
        for name in ["example.com", "com", "aws", "console.aws", "amazonaws.co", "amazonaws.com.example"] {
            check(name, false);
        }
    }

    #[test]
    fn the_table_is_written_in_the_form_it_is_compared_in() {
        for suffix in AWS_SUFFIXES {
            assert_eq!(suffix.parse::<HostName>().unwrap().as_str(), *suffix);
        }
    }
}
