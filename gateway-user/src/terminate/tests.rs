use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, client};

use super::*;

const AWS: &str = "sts.eu-central-1.amazonaws.com";

fn terminator(timeout: u64) -> (TempDir, Terminator) {
    let directory = tempfile::tempdir().unwrap();
    let config =
        Config { ca_dir: directory.path().join("ca"), handshake_timeout_secs: timeout, ..Config::default() };
    let terminator = Terminator::new(&config, Clock::system()).unwrap();
    (directory, terminator)
}

fn client_config(
    terminator: Option<&Terminator>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    if let Some(terminator) = terminator {
        roots.add(terminator.ca().certificate().clone()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

type Shaken<S> = Result<S, HandshakeError>;

/// A client that asks for `asked` on a connection that was routed by `routed`.
async fn shake(
    terminator: &Terminator,
    client: ClientConfig,
    asked: &str,
    routed: &str,
) -> (io::Result<client::TlsStream<TcpStream>>, Shaken<TlsStream<TcpStream>>) {
    let (near, far) = pair().await;
    let name = ServerName::try_from(asked.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let routed = routed.parse().unwrap();
    tokio::join!(connector.connect(name, near), terminator.handshake(far, &routed))
}

#[tokio::test]
async fn a_client_that_trusts_the_ca_talks() {
    let (_directory, terminator) = terminator(10);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = client_config(Some(&terminator), &[version]);
        let (client, server) = shake(&terminator, client, AWS, AWS).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        assert_eq!(client.get_ref().1.protocol_version(), Some(version.version));
        assert!(server.get_ref().0.nodelay().unwrap());
        client.write_all(b"ping").await.unwrap();
        let mut got = [0; 4];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"ping");
    }
}

#[tokio::test]
async fn alpn_offers_both_versions_of_http() {
    let (_directory, terminator) = terminator(10);
    for (offered, expected) in
        [(vec!["h2", "http/1.1"], Some(&b"h2"[..])), (vec!["http/1.1"], Some(b"http/1.1")), (vec![], None)]
    {
        let mut client = client_config(Some(&terminator), rustls::ALL_VERSIONS);
        client.alpn_protocols = offered.into_iter().map(|name| name.as_bytes().to_vec()).collect();
        let (_client, server) = shake(&terminator, client, AWS, AWS).await;
        assert_eq!(server.unwrap().get_ref().1.alpn_protocol(), expected);
    }
    let mut client = client_config(Some(&terminator), rustls::ALL_VERSIONS);
    client.alpn_protocols = vec![b"spdy/3".to_vec()];
    let (client, server) = shake(&terminator, client, AWS, AWS).await;
    assert!(client.is_err());
    assert!(matches!(server, Err(HandshakeError::Failed(_))), "{server:?}");
}

#[tokio::test]
async fn a_client_without_our_ca_is_told_apart() {
    let (_directory, terminator) = terminator(10);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (client, server) = shake(&terminator, client_config(None, &[version]), AWS, AWS).await;
        assert!(client.is_err());
        assert!(matches!(server, Err(HandshakeError::Untrusted(_))), "{server:?}");
    }
}

#[tokio::test]
async fn the_handshake_must_name_what_was_routed() {
    let (_directory, terminator) = terminator(10);
    let client = client_config(Some(&terminator), rustls::ALL_VERSIONS);
    let (_client, server) = shake(&terminator, client, "s3.amazonaws.com", AWS).await;
    let Err(HandshakeError::NameMismatch { routed, seen }) = server else { panic!("{server:?}") };
    assert_eq!((routed.as_str(), seen.as_deref()), (AWS, Some("s3.amazonaws.com")));
}

#[tokio::test]
async fn no_leaf_for_other_names_or_none() {
    let (_directory, terminator) = terminator(10);
    for asked in ["evil.example", "192.0.2.1"] {
        let client = client_config(Some(&terminator), rustls::ALL_VERSIONS);
        let (client, server) = shake(&terminator, client, asked, AWS).await;
        assert!(client.is_err());
        assert!(matches!(server, Err(HandshakeError::Failed(_))), "{server:?}");
    }
}

#[tokio::test]
async fn spelling_of_the_name_does_not_matter() {
    let (_directory, terminator) = terminator(10);
    let client = client_config(Some(&terminator), rustls::ALL_VERSIONS);
    let (client, server) = shake(&terminator, client, "STS.EU-central-1.amazonaws.com", AWS).await;
    assert!(client.is_ok() && server.is_ok(), "{client:?} {server:?}");
}

/// A time-out of zero: over as soon as there is nothing more to read.
#[tokio::test]
async fn a_handshake_that_stalls() {
    let (_directory, terminator) = terminator(0);
    let (mut near, far) = pair().await;
    near.write_all(&[22, 3, 1, 1]).await.unwrap();
    let stalled = terminator.handshake(far, &AWS.parse().unwrap()).await;
    assert!(matches!(stalled, Err(HandshakeError::Timeout(Duration::ZERO))), "{stalled:?}");
}

#[tokio::test]
async fn sessions_resume_for_the_same_name_only() {
    let (_directory, terminator) = terminator(10);
    let config = client_config(Some(&terminator), &[&rustls::version::TLS13]);
    let visit = |name: &'static str| {
        let (config, terminator) = (config.clone(), terminator.clone());
        async move {
            let (client, server) = shake(&terminator, config, name, name).await;
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            server.write_all(b"x").await.unwrap();
            server.flush().await.unwrap();
            // The ticket comes in front of the data.
            client.read_u8().await.unwrap();
            assert_eq!(client.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            client.get_ref().1.handshake_kind().unwrap()
        }
    };
    assert_eq!(visit(AWS).await, rustls::HandshakeKind::Full);
    assert_eq!(visit(AWS).await, rustls::HandshakeKind::Resumed);
    assert_eq!(visit("s3.amazonaws.com").await, rustls::HandshakeKind::Full);
}
