//! What a launched command's environment gets.
//!
//! The SDKs find their placeholder by themselves, from the metadata endpoint: the same way in every
//! agent cgroup, launched or not. So no credential variable is set, and every variable that would
//! make an SDK look elsewhere *first* is removed. `AWS_CONTAINER_CREDENTIALS_*` is left out on
//! purpose: it would save two local requests per process, but a client older than 2024 refuses the
//! address (and then does not fall back), and a process that lost its environment works as well.
//! A workload with keys of its own (`credentials = "passthrough"`) keeps all of these variables.

use super::wire::Environment;
use crate::identify::{CredentialSource, Session};

/// Variables that make SDKs use other credentials than those they find first, or look for them elsewhere.
pub(crate) const OTHER_CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CREDENTIAL_FILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    // A profile names keys, or a role to assume with them, in files the next list hides.
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
];

/// What the environment of `session`'s command needs, besides the CA variables `client_env`.
#[must_use]
pub fn environment(session: &Session, client_env: &[(String, String)]) -> Environment {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut set = client_env.to_vec();
    set.push(pair("CHAPERONE_SESSION", &session.id.to_string()));
    let remove = match session.workload.credentials {
        CredentialSource::Gateway | CredentialSource::WebIdentity => {
            // Keys in the user's own file would come before the metadata endpoint and only be refused.
            set.push(pair("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"));
            OTHER_CREDENTIALS
        }
        // Wherever its own keys are, there they stay.
        CredentialSource::Passthrough => &[],
    };
    // boto3 gives the metadata endpoint one attempt of one second, too little on a busy build host.
    let mut default =
        vec![pair("AWS_METADATA_SERVICE_TIMEOUT", "5"), pair("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3")];
    if let Some(region) = &session.workload.region {
        // Some SDKs read the one, some the other.
        default.push(pair("AWS_REGION", region.as_str()));
        default.push(pair("AWS_DEFAULT_REGION", region.as_str()));
    }
    Environment { remove: remove.iter().map(|name| (*name).to_owned()).collect(), set, default }
}

#[cfg(test)]
mod tests;
