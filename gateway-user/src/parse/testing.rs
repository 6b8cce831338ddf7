//! Requests as an agent's SDK sends them: signed with the placeholder by `aws-sigv4`.

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
        SignatureLocation, SigningInstructions, SigningSettings, UriPathNormalizationMode,
    },
    sign::v4,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, request::Parts};
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{AwsRequest, BodyPlan, ParseError, SignatureError, VerifiedRequest};
use crate::{identify::Placeholder, prim::HostName, secret::SecretText};

/// The time of every test call.
pub(crate) const NOW: OffsetDateTime = datetime!(2025-08-30 12:36:00 UTC);
/// The skew that tests allow.
pub(crate) const SKEW: Duration = Duration::minutes(5);

/// The placeholder of every test session.
pub(crate) fn placeholder() -> Placeholder {
    Placeholder {
        access_key_id: "ASIAPLACEHOLDER00001".to_owned(),
        secret: SecretText::new("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00".to_owned()),
        session_token: SecretText::new("placeholder-token".to_owned()),
    }
}

/// A call to be signed; what the builder does not set is as an SDK would have it.
#[derive(Debug, Clone)]
pub(crate) struct TestCall {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) service: String,
    pub(crate) region: String,
    pub(crate) payload: &'static str,
    pub(crate) at: OffsetDateTime,
    pub(crate) keys: Placeholder,
}

impl TestCall {
    /// A call to `https://host/target` signed for `service` in us-east-1.
    pub(crate) fn new(method: Method, service: &str, host: &str, target: &str) -> Self {
        Self {
            method,
            host: host.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            service: service.to_owned(),
            region: "us-east-1".to_owned(),
            payload: "hash",
            at: NOW,
            keys: placeholder(),
        }
    }

    /// A call of an S3 operation, virtual-host style.
    pub(crate) fn s3(method: Method, host: &str, target: &str) -> Self {
        Self::new(method, "s3", host, target)
    }

    /// A call of the JSON protocol.
    pub(crate) fn json(service: &str, host: &str, target: &str, body: &str) -> Self {
        Self::new(Method::POST, service, host, "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(body)
    }

    /// A call of the query protocol.
    pub(crate) fn query(service: &str, host: &str, body: &str) -> Self {
        Self::new(Method::POST, service, host, "/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    /// `hash` (the body's, in a header for S3), `absent`, or the name of a payload mode.
    pub(crate) fn payload(mut self, payload: &'static str) -> Self {
        self.payload = payload;
        self
    }

    /// The head with its signature.
    pub(crate) fn sign(&self) -> Parts {
        let mut settings = SigningSettings::default();
        if self.payload != "absent" && (self.signs_as_s3() || self.payload != "hash") {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let instructions = self.instructions(settings);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.target)
            .header("host", &self.host)
            .header("user-agent", "test/1");
        for (name, value) in &self.headers {
            request = request.header(name, HeaderValue::from_str(value).unwrap());
        }
        for (name, value) in instructions.headers() {
            request = request.header(HeaderName::try_from(name).unwrap(), value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// The head with its signature in the query string, good for so many seconds.
    pub(crate) fn presign(&self, seconds: u64) -> Parts {
        self.presign_as(seconds, SessionTokenMode::Include)
    }

    pub(crate) fn presign_as(&self, seconds: u64, token_mode: SessionTokenMode) -> Parts {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(std::time::Duration::from_secs(seconds));
        settings.session_token_mode = token_mode;
        let instructions = self.instructions(settings);
        let added: Vec<String> = instructions
            .params()
            .iter()
            .map(|(name, value)| {
                let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
                format!("{name}={value}")
            })
            .collect();
        let separator = if self.target.contains('?') { '&' } else { '?' };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("{}{separator}{}", self.target, added.join("&")))
            .header("host", &self.host)
            .header("user-agent", "curl/8");
        for (name, value) in &self.headers {
            request = request.header(name, HeaderValue::from_str(value).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn signs_as_s3(&self) -> bool {
        ["s3", "s3-object-lambda", "s3-outposts", "s3express"].contains(&self.service.as_str())
    }

    /// What the signature adds, in the header or in the query string as `settings` say.
    fn instructions(&self, mut settings: SigningSettings) -> SigningInstructions {
        if self.signs_as_s3() {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let body = match self.payload {
            "hash" | "absent" => SignableBody::Bytes(&self.body),
            mode => SignableBody::Precomputed(mode.to_owned()),
        };
        let token = self.keys.session_token.expose();
        let token = (!token.is_empty()).then(|| token.to_owned());
        let identity =
            Credentials::new(&self.keys.access_key_id, self.keys.secret.expose(), token, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(self.at.into())
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("https://{}{}", self.host, self.target);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(self.method.as_str(), uri, headers, body).unwrap();
        aws_sigv4::http_request::sign(signable, &params).unwrap().into_parts().0
    }

    /// The server name of the connection.
    pub(crate) fn sni(&self) -> HostName {
        self.host.parse().unwrap()
    }

    pub(crate) fn read(&self) -> Result<AwsRequest, ParseError> {
        AwsRequest::read(self.sign(), &self.sni())
    }

    /// Verified with the test placeholder.
    pub(crate) fn verify(&self) -> Result<VerifiedRequest, SignatureError> {
        verify(self.read().unwrap(), &self.body)
    }
}

/// Verifies `request` as `serve` does.
pub(crate) fn verify(request: AwsRequest, body: &[u8]) -> Result<VerifiedRequest, SignatureError> {
    let body = (request.body_plan() == BodyPlan::Inspect).then(|| Bytes::copy_from_slice(body));
    request.verify(body, &placeholder(), NOW, SKEW)
}
