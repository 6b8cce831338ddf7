use std::sync::Arc;

use aws_sdk_sts::{
    config::{
        ConfigBag, Credentials as SdkKeys, Intercept, RuntimeComponents,
        interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};

use super::*;
use crate::credentials::{http, tests::anybody};

/// Notes where a request would go, and lets none go.
#[derive(Debug, Clone, Default)]
struct Stopped(Arc<Mutex<Vec<String>>>);

impl Intercept for Stopped {
    fn name(&self) -> &'static str {
        "Stopped"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.lock().unwrap().push(context.request().uri().to_owned());
        Err("a test sends nothing".into())
    }
}

/// One outage must not end all others, and keys of the global endpoint do not work in regions that are opted into:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html>
#[tokio::test]
async fn sts_is_asked_in_the_region_of_the_call() {
    for (region, expected) in [
        ("eu-central-1", "https://sts.eu-central-1.amazonaws.com/"),
        // Older SDKs took these to the global endpoint.
        ("us-east-1", "https://sts.us-east-1.amazonaws.com/"),
        ("us-west-2", "https://sts.us-west-2.amazonaws.com/"),
        ("me-south-1", "https://sts.me-south-1.amazonaws.com/"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com/"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/"),
    ] {
        let region: Region = region.parse().unwrap();
        let place = Place { region: &region, endpoint: None, timeout: Duration::from_secs(5) };
        let provider =
            SharedCredentialsProvider::new(SdkKeys::new("AKIDEXAMPLE", "secret", None, None, "test"));
        let stopped = Stopped::default();
        let clients = Clients::new(http::client(&anybody()).unwrap(), provider);
        let config = clients.at(&place).config().to_builder().interceptor(stopped.clone());
        let client = Client::from_conf(config.build());
        let (role, name) = ("arn:aws:iam::123456789012:role/agents", "agent");
        client.assume_role().role_arn(role).role_session_name(name).send().await.unwrap_err();
        let web = client.assume_role_with_web_identity().role_arn(role).role_session_name(name);
        web.web_identity_token("token").send().await.unwrap_err();
        client.get_caller_identity().send().await.unwrap_err();
        assert_eq!(*stopped.0.lock().unwrap(), [expected; 3], "{region:?}");
    }
}
