//! An answer that policy or the configuration reveals although it is withheld otherwise: that it does is on record before the
//! request leaves.
//!
//! Before, and not when AWS answers: some of these requests carry a credential of the agent's own, which counts once AWS
//! has the request, whatever becomes of the answer.

use serde_json::json;

use super::{Gateway, refused::Refused};
use crate::{
    decide::{Permit, Revealed},
    identify::Caller,
    mask::Asked,
    prim::CallId,
    record::Event,
};

/// What is revealed of a call's answer.
pub(super) struct Revealing {
    call: CallId,
    operation: String,
    resources: Vec<String>,
    revealed: Vec<Revealed>,
}

impl Revealing {
    /// `None` for a call of whose answer nothing is revealed.
    pub(super) fn of(gateway: &Gateway, permit: &Permit, call: CallId) -> Option<Self> {
        let operation = permit.operation();
        let mut revealed = permit.revealed().to_vec();
        for (path, rule) in gateway.masks.revealed(Asked::of(operation)) {
            revealed.push(Revealed { field: path.into(), rules: vec![rule] });
        }
        let (resources, operation) = (operation.resources(), operation.full_name());
        (!revealed.is_empty()).then_some(Self { call, operation, resources, revealed })
    }

    /// An event for each part that may be revealed, on disk before AWS has the request. What came of it is in the call's
    /// outcome.
    pub(super) async fn note(&self, gateway: &Gateway, caller: &Caller) -> Result<(), Refused> {
        for part in &self.revealed {
            gateway.recorder.event(self.event(caller, part)).await?;
        }
        Ok(())
    }

    fn event(&self, caller: &Caller, part: &Revealed) -> Event {
        let mut event = Event::new("revealed", "an answer is revealed that is withheld otherwise").of(caller);
        event.detail = json!({
            "call_id": self.call.to_string(),
            "operation": self.operation,
            "field": part.field,
            "rules": part.rules,
            "resources": self.resources,
        });
        event
    }
}
