//! `sts:AssumeRole` with the gateway's own keys.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::{
    Client,
    config::{BehaviorVersion, Builder, Region as SdkRegion, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::assume_role::AssumeRoleOutput,
};

use super::{CredentialsError, Keys, chain};
use crate::{
    prim::{Region, SessionId},
    secret::SecretText,
};

/// Whose keys are asked for, and where.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) role: &'a str,
    /// Becomes the RoleSessionName, by which CloudTrail rows are joined.
    pub(super) session: SessionId,
    pub(super) source_identity: Option<&'a str>,
    pub(super) region: &'a Region,
    pub(super) endpoint: Option<&'a str>,
    pub(super) timeout: Duration,
}

/// Asks STS for keys of the role, with the SDK's usual retries within the time.
pub(super) async fn assume_role(
    provider: &SharedCredentialsProvider,
    request: Request<'_>,
) -> Result<Keys, CredentialsError> {
    let refused = |detail: String| CredentialsError::AssumeRole { role: request.role.to_owned(), detail };
    let output = client(provider, &request)
        .assume_role()
        .role_arn(request.role)
        .role_session_name(request.session.to_string())
        .set_source_identity(request.source_identity.map(str::to_owned))
        .send()
        .await
        .map_err(|error| refused(words(&error)))?;
    keys(output).map_err(|detail| refused(detail.to_owned()))
}

fn client(provider: &SharedCredentialsProvider, request: &Request<'_>) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(request.timeout).build();
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(SdkRegion::new(request.region.as_str().to_owned()))
        .credentials_provider(provider.clone())
        .timeout_config(timeouts);
    let config = match request.endpoint {
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
