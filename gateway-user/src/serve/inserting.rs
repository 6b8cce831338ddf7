//! Secrets that policy lets be put into a request in the place of their tokens: that they are is on record before the request
//! leaves.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use super::{Gateway, intake::IntakeError, masking, refused::Refused};
use crate::{
    decide::{Permit, Permitted},
    identify::Caller,
    insert::{InsertError, Inserted},
    mask::{KNOWN_MAX, Known, KnownError},
    parse::VerifiedRequest,
    prim::CallId,
    record::Event,
    share::Share,
    tokens::Value,
};

/// Bytes that any format needs for one of a value, at the most.
const ESCAPED_MAX: usize = 6;
/// Bytes of values from which on the search for them is made beside the runtime: it takes a millisecond and more.
const AT_ONCE: usize = 16 * 1024;

/// What is put into a request: looked up once, so that what is decided, recorded, sent and looked for in the answer is the same.
pub(super) struct Inserting {
    operation: String,
    resources: Vec<String>,
    inserted: Vec<(Permitted, Arc<Value>)>,
    /// By which the values are found in the answer.
    known: Option<Arc<Known>>,
    /// Bytes that the new body may have.
    most: usize,
}

impl Inserting {
    /// `None` for a call that nothing is put into. With it comes the room that the search for its values takes.
    ///
    /// # Errors
    /// [`InsertError::Gone`]: what was known when the call was decided is not any more; [`InsertError::TooMuch`]; no room.
    pub(super) async fn of(
        gateway: &Gateway,
        caller: &Caller,
        permit: &Permit,
    ) -> Result<Option<(Self, Share)>, Refused> {
        if permit.inserted().is_empty() {
            return Ok(None);
        }
        let value = |one: &Permitted| {
            let value = gateway.tokens.value(caller.session.id, &one.token.text);
            Ok((one.clone(), value.ok_or(InsertError::Gone)?))
        };
        let inserted: Vec<(Permitted, Arc<Value>)> =
            permit.inserted().iter().map(value).collect::<Result<_, InsertError>>()?;
        let values: Vec<Arc<Value>> = inserted.iter().map(|(_, value)| Arc::clone(value)).collect();
        let most = Known::most(values.iter().map(|value| value.expose())).map_err(unsearchable)?;
        // Before the search is made, which takes it.
        let room = gateway.memory.take(caller.session.id, most).map_err(IntakeError::from)?;
        let (known, room) = search(values, room).await?;
        let operation = permit.operation();
        let inserting = Self {
            operation: operation.full_name(),
            resources: operation.resources(),
            inserted,
            known,
            most: gateway.config.inspect_max_bytes,
        };
        Ok(Some((inserting, room)))
    }

    /// Bytes that the new body may take besides the body itself.
    pub(super) fn room(&self, body: Option<&Bytes>) -> usize {
        let values = self.inserted.iter().map(|(_, value)| value.expose().len().saturating_mul(ESCAPED_MAX));
        values.fold(body.map_or(0, Bytes::len), usize::saturating_add).min(self.most)
    }

    /// For who looks for the values in the answer.
    pub(super) fn known(&self) -> masking::Inserted {
        masking::Inserted { known: self.known.clone() }
    }

    /// Puts the values of all tokens into the request that they were permitted in.
    pub(super) fn insert(
        &self,
        permit: &Permit,
        request: &VerifiedRequest,
    ) -> Result<Option<Inserted>, InsertError> {
        let named = |token: &str| self.inserted.iter().find(|(one, _)| one.token.text == token);
        Inserted::of(permit, request, |token| Some(Arc::clone(&named(token)?.1)), self.most)
    }

    /// An event for each of them, on disk before AWS has the request. What came of it is in the call's outcome.
    pub(super) async fn note(&self, gateway: &Gateway, caller: &Caller, call: CallId) -> Result<(), Refused> {
        for (one, value) in &self.inserted {
            gateway.recorder.event(self.event(caller, call, one, value)).await?;
        }
        Ok(())
    }

    fn event(&self, caller: &Caller, call: CallId, one: &Permitted, value: &Value) -> Event {
        let Permitted { token, rules } = one;
        let mut event =
            Event::new("inserted", "policy lets a secret be put into a request in the place of its token")
                .of(caller);
        let from: Map<String, Json> =
            value.secret.parts().iter().map(|(name, part)| ((*name).to_owned(), Json::from(*part))).collect();
        event.detail = json!({
            "call_id": call.to_string(),
            "operation": self.operation,
            "field": token.field,
            "path": token.path,
            "rules": rules,
            "resources": self.resources,
            // Not "secret": what is called so is not recorded.
            "from": from,
            "digest": hex::encode(value.digest),
        });
        event
    }
}

/// What finds these values in the answer, and what is left of the room for it. `room` is kept while it is made, though nobody waited
/// any more.
async fn search(
    values: Vec<Arc<Value>>,
    mut room: Share,
) -> Result<(Option<Arc<Known>>, Share), InsertError> {
    let size: usize = values.iter().map(|value| value.expose().len()).sum();
    let make = move || {
        let known = Known::new(values.iter().map(|value| (value.expose(), value.digest)))?.map(Arc::new);
        room.shrink(known.as_ref().map_or(0, |known| known.size()));
        Ok((known, room))
    };
    let made = if size > AT_ONCE {
        tokio::task::spawn_blocking(make).await.map_err(|_| InsertError::Unfaithful)?
    } else {
        make()
    };
    made.map_err(unsearchable)
}

fn unsearchable(error: KnownError) -> InsertError {
    match error {
        KnownError::TooMuch => InsertError::TooMuch(KNOWN_MAX),
        KnownError::Search => InsertError::Unfaithful,
    }
}
