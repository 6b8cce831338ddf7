//! What is looked at again and again: whether sessions are over, and whether their tokens are newer.

use super::Gateway;
use crate::identify::{EndReason, Session};

impl Gateway {
    /// Ends the sessions whose cgroup is gone.
    pub async fn end_gone(&self) {
        for session in self.registry.gone() {
            // What is not recorded is tried again, see `record_ends`.
            let _ = self.end(&session, EndReason::CgroupGone).await;
        }
    }

    /// Ends the sessions whose token has expired.
    pub async fn end_expired(&self) {
        for session in self.registry.expired() {
            // As above.
            let _ = self.end(&session, EndReason::TokenExpired).await;
        }
    }

    /// Lets a session go on with the token in its file, where that is another than it had.
    pub async fn renew_from_file(&self, session: &Session) {
        match self.registry.renewal(session).await {
            None => {}
            Some(Ok(identity)) => {
                if let Err(error) = self.renew(session, identity).await {
                    // The next look finds the file changed still.
                    tracing::error!(session = %session.id, %error, "a renewed token could not be recorded");
                }
            }
            Some(Err(error)) => self.not_vouched(&session.workload.name, Some(session), None, &error).await,
        }
    }
}
