use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{hello::tests::Hello, *};
use crate::{
    prim::{AgentAddr, CgroupId, OriginalDst},
    redirect::Origin,
};

/// An agent's end, and ours as `accept` hands it over.
async fn connected(destination: &str) -> (TcpStream, Accepted) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    agent.set_nodelay(true).unwrap();
    let (io, from) = listener.accept().await.unwrap();
    let destination = OriginalDst(destination.parse::<SocketAddr>().unwrap());
    let origin = Origin { destination, cgroup: CgroupId(1), pid: 1, uid: 1 };
    (agent, Accepted { io, agent: AgentAddr(from), origin })
}

/// Routes a connection to port 443 while `agent` is driven.
async fn routed<F: Future<Output = TcpStream>>(
    egress: Egress,
    config: &Config,
    agent: impl FnOnce(TcpStream) -> F,
) -> (Result<Route, RouteError>, Accepted, TcpStream) {
    let (stream, accepted) = connected("192.0.2.1:443").await;
    let (outcome, stream) = tokio::join!(route(&accepted, egress, &[], config), agent(stream));
    (outcome, accepted, stream)
}

#[track_caller]
fn assert_route(outcome: &Result<Route, RouteError>, expected: &Result<Route, RouteError>) {
    assert_eq!(outcome, expected);
}

async fn send(mut agent: TcpStream, bytes: Vec<u8>) -> TcpStream {
    agent.write_all(&bytes).await.unwrap();
    agent
}

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

#[tokio::test]
async fn the_name_decides_on_port_443() {
    let aws = "sts.eu-central-1.amazonaws.com";
    for (name, egress, expected) in [
        (aws, Egress::Aws, Ok(Route::Aws(host(aws)))),
        (aws, Egress::Open, Ok(Route::Aws(host(aws)))),
        ("example.com", Egress::Open, Ok(Route::PassThroughName(host("example.com"), 443))),
        ("example.com", Egress::Aws, Err(RouteError::EgressClosed)),
        ("amazonaws.com.example.com", Egress::Aws, Err(RouteError::EgressClosed)),
    ] {
        let hello = Hello::named(name).bytes();
        let (outcome, ..) = routed(egress, &Config::default(), |agent| send(agent, hello)).await;
        assert_route(&outcome, &expected);
    }
}

#[tokio::test]
async fn not_a_byte_is_consumed() {
    let hello = Hello::named("sts.amazonaws.com").bytes();
    let sent = [&hello[..], b"and what follows"].concat();
    let (outcome, mut accepted, agent) =
        routed(Egress::Aws, &Config::default(), |agent| send(agent, sent.clone())).await;
    assert_route(&outcome, &Ok(Route::Aws(host("sts.amazonaws.com"))));
    drop(agent);
    let mut read = Vec::new();
    accepted.io.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, sent);
}

#[tokio::test]
async fn a_hello_may_come_byte_by_byte() {
    let hello = Hello::named("sts.amazonaws.com").bytes();
    let (outcome, ..) = routed(Egress::Aws, &Config::default(), |mut agent| async move {
        for byte in hello {
            agent.write_all(&[byte]).await.unwrap();
            // Lets the router look at every length in turn.
            tokio::task::yield_now().await;
        }
        agent
    })
    .await;
    assert_route(&outcome, &Ok(Route::Aws(host("sts.amazonaws.com"))));
}

#[tokio::test]
async fn a_hello_larger_than_the_first_look() {
    let mut hello = Hello::named("sts.amazonaws.com");
    hello.extensions.insert(0, (21, vec![0; 9000]));
    let bytes = hello.bytes();
    let (outcome, ..) = routed(Egress::Aws, &Config::default(), |agent| send(agent, bytes)).await;
    assert_route(&outcome, &Ok(Route::Aws(host("sts.amazonaws.com"))));
}

#[tokio::test]
async fn a_hello_and_a_half_close() {
    let hello = Hello::named("sts.amazonaws.com").bytes();
    let (outcome, ..) = routed(Egress::Aws, &Config::default(), |agent| async move {
        let mut agent = send(agent, hello).await;
        agent.shutdown().await.unwrap();
        agent
    })
    .await;
    assert_route(&outcome, &Ok(Route::Aws(host("sts.amazonaws.com"))));
}

#[tokio::test]
async fn garbage_is_refused_at_once() {
    let long = Config { hello_timeout_secs: 3600, ..Config::default() };
    for garbage in [&b"G"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let (outcome, ..) = routed(Egress::Open, &long, |agent| send(agent, garbage.to_vec())).await;
        assert_route(&outcome, &Err(RouteError::NotTls));
    }
}

#[tokio::test]
async fn no_server_name_is_refused_in_every_egress() {
    for egress in [Egress::Aws, Egress::Open] {
        let hello = Hello { extensions: vec![], session_id: 0 }.bytes();
        let (outcome, ..) = routed(egress, &Config::default(), |agent| send(agent, hello)).await;
        assert_route(&outcome, &Err(RouteError::NoServerName));
    }
}

#[tokio::test]
async fn half_a_hello_and_then_the_end() {
    let hello = Hello::named("sts.amazonaws.com").bytes();
    for length in [0, 1, hello.len() - 1] {
        let part = hello[..length].to_vec();
        let (outcome, ..) = routed(Egress::Aws, &Config::default(), |agent| async move {
            let mut agent = send(agent, part).await;
            agent.shutdown().await.unwrap();
            agent
        })
        .await;
        assert_route(&outcome, &Err(RouteError::Closed));
    }
}

/// A time-out of zero: over as soon as there is nothing more to read.
#[tokio::test]
async fn half_a_hello_and_then_nothing() {
    let hello = Hello::named("sts.amazonaws.com").bytes();
    let config = Config { hello_timeout_secs: 0, ..Config::default() };
    for length in [0, 1, hello.len() - 1] {
        let (agent, accepted) = connected("192.0.2.1:443").await;
        let _agent = send(agent, hello[..length].to_vec()).await;
        let outcome = route(&accepted, Egress::Aws, &[], &config).await;
        assert_route(&outcome, &Err(RouteError::HelloTimeout(Duration::ZERO)));
    }
}

/// Peeked bytes keep a socket readable: a naive loop would turn for as long as the time-out.
#[tokio::test]
async fn waiting_for_the_rest_does_not_spin() {
    let (agent, accepted) = connected("192.0.2.1:443").await;
    let _agent = send(agent, Hello::named("sts.amazonaws.com").bytes()[..20].to_vec()).await;
    accepted.io.readable().await.unwrap();
    let config = Config::default();
    let mut waiting = watched(route(&accepted, Egress::Aws, &[], &config));
    let polls = waiting.polls_within(100).await;
    // One look, and one more for an event that was on its way; a loop would look every time.
    assert!(polls <= 3, "nothing arrived, yet it looked {polls} times");
}

#[tokio::test]
async fn too_large_a_hello() {
    let config = Config { hello_max_bytes: 512, ..Config::default() };
    let mut hello = Hello::named("sts.amazonaws.com");
    hello.extensions.push((21, vec![0; 600]));
    let bytes = hello.bytes();
    let (outcome, ..) = routed(Egress::Aws, &config, |agent| send(agent, bytes)).await;
    assert_route(&outcome, &Err(RouteError::HelloTooLarge(512)));
}

#[tokio::test]
async fn destinations_that_need_no_byte() {
    for (destination, egress, expected) in [
        ("169.254.169.254:80", Egress::Aws, Ok(Route::Metadata)),
        ("169.254.169.254:443", Egress::Open, Err(RouteError::MetadataPort(443))),
        ("127.0.0.1:443", Egress::Open, Err(RouteError::Loop)),
        ("192.0.2.1:22", Egress::Aws, Err(RouteError::EgressClosed)),
        ("192.0.2.1:22", Egress::Open, Ok(Route::PassThroughAddress("192.0.2.1:22".parse().unwrap()))),
    ] {
        let (_agent, accepted) = connected(destination).await;
        assert_route(&route(&accepted, egress, &[], &Config::default()).await, &expected);
    }
}

/// A future that is polled only when something wakes it, as an executor does.
struct Watched<F> {
    future: std::pin::Pin<Box<F>>,
    woken: std::sync::Arc<Woken>,
}

struct Woken(std::sync::atomic::AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

fn watched<F: Future>(future: F) -> Watched<F> {
    Watched { future: Box::pin(future), woken: std::sync::Arc::new(Woken(true.into())) }
}

impl<F: Future> Watched<F> {
    /// How often it had to be polled while the runtime's event loop turned so many times.
    async fn polls_within(&mut self, turns: usize) -> usize {
        let mut polls = 0;
        for _ in 0..turns {
            tokio::task::yield_now().await;
            if self.woken.0.swap(false, std::sync::atomic::Ordering::SeqCst) {
                polls += 1;
                assert!(self.poll_once().await, "it is still waiting");
            }
        }
        polls
    }

    /// Polls once inside the runtime; whether the future is still pending.
    async fn poll_once(&mut self) -> bool {
        let waker = std::task::Waker::from(std::sync::Arc::clone(&self.woken));
        std::future::poll_fn(|_| {
            let mut context = std::task::Context::from_waker(&waker);
            std::task::Poll::Ready(self.future.as_mut().poll(&mut context).is_pending())
        })
        .await
    }
}
