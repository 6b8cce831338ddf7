//! host → partition, service, region and, for S3, the bucket.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/rande.html>

use crate::{
    prim::{AccountId, HostName, Region},
    suffix,
};

mod s3;
mod services;

pub use crate::catalog::Partition;
pub(crate) use s3::check_bucket;

/// Why a host is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not AWS at all.
    #[error("{0} is not an AWS host")]
    NotAws(String),
    /// AWS, but not a service and region that the gateway knows.
    #[error("the AWS host {0} is not in the catalogue")]
    Unknown(String),
    /// A kind of endpoint that is known but not served yet.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

/// How a host addresses what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressStyle {
    /// Any service but S3.
    Service,
    /// S3, the bucket is the first segment of the path.
    S3Path,
    /// S3, the bucket is in the host.
    S3Bucket(String),
    /// S3, an access point is in the host.
    S3AccessPoint {
        /// Its name.
        name: String,
        /// The account that owns it.
        account: AccountId,
    },
}

/// The regions a host may be addressed in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Regions {
    /// The one in its name, or the one hosts without region stand for.
    One(String),
    /// Any of the partition: S3's hosts without region.
    AnyOfPartition,
}

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    partition: Partition,
    label: &'static str,
    signing_name: &'static str,
    regions: Regions,
    style: AddressStyle,
}

impl Endpoint {
    /// Reads a host.
    ///
    /// # Errors
    /// [`EndpointError`] for whatever is not understood beyond doubt.
    pub fn read(host: &HostName) -> Result<Self, EndpointError> {
        let (labels, suffix) = suffix::split(host).ok_or_else(|| EndpointError::NotAws(host.to_string()))?;
        let unknown = || EndpointError::Unknown(host.to_string());
        let home = Partition::of_suffix(suffix).unwrap_or(Partition::Aws);
        if let Some(labels) = labels.strip_suffix(".vpce") {
            return vpc_endpoint(labels, home).unwrap_or_else(|| Err(unknown()));
        }
        let (labels, region) = split_region(labels, home).ok_or_else(unknown)?;
        let has_s3 = !suffix.starts_with("api.") && suffix != "on.aws";
        if has_s3 && let Some(s3) = s3::read(labels, region.is_some()) {
            let s3 = s3?;
            let region = region.map(str::to_owned).or(s3.region);
            return Self::s3(s3.style, region.as_deref(), home).ok_or_else(unknown);
        }
        if suffix == "on.aws" {
            return Err(EndpointError::Unsupported("a Lambda function URL"));
        }
        let service =
            services::find(labels, region.is_some_and(|region| region != GLOBAL)).ok_or_else(unknown)?;
        Self::service(service, region.filter(|region| *region != GLOBAL), home).ok_or_else(unknown)
    }

    fn service(
        service: &'static services::ServiceHost,
        region: Option<&str>,
        home: Partition,
    ) -> Option<Self> {
        let (partition, region) = match region {
            // IAM of GovCloud names no region.
            Some("us-gov") if service.global => (Partition::UsGov, Partition::UsGov.global_region()),
            Some(region) => (partition_of(region, home)?, region),
            None => (home, home.global_region()),
        };
        Some(Self {
            partition,
            label: service.label,
            signing_name: service.signing_name,
            regions: Regions::One(region.to_owned()),
            style: AddressStyle::Service,
        })
    }

    fn s3(style: AddressStyle, region: Option<&str>, home: Partition) -> Option<Self> {
        let (partition, regions) = match region {
            Some(region) => (partition_of(region, home)?, Regions::One(region.to_owned())),
            None => (home, Regions::AnyOfPartition),
        };
        Some(Self { partition, label: "s3", signing_name: "s3", regions, style })
    }

    /// The partition it belongs to.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The service's host label, e.g. `streams.dynamodb`, `monitoring`, `s3`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// How it addresses its subject.
    #[must_use]
    pub fn style(&self) -> &AddressStyle {
        &self.style
    }

    /// Whether it is one of S3's: these are signed by other rules.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        self.style != AddressStyle::Service
    }

    /// Whether a signature for the service `signing_name` belongs here.
    #[must_use]
    pub fn serves(&self, signing_name: &str) -> bool {
        self.signing_name == signing_name
    }

    /// Whether a signature for `region` belongs here.
    #[must_use]
    pub fn accepts_region(&self, region: &Region) -> bool {
        match &self.regions {
            Regions::One(own) => own == region.as_str(),
            Regions::AnyOfPartition => self.partition.has(region),
        }
    }
}

/// Where others have a region, IAM's dual-stack hosts have this.
const GLOBAL: &str = "global";

/// Splits a region off the end of `labels`, if there is one.
fn split_region(labels: &str, home: Partition) -> Option<(&str, Option<&str>)> {
    if labels.is_empty() {
        return None;
    }
    let Some((rest, last)) = labels.rsplit_once('.') else { return Some((labels, None)) };
    if last == GLOBAL || last == "us-gov" || partition_of(last, home).is_some() {
        return Some((rest, Some(last)));
    }
    Some((labels, None))
}

/// The partition of `region` if it can be found under the suffixes of `home`.
fn partition_of(region: &str, home: Partition) -> Option<Partition> {
    let partition = Partition::of_region(region)?;
    let shared = partition == Partition::UsGov && home == Partition::Aws;
    (partition == home || shared).then_some(partition)
}

/// `PREFIX.vpce-ID.SERVICE.REGION` (before `.vpce.SUFFIX`); only S3 has a prefix.
/// `None`: not understood.
fn vpc_endpoint(labels: &str, home: Partition) -> Option<Result<Endpoint, EndpointError>> {
    let (labels, region) = split_region(labels, home)?;
    let region = region?;
    let is_id = |label: &str| label.starts_with("vpce-");
    let at = labels.split('.').position(is_id)?;
    let mut parts = labels.split('.');
    let prefix: Vec<&str> = parts.by_ref().take(at).collect();
    let service: Vec<&str> = parts.skip(1).collect();
    let (prefix, service) = (prefix.join("."), service.join("."));
    if service == "s3" {
        return Some(s3::read_vpc_endpoint(&prefix).and_then(|s3| {
            Endpoint::s3(s3.style, Some(region), home).ok_or(EndpointError::Unsupported("this region"))
        }));
    }
    if !prefix.is_empty() {
        return None;
    }
    Endpoint::service(services::find(&service, true)?, Some(region), home).map(Ok)
}

#[cfg(test)]
mod tests;
