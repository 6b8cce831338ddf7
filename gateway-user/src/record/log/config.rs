//! What an admin sets of the log.

use std::path::PathBuf;

use crate::prim::Region;

/// How the log is signed, and where its checkpoints go.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The signing key; it is made where it is missing and nothing was signed yet. Unless it is set: `log.key` beside
    /// `record.database`.
    pub key: Option<PathBuf>,
    /// Rows that make a checkpoint due.
    pub checkpoint_rows: u64,
    /// Longest time from a row's commit to the checkpoint that covers it, in seconds.
    pub checkpoint_secs: u64,
    /// The newest checkpoint is kept here, too. Unless it is set: `log.checkpoint` beside the key.
    pub checkpoint_file: Option<PathBuf>,
    /// Whether checkpoints are written to the daemon's log, and so to the journal. Unless it is set: where the log is
    /// the journal's.
    pub journald: Option<bool>,
    /// The bucket that checkpoints are put in, too.
    pub s3: Option<Bucket>,
    /// Its region; needed where there is a bucket.
    pub s3_region: Option<Region>,
    /// The endpoint URL, for VPC endpoints and tests; otherwise the region's own.
    pub s3_endpoint: Option<String>,
    /// Shortest time between two that are put there, in seconds.
    pub s3_secs: u64,
}

/// A bucket and what the names of its objects begin with: `s3://BUCKET` or `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bucket {
    name: String,
    prefix: String,
}

/// Not the address of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no bucket: write s3://BUCKET or s3://BUCKET/PREFIX")]
pub struct NoBucket(String);

impl Bucket {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of an object in it.
    #[must_use]
    pub fn key(&self, object: &str) -> String {
        if self.prefix.is_empty() { object.to_owned() } else { format!("{}/{object}", self.prefix) }
    }
}

impl TryFrom<String> for Bucket {
    type Error = NoBucket;

    /// Names as in <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
    fn try_from(text: String) -> Result<Self, NoBucket> {
        let place = text.strip_prefix("s3://").ok_or_else(|| NoBucket(text.clone()))?;
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        let prefix = prefix.trim_matches('/');
        let is_printable = prefix.chars().all(|c| c.is_ascii_graphic());
        if (3..=63).contains(&name.len()) && name.chars().all(is_plain) && is_printable && prefix.len() <= 512
        {
            Ok(Self { name: name.to_owned(), prefix: prefix.to_owned() })
        } else {
            Err(NoBucket(text))
        }
    }
}

impl From<Bucket> for String {
    fn from(bucket: Bucket) -> Self {
        format!("s3://{}/{}", bucket.name, bucket.prefix)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key: None,
            checkpoint_rows: 4096,
            checkpoint_secs: 10,
            checkpoint_file: None,
            journald: None,
            s3: None,
            s3_region: None,
            s3_endpoint: None,
            s3_secs: 60,
        }
    }
}

impl Config {
    /// Whether checkpoints are written to the daemon's log. systemd sets `JOURNAL_STREAM`
    /// (<https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html>).
    pub(in crate::record) fn is_journaled(&self) -> bool {
        self.journald.unwrap_or_else(|| std::env::var_os("JOURNAL_STREAM").is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_name_and_a_prefix() {
        let read = |text: &str| Bucket::try_from(text.to_owned());
        let bucket = read("s3://audit.example-1/hosts/build7/").unwrap();
        assert_eq!((bucket.name(), bucket.key("a/1")), ("audit.example-1", "hosts/build7/a/1".to_owned()));
        assert_eq!(read("s3://audit").unwrap().key("a/1"), "a/1");
        assert_eq!(read(&String::from(bucket.clone())), Ok(bucket));
        let long = "a".repeat(64);
        for wrong in [
            "audit",
            "https://audit",
            "s3://",
            "s3://ab",
            "s3://Audit",
            "s3://a_b_c",
            "s3://a b c",
            "s3://audit/a b",
            "s3://audit/\n",
            &format!("s3://{long}"),
            &format!("s3://abc/{}", "p".repeat(513)),
        ] {
            assert_eq!(read(wrong), Err(NoBucket(wrong.to_owned())), "{wrong}");
        }
    }
}
