//! The words of the product as types.
//!
//! A newtype per role, so that two addresses or two names can never change places unnoticed.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Why a text is not a valid name, id or address of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {reason}")]
pub struct InvalidName {
    kind: &'static str,
    value: String,
    reason: &'static str,
}

fn invalid(kind: &'static str, value: &str, reason: &'static str) -> InvalidName {
    // A hostile value may be long; the message stays short.
    let value = value.chars().take(80).collect();
    InvalidName { kind, value, reason }
}

/// Declares a validated text newtype: `FromStr`, `Display`, `AsRef<str>`, serde by `FromStr`.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type! {
    /// A configured kind of agent: 1 to 63 of `a-z 0-9 -`, not starting or ending with `-`.
    WorkloadName
}

impl FromStr for WorkloadName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        configured_name("workload name", text).map(Self)
    }
}

name_type! {
    /// A configured issuer of tokens: 1 to 63 of `a-z 0-9 -`, not starting or ending with `-`.
    IssuerName
}

impl FromStr for IssuerName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        configured_name("issuer name", text).map(Self)
    }
}

/// What an admin may call things in the configuration file.
fn configured_name(kind: &'static str, text: &str) -> Result<String, InvalidName> {
    if text.is_empty() || text.len() > 63 {
        return Err(invalid(kind, text, "it must have 1 to 63 characters"));
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(invalid(kind, text, "only a-z, 0-9 and - are allowed"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(invalid(kind, text, "it must not start or end with -"));
    }
    Ok(text.to_owned())
}

name_type! {
    /// A DNS name (RFC 1123 letters, digits, hyphens; underscores as S3 buckets had), lower case,
    /// without a trailing dot and never an IP address literal.
    HostName
}

impl FromStr for HostName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let kind = "host name";
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || name.len() > 253 {
            return Err(invalid(kind, text, "it must have 1 to 253 characters"));
        }
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !name.split('.').all(label_ok) {
            return Err(invalid(kind, text, "each label has 1 to 63 letters, digits or hyphens"));
        }
        if name.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(invalid(kind, text, "it is an IP address"));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

name_type! {
    /// An AWS region code such as `eu-central-1`, or `aws-global` style pseudo regions.
    Region
}

impl FromStr for Region {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let ok = (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !ok {
            return Err(invalid("region", text, "1 to 40 of a-z, 0-9 and - are allowed"));
        }
        Ok(Self(text.to_owned()))
    }
}

name_type! {
    /// A 12-digit AWS account id.
    AccountId
}

impl AccountId {
    /// Whether a text is one: twelve digits.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
    }
}

impl FromStr for AccountId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if !Self::is_valid(text) {
            return Err(invalid("account id", text, "it must be 12 digits"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Declares an id: a version 7 UUID (sortable by time) written with a one-letter prefix.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id; ids made later sort later.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0.simple())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                text.strip_prefix(concat!($prefix, "-"))
                    .filter(|digits| digits.len() == 32)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or_else(|| invalid(
                        stringify!($name),
                        text,
                        concat!("it must be ", $prefix, "- and 32 hexadecimal digits"),
                    ))
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id_type! {
    /// One run of a workload.
    SessionId, "s"
}
id_type! {
    /// One AWS API request inside a session.
    CallId, "c"
}

/// The inode number of a cgroup v2 directory: unique while the host is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CgroupId(pub u64);

/// A cgroup's path below the cgroup v2 mount, without a leading slash; the root is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CgroupPath(String);

impl CgroupPath {
    /// From a path as `/proc/PID/cgroup` or the configuration write it; outer slashes are dropped.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(path.trim_matches('/').to_owned())
    }

    /// The path as text, without a leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This path and its ancestors, shallowest first; the root is not among them.
    pub fn prefixes(&self) -> impl Iterator<Item = CgroupPath> + '_ {
        self.0
            .char_indices()
            .filter(|(_, c)| *c == '/')
            .map(|(at, _)| at)
            .chain((!self.0.is_empty()).then_some(self.0.len()))
            .filter_map(|end| self.0.get(..end))
            .map(|prefix| CgroupPath(prefix.to_owned()))
    }

    /// Whether `self` is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &CgroupPath) -> bool {
        ancestor.0.is_empty()
            || self
                .0
                .strip_prefix(ancestor.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// The address the agent asked for, before the kernel rewrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OriginalDst(pub SocketAddr);

/// The agent's end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgentAddr(pub SocketAddr);

#[cfg(test)]
mod tests;
