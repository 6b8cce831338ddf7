//! Secrets that policy lets be put into a request in the place of their tokens: that they are is on record before the request
//! leaves.

use bytes::Bytes;
use serde_json::json;

use super::{Gateway, refused::Refused};
use crate::{
    decide::{Permit, Permitted},
    identify::Caller,
    insert::{InsertError, Inserted},
    parse::VerifiedRequest,
    prim::CallId,
    record::Event,
};

/// Bytes that any format needs for one of a value, at the most.
const ESCAPED_MAX: usize = 6;

/// What is put into a request.
pub(super) struct Inserting {
    call: CallId,
    operation: String,
    resources: Vec<String>,
    /// Each with the digest of its value.
    inserted: Vec<(Permitted, Option<[u8; 16]>)>,
}

/// Bytes that a body with the values in the place of its tokens may take, besides the body itself; 0 where it has none.
pub(super) fn room(gateway: &Gateway, caller: &Caller, permit: &Permit, body: Option<&Bytes>) -> usize {
    if permit.inserted().is_empty() {
        return 0;
    }
    let value = |one: &Permitted| gateway.tokens.value(caller.session.id, &one.token.text);
    let values = permit.inserted().iter().filter_map(value).map(|value| value.expose().len());
    let more = values.fold(0, |sum: usize, length| sum.saturating_add(length.saturating_mul(ESCAPED_MAX)));
    more.saturating_add(body.map_or(0, Bytes::len)).min(gateway.config.inspect_max_bytes)
}

/// Puts the values of all tokens that the permit names into the request.
pub(super) fn insert(
    gateway: &Gateway,
    caller: &Caller,
    permit: &Permit,
    request: &VerifiedRequest,
) -> Result<Option<Inserted>, InsertError> {
    let value = |token: &str| gateway.tokens.value(caller.session.id, token);
    Inserted::of(permit, request, value, gateway.config.inspect_max_bytes)
}

impl Inserting {
    /// `None` for a call that nothing is put into.
    pub(super) fn of(gateway: &Gateway, caller: &Caller, permit: &Permit, call: CallId) -> Option<Self> {
        if permit.inserted().is_empty() {
            return None;
        }
        let digest = |one: &Permitted| Some(gateway.tokens.value(caller.session.id, &one.token.text)?.digest);
        let operation = permit.operation();
        let mut resources: Vec<String> = operation.actions.iter().map(|on| on.resource.clone()).collect();
        resources.sort_unstable();
        resources.dedup();
        Some(Self {
            call,
            operation: format!("{}:{}", operation.service, operation.name),
            resources,
            inserted: permit.inserted().iter().map(|one| (one.clone(), digest(one))).collect(),
        })
    }

    /// An event for each of them, on disk before AWS has the request. What came of it is in the call's outcome.
    pub(super) async fn note(&self, gateway: &Gateway, caller: &Caller) -> Result<(), Refused> {
        for (one, digest) in &self.inserted {
            gateway.recorder.event(self.event(caller, one, *digest)).await?;
        }
        Ok(())
    }

    fn event(&self, caller: &Caller, one: &Permitted, digest: Option<[u8; 16]>) -> Event {
        let Permitted { token, rules } = one;
        let mut event =
            Event::new("inserted", "policy lets a secret be put into a request in the place of its token")
                .of(caller);
        let from = token.secret.as_deref().map(|secret| {
            json!({
                "operation": secret.operation,
                "field": secret.field,
                "resource": secret.resource,
                "id": secret.id,
            })
        });
        event.detail = json!({
            "call_id": self.call.to_string(),
            "operation": self.operation,
            "field": token.field,
            "path": token.path,
            "rules": rules,
            "resources": self.resources,
            // Not "secret": what is called so is not recorded.
            "from": from,
            "digest": digest.map(hex::encode),
        });
        event
    }
}
