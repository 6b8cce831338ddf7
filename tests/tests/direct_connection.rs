//! What never becomes HTTP: closed, with an event that says why.

use std::time::Duration;

use anyhow::Result;
use chaperone_tests::direct::{Direct, Setup};
use gateway_user::{identify::Egress, route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Sends `bytes` to `destination` and expects the connection to end without an answer, with one
/// event of `kind` whose message is `why`.
async fn check(direct: &Direct, destination: &str, bytes: &[u8], kind: &str, why: &str) -> Result<()> {
    let sql = format!("SELECT * FROM events WHERE kind = '{kind}' AND message = '{why}'");
    let before = direct.rows(&sql).await?.len();
    let mut io = direct.connect(destination.parse()?).await?;
    io.write_all(bytes).await?;
    let mut answer = Vec::new();
    let _ = io.read_to_end(&mut answer).await;
    // A TLS alert is no answer.
    assert!(answer.is_empty() || answer.first() == Some(&21), "{why}: answered {answer:?}");
    let event = direct.row(&format!("{sql} ORDER BY seq LIMIT -1 OFFSET {before}"), |_| true).await?;
    assert_eq!(event.get("pid"), Some(&4242.into()), "{event}");
    assert!(direct.upstream.requests().is_empty(), "{why}: something was forwarded");
    Ok(())
}

fn quick_hello() -> route::Config {
    route::Config { hello_timeout_secs: 1, ..route::Config::default() }
}

/// A ClientHello as rustls writes it, for `name`; with an address there is no SNI.
fn hello(name: &str) -> Result<Vec<u8>> {
    let config = rustls::ClientConfig::builder_with_provider(chaperone_tests::pki::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned())?;
    let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name)?;
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes)?;
    Ok(bytes)
}

#[tokio::test]
async fn first_bytes_that_do_not_name_a_service_are_refused() -> Result<()> {
    for egress in [Egress::Aws, Egress::Open] {
        let direct = Direct::start(Setup { egress, route: quick_hello(), ..Setup::default() }).await?;
        let aws = "192.0.2.1:443";
        check(
            &direct,
            aws,
            &hello("192.0.2.1")?,
            "route-refused",
            "the TLS ClientHello has no server name (SNI)",
        )
        .await?;
        check(
            &direct,
            aws,
            b"GET / HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n",
            "route-refused",
            "the first bytes are not a TLS ClientHello",
        )
        .await?;
        check(
            &direct,
            aws,
            b"\x00\xff\x13\x37garbage",
            "route-refused",
            "the first bytes are not a TLS ClientHello",
        )
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn half_a_hello_ends_at_its_time_out() -> Result<()> {
    let direct = Direct::start(Setup { route: quick_hello(), ..Setup::default() }).await?;
    let whole = hello("s3.eu-central-1.amazonaws.com")?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    check(&direct, "192.0.2.1:443", half, "route-refused", "no complete TLS ClientHello within 1s").await
}

#[tokio::test]
async fn aws_egress_refuses_everything_else() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    check(
        &direct,
        "192.0.2.1:443",
        &hello("example.com")?,
        "route-refused",
        "egress of this workload allows only AWS",
    )
    .await?;
    check(&direct, "192.0.2.1:5432", b"", "route-refused", "egress of this workload allows only AWS").await?;
    check(
        &direct,
        "169.254.169.254:8080",
        b"",
        "route-refused",
        "the metadata endpoint answers on port 80, not on 8080",
    )
    .await?;
    check(&direct, "127.0.0.1:443", b"", "route-refused", "the destination is the gateway itself").await
}

#[tokio::test]
async fn a_connection_without_an_origin_is_closed_and_recorded() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let mut io = direct.connect_unknown().await?;
    let mut answer = Vec::new();
    let _ = io.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    direct.row("SELECT * FROM events WHERE kind = 'origin-unknown'", |_| true).await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_that_does_not_trust_the_ca_is_recorded() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let config = rustls::ClientConfig::builder_with_provider(chaperone_tests::pki::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let io = direct.connect("192.0.2.1:443".parse()?).await?;
    let name = rustls::pki_types::ServerName::try_from("sts.amazonaws.com")?;
    let refused = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, io).await;
    assert!(refused.is_err());
    direct.row("SELECT * FROM events WHERE kind = 'tls-failed'", |_| true).await?;
    Ok(())
}

#[tokio::test]
async fn open_egress_relays_other_names_untouched() -> Result<()> {
    // A server that echoes: what arrives is what was sent, ClientHello included.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let echo = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut io, _)) = listener.accept().await {
            let (mut read, mut write) = io.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    });
    let mut setup = Setup { egress: Egress::Open, ..Setup::default() };
    setup
        .forward
        .overrides
        .push(gateway_user::forward::EndpointOverride { host: "example.com".to_owned(), address: echo });
    let direct = Direct::start(setup).await?;
    let mut io = direct.connect("192.0.2.1:443".parse()?).await?;
    let sent = hello("example.com")?;
    io.write_all(&sent).await?;
    let mut back = vec![0; sent.len()];
    tokio::time::timeout(Duration::from_secs(10), io.read_exact(&mut back)).await??;
    assert_eq!(back, sent);
    Ok(())
}
