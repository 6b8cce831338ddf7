//! kernel → origin: loads and pins the eBPF programs, tells where a connection wanted to go.
//!
//! The programs outlive the daemon: their links and maps are pinned on a bpffs. While the daemon is
//! down, agents get `ECONNREFUSED`; a restarted daemon adopts the pins.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use gateway_common::{ABI_VERSION, counter::Counter, event::EventKind};
use tokio::{net::TcpStream, sync::mpsc};

use self::attach::Places;
use crate::{
    cgroup2,
    prim::{AgentAddr, CgroupId, CgroupPath, OriginalDst},
};

mod attach;
mod cgroup;
mod error;
mod events;
mod flows;
mod health;
mod load;
mod pins;
mod sys;

pub use self::{
    attach::Attached,
    cgroup::has_processes,
    error::RedirectError,
    events::Refusal,
    health::{Health, HookHealth},
    load::object_digest,
    pins::detach,
};

/// What the kernel remembers of an agent's `connect()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The address the agent asked for; a v4-mapped one (`::ffff:a.b.c.d`) as IPv4.
    pub destination: OriginalDst,
    /// The leaf cgroup of the connecting task.
    pub cgroup: CgroupId,
    /// The connecting process (thread group id): recorded, never used to identify.
    pub pid: u32,
    /// The connecting user id: recorded, never used to identify.
    pub uid: u32,
}

/// Why a connection has no origin; it is closed.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The kernel has no record: the connection did not come through the redirect.
    #[error("no origin is known for this connection")]
    Unknown,
    /// The record was written by another version of the kernel half.
    #[error("the kernel half speaks ABI {found}, this daemon {expected}")]
    Abi {
        /// The version in the record.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// The kernel refused the question.
    #[error("reading the origin failed: {0}")]
    Io(#[from] io::Error),
}

/// Tells where an accepted connection wanted to go.
///
/// The kernel is the only real implementation; the direct test tier has its own.
pub trait Origins: Send + Sync + 'static {
    /// The origin of `stream`, whose far end is `agent`.
    ///
    /// # Errors
    /// [`OriginError`]; the caller closes the connection.
    fn origin(&self, stream: &TcpStream, agent: AgentAddr) -> Result<Origin, OriginError>;
}

/// Where the listeners are and what is captured.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The cgroup below which every process is an agent, relative to the cgroup v2 mount; it is made
    /// where it does not exist.
    pub slice: String,
    /// Where links and maps are pinned; must lie on a bpffs.
    pub bpffs: PathBuf,
    /// Loopback addresses the daemon listens on for IPv4 (at most 8). Several spread the ports.
    pub listen_v4: Vec<SocketAddr>,
    /// Loopback addresses the daemon listens on for IPv6 (at most 8).
    pub listen_v6: Vec<SocketAddr>,
    /// After how many seconds an unfinished handshake is forgotten. On the loopback it takes
    /// microseconds; the longest connect time-out of Linux is 127 s.
    pub handshake_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        let v4 = |last| SocketAddr::from(([127, 65, 87, last], 4143));
        let v6 = |port| SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        Self {
            slice: "agents.slice".to_owned(),
            bpffs: "/sys/fs/bpf/chaperone".into(),
            listen_v4: (1..=4).map(v4).collect(),
            listen_v6: (4143..=4146).map(v6).collect(),
            handshake_secs: 300,
        }
    }
}

/// The redirect in force. Dropping it changes nothing: the programs stay attached, and agents get
/// `ECONNREFUSED` until the next start.
pub struct Redirect {
    config: Config,
    mount: PathBuf,
    slice: CgroupPath,
    proxy: CgroupPath,
    programs: HashMap<&'static str, OwnedFd>,
    state: Mutex<State>,
}

struct State {
    maps: load::Maps,
    /// Held so that a removed pin does not take the fence off a running daemon's agents.
    links: Vec<OwnedFd>,
    events: Option<RingBuf<MapData>>,
}

/// What [`Redirect::tend`] had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tended {
    /// The fence was not whole (the slice was removed and made again), and is now.
    pub repaired: bool,
    /// Abandoned handshakes that were forgotten.
    pub swept: usize,
}

impl Redirect {
    /// Loads the programs, adopts what a previous start left pinned, and attaches them to the agent
    /// slice and to `proxy_cgroup`, which is the daemon's own (see [`cgroup2::own`]).
    ///
    /// The listeners must be made by a process in that cgroup. Start before announcing them: from
    /// here on agents' connections go there, and are refused until they listen.
    ///
    /// # Errors
    /// [`RedirectError`], which names the remedy where there is one.
    pub fn start(config: &Config, proxy_cgroup: &CgroupPath) -> Result<Self, RedirectError> {
        let slice = CgroupPath::new(&config.slice);
        check_places(&slice, proxy_cgroup)?;
        let mount = cgroup2::mount().ok_or(RedirectError::NoCgroup2)?;
        let places = open_places(&mount, &slice, proxy_cgroup)?;
        pins::prepare(&config.bpffs)?;
        attach::check_slice(&places.slice, &mount, &config.bpffs)?;

        let settings = load::settings(config, &places.slice)?;
        let names = attach::HOOKS.map(|hook| hook.program);
        let (programs, mut maps, events) = load::load(&config.bpffs, &names)?;
        // Before the first program is attached: it refuses everything without settings.
        maps.configure(&settings)?;
        let redirect = Self {
            config: config.clone(),
            mount,
            slice,
            proxy: proxy_cgroup.clone(),
            programs,
            state: Mutex::new(State { maps, links: Vec::new(), events: Some(events) }),
        };
        let attached = redirect.attach(&places)?;
        tracing::info!(
            object = object_digest(),
            abi = ABI_VERSION,
            slice = %redirect.slice,
            proxy = %redirect.proxy,
            adopted = attached.iter().filter(|how| **how == Attached::Adopted).count(),
            attached = attached.len(),
            "the kernel half is in force",
        );
        Ok(redirect)
    }

    /// Tells the origin of the connections that the listeners accept.
    #[must_use]
    pub fn origins(&self) -> Arc<dyn Origins> {
        Arc::new(flows::KernelOrigins)
    }

    /// The refusals from now on, and those that waited while no daemon ran; `None` the second time.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Errors
    /// [`RedirectError::Events`].
    pub fn events(&self) -> Result<Option<mpsc::Receiver<Refusal>>, RedirectError> {
        let ring = self.state().events.take();
        ring.map(events::spawn).transpose().map_err(RedirectError::Events)
    }

    /// Asks the kernel what is effectively attached to the cgroups as they are now.
    ///
    /// # Errors
    /// [`RedirectError::Cgroup`] where one of them is gone, [`RedirectError::Attach`] where the
    /// kernel does not answer.
    pub fn health(&self) -> Result<Health, RedirectError> {
        let slice = cgroup::Cgroup::open(&self.mount, &self.slice)?;
        let proxy = cgroup::Cgroup::open(&self.mount, &self.proxy)?;
        self.check(&Places { slice, proxy })
    }

    /// Makes the fence whole again where the slice was removed and made anew, and forgets abandoned
    /// handshakes. To be called every minute, and before a cgroup is made below the slice.
    ///
    /// # Errors
    /// As for [`Redirect::start`].
    pub fn tend(&self) -> Result<Tended, RedirectError> {
        let places = open_places(&self.mount, &self.slice, &self.proxy)?;
        let repaired = !self.check(&places)?.is_whole();
        if repaired {
            let settings = load::settings(&self.config, &places.slice)?;
            self.state().maps.configure(&settings)?;
            self.attach(&places)?;
            tracing::warn!(slice = %self.slice, "the fence of the agent slice was not whole; it is again");
        }
        let age = Duration::from_secs(self.config.handshake_secs);
        let swept = flows::sweep(&mut self.state().maps.flows, age)
            .map_err(|source| RedirectError::Map { name: "FLOWS", source: Box::new(source) })?;
        Ok(Tended { repaired, swept })
    }

    /// How often something happened since the pinned maps were made, summed over the CPUs.
    ///
    /// # Errors
    /// [`RedirectError::Map`].
    pub fn count(&self, counter: Counter) -> Result<u64, RedirectError> {
        self.state().maps.count(counter as u32)
    }

    /// How often something was refused since the pinned maps were made.
    ///
    /// # Errors
    /// [`RedirectError::Map`].
    pub fn refused(&self, kind: EventKind) -> Result<u64, RedirectError> {
        self.state().maps.count(Counter::of_refusal(kind))
    }

    /// How many handshakes are under way.
    ///
    /// # Errors
    /// [`RedirectError::Map`].
    pub fn handshakes(&self) -> Result<usize, RedirectError> {
        let keys = self.state().maps.flows.keys().collect::<Result<Vec<_>, _>>();
        keys.map(|keys| keys.len())
            .map_err(|source| RedirectError::Map { name: "FLOWS", source: Box::new(source) })
    }

    fn attach(&self, places: &Places) -> Result<Vec<Attached>, RedirectError> {
        let links = attach::attach_all(&self.programs, places, &self.config.bpffs)?;
        let (links, how) = links.into_iter().unzip();
        self.state().links = links;
        Ok(how)
    }

    fn check(&self, places: &Places) -> Result<Health, RedirectError> {
        health::check(places, |hook| {
            let failed = |source| RedirectError::Attach {
                hook: hook.program,
                cgroup: places.of(hook.place).path.clone(),
                source,
            };
            let program =
                self.programs.get(hook.program).ok_or(RedirectError::Incomplete { name: hook.program })?;
            sys::program_id(program.as_fd()).map_err(failed)
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change of the state is whole by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slice, proxy, .. } = self;
        f.debug_struct("Redirect").field("slice", slice).field("proxy", proxy).finish_non_exhaustive()
    }
}

fn check_places(slice: &CgroupPath, proxy: &CgroupPath) -> Result<(), RedirectError> {
    if slice.as_str().is_empty() {
        return Err(RedirectError::SliceIsRoot);
    }
    if proxy.as_str().is_empty() {
        return Err(RedirectError::ProxyInRoot);
    }
    if proxy.is_within(slice) {
        return Err(RedirectError::ProxyInSlice { proxy: proxy.clone(), slice: slice.clone() });
    }
    Ok(())
}

fn open_places(mount: &Path, slice: &CgroupPath, proxy: &CgroupPath) -> Result<Places, RedirectError> {
    let slice = cgroup::Cgroup::open_or_create(mount, slice)?;
    let proxy = cgroup::Cgroup::open(mount, proxy)?;
    Ok(Places { slice, proxy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_has_its_own_cgroup_outside_the_slice() {
        let check = |slice: &str, proxy: &str, expected: Option<&str>| {
            let found = check_places(&CgroupPath::new(slice), &CgroupPath::new(proxy));
            assert_eq!(
                found.err().map(|error| error.to_string().chars().take(40).collect()),
                expected.map(str::to_owned)
            );
        };
        check("agents.slice", "system.slice/chaperone.service", None);
        check("agents.slice", "agents.slices", None);
        check("", "system.slice", Some("redirect.slice is the root cgroup: that "));
        check("agents.slice", "", Some("the daemon runs in the root cgroup, wher"));
        check("agents.slice", "agents.slice", Some("the daemon's cgroup /agents.slice lies i"));
        check("agents.slice", "agents.slice/a", Some("the daemon's cgroup /agents.slice/a lies"));
    }
}
