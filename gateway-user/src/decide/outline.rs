//! What rules say of actions and resources alone: as much of them as a policy of IAM can say.

use std::collections::BTreeSet;

use cedar_policy::{
    Effect,
    pst::{
        ActionConstraint, BinaryOp, Clause, EntityOrSlot, Expr, Literal, PatternElem, ResourceConstraint,
        Template, Var,
    },
};

use super::{
    Policies,
    names::{ANY_RESOURCE, ActionName, service_of},
    rule::Rule,
    syntax::names_any_resource,
};
use crate::{catalog::catalog, identify::Identity, prim::WorkloadName};

/// A rule without what IAM cannot say.
///
/// A `permit` allows no more than its outline does; its conditions may allow less. A `forbid` has an
/// outline only where it has no conditions, and then it is all of the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Whether it permits or forbids.
    pub permits: bool,
    /// On what.
    pub actions: Actions,
    /// Where; one of these is enough. `None`: on any resource.
    pub places: Option<Vec<Place>>,
    /// The role that a `permit` names.
    pub role: Option<String>,
}

/// The actions of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actions {
    /// Every action there is.
    pub all: bool,
    /// All of these services, by their prefixes.
    pub services: BTreeSet<String>,
    /// And these, as the catalogue has them.
    pub names: BTreeSet<&'static str>,
}

/// ARNs with something in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub Vec<Piece>);

/// A piece of an ARN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// Exactly this text.
    Text(String),
    /// Any text, also none.
    Anything,
}

impl Policies {
    /// The outlines of the rules about this workload, in file order.
    #[must_use]
    pub fn outlines(&self, workload: &WorkloadName, identity: &Identity) -> Vec<Outline> {
        self.rules().filter(|rule| rule.covers(workload, identity)).filter_map(Rule::outline).collect()
    }
}

impl Rule {
    fn outline(&self) -> Option<Outline> {
        let Sketch { actions, places, sayable } = &self.sketch;
        let permits = self.effect == Effect::Permit;
        if !permits && !sayable {
            return None;
        }
        let actions = actions_of(actions);
        // A rule about what is revealed or inserted alone says nothing to IAM.
        let says = actions != Actions::default();
        says.then(|| Outline { permits, actions, places: places.clone(), role: self.role.clone() })
    }
}

/// What an outline is made of, kept with each rule.
#[derive(Debug)]
pub(super) struct Sketch {
    /// The names of its actions, as written; none for every action.
    actions: Vec<String>,
    places: Option<Vec<Place>>,
    /// Whether actions and places are all that it says.
    sayable: bool,
}

impl Sketch {
    pub(super) fn of(tree: &Template) -> Self {
        let actions = match &tree.action {
            ActionConstraint::Any => Vec::new(),
            ActionConstraint::Eq(uid) => vec![uid.eid.to_string()],
            ActionConstraint::In(uids) => uids.iter().map(|uid| uid.eid.to_string()).collect(),
        };
        // That a resource is not known is no matter of AWS's.
        let sayable = tree.clauses().is_empty() && !names_any_resource(tree);
        Self { actions, places: places_of(tree), sayable }
    }
}

fn actions_of(names: &[String]) -> Actions {
    let mut found = Actions { all: names.is_empty(), ..Actions::default() };
    for name in names.iter().filter_map(|name| ActionName::parse(name).ok()) {
        match name {
            ActionName::Any => found.all = true,
            // Nothing that AWS is asked for.
            ActionName::Reveal | ActionName::Insert => {}
            ActionName::Service(service) => drop(found.services.insert(service.to_owned())),
            ActionName::One(name) => found.names.extend(catalog().action(name).map(|action| action.name)),
            ActionName::Level(_) | ActionName::ServiceLevel(..) => found.names.extend(members(name)),
        }
    }
    found.names.retain(|name| !found.services.contains(service_of(name)));
    found
}

fn members(group: ActionName<'_>) -> impl Iterator<Item = &'static str> {
    catalog().actions().map(|action| action.name).filter(move |name| group.covers(name))
}

/// Where the rule can apply. The scope says it, or a conjunct of a `when`; what is said in other ways
/// is not looked at, which makes the place no smaller.
fn places_of(tree: &Template) -> Option<Vec<Place>> {
    if let ResourceConstraint::Eq(EntityOrSlot::Entity(uid)) = &tree.resource {
        return exactly(uid.eid.as_str());
    }
    let whens = tree.clauses().iter().filter_map(|clause| match clause {
        Clause::When(expr) => places(expr),
        Clause::Unless(_) => None,
    });
    whens.min_by_key(Vec::len)
}

/// Where an expression can be true; `None`: anywhere, as far as can be seen. Walked by itself to a
/// bounded depth: how deep an expression is, is its author's choice.
fn places(root: &Expr) -> Option<Vec<Place>> {
    const DEPTH: usize = 64;
    fn walk(expr: &Expr, depth: usize) -> Option<Vec<Place>> {
        let deeper = |expr| walk(expr, depth.checked_sub(1)?);
        match expr {
            Expr::BinaryOp { op: BinaryOp::And, left, right } => match (deeper(left), deeper(right)) {
                (Some(left), Some(right)) => Some(if right.len() < left.len() { right } else { left }),
                (left, right) => left.or(right),
            },
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => {
                let (mut left, right) = (deeper(left)?, deeper(right)?);
                left.extend(right);
                Some(left)
            }
            Expr::BinaryOp { op: BinaryOp::Eq, left, right } => {
                named(left, right).or_else(|| named(right, left))
            }
            Expr::Like { expr, pattern } if is_arn(expr) => like(pattern),
            _ => None,
        }
    }
    walk(root, DEPTH)
}

/// `resource == Resource::"…"`, `resource.arn == "…"`.
fn named(what: &Expr, literal: &Expr) -> Option<Vec<Place>> {
    match (what, literal) {
        (Expr::Var(Var::Resource), Expr::Literal(Literal::EntityUID(uid))) => exactly(uid.eid.as_str()),
        (_, Expr::Literal(Literal::String(text))) if is_arn(what) => exactly(text),
        _ => None,
    }
}

fn is_arn(expr: &Expr) -> bool {
    matches!(expr, Expr::GetAttr { expr, attr } if attr == "arn" && matches!(&**expr, Expr::Var(Var::Resource)))
}

/// The resource that is not known may be any.
fn exactly(arn: &str) -> Option<Vec<Place>> {
    (arn != ANY_RESOURCE).then(|| vec![Place(vec![Piece::Text(arn.to_owned())])])
}

/// A pattern that also fits `*`, the resource that is not known, stands for any.
fn like(pattern: &[PatternElem]) -> Option<Vec<Place>> {
    let mut pieces: Vec<Piece> = Vec::new();
    for elem in pattern {
        match (elem, pieces.last_mut()) {
            (PatternElem::Wildcard, Some(Piece::Anything)) => {}
            (PatternElem::Wildcard, _) => pieces.push(Piece::Anything),
            (PatternElem::Char(c), Some(Piece::Text(text))) => text.push(*c),
            (PatternElem::Char(c), _) => pieces.push(Piece::Text(c.to_string())),
        }
    }
    let text = |piece: &Piece| matches!(piece, Piece::Text(text) if text != ANY_RESOURCE);
    pieces.iter().any(text).then(|| vec![Place(pieces)])
}

#[cfg(test)]
mod tests;
