//! A caller for tests and fuzz targets of the stages after this one.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Caller, Placeholder, Session, WorkloadConfig};
use crate::{
    prim::{CgroupId, CgroupPath, SessionId},
    secret::SecretText,
};

/// A caller in a session of `workload` that the host vouches for, begun at `started`.
pub(crate) fn caller(workload: WorkloadConfig, started: OffsetDateTime) -> Caller {
    let secret = || SecretText::new("none".to_owned());
    let placeholder = Placeholder {
        access_key_id: "ASIA0000000000000000".to_owned(),
        secret: secret(),
        session_token: secret(),
    };
    let cgroup = (CgroupPath::new("agents.slice/builds"), CgroupId(7));
    let id = SessionId::generate();
    let session = Session::new(id, Arc::new(workload), cgroup, started, placeholder, None);
    Caller { session: Arc::new(session), pid: 1, uid: 1 }
}
