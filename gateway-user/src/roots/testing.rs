//! CAs for tests, and servers that they vouch for.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A CA that nothing but a test trusts.
pub(crate) struct Ca {
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        // A name of its own: by it a client finds the root that a leaf is of. X.520: at most 64 characters.
        let name: String = hex::encode(key.public_key_raw()).chars().rev().take(32).collect();
        Self::of(key, &name)
    }

    /// One that is called so.
    pub(crate) fn named(name: &str) -> Self {
        Self::of(KeyPair::generate().unwrap(), name)
    }

    fn of(key: KeyPair, name: &str) -> Self {
        let params = params(name);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params.clone(), key), params, certificate }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Another certificate of the same name and key.
    pub(crate) fn made_anew(&self) -> CertificateDer<'static> {
        let mut params = self.params.clone();
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        params.self_signed(self.issuer.key()).unwrap().der().clone()
    }

    /// A certificate of the same name and key, signed by `other`.
    pub(crate) fn signed_by(&self, other: &Ca) -> CertificateDer<'static> {
        self.params.signed_by(self.issuer.key(), &other.issuer).unwrap().der().clone()
    }

    /// A server of this name that this CA vouches for.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .unwrap();
        Arc::new(config).into()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A server that gives everybody who accepts its certificate the same answer, one for each connection.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(acceptor: TlsAcceptor, body: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let Ok(mut io) = acceptor.accept(io).await else { continue };
                // A client may accept the handshake's end and then the certificate not.
                if read_request(&mut io).await.is_none() {
                    continue;
                }
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = io.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = io.shutdown().await;
            }
        });
        Self { address, task }
    }

    /// Its URL by the name `localhost`.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

/// A request, head and body; `None` where the client broke off.
pub(crate) async fn read_request(io: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !complete(&request) {
        let read = io.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
    }
    Some(String::from_utf8(request).unwrap())
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}
