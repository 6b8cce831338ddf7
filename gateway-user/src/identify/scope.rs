//! The cgroups the launcher makes: one per session, directly below the agent slice.
//!
//! The name carries the session's id, so that a daemon that starts anew can tell which cgroups are
//! its own to remove without having written that down anywhere.

use crate::prim::{CgroupPath, SessionId, WorkloadName};

/// The cgroup of a session that the launcher starts: `SLICE/chaperone-WORKLOAD-SESSION.scope`.
#[must_use]
pub fn path(slice: &CgroupPath, workload: &WorkloadName, session: SessionId) -> CgroupPath {
    CgroupPath::new(&format!("{}/chaperone-{workload}-{session}.scope", slice.as_str()))
}

/// The session that a cgroup was made for; `None` for cgroups that the launcher did not make.
#[must_use]
pub fn session_of(slice: &CgroupPath, cgroup: &CgroupPath) -> Option<SessionId> {
    let name = cgroup.as_str().strip_prefix(slice.as_str())?.trim_start_matches('/');
    let middle = name.strip_prefix("chaperone-")?.strip_suffix(".scope")?;
    let (workload, id) = middle.rsplit_once("-s-")?;
    workload.parse::<WorkloadName>().ok()?;
    format!("s-{id}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_its_session_and_nothing_else_does() {
        let slice = CgroupPath::new("agents.slice");
        let session = SessionId::generate();
        let workload = "web-s-1".parse().unwrap();
        let scope = path(&slice, &workload, session);
        assert_eq!(scope.as_str(), format!("agents.slice/chaperone-web-s-1-{session}.scope"));
        assert_eq!(session_of(&slice, &scope), Some(session));

        let check = |cgroup: &str| {
            assert_eq!(session_of(&slice, &CgroupPath::new(cgroup)), None, "{cgroup}");
        };
        check("agents.slice");
        check("agents.slice/claude-1.service");
        check("agents.slice/chaperone-web-s-12.scope");
        check(&format!("other.slice/chaperone-web-{session}.scope"));
        check(&format!("agents.slice/sub/chaperone-web-{session}.scope"));
        check(&format!("agents.slice/chaperone-web-{session}.scope/sub"));
        check(&format!("agents.slice/chaperone-web-{session}.service"));
        check(&format!("agents.slice/chaperone-{session}.scope"));
    }
}
