//! Which bucket and object a request is about: host and path together.

use super::Values;
use crate::{
    classify::{ClassifyError, Param},
    parse::{AddressStyle, Endpoint, Partition, check_bucket},
    prim::{AccountId, Region},
};

/// A bucket, or an access point standing for one.
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
    AccessPoint {
        /// Where ARNs place it.
        partition: Partition,
        /// Its region.
        region: Region,
        /// Its owner.
        account: AccountId,
        /// Its name.
        name: String,
    },
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// S3 itself.
    Service,
    /// A bucket.
    Bucket(Bucket),
    /// An object: bucket and decoded key.
    Object(Bucket, String),
}

impl Bucket {
    fn arn(&self) -> String {
        match self {
            Self::Named { partition, name } => format!("arn:{}:s3:::{name}", partition.arn_name()),
            Self::AccessPoint { partition, region, account, name } => {
                format!("arn:{}:s3:{region}:{account}:accesspoint/{name}", partition.arn_name())
            }
        }
    }

    /// The ARN of an object in it.
    pub(super) fn object_arn(&self, key: &str) -> String {
        match self {
            Self::Named { .. } => format!("{}/{key}", self.arn()),
            Self::AccessPoint { .. } => format!("{}/object/{key}", self.arn()),
        }
    }

    /// What policies see as `Bucket`: the name, or the access point's ARN.
    pub(super) fn param(&self) -> String {
        match self {
            Self::Named { name, .. } => name.clone(),
            Self::AccessPoint { .. } => self.arn(),
        }
    }
}

impl Address {
    /// Reads host and wire path.
    pub(super) fn read(endpoint: &Endpoint, path: &str, region: &Region) -> Result<Self, ClassifyError> {
        let partition = endpoint.partition();
        let (in_path, key) = endpoint.bucket_and_key(path);
        let bucket = match endpoint.style() {
            AddressStyle::Service | AddressStyle::S3Path if matches!(path, "" | "/") => {
                return Ok(Self::Service);
            }
            AddressStyle::Service | AddressStyle::S3Path => named(partition, in_path)?,
            AddressStyle::S3Bucket(name) => named(partition, name)?,
            AddressStyle::S3AccessPoint { name, account } => {
                let (region, account, name) = (region.clone(), account.clone(), name.clone());
                Bucket::AccessPoint { partition, region, account, name }
            }
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

    /// The ARN of the bucket or object; `*` for S3 itself.
    pub(super) fn arn(&self) -> String {
        match self {
            Self::Service => "*".to_owned(),
            Self::Bucket(bucket) => bucket.arn(),
            Self::Object(bucket, key) => bucket.object_arn(key),
        }
    }

    /// The members of the path, for [`crate::classify::members`].
    pub(super) fn labels(&self) -> Vec<(&'static str, String)> {
        let bucket = self.bucket().map(|bucket| ("Bucket", bucket.param()));
        let key = match self {
            Self::Service | Self::Bucket(_) => None,
            Self::Object(_, key) => Some(("Key", key.clone())),
        };
        bucket.into_iter().chain(key).collect()
    }

    /// The bucket, if there is one.
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object(bucket, _) => Some(bucket),
        }
    }
}

/// A bucket by name as it stands in a wire path: nothing in it may be percent-encoded.
pub(super) fn named(partition: Partition, name: &str) -> Result<Bucket, ClassifyError> {
    match check_bucket(name) {
        Ok(()) => Ok(Bucket::Named { partition, name: name.to_owned() }),
        Err(what) => Err(ClassifyError::UnknownOperation {
            service: "s3".to_owned(),
            detail: format!("{what} is not supported: {:?}", name.chars().take(80).collect::<String>()),
        }),
    }
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
