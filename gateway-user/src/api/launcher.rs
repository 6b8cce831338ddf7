//! Makes the sessions and cgroups of `chaperone run`.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tracing::{info, warn};

use super::{
    environment::environment,
    process::{Expected, Process, Refusal},
    wire::{LaunchRequest, Launched, Placement, Token},
};
use crate::{
    clock::Clock,
    identify::{
        CgroupError, IdentifyError, Identity, Launch, Registry, Scopes, Session, VouchError, WorkloadConfig,
        scope, workload,
    },
    prim::{CgroupPath, SessionId, WorkloadName},
    record::RecordError,
    secret::SecretText,
};

/// Something being made durable.
pub type Recording<'a, T = Result<(), RecordError>> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes durable what becomes of sessions.
///
/// The registry may ask twice for one session (see [`Registry::identify`]): storing one that is
/// stored already succeeds.
pub trait SessionLog: Send + Sync + 'static {
    /// Stores `session` and returns once it is on the disk.
    fn enrolled<'a>(&'a self, session: &'a Session) -> Recording<'a>;

    /// Stores that `session` goes on as `identity`, and makes it so.
    fn renewed<'a>(&'a self, session: &'a Session, identity: Identity) -> Recording<'a>;

    /// Stores that the user `uid` ended `session`.
    fn killed<'a>(&'a self, session: &'a Session, uid: u32) -> Recording<'a>;

    /// Stores that a token for `workload` was not accepted that `peer` presented.
    fn refused<'a>(
        &'a self,
        workload: &'a WorkloadName,
        session: Option<&'a Session>,
        peer: Peer,
        error: &'a VouchError,
    ) -> Recording<'a, ()>;
}

/// Who asks, as the kernel says (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
}

/// Why no session was made.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The process that asks ended, or is an agent itself.
    #[error(transparent)]
    Peer(Refusal),
    /// Nothing is configured.
    #[error("no workload is configured")]
    NoWorkloads,
    /// Several are configured and none was named.
    #[error("several workloads are configured, and none was named")]
    WhichWorkload(Vec<WorkloadName>),
    /// The user has enough of them.
    #[error("user {uid} has {limit} launched sessions, which is the most (api.max_launches_per_user)")]
    TooMany {
        /// The user.
        uid: u32,
        /// The bound.
        limit: usize,
    },
    /// The named one is not configured.
    #[error("workload {name} is not configured")]
    UnknownWorkload {
        /// The name.
        name: WorkloadName,
        /// What is configured.
        configured: Vec<WorkloadName>,
    },
    /// The token was accepted for another cgroup, or presented by another user.
    #[error("identity not accepted: the token was presented for another session")]
    TokenOfAnother,
    /// The session could not be enrolled.
    #[error(transparent)]
    Enrol(IdentifyError),
    /// The cgroup could not be made.
    #[error("the session's cgroup could not be made: {0}")]
    Cgroup(CgroupError),
}

/// Why a process was not moved into its session's cgroup.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// No such session waits for a process of this user.
    #[error("session {0} does not wait for a process of yours")]
    NotWaiting(SessionId),
    /// The process is not the one that may be moved.
    #[error(transparent)]
    Process(Refusal),
    /// The kernel refused the move.
    #[error("the process could not be moved: {0}")]
    Cgroup(CgroupError),
}

/// Makes sessions for commands, moves the commands in, and removes the cgroups afterwards.
pub struct Launcher {
    pub(super) registry: Arc<Registry>,
    scopes: Arc<dyn Scopes>,
    pub(super) log: Arc<dyn SessionLog>,
    client_env: Vec<(String, String)>,
    clock: Clock,
    started: OffsetDateTime,
    body_max_bytes: usize,
    max_per_user: usize,
    launch_timeout: Duration,
    launches: Mutex<HashMap<SessionId, Pending>>,
}

/// A launch of this daemon's, until its cgroup is removed.
struct Pending {
    /// The launcher process: while it runs, its command may still be coming.
    launcher: Process,
    uid: u32,
    /// Set while the command is being moved, and once it was: one process per session.
    adopted: bool,
}

impl Launcher {
    /// A launcher over `registry`'s slice. `client_env` is the CA variables every command gets.
    #[must_use]
    pub fn new(
        config: &super::Config,
        registry: Arc<Registry>,
        scopes: Arc<dyn Scopes>,
        log: Arc<dyn SessionLog>,
        client_env: Vec<(String, String)>,
        clock: Clock,
    ) -> Self {
        Self {
            registry,
            scopes,
            log,
            client_env,
            started: clock.now(),
            clock,
            body_max_bytes: config.body_max_bytes,
            max_per_user: config.max_launches_per_user,
            launch_timeout: Duration::from_secs(config.launch_timeout_secs),
            launches: Mutex::default(),
        }
    }

    /// Makes a session and its cgroup for the command of `peer`.
    ///
    /// # Errors
    /// [`LaunchError`]; nothing is left behind.
    pub async fn launch(&self, peer: Peer, request: LaunchRequest) -> Result<Launched, LaunchError> {
        let launcher = self.launcher_process(peer).map_err(LaunchError::Peer)?;
        let workload = self.choose(request.workload)?;
        let id = SessionId::generate();
        {
            let mut launches = self.launches();
            // One user must not use up everybody's sessions.
            let own = launches.values().filter(|pending| pending.uid == peer.uid).count();
            if own >= self.max_per_user {
                return Err(LaunchError::TooMany { uid: peer.uid, limit: self.max_per_user });
            }
            // Known as pending before the cgroup exists: the sweep must not take it for a left-over.
            launches.insert(id, Pending { launcher, uid: peer.uid, adopted: false });
        }
        let command = shorten(request.command, self.body_max_bytes / 2);
        let token = request.token.map(Token::into_secret);
        let result = self.enrol(id, workload, peer, command, token).await;
        if result.is_err() {
            self.launches().remove(&id);
        }
        let session = result?;
        info!(session = %id, workload = %session.workload.name, uid = peer.uid, "session launched");
        Ok(Launched {
            session: id,
            workload: session.workload.name.clone(),
            cgroup: session.cgroup.clone(),
            placement: if peer.uid == 0 { Placement::Clone } else { Placement::Adopt },
            environment: environment(&session, &self.client_env),
            token_expires: session.identity().expires.map(OffsetDateTime::unix_timestamp),
        })
    }

    /// Moves the process `pid`, a fresh child of `peer`, into the cgroup of session `id`.
    ///
    /// # Errors
    /// [`AdoptError`]; the process is where it was.
    pub fn adopt(&self, peer: Peer, id: SessionId, pid: u32) -> Result<(), AdoptError> {
        let session = self.waiting(peer, id)?;
        let result = self.move_in(peer, &session.cgroup, pid);
        if result.is_err()
            && let Some(pending) = self.launches().get_mut(&id)
        {
            pending.adopted = false;
        }
        result
    }

    /// Removes the cgroups of launched sessions that are over: empty, with nobody left to fill them.
    /// [`Registry::ended`] finds those sessions gone afterwards. Call it right before that.
    pub fn sweep(&self) {
        let slice = self.registry.workloads().slice();
        // No slice, no scopes.
        for cgroup in self.scopes.children(slice).unwrap_or_default() {
            let Some(id) = scope::session_of(slice, &cgroup) else { continue };
            if self.may_still_be_filled(id) || !matches!(self.scopes.populated(&cgroup), Ok(false)) {
                continue;
            }
            match self.scopes.remove(&cgroup) {
                Ok(()) | Err(CgroupError::Gone) => drop(self.launches().remove(&id)),
                // A process came after all, or the kernel is still cleaning up: next time.
                Err(error) => tracing::debug!(%cgroup, %error, "a session's cgroup is not removed yet"),
            }
        }
    }

    fn may_still_be_filled(&self, id: SessionId) -> bool {
        match self.launches().get(&id) {
            Some(pending) => pending.launcher.is_running(),
            // Made by the daemon before this one: its launcher may have got the answer just then.
            None => self.clock.now() - self.started < self.launch_timeout,
        }
    }

    /// The process that asks, which must be no agent.
    pub(super) fn launcher_process(&self, peer: Peer) -> Result<Process, Refusal> {
        let launcher = Process::open(peer.pid)?;
        let cgroup = launcher.cgroup()?;
        // An agent must not choose another workload for its children.
        if cgroup.is_within(self.registry.workloads().slice()) {
            return Err(Refusal::AlreadyAgent { pid: peer.pid, cgroup });
        }
        Ok(launcher)
    }

    fn choose(&self, name: Option<WorkloadName>) -> Result<Arc<WorkloadConfig>, LaunchError> {
        let workloads = self.registry.workloads();
        let configured = || workloads.all().map(|workload| workload.name.clone()).collect();
        match name {
            Some(name) => workloads
                .named(&name)
                .cloned()
                .ok_or_else(|| LaunchError::UnknownWorkload { name, configured: configured() }),
            None => {
                let mut all = workloads.all();
                match (all.next(), all.next()) {
                    (None, _) => Err(LaunchError::NoWorkloads),
                    (Some(only), None) => Ok(Arc::clone(only)),
                    (Some(_), Some(_)) => Err(LaunchError::WhichWorkload(configured())),
                }
            }
        }
    }

    async fn enrol(
        &self,
        id: SessionId,
        workload: Arc<WorkloadConfig>,
        peer: Peer,
        command: Vec<String>,
        token: Option<SecretText>,
    ) -> Result<Arc<Session>, LaunchError> {
        // The session that it was presented for may have ended just now.
        if token.as_ref().is_some_and(|token| self.registry.is_bound(token)) {
            self.sweep();
        }
        let cgroup = scope::path(self.registry.workloads().slice(), &workload.name, id);
        // Tagged, so that the cgroup still says whose it is when the database is lost.
        let cgroup_id =
            self.scopes.create(&cgroup, workload::tag_of(&workload)).map_err(LaunchError::Cgroup)?;
        let record = async |session: &Session| self.log.enrolled(session).await;
        let name = workload.name.clone();
        let place = (cgroup.clone(), cgroup_id);
        let launch = Launch { command, uid: peer.uid };
        let enrolled = self.registry.launched(id, workload, place, launch, token, record).await;
        if enrolled.is_err()
            && let Err(error) = self.scopes.remove(&cgroup)
        {
            warn!(%cgroup, %error, "the cgroup of a session that was not enrolled stays");
        }
        if let Err(IdentifyError::NotVouched { error, .. }) = &enrolled {
            self.log.refused(&name, None, peer, error).await;
        }
        enrolled.map_err(|error| match error {
            IdentifyError::NotVouched { error: VouchError::TokenOfAnother, .. } => {
                LaunchError::TokenOfAnother
            }
            error => LaunchError::Enrol(error),
        })
    }

    /// The session, marked as taken: of two requests at once, one gets it.
    fn waiting(&self, peer: Peer, id: SessionId) -> Result<Arc<Session>, AdoptError> {
        let session = self.registry.open().into_iter().find(|session| session.id == id);
        let mut launches = self.launches();
        match (session, launches.get_mut(&id)) {
            (Some(session), Some(pending)) if pending.uid == peer.uid && !pending.adopted => {
                pending.adopted = true;
                Ok(session)
            }
            _ => Err(AdoptError::NotWaiting(id)),
        }
    }

    fn move_in(&self, peer: Peer, cgroup: &CgroupPath, pid: u32) -> Result<(), AdoptError> {
        let slice = self.registry.workloads().slice();
        let expected = Expected { parent: peer.pid, uid: peer.uid, slice };
        let process = Process::open(pid).map_err(AdoptError::Process)?;
        let before = process.cgroup().map_err(AdoptError::Process)?;
        process.check(&expected).map_err(AdoptError::Process)?;
        // Between the check and the move the child could open a socket (it is still outside the
        // fence), or end and leave its number to a stranger. The kernel offers no move by pidfd, so
        // both are looked for afterwards: sockets opened after the move are fenced, and a pidfd that
        // still runs had the number all along. A stranger, or a child with a socket, is put back.
        self.scopes.admit(cgroup, pid).map_err(AdoptError::Cgroup)?;
        process.check_kind(&expected).map_err(|refusal| {
            match self.scopes.admit(&before, pid) {
                Ok(()) => warn!(pid, %cgroup, %refusal, "a process was moved into a session and back"),
                Err(error) => warn!(pid, %cgroup, %refusal, %error, "a process could not be moved back"),
            }
            AdoptError::Process(refusal)
        })
    }

    fn launches(&self) -> MutexGuard<'_, HashMap<SessionId, Pending>> {
        self.launches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Launcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launcher").field("launches", &self.launches().len()).finish_non_exhaustive()
    }
}

/// The command line within `max` bytes; what was cut shows as `…`.
fn shorten(command: Vec<String>, max: usize) -> Vec<String> {
    let mut left = max;
    let mut kept = Vec::new();
    for argument in command {
        if argument.len() > left {
            kept.push("…".to_owned());
            break;
        }
        left -= argument.len();
        kept.push(argument);
    }
    kept
}

#[cfg(test)]
pub(in crate::api) mod tests;
