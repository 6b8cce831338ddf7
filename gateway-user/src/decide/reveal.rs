//! What of an answer an agent gets only where policy reveals it.

use std::{collections::HashSet, sync::Arc};

use super::{Facts, Objection, Policies, Reason, names::REVEAL, policies::Allowed, view::Call};
use crate::{
    classify::{ActionOn, Operation, answer::WHOLE},
    identify::Caller,
};

/// What policy says of a part of an answer that is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reveal {
    /// Which part, as [`Operation::withheld`] names it.
    pub field: Arc<str>,
    /// The ids of the rules that reveal it, or why it stays withheld.
    pub by: Result<Vec<String>, Objection>,
}

/// A part of an answer that the agent gets although it is withheld otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revealed {
    /// Which part, as [`Operation::withheld`] names it.
    pub field: Arc<str>,
    /// The ids of the rules that reveal it; never empty.
    pub rules: Vec<String>,
}

impl Policies {
    /// What policy says of each part of the answer that is withheld, whether the call itself is allowed or not.
    ///
    /// It is decided like a call that needs `Action::"reveal"` on every resource of the call, with the part as
    /// `context.field`. Only rules that name this action permit it; what forbids every action forbids it, too.
    #[must_use]
    pub fn reveals(&self, caller: &Caller, operation: &Operation, facts: Facts<'_>) -> Vec<Reveal> {
        // What hides parts needs no decision where nothing could reveal them.
        if operation.withheld.is_empty() || !self.reveal_anything() && !operation.is_withheld() {
            return Vec::new();
        }
        let pairs = pairs(operation, REVEAL);
        let call = Call::new(&caller.session, operation, facts, self.meters());
        let reveal = |field: &Arc<str>| {
            let said = self.conclude(&call.revealing(field), &pairs, None);
            Reveal { field: Arc::clone(field), by: said.map(|Allowed { rules, .. }| rules) }
        };
        operation.withheld.iter().map(reveal).collect()
    }
}

/// This action, on each resource of the call once.
pub(super) fn pairs(operation: &Operation, action: &str) -> Vec<ActionOn> {
    let mut seen = HashSet::new();
    let resources = operation.actions.iter().map(|pair| &pair.resource);
    resources
        .filter(|resource| seen.insert(*resource))
        .map(|resource| ActionOn { action: action.to_owned(), resource: resource.clone() })
        .collect()
}

/// The parts that are revealed; or what stands against the whole answer, without which there is no call.
pub(super) fn revealed(reveals: Vec<Reveal>) -> (Vec<Revealed>, Option<Objection>) {
    let (mut revealed, mut withheld) = (Vec::new(), None);
    for Reveal { field, by } in reveals {
        match by {
            Ok(rules) => revealed.push(Revealed { field, rules }),
            Err(objection) if *field == *WHOLE => withheld = Some(objection),
            Err(_) => {}
        }
    }
    (revealed, withheld)
}

/// Why a call is not made whose answer is withheld as a whole.
pub(super) fn not_revealed(reason: Reason, observed: bool) -> Reason {
    Reason::NotRevealed { reason: Box::new(reason), observed }
}
