//! What STS is asked with the gateway's own keys: for those of a role, and whose they are.
//!
//! - <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
//! - <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_sts::{
    Client,
    config::{BehaviorVersion, Builder, Region as SdkRegion, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::assume_role::AssumeRoleOutput,
};

use super::{CredentialsError, Keys, chain};
use crate::{
    prim::{AccountId, InvalidName, Region, SessionId},
    secret::SecretText,
};

/// Whose keys are asked for.
#[derive(Debug)]
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    /// Becomes the RoleSessionName, by which CloudTrail rows are joined.
    pub(super) session: SessionId,
    pub(super) source_identity: Option<&'a str>,
}

/// Where STS is asked, and how long.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) region: &'a Region,
    pub(super) endpoint: Option<&'a str>,
    pub(super) timeout: Duration,
}

/// Asks STS for keys of the role, with the SDK's usual retries within the time.
pub(super) async fn assume_role(
    provider: &SharedCredentialsProvider,
    place: &Place<'_>,
    role: Role<'_>,
) -> Result<Keys, CredentialsError> {
    let refused = |detail: String| CredentialsError::AssumeRole { role: role.arn.to_owned(), detail };
    let output = client(provider.clone(), place)
        .assume_role()
        .role_arn(role.arn)
        .role_session_name(role.session.to_string())
        .set_source_identity(role.source_identity.map(str::to_owned))
        .send()
        .await
        .map_err(|error| refused(words(&error)))?;
    keys(output).map_err(|detail| refused(detail.to_owned()))
}

/// Asks STS which account these keys belong to. Needs no permission of IAM.
pub(super) async fn account_of(keys: &Keys, place: &Place<'_>) -> Result<AccountId, CredentialsError> {
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let (id, secret) = (keys.access_key_id.as_str(), keys.secret.expose());
    let credentials = Credentials::new(id, secret, token, keys.expires, "gateway");
    let refused = |detail: String| CredentialsError::CallerIdentity(detail);
    let output = client(SharedCredentialsProvider::new(credentials), place)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| refused(words(&error)))?;
    let account = output.account.ok_or_else(|| refused("the answer names no account".to_owned()))?;
    account.parse().map_err(|error: InvalidName| refused(error.to_string()))
}

fn client(provider: SharedCredentialsProvider, place: &Place<'_>) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(place.timeout).build();
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(SdkRegion::new(place.region.as_str().to_owned()))
        .credentials_provider(provider)
        .timeout_config(timeouts);
    let config = match place.endpoint {
        Some(endpoint) => config.endpoint_url(endpoint),
        None => config,
    };
    Client::from_conf(config.build())
}

fn keys(output: AssumeRoleOutput) -> Result<Keys, &'static str> {
    let given = output.credentials.ok_or("the answer carries no credentials")?;
    let expires = SystemTime::try_from(given.expiration).map_err(|_| "the answer's expiry is no date")?;
    Ok(Keys {
        access_key_id: given.access_key_id,
        secret: SecretText::new(given.secret_access_key),
        session_token: Some(SecretText::new(given.session_token)),
        expires: Some(expires),
    })
}

/// STS's own code and message where it answered, otherwise the causes.
fn words<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    match meta.and_then(|meta| Some((meta.code()?, meta.message()?))) {
        Some((code, message)) => format!("{code}: {message}"),
        None => chain(error),
    }
}
