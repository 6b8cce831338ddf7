//! AWS partitions: separate clouds with their own DNS suffixes, regions and ARNs.
//!
//! Source: `partitions.json` of botocore 1.44.

use crate::prim::Region;

/// One of the AWS clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// The commercial one.
    Aws,
    /// China.
    Cn,
    /// US GovCloud; shares its suffixes with [`Partition::Aws`].
    UsGov,
    /// European Sovereign Cloud.
    Eusc,
    /// US isolated (top secret).
    Iso,
    /// US isolated (secret).
    IsoB,
    /// Isolated, Europe.
    IsoE,
    /// US isolated, fourth.
    IsoF,
}

impl Partition {
    /// The partition as ARNs write it.
    #[must_use]
    pub fn arn_name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Cn => "aws-cn",
            Self::UsGov => "aws-us-gov",
            Self::Eusc => "aws-eusc",
            Self::Iso => "aws-iso",
            Self::IsoB => "aws-iso-b",
            Self::IsoE => "aws-iso-e",
            Self::IsoF => "aws-iso-f",
        }
    }

    /// Every partition.
    pub const ALL: [Self; 8] =
        [Self::Aws, Self::Cn, Self::UsGov, Self::Eusc, Self::Iso, Self::IsoB, Self::IsoE, Self::IsoF];

    /// The partition of this name in ARNs.
    #[must_use]
    pub fn of_arn_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.arn_name() == name)
    }

    /// The suffix of hosts that speak IPv4 only, and of those that speak IPv6 as well.
    #[must_use]
    pub fn suffixes(self) -> [&'static str; 2] {
        match self {
            Self::Aws | Self::UsGov => ["amazonaws.com", "api.aws"],
            Self::Cn => ["amazonaws.com.cn", "api.amazonwebservices.com.cn"],
            Self::Eusc => ["amazonaws.eu", "api.amazonwebservices.eu"],
            Self::Iso => ["c2s.ic.gov", "api.aws.ic.gov"],
            Self::IsoB => ["sc2s.sgov.gov", "api.aws.scloud"],
            Self::IsoE => ["cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"],
            Self::IsoF => ["csp.hci.ic.gov", "api.aws.hci.ic.gov"],
        }
    }

    /// The partition that a suffix belongs to; GovCloud is told from the commercial one by the region.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        if suffix == "on.aws" {
            return Some(Self::Aws);
        }
        Self::ALL.into_iter().find(|partition| partition.suffixes().contains(&suffix))
    }

    /// The partition whose regions look like this one: `PREFIX-word-digits`.
    #[must_use]
    pub fn of_region(region: &str) -> Option<Self> {
        let (rest, number) = region.rsplit_once('-')?;
        let (prefix, word) = rest.rsplit_once('-')?;
        let well_formed = !number.is_empty()
            && number.len() <= 2
            && number.bytes().all(|b| b.is_ascii_digit())
            && !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_lowercase());
        if !well_formed {
            return None;
        }
        match prefix {
            "us" | "eu" | "ap" | "sa" | "ca" | "me" | "af" | "il" | "mx" => Some(Self::Aws),
            "cn" => Some(Self::Cn),
            "us-gov" => Some(Self::UsGov),
            "eusc-de" => Some(Self::Eusc),
            "us-iso" => Some(Self::Iso),
            "us-isob" => Some(Self::IsoB),
            "eu-isoe" => Some(Self::IsoE),
            "us-isof" => Some(Self::IsoF),
            _ => None,
        }
    }

    /// Whether `region` is one of this partition's.
    #[must_use]
    pub fn has(self, region: &Region) -> bool {
        Self::of_region(region.as_str()) == Some(self)
    }
}
