//! The parameters of the operations that need an action, with their types: what `context.params` is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use super::names::REVEAL;
use crate::{
    catalog::{Operation, Secrets, Service, Shape, ShapeId, catalog, secrets},
    classify::answer,
};

/// Levels that are looked into: deeper, anything may be.
const MAX_DEPTH: usize = 8;

/// A parameter's type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Text,
    Number,
    Bool,
    List(Box<Kind>),
    /// These members and no others.
    Record(Members),
    /// Any keys, values of one type.
    Map(Box<Kind>),
    /// Not known.
    Open,
}

/// Types by name.
pub(super) type Members = BTreeMap<String, Kind>;

/// The parameters called `names` of every operation that needs `action`, one set for each; empty
/// where no operation is known to. Only these are looked at: shapes are large.
pub(super) fn of(action: &str, names: &[&str]) -> Vec<Members> {
    let mut sets: Vec<Members> =
        operations_of(action).map(|(service, operation)| members(service, operation, names)).collect();
    sets.sort();
    sets.dedup();
    sets
}

/// The names of all parameters of the operations that need `action`.
pub(super) fn names_of(action: &str) -> Vec<&'static str> {
    operations_of(action)
        .flat_map(|(service, operation)| service.members(operation))
        .map(|member| member.name)
        .collect()
}

/// Which operations need an action, by their names: what they take is read when it is asked for.
static OPERATIONS: LazyLock<HashMap<String, Vec<(&'static Service, &'static str)>>> = LazyLock::new(|| {
    let mut operations: HashMap<String, Vec<_>> = HashMap::new();
    for service in catalog().services() {
        let withholding = answer::withholding(service).map(|operation| (service, operation));
        let hiding = secrets(service.name).into_iter().flat_map(Secrets::outputs);
        let hiding = hiding.map(|operation| (service, operation));
        operations.entry(REVEAL.to_owned()).or_default().extend(withholding.chain(hiding));
        for (operation, action) in service.needed_actions() {
            operations.entry(action).or_default().push((service, operation));
        }
    }
    // What is done with the data of directory buckets needs it, too, whatever the operation takes.
    operations.remove("s3express:CreateSession");
    operations
});

fn operations_of(action: &str) -> impl Iterator<Item = (&'static Service, &'static Operation)> {
    let named = OPERATIONS.get(action).map(Vec::as_slice).unwrap_or_default();
    named.iter().filter_map(|(service, name)| Some((*service, service.operation(name)?)))
}

fn members(service: &Service, operation: &Operation, names: &[&str]) -> Members {
    service
        .members(operation)
        .iter()
        .filter(|member| names.contains(&member.name))
        .map(|member| (member.name.to_owned(), kind(service, member.shape, 0)))
        .collect()
}

fn kind(service: &Service, shape: ShapeId, depth: usize) -> Kind {
    if depth > MAX_DEPTH {
        return Kind::Open;
    }
    match service.shape(shape) {
        Shape::Text | Shape::Float | Shape::Timestamp(_) | Shape::Blob => Kind::Text,
        Shape::Integer => Kind::Number,
        Shape::Boolean => Kind::Bool,
        Shape::List { member, .. } => Kind::List(Box::new(kind(service, *member, depth + 1))),
        Shape::Map { value, .. } => Kind::Map(Box::new(kind(service, *value, depth + 1))),
        Shape::Structure(members) => Kind::Record(
            members
                .iter()
                .map(|member| (member.name.to_owned(), kind(service, member.shape, depth + 1)))
                .collect(),
        ),
        Shape::Open => Kind::Open,
    }
}
