//! What type a rule takes a parameter to be, from what it does with it: for parameters whose type no
//! table says.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::pst::{BinaryOp, Expr, Literal, Template, UnaryOp};

use super::{
    members::{Kind, Members},
    syntax::{access, context_accesses, each_clause, each_part},
};

/// The parameters that a rule reads, each with the type it is used as; and the actions that its
/// conditions name.
pub(super) struct Needed(pub(super) Members, pub(super) BTreeSet<String>);

/// What the conditions of a rule need.
pub(super) fn needed(rule: &Template) -> Needed {
    let mut uses: BTreeMap<Vec<String>, Kind> = BTreeMap::new();
    let mut actions = BTreeSet::new();
    for clause in each_clause(rule) {
        note(&mut uses, clause, Kind::Bool);
        for part in each_part(clause) {
            if let Expr::Literal(Literal::EntityUID(uid)) = part
                && uid.ty.to_string() == "Action"
            {
                actions.insert(uid.eid.to_string());
            }
            note_operands(&mut uses, part);
        }
    }
    let mut tree = Node::default();
    for access in context_accesses(rule) {
        if let ["params", path @ ..] = access.path.as_slice()
            && !path.is_empty()
        {
            let whole: Vec<String> = access.path.iter().map(|name| (*name).to_owned()).collect();
            tree.insert(path, if access.asks { None } else { uses.get(&whole) });
        }
    }
    Needed(tree.members(), actions)
}

/// `part` says what its operands are.
fn note_operands(uses: &mut BTreeMap<Vec<String>, Kind>, part: &Expr) {
    match part {
        Expr::Like { expr, .. } => note(uses, expr, Kind::Text),
        Expr::UnaryOp { op: UnaryOp::Not, expr } => note(uses, expr, Kind::Bool),
        Expr::UnaryOp { op: UnaryOp::Neg, expr } => note(uses, expr, Kind::Number),
        Expr::UnaryOp { op: UnaryOp::IsEmpty, expr } => note(uses, expr, list_of(Kind::Text)),
        Expr::IfThenElse { cond, .. } => note(uses, cond, Kind::Bool),
        Expr::BinaryOp { op, left, right } => match op {
            BinaryOp::And | BinaryOp::Or => {
                note(uses, left, Kind::Bool);
                note(uses, right, Kind::Bool);
            }
            BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Greater
            | BinaryOp::GreaterEq
            | BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul => {
                note(uses, left, Kind::Number);
                note(uses, right, Kind::Number);
            }
            BinaryOp::Eq | BinaryOp::NotEq => {
                note(uses, left, of(right));
                note(uses, right, of(left));
            }
            BinaryOp::Contains => {
                note(uses, left, list_of(of(right)));
                note(uses, right, element_of(left));
            }
            BinaryOp::ContainsAll | BinaryOp::ContainsAny => {
                note(uses, left, list_of(element_of(right)));
                note(uses, right, list_of(element_of(left)));
            }
            _ => {}
        },
        // Nothing is known of the operands of other expressions.
        _ => {}
    }
}

fn note(uses: &mut BTreeMap<Vec<String>, Kind>, expr: &Expr, kind: Kind) {
    if let Some(access) = access(expr)
        && !access.asks
    {
        uses.entry(access.path.iter().map(|name| (*name).to_owned()).collect()).or_insert(kind);
    }
}

fn list_of(kind: Kind) -> Kind {
    Kind::List(Box::new(kind))
}

/// The type of a literal; texts are the most likely where it is none.
fn of(expr: &Expr) -> Kind {
    match expr {
        Expr::Literal(Literal::Bool(_)) => Kind::Bool,
        Expr::Literal(Literal::Long(_)) => Kind::Number,
        Expr::Set(_) => list_of(element_of(expr)),
        Expr::Record(fields) => {
            Kind::Record(fields.iter().map(|(name, value)| (name.to_string(), of(value))).collect())
        }
        Expr::BinaryOp { op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, .. } => Kind::Number,
        _ => Kind::Text,
    }
}

fn element_of(expr: &Expr) -> Kind {
    match expr {
        Expr::Set(items) => items.first().map_or(Kind::Text, |item| of(item)),
        _ => Kind::Text,
    }
}

/// Readings, by their paths.
#[derive(Default)]
struct Node {
    below: BTreeMap<String, Node>,
    kind: Option<Kind>,
}

impl Node {
    fn insert(&mut self, path: &[&str], kind: Option<&Kind>) {
        let mut node = self;
        for name in path {
            node = node.below.entry((*name).to_owned()).or_default();
        }
        if node.kind.is_none() {
            node.kind = kind.cloned();
        }
    }

    fn members(self) -> Members {
        self.below.into_iter().map(|(name, node)| (name, node.kind())).collect()
    }

    fn kind(self) -> Kind {
        if self.below.is_empty() { self.kind.unwrap_or(Kind::Open) } else { Kind::Record(self.members()) }
    }
}
