//! `Permit` → short-lived keys that only the gateway holds.

use std::time::SystemTime;

use crate::{decide::Permit, identify::Caller, secret::SecretText};

/// AWS keys of the gateway. They never leave `sign`.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret: SecretText,
    /// Session token, for temporary keys.
    pub session_token: Option<SecretText>,
    /// When they stop working.
    pub expires: Option<SystemTime>,
}

/// Why there are no keys; the call is refused.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The ambient chain found nothing.
    #[error("the gateway has no AWS credentials: {0}")]
    NoSource(String),
    /// STS did not give the role.
    #[error("assuming {role} failed: {detail}")]
    AssumeRole {
        /// The role's ARN.
        role: String,
        /// STS's words.
        detail: String,
    },
    /// No answer in time.
    #[error("no credentials within {0:?}")]
    Timeout(std::time::Duration),
}

/// Where keys come from: the ambient chain, then `sts:AssumeRole` where the workload has a role.
#[derive(Debug)]
pub struct Source {}

impl Source {
    /// The keys to sign this permit with; cached, single flight.
    ///
    /// # Errors
    /// [`CredentialsError`]; never an expired key.
    pub async fn keys(&self, permit: &Permit, caller: &Caller) -> Result<Keys, CredentialsError> {
        let _ = (permit, caller);
        todo!("helper")
    }
}

/// The gateway's own AWS credentials: the ambient chain of the AWS SDK.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time to get keys, in seconds.
    pub timeout_secs: u64,
    /// STS endpoint URL, for VPC endpoints and tests; otherwise the region's own.
    pub sts_endpoint: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { timeout_secs: 10, sts_endpoint: None }
    }
}
