//! What STS is asked: for keys of a role, and whose keys are.
//!
//! - <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
//! - <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
//! - <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::{
    Client,
    config::{
        BehaviorVersion, Builder, IdentityCache, Region as SdkRegion, SharedHttpClient,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    types::{Credentials as Given, Tag},
};

use super::{CredentialsError, Keys, ambient::to_sdk, chain};
use crate::{
    prim::{AccountId, InvalidName, Region, SessionId},
    secret::SecretText,
};

/// Whose keys are asked for, and what for.
#[derive(Debug)]
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    /// Becomes the RoleSessionName, by which CloudTrail rows are joined.
    pub(super) session: SessionId,
    pub(super) source_identity: Option<String>,
    pub(super) tags: Vec<(&'static str, String)>,
    /// The session policy; `None` where the role alone limits the keys.
    pub(super) policy: Option<&'a str>,
    /// How long they are to work.
    pub(super) seconds: i32,
}

/// Where STS is asked, and how long.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) region: &'a Region,
    pub(super) endpoint: Option<&'a str>,
    pub(super) timeout: Duration,
}

/// Regions whose client is kept. Agents name the region where the workload has none.
const CLIENTS: usize = 64;

/// The clients that ask with the gateway's own keys, one for each region. They share their connections.
#[derive(Debug)]
pub(super) struct Clients {
    http: SharedHttpClient,
    provider: SharedCredentialsProvider,
    by_region: Mutex<HashMap<Region, Client>>,
}

impl Clients {
    pub(super) fn new(http: SharedHttpClient, provider: SharedCredentialsProvider) -> Self {
        Self { http, provider, by_region: Mutex::default() }
    }

    fn at(&self, place: &Place<'_>) -> Client {
        let mut clients = self.by_region.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(place.region) {
            return client.clone();
        }
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        let client = self.client(self.provider.clone(), place);
        clients.insert(place.region.clone(), client.clone());
        client
    }

    /// For other clients of the SDK: the gateway's own keys, and the way by which STS is asked.
    pub(super) fn sdk(&self) -> aws_config::SdkConfig {
        aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .credentials_provider(self.provider.clone())
            .build()
    }

    /// Asks for keys of the role with the gateway's own, with the SDK's usual retries within the time.
    pub(super) async fn assume_role(
        &self,
        place: &Place<'_>,
        role: Role<'_>,
    ) -> Result<Keys, CredentialsError> {
        assume_role(&self.at(place), role).await
    }

    /// As [`Clients::assume_role`], with these keys.
    pub(super) async fn assume_role_with(
        &self,
        keys: &Keys,
        place: &Place<'_>,
        role: Role<'_>,
    ) -> Result<Keys, CredentialsError> {
        // Keys of one session: the client is of no use to others, its connections are.
        let config = self.at(place).config().to_builder();
        let config = config.credentials_provider(SharedCredentialsProvider::new(to_sdk(keys)));
        assume_role(&Client::from_conf(config.build()), role).await
    }

    /// Asks for keys of the role with the workload's token. The gateway's own keys are not needed, and
    /// what the token says of its subject takes the place of source identity and tags.
    pub(super) async fn assume_role_with_web_identity(
        &self,
        place: &Place<'_>,
        role: Role<'_>,
        token: &SecretText,
    ) -> Result<Keys, CredentialsError> {
        let refused = |detail: String| CredentialsError::AssumeRole { role: role.arn.to_owned(), detail };
        let output = self
            .at(place)
            .assume_role_with_web_identity()
            .role_arn(role.arn)
            .role_session_name(role.session.to_string())
            .web_identity_token(token.expose())
            .set_policy(role.policy.map(str::to_owned))
            .duration_seconds(role.seconds)
            .send()
            .await
            .map_err(|error| failure(role.arn, &error))?;
        keys(output.credentials).map_err(|detail| refused(detail.to_owned()))
    }

    /// Asks STS which account these keys belong to. Needs no permission of IAM.
    pub(super) async fn account_of(
        &self,
        keys: &Keys,
        place: &Place<'_>,
    ) -> Result<AccountId, CredentialsError> {
        let refused = |detail: String| CredentialsError::CallerIdentity(detail);
        let output = self
            .client(SharedCredentialsProvider::new(to_sdk(keys)), place)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| refused(words(&error)))?;
        let account = output.account.ok_or_else(|| refused("the answer names no account".to_owned()))?;
        account.parse().map_err(|error: InvalidName| refused(error.to_string()))
    }

    fn client(&self, provider: SharedCredentialsProvider, place: &Place<'_>) -> Client {
        let timeouts = TimeoutConfig::builder().operation_timeout(place.timeout).build();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .region(SdkRegion::new(place.region.as_str().to_owned()))
            .credentials_provider(provider)
            // The provider keeps what it gives, and knows until when.
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(timeouts);
        let config = match place.endpoint {
            Some(endpoint) => config.endpoint_url(endpoint),
            None => config,
        };
        Client::from_conf(config.build())
    }
}

/// Asks for keys of the role with the client's.
async fn assume_role(client: &Client, role: Role<'_>) -> Result<Keys, CredentialsError> {
    let refused = |detail: String| CredentialsError::AssumeRole { role: role.arn.to_owned(), detail };
    let mut request = client
        .assume_role()
        .role_arn(role.arn)
        .role_session_name(role.session.to_string())
        .set_source_identity(role.source_identity)
        .set_policy(role.policy.map(str::to_owned))
        .duration_seconds(role.seconds);
    for (key, value) in role.tags {
        let tag = Tag::builder().key(key).value(value).build();
        request = request.tags(tag.map_err(|error| refused(error.to_string()))?);
    }
    let output = request.send().await.map_err(|error| failure(role.arn, &error))?;
    keys(output.credentials).map_err(|detail| refused(detail.to_owned()))
}

fn keys(given: Option<Given>) -> Result<Keys, &'static str> {
    let given = given.ok_or("the answer carries no credentials")?;
    let expires = SystemTime::try_from(given.expiration).map_err(|_| "the answer's expiry is no date")?;
    Ok(Keys {
        access_key_id: given.access_key_id,
        secret: SecretText::new(given.secret_access_key),
        session_token: Some(SecretText::new(given.session_token)),
        expires: Some(expires),
    })
}

/// Why the role was not given: for good where STS's code says so. What is not known here may pass.
///
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors>
/// and <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>
fn failure<E>(role: &str, error: &SdkError<E>) -> CredentialsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (role, detail) = (role.to_owned(), words(error));
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("AccessDenied" | "MalformedPolicyDocument" | "RegionDisabledException" | "ValidationError") => {
            CredentialsError::RoleRefused { role, detail }
        }
        Some("PackedPolicyTooLarge") => CredentialsError::PackedTooLarge { role, detail },
        // Of the gateway's own keys STS says `ExpiredToken`.
        Some("InvalidIdentityToken" | "IDPRejectedClaim" | "ExpiredTokenException") => {
            CredentialsError::TokenRefused { role, detail }
        }
        Some(_) | None => CredentialsError::AssumeRole { role, detail },
    }
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

#[cfg(test)]
mod tests;
