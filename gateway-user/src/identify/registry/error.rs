//! Why a connection has no caller.

use std::error::Error;

use crate::{
    identify::{EndReason, VouchError, cgroup::CgroupError},
    prim::{CgroupId, CgroupPath, SessionId, WorkloadName},
};

/// Why a connection has no caller; it is refused and recorded as an event.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// The connection does not come from the agent slice.
    #[error("cgroup {cgroup} is not below the agent slice")]
    NotAnAgent {
        /// The leaf.
        cgroup: CgroupPath,
    },
    /// No workload of the configuration answers.
    #[error("no workload is configured for cgroup {cgroup}")]
    NoWorkload {
        /// The leaf.
        cgroup: CgroupPath,
    },
    /// Two workloads answer at the same depth.
    #[error("both workload {first} and workload {second} answer for cgroup {cgroup}")]
    Ambiguous {
        /// The leaf.
        cgroup: CgroupPath,
        /// The workload that comes first in the configuration.
        first: WorkloadName,
        /// The other one.
        second: WorkloadName,
    },
    /// The cgroup ended while the connection was being identified.
    #[error("the connection's cgroup {} is gone", .0.0)]
    CgroupGone(CgroupId),
    /// The cgroup tree could not be read.
    #[error("the cgroup tree could not be read: {0}")]
    Tree(#[source] CgroupError),
    /// Nobody vouches for it.
    #[error("workload {workload} in cgroup {cgroup}: {error}")]
    NotVouched {
        /// The workload.
        workload: WorkloadName,
        /// The cgroup that would be the session.
        cgroup: CgroupPath,
        /// Why not.
        error: VouchError,
    },
    /// The session is over, and its connections with it.
    #[error("session {session} is over: {}", reason.as_str())]
    Over {
        /// The session.
        session: SessionId,
        /// Its workload.
        workload: WorkloadName,
        /// Why it ended.
        reason: EndReason,
    },
    /// A person ended the cgroup's session.
    #[error("the session of cgroup {cgroup} was killed")]
    Killed {
        /// The session's cgroup.
        cgroup: CgroupPath,
        /// The workload that answers for it today.
        workload: Option<WorkloadName>,
    },
    /// The bound on sessions is reached.
    #[error("{0} sessions are open, and [identify] max_sessions allows no more")]
    TooManySessions(usize),
    /// The session could not be made durable.
    #[error("the session could not be recorded: {0}")]
    RecordFailed(#[source] Box<dyn Error + Send + Sync>),
}

impl IdentifyError {
    /// Whether the connection is an agent's whose identity is not accepted: it is told so in the
    /// words of the protocol, and no more.
    #[must_use]
    pub fn is_about_identity(&self) -> bool {
        matches!(self, Self::NotVouched { .. } | Self::Over { .. } | Self::Killed { .. })
    }

    /// The workload, where one answers.
    #[must_use]
    pub fn workload(&self) -> Option<&WorkloadName> {
        match self {
            Self::NotVouched { workload, .. } | Self::Over { workload, .. } => Some(workload),
            Self::Killed { workload, .. } => workload.as_ref(),
            _ => None,
        }
    }

    /// A fixed word for queries, where the identity is the matter.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::NotVouched { error, .. } => Some(error.reason()),
            Self::Over { reason, .. } => Some(reason.as_str()),
            Self::Killed { .. } => Some(EndReason::Killed.as_str()),
            _ => None,
        }
    }
}
