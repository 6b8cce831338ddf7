//! A service's REST operations as a tree of path segments, made once.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use crate::catalog::{Operation, Segment, Service, catalog};

/// Paths of one service, by method.
#[derive(Debug, Default)]
pub(super) struct Routes(BTreeMap<&'static str, Node>);

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<&'static str, Node>,
    label: Option<Box<Node>>,
    greedy: Option<Box<Node>>,
    /// Operations whose paths end here, with the names of their labels.
    ends: Vec<&'static Operation>,
}

/// A place where the path fits: the operations there differ only in their query strings.
#[derive(Debug)]
pub(super) struct Place<'r> {
    /// The operations.
    pub(super) operations: &'r [&'static Operation],
    /// What stands for each label, in the path's order.
    pub(super) values: Vec<String>,
}

impl Routes {
    /// The routes of `service`, made when they are first asked for.
    pub(super) fn of(service: &'static Service) -> &'static Self {
        static ROUTES: LazyLock<Vec<OnceLock<Routes>>> =
            LazyLock::new(|| catalog().services().iter().map(|_| OnceLock::new()).collect());
        static NONE: Routes = Routes(BTreeMap::new());
        ROUTES.get(service.index).map_or(&NONE, |routes| routes.get_or_init(|| Self::new(service)))
    }

    fn new(service: &'static Service) -> Self {
        let mut routes = Self::default();
        for operation in service.operations() {
            let mut node = routes.0.entry(operation.http.method).or_default();
            for segment in &operation.http.segments {
                node = match segment {
                    Segment::Literal(text) => node.literals.entry(text).or_default(),
                    Segment::Label(_) => node.label.get_or_insert_default(),
                    Segment::Greedy(_) => node.greedy.get_or_insert_default(),
                };
            }
            node.ends.push(operation);
        }
        routes
    }

    /// Every place that `path` fits, the most specific first: a literal counts more than a label, a
    /// label more than a greedy one, from left to right.
    pub(super) fn places(&self, method: &str, path: &[Cow<'_, str>]) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        if let Some(node) = self.0.get(method) {
            node.walk(path, &mut Vec::new(), &mut places);
        }
        places
    }
}

impl Node {
    fn walk<'r>(&'r self, path: &[Cow<'_, str>], values: &mut Vec<String>, places: &mut Vec<Place<'r>>) {
        let Some((first, rest)) = path.split_first() else {
            if !self.ends.is_empty() {
                places.push(Place { operations: &self.ends, values: values.clone() });
            }
            return;
        };
        if let Some(node) = self.literals.get(first.as_ref()) {
            node.walk(rest, values, places);
        }
        // A label is never empty.
        if first.is_empty() {
            return;
        }
        if let Some(node) = &self.label {
            values.push(first.to_string());
            node.walk(rest, values, places);
            values.pop();
        }
        if let Some(node) = &self.greedy {
            for taken in 1..=path.len() {
                let (own, rest) = path.split_at(taken);
                if own.iter().any(|segment| segment.is_empty()) {
                    break;
                }
                values.push(own.join("/"));
                node.walk(rest, values, places);
                values.pop();
            }
        }
    }
}
