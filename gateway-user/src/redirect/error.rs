//! Why agents cannot be redirected, with the remedy where there is one.

use std::{io, path::PathBuf};

use crate::prim::CgroupPath;

/// Why agents cannot be redirected. Nothing that was attached before is taken off.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// There is no cgroup v2.
    #[error("no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup")]
    NoCgroup2,
    /// The slice would be everything.
    #[error(
        "redirect.slice is the root cgroup: that would redirect the whole host; name a cgroup for the agents"
    )]
    SliceIsRoot,
    /// The daemon has no cgroup of its own.
    #[error(
        "the daemon runs in the root cgroup, where its own connections cannot be told from the host's; \
         start it as a service: systemctl start chaperone, or systemd-run --unit chaperone chaperone daemon"
    )]
    ProxyInRoot,
    /// The daemon would redirect itself.
    #[error("the daemon's cgroup {proxy} lies in the agent slice {slice}; start it outside, as a service")]
    ProxyInSlice {
        /// The daemon's cgroup.
        proxy: CgroupPath,
        /// The agent slice.
        slice: CgroupPath,
    },
    /// The pins have no place.
    #[error("{} is not on a bpffs; mount it: mount -t bpf bpf /sys/fs/bpf", path.display())]
    NoBpffs {
        /// The configured directory.
        path: PathBuf,
    },
    /// The configured listeners are unusable.
    #[error("{field}: {reason}")]
    Listeners {
        /// The field of the configuration.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The agents of another slice would be set free.
    #[error(
        "the agents of {bound} are fenced by the pinned programs, but {wanted} is configured; \
         end them and remove that cgroup, or set redirect.slice back"
    )]
    SliceChanged {
        /// Where the pinned programs are attached.
        bound: CgroupPath,
        /// What the configuration names.
        wanted: CgroupPath,
    },
    /// A cgroup cannot be opened or made.
    #[error("cgroup {path}: {source}")]
    Cgroup {
        /// The cgroup.
        path: CgroupPath,
        /// The system's words.
        source: io::Error,
    },
    /// A pin cannot be made or removed.
    #[error("{}: {source}", path.display())]
    Pin {
        /// The path on the bpffs.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The network namespace has no cookie.
    #[error("the cookie of the network namespace (Linux 5.14 or newer): {0}")]
    NetworkNamespace(#[source] io::Error),
    /// The object as a whole was refused.
    #[error("loading the kernel half: {0}")]
    Object(#[source] Box<aya::EbpfError>),
    /// The object lacks a program or map: it was built from other sources.
    #[error("the kernel half has no {name}: the embedded object is of another version")]
    Incomplete {
        /// The program or map.
        name: &'static str,
    },
    /// A program was refused.
    #[error("loading the program {name}: {source}")]
    Program {
        /// The program.
        name: &'static str,
        /// The kernel's reason, with the verifier's log.
        source: Box<aya::programs::ProgramError>,
    },
    /// A map cannot be used.
    #[error("the map {name}: {source}")]
    Map {
        /// The map.
        name: &'static str,
        /// The kernel's reason.
        source: Box<aya::maps::MapError>,
    },
    /// A program cannot be attached or asked for.
    #[error("attaching {hook} to the cgroup {cgroup}: {source}")]
    Attach {
        /// The program.
        hook: &'static str,
        /// The cgroup.
        cgroup: CgroupPath,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The event buffer cannot be read.
    #[error("reading the kernel half's events: {0}")]
    Events(#[source] io::Error),
}
