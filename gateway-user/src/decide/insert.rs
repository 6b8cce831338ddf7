//! Which secrets are put into a call in the place of their tokens.

use super::{
    Facts, Objection, Policies, Reason,
    names::{ANY_RESOURCE, INSERT},
    policies::Allowed,
    reveal::pairs,
    view::Call,
};
use crate::{
    classify::{Operation, Token},
    identify::Caller,
};

/// What policy says of a token of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// Which token, where, and what it stands for.
    pub token: Token,
    /// The ids of the rules that let the value be put there, or why it is not.
    pub by: Result<Vec<String>, Objection>,
}

/// A token in whose place the value may be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// Which token, where, and what it stands for.
    pub token: Token,
    /// The ids of the rules that permit it; never empty.
    pub rules: Vec<String>,
}

impl Policies {
    /// What policy says of each token of the call, whether the call itself is allowed or not.
    ///
    /// It is decided like a call that needs `Action::"insert"` on every resource of the call, with the place as
    /// `context.field` and where the value came from as `context.secret`. Only rules that name this action permit it;
    /// what forbids every action forbids it, too. A token of which nobody knows what it stands for is permitted by nothing.
    #[must_use]
    pub fn inserts(&self, caller: &Caller, operation: &Operation, facts: Facts<'_>) -> Vec<Insertion> {
        if operation.tokens.is_empty() {
            return Vec::new();
        }
        let pairs = pairs(operation, INSERT);
        let call = Call::new(&caller.session, operation, facts, self.meters());
        let insert = |token: &Token| {
            let by = match &token.secret {
                Some(secret) => self
                    .conclude(&call.inserting(&token.field, secret), &pairs, None)
                    .map(|Allowed { rules, .. }| rules),
                None => {
                    let (action, resource) = (INSERT.to_owned(), ANY_RESOURCE.to_owned());
                    Err(Objection::Deny(Reason::NothingPermits { action, resource }))
                }
            };
            Insertion { token: token.clone(), by }
        };
        operation.tokens.iter().map(insert).collect()
    }
}

/// What is permitted, and what stands against the first that is not, or needs an approval where none is denied.
pub(super) fn inserted(insertions: Vec<Insertion>) -> (Vec<Permitted>, Option<(Token, Objection)>) {
    let (mut permitted, mut against) = (Vec::new(), None);
    for Insertion { token, by } in insertions {
        match by {
            Ok(rules) => permitted.push(Permitted { token, rules }),
            Err(objection) => {
                against = Some(match (against, objection) {
                    (Some((token, Objection::Deny(reason))), _) => (token, Objection::Deny(reason)),
                    (Some((first, Objection::Ask(one))), Objection::Ask(other)) => {
                        (first, Objection::Ask(one.and(other)))
                    }
                    (_, objection) => (token, objection),
                });
            }
        }
    }
    (permitted, against)
}

/// Why a call is not made that has a token.
pub(super) fn not_inserted(token: Option<&Token>, reason: Reason, observed: bool) -> Reason {
    let field = token.map(|token| token.path.clone()).unwrap_or_default();
    let secret = match token.and_then(|token| token.secret.as_deref()) {
        Some(secret) if secret.id.is_empty() => format!("{} of {}", secret.field, secret.operation),
        Some(secret) => format!("{} of {} ({})", secret.field, secret.operation, secret.id),
        None => "a secret".to_owned(),
    };
    Reason::NotInserted { field, secret, reason: Box::new(reason), observed }
}
