//! The gateway's own keys: what the AWS SDK finds in the daemon's surroundings.
//!
//! The chain reads the environment, files and metadata endpoint of the *daemon*, which runs outside
//! the agents' cgroups: its metadata requests are not redirected, and no agent's environment is
//! ever looked at.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::{fmt, time::Duration};

use aws_config::{
    default_provider::credentials::DefaultCredentialsChain, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider, provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, SharedCredentialsProvider, error::CredentialsError as SdkCredentialsError, future,
    },
};
use aws_sdk_sts::config::SharedHttpClient;
use tokio::sync::OnceCell;

use super::{Config, CredentialsError, Keys, cache::Slot, chain, unexpired};
use crate::{clock::Clock, secret::SecretText};

/// The SDK's default chain, built at its first use.
#[derive(Debug)]
pub(super) struct Ambient {
    /// Whoever the chain asks (STS, IAM Identity Center, a container's endpoint) is asked by this one.
    http: SharedHttpClient,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl Ambient {
    pub(super) fn new(http: SharedHttpClient) -> Self {
        Self { http, chain: OnceCell::new() }
    }

    async fn chain(&self) -> &DefaultCredentialsChain {
        let build = || {
            // Asking the instance for its region would cost a time-out wherever there is none.
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new());
            let config = ProviderConfig::default().with_http_client(self.http.clone());
            DefaultCredentialsChain::builder().region(region).configure(config).build()
        };
        self.chain.get_or_init(build).await
    }
}

impl ProvideCredentials for Ambient {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.chain().await.provide_credentials().await })
    }
}

/// The gateway's own keys, kept until shortly before their end.
pub(super) struct Own {
    provider: SharedCredentialsProvider,
    slot: Slot,
    clock: Clock,
    refresh_before: Duration,
    timeout: Duration,
}

impl Own {
    pub(super) fn new(provider: SharedCredentialsProvider, config: &Config, clock: Clock) -> Self {
        Self {
            provider,
            slot: Slot::default(),
            clock,
            refresh_before: Duration::from_secs(config.refresh_before_secs),
            timeout: Duration::from_secs(config.timeout_secs),
        }
    }

    /// Keys that work now.
    pub(super) async fn keys(&self) -> Result<Keys, CredentialsError> {
        let fetch = async { unexpired(keys(&self.provider).await?, "the gateway", self.clock.now().into()) };
        self.slot.keys(&self.clock, self.refresh_before, self.timeout, fetch).await
    }
}

/// STS is asked with them.
impl ProvideCredentials for Own {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let keys = self.keys().await.map_err(SdkCredentialsError::provider_error)?;
            Ok(to_sdk(&keys))
        })
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

async fn keys(provider: &SharedCredentialsProvider) -> Result<Keys, CredentialsError> {
    let credentials =
        provider.provide_credentials().await.map_err(|error| CredentialsError::NoSource(chain(&error)))?;
    Ok(from_sdk(&credentials))
}

pub(super) fn to_sdk(keys: &Keys) -> Credentials {
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let (id, secret) = (keys.access_key_id.as_str(), keys.secret.expose());
    Credentials::new(id, secret, token, keys.expires, "gateway")
}

fn from_sdk(credentials: &Credentials) -> Keys {
    Keys {
        access_key_id: credentials.access_key_id().to_owned(),
        secret: SecretText::new(credentials.secret_access_key().to_owned()),
        session_token: credentials.session_token().map(|token| SecretText::new(token.to_owned())),
        expires: credentials.expiry(),
    }
}
