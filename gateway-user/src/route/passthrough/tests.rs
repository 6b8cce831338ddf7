use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const OWN: &str = "10.0.0.5:4143";
const ASKED: &str = "192.0.2.1:443";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[track_caller]
fn check(found: &[&str], asked: &str, expected: Result<&[&str], &str>) {
    let found = found.iter().map(|text| address(text));
    let unresolved = |source| DialError::Unresolved { name: "example.com".parse().unwrap(), source };
    let chosen = choose(found, OriginalDst(address(asked)), &[address(OWN)], unresolved);
    let expected = expected.map(|list| list.iter().map(|text| address(text)).collect::<Vec<_>>());
    assert_eq!(chosen.map_err(|error| error.to_string()), expected.map_err(ToOwned::to_owned));
}

#[test]
fn the_agents_own_choice_comes_first() {
    check(&["192.0.2.7:443", "[2001:db8::1]:443"], ASKED, Ok(&["192.0.2.7:443", "[2001:db8::1]:443"]));
    check(&["192.0.2.7:443", ASKED, "192.0.2.7:443"], ASKED, Ok(&[ASKED, "192.0.2.7:443"]));
    check(&["192.0.2.7:443", ASKED], "[::ffff:192.0.2.1]:443", Ok(&[ASKED, "192.0.2.7:443"]));
}

#[test]
fn only_so_many_addresses_are_tried() {
    let many: Vec<String> = (1..100).map(|last| format!("198.51.100.{last}:443")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check(&many, ASKED, Ok(&many[..MAX_ADDRESSES]));
}

#[test]
fn a_name_does_not_lead_to_what_only_the_host_may_reach() {
    for inside in [
        "127.0.0.1:443",
        "[::1]:443",
        "0.0.0.0:443",
        "[::ffff:127.0.0.1]:443",
        "169.254.169.254:443",
        "169.254.170.2:443",
        "[fd00:ec2::254]:443",
        "169.254.1.1:443",
        "[fe80::1]:443",
        "224.0.0.1:443",
        OWN,
    ] {
        let told = format!(
            "{} is an address that nothing is passed through to",
            destination::canonical(address(inside))
        );
        check(&[inside], ASKED, Err(&told));
        check(&[inside, "192.0.2.7:443"], ASKED, Ok(&["192.0.2.7:443"]));
    }
    check(&[], ASKED, Err("example.com does not resolve: it has no address"));
}

#[test]
fn a_link_local_address_that_the_agent_asked_for() {
    check(&["169.254.1.1:443"], "169.254.1.1:443", Ok(&["169.254.1.1:443"]));
    for never in ["127.0.0.1:443", "169.254.169.254:443", OWN] {
        check(&[never], never, Err(&format!("{never} is an address that nothing is passed through to")));
    }
}

#[tokio::test]
async fn an_address_from_the_configuration_replaces_the_resolution() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixed = listener.local_addr().unwrap();
    let name = "does-not-resolve.invalid".parse().unwrap();
    let asked = OriginalDst(address(ASKED));
    let stream = connect_name(&name, 443, asked, Some(fixed), &[], &Config::default()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), fixed);
}

#[tokio::test]
async fn the_hosts_resolver_is_asked_and_its_loopback_answer_refused() {
    let asked = OriginalDst(address(ASKED));
    let dialled =
        connect_name(&"localhost".parse().unwrap(), 443, asked, None, &[], &Config::default()).await;
    assert!(
        matches!(dialled, Err(DialError::Forbidden(address)) if address.ip().is_loopback()),
        "{dialled:?}"
    );
    let dialled = connect_address(address("127.0.0.1:22"), &[], &Config::default()).await;
    assert!(matches!(dialled, Err(DialError::Forbidden(_))), "{dialled:?}");
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = listener.local_addr().unwrap();
    let limit = Duration::from_secs(60);
    let deadline = Instant::now() + limit;
    let stream = connect_first(&[closed, open], deadline, limit).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), open);
    let refused = connect_first(&[closed], deadline, limit).await;
    assert!(matches!(refused, Err(DialError::Refused { address, .. }) if address == closed), "{refused:?}");
}

/// Both ends of a TCP connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

const NEVER: Duration = Duration::MAX;

#[tokio::test]
async fn bytes_pass_both_ways_until_both_ends_close() {
    let (mut agent, ours) = pair().await;
    let (theirs, mut upstream) = pair().await;
    let relaying = tokio::spawn(relay(ours, theirs, NEVER));
    let upload: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let sent = upload.clone();
    let upstream_side = async {
        let mut got = Vec::new();
        // The agent's half-close arrives, the other half stays open.
        upstream.read_to_end(&mut got).await.unwrap();
        upstream.write_all(b"thank you").await.unwrap();
        upstream.shutdown().await.unwrap();
        got
    };
    let agent_side = async {
        agent.write_all(&upload).await.unwrap();
        agent.shutdown().await.unwrap();
        let mut answer = Vec::new();
        agent.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (got, answer) = tokio::join!(upstream_side, agent_side);
    assert!(got == sent, "the upload arrives as it was sent");
    assert_eq!(answer, b"thank you");
    let traffic = relaying.await.unwrap().unwrap();
    assert_eq!(traffic, Traffic { sent: 12_000_000, received: 9 });
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (mut agent, ours) = pair().await;
    let (theirs, mut upstream) = pair().await;
    agent.write_all(b"hello").await.unwrap();
    let after = Duration::from_millis(30);
    let ended = relay(ours, theirs, after).await;
    let Err(RelayError::Idle { after: told, traffic }) = ended else { panic!("{ended:?}") };
    assert_eq!((told, traffic), (after, Traffic { sent: 5, received: 0 }));
    let mut got = Vec::new();
    upstream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"hello");
}

#[tokio::test]
async fn a_reset_ends_the_relay() {
    let (agent, ours) = pair().await;
    let (theirs, mut upstream) = pair().await;
    upstream.write_all(b"unread").await.unwrap();
    upstream.set_zero_linger().unwrap();
    let relaying = tokio::spawn(relay(ours, theirs, NEVER));
    agent.readable().await.unwrap();
    drop(upstream);
    let ended = relaying.await.unwrap();
    let Err(RelayError::Broken { source, .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
}
