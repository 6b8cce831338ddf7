//! An agent: TLS with the gateway's CA, requests signed with the session's placeholder.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
        SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{AGENT, Direct, NEIGHBOUR, Place, kernel::FELLOW};
use crate::pki;

/// Where AWS would be: a documentation address.
pub const AWS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 443);

/// How a request is signed.
#[derive(Debug, Clone)]
pub struct Signing {
    /// Service of the scope.
    pub service: String,
    /// Region of the scope.
    pub region: String,
    /// Access key id; the placeholder's unless set.
    pub access_key_id: Option<String>,
    /// Secret; the placeholder's unless set.
    pub secret: Option<String>,
    /// Session token; the placeholder's unless set, and none if it is empty.
    pub session_token: Option<String>,
    /// Signed in the query string, for so long; else in the header.
    pub expires: Option<Duration>,
    /// The header of the session token.
    pub session_header: &'static str,
    /// The date that is signed.
    pub time: SystemTime,
    /// How the body is signed: its hash, or a constant of S3's.
    pub payload: Payload,
}

/// How the body is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Its hash, in `x-amz-content-sha256` for S3.
    Hash,
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`; the body is aws-chunked already.
    UnsignedTrailer,
    /// These words in place of the hash.
    Named(&'static str),
}

impl Signing {
    /// With the placeholder, now, in `eu-central-1`, the body hashed.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            region: "eu-central-1".to_owned(),
            access_key_id: None,
            secret: None,
            session_token: None,
            expires: None,
            session_header: "x-amz-security-token",
            time: gateway_user::clock::Clock::system().now().into(),
            payload: Payload::Hash,
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// What came after it.
    pub trailers: HeaderMap,
}

impl Reply {
    /// Whether each CRC-32 that head and trailers tell of the body is its own, and there is one: as SDKs check it. `None` where none is told.
    #[must_use]
    pub fn checksum_holds(&self) -> Option<bool> {
        let name = "x-amz-checksum-crc32";
        let own = BASE64_STANDARD.encode(crc32fast::hash(&self.body).to_be_bytes());
        let told = self.headers.get_all(name).iter().chain(self.trailers.get_all(name));
        told.map(|value| value.as_bytes() == own.as_bytes()).reduce(|one, other| one && other)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// See the module's text.
pub struct Agent<'d> {
    direct: &'d Direct,
    place: Place,
    host: String,
    h2: bool,
    sni: Option<String>,
}

impl<'d> Agent<'d> {
    pub(super) fn new(direct: &'d Direct, host: &str) -> Self {
        Self { direct, place: AGENT, host: host.to_owned(), h2: false, sni: None }
    }

    /// Speaks HTTP/2.
    #[must_use]
    pub fn h2(mut self) -> Self {
        self.h2 = true;
        self
    }

    /// Lives in another cgroup, of the same workload unless the setup says otherwise: `agents.slice/agent-2.service`.
    #[must_use]
    pub fn fellow(mut self) -> Self {
        self.place = FELLOW;
        self
    }

    /// Lives in another cgroup, of the workload `neighbours`, for which the host vouches.
    #[must_use]
    pub fn neighbour(mut self) -> Self {
        self.place = NEIGHBOUR;
        self
    }

    /// Asks for another name in the ClientHello than in the request.
    #[must_use]
    pub fn sni(mut self, name: &str) -> Self {
        self.sni = Some(name.to_owned());
        self
    }

    /// A TLS connection through the gateway.
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub async fn tls(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = self.direct.connect_from(self.place, AWS).await?;
        let mut config = rustls::ClientConfig::builder_with_provider(pki::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(pki::roots(self.direct.ca_pem().as_bytes())?)
            .with_no_client_auth();
        config.alpn_protocols = vec![if self.h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let name = ServerName::try_from(self.sni.clone().unwrap_or_else(|| self.host.clone()))?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
    }

    /// A request to this host, signed.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn signed(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        signing: &Signing,
    ) -> Result<Request<Full<Bytes>>> {
        let body = body.into();
        let keys = (signing.access_key_id.clone(), signing.secret.clone(), signing.session_token.clone());
        let (id, secret, token) = match keys {
            (Some(id), Some(secret), Some(token)) => (id, secret, token),
            // Only who signs with a session's placeholder needs a session.
            (id, secret, token) => {
                let session = self.direct.caller_from(self.place).await?.session;
                let placeholder = session.placeholder.clone();
                (
                    id.unwrap_or(placeholder.access_key_id),
                    secret.unwrap_or_else(|| placeholder.secret.expose().to_owned()),
                    token.unwrap_or_else(|| placeholder.session_token.expose().to_owned()),
                )
            }
        };
        let token = (!token.is_empty()).then_some(token);
        let identity = Credentials::new(id, secret, token, None, "direct").into();
        let uri = format!("https://{}{path}", self.host);
        let mut request = Request::builder().method(method).uri(&uri).body(Full::new(body.clone()))?;
        for (name, value) in headers {
            request.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&signing.region)
            .name(&signing.service)
            .time(signing.time)
            .settings(settings(signing))
            .build()?;
        let signable = match signing.payload {
            Payload::Hash => SignableBody::Bytes(&body),
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::UnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
            Payload::Named(words) => SignableBody::Precomputed(words.to_owned()),
        };
        let method = request.method().clone();
        let named: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())))
            .collect::<Result<_>>()?;
        let named = named.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(method.as_str(), &uri, named, signable)?;
        let (instructions, _) = sign(signable, &params.into())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    /// Signs and sends; the whole answer.
    ///
    /// # Errors
    /// When no answer comes, or its body breaks off.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        signing: &Signing,
    ) -> Result<Reply> {
        self.send(self.signed(method, path, headers, body, signing).await?).await
    }

    /// A DynamoDB call, the plainest there is.
    ///
    /// # Errors
    /// As [`Agent::ask`].
    pub async fn dynamodb(&self, operation: &str, body: &str) -> Result<Reply> {
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.0")];
        self.ask(Method::POST, "/", &headers, body.to_owned(), &Signing::new("dynamodb")).await
    }

    /// Sends a request that is signed already (or is not).
    ///
    /// # Errors
    /// When no answer comes, or its body breaks off.
    pub async fn send<B>(&self, mut request: Request<B>) -> Result<Reply>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let io = TokioIo::new(self.tls().await?);
        if self.h2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            let _driver = Driver(tokio::spawn(connection));
            return collect(sender.send_request(request).await?).await;
        }
        // HTTP/1.1 has the host in a header and only the path in the target.
        let target = request.uri().path_and_query().context("path")?.as_str().parse()?;
        if !request.headers().contains_key("host") {
            let host = request.uri().host().context("host")?.parse()?;
            request.headers_mut().insert("host", host);
        }
        *request.uri_mut() = target;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let _driver = Driver(tokio::spawn(connection));
        collect(sender.send_request(request).await?).await
    }

    /// Sends these bytes over TLS and reads to the end.
    ///
    /// # Errors
    /// When TLS does not come about; a connection that is cut off ends the reading.
    pub async fn raw(&self, bytes: &[u8]) -> Result<String> {
        let mut tls = self.tls().await?;
        // The gateway may hang up before everything is written.
        let _ = tls.write_all(bytes).await;
        let _ = tls.flush().await;
        let mut answer = Vec::new();
        let _ = tls.read_to_end(&mut answer).await;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Ends a connection's task with the request that needed it.
struct Driver<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn collect(response: http::Response<hyper::body::Incoming>) -> Result<Reply> {
    let (parts, body) = response.into_parts();
    let whole = body.collect().await?;
    let trailers = whole.trailers().cloned().unwrap_or_default();
    Ok(Reply { status: parts.status, headers: parts.headers, body: whole.to_bytes(), trailers })
}

fn settings(signing: &Signing) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.session_token_name_override = Some(signing.session_header);
    if signing.expires.is_some() {
        // In a URL it has the name of a parameter.
        settings.session_token_name_override = None;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = signing.expires;
    }
    if matches!(signing.service.as_str(), "s3" | "s3express") {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        if signing.expires.is_none() {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
    }
    settings
}
