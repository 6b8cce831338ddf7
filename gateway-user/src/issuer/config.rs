//! One `[[issuer]]` of the configuration file.

use std::path::PathBuf;

use crate::prim::IssuerName;

/// The most names in [`Config::claims`].
pub const CLAIMS_MAX: usize = 32;

/// An issuer whose tokens are believed, and what of them.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name in workloads, policies and records.
    pub name: IssuerName,
    /// Its issuer identifier, an https URL: exactly what `iss` says.
    pub url: String,
    /// What `aud` may be: a token is for one of these or is refused.
    pub audiences: Vec<String>,
    /// The claim with the groups; dots are a path unless the name has a slash or quotes (see [`steps`]).
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Put before every group, so that groups of two issuers cannot be mistaken for each other.
    #[serde(default)]
    pub groups_prefix: String,
    /// Further claims shown to policy, named as `groups_claim` is; at most [`CLAIMS_MAX`].
    #[serde(default)]
    pub claims: Vec<String>,
    /// PEM file of the roots that vouch for it, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The longest time from `iat` to `exp`, in seconds.
    #[serde(default = "default_max_lifetime_secs")]
    pub max_lifetime_secs: u64,
    /// How far its clock may be off, in seconds.
    #[serde(default = "default_skew_secs")]
    pub skew_secs: u64,
    /// How often its keys are fetched anew, in seconds.
    #[serde(default = "default_keys_refresh_secs")]
    pub keys_refresh_secs: u64,
    /// How long keys are used while it cannot be reached, in seconds.
    #[serde(default = "default_keys_max_age_secs")]
    pub keys_max_age_secs: u64,
    /// The least time between fetches because of an unknown key, in seconds.
    #[serde(default = "default_min_refetch_secs")]
    pub min_refetch_secs: u64,
    /// Time to fetch its keys, in seconds.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// Bytes of a token.
    #[serde(default = "default_token_max_bytes")]
    pub token_max_bytes: usize,
    /// Bytes of one of its answers.
    #[serde(default = "default_response_max_bytes")]
    pub response_max_bytes: usize,
}

impl Config {
    /// An issuer with every default.
    #[must_use]
    pub fn new(name: IssuerName, url: String, audiences: Vec<String>) -> Self {
        Self {
            name,
            url,
            audiences,
            groups_claim: None,
            groups_prefix: String::new(),
            claims: Vec::new(),
            ca_file: None,
            max_lifetime_secs: default_max_lifetime_secs(),
            skew_secs: default_skew_secs(),
            keys_refresh_secs: default_keys_refresh_secs(),
            keys_max_age_secs: default_keys_max_age_secs(),
            min_refetch_secs: default_min_refetch_secs(),
            timeout_secs: default_timeout_secs(),
            token_max_bytes: default_token_max_bytes(),
            response_max_bytes: default_response_max_bytes(),
        }
    }
}

/// The members that lead to a claim: `realm_access.roles` is `roles` in `realm_access`. A name with a slash is
/// one member, because names that are URLs have dots of their own (RFC 7519 §4.2). What stands in single quotes is
/// one member in any case: `'kubernetes.io'.namespace` is `namespace` in `kubernetes.io`. `None` for what is no such
/// name.
#[must_use]
pub fn steps(name: &str) -> Option<Vec<&str>> {
    let mut steps = Vec::new();
    if !name.contains('\'') {
        let whole = name.contains('/');
        steps.extend(name.split(|c| c == '.' && !whole));
    } else {
        let mut rest = name;
        loop {
            let (step, behind) = match rest.strip_prefix('\'') {
                Some(quoted) => quoted.split_once('\'')?,
                None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
            };
            steps.push(step);
            if behind.is_empty() {
                break;
            }
            rest = behind.strip_prefix('.')?;
        }
    }
    let good = |step: &&str| !step.is_empty() && !step.contains('\'');
    steps.iter().all(good).then_some(steps)
}

const fn default_max_lifetime_secs() -> u64 {
    86_400
}

const fn default_skew_secs() -> u64 {
    30
}

const fn default_keys_refresh_secs() -> u64 {
    3_600
}

const fn default_keys_max_age_secs() -> u64 {
    86_400
}

const fn default_min_refetch_secs() -> u64 {
    60
}

const fn default_timeout_secs() -> u64 {
    10
}

const fn default_token_max_bytes() -> usize {
    16_384
}

const fn default_response_max_bytes() -> usize {
    1_048_576
}
