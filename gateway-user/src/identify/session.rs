//! One run of a workload, and its end.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture, WaitForCancellationFutureOwned};

use super::{
    GivenKeys, Identity, Launch, MINTED_PER_SESSION, Minted, Placeholder, Voucher, WorkloadConfig,
    minted::Kept,
};
use crate::prim::{CgroupId, CgroupPath, SessionId};

/// One run of a workload.
#[derive(Debug)]
pub struct Session {
    /// Its id in records, messages and CloudTrail.
    pub id: SessionId,
    /// The workload it runs.
    pub workload: Arc<WorkloadConfig>,
    /// The session's cgroup: the shallowest one that the workload matches.
    pub cgroup: CgroupPath,
    /// The same cgroup as the kernel numbers it.
    pub cgroup_id: CgroupId,
    /// When it was enrolled.
    pub started: OffsetDateTime,
    /// What its SDKs sign with.
    pub placeholder: Placeholder,
    /// How `chaperone run` started it; `None` for a cgroup that was found in the slice.
    pub launch: Option<Launch>,
    /// Replaced whenever its token is renewed.
    identity: ArcSwap<Identity>,
    /// Held while it is renewed.
    renewing: tokio::sync::Mutex<()>,
    /// One place: held while its token file is read, by the thread that reads it.
    reading: Arc<Semaphore>,
    minted: Kept,
    over: CancellationToken,
    end: OnceLock<EndReason>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its cgroup is gone.
    CgroupGone,
    /// The host was restarted, and with it every process ended.
    HostRestarted,
    /// Its workload is no longer configured.
    WorkloadRemoved,
    /// Its token has expired, and there is no newer one.
    TokenExpired,
    /// A person ended it (`chaperone sessions kill`).
    Killed,
}

impl EndReason {
    /// As records write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CgroupGone => "cgroup-gone",
            Self::HostRestarted => "host-restarted",
            Self::WorkloadRemoved => "workload-removed",
            Self::TokenExpired => "token-expired",
            Self::Killed => "killed",
        }
    }
}

impl Session {
    /// A session that nobody vouched for yet, except where its host alone does.
    #[must_use]
    pub fn new(
        id: SessionId,
        workload: Arc<WorkloadConfig>,
        (cgroup, cgroup_id): (CgroupPath, CgroupId),
        started: OffsetDateTime,
        placeholder: Placeholder,
        launch: Option<Launch>,
    ) -> Self {
        let identity = match workload.identity {
            Voucher::Host => Identity::host(&workload),
            Voucher::Oidc => Identity::nobody(),
        };
        let (over, end) = (CancellationToken::new(), OnceLock::new());
        let identity = ArcSwap::from_pointee(identity);
        let minted = Kept::new(MINTED_PER_SESSION);
        let (renewing, reading) = (tokio::sync::Mutex::default(), Arc::new(Semaphore::new(1)));
        Self {
            id,
            workload,
            cgroup,
            cgroup_id,
            started,
            placeholder,
            launch,
            identity,
            renewing,
            reading,
            minted,
            over,
            end,
        }
    }

    /// With room for so many pairs of keys that AWS gives it.
    #[must_use]
    pub fn with_room(self, minted: usize) -> Self {
        Self { minted: Kept::new(minted), ..self }
    }

    /// Keeps keys that AWS gave for a call of it, under a fresh placeholder. `None` where it is over, or the
    /// system has no random numbers.
    #[must_use]
    pub fn keep(&self, keys: GivenKeys) -> Option<Arc<Minted>> {
        self.minted.keep(keys)
    }

    /// The keys that this placeholder of it stands for; `None` for its own, and for what it does not know.
    #[must_use]
    pub fn minted(&self, access_key_id: &str) -> Option<Arc<Minted>> {
        self.minted.get(access_key_id)
    }

    /// Whether this placeholder stands for keys that AWS gave it, or did until they made room for others.
    #[must_use]
    pub fn had_minted(&self, access_key_id: &str) -> bool {
        self.minted.had(access_key_id)
    }

    /// Who it is, as known now.
    #[must_use]
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.load_full()
    }

    /// Somebody vouched for it.
    pub fn is_known_as(&self, identity: Identity) {
        self.identity.store(Arc::new(identity));
    }

    /// Waits for its turn to be renewed: what is recorded last is what it is known by.
    pub async fn renewing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.renewing.lock().await
    }

    /// The right to read its token file; `None` while somebody does. A file system that does not answer costs it one
    /// thread, however often it is tried.
    pub(super) fn reading(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.reading).try_acquire_owned().ok()
    }

    /// Ends it at once: every call of it that is under way, too. The first reason stays.
    pub fn end(&self, reason: EndReason) {
        // A second end changes nothing.
        let _ = self.end.set(reason);
        self.over.cancel();
        self.minted.close();
    }

    /// Why it has no rights at `now`: it ended, or its token expired and the end is about to be noticed.
    #[must_use]
    pub fn ended(&self, now: OffsetDateTime) -> Option<EndReason> {
        if self.over.is_cancelled() {
            return Some(self.end.get().copied().unwrap_or(EndReason::Killed));
        }
        (!self.identity.load().holds(now)).then_some(EndReason::TokenExpired)
    }

    /// Returns once it has ended.
    pub fn over(&self) -> WaitForCancellationFuture<'_> {
        self.over.cancelled()
    }

    /// As [`Session::over`], for what outlives the borrow.
    pub fn over_owned(&self) -> WaitForCancellationFutureOwned {
        self.over.clone().cancelled_owned()
    }
}
