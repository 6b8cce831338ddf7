//! Looking at a process without being fooled by a reused pid.
//!
//! What `/proc/PID` shows is about whichever process has that number at that moment. A pidfd is
//! about one process; while it says "still running", the number cannot have been given to another.
//! So: open the pidfd, read, and ask the pidfd afterwards.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::prim::CgroupPath;

/// Descriptors a process may have to be looked at: a fresh launcher's child has five.
const DESCRIPTORS_MAX: usize = 64;

/// A process, held by its pidfd.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

/// What a process must be to be moved into an agent's cgroup.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// Its parent: the process that asks.
    pub parent: u32,
    /// Its user, in all four roles: the user who asks.
    pub uid: u32,
    /// The agent slice, which it must not be in.
    pub slice: &'a CgroupPath,
}

/// Why a process is not moved.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It ended, or never was.
    #[error("process {0} is gone")]
    Gone(u32),
    /// Its parent is another process.
    #[error("process {pid} is not a child of process {parent}, which asks")]
    NotYourChild {
        /// The process.
        pid: u32,
        /// Who asks.
        parent: u32,
    },
    /// It runs as another user.
    #[error("process {pid} does not run as user {uid}, who asks")]
    OtherUser {
        /// The process.
        pid: u32,
        /// Who asks.
        uid: u32,
    },
    /// It has more than one thread.
    #[error("process {pid} has {threads} threads instead of one")]
    Threads {
        /// The process.
        pid: u32,
        /// How many it has.
        threads: u32,
    },
    /// It is an agent already.
    #[error("process {pid} runs inside the agent slice already, in cgroup {cgroup}")]
    AlreadyAgent {
        /// The process.
        pid: u32,
        /// Where it is.
        cgroup: CgroupPath,
    },
    /// It holds a descriptor through which it could reach the network past the gateway.
    #[error("process {pid} holds descriptor {fd}, a {kind}, which an agent must not bring along")]
    Descriptor {
        /// The process.
        pid: u32,
        /// The descriptor.
        fd: u32,
        /// What it is.
        kind: String,
    },
    /// It could not be looked at.
    #[error("looking at process {pid} failed: {source}")]
    Unreadable {
        /// The process.
        pid: u32,
        /// The system's words.
        source: io::Error,
    },
}

/// `AUDIT_UID_UNSET`.
const NO_LOGIN: u32 = u32::MAX;

impl Process {
    /// Holds on to the process that has the number `pid` now.
    ///
    /// # Errors
    /// [`Refusal::Gone`] when there is none.
    pub fn open(pid: u32) -> Result<Self, Refusal> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Refusal::Gone(pid))?;
        match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err(Errno::SRCH | Errno::INVAL) => Err(Refusal::Gone(pid)),
            Err(errno) => Err(Refusal::Unreadable { pid, source: errno.into() }),
        }
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Who logged in, of whose login this process is (`audit_setuid`, loginuid): what is known of a person who became root.
    /// `None` where nobody did, or the kernel does not say.
    #[must_use]
    pub fn login_uid(&self) -> Option<u32> {
        let uid = self.read("loginuid").ok()?.trim().parse().ok()?;
        self.still_running().ok()?;
        (uid != NO_LOGIN).then_some(uid)
    }

    /// Whether the process has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !readable(self.pidfd.as_fd())
    }

    /// The process's cgroup in the v2 hierarchy.
    ///
    /// # Errors
    /// [`Refusal::Gone`], or that `/proc` could not be read.
    pub fn cgroup(&self) -> Result<CgroupPath, Refusal> {
        let text = self.read("cgroup")?;
        // cgroups(7): the v2 hierarchy's line is `0::PATH`.
        let path = text.lines().find_map(|line| line.strip_prefix("0::"));
        let path = path.map(CgroupPath::new).ok_or_else(|| self.malformed("cgroup"))?;
        self.still_running().map(|()| path)
    }

    /// Whether this is the fresh child that the launcher says it is.
    ///
    /// What this does not see, because the launching user could as well not use the launcher and is
    /// trusted with their own processes: a descriptor table shared with the parent (`CLONE_FILES`;
    /// `execve` ends the sharing), sockets in flight inside a unix socket on descriptors 0 to 2, and
    /// a tracer. An *agent* gains nothing by any of it: it is in the slice, so it may not ask.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), Refusal> {
        let pid = self.pid;
        let cgroup = self.cgroup()?;
        if cgroup.is_within(expected.slice) {
            return Err(Refusal::AlreadyAgent { pid, cgroup });
        }
        self.check_kind(expected)
    }

    /// [`Process::check`] without the cgroup, for after the move.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_kind(&self, expected: &Expected<'_>) -> Result<(), Refusal> {
        let pid = self.pid;
        let status = self.read("status")?;
        let numbers = |name: &str| -> Result<Vec<u32>, Refusal> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().map(|text| text.parse().ok()).collect())
                .ok_or_else(|| self.malformed("status"))
        };
        if numbers("PPid:")? != [expected.parent] {
            return Err(Refusal::NotYourChild { pid, parent: expected.parent });
        }
        // Real, effective, saved and file system user: no privilege may be waiting in any of them.
        if numbers("Uid:")? != [expected.uid; 4] {
            return Err(Refusal::OtherUser { pid, uid: expected.uid });
        }
        // A second thread could open a socket between the check and the move.
        if let threads = numbers("Threads:")?
            && threads != [1]
        {
            return Err(Refusal::Threads { pid, threads: threads.first().copied().unwrap_or(0) });
        }
        self.check_descriptors()?;
        self.still_running()
    }

    /// An allow-list: pipes, files and terminals; unix sockets on descriptors 0 to 2. What is not
    /// known here could be a socket of any family, an io_uring with sockets registered, or a pidfd.
    /// (The launcher's child has closed all but its standard ones and two pipes.)
    fn check_descriptors(&self) -> Result<(), Refusal> {
        let unreadable = |source: io::Error| self.unreadable(source);
        let directory = format!("/proc/{}/fd", self.pid);
        for (seen, entry) in fs::read_dir(&directory).map_err(unreadable)?.enumerate() {
            let name = entry.map_err(unreadable)?.file_name();
            let fd: u32 =
                name.to_str().and_then(|name| name.parse().ok()).ok_or_else(|| self.malformed("fd"))?;
            let path = format!("{directory}/{fd}");
            let target = match fs::read_link(&path) {
                Ok(target) => target.to_string_lossy().into_owned(),
                // Closed between the listing and the look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(error)),
            };
            let allowed = seen < DESCRIPTORS_MAX
                && (target.starts_with("pipe:[")
                    || target.starts_with('/')
                    || fd <= 2 && target.starts_with("socket:[") && is_unix_socket(&path));
            if !allowed {
                return Err(Refusal::Descriptor { pid: self.pid, fd, kind: kind_of(&path, &target) });
            }
        }
        Ok(())
    }

    fn read(&self, file: &str) -> Result<String, Refusal> {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).map_err(|source| self.unreadable(source))
    }

    fn still_running(&self) -> Result<(), Refusal> {
        if self.is_running() { Ok(()) } else { Err(Refusal::Gone(self.pid)) }
    }

    fn unreadable(&self, source: io::Error) -> Refusal {
        // ENOENT and ESRCH are how /proc says that a process ended.
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::SRCH) => Refusal::Gone(self.pid),
            _ => Refusal::Unreadable { pid: self.pid, source },
        }
    }

    fn malformed(&self, file: &str) -> Refusal {
        let source =
            io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{}/{file} is malformed", self.pid));
        Refusal::Unreadable { pid: self.pid, source }
    }
}

/// The protocol of the socket behind a `/proc/PID/fd` link, as the kernel names it ("TCP", "UDPv6",
/// "UNIX-STREAM", "NETLINK", "PACKET" …): sockets answer it as an extended attribute.
fn protocol(path: &str) -> Option<String> {
    let mut name = [0_u8; 64];
    let length = rustix::fs::getxattr(path, "system.sockprotoname", &mut name).ok()?;
    let name = std::str::from_utf8(name.get(..length)?).ok()?;
    Some(name.trim_end_matches('\0').to_owned())
}

fn is_unix_socket(path: &str) -> bool {
    protocol(path).is_some_and(|name| name == "UNIX" || name == "UNIX-STREAM")
}

fn kind_of(path: &str, target: &str) -> String {
    match protocol(path) {
        Some(name) => format!("{name} socket"),
        None => format!("descriptor of {target}"),
    }
}

/// Whether a poll would report the descriptor readable: for a pidfd, that the process ended.
fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, of a descriptor that the borrow keeps open; no waiting.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready != 0
}

#[cfg(test)]
mod tests;
