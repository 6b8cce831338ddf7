//! What a running session's owner may ask: a newer token, or the end.

use std::sync::Arc;

use super::{
    launcher::{Launcher, Peer},
    process::Refusal,
    wire::{Renewed, Token},
};
use crate::{
    identify::{Session, VouchError},
    prim::SessionId,
    record::RecordError,
};

/// Why a session was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The process that asks ended, or is an agent itself.
    #[error(transparent)]
    Peer(Refusal),
    /// There is none, or it is another user's.
    #[error("you have no open session {0}")]
    NotYours(SessionId),
    /// The newer token is not accepted.
    #[error("identity not accepted{}", told(.0))]
    NotVouched(VouchError),
    /// It could not be recorded.
    #[error("it could not be recorded: {0}")]
    Record(RecordError),
}

/// What the owner of a session may know: it says nothing of how tokens are checked.
fn told(error: &VouchError) -> String {
    match error {
        VouchError::OlderToken | VouchError::TokenOfAnother => format!(": {error}"),
        _ => String::new(),
    }
}

impl Launcher {
    /// Lets the session go on with a newer token.
    ///
    /// # Errors
    /// [`ControlError`]; the session is known by the token it had.
    pub async fn renew(&self, peer: Peer, id: SessionId, token: Token) -> Result<Renewed, ControlError> {
        let session = self.owned(peer, id)?;
        let renewed = self.registry.renewed(&session, token.into_secret()).await;
        let identity = match renewed {
            Ok(identity) => identity,
            Err(error) => {
                self.log.refused(&session.workload.name, Some(&session), peer, &error).await;
                return Err(ControlError::NotVouched(error));
            }
        };
        self.log.renewed(&session, identity).await.map_err(ControlError::Record)?;
        Ok(Renewed { expires: session.identity().expires.map(time::OffsetDateTime::unix_timestamp) })
    }

    /// Ends the session at once, and for good: its cgroup gets no other.
    ///
    /// # Errors
    /// [`ControlError`]. After a [`ControlError::Record`] the session is over all the same.
    pub async fn kill(&self, peer: Peer, id: SessionId) -> Result<(), ControlError> {
        self.owned(peer, id)?;
        let session = self.registry.kill(id).ok_or(ControlError::NotYours(id))?;
        tracing::warn!(session = %id, workload = %session.workload.name, uid = peer.uid, "session killed");
        self.log.killed(&session, peer.uid).await.map_err(ControlError::Record)
    }

    /// The session, if it is the peer's own, or the peer is root; never for an agent.
    fn owned(&self, peer: Peer, id: SessionId) -> Result<Arc<Session>, ControlError> {
        self.launcher_process(peer).map_err(ControlError::Peer)?;
        let session = self.registry.open().into_iter().find(|session| session.id == id);
        let owned = |session: &Session| {
            peer.uid == 0 || session.launch.as_ref().is_some_and(|launch| launch.uid == peer.uid)
        };
        session.filter(|session| owned(session)).ok_or(ControlError::NotYours(id))
    }
}
