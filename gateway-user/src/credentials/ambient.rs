//! The gateway's own keys: what the AWS SDK finds in the daemon's surroundings.
//!
//! The chain reads the environment, files and metadata endpoint of the *daemon*, which runs outside
//! the agents' cgroups: its metadata requests are not redirected, and no agent's environment is
//! ever looked at.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use aws_config::{
    default_provider::credentials::DefaultCredentialsChain, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use tokio::sync::OnceCell;

use super::{CredentialsError, Keys, chain};
use crate::secret::SecretText;

/// The SDK's default chain, built at its first use.
#[derive(Debug, Default)]
pub(super) struct Ambient {
    chain: OnceCell<DefaultCredentialsChain>,
}

impl Ambient {
    async fn chain(&self) -> &DefaultCredentialsChain {
        let build = || {
            // Asking the instance for its region would cost a time-out wherever there is none.
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new());
            DefaultCredentialsChain::builder().region(region).build()
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

/// The gateway's own keys.
pub(super) async fn keys(provider: &SharedCredentialsProvider) -> Result<Keys, CredentialsError> {
    let credentials =
        provider.provide_credentials().await.map_err(|error| CredentialsError::NoSource(chain(&error)))?;
    Ok(from_sdk(&credentials))
}

fn from_sdk(credentials: &Credentials) -> Keys {
    Keys {
        access_key_id: credentials.access_key_id().to_owned(),
        secret: SecretText::new(credentials.secret_access_key().to_owned()),
        session_token: credentials.session_token().map(|token| SecretText::new(token.to_owned())),
        expires: credentials.expiry(),
    }
}
