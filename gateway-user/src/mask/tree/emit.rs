//! A tree as a plan: what stands in the body, in headers and in events.

use std::collections::BTreeMap;

use super::{
    super::plan::{Builder, FieldId, NodeId, Plan, PlanError},
    Branch, Knot, Spot, Tree,
};
use crate::catalog::{Location, Protocol};

/// What comes before the events of a stream is an event of this name.
/// <https://smithy.io/2.0/aws/amazon-eventstream.html>
const BEFORE_EVENTS: &str = "initial-response";

impl Tree {
    /// The plan for answers in `protocol`; `None` where nothing is hidden.
    ///
    /// # Errors
    /// [`PlanError`]: the tables have names that no plan can have.
    pub(in super::super) fn plan(&self, protocol: Protocol) -> Result<Option<Plan>, PlanError> {
        if self.root == Spot::default() {
            return Ok(None);
        }
        let mut emitter = Emitter {
            tree: self,
            builder: Plan::builder(),
            fields: BTreeMap::new(),
            structures: BTreeMap::new(),
        };
        let root = emitter.root(protocol);
        emitter.builder.build(root).map(Some)
    }
}

struct Emitter<'a> {
    tree: &'a Tree,
    builder: Builder,
    /// By leaf.
    fields: BTreeMap<usize, FieldId>,
    /// By knot.
    structures: BTreeMap<usize, NodeId>,
}

impl<'a> Emitter<'a> {
    fn root(&mut self, protocol: Protocol) -> NodeId {
        // Only REST binds members to other places than the body.
        let rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
        let Some(Knot::Structure(branches)) = self.knot(self.tree.root) else {
            for branch in self.tree.head.iter().filter(|_| rest) {
                if let Some(field) = self.any_field(branch.spot) {
                    self.builder.header(&header(branch), field);
                }
            }
            return self.node(self.tree.root);
        };
        let in_head = |branch: &&Branch| rest && matches!(branch.at, Location::Header | Location::Headers);
        for branch in branches.iter().filter(in_head) {
            if let Some(field) = self.any_field(branch.spot) {
                self.builder.header(&header(branch), field);
            }
        }
        let body = || branches.iter().filter(|branch| !in_head(branch));
        if let Some(stream) = body().find(|branch| branch.events) {
            let others: Vec<&Branch> = body().filter(|branch| !branch.events).collect();
            return self.events(stream, &others);
        }
        match body().find(|branch| rest && branch.at == Location::Payload) {
            Some(payload) => self.node(payload.spot),
            None if body().count() == branches.len() => self.node(self.tree.root),
            None => {
                let members: Vec<&Branch> = body().collect();
                self.structure(&members)
            }
        }
    }

    /// Adds the events of a stream; gives back what stands before them.
    fn events(&mut self, stream: &'a Branch, others: &[&'a Branch]) -> NodeId {
        let events = match self.knot(stream.spot) {
            Some(Knot::Structure(events)) => events.as_slice(),
            _ => &[],
        };
        for event in events {
            let Some(Knot::Structure(members)) = self.knot(event.spot) else {
                let payload = self.node(event.spot);
                self.builder.event(event.wire, Some(payload), &[]);
                continue;
            };
            let mut headers = Vec::new();
            for member in members.iter().filter(|member| member.at == Location::Header) {
                headers.extend(self.any_field(member.spot).map(|field| (member.wire, field)));
            }
            let rest: Vec<&Branch> = members.iter().filter(|member| member.at != Location::Header).collect();
            let payload = match rest.iter().find(|member| member.at == Location::Payload) {
                Some(payload) => Some(self.node(payload.spot)),
                None if rest.is_empty() => None,
                None => Some(self.structure(&rest)),
            };
            self.builder.event(event.wire, payload, &headers);
        }
        let before = self.structure(others);
        if !others.is_empty() {
            self.builder.event(BEFORE_EVENTS, Some(before), &[]);
        }
        before
    }

    fn knot(&self, spot: Spot) -> Option<&'a Knot> {
        spot.below.filter(|_| spot.leaf.is_none()).and_then(|knot| self.tree.knots.get(knot))
    }

    fn field(&mut self, leaf: usize) -> Option<FieldId> {
        if let Some(field) = self.fields.get(&leaf) {
            return Some(*field);
        }
        let known = self.tree.leaves.get(leaf)?;
        let field = match known.reversible {
            true => self.builder.reversible_field(&known.path, known.kind),
            false => self.builder.field(&known.path, known.kind),
        };
        self.fields.insert(leaf, field);
        Some(field)
    }

    /// The field of a place that is hidden, or of something in it: headers are hidden as a whole.
    fn any_field(&mut self, spot: Spot) -> Option<FieldId> {
        let below = || self.knot(spot).and_then(|knot| knot.spots().find_map(|spot| spot.leaf));
        let leaf = spot.leaf.or_else(below)?;
        self.field(leaf)
    }

    fn node(&mut self, spot: Spot) -> NodeId {
        if let Some(field) = spot.leaf.and_then(|leaf| self.field(leaf)) {
            return self.builder.secret(field);
        }
        let Some((number, knot)) = spot.below.zip(self.knot(spot)) else { return self.builder.structure() };
        match knot {
            Knot::Structure(branches) => {
                if let Some(node) = self.structures.get(&number) {
                    return *node;
                }
                // The node comes first: shapes may contain themselves.
                let node = self.builder.structure();
                self.structures.insert(number, node);
                let branches: Vec<&Branch> = branches.iter().collect();
                self.members(node, &branches);
                node
            }
            Knot::List { item, flat } => {
                let item = self.node(*item);
                if *flat { self.builder.flat_list(item) } else { self.builder.list(item) }
            }
            Knot::Map { value, key, flat } => {
                let value = self.node(*value);
                if *flat {
                    return self.builder.flat_map(value, key);
                }
                let map = self.builder.map(value);
                self.builder.map_key(map, key);
                map
            }
        }
    }

    fn structure(&mut self, branches: &[&'a Branch]) -> NodeId {
        let node = self.builder.structure();
        self.members(node, branches);
        node
    }

    /// Members by their names on the wire, and by those in the model where these are not others': not all services
    /// write what their models say.
    fn members(&mut self, node: NodeId, branches: &[&'a Branch]) {
        let mut names = BTreeMap::new();
        for branch in branches {
            let to = self.node(branch.spot);
            names.entry(branch.wire).or_insert(to);
        }
        for branch in branches {
            if let Some(to) = names.get(branch.wire).copied() {
                names.entry(branch.name).or_insert(to);
            }
        }
        for (name, to) in names {
            self.builder.member(node, name, to);
        }
    }
}

/// The header's name, or how such headers begin.
fn header(branch: &Branch) -> String {
    let star = if branch.at == Location::Headers { "*" } else { "" };
    format!("{}{star}", branch.wire)
}
