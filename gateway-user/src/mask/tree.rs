//! From the tables to a plan: the graph of a service's shapes, unfolded from one operation's answer.
//!
//! Each place of an answer has a path of its own, so that a rule about one place is not about another of the same
//! shape. Where a shape contains itself, what is within goes by the outer one's paths.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::{
    path::{Path, Step},
    plan::Kind,
};
use crate::catalog::{Location, Reach, Secrecy, SecretKind, SecretMember, SecretNode, SecretNodeId, Secrets};

mod emit;
mod way;

pub(super) use way::Lost;
use way::{Stone, Way};

/// Nodes of a plan. Beyond that, places of the same shape are one.
const UNFOLDED: usize = 4096;

/// What is hidden in an answer.
#[derive(Debug, Default)]
pub(super) struct Tree {
    knots: Vec<Knot>,
    leaves: Vec<Leaf>,
    root: Spot,
    /// Members in headers that are hidden although the root says nothing of them: all of the answer is.
    head: Vec<Branch>,
}

/// A place: hidden, leading further, or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Spot {
    leaf: Option<usize>,
    below: Option<usize>,
}

/// A hidden place.
#[derive(Debug, Clone)]
struct Leaf {
    path: String,
    kind: Kind,
    reversible: bool,
}

#[derive(Debug, Clone)]
enum Knot {
    Structure(Vec<Branch>),
    List { item: Spot, flat: bool },
    Map { value: Spot, key: &'static str, flat: bool },
}

/// A member of a structure.
#[derive(Debug, Clone)]
struct Branch {
    name: &'static str,
    wire: &'static str,
    at: Location,
    events: bool,
    spot: Spot,
}

/// A knot that is still to be filled.
struct Open {
    knot: usize,
    node: SecretNodeId,
    path: String,
    /// What it is in, innermost last, with their knots.
    around: Vec<(SecretNodeId, usize)>,
}

impl Tree {
    /// What the table says of an operation's answer.
    pub(super) fn unfold(secrets: &Secrets, operation: &str, personal: bool) -> Self {
        let mut tree = Self::default();
        let Some(reach) = secrets.output(operation) else { return tree };
        let mut work = Work { personal, open: VecDeque::new(), first: HashMap::new() };
        tree.root = tree.spot(reach, String::new(), &[], &mut work);
        while let Some(open) = work.open.pop_front() {
            tree.fill(secrets, open, &mut work);
        }
        tree.prune();
        tree
    }

    fn spot(
        &mut self,
        reach: Reach,
        path: String,
        around: &[(SecretNodeId, usize)],
        work: &mut Work,
    ) -> Spot {
        let hidden = reach.hidden.filter(|(secrecy, _)| work.personal || *secrecy == Secrecy::Secret);
        if let Some((_, kind)) = hidden {
            return Spot { leaf: Some(self.leaf(path, kind_of(kind), false)), below: None };
        }
        let Some(node) = reach.below else { return Spot::default() };
        let known = around.iter().find(|(outer, _)| *outer == node).map(|(_, knot)| *knot);
        let known = known.or_else(|| work.first.get(&node).copied().filter(|_| self.knots.len() >= UNFOLDED));
        let knot = known.unwrap_or_else(|| {
            let knot = self.knots.len();
            self.knots.push(Knot::Structure(Vec::new()));
            work.first.entry(node).or_insert(knot);
            let mut around = around.to_vec();
            around.push((node, knot));
            work.open.push_back(Open { knot, node, path, around });
            knot
        });
        Spot { leaf: None, below: Some(knot) }
    }

    fn fill(&mut self, secrets: &Secrets, open: Open, work: &mut Work) {
        let Open { knot, node, path, around } = open;
        let mut go = |step: Step, to: Reach| {
            let mut path = path.clone();
            step.append(&mut path);
            self.spot(to, path, &around, work)
        };
        let filled = match secrets.node(node) {
            SecretNode::Structure(members) => {
                let branch = |member: &SecretMember| {
                    let spot = go(Step::Member(member.name.to_owned()), member.to);
                    Branch::new(member, spot)
                };
                Knot::Structure(members.iter().map(branch).collect())
            }
            SecretNode::List { item, flattened } => {
                Knot::List { item: go(Step::Item, *item), flat: *flattened }
            }
            SecretNode::Map { value, key_name, flattened } => {
                Knot::Map { value: go(Step::Value, *value), key: key_name, flat: *flattened }
            }
        };
        if let Some(place) = self.knots.get_mut(knot) {
            *place = filled;
        }
    }

    fn leaf(&mut self, path: String, kind: Kind, reversible: bool) -> usize {
        let path = if path.is_empty() { super::path::WHOLE.to_owned() } else { path };
        self.leaves.push(Leaf { path, kind, reversible });
        self.leaves.len() - 1
    }

    /// The paths of what is hidden, in order.
    pub(super) fn paths(&self) -> Vec<&str> {
        let (mut seen, mut open, mut paths) = (HashSet::new(), vec![self.root], BTreeSet::new());
        while let Some(spot) = open.pop() {
            paths.extend(spot.leaf.and_then(|at| self.leaves.get(at)).map(|leaf| leaf.path.as_str()));
            let below = spot.below.filter(|knot| seen.insert(*knot)).and_then(|knot| self.knots.get(knot));
            open.extend(below.into_iter().flat_map(Knot::spots));
        }
        paths.into_iter().collect()
    }

    /// Whether it was small enough for every place to have a path of its own.
    #[cfg(test)]
    pub(super) fn is_unfolded(&self) -> bool {
        self.knots.len() < UNFOLDED
    }

    /// Hides all of the answer.
    pub(super) fn hide_all(&mut self) {
        self.root = Spot { leaf: Some(self.leaf(String::new(), Kind::Any, false)), below: None };
    }

    /// Hides nothing that the path covers.
    pub(super) fn reveal(&mut self, path: &Path) {
        let covered: Vec<bool> = self.leaves.iter().map(|leaf| path.covers(&leaf.path)).collect();
        let clear = |spot: &mut Spot| {
            if spot.leaf.is_some_and(|at| covered.get(at) == Some(&true)) {
                spot.leaf = None;
            }
        };
        self.knots.iter_mut().flat_map(Knot::spots_mut).for_each(clear);
        clear(&mut self.root);
        self.prune();
    }

    /// Hides what is at the path in the answers of `operation`; `answers` says what that is. Gives back whether there
    /// is anything.
    pub(super) fn hide(&mut self, answers: &Secrets, operation: &str, path: &Path, reversible: bool) -> bool {
        let Ok(way) = Way::find(answers, operation, path) else { return false };
        if way.steps.is_empty() {
            self.hide_head(answers, operation);
        }
        let mut at = At::Root;
        for step in &way.steps {
            let spot = self.at(at);
            if let Some(leaf) = spot.leaf {
                // All around it is hidden already.
                self.mark(leaf, false);
                return true;
            }
            let knot = spot.below.unwrap_or_else(|| {
                self.knots.push(step.knot());
                let knot = self.knots.len() - 1;
                self.set(at, Spot { leaf: None, below: Some(knot) });
                knot
            });
            let Some(next) = self.step(knot, step) else { return false };
            at = next;
        }
        match self.at(at).leaf {
            Some(leaf) => self.mark(leaf, reversible),
            None => {
                let leaf = self.leaf(path.to_string(), way.kind, reversible);
                self.set(at, Spot { leaf: Some(leaf), below: None });
            }
        }
        true
    }

    /// Hides all members that are headers.
    fn hide_head(&mut self, answers: &Secrets, operation: &str) {
        let node = answers.output(operation).and_then(|reach| reach.below).map(|id| answers.node(id));
        let Some(SecretNode::Structure(members)) = node else { return };
        for member in
            members.iter().filter(|member| matches!(member.at, Location::Header | Location::Headers))
        {
            if self.head.iter().any(|known| known.wire == member.wire) {
                continue;
            }
            let kind = member.to.hidden.map_or(Kind::Any, |(_, kind)| kind_of(kind));
            let leaf = self.leaf(String::new(), kind, false);
            self.head.push(Branch::new(member, Spot { leaf: Some(leaf), below: None }));
        }
    }

    fn mark(&mut self, leaf: usize, reversible: bool) {
        if let Some(leaf) = self.leaves.get_mut(leaf) {
            leaf.reversible |= reversible;
        }
    }

    /// The place one step below a knot, which is made where it is not there; `None` where the knot is something else.
    fn step(&mut self, knot: usize, step: &Stone) -> Option<At> {
        match (self.knots.get_mut(knot)?, step) {
            (Knot::Structure(branches), Stone::Member(member)) => {
                let at = branches.iter().position(|branch| branch.name == member.name);
                let at = at.unwrap_or_else(|| {
                    branches.push(Branch::new(member, Spot::default()));
                    branches.len() - 1
                });
                Some(At::Branch(knot, at))
            }
            (Knot::List { .. }, Stone::List { .. }) | (Knot::Map { .. }, Stone::Map { .. }) => {
                Some(At::Each(knot))
            }
            _ => None,
        }
    }

    fn place(&mut self, at: At) -> Option<&mut Spot> {
        match at {
            At::Root => Some(&mut self.root),
            At::Branch(knot, number) => match self.knots.get_mut(knot)? {
                Knot::Structure(branches) => branches.get_mut(number).map(|branch| &mut branch.spot),
                Knot::List { .. } | Knot::Map { .. } => None,
            },
            At::Each(knot) => match self.knots.get_mut(knot)? {
                Knot::List { item: spot, .. } | Knot::Map { value: spot, .. } => Some(spot),
                Knot::Structure(_) => None,
            },
        }
    }

    fn at(&mut self, at: At) -> Spot {
        self.place(at).map_or_else(Spot::default, |spot| *spot)
    }

    fn set(&mut self, at: At, spot: Spot) {
        if let Some(place) = self.place(at) {
            *place = spot;
        }
    }

    /// Leaves out what leads to nothing hidden.
    fn prune(&mut self) {
        let mut useful = vec![false; self.knots.len()];
        let leads = |spot: Spot, useful: &[bool]| {
            spot.leaf.is_some() || spot.below.is_some_and(|knot| useful.get(knot) == Some(&true))
        };
        loop {
            let leads = |knot: &Knot| knot.spots().any(|spot| leads(spot, &useful));
            let next: Vec<bool> = self.knots.iter().map(leads).collect();
            if next == useful {
                break;
            }
            useful = next;
        }
        for knot in &mut self.knots {
            if let Knot::Structure(branches) = knot {
                branches.retain(|branch| leads(branch.spot, &useful));
            }
        }
        if !leads(self.root, &useful) {
            self.root = Spot::default();
        }
    }
}

struct Work {
    personal: bool,
    open: VecDeque<Open>,
    /// The first knot of each node, which has the shortest path.
    first: HashMap<SecretNodeId, usize>,
}

/// A place that can be changed.
#[derive(Clone, Copy)]
enum At {
    Root,
    Branch(usize, usize),
    Each(usize),
}

impl Knot {
    fn spots(&self) -> impl Iterator<Item = Spot> {
        let (branches, one) = match self {
            Self::Structure(branches) => (branches.as_slice(), None),
            Self::List { item: spot, .. } | Self::Map { value: spot, .. } => ([].as_slice(), Some(*spot)),
        };
        branches.iter().map(|branch| branch.spot).chain(one)
    }

    fn spots_mut(&mut self) -> impl Iterator<Item = &mut Spot> {
        let (branches, one) = match self {
            Self::Structure(branches) => (branches.as_mut_slice(), None),
            Self::List { item: spot, .. } | Self::Map { value: spot, .. } => ([].as_mut_slice(), Some(spot)),
        };
        branches.iter_mut().map(|branch| &mut branch.spot).chain(one)
    }
}

impl Stone {
    /// What one goes over from here on, empty.
    fn knot(&self) -> Knot {
        let nothing = Spot::default();
        match self {
            Self::Member(_) => Knot::Structure(Vec::new()),
            Self::List { flat } => Knot::List { item: nothing, flat: *flat },
            Self::Map { key, flat } => Knot::Map { value: nothing, key, flat: *flat },
        }
    }
}

impl Branch {
    fn new(member: &SecretMember, spot: Spot) -> Self {
        let SecretMember { name, wire, at, events, .. } = *member;
        Self { name, wire, at, events, spot }
    }
}

/// What a plan calls it.
fn kind_of(kind: SecretKind) -> Kind {
    match kind {
        SecretKind::Text => Kind::Text,
        SecretKind::Number => Kind::Number,
        SecretKind::Boolean => Kind::Boolean,
        SecretKind::Timestamp => Kind::Timestamp,
        SecretKind::Blob => Kind::Blob,
        SecretKind::Any => Kind::Any,
    }
}

/// That the answers of an operation have something at this path.
///
/// # Errors
/// [`Lost`], for the first step that is not there.
pub(super) fn check(answers: &Secrets, operation: &str, path: &Path) -> Result<Kind, Lost> {
    Way::find(answers, operation, path).map(|way| way.kind)
}
