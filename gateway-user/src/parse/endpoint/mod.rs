//! host → partition, candidate services, region and, for S3, the bucket.
//!
//! The catalogue has the hosts of the endpoint rulesets; `s3` reads those with buckets in them, and
//! `special` knows what else there is.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/rande.html>

use crate::{
    catalog::{HostMatch, Service, catalog},
    prim::{AccountId, HostName, Region},
    suffix,
};

mod s3;
mod special;

pub use crate::catalog::Partition;
pub(crate) use s3::{check_bucket, directory_zone};

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
    /// S3 Object Lambda, its access point is in the host.
    S3ObjectLambda {
        /// Its name.
        name: String,
        /// The account that owns it.
        account: AccountId,
    },
    /// S3 on Outposts, an access point is in the host.
    S3Outpost {
        /// Its name.
        name: String,
        /// The account that owns it.
        account: AccountId,
        /// Where it is: `op-…`.
        outpost: String,
    },
    /// S3 Express, the directory bucket is in the host, which is that of its zone.
    S3Directory(String),
    /// S3 Express, where directory buckets are administered: the bucket is the path.
    S3Directories,
}

impl AddressStyle {
    /// The name that requests of S3 are signed for where things are addressed like this.
    fn signing_name(&self) -> &'static str {
        match self {
            Self::Service | Self::S3Path | Self::S3Bucket(_) | Self::S3AccessPoint { .. } => "s3",
            Self::S3ObjectLambda { .. } => "s3-object-lambda",
            Self::S3Outpost { .. } => "s3-outposts",
            Self::S3Directory(_) | Self::S3Directories => "s3express",
        }
    }
}

/// The regions a host may be addressed in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Regions {
    /// The one in its name, or those that hosts without region stand for.
    These(Vec<String>),
    /// Any of the partition: S3's hosts without region.
    AnyOfPartition,
}

/// A service behind a host.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The service.
    pub service: &'static Service,
    /// The name that its requests are signed for there.
    pub signing_name: &'static str,
    /// Only operations with this [`crate::catalog::Operation::host_prefix`] are served there.
    pub host_prefix: &'static str,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        (self.service.index, self.signing_name, self.host_prefix)
            == (other.service.index, other.signing_name, other.host_prefix)
    }
}

impl Eq for Candidate {}

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    partition: Partition,
    candidates: Vec<Candidate>,
    regions: Regions,
    style: AddressStyle,
    subject: Option<String>,
}

impl Endpoint {
    /// The bucket in an S3 request's wire path, where its host does not have it, and the key; each empty where
    /// there is none. Nothing is decoded.
    #[must_use]
    pub fn bucket_and_key<'p>(&self, path: &'p str) -> (&'p str, &'p str) {
        let rest = path.strip_prefix('/').unwrap_or(path);
        match self.style {
            AddressStyle::Service | AddressStyle::S3Path => rest.split_once('/').unwrap_or((rest, "")),
            AddressStyle::S3Directories => (rest.strip_suffix('/').unwrap_or(rest), ""),
            AddressStyle::S3Bucket(_)
            | AddressStyle::S3AccessPoint { .. }
            | AddressStyle::S3ObjectLambda { .. }
            | AddressStyle::S3Outpost { .. }
            | AddressStyle::S3Directory(_) => ("", rest),
        }
    }

    /// Reads a host.
    ///
    /// # Errors
    /// [`EndpointError`] for whatever is not understood beyond doubt.
    pub fn read(host: &HostName) -> Result<Self, EndpointError> {
        let (labels, suffix) = suffix::split(host).ok_or_else(|| EndpointError::NotAws(host.to_string()))?;
        let unknown = || EndpointError::Unknown(host.to_string());
        if let Some(what) = special::not_served(labels, suffix) {
            return Err(EndpointError::Unsupported(what));
        }
        if let Some(labels) = labels.strip_suffix(".vpce") {
            return vpc_endpoint(labels, suffix).ok_or_else(unknown)?;
        }
        if let Some(s3) = s3_host(labels, suffix) {
            let mut s3 = s3?.ok_or_else(unknown)?;
            // There the control API is served as well.
            if s3.style == AddressStyle::S3Directories {
                let others = Self::service(&catalog().hosts(labels, suffix));
                s3.candidates.extend(others.into_iter().flat_map(|others| others.candidates));
            }
            return Ok(s3);
        }
        let found = catalog().hosts(labels, suffix);
        if found.is_empty() {
            let own = special::own_host(labels, suffix).ok_or_else(unknown)?;
            return Self::service(&[own]).ok_or_else(unknown);
        }
        Self::service(&found).ok_or_else(unknown)
    }

    /// All matches must agree on everything but the service.
    fn service(found: &[HostMatch<'_>]) -> Option<Self> {
        let first = found.first()?;
        let same = |other: &HostMatch<'_>| {
            (other.partition, &other.regions, other.subject)
                == (first.partition, &first.regions, first.subject)
        };
        if !found.iter().all(same) {
            return None;
        }
        let services = catalog().services();
        let candidate = |found: &HostMatch<'_>| {
            let service = services.get(found.service)?;
            let signing_name = found.signing_name.unwrap_or(service.signing_name);
            Some(Candidate { service, signing_name, host_prefix: found.host_prefix })
        };
        Some(Self {
            partition: first.partition,
            candidates: found.iter().map(candidate).collect::<Option<_>>()?,
            regions: Regions::These(first.regions.iter().map(|region| (*region).to_owned()).collect()),
            style: AddressStyle::Service,
            subject: first.subject.map(str::to_owned),
        })
    }

    fn s3(style: AddressStyle, region: Option<&str>, home: Partition) -> Option<Self> {
        let (partition, regions) = match region {
            Some(region) => (partition_of(region, home)?, Regions::These(vec![region.to_owned()])),
            None => (home, Regions::AnyOfPartition),
        };
        let signing_name = style.signing_name();
        let candidates = vec![Candidate { service: catalog().service("s3")?, signing_name, host_prefix: "" }];
        Some(Self { partition, candidates, regions, style, subject: None })
    }

    /// The partition it belongs to.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The services behind it; never empty. Some share all their hosts.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// What stands in the host for a member: the account of an account's own host, or the label of an
    /// operation's [`crate::catalog::Operation::host_prefix`].
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// How it addresses its subject.
    #[must_use]
    pub fn style(&self) -> &AddressStyle {
        &self.style
    }

    /// Whether `path` is asked of S3's own API there, whose requests address buckets. The host where
    /// directory buckets are administered has the control API, too, below what no such bucket is called.
    #[must_use]
    pub fn is_s3(&self, path: &str) -> bool {
        match self.style {
            AddressStyle::Service => false,
            AddressStyle::S3Directories => !path.starts_with("/v20180820/"),
            _ => true,
        }
    }

    /// Whether it is one of S3 Express.
    #[must_use]
    pub fn is_s3_express(&self) -> bool {
        self.serves("s3express")
    }

    /// Whether it is a directory bucket at the host of its zone, where sessions are used.
    #[must_use]
    pub(crate) fn is_directory_bucket(&self) -> bool {
        matches!(self.style, AddressStyle::S3Directory(_))
    }

    /// Whether requests are signed by S3's rules: paths as they are sent, and the body's hash in a header.
    #[must_use]
    pub fn signs_as_s3(&self) -> bool {
        const FAMILY: [&str; 4] = ["s3", "s3-object-lambda", "s3-outposts", "s3express"];
        self.candidates.iter().all(|candidate| FAMILY.contains(&candidate.signing_name))
    }

    /// Whether any operation behind it may leave its body out of the signature.
    #[must_use]
    pub(super) fn has_unsigned_bodies(&self) -> bool {
        let mut operations = self.candidates.iter().flat_map(|candidate| candidate.service.operations());
        operations.any(|operation| operation.unsigned_body)
    }

    /// Whether a signature for the service `signing_name` belongs here.
    #[must_use]
    pub fn serves(&self, signing_name: &str) -> bool {
        self.candidates.iter().any(|candidate| candidate.signing_name == signing_name)
    }

    /// Whether a signature for `region` belongs here.
    #[must_use]
    pub fn accepts_region(&self, region: &Region) -> bool {
        match &self.regions {
            Regions::These(own) => own.iter().any(|own| own == region.as_str()),
            Regions::AnyOfPartition => self.partition.has(region),
        }
    }
}

/// Splits a region off the end of `labels`, if there is one.
fn split_region(labels: &str, home: Partition) -> (&str, Option<&str>) {
    match labels.rsplit_once('.') {
        Some((rest, last)) if partition_of(last, home).is_some() => (rest, Some(last)),
        Some(_) | None => (labels, None),
    }
}

/// The partition of `region` if it can be found under the suffixes of `home`.
fn partition_of(region: &str, home: Partition) -> Option<Partition> {
    let partition = Partition::of_region(region)?;
    let shared = partition == Partition::UsGov && home == Partition::Aws;
    (partition == home || shared).then_some(partition)
}

/// `None`: not a host of S3. The inner `None`: one, but nowhere.
fn s3_host(labels: &str, suffix: &str) -> Option<Result<Option<Endpoint>, EndpointError>> {
    let home = Partition::of_suffix(suffix)?;
    let [plain, _] = home.suffixes();
    if suffix != plain {
        return None;
    }
    let (labels, region) = split_region(labels, home);
    let s3 = s3::read(labels, region.is_some())?;
    Some(s3.map(|s3| {
        let region = region.map(str::to_owned).or(s3.region);
        Endpoint::s3(s3.style, region.as_deref(), home)
    }))
}

/// `PREFIX.vpce-ID.SERVICE.REGION` (before `.vpce.SUFFIX`); only S3 has a prefix.
/// `None`: not understood.
fn vpc_endpoint(labels: &str, suffix: &str) -> Option<Result<Endpoint, EndpointError>> {
    let home = Partition::of_suffix(suffix)?;
    let (service, region) = split_region(labels, home);
    let region = region?;
    let at = service.split('.').position(|label| label.starts_with("vpce-"))?;
    let mut parts = service.split('.');
    let prefix: Vec<&str> = parts.by_ref().take(at).collect();
    let service = parts.skip(1).collect::<Vec<_>>().join(".");
    if service == "s3" {
        return Some(s3::read_vpc_endpoint(&prefix.join(".")).and_then(|s3| {
            Endpoint::s3(s3.style, Some(region), home).ok_or(EndpointError::Unsupported("this region"))
        }));
    }
    if !prefix.is_empty() {
        return None;
    }
    let host = format!("{service}.{region}");
    Endpoint::service(&catalog().hosts(&host, suffix)).map(Ok)
}

#[cfg(test)]
mod tests;
