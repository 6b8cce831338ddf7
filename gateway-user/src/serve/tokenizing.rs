//! Values of an answer for which tokens stand, where the configuration says so.

use std::sync::Arc;

use serde_json::json;

use super::Gateway;
use crate::{
    classify::Operation,
    clock::Clock,
    identify::{Caller, CredentialSource, Session},
    mask::{DIGEST_LEN, Field, Replace},
    record::Event,
    tokens::{NotKept, Secret, Tokens, Unkept},
};

/// Gives tokens for the values of one answer.
#[derive(Clone)]
pub(super) struct Tokenizing {
    tokens: Arc<Tokens>,
    session: Arc<Session>,
    clock: Clock,
    /// Where its values come from, but for the field.
    from: Arc<Secret>,
}

impl Tokenizing {
    /// `None` where no token could ever be put back: what the agent signs itself stays as it is.
    pub(super) fn of(gateway: &Gateway, caller: &Caller, operation: &Operation) -> Option<Self> {
        if caller.session.workload.credentials == CredentialSource::Passthrough {
            return None;
        }
        Some(Self {
            tokens: Arc::clone(&gateway.tokens),
            session: Arc::clone(&caller.session),
            clock: gateway.clock.clone(),
            from: Arc::new(operation.origin()),
        })
    }

    fn secret(&self, field: &Field) -> Secret {
        Secret { field: field.path.to_string(), ..Secret::clone(&self.from) }
    }

    fn note(&self, secret: Secret, why: NotKept) {
        self.tokens.note(Unkept { session: Arc::clone(&self.session), secret, why });
    }
}

impl Replace for Tokenizing {
    fn replacement(&mut self, field: &Field, digest: [u8; DIGEST_LEN], value: &[u8]) -> Option<String> {
        let secret = self.secret(field);
        let kept = self.tokens.keep(&self.session, self.clock.now(), &secret, digest, value);
        kept.map_err(|why| self.note(secret, why)).ok()
    }

    fn too_long(&mut self, field: &Field) {
        self.note(self.secret(field), NotKept::Value);
    }
}

/// A value was hidden for good, although a token was to stand for it.
pub(super) fn event(unkept: &Unkept) -> Event {
    let Unkept { session, secret, why } = unkept;
    let message = "a value was hidden for good, although a token was to stand for it";
    let mut event = Event::new("token-not-kept", message).of_session(session);
    event.detail = json!({ "operation": secret.operation, "field": secret.field, "reason": why.to_string() });
    event
}
