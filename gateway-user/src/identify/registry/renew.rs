//! A session's newer tokens.

use super::Registry;
use crate::{
    identify::{Identity, Session, VouchError, WorkloadConfig, bindings::Binding, vouch::from_file},
    issuer::TokenError,
    secret::SecretText,
};

impl Registry {
    /// Who the session is by the token in its file, where that is another than the one it is known by; the
    /// caller records it and calls [`Session::is_known_as`].
    pub async fn renewal(&self, session: &Session) -> Option<Result<Identity, VouchError>> {
        if session.launch.as_ref().is_some_and(|launch| launch.uid != 0) {
            return None;
        }
        match from_file(session).await {
            Ok(None) => None,
            Ok(Some(token)) => {
                let known = session.identity();
                let same = known.token.as_ref().is_some_and(|known| known.expose() == token.expose());
                if same { None } else { Some(self.renewed(session, token).await) }
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Who a newer token says that `session` is.
    ///
    /// # Errors
    /// [`VouchError`]: it is not accepted, or is somebody else's.
    pub async fn renewed(&self, session: &Session, token: SecretText) -> Result<Identity, VouchError> {
        self.accepted(session, self.vouchers.renewed(session, token).await?)
    }

    /// A token may be verified just after its end, because its issuer's clock may be off. A session ends at that
    /// very moment all the same: there is none to begin, or to go on, with such a token. Nor is there with one that
    /// was accepted for another cgroup.
    pub(super) fn accepted(&self, session: &Session, identity: Identity) -> Result<Identity, VouchError> {
        let now = self.clock.now();
        if !identity.holds(now) {
            return Err(TokenError::Expired.into());
        }
        if let (Some(digest), Some(expires)) = (&identity.token_digest, identity.expires) {
            let uid = session.launch.as_ref().map(|launch| launch.uid);
            let user = uid.filter(|uid| is_presenter(*uid, &session.workload));
            let binding = Binding { cgroup: Some(session.cgroup_id), user, expires };
            self.tokens().bind(digest, binding, now, |cgroup| self.tree.exists(cgroup))?;
        }
        Ok(identity)
    }

    /// Whether this token was accepted before.
    #[must_use]
    pub fn is_bound(&self, token: &SecretText) -> bool {
        self.tokens().knows(&Identity::digest(token), self.clock.now())
    }
}

/// Whether a user who launches `workload` has presented the token himself: root may have left it to the file.
pub(super) fn is_presenter(uid: u32, workload: &WorkloadConfig) -> bool {
    uid != 0 || workload.token_file.is_none()
}
