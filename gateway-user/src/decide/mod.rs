//! policy × caller × operation → `Verdict`; an Allow carries the `Permit`. *pure*

use std::fmt;

use time::OffsetDateTime;

use self::{policies::Judgement, view::Call};
use crate::{classify::Operation, identify::Caller, parse::RequestDigest};

mod arn;
mod check;
mod error;
mod lexical;
mod names;
mod policies;
mod reads;
mod rule;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod view;

pub use self::{
    error::{PolicyError, PolicyErrors, Position},
    policies::Policies,
};

/// The proof of an Allow, bound to one canonical request. Only a permit can be signed.
///
/// Only [`Policies::decide`] makes one; its fields are private (E0451):
///
/// ```compile_fail,E0451
/// # fn forge(operation: gateway_user::classify::Operation) -> gateway_user::decide::Permit {
/// gateway_user::decide::Permit { operation, rules: Vec::new() }
/// # }
/// ```
#[derive(Debug)]
pub struct Permit {
    operation: Operation,
    rules: Vec<String>,
}

impl Permit {
    /// A permit without a decision, for tests of the stages after it.
    #[cfg(test)]
    pub(crate) fn for_tests(operation: Operation, rules: Vec<String>) -> Self {
        Self { operation, rules }
    }
    /// What was allowed.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }
    /// The ids of the rules that allowed it.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.rules
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
}

impl Reason {
    /// The ids of the rules that decided; empty where no rule did.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        match self {
            Self::Forbidden { rules } | Self::EvaluationFailed { rules, .. } => rules,
            Self::NothingPermits { .. } => &[],
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
    /// It may not.
    Deny(Denial),
}

/// Facts about the calling session that policies can read.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The time of the decision.
    pub now: OffsetDateTime,
}

impl Policies {
    /// Decides every (action, resource) pair of `operation`; all must be allowed.
    ///
    /// A rule that cannot be evaluated denies the call, whether it is a `permit` or a `forbid`. A
    /// resource that cannot be computed (`*`) satisfies no `permit` that looks at the resource and
    /// escapes no `forbid` that does; a rule that names `Resource::"*"` is taken at its word.
    #[must_use]
    pub fn decide(&self, caller: &Caller, operation: Operation, facts: Facts) -> Verdict {
        match self.conclude(caller, &operation, facts) {
            Ok(rules) => Verdict::Allow(Permit { operation, rules }),
            Err(reason) => Verdict::Deny(Denial { operation, reason }),
        }
    }

    fn conclude(&self, caller: &Caller, operation: &Operation, facts: Facts) -> Result<Vec<String>, Reason> {
        if operation.actions.is_empty() {
            // Nothing asked for would be nothing denied.
            let action = format!("{}:{}", operation.service, operation.name);
            return Err(Reason::NothingPermits { action, resource: names::ANY_RESOURCE.to_owned() });
        }
        let call = Call::new(&caller.session.workload, operation, facts);
        let mut all = Judgement::default();
        for pair in &operation.actions {
            all.add(self.judge(&call, pair), pair);
        }
        all.conclude()
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
