//! What the kernel would know, told by the test.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use gateway_user::{
    identify::{CgroupError, CgroupTree},
    prim::{AgentAddr, CgroupId, CgroupPath, OriginalDst},
    redirect::{Origin, OriginError, Origins},
};
use tokio::net::TcpStream;

/// A cgroup that agents of the direct tier live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cgroup: &'static str,
    id: CgroupId,
}

/// Where agents live unless a test says otherwise.
pub(super) const AGENT: Place = Place { cgroup: "agents.slice/agent-1.service", id: CgroupId(4711) };
/// Another of the same workload.
pub(super) const FELLOW: Place = Place { cgroup: "agents.slice/agent-2.service", id: CgroupId(4713) };
/// Another workload's.
pub(super) const NEIGHBOUR: Place = Place { cgroup: "agents.slice/neighbour-1.service", id: CgroupId(4712) };

/// Origins by the agent's address, and a cgroup tree of three cgroups.
#[derive(Default)]
pub(super) struct FakeKernel {
    origins: Mutex<HashMap<SocketAddr, Origin>>,
    /// [`AGENT`] is no more.
    gone: AtomicBool,
}

impl FakeKernel {
    pub(super) fn remove_agent(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    fn found(&self, wanted: impl Fn(&Place) -> bool) -> Result<Place, CgroupError> {
        let lives = |place: &Place| *place != AGENT || !self.gone.load(Ordering::SeqCst);
        let found = [AGENT, FELLOW, NEIGHBOUR].into_iter().find(wanted);
        found.filter(lives).ok_or(CgroupError::Gone)
    }

    pub(super) fn remember(&self, agent: AgentAddr, origin: Origin) {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.0, origin);
    }
}

impl Place {
    /// The origin of a connection from here to `destination`.
    pub(super) fn origin(self, destination: SocketAddr) -> Origin {
        Origin { destination: OriginalDst(destination), cgroup: self.id, pid: 4242, uid: 1000 }
    }
}

impl Origins for FakeKernel {
    fn origin(&self, _: &TcpStream, agent: AgentAddr) -> Result<Origin, OriginError> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.remove(&agent.0).ok_or(OriginError::Unknown)
    }
}

impl CgroupTree for FakeKernel {
    fn path(&self, id: CgroupId) -> Result<CgroupPath, CgroupError> {
        self.found(|place| place.id == id).map(|place| CgroupPath::new(place.cgroup))
    }

    fn id(&self, path: &CgroupPath) -> Result<CgroupId, CgroupError> {
        self.found(|place| place.cgroup == path.as_str()).map(|place| place.id)
    }

    fn tag(&self, _: &CgroupPath) -> Result<Option<String>, CgroupError> {
        Ok(None)
    }
}
