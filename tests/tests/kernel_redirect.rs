//! The redirect on a real kernel: real cgroups, real eBPF, real sockets. Needs root.

use std::{
    io,
    net::{SocketAddr, TcpStream},
};

use chaperone_tests::kernel::Bench;
use gateway_user::prim::OriginalDst;

type Errno = i32;

fn errno<T>(result: io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn destinations_of_both_families_reach_the_daemon_with_their_origin() {
    let bench = Bench::new().unwrap();
    let redirect = bench.start().unwrap();
    let listeners = bench.listen().unwrap();
    let check = async |asked: &str, origin: &str| {
        let asked = address(asked);
        let agent = bench.leaf.spawn(|agent| {
            let connected = errno(TcpStream::connect(asked));
            agent.ready();
            agent.wait();
            connected.map(drop)
        });
        let pid = agent.pid();
        let (stream, peer) = listeners.accept().await.unwrap();
        let found = redirect.origins().origin(&stream, peer).unwrap();
        assert_eq!(found.destination, OriginalDst(address(origin)));
        assert_eq!(found.cgroup, bench.leaf.id().unwrap());
        assert_eq!((found.pid, found.uid), (pid, 0));
        let mut agent = agent;
        agent.wait();
        agent.go_on();
        assert_eq!(agent.join(), Ok(()));
    };
    check("192.0.2.1:443", "192.0.2.1:443").await;
    check("198.51.100.7:8443", "198.51.100.7:8443").await;
}
