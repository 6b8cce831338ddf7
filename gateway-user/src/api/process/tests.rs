use std::{
    fs::File,
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
};

use super::*;

/// A child that lives until the test ends it.
struct Cat(Child);

impl Cat {
    fn with(stdout: impl Into<Stdio>) -> Self {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::null()).spawn();
        Self(child.unwrap())
    }

    fn process(&self) -> Process {
        Process::open(self.0.id()).unwrap()
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn slice() -> CgroupPath {
    CgroupPath::new("agents.slice")
}

fn expected(slice: &CgroupPath) -> Expected<'_> {
    Expected { parent: std::process::id(), uid: rustix::process::geteuid().as_raw(), slice }
}

#[test]
fn a_fresh_child_may_bring_files_pipes_and_unix_sockets() {
    let slice = slice();
    let (unix, _far) = UnixStream::pair().unwrap();
    for stdout in [Stdio::null(), Stdio::piped(), Stdio::from(OwnedFd::from(unix))] {
        let cat = Cat::with(stdout);
        cat.process().check(&expected(&slice)).unwrap();
    }
}

#[test]
fn no_socket_into_the_network_comes_along() {
    let check = |socket: OwnedFd, name: &str| {
        let cat = Cat::with(socket);
        let refusal = cat.process().check(&expected(&slice())).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!(
                "process {} holds descriptor 1, a {name} socket, which an agent must not bring along",
                cat.0.id()
            )
        );
    };
    check(TcpListener::bind("127.0.0.1:0").unwrap().into(), "TCP");
    check(TcpListener::bind("[::1]:0").unwrap().into(), "TCPv6");
    check(UdpSocket::bind("127.0.0.1:0").unwrap().into(), "UDP");
    let netlink = rustix::net::socket_with(
        rustix::net::AddressFamily::NETLINK,
        rustix::net::SocketType::RAW,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    );
    check(netlink.unwrap(), "NETLINK");
}

#[test]
fn beyond_standard_error_no_socket_at_all() {
    let slice = slice();
    let check = |fd: OwnedFd, expected_kind: Option<&str>| {
        // The shell moves it to descriptor 7 and becomes a program that leaves it alone.
        let mut child = Command::new("sh")
            .args(["-c", "exec 7<&0 </dev/null; echo ready; exec sleep infinity"])
            .stdin(fd)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let result = Process::open(child.id()).unwrap().check(&expected(&slice));
        let _ = child.kill();
        child.wait().unwrap();
        match (result, expected_kind) {
            (Ok(()), None) => {}
            (Err(Refusal::Descriptor { fd: 7, kind, .. }), Some(text)) if kind.contains(text) => {}
            (result, _) => panic!("{result:?} instead of {expected_kind:?}"),
        }
    };
    let (reader, _writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    check(reader, None);
    check(File::open("/dev/null").unwrap().into(), None);
    let (unix, _far) = UnixStream::pair().unwrap();
    check(unix.into(), Some("UNIX"));
    let pidfd = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
    check(pidfd, Some("pidfd"));
}

#[test]
fn only_ones_own_fresh_child() {
    let cat = Cat::with(Stdio::null());
    let (slice, root) = (slice(), CgroupPath::new(""));
    let mine = expected(&slice);
    let check = |expected: &Expected<'_>, text: &str| {
        let refusal = cat.process().check(expected).unwrap_err().to_string();
        assert!(refusal.contains(text), "{refusal}");
    };
    check(&Expected { parent: 1, ..mine.clone() }, "is not a child of process 1, which asks");
    check(&Expected { uid: 4242, ..mine.clone() }, "does not run as user 4242, who asks");
    check(&Expected { slice: &root, ..mine.clone() }, "runs inside the agent slice already");

    // The test itself has the harness's thread beside this one.
    let us = Process::open(std::process::id()).unwrap();
    let parent = std::os::unix::process::parent_id();
    let refusal = us.check(&Expected { parent, ..mine }).unwrap_err();
    assert!(matches!(refusal, Refusal::Threads { threads: 2.., .. }), "{refusal}");
}

#[test]
fn a_process_that_ended_is_not_taken_for_another() {
    let mut cat = Cat::with(Stdio::null());
    let process = cat.process();
    assert!(process.is_running());
    cat.0.kill().unwrap();
    cat.0.wait().unwrap();
    assert!(!process.is_running());
    let pid = cat.0.id();
    assert!(matches!(process.check(&expected(&slice())), Err(Refusal::Gone(gone)) if gone == pid));
    assert!(matches!(Process::open(pid), Err(Refusal::Gone(_))));
    assert!(matches!(Process::open(0), Err(Refusal::Gone(0))));
    assert!(matches!(Process::open(u32::MAX), Err(Refusal::Gone(_))));
}
