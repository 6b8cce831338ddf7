//! What a former run of the daemon left: sessions to go on with, and cgroups that get none.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::{Registry, Slot, renew::is_presenter};
use crate::{
    identify::{CgroupError, EndReason, Identity, Launch, Voucher, bindings::Binding, boot::BootId},
    prim::{CgroupId, CgroupPath, SessionId, WorkloadName},
};

/// What the session database knows of a session that has not ended.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// Its id.
    pub id: SessionId,
    /// Its workload's name.
    pub workload: WorkloadName,
    /// Its cgroup.
    pub cgroup: CgroupPath,
    /// The same cgroup as the kernel numbered it.
    pub cgroup_id: CgroupId,
    /// The boot in which that number means something.
    pub boot: BootId,
    /// When it was enrolled.
    pub started: OffsetDateTime,
    /// How it was launched, if `chaperone run` did it.
    pub launch: Option<Launch>,
    /// Who it was last known to be, where a token said so.
    pub identity: Option<Identity>,
}

/// What the session database knows of a token that was accepted and has not expired.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The SHA-256 of what its signature covers, in hexadecimal.
    pub digest: String,
    /// When it ends.
    pub expires: OffsetDateTime,
    /// The workload of the session that it was accepted for.
    pub workload: WorkloadName,
    /// That session's cgroup; `None` where it was of another boot.
    pub cgroup: Option<CgroupId>,
    /// Who launched that session, if `chaperone run` did it.
    pub uid: Option<u32>,
}

/// A boot of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What it is called.
    pub name: String,
    /// Which boot of it.
    pub boot: BootId,
}

impl StoredToken {
    /// A token that was accepted on the host `there`, as it counts `here`: `None` where it is another host's, which has
    /// tokens of its own in the same database. Cgroups of another boot mean nothing.
    #[must_use]
    pub fn counts(self, here: &Host, there: &Host) -> Option<Self> {
        // A boot is of one host, whatever it is called.
        let same_boot = here.boot == there.boot;
        let cgroup = self.cgroup.filter(|_| same_boot);
        (same_boot || here.name == there.name).then_some(Self { cgroup, ..self })
    }
}

impl Registry {
    /// Takes up the sessions that were open when the daemon stopped: the same boot and cgroup is the
    /// same session, with the same id and placeholder. Returns those that ended meanwhile.
    pub fn restore(&self, stored: impl IntoIterator<Item = StoredSession>) -> Vec<(SessionId, EndReason)> {
        stored.into_iter().filter_map(|stored| self.restore_one(stored).err()).collect()
    }

    /// Takes up which tokens were accepted for which cgroups before the daemon was restarted, oldest first; also more than
    /// may be accepted now.
    pub fn bind(&self, stored: impl IntoIterator<Item = StoredToken>) {
        let now = self.clock.now();
        for StoredToken { digest, expires, workload, cgroup, uid } in stored {
            let workload = self.workloads.named(&workload);
            let user = uid.filter(|uid| workload.is_none_or(|workload| is_presenter(*uid, workload)));
            self.tokens().restore(&digest, Binding { cgroup, user, expires }, now);
        }
    }

    /// Remembers the cgroups whose sessions were killed before the daemon was restarted.
    pub fn bar(&self, cgroups: impl IntoIterator<Item = CgroupId>) {
        self.state().barred.extend(cgroups.into_iter().filter(|cgroup| self.tree.exists(*cgroup)));
    }

    fn restore_one(&self, stored: StoredSession) -> Result<(), (SessionId, EndReason)> {
        let ended = |reason| Err((stored.id, reason));
        if stored.boot != self.boot {
            return ended(EndReason::HostRestarted);
        }
        // A tree that cannot be read leaves the session open; the sweep decides later.
        if matches!(self.tree.path(stored.cgroup_id), Err(CgroupError::Gone)) {
            return ended(EndReason::CgroupGone);
        }
        let Some(workload) = self.workloads.named(&stored.workload).cloned() else {
            return ended(EndReason::WorkloadRemoved);
        };
        let StoredSession { id, cgroup, cgroup_id, started, launch, identity, .. } = stored;
        let session = self.session(id, workload, (cgroup, cgroup_id), started, launch);
        if session.workload.identity == Voucher::Oidc {
            // Somebody else who would have to vouch today is asked at the next connection.
            let issuer = session.workload.issuer.as_ref().map(AsRef::as_ref);
            let same = identity.filter(|identity| {
                Some(identity.issuer.as_str()) == issuer
                    && identity.expires.is_some()
                    && session.workload.subjects.fit(&identity.subject)
            });
            let Some(identity) = same.filter(|identity| identity.holds(self.clock.now())) else {
                return Err((id, EndReason::TokenExpired));
            };
            session.is_known_as(identity.in_groups_of(&session.workload));
        }
        // Not bounded by max_sessions: these agents run already, and locking them out helps nobody.
        let slot = Slot { session: Arc::new(session), enrolled: OnceCell::new_with(Some(())) };
        self.state().slots.insert(cgroup_id, Arc::new(slot));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_this_host_count_and_cgroups_of_this_boot() {
        let host = |name: &str, boot: &str| Host { name: name.to_owned(), boot: BootId::new(boot) };
        let counts = |name, boot| {
            let token = StoredToken {
                digest: "d".to_owned(),
                expires: OffsetDateTime::UNIX_EPOCH,
                workload: "builds".parse().unwrap(),
                cgroup: Some(CgroupId(7)),
                uid: Some(1000),
            };
            token.counts(&host("here", "now"), &host(name, boot)).map(|token| (token.cgroup, token.uid))
        };
        assert_eq!(counts("here", "now"), Some((Some(CgroupId(7)), Some(1000))));
        assert_eq!(counts("renamed", "now"), Some((Some(CgroupId(7)), Some(1000))));
        assert_eq!(counts("here", "before"), Some((None, Some(1000))));
        assert_eq!(counts("elsewhere", "before"), None);
    }
}
