//! An answer that policy reveals although it is withheld otherwise: what the agent gets of it is on record first.

use http::StatusCode;
use serde_json::json;

use super::{Gateway, refused::Refused};
use crate::{
    decide::{Permit, Revealed},
    identify::Caller,
    prim::CallId,
    record::Event,
};

/// What must be known of a call when its answer comes.
pub(super) struct Revealing {
    call: CallId,
    operation: String,
    resources: Vec<String>,
    revealed: Vec<Revealed>,
}

impl Revealing {
    /// `None` for a call of whose answer nothing is revealed.
    pub(super) fn of(permit: &Permit, call: CallId) -> Option<Self> {
        let (operation, revealed) = (permit.operation(), permit.revealed().to_vec());
        let mut resources: Vec<String> = operation.actions.iter().map(|on| on.resource.clone()).collect();
        resources.sort_unstable();
        resources.dedup();
        let operation = format!("{}:{}", operation.service, operation.name);
        (!revealed.is_empty()).then_some(Self { call, operation, resources, revealed })
    }

    /// An event for each part that the answer reveals, on disk before the agent has any of it. An error of AWS
    /// reveals nothing.
    pub(super) async fn note(
        &self,
        gateway: &Gateway,
        caller: &Caller,
        status: StatusCode,
    ) -> Result<(), Refused> {
        if status.is_client_error() || status.is_server_error() {
            return Ok(());
        }
        for part in &self.revealed {
            gateway.recorder.event(self.event(caller, part)).await?;
        }
        Ok(())
    }

    fn event(&self, caller: &Caller, part: &Revealed) -> Event {
        let mut event =
            Event::new("revealed", "an answer that is withheld otherwise was given to the agent").of(caller);
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
