//! What the kernel would know, told by the test.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use gateway_user::{
    identify::{CgroupError, CgroupTree},
    prim::{AgentAddr, CgroupId, CgroupPath, OriginalDst},
    redirect::{Origin, OriginError, Origins},
};
use tokio::net::TcpStream;

/// The one cgroup that agents of the direct tier live in.
pub(super) const AGENT_CGROUP: &str = "agents.slice/agent-1.service";
const AGENT_CGROUP_ID: CgroupId = CgroupId(4711);

/// Origins by the agent's address, and a cgroup tree of one cgroup.
#[derive(Default)]
pub(super) struct FakeKernel {
    destinations: Mutex<HashMap<SocketAddr, SocketAddr>>,
}

impl FakeKernel {
    pub(super) fn remember(&self, agent: AgentAddr, destination: SocketAddr) {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.0, destination);
    }
}

/// The origin of a connection of the agent to `destination`.
pub(super) fn origin(destination: SocketAddr) -> Origin {
    Origin { destination: OriginalDst(destination), cgroup: AGENT_CGROUP_ID, pid: 4242, uid: 1000 }
}

impl Origins for FakeKernel {
    fn origin(&self, _: &TcpStream, agent: AgentAddr) -> Result<Origin, OriginError> {
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        destinations.remove(&agent.0).map(origin).ok_or(OriginError::Unknown)
    }
}

impl CgroupTree for FakeKernel {
    fn path(&self, id: CgroupId) -> Result<CgroupPath, CgroupError> {
        if id == AGENT_CGROUP_ID { Ok(CgroupPath::new(AGENT_CGROUP)) } else { Err(CgroupError::Gone) }
    }

    fn id(&self, path: &CgroupPath) -> Result<CgroupId, CgroupError> {
        if path.as_str() == AGENT_CGROUP { Ok(AGENT_CGROUP_ID) } else { Err(CgroupError::Gone) }
    }

    fn tag(&self, _: &CgroupPath) -> Result<Option<String>, CgroupError> {
        Ok(None)
    }
}
