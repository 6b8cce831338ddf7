//! A loaded rule: whom and what it covers, and how it is evaluated.

use cedar_policy::{
    Effect, EvalResult, Expression, Policy, eval_expression,
    pst::{self, EntityOrSlot, Var},
};

use super::{
    error::Complaint,
    names::ActionName,
    outline::Sketch,
    question::Terms,
    reads::Reads,
    syntax::{each_clause, mentions, names_any_resource, without_resource},
    view::View,
};
use crate::{identify::Identity, prim::WorkloadName};

/// The role that what a rule permits is done in.
pub(super) const ROLE: &str = "role";

/// One `permit` or `forbid`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) effect: Effect,
    principal: PrincipalScope,
    resource: Option<String>,
    condition: Option<Condition>,
    /// What it says when the resource is unknown.
    unknown: WhenUnknown,
    /// Whom it asks: a `permit` that reads `context.approval`.
    pub(super) terms: Option<Terms>,
    /// The role that what it permits is done in; `None`: the workload's own.
    pub(super) role: Option<String>,
    pub(super) sketch: Sketch,
}

/// Whether a rule says something about a pair of action and resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applies {
    No,
    Yes,
    /// Its evaluation failed, so nobody knows.
    Failed(String),
}

#[derive(Debug)]
enum PrincipalScope {
    Any,
    Workload(String),
    Group(String),
}

/// All `when` and `unless` clauses of a rule, as the one expression Cedar makes of them.
///
/// The scope is not part of it: the index and [`Rule::covers`] have looked at that already, at a
/// small part of the cost.
#[derive(Debug)]
struct Condition {
    expression: Expression,
    reads: Reads,
}

/// How a rule reads a resource that cannot be computed (`*`).
#[derive(Debug)]
enum WhenUnknown {
    /// As always: it does not look at the resource, or it names `Resource::"*"`.
    Literal,
    /// A `permit` that looks at the resource: it does not apply.
    Never,
    /// A `forbid` that looks at the resource: it may well be the forbidden one, so the call is
    /// refused where the rest of the rule applies.
    Assumed(Option<Condition>),
}

impl Rule {
    /// From a checked syntax tree.
    pub(super) fn new(id: String, tree: &pst::Template) -> Result<Self, Complaint> {
        let effect = match tree.effect {
            pst::Effect::Permit => Effect::Permit,
            pst::Effect::Forbid => Effect::Forbid,
        };
        let terms = Terms::read(tree)?;
        let conditional = !tree.clauses().is_empty();
        let looks = !matches!(tree.resource, pst::ResourceConstraint::Any | pst::ResourceConstraint::Is(_))
            || each_clause(tree).any(|clause| mentions(clause, &Var::Resource));
        let unknown = match effect {
            _ if !looks || names_any_resource(tree) => WhenUnknown::Literal,
            Effect::Permit => WhenUnknown::Never,
            Effect::Forbid => WhenUnknown::Assumed(Condition::assuming_resource(tree)?),
        };
        Ok(Self {
            principal: PrincipalScope::of(&tree.principal),
            resource: match &tree.resource {
                pst::ResourceConstraint::Eq(EntityOrSlot::Entity(uid)) => Some(uid.eid.to_string()),
                _ => None,
            },
            condition: if conditional { Condition::new(tree.clone())? } else { None },
            effect,
            unknown,
            terms,
            role: tree.annotations.get(ROLE).map(|role| role.to_string()),
            sketch: Sketch::of(tree),
            id,
        })
    }

    /// Whether the rule's `principal` covers this workload.
    pub(super) fn covers(&self, workload: &WorkloadName, identity: &Identity) -> bool {
        match &self.principal {
            PrincipalScope::Any => true,
            PrincipalScope::Workload(name) => workload.as_str() == name,
            PrincipalScope::Group(group) => identity.groups.contains(group),
        }
    }

    /// What its conditions read of a call.
    pub(super) fn reads(&self) -> Reads {
        self.condition.as_ref().map_or_else(Reads::default, |condition| condition.reads)
    }

    /// Whether the rule applies to this pair; its `principal` and `action` are known to.
    pub(super) fn applies(&self, view: &View<'_>) -> Applies {
        match &self.unknown {
            WhenUnknown::Never if view.unknown_resource() => Applies::No,
            WhenUnknown::Assumed(rest) if view.unknown_resource() => {
                match rest.as_ref().map_or(Applies::Yes, |rest| rest.holds(view)) {
                    Applies::Yes => Applies::Failed(format!(
                        "the resource of {} cannot be computed from this request, and the rule depends on it",
                        view.action()
                    )),
                    other => other,
                }
            }
            WhenUnknown::Literal | WhenUnknown::Never | WhenUnknown::Assumed(_) => self.holds(view),
        }
    }

    fn holds(&self, view: &View<'_>) -> Applies {
        if self.resource.as_deref().is_some_and(|resource| resource != view.resource()) {
            return Applies::No;
        }
        self.condition.as_ref().map_or(Applies::Yes, |condition| condition.holds(view))
    }

    /// The actions the rule is about; empty for every action.
    pub(super) fn actions(tree: &pst::Template) -> Result<Vec<ActionName<'_>>, Complaint> {
        match &tree.action {
            pst::ActionConstraint::Any => Ok(vec![ActionName::Any]),
            pst::ActionConstraint::Eq(uid) => Ok(vec![ActionName::parse(&uid.eid)?]),
            pst::ActionConstraint::In(uids) => uids.iter().map(|uid| ActionName::parse(&uid.eid)).collect(),
        }
    }
}

/// Whether a rule has a say in what is revealed: a `permit` must name it, a `forbid` of every action means
/// this one, too.
pub(super) fn is_asked_to_reveal(tree: &pst::Template) -> bool {
    let Ok(actions) = Rule::actions(tree) else { return false };
    let forbids = tree.effect == pst::Effect::Forbid;
    actions.contains(&ActionName::Reveal) || forbids && actions.contains(&ActionName::Any)
}

/// The same for what is put into requests.
pub(super) fn is_asked_to_insert(tree: &pst::Template) -> bool {
    let Ok(actions) = Rule::actions(tree) else { return false };
    let forbids = tree.effect == pst::Effect::Forbid;
    actions.contains(&ActionName::Insert) || forbids && actions.contains(&ActionName::Any)
}

impl PrincipalScope {
    fn of(constraint: &pst::PrincipalConstraint) -> Self {
        use pst::PrincipalConstraint as P;
        match constraint {
            P::Eq(EntityOrSlot::Entity(uid))
            | P::In(EntityOrSlot::Entity(uid))
            | P::IsIn(_, EntityOrSlot::Entity(uid)) => {
                let name = uid.eid.to_string();
                if uid.ty.to_string() == "Group" { Self::Group(name) } else { Self::Workload(name) }
            }
            // Slots are refused before; every principal is a Workload.
            P::Any | P::Is(_) | P::Eq(_) | P::In(_) | P::IsIn(..) => Self::Any,
        }
    }
}

impl Condition {
    /// `None` for a rule without clauses.
    fn new(tree: pst::Template) -> Result<Option<Self>, Complaint> {
        let refuse = |error: &dyn std::fmt::Display| Complaint::new(error.to_string());
        let reads = Reads::of(&tree);
        let tree = pst::StaticPolicy::try_from(tree).map_err(|error| refuse(&error))?;
        let policy = Policy::from_pst(pst::Policy::Static(tree)).map_err(|error| refuse(&error))?;
        let expression = policy.as_ref().non_scope_constraints().cloned().map(Expression::from);
        Ok(expression.map(|expression| Self { expression, reads }))
    }

    /// What remains of a rule when all it says of the resource is taken to hold.
    fn assuming_resource(tree: &pst::Template) -> Result<Option<Self>, Complaint> {
        let rest = without_resource(tree);
        let tree = tree.clone().try_with_clauses(rest).map_err(|error| Complaint::new(error.to_string()))?;
        Self::new(tree)
    }

    /// Asks Cedar.
    fn holds(&self, view: &View<'_>) -> Applies {
        let (request, entities) = match view.cedar() {
            Ok(cedar) => cedar,
            Err(error) => return Applies::Failed(error),
        };
        // Cedar's authorizer would skip a rule that fails; here it must count.
        match eval_expression(request, entities, &self.expression) {
            Ok(EvalResult::Bool(true)) => Applies::Yes,
            Ok(EvalResult::Bool(false)) => Applies::No,
            Ok(other) => {
                Applies::Failed(format!("type error: a condition must be true or false, not {other}"))
            }
            Err(error) => Applies::Failed(error.to_string()),
        }
    }
}
