//! Questions about a rule's syntax tree.

use std::sync::Arc;

use cedar_policy::pst::{self, BinaryOp, Clause, Expr, Literal, Var};

use super::names::ANY_RESOURCE;

/// The expressions of all `when` and `unless` clauses.
pub(super) fn each_clause(rule: &pst::Template) -> impl Iterator<Item = &Expr> {
    rule.clauses().iter().map(|clause| match clause {
        Clause::When(expr) | Clause::Unless(expr) => &**expr,
    })
}

/// `root` and every expression inside it; walked with a list, since its depth is the author's choice.
pub(super) fn each_part(root: &Expr) -> impl Iterator<Item = &Expr> {
    let mut waiting = vec![root];
    std::iter::from_fn(move || {
        let expr = waiting.pop()?;
        waiting.extend(children(expr));
        Some(expr)
    })
}

/// One reading of `context`: the longest chain of attributes, from outside to inside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access<'a> {
    /// `["params", "Key"]` for `context.params.Key` and for `context.params has Key`.
    pub(super) path: Vec<&'a str>,
    /// Whether it only asks (`has`).
    pub(super) asks: bool,
}

/// Every reading of `context` in the rule's clauses.
pub(super) fn context_accesses(rule: &pst::Template) -> Vec<Access<'_>> {
    let mut found = Vec::new();
    let mut waiting: Vec<&Expr> = each_clause(rule).collect();
    while let Some(expr) = waiting.pop() {
        match access(expr) {
            Some(access) => found.push(access),
            None => waiting.extend(children(expr)),
        }
    }
    found
}

/// The reading of `context` that `expr` is.
pub(super) fn access(expr: &Expr) -> Option<Access<'_>> {
    let (mut inner, mut backwards, asks) = match expr {
        Expr::HasAttr { expr, attrs } => {
            (&**expr, attrs.iter().rev().map(|attr| attr.as_str()).collect::<Vec<_>>(), true)
        }
        _ => (expr, Vec::new(), false),
    };
    while let Expr::GetAttr { expr, attr } = inner {
        backwards.push(attr);
        inner = expr;
    }
    backwards.reverse();
    matches!(inner, Expr::Var(Var::Context)).then_some(Access { path: backwards, asks })
}

/// Whether `expr` mentions the variable anywhere.
pub(super) fn mentions(expr: &Expr, variable: &Var) -> bool {
    each_part(expr).any(|part| matches!(part, Expr::Var(var) if var == variable))
}

/// Whether the rule names `Resource::"*"` anywhere.
pub(super) fn names_any_resource(rule: &pst::Template) -> bool {
    let is_it = |uid: &pst::EntityUID| uid.ty.to_string() == "Resource" && uid.eid.as_str() == ANY_RESOURCE;
    let in_scope = matches!(&rule.resource,
        pst::ResourceConstraint::Eq(pst::EntityOrSlot::Entity(uid)) if is_it(uid));
    in_scope
        || each_clause(rule).any(|clause| {
            each_part(clause).any(|part| matches!(part, Expr::Literal(Literal::EntityUID(uid)) if is_it(uid)))
        })
}

/// The clauses that remain when everything that mentions `resource` is taken to be fulfilled:
/// conjuncts of a `when`, disjuncts of an `unless`.
pub(super) fn without_resource(rule: &pst::Template) -> Vec<Clause> {
    let mut kept = Vec::new();
    for clause in rule.clauses() {
        let (whole, joint): (_, fn(&BinaryOp) -> bool) = match clause {
            Clause::When(expr) => (expr, |op| matches!(op, BinaryOp::And)),
            Clause::Unless(expr) => (expr, |op| matches!(op, BinaryOp::Or)),
        };
        for part in parts(whole, joint) {
            if mentions(&part, &Var::Resource) {
                continue;
            }
            kept.push(match clause {
                Clause::When(_) => Clause::When(part),
                Clause::Unless(_) => Clause::Unless(part),
            });
        }
    }
    kept
}

/// The operands of a chain of one operator, left to right.
fn parts(whole: &Arc<Expr>, joint: fn(&BinaryOp) -> bool) -> Vec<Arc<Expr>> {
    let (mut found, mut waiting) = (Vec::new(), vec![whole]);
    while let Some(expr) = waiting.pop() {
        match &**expr {
            Expr::BinaryOp { op, left, right } if joint(op) => waiting.extend([right, left]),
            _ => found.push(Arc::clone(expr)),
        }
    }
    found
}

/// The expressions directly inside `expr`.
fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => vec![expr],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Is { expr, in_expr, .. } => std::iter::once(expr).chain(in_expr).map(|e| &**e).collect(),
        Expr::IfThenElse { cond, then_expr, else_expr } => vec![cond, then_expr, else_expr],
        Expr::Set(items) => items.iter().map(|item| &**item).collect(),
        Expr::Record(fields) => fields.values().map(|value| &**value).collect(),
        _ => Vec::new(),
    }
}
