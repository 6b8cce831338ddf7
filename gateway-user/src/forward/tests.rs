use super::*;
use crate::{
    clock::Clock,
    roots::testing::{Ca, Server},
    terminate::{self, Terminator},
};

const AWS: &str = "s3.eu-central-1.amazonaws.com";

/// A client of AWS whose host is at this address.
async fn ask(roots: &Roots, address: SocketAddr) -> Result<StatusCode, ForwardError> {
    let overrides = vec![EndpointOverride { host: AWS.to_owned(), address }];
    let upstream = Upstream::new(&Config { overrides, ..Config::default() }, roots).unwrap();
    let request = http::Request::get(format!("https://{AWS}/")).body(crate::body::empty()).unwrap();
    let answer = upstream.client.request(request).await.map_err(|error| upstream.explain(AWS, &error))?;
    Ok(answer.status())
}

fn untrusted(answer: &Result<StatusCode, ForwardError>) -> bool {
    matches!(answer, Err(ForwardError::Tls { detail, .. }) if detail.ends_with("invalid peer certificate: UnknownIssuer"))
}

/// An admin may have it in the system's store for the agents.
#[tokio::test]
async fn the_gateway_s_own_ca_does_not_vouch_for_aws() {
    let (own, other) = (Ca::new(), Ca::new());
    let server = Server::start(own.acceptor(AWS), String::new()).await;
    for root in [own.certificate(), own.made_anew(), own.signed_by(&other)] {
        let roots = |own_ca| Roots::without(own_ca, [root.clone(), other.certificate()]).unwrap();
        assert_eq!(ask(&roots(None), server.address).await.unwrap(), StatusCode::OK);
        let answer = ask(&roots(Some(&own.certificate())), server.address).await;
        assert!(untrusted(&answer), "{answer:?}");
    }
}

/// As an agent's client is answered, somebody who has a leaf would answer the gateway.
#[tokio::test]
async fn what_agents_take_for_aws_is_not_aws_to_the_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let config = terminate::Config { ca_dir: dir.path().join("ca"), ..terminate::Config::default() };
    let terminator = Terminator::new(&config, Clock::system()).unwrap();
    let own = terminator.ca().certificate().clone();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shaking = tokio::spawn(async move {
        let mut shaken = Vec::new();
        for _ in 0..2 {
            let (io, _) = listener.accept().await.unwrap();
            shaken.push(terminator.handshake(io, &AWS.parse().unwrap()).await.is_ok());
        }
        shaken
    });
    // Somebody who trusts it gets through the handshake, and then no answer.
    let trusting = Roots::without(None, [own.clone()]).unwrap();
    let answer = ask(&trusting, address).await;
    assert!(matches!(answer, Err(ForwardError::Broken { .. })), "{answer:?}");

    // `extra_ca` may be the bundle that agents have.
    let extra_ca = Some(config.ca_dir.join(terminate::ca::CERTIFICATE_FILE));
    let config = Config { extra_ca, ..Config::default() };
    let answer = ask(&config.roots(&own).unwrap(), address).await;
    assert!(untrusted(&answer), "{answer:?}");
    assert_eq!(shaking.await.unwrap(), [true, false]);
}

#[test]
fn a_file_of_roots_must_be_usable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("extra.pem");
    let config = Config { extra_ca: Some(file.clone()), ..Config::default() };
    let error = || config.roots(&Ca::new().certificate()).unwrap_err().to_string();
    assert!(error().starts_with(&format!("forward.extra_ca {}: ", file.display())), "{}", error());
    std::fs::write(&file, "").unwrap();
    assert_eq!(error(), format!("forward.extra_ca {}: it contains no certificate", file.display()));
}

#[test]
fn overrides_name_hosts_exactly_or_below_a_suffix() {
    let to = |host: &str, port| EndpointOverride {
        host: host.to_owned(),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    let overrides = [to("sts.amazonaws.com", 1), to("*.amazonaws.com", 2)];
    let check = |host: &str, expected: Option<u16>| {
        assert_eq!(EndpointOverride::resolve(&overrides, host).map(|a| a.port()), expected, "{host}");
    };
    check("sts.amazonaws.com", Some(1));
    check("s3.eu-central-1.amazonaws.com", Some(2));
    check("amazonaws.com", None);
    check("evilamazonaws.com", None);
    check(".amazonaws.com", None);
    check("amazonaws.com.example", None);
}

#[test]
fn hop_by_hop_headers_end_here() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "close, X-Private"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
        ("alt-svc", "h3=\":443\""),
        ("etag", "\"1\""),
    ] {
        headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static(value));
    }
    strip_hop_by_hop(&mut headers);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_wait_and_progress_prolongs_it() {
    let after = Duration::from_secs(5);
    let (_body, progress) = Watched::new(crate::body::empty(), after);
    assert_eq!(progress.unless_silent(after, std::future::pending::<()>()).await, None);

    // A body with a frame every 4 s never falls silent although the whole takes 40 s.
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let (mut body, progress) = Watched::new(channel_body(receiver), after);
    let feeding = async move {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            if sender.send(Bytes::from_static(b"x")).await.is_err() {
                return;
            }
        }
    };
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let work = async { tokio::join!(feeding, reading) };
    assert!(progress.unless_silent(after, work).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_is_given_up() {
    let (_sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let (mut body, _) = Watched::new(channel_body(receiver), Duration::from_secs(5));
    assert!(
        matches!(body.frame().await, Some(Err(BodyError::Stalled(after))) if after == Duration::from_secs(5))
    );
}

use bytes::Bytes;

fn channel_body(receiver: tokio::sync::mpsc::Receiver<Bytes>) -> Body {
    struct Channel(tokio::sync::mpsc::Receiver<Bytes>);
    impl http_body::Body for Channel {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
            self.0.poll_recv(cx).map(|data| data.map(|data| Ok(http_body::Frame::data(data))))
        }
    }
    Channel(receiver).boxed_unsync()
}
