//! policy × caller × operation → `Verdict`; an Allow carries the `Permit`. *pure*

use time::OffsetDateTime;

use crate::{classify::Operation, identify::Caller, parse::RequestDigest};

/// The proof of an Allow, bound to one canonical request. Only a permit can be signed.
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

/// A loaded set of policies.
#[derive(Debug)]
pub struct Policies {}

impl Policies {
    /// Decides every (action, resource) pair of `operation`; all must be allowed.
    #[must_use]
    pub fn decide(&self, caller: &Caller, operation: Operation, facts: Facts) -> Verdict {
        let _ = (caller, operation, facts);
        todo!("helper")
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
