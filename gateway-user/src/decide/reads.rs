//! What a rule's conditions read of a call, so that no more is shown to Cedar than rules ask for.

use std::ops::BitOr;

use cedar_policy::pst::{self, Expr, Var};

use super::syntax::{each_clause, each_part};

/// The attributes of `context`.
pub(super) const CONTEXT: [&str; 12] = [
    "params",
    "region",
    ACCOUNT,
    "time",
    "workload",
    "operation",
    "unread",
    SESSION,
    WORKLOAD_DAY,
    APPROVAL,
    FIELD,
    SECRET,
];
/// The account that the call acts in; absent where it is not known.
pub(super) const ACCOUNT: &str = "account";
/// What the session did so far.
pub(super) const SESSION: &str = "session";
/// What all sessions of the workload did within a day.
pub(super) const WORKLOAD_DAY: &str = "workload_day";
/// Who approved the call; absent where nobody did.
pub(super) const APPROVAL: &str = "approval";
/// The part of the answer that would be revealed, or the parameter that a secret would be put into; absent where anything
/// else is decided.
pub(super) const FIELD: &str = "field";
/// The secret that would be put into a parameter; absent where anything else is decided.
pub(super) const SECRET: &str = "secret";

/// What is read: of the call's entities, and of `context`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// `principal` or `action`, whose groups then matter.
    pub(super) caller: bool,
    /// `resource`, whose attributes then matter.
    pub(super) resource: bool,
    /// One flag for each of [`CONTEXT`].
    pub(super) context: [bool; CONTEXT.len()],
}

impl Reads {
    /// What all clauses of a rule read.
    pub(super) fn of(rule: &pst::Template) -> Self {
        let mut reads = Self::default();
        for part in each_clause(rule).flat_map(each_part) {
            match part {
                Expr::Var(Var::Principal | Var::Action) => reads.caller = true,
                Expr::Var(Var::Resource) => reads.resource = true,
                // Read as a whole, unless the attribute below says which part.
                Expr::Var(Var::Context) => reads.context = reads.context.map(|_| true),
                _ => {}
            }
        }
        if let Some(some) = named_attributes(rule) {
            reads.context = some;
        }
        reads
    }

    /// Whether what was allowed before matters.
    pub(super) fn counts(&self) -> bool {
        self.reads(SESSION) || self.reads(WORKLOAD_DAY)
    }

    fn reads(&self, attribute: &str) -> bool {
        self.context.iter().zip(CONTEXT).any(|(read, name)| *read && name == attribute)
    }

    /// Whether `self` covers all that `other` reads.
    pub(super) fn covers_context(&self, other: &Self) -> bool {
        self.context.iter().zip(other.context).all(|(mine, theirs)| *mine || !theirs)
    }
}

impl BitOr for Reads {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let mut context = self.context;
        for (mine, theirs) in context.iter_mut().zip(other.context) {
            *mine |= theirs;
        }
        Self { caller: self.caller || other.caller, resource: self.resource || other.resource, context }
    }
}

/// The attributes of `context` that are read by name; `None` if it is also read as a whole.
fn named_attributes(rule: &pst::Template) -> Option<[bool; CONTEXT.len()]> {
    let (mut whole, mut named, mut flags) = (0_usize, 0_usize, [false; CONTEXT.len()]);
    for part in each_clause(rule).flat_map(each_part) {
        let (of, attr) = match part {
            Expr::GetAttr { expr, attr } => (expr, attr),
            Expr::HasAttr { expr, attrs } => (expr, attrs.first()),
            Expr::Var(Var::Context) => {
                whole += 1;
                continue;
            }
            _ => continue,
        };
        if !matches!(**of, Expr::Var(Var::Context)) {
            continue;
        }
        named += 1;
        for (flag, name) in flags.iter_mut().zip(CONTEXT) {
            *flag |= name == attr.as_str();
        }
    }
    (whole == named).then_some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_conditions_read() {
        let check = |condition: &str, caller: bool, resource: bool, context: &[&str]| {
            let text = format!("permit (principal, action, resource) {condition};");
            let pst::Policy::Static(policy) = text.parse::<cedar_policy::Policy>().unwrap().to_pst().unwrap()
            else {
                panic!("linked")
            };
            let expected = Reads { caller, resource, context: CONTEXT.map(|name| context.contains(&name)) };
            assert_eq!(Reads::of(policy.body()), expected, "{condition}");
        };
        check("", false, false, &[]);
        check("when { principal in Group::\"a\" }", true, false, &[]);
        check("unless { action == Action::\"a:B\" }", true, false, &[]);
        check("when { [resource].contains(resource) }", false, true, &[]);
        check(
            "when { context.region == \"a\" } unless { context has params.Key }",
            false,
            false,
            &["region", "params"],
        );
        check("when { context.params.context.time == 1 }", false, false, &["params"]);
        check("when { context == {} && context.time == 1 }", false, false, &CONTEXT);
        check("when { {a: context}.a.time == 1 }", false, false, &CONTEXT);
    }
}
