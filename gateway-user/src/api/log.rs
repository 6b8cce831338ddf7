//! Sessions that the launcher makes are recorded as any other.

use super::launcher::{Peer, Recording, SessionLog};
use crate::{
    identify::{EndReason, Identity, Session, VouchError},
    prim::WorkloadName,
    record::Event,
    serve::{Gateway, Presenter},
};

impl SessionLog for Gateway {
    fn enrolled<'a>(&'a self, session: &'a Session) -> Recording<'a> {
        Box::pin(self.enrol(session))
    }

    fn renewed<'a>(&'a self, session: &'a Session, identity: Identity) -> Recording<'a> {
        Box::pin(self.renew(session, identity))
    }

    fn killed<'a>(&'a self, session: &'a Session, uid: u32) -> Recording<'a> {
        Box::pin(async move {
            let recorded = self.end(session, EndReason::Killed).await;
            let event = Event::new("session-killed", "its calls are refused from now on").of_session(session);
            let event = Event { uid: Some(uid), ..event };
            recorded.and(self.recorder.event(event).await)
        })
    }

    fn refused<'a>(
        &'a self,
        workload: &'a WorkloadName,
        session: Option<&'a Session>,
        peer: Peer,
        error: &'a VouchError,
    ) -> Recording<'a, ()> {
        let presenter = Presenter { pid: peer.pid, uid: peer.uid };
        Box::pin(self.not_vouched(workload, session, Some(presenter), error))
    }
}
