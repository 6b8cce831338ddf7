//! Which bucket and object a request is about: host and path together.

use super::Values;
use crate::{
    classify::{ClassifyError, Param},
    parse::{AddressStyle, Endpoint, Partition, check_bucket, directory_zone},
    prim::{AccountId, Region},
};

/// A bucket, or what stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bucket {
    /// A general purpose bucket.
    Named {
        /// Where ARNs place it.
        partition: Partition,
        /// Its name.
        name: String,
    },
    /// An access point.
    AccessPoint(AccessPoint),
    /// A directory bucket.
    Directory(Directory),
}

/// An access point: a name, in an account, for a bucket that requests do not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessPoint {
    /// Where ARNs place it.
    pub(super) partition: Partition,
    /// Its region.
    pub(super) region: Region,
    /// Its owner.
    pub(super) account: AccountId,
    /// Its name.
    pub(super) name: String,
    /// What it belongs to.
    pub(super) of: Of,
}

/// What an access point belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    /// S3 itself.
    S3,
    /// S3 Object Lambda.
    ObjectLambda,
    /// An outpost, by its id.
    Outpost(String),
}

/// A directory bucket. Its name is its zone's, not its account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    /// Where ARNs place it.
    pub(super) partition: Partition,
    /// Its region.
    pub(super) region: Region,
    /// Its name.
    pub(super) name: String,
    /// Whether it is addressed where its data is, or where it is administered.
    pub(super) zonal: bool,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// S3 itself.
    Service,
    /// S3 Express itself.
    Directories,
    /// A bucket.
    Bucket(Bucket),
    /// An object: bucket and decoded key.
    Object(Bucket, String),
}

impl Bucket {
    pub(super) fn arn(&self) -> String {
        match self {
            Self::Named { partition, name } => format!("arn:{}:s3:::{name}", partition.arn_name()),
            Self::AccessPoint(AccessPoint { partition, region, account, name, of }) => {
                let partition = partition.arn_name();
                match of {
                    Of::S3 => format!("arn:{partition}:s3:{region}:{account}:accesspoint/{name}"),
                    Of::ObjectLambda => {
                        format!("arn:{partition}:s3-object-lambda:{region}:{account}:accesspoint/{name}")
                    }
                    Of::Outpost(outpost) => format!(
                        "arn:{partition}:s3-outposts:{region}:{account}:outpost/{outpost}/accesspoint/{name}"
                    ),
                }
            }
            Self::Directory(directory) => directory.arn(""),
        }
    }

    /// The ARN of an object in it; where IAM has none, that of what it is in.
    pub(super) fn object_arn(&self, key: &str) -> String {
        match self {
            Self::Named { .. } => format!("{}/{key}", self.arn()),
            Self::AccessPoint(AccessPoint { of: Of::S3 | Of::Outpost(_), .. }) => {
                format!("{}/object/{key}", self.arn())
            }
            Self::AccessPoint(AccessPoint { of: Of::ObjectLambda, .. }) | Self::Directory(_) => self.arn(),
        }
    }

    /// What policies see as `Bucket`: the name, or the access point's ARN.
    pub(super) fn param(&self) -> String {
        match self {
            Self::Named { name, .. } | Self::Directory(Directory { name, .. }) => name.clone(),
            Self::AccessPoint(_) => self.arn(),
        }
    }
}

impl Directory {
    /// Its ARN if it belongs to `account`.
    pub(super) fn arn(&self, account: &str) -> String {
        let Self { partition, region, name, .. } = self;
        format!("arn:{}:s3express:{region}:{account}:bucket/{name}", partition.arn_name())
    }
}

impl Address {
    /// Reads host and wire path.
    pub(super) fn read(endpoint: &Endpoint, path: &str, region: &Region) -> Result<Self, ClassifyError> {
        let partition = endpoint.partition();
        let (in_path, key) = endpoint.bucket_and_key(path);
        let access_point = |name: &str, account: &AccountId, of| {
            let (region, account, name) = (region.clone(), account.clone(), name.to_owned());
            Bucket::AccessPoint(AccessPoint { partition, region, account, name, of })
        };
        let directory = |name: &str, zonal| {
            Bucket::Directory(Directory { partition, region: region.clone(), name: name.to_owned(), zonal })
        };
        let bucket = match endpoint.style() {
            AddressStyle::Service | AddressStyle::S3Path if matches!(path, "" | "/") => {
                return Ok(Self::Service);
            }
            AddressStyle::S3Directories if in_path.is_empty() => return Ok(Self::Directories),
            AddressStyle::Service | AddressStyle::S3Path => named(partition, in_path)?,
            AddressStyle::S3Bucket(name) => named(partition, name)?,
            AddressStyle::S3AccessPoint { name, account } => access_point(name, account, Of::S3),
            AddressStyle::S3ObjectLambda { name, account } => access_point(name, account, Of::ObjectLambda),
            AddressStyle::S3Outpost { name, account, outpost } => {
                access_point(name, account, Of::Outpost(outpost.clone()))
            }
            AddressStyle::S3Directory(name) => directory(name, true),
            AddressStyle::S3Directories if directory_zone(in_path).is_some() => directory(in_path, false),
            AddressStyle::S3Directories => return Err(unknown("this is no directory bucket", in_path)),
        };
        if key.is_empty() {
            return Ok(Self::Bucket(bucket));
        }
        let key = percent_encoding::percent_decode_str(key)
            .decode_utf8()
            .map_err(|_| ClassifyError::Ambiguous("the object key is not UTF-8".to_owned()))?;
        check_key(&key)?;
        Ok(Self::Object(bucket, key.into_owned()))
    }

    /// The ARN of the bucket or object; `*` for S3 or S3 Express itself.
    pub(super) fn arn(&self) -> String {
        match self {
            Self::Service | Self::Directories => "*".to_owned(),
            Self::Bucket(bucket) => bucket.arn(),
            Self::Object(bucket, key) => bucket.object_arn(key),
        }
    }

    /// What parameters are about that no request has yet.
    pub(super) fn of(params: &Values, partition: Partition) -> Result<Self, ClassifyError> {
        let text = |name: &str| match params.get(name) {
            Some(Param::Text(text)) => Some(text),
            _ => None,
        };
        let Some(bucket) = text("Bucket") else { return Ok(Self::Service) };
        let bucket = named(partition, bucket)?;
        let Some(key) = text("Key") else { return Ok(Self::Bucket(bucket)) };
        check_key(key)?;
        Ok(Self::Object(bucket, key.clone()))
    }

    /// The members of the path, for [`crate::classify::members`].
    pub(super) fn labels(&self) -> Vec<(&'static str, String)> {
        let bucket = self.bucket().map(|bucket| ("Bucket", bucket.param()));
        let key = match self {
            Self::Service | Self::Directories | Self::Bucket(_) => None,
            Self::Object(_, key) => Some(("Key", key.clone())),
        };
        bucket.into_iter().chain(key).collect()
    }

    /// The bucket, if there is one.
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        match self {
            Self::Service | Self::Directories => None,
            Self::Bucket(bucket) | Self::Object(bucket, _) => Some(bucket),
        }
    }
}

/// A bucket by name as it stands in a wire path: nothing in it may be percent-encoded.
pub(super) fn named(partition: Partition, name: &str) -> Result<Bucket, ClassifyError> {
    match check_bucket(name) {
        Ok(()) => Ok(Bucket::Named { partition, name: name.to_owned() }),
        Err(what) => Err(unknown(&format!("{what} is not supported"), name)),
    }
}

fn unknown(what: &str, name: &str) -> ClassifyError {
    let detail = format!("{what}: {:?}", name.chars().take(80).collect::<String>());
    ClassifyError::UnknownOperation { service: "s3".to_owned(), detail }
}

/// Dot segments are part of a key for S3 and a way up for many HTTP libraries.
pub(super) fn check_key(key: &str) -> Result<(), ClassifyError> {
    if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(ClassifyError::Ambiguous("the object key has a dot segment".to_owned()));
    }
    if key.len() > 1024 || key.contains('\0') {
        return Err(ClassifyError::Ambiguous("the object key is not one".to_owned()));
    }
    Ok(())
}
