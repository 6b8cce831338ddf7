//! The redirect on a real kernel: real cgroups, real eBPF, real sockets. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use chaperone_tests::kernel::{AWS_V4, AWS_V6, Bench, Listeners, NetworkNamespace, Running, serve};
use gateway_common::{
    counter::Counter,
    event::EventKind,
    option::{SO_ORIGINAL_DST, SOL_IP, SOL_IPV6},
};
use gateway_user::{
    prim::{AgentAddr, CgroupPath, OriginalDst},
    redirect::{OriginError, Redirect, RedirectError, detach, has_processes},
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, connect_unspec, sockopt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

// ── what an agent may try ───────────────────────────────────────────────────────────────────

/// What a system call answered, as it travels from the agent's process to the test.
type Answer<T> = Result<T, i32>;

const REFUSED: i32 = libc::ECONNREFUSED;
const EPERM: i32 = libc::EPERM;

fn answer<T>(result: io::Result<T>) -> Answer<T> {
    result.map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tcp(family: AddressFamily, flags: SocketFlags) -> OwnedFd {
    rustix::net::socket_with(family, SocketType::STREAM, flags, None).unwrap()
}

/// Connects and closes in the usual way.
fn dial(to: &str) -> Answer<()> {
    answer(TcpStream::connect(address(to)).map(drop))
}

/// Connects and tells the peer that the application sees.
fn peer(to: &str) -> Answer<SocketAddr> {
    answer(TcpStream::connect(address(to)).and_then(|stream| stream.peer_addr()))
}

fn send_to(to: &str, connected: bool) -> Answer<usize> {
    let to = address(to);
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
    answer(if connected {
        socket.connect(to).and_then(|()| socket.send(b"x"))
    } else {
        socket.send_to(b"x", to)
    })
}

// ── what the daemon sees ────────────────────────────────────────────────────────────────────

async fn accept_origin(listeners: &Listeners, redirect: &Redirect) -> Result<OriginalDst, OriginError> {
    let (stream, agent) = listeners.accept().await.unwrap();
    redirect.origins().origin(&stream, agent).map(|origin| origin.destination)
}

// ── capture ─────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn destinations_reach_the_daemon_with_their_origin() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let check = async |asked: &str, expected: &str| {
        let agent = bench.leaf.spawn(|_| dial(asked));
        let pid = agent.pid();
        let (stream, peer) = listeners.accept().await.unwrap();
        let origin = redirect.origins().origin(&stream, peer).unwrap();
        assert_eq!(origin.destination, OriginalDst(address(expected)), "{asked}");
        assert_eq!(origin.cgroup, bench.leaf.id().unwrap(), "{asked}");
        assert_eq!((origin.pid, origin.uid), (pid, 0), "{asked}");
        assert_eq!(agent.join(), Ok(()), "{asked}");
    };
    // A server may be there, no route may lead there: the kernel half rewrites before routing.
    for plain in [
        "192.0.2.1:443",
        "198.51.100.7:8443",
        "198.51.100.7:22",
        "169.254.169.254:80",
        "169.254.170.2:80",
        "[2001:db8::1]:443",
        "[2001:db8:ffff::7]:1",
        "[fd00:ec2::254]:80",
        "[fe80::1%1]:80",
    ] {
        check(plain, plain.replace("%1", "").as_str()).await;
    }
    check("[::ffff:192.0.2.1]:443", "192.0.2.1:443").await;
    check("[::ffff:169.254.169.254]:80", "169.254.169.254:80").await;
    assert_eq!(redirect.count(Counter::Redirected).unwrap(), 11);
    assert_eq!(redirect.count(Counter::Recovered).unwrap(), 11);
    assert_eq!(redirect.handshakes().unwrap(), 0);
}

#[tokio::test]
async fn the_agent_sees_the_peer_it_asked_for() {
    let bench = Bench::new().unwrap();
    let _redirect = bench.start().unwrap();
    let _listeners = bench.listen().unwrap();
    for asked in ["192.0.2.1:443", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:443"] {
        assert_eq!(bench.leaf.run(|| peer(asked)), Ok(address(asked)));
    }
}

#[tokio::test]
async fn connections_reset_at_once_have_their_origin() {
    const EACH: u16 = 600;
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    for host in ["198.51.100.7", "[2001:db8:ffff::7]", "[::ffff:198.51.100.7]"] {
        let reset_all = || -> Answer<()> {
            for port in 1..=EACH {
                let stream = answer(TcpStream::connect(address(&format!("{host}:{port}"))))?;
                sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            }
            Ok(())
        };
        assert_eq!(bench.leaf.run(reset_all), Ok(()));
        let mut ports = HashSet::new();
        for _ in 0..EACH {
            let OriginalDst(destination) = accept_origin(&listeners, &redirect).await.unwrap();
            ports.insert(destination.port());
        }
        assert_eq!(ports.len(), usize::from(EACH), "{host}");
    }
    assert_eq!(redirect.handshakes().unwrap(), 0);
}

#[tokio::test]
async fn origins_of_simultaneous_agents_never_mix() {
    const AGENTS: u8 = 4;
    const EACH: u16 = 200;
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let cgroups: Vec<_> = (0..AGENTS).map(|i| bench.slice.child(&format!("a{i}")).unwrap()).collect();
    let mut agents: Vec<_> = (0..AGENTS)
        .zip(&cgroups)
        .map(|(i, cgroup)| {
            cgroup.spawn(move |agent| {
                agent.wait();
                (1..=EACH).for_each(|port| dial(&format!("198.51.100.{i}:{port}")).unwrap());
            })
        })
        .collect();
    agents.iter_mut().for_each(Running::go_on);
    let mut met = HashSet::new();
    for _ in 0..u16::from(AGENTS) * EACH {
        let (stream, agent) = listeners.accept().await.unwrap();
        let origin = redirect.origins().origin(&stream, agent).unwrap();
        let i = usize::from(origin.destination.0.to_string().as_bytes()[11] - b'0');
        assert_eq!(origin.cgroup, cgroups[i].id().unwrap());
        assert_eq!(origin.pid, agents[i].pid());
        met.insert(origin.destination);
    }
    assert_eq!(met.len(), usize::from(AGENTS) * usize::from(EACH));
    agents.into_iter().for_each(Running::join);
}

#[tokio::test]
async fn connections_spread_over_the_listeners() {
    let bench = Bench::new().unwrap();
    let _redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    for (host, all) in [("192.0.2.1", &bench.config.listen_v4), ("[2001:db8::1]", &bench.config.listen_v6)] {
        let to = format!("{host}:443");
        bench.leaf.run(|| (0..100).for_each(|_| dial(&to).unwrap()));
        let mut met = HashSet::new();
        for _ in 0..100 {
            met.insert(listeners.accept().await.unwrap().0.local_addr().unwrap());
        }
        assert_eq!(met, all.iter().copied().collect());
    }
}

#[tokio::test]
async fn non_blocking_connects_are_redirected() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let agent = bench.leaf.spawn(|agent| {
        let socket = tcp(AddressFamily::INET, SocketFlags::NONBLOCK);
        let begun = connect(&socket, &address("192.0.2.1:443")).map_err(rustix::io::Errno::raw_os_error);
        agent.wait();
        (begun, answer(TcpStream::from(socket).peer_addr()))
    });
    assert_eq!(accept_origin(&listeners, &redirect).await.unwrap(), OriginalDst(address("192.0.2.1:443")));
    let mut agent = agent;
    agent.go_on();
    assert_eq!(agent.join(), (Err(libc::EINPROGRESS), Ok(address("192.0.2.1:443"))));
}

#[tokio::test]
async fn a_socket_released_by_af_unspec_is_redirected_anew() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let local = TcpListener::bind("127.0.0.1:8080").unwrap();
    let seen = bench.leaf.run(|| {
        let socket = tcp(AddressFamily::INET, SocketFlags::empty());
        let mut seen = Vec::new();
        for to in ["192.0.2.1:443", "192.0.2.2:80", "127.0.0.1:8080", "192.0.2.3:443"] {
            connect(&socket, &address(to)).unwrap();
            let name = rustix::net::getpeername(&socket).unwrap().unwrap();
            seen.push(SocketAddr::try_from(name).unwrap());
            connect_unspec(&socket).unwrap();
        }
        seen
    });
    assert_eq!(seen, ["192.0.2.1:443", "192.0.2.2:80", "127.0.0.1:8080", "192.0.2.3:443"].map(address));
    let mut origins = HashSet::new();
    for _ in 0..3 {
        origins.insert(accept_origin(&listeners, &redirect).await.unwrap());
    }
    let expected = ["192.0.2.1:443", "192.0.2.2:80", "192.0.2.3:443"];
    assert_eq!(origins, expected.map(|to| OriginalDst(address(to))).into());
    local.set_nonblocking(true).unwrap();
    assert!(local.accept().is_ok(), "the loopback connection was left alone");
}

#[tokio::test]
async fn the_standard_options_answer_the_origin() {
    let bench = Bench::new().unwrap();
    let _redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let ask = |fd, level, len: usize| -> Answer<Vec<u8>> {
        let mut bytes = vec![0_u8; 64];
        let mut size = libc::socklen_t::try_from(len).unwrap();
        // SAFETY: the buffer is longer than `size` says, and both outlive the call.
        let result =
            unsafe { libc::getsockopt(fd, level, SO_ORIGINAL_DST, bytes.as_mut_ptr().cast(), &raw mut size) };
        bytes.truncate(usize::try_from(size).unwrap());
        answer(if result == 0 { Ok(bytes) } else { Err(io::Error::last_os_error()) })
    };
    let v4 = [&2_u16.to_ne_bytes()[..], &443_u16.to_be_bytes(), &[192, 0, 2, 1], &[0; 8]].concat();
    let v6 = |octets: [u8; 16]| {
        [&10_u16.to_ne_bytes()[..], &443_u16.to_be_bytes(), &[0; 4], &octets, &[0; 4]].concat()
    };
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let unanswered = |answer: &Answer<Vec<u8>>| answer.is_err();

    bench.leaf.run(|| dial("192.0.2.1:443")).unwrap();
    let (stream, _) = listeners.accept().await.unwrap();
    assert_eq!(ask(stream.as_raw_fd(), SOL_IP, 16), Ok(v4.clone()));
    assert_eq!(ask(stream.as_raw_fd(), SOL_IP, 64), Ok(v4.clone()), "a longer buffer");
    assert!(unanswered(&ask(stream.as_raw_fd(), SOL_IP, 15)), "no room");
    assert!(unanswered(&ask(stream.as_raw_fd(), SOL_IPV6, 28)), "not an IPv6 socket");

    bench.leaf.run(|| dial("[2001:db8::1]:443")).unwrap();
    let (stream, _) = listeners.accept().await.unwrap();
    assert_eq!(ask(stream.as_raw_fd(), SOL_IPV6, 28), Ok(v6(octets("2001:db8::1"))));
    assert!(unanswered(&ask(stream.as_raw_fd(), SOL_IPV6, 27)), "no room");

    bench.leaf.run(|| dial("[::ffff:192.0.2.1]:443")).unwrap();
    let (stream, _) = listeners.accept().await.unwrap();
    assert_eq!(ask(stream.as_raw_fd(), SOL_IP, 16), Ok(v4));
    assert_eq!(ask(stream.as_raw_fd(), SOL_IPV6, 28), Ok(v6(octets("::ffff:192.0.2.1"))));
}

// ── what is left alone ──────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn nobody_else_is_redirected() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let _listeners = bench.listen().unwrap();
    for host in [AWS_V4, AWS_V6] {
        let server = serve(host, 443).unwrap();
        let to = server.local_addr().unwrap().to_string();
        for (who, cgroup) in [("the daemon", &bench.proxy), ("another process", &bench.outside)] {
            assert_eq!(cgroup.run(|| dial(&to)), Ok(()), "{who}");
            let (stream, agent) = server.accept().await.unwrap();
            let origin = redirect.origins().origin(&stream, AgentAddr(agent));
            assert!(matches!(origin, Err(OriginError::Unknown)), "{who}: {origin:?}");
        }
        let port = bench.config.listen_v4[0];
        assert_eq!(bench.outside.run(|| answer(TcpStream::connect(port).map(drop))), Ok(()));
        assert!(bench.outside.run(|| send_to(&to, false)).is_ok());
    }
    assert_eq!(redirect.count(Counter::Redirected).unwrap(), 0);
}

#[tokio::test]
async fn loopback_is_left_alone() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let _listeners = bench.listen().unwrap();
    let v4 = TcpListener::bind("127.0.0.1:8080").unwrap();
    let v6 = TcpListener::bind("[::1]:8080").unwrap();
    for to in ["127.0.0.1:8080", "0.0.0.0:8080", "[::ffff:127.0.0.1]:8080", "[::1]:8080", "[::]:8080"] {
        assert_eq!(bench.leaf.run(|| dial(to)), Ok(()), "{to}");
    }
    assert_eq!(bench.leaf.run(|| dial("127.0.0.1:8081")), Err(REFUSED), "nobody listens");
    assert_eq!(bench.leaf.run(|| answer(TcpListener::bind("127.0.0.1:8082").map(drop))), Ok(()));
    drop((v4, v6));
    assert_eq!(redirect.count(Counter::Redirected).unwrap(), 0);
}

#[tokio::test]
async fn other_udp_is_left_alone() {
    let bench = Bench::new().unwrap();
    let _redirect = bench.start().unwrap();
    for host in ["192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"] {
        for connected in [false, true] {
            let server = UdpSocket::bind(format!("{}:5353", host.replace("::ffff:192.0.2.1", "::"))).unwrap();
            let to = format!("{host}:5353");
            assert_eq!(bench.leaf.run(|| send_to(&to, connected)), Ok(1), "{to}");
            assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1, "{to}");
        }
    }
}

// ── what is refused ─────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn refusals_are_clean_counted_and_reported() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let _listeners = bench.listen().unwrap();
    let mut events = redirect.events().unwrap().unwrap();
    assert!(redirect.events().unwrap().is_none(), "one reader");
    let mut check = async |kind: EventKind, destination: &str, attempt: &dyn Fn() -> Answer<()>| {
        let before = redirect.refused(kind).unwrap();
        let agent = bench.leaf.spawn(|_| attempt());
        let pid = agent.pid();
        assert_eq!(agent.join(), Err(EPERM), "{kind:?} {destination}");
        assert_eq!(redirect.refused(kind).unwrap(), before + 1, "{kind:?} {destination}");
        let event = events.recv().await.unwrap();
        assert_eq!((event.kind, event.destination), (kind, address(destination)));
        assert_eq!((event.cgroup, event.pid, event.uid), (bench.leaf.id().unwrap(), pid, 0));
    };

    // QUIC, whatever the destination and however it is sent.
    for to in ["192.0.2.1:443", "[2001:db8::1]:443", "127.0.0.1:443"] {
        for connected in [false, true] {
            check(EventKind::Udp443, to, &|| send_to(to, connected).map(drop)).await;
        }
    }
    for connected in [false, true] {
        let mapped = || send_to("[::ffff:192.0.2.1]:443", connected).map(drop);
        check(EventKind::Udp443, "192.0.2.1:443", &mapped).await;
    }

    // The listeners, by every address that leads there, and their ports.
    for (to, told) in [
        ("127.65.87.1:4143", "127.65.87.1:4143"),
        ("127.0.0.1:4143", "127.0.0.1:4143"),
        ("0.0.0.0:4143", "0.0.0.0:4143"),
        ("[::1]:4146", "[::1]:4146"),
        ("[::]:4146", "[::]:4146"),
        ("[::ffff:127.65.87.1]:4143", "127.65.87.1:4143"),
    ] {
        check(EventKind::ProxyPort, told, &|| dial(to)).await;
    }
    for (at, told) in [
        ("127.65.87.1:4143", "127.65.87.1:4143"),
        ("0.0.0.0:4143", "0.0.0.0:4143"),
        ("[::1]:4143", "[::1]:4143"),
        ("[::]:4146", "[::]:4146"),
        ("[::ffff:127.65.87.9]:4143", "127.65.87.9:4143"),
    ] {
        check(EventKind::BindProxyPort, told, &|| answer(TcpListener::bind(at).map(drop))).await;
    }

    // A socket bound to a device would route around the rewritten address.
    for (to, family) in [("192.0.2.1:443", AddressFamily::INET), ("[2001:db8::1]:443", AddressFamily::INET6)]
    {
        let bound = || {
            let socket = tcp(family, SocketFlags::empty());
            bind_to_device(&socket, "lo");
            answer(connect(&socket, &address(to)).map_err(io::Error::from))
        };
        check(EventKind::BoundDevice, to, &bound).await;
    }

    // Our loopback addresses mean something else in another network namespace.
    for to in ["192.0.2.1:443", "[2001:db8::1]:443"] {
        let elsewhere = || {
            let _there = NetworkNamespace::enter().unwrap();
            dial(to)
        };
        check(EventKind::ForeignNetns, to, &elsewhere).await;
    }
    assert_eq!(redirect.count(Counter::EventsLost).unwrap(), 0);
}

fn bind_to_device(socket: &OwnedFd, device: &str) {
    let len = libc::socklen_t::try_from(device.len()).unwrap();
    // SAFETY: the name is as long as `len` says and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_ptr().cast(),
            len,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

#[tokio::test]
async fn a_task_outside_the_slice_cannot_use_an_agents_socket() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let _listeners = bench.listen().unwrap();
    let left = bench.leaf.run(|| {
        let socket = tcp(AddressFamily::INET, SocketFlags::empty());
        bench.outside.join().unwrap();
        answer(connect(&socket, &address("192.0.2.1:443")).map_err(io::Error::from))
    });
    assert_eq!(left, Err(EPERM));
    assert_eq!(redirect.refused(EventKind::OutsideSlice).unwrap(), 1);
}

#[tokio::test]
async fn a_family_without_listeners_is_refused() {
    let mut bench = Bench::new().unwrap();
    bench.config.listen_v6.clear();
    let redirect = bench.start().unwrap();
    let _listeners = bench.listen().unwrap();
    assert_eq!(bench.leaf.run(|| dial("[2001:db8::1]:443")), Err(EPERM));
    assert_eq!(bench.leaf.run(|| dial("[::ffff:192.0.2.1]:443")), Ok(()));
    assert_eq!(redirect.refused(EventKind::NoListener).unwrap(), 1);
}

// ── life cycle ──────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_gone_daemon_means_refused_and_a_restart_adopts_the_pins() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let mut open = bench.leaf.spawn(|agent| {
        let mut stream = TcpStream::connect(address("192.0.2.1:443")).unwrap();
        agent.wait();
        stream.write_all(b"ping").unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        (answer, stream.peer_addr().unwrap())
    });
    let (mut stream, agent) = listeners.accept().await.unwrap();
    drop((redirect, listeners));

    for to in ["192.0.2.1:443", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:443"] {
        let refused = bench.leaf.run(|| (0..50).map(|_| dial(to)).collect::<HashSet<_>>());
        assert_eq!(refused, HashSet::from([Err(REFUSED)]), "{to}");
    }
    assert_eq!(bench.leaf.run(|| answer(TcpListener::bind("127.65.87.1:4143").map(drop))), Err(EPERM));

    let redirect = bench.start().unwrap();
    assert_eq!(redirect.handshakes().unwrap(), 0, "refused connections leave nothing");
    assert!(redirect.health().unwrap().is_whole());
    let listeners = bench.listen().unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.2:443")), Ok(()));
    assert_eq!(accept_origin(&listeners, &redirect).await.unwrap(), OriginalDst(address("192.0.2.2:443")));

    // What was open all the while still works, and is still known.
    let origin = redirect.origins().origin(&stream, agent).unwrap();
    assert_eq!(origin.destination, OriginalDst(address("192.0.2.1:443")));
    open.go_on();
    let mut ping = [0; 4];
    stream.read_exact(&mut ping).await.unwrap();
    stream.write_all(b"pong").await.unwrap();
    assert_eq!(open.join(), (*b"pong", address("192.0.2.1:443")));
}

#[tokio::test]
async fn a_killed_daemon_leaves_the_fence() {
    let bench = Bench::new().unwrap();
    let mut daemon = bench.proxy.spawn(|daemon| {
        let _redirect = bench.start().unwrap();
        let listener = TcpListener::bind(bench.config.listen_v4[0]).unwrap();
        daemon.ready();
        daemon.wait();
        drop(listener);
    });
    daemon.wait();
    daemon.kill();
    let server = serve(AWS_V4, 443).unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Err(REFUSED));
    assert_eq!(bench.leaf.run(|| send_to("192.0.2.1:443", false)), Err(EPERM));
    assert_eq!(bench.outside.run(|| dial("192.0.2.1:443")), Ok(()));
    drop(server);
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Ok(()));
    assert_eq!(accept_origin(&listeners, &redirect).await.unwrap(), OriginalDst(address("192.0.2.1:443")));
}

#[tokio::test]
async fn no_connection_passes_while_programs_are_swapped() {
    let bench = Bench::new().unwrap();
    let mut redirect = bench.start().unwrap();
    let _server = serve(AWS_V4, 443).unwrap();
    let mut agent = bench.leaf.spawn(|agent| {
        agent.ready();
        let mut answers = HashSet::new();
        // Nobody listens for the redirect: every attempt is refused unless it slips through.
        for _ in 0..3000 {
            answers.insert(dial("192.0.2.1:443"));
        }
        answers
    });
    agent.wait();
    for _ in 0..5 {
        redirect = bench.start().unwrap();
    }
    assert_eq!(agent.join(), HashSet::from([Err(REFUSED)]));
    assert!(redirect.health().unwrap().is_whole());
}

#[tokio::test]
async fn a_slice_made_anew_is_fenced_again() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    assert!(!redirect.tend().unwrap().repaired);
    let again = || {
        fs::remove_dir(bench.leaf.dir()).unwrap();
        fs::remove_dir(bench.slice.dir()).unwrap();
        fs::create_dir_all(bench.leaf.dir()).unwrap();
    };

    again();
    assert!(!redirect.health().unwrap().is_whole());
    assert!(redirect.tend().unwrap().repaired);
    assert!(redirect.health().unwrap().is_whole());
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Ok(()));
    assert_eq!(accept_origin(&listeners, &redirect).await.unwrap(), OriginalDst(address("192.0.2.1:443")));

    again();
    drop(redirect);
    let redirect = bench.start().unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.2:443")), Ok(()));
    assert_eq!(accept_origin(&listeners, &redirect).await.unwrap(), OriginalDst(address("192.0.2.2:443")));
}

#[tokio::test]
async fn a_living_slice_is_not_abandoned() {
    let mut bench = Bench::new().unwrap();
    drop(bench.start().unwrap());
    let bound = std::mem::replace(&mut bench.config.slice, bench.outside.path().as_str().to_owned());
    let error = bench.start().unwrap_err();
    assert!(
        matches!(&error, RedirectError::SliceChanged { bound: b, wanted }
            if b.as_str() == bound && wanted == bench.outside.path()),
        "{error}"
    );
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Err(REFUSED), "still fenced");
}

#[tokio::test]
async fn pinned_maps_of_another_build_are_replaced() {
    let bench = Bench::new().unwrap();
    drop(bench.start().unwrap());
    // As if another build had given FLOWS the shape of COUNTERS.
    fs::rename(bench.config.bpffs.join("COUNTERS"), bench.config.bpffs.join("FLOWS")).unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Err(REFUSED));
    let redirect = bench.start().unwrap();
    assert!(redirect.health().unwrap().is_whole());
    let listeners = bench.listen().unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Ok(()));
    assert_eq!(accept_origin(&listeners, &redirect).await.unwrap(), OriginalDst(address("192.0.2.1:443")));
}

#[tokio::test]
async fn the_pins_are_private_and_detach_takes_everything_off() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new().unwrap();
    drop(bench.start().unwrap());
    let mode = fs::metadata(&bench.config.bpffs).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    detach(&bench.config.bpffs).unwrap();
    assert!(!bench.config.bpffs.exists());
    let _server = serve(AWS_V4, 443).unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Ok(()));
}

#[tokio::test]
async fn a_slice_is_empty_when_no_process_is_anywhere_below_it() {
    let bench = Bench::new().unwrap();
    assert!(!has_processes(bench.slice.path()).unwrap());
    let mut agent = bench.leaf.spawn(|agent| {
        agent.ready();
        agent.wait();
    });
    agent.wait();
    assert!(has_processes(bench.slice.path()).unwrap());
    agent.go_on();
    agent.join();
    assert!(!has_processes(bench.slice.path()).unwrap());
    assert!(!has_processes(&CgroupPath::new("chaperone-test-no-such-cgroup")).unwrap());
}

#[tokio::test]
async fn a_missing_program_is_seen_and_mended() {
    let bench = Bench::new().unwrap();
    drop(bench.start().unwrap());
    fs::remove_file(bench.config.bpffs.join("sendmsg4")).unwrap();
    let redirect = bench.start().unwrap();
    assert!(redirect.health().unwrap().is_whole());
    assert_eq!(bench.leaf.run(|| send_to("192.0.2.1:443", false)), Err(EPERM));
}

#[tokio::test]
async fn abandoned_handshakes_are_forgotten() {
    let mut bench = Bench::new().unwrap();
    bench.config.listen_v4.truncate(1);
    let at = bench.config.listen_v4[0];
    // A listener that was not made in the daemon's cgroup never takes the origins.
    let mut stranger = bench.outside.spawn(|stranger| {
        let listener = TcpListener::bind(at).unwrap();
        stranger.ready();
        stranger.wait();
        drop(listener);
    });
    stranger.wait();
    let redirect = bench.start().unwrap();
    assert_eq!(bench.leaf.run(|| dial("192.0.2.1:443")), Ok(()));
    assert_eq!(redirect.handshakes().unwrap(), 1);
    assert_eq!(redirect.tend().unwrap().swept, 0, "too young");
    bench.config.handshake_secs = 0;
    let redirect = bench.start().unwrap();
    assert_eq!(redirect.tend().unwrap().swept, 1);
    assert_eq!(redirect.handshakes().unwrap(), 0);
    stranger.go_on();
    stranger.join();
}
