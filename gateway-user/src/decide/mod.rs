//! policy × caller × operation → `Verdict`; an Allow carries the `Permit`. *pure*

use std::fmt;

use time::OffsetDateTime;

use self::{
    policies::{Allowed, Judgement},
    view::Call,
};
use crate::{
    classify::{ActionOn, Operation},
    identify::{Caller, Mode},
    parse::RequestDigest,
};

mod arn;
mod check;
mod elsewhere;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod infer;
mod insert;
mod lexical;
mod members;
mod meters;
mod names;
mod never;
mod outline;
mod policies;
mod question;
mod reads;
mod reveal;
mod rule;
mod source;
mod syntax;
#[cfg(any(test, fuzzing))]
mod testing;
#[cfg(test)]
mod tests;
mod typed;
mod usage;
mod view;

pub use self::{
    error::{PolicyError, PolicyErrors, Position},
    insert::{Insertion, Permitted},
    outline::{Actions, Outline, Piece, Place},
    policies::Policies,
    question::{Approvable, Approvals, Question, Terms, Wanted},
    reveal::{Reveal, Revealed},
    usage::{Charge, DayUsage, SessionUsage, Supposed, sum_name},
};

/// The proof of an Allow, bound to one canonical request. Only a permit can be signed.
///
/// Only [`Policies::decide`] makes one; its fields are private (E0451):
///
/// ```compile_fail,E0451
/// # fn forge(operation: gateway_user::classify::Operation) -> gateway_user::decide::Permit {
/// gateway_user::decide::Permit {
///     operation, rules: vec![], role: None, objection: None, revealed: vec![], inserted: vec![],
/// }
/// # }
/// ```
/// Whoever has one may look at it:
///
/// ```
/// # fn look(permit: &gateway_user::decide::Permit) -> &gateway_user::classify::Operation {
/// gateway_user::decide::Permit::operation(permit)
/// # }
/// ```
#[derive(Debug)]
pub struct Permit {
    operation: Operation,
    rules: Vec<String>,
    role: Option<String>,
    objection: Option<Objection>,
    revealed: Vec<Revealed>,
    inserted: Vec<Permitted>,
}

impl Permit {
    /// A permit without a decision, for tests of the stages after it.
    #[cfg(test)]
    pub(crate) fn for_tests(operation: Operation, rules: Vec<String>) -> Self {
        Self { operation, rules, role: None, objection: None, revealed: Vec::new(), inserted: Vec::new() }
    }
    fn of(
        operation: Operation,
        allowed: Allowed,
        objection: Option<Objection>,
        revealed: Vec<Revealed>,
        inserted: Vec<Permitted>,
    ) -> Self {
        let Allowed { mut rules, role } = allowed;
        let of_parts = revealed.iter().flat_map(|part| &part.rules);
        for rule in of_parts.chain(inserted.iter().flat_map(|part| &part.rules)) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        Self { operation, rules, role, objection, revealed, inserted }
    }
    /// What was allowed.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }
    /// The ids of the rules that allowed it; of those that objected, where that is only observed. In both
    /// cases also of those that reveal its answer, or let secrets be put into it.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.rules
    }
    /// The ARN of the role that the rules want it done in (`@role`); `None`: the workload's own.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }
    /// What policy has against the call, where the workload is only observed.
    #[must_use]
    pub fn objection(&self) -> Option<&Objection> {
        self.objection.as_ref()
    }
    /// What is withheld of its answer unless policy reveals it, and is revealed.
    #[must_use]
    pub fn revealed(&self) -> &[Revealed] {
        &self.revealed
    }
    /// The tokens of the call, in whose place values may be put: all that it has.
    #[must_use]
    pub fn inserted(&self) -> &[Permitted] {
        &self.inserted
    }
    /// The canonical request it was given for.
    #[must_use]
    pub fn digest(&self) -> RequestDigest {
        self.operation.digest
    }
}

/// Why a call is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// These rules forbid it.
    Forbidden {
        /// Rule ids.
        rules: Vec<String>,
    },
    /// No rule permits this action on this resource.
    NothingPermits {
        /// The first action that nothing permits.
        action: String,
        /// Its resource.
        resource: String,
    },
    /// A rule could not be evaluated, so it must not be skipped.
    EvaluationFailed {
        /// Rule ids.
        rules: Vec<String>,
        /// Cedar's words.
        detail: String,
    },
    /// Its parts are permitted in different roles, and it can be signed in one only.
    DifferentRoles {
        /// Their ARNs, or that one is the workload's own.
        roles: Vec<String>,
    },
    /// Its answer is withheld as a whole, and policy does not reveal it.
    NotRevealed {
        /// What policy says to `Action::"reveal"`.
        reason: Box<Reason>,
        /// Whether the workload is only observed: observing reveals nothing.
        observed: bool,
    },
    /// A secret would be put into it in the place of a token, and policy does not permit that.
    NotInserted {
        /// Into which parameter.
        field: String,
        /// Which secret, in words.
        secret: String,
        /// What policy says to `Action::"insert"`, or to the call.
        reason: Box<Reason>,
        /// Whether the workload is only observed: observing inserts nothing.
        observed: bool,
    },
}

impl Reason {
    /// The ids of the rules that decided; empty where no rule did.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        match self {
            Self::Forbidden { rules } | Self::EvaluationFailed { rules, .. } => rules,
            Self::NothingPermits { .. } | Self::DifferentRoles { .. } => &[],
            Self::NotRevealed { reason, .. } | Self::NotInserted { reason, .. } => reason.rules(),
        }
    }
}

/// In words, for messages to agents and logs.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden { rules } => write!(f, "forbidden by {}", rules.join(", ")),
            Self::NothingPermits { action, resource } => write!(f, "no rule permits {action} on {resource}"),
            Self::EvaluationFailed { rules, detail } => {
                write!(f, "{} could not be evaluated: {detail}", rules.join(", "))
            }
            Self::DifferentRoles { roles } => {
                write!(f, "it would have to be done in different roles: {}", roles.join(", "))
            }
            Self::NotRevealed { reason, observed } => {
                let although = if *observed { ", although the workload is only observed" } else { "" };
                write!(f, "its answer carries credentials, which policy does not reveal{although}: {reason}")
            }
            Self::NotInserted { field, secret, reason, observed } => {
                let although = if *observed { ", although the workload is only observed" } else { "" };
                write!(f, "policy does not let {secret} be put into {field}{although}: {reason}")
            }
        }
    }
}

/// A denied call: what it was and why.
#[derive(Debug, Clone)]
pub struct Denial {
    /// What was asked for.
    pub operation: Operation,
    /// Why not.
    pub reason: Reason,
}

/// What policy says to a call.
#[derive(Debug)]
pub enum Verdict {
    /// It may happen.
    Allow(Permit),
    /// It may happen if somebody approves of it.
    Ask(Question),
    /// It may not.
    Deny(Denial),
}

/// What policy has against a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It denies it.
    Deny(Reason),
    /// Somebody would have to approve of it.
    Ask(Approvals),
}

impl Objection {
    /// The ids of the rules that deny or ask.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        match self {
            Self::Deny(reason) => reason.rules().to_vec(),
            Self::Ask(approvals) => approvals.rules(),
        }
    }
}

impl Objection {
    /// The approvals that are wanted; `None` where none would help.
    fn asks(self) -> Option<Approvals> {
        match self {
            Self::Ask(approvals) => Some(approvals),
            Self::Deny(_) => None,
        }
    }
}

/// In words, for logs and records.
impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny(reason) => write!(f, "{reason}"),
            Self::Ask(approvals) => write!(f, "it needs the approval of {approvals}"),
        }
    }
}

/// What policies can read besides the call itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The time of the decision.
    pub now: OffsetDateTime,
    /// What its session was allowed before.
    pub session: &'a SessionUsage,
    /// What all sessions of its workload were allowed within a day.
    pub day: &'a DayUsage,
}

impl Policies {
    /// Decides every (action, resource) pair of `operation`; all must be allowed.
    ///
    /// A rule that cannot be evaluated denies the call, whether it is a `permit` or a `forbid`. A
    /// resource that cannot be computed (`*`) satisfies no `permit` that looks at the resource and
    /// escapes no `forbid` that does; a rule that names `Resource::"*"` is taken at its word.
    ///
    /// Where nothing forbids the call and an approval would permit it, the verdict is a question.
    /// Where the workload is only observed, a call that policy objects to is allowed, and the permit
    /// says so.
    ///
    /// A call whose answer is withheld as a whole must be revealed as well ([`Policies::reveals`]). Policy is enforced
    /// on it also where the workload is only observed: neither part of the decision is set aside. The same holds for a call
    /// with tokens, in whose place secrets must be permitted ([`Policies::inserts`]).
    #[must_use]
    pub fn decide(&self, caller: &Caller, operation: Operation, facts: Facts<'_>) -> Verdict {
        if operation.actions.is_empty() {
            // Nothing asked for would be nothing denied.
            let action = operation.full_name();
            let reason = Reason::NothingPermits { action, resource: names::ANY_RESOURCE.to_owned() };
            return Verdict::Deny(Denial { operation, reason });
        }
        let workload = &caller.session.workload;
        let observed = workload.mode == Mode::Observe;
        // What reveals and inserts is in addition to what permits: the call itself is not only observed then.
        let enforced = !observed || operation.is_withheld() || !operation.tokens.is_empty();
        let call = Call::new(&caller.session, &operation, facts, self.meters());
        let said = self.conclude(&call, &operation.actions, workload.role_arn.as_deref());
        let (revealed, withheld) = reveal::revealed(self.reveals(caller, &operation, facts));
        let (inserted, refused) = insert::inserted(self.inserts(caller, &operation, facts));
        let mut asks = Vec::new();
        let denied = match (&said, withheld, refused) {
            (Err(Objection::Deny(reason)), ..) if enforced => Some(match observed {
                true if operation.is_withheld() => reveal::not_revealed(reason.clone(), observed),
                true => insert::not_inserted(operation.tokens.first(), reason.clone(), observed),
                false => reason.clone(),
            }),
            (_, Some(Objection::Deny(reason)), _) => Some(reveal::not_revealed(reason, observed)),
            (_, _, Some((token, Objection::Deny(reason)))) => {
                Some(insert::not_inserted(Some(&token), reason, observed))
            }
            (said, withheld, refused) => {
                let own = said.as_ref().err().filter(|_| enforced).cloned();
                let others = [withheld, refused.map(|(_, objection)| objection)].into_iter().flatten();
                asks.extend(own.into_iter().chain(others).filter_map(Objection::asks));
                None
            }
        };
        if let Some(reason) = denied {
            return Verdict::Deny(Denial { operation, reason });
        }
        if let Some(approvals) = asks.into_iter().reduce(Approvals::and) {
            return Verdict::Ask(Question { operation, approvals, observed });
        }
        let (allowed, objection) = match said {
            Ok(allowed) => (allowed, None),
            Err(objection) => (Allowed { rules: objection.rules(), role: None }, Some(objection)),
        };
        Verdict::Allow(Permit::of(operation, allowed, objection, revealed, inserted))
    }

    /// What the rules say to all `pairs` of a call; `own` is the role that naming none means.
    fn conclude(&self, call: &Call<'_>, pairs: &[ActionOn], own: Option<&str>) -> Result<Allowed, Objection> {
        let mut all = Judgement::default();
        for pair in pairs {
            all.add(self.judge(call, pair), pair);
        }
        let unpermitted = all.unpermitted();
        match all.conclude(own) {
            Ok(allowed) => Ok(allowed),
            // Only what nothing forbids can be approved of.
            Err(reason @ Reason::NothingPermits { .. }) => Err(match self.ask(call, unpermitted) {
                Some(approvals) => Objection::Ask(approvals),
                None => Objection::Deny(reason),
            }),
            Err(reason) => Err(Objection::Deny(reason)),
        }
    }

    /// Who would have to approve; `None` where some pair is permitted by nobody.
    fn ask(&self, call: &Call<'_>, unpermitted: Vec<&ActionOn>) -> Option<Approvals> {
        let mut wanted = Vec::with_capacity(unpermitted.len());
        for pair in unpermitted {
            let any_of = self.approvable(call, pair);
            if any_of.is_empty() {
                return None;
            }
            wanted.push(Wanted { pair: pair.clone(), any_of });
        }
        Approvals::of(wanted)
    }
}

/// Where the policies are.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of `*.cedar` files.
    pub dir: std::path::PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { dir: "/etc/chaperone/policies".into() }
    }
}
