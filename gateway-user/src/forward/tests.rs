use super::*;

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
