//! Who a session is, and who says so.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::WorkloadConfig;
use crate::{
    issuer::{Claims, TokenDigest},
    secret::SecretText,
};

/// Who a session is: to policy, to AWS, in records.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who vouches: an issuer's name, or `host`.
    pub issuer: String,
    /// Who it is to the issuer, or `host:WORKLOAD`.
    pub subject: String,
    /// Cedar groups of the principal: the workload's and the token's.
    pub groups: Vec<String>,
    /// Those of them that the token says.
    pub token_groups: Vec<String>,
    /// Further claims of the token, as the issuer's `claims` says.
    pub claims: BTreeMap<String, String>,
    /// Until when this holds; `None` where only the host vouches.
    pub expires: Option<OffsetDateTime>,
    /// When its token was issued; not known after a restart of the daemon.
    pub issued: Option<OffsetDateTime>,
    /// SHA-256 of what the token's signature covers, in hexadecimal.
    pub token_digest: Option<String>,
    /// The token itself, for roles that AWS gives to it directly; not known after a restart of the daemon.
    pub token: Option<SecretText>,
}

impl Identity {
    /// Being in the cgroup is the proof.
    #[must_use]
    pub fn host(workload: &WorkloadConfig) -> Self {
        Self {
            issuer: "host".to_owned(),
            subject: format!("host:{}", workload.name),
            groups: workload.groups.clone(),
            token_groups: Vec::new(),
            claims: BTreeMap::new(),
            expires: None,
            issued: None,
            token_digest: None,
            token: None,
        }
    }

    /// What a verified token says.
    #[must_use]
    pub fn of_token(claims: Claims, token: SecretText, workload: &WorkloadConfig) -> Self {
        Self {
            issuer: claims.issuer.to_string(),
            subject: claims.subject,
            groups: joined(&workload.groups, &claims.groups),
            token_groups: claims.groups,
            claims: claims.attributes,
            expires: Some(claims.expires),
            issued: Some(claims.issued),
            token_digest: Some(claims.digest.to_string()),
            token: Some(token),
        }
    }

    /// By which a token is recognised without being kept: the SHA-256 of what its signature covers, in hexadecimal.
    #[must_use]
    pub fn digest(token: &SecretText) -> String {
        TokenDigest::of(token.expose()).to_string()
    }

    /// Nobody: in no group, and over before it began.
    #[must_use]
    pub(super) fn nobody() -> Self {
        Self {
            issuer: String::new(),
            subject: String::new(),
            groups: Vec::new(),
            token_groups: Vec::new(),
            claims: BTreeMap::new(),
            expires: Some(OffsetDateTime::UNIX_EPOCH),
            issued: None,
            token_digest: None,
            token: None,
        }
    }

    /// The same, in the groups that its workload has today.
    #[must_use]
    pub(super) fn in_groups_of(self, workload: &WorkloadConfig) -> Self {
        Self { groups: joined(&workload.groups, &self.token_groups), ..self }
    }

    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether its token is older than that of `other`: issued earlier or, where that is not known of both, good for
    /// less long.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        match (self.issued, other.issued) {
            (Some(own), Some(others)) => own < others,
            _ => self.expires < other.expires,
        }
    }

    /// Whether `other` is the same subject of the same issuer.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject == other.subject
    }
}

fn joined(one: &[String], other: &[String]) -> Vec<String> {
    let mut groups: Vec<String> = one.iter().chain(other).cloned().collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_issued_earlier_is_older() {
        let hour = |hour: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::hours(hour);
        let older = |one: (Option<i64>, i64), other: (Option<i64>, i64)| {
            let identity = |(issued, expires): (Option<i64>, i64)| Identity {
                issued: issued.map(hour),
                expires: Some(hour(expires)),
                ..Identity::nobody()
            };
            identity(one).is_older_than(&identity(other))
        };
        assert!(older((Some(1), 9), (Some(2), 5)));
        assert!(!older((Some(2), 5), (Some(1), 9)));
        assert!(!older((Some(1), 5), (Some(1), 9)));
        assert!(older((Some(2), 5), (None, 9)) && !older((Some(2), 9), (None, 9)));
    }

    /// Of an ECDSA signature (r, s) there is a twin, (r, -s), that verifies as well.
    #[test]
    fn a_token_is_told_by_what_is_signed() {
        let digest = |token: &str| Identity::digest(&SecretText::new(token.to_owned()));
        assert_eq!(digest("head.claims.signature"), digest("head.claims.another"));
        assert_ne!(digest("head.claims.signature"), digest("head.others.signature"));
        assert_ne!(digest("head.claims.signature"), digest("else.claims.signature"));
    }
}
