//! How STS is reached, and whoever else the SDK asks for the gateway's own keys.

use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use super::{SetupError, chain};
use crate::roots::Roots;

/// The SDK's own client, also in that it takes the daemon's `HTTPS_PROXY`, but for whom it believes: it would take every
/// root of the system, and with them the gateway's own CA where that is among them.
pub(super) fn client(roots: &Roots) -> Result<SharedHttpClient, SetupError> {
    let trusted = TrustStore::empty().with_pem_certificate(roots.pem());
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|error| SetupError(chain(&error)))?;
    // As the SDK builds its own: `build_https` would take no proxy.
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    }))
}
