//! What leads to something hidden, from the outputs and inputs of one service.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::lists::{Class, Lists, Step};

/// Which half of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The lists say what is hidden of answers.
    Output,
    /// All that is marked is hidden of requests: CloudTrail hides it, too.
    Input,
    /// Nothing is hidden: everything that answers have, as if it were.
    Whole,
}

/// Who says that something is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum From {
    /// The models.
    Trait,
    /// `unmarked.txt`.
    List,
}

/// A shape on the way to something hidden, at one place of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    shape: String,
    /// Rules that begin further up, with how many of their steps are done.
    active: Vec<(usize, usize)>,
    /// Lists and maps are as hidden as what leads to them.
    within: Option<(Class, From)>,
    /// Whether the member says that its list or map has no element around it.
    flattened: bool,
}

/// What one step leads to.
pub struct Edge<'a> {
    /// The step.
    pub step: Step,
    /// The member, item or value in the model.
    pub at: &'a Value,
    /// What it is hidden as, by whom, and the letter of its type.
    pub hidden: Option<(Class, From, char)>,
    /// Where it goes on.
    pub to: Option<usize>,
    /// Its name on the wire, where the model has one.
    pub wire: Option<&'a str>,
    /// Whether it is a stream of events.
    pub events: bool,
}

/// A shape, with those of its edges that lead to something hidden.
pub struct Node<'a> {
    /// Its name.
    pub name: String,
    /// Its model.
    pub shape: &'a Value,
    /// Whether it is a list or map without an element around it.
    pub flattened: bool,
    /// Its edges; after [`Graph::prune`] only those that matter.
    pub edges: Vec<Edge<'a>>,
}

/// The shapes that were reached so far.
pub struct Graph<'a> {
    service: &'a str,
    shapes: &'a Value,
    lists: &'a Lists,
    side: Side,
    json: bool,
    /// The nodes.
    pub nodes: Vec<Node<'a>>,
    ids: HashMap<Key, usize>,
    /// Marked members that are not hidden: `Shape.Member`.
    pub noise: Vec<String>,
}

/// Where an operation's output or input begins: hidden as a whole, or further down.
pub type Root = (Option<(Class, From, char)>, Option<usize>);

impl<'a> Graph<'a> {
    /// For one service.
    pub fn new(service: &'a str, model: &'a Value, lists: &'a Lists, side: Side, json: bool) -> Self {
        let shapes = model.get("shapes").unwrap_or(&Value::Null);
        Self { service, shapes, lists, side, json, nodes: Vec::new(), ids: HashMap::new(), noise: Vec::new() }
    }

    /// Adds what an operation's input or output leads to.
    pub fn root(&mut self, at: &'a Value) -> Result<Root> {
        // The shape as a whole may be marked; it has no member's name.
        let edge = self.edge("", Step::Member(shape_name(at)?.to_owned()), at, &[], None)?;
        Ok((edge.hidden, edge.to))
    }

    fn node(&mut self, key: Key) -> Result<usize> {
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let id = self.nodes.len();
        self.ids.insert(key.clone(), id);
        let shapes = self.shapes;
        let shape = shapes.get(&key.shape).with_context(|| format!("no shape {}", key.shape))?;
        let flattened = key.flattened || flag(shape, "flattened");
        self.nodes.push(Node { name: key.shape.clone(), shape, flattened, edges: Vec::new() });
        let mut edges = Vec::new();
        for (step, at) in steps(shape)? {
            // A status code is no text of the answer, and an attribute says of what kind an element is.
            let status = at.get("location").and_then(Value::as_str) == Some("statusCode");
            if !(status || self.side == Side::Whole && flag(at, "xmlAttribute")) {
                edges.push(self.edge(&key.shape, step, at, &key.active, key.within)?);
            }
        }
        if let Some(node) = self.nodes.get_mut(id) {
            node.edges = edges;
        }
        Ok(id)
    }

    fn edge(
        &mut self,
        from: &str,
        step: Step,
        at: &'a Value,
        active: &[(usize, usize)],
        within: Option<(Class, From)>,
    ) -> Result<Edge<'a>> {
        let shapes = self.shapes;
        let name = shape_name(at)?;
        let shape = shapes.get(name).with_context(|| format!("no shape {name}"))?;
        if self.side == Side::Whole {
            return self.whole(step, at, shape);
        }
        let (active, listed) = self.advance(from, &step, active);
        let marked = if flag(shape, "sensitive") || flag(at, "sensitive") {
            let class = match self.side {
                Side::Output => self.lists.class(self.service, from, &step),
                Side::Input | Side::Whole => {
                    (!self.lists.opens(self.service, from, &step)).then_some(Class::Secret)
                }
            };
            if class.is_none() {
                self.noise.push(step.of(from));
            }
            class
        } else {
            None
        };
        let listed = listed.then_some((Class::Secret, From::List));
        let said = marked.map(|class| (class, From::Trait));
        // Who says it first is named: a secret within the personal is a secret.
        let hidden =
            [within, said, listed].into_iter().flatten().reduce(|a, b| if b.0 > a.0 { b } else { a });
        if step == Step::Key {
            // Names stay where they are.
            let secret = hidden.is_some_and(|(class, _)| class == Class::Secret) && within.is_none();
            ensure!(
                !(secret && self.side == Side::Output),
                "{} {}: names in a map cannot be hidden",
                self.service,
                step.of(from)
            );
            return Ok(Edge { step, at, hidden: None, to: None, wire: None, events: false });
        }
        if hidden.is_some() && flag(at, "xmlAttribute") {
            bail!("{}: an attribute cannot be hidden", step.of(from));
        }
        let kind = shape.get("type").and_then(Value::as_str).context("no type")?;
        let wire = wire(at, shape);
        let events = flag(shape, "eventstream");
        let open = flag(shape, "document") || flag(at, "jsonvalue");
        let flattened = matches!(kind, "list" | "map") && flag(at, "flattened");
        let mut go_on = |within| {
            self.node(Key { shape: name.to_owned(), active: active.clone(), within, flattened }).map(Some)
        };
        let (letter, to) = match kind {
            _ if open => ('o', None),
            "structure" if hidden.is_some_and(|(class, _)| class == Class::Secret) => ('o', None),
            "structure" => ('o', go_on(None)?),
            "list" | "map" => {
                return Ok(Edge { step, at, hidden: None, to: go_on(hidden)?, wire, events: false });
            }
            kind => (self.letter(kind, at, shape)?, None),
        };
        let hidden = hidden.map(|(class, from)| (class, from, letter));
        Ok(Edge { step, at, hidden, to, wire, events })
    }

    /// As [`Graph::edge`], where every leaf counts.
    fn whole(&mut self, step: Step, at: &'a Value, shape: &'a Value) -> Result<Edge<'a>> {
        let name = shape_name(at)?.to_owned();
        let kind = shape.get("type").and_then(Value::as_str).context("no type")?;
        let open = flag(shape, "document") || flag(at, "jsonvalue");
        let (mut hidden, mut to) = (None, None);
        let all = |letter| Some((Class::Secret, From::Trait, letter));
        match kind {
            _ if step == Step::Key => {}
            _ if open => hidden = all('o'),
            "structure" | "list" | "map" => {
                let flattened = kind != "structure" && flag(at, "flattened");
                to = Some(self.node(Key { shape: name, active: Vec::new(), within: None, flattened })?);
            }
            kind => hidden = all(self.letter(kind, at, shape)?),
        }
        Ok(Edge { step, at, hidden, to, wire: wire(at, shape), events: flag(shape, "eventstream") })
    }

    /// The rules that go on after a step, and whether one is at its end.
    fn advance(&self, from: &str, step: &Step, active: &[(usize, usize)]) -> (Vec<(usize, usize)>, bool) {
        let rules = self.lists.rules.iter().enumerate();
        let begun = rules.filter(|(_, rule)| rule.begins(self.service, from)).map(|(number, _)| (number, 0));
        let (mut next, mut done) = (Vec::new(), false);
        for (number, at) in active.iter().copied().chain(begun) {
            let Some(rule) = self.lists.rules.get(number) else { continue };
            if rule.steps.get(at) != Some(step) {
                continue;
            }
            if at + 1 == rule.steps.len() {
                rule.used.set(true);
                done = true;
            } else {
                next.push((number, at + 1));
            }
        }
        next.sort_unstable();
        next.dedup();
        (next, done)
    }

    fn letter(&self, kind: &str, at: &Value, shape: &Value) -> Result<char> {
        Ok(match kind {
            "string" | "character" => 's',
            "integer" | "long" => 'i',
            "float" | "double" => 'f',
            "boolean" => 'b',
            "blob" => 'x',
            "timestamp" => self.timestamp(at, shape),
            other => bail!("the type {other} is not known"),
        })
    }

    fn timestamp(&self, at: &Value, shape: &Value) -> char {
        let format = |of: &Value| of.get("timestampFormat").and_then(Value::as_str).map(str::to_owned);
        let header = at.get("location").and_then(Value::as_str) == Some("header");
        match format(at).or_else(|| format(shape)).as_deref() {
            Some("iso8601") => 't',
            Some("unixTimestamp") => 'u',
            Some("rfc822") => 'h',
            _ if header => 'h',
            _ if self.json => 'u',
            _ => 't',
        }
    }

    /// Leaves out what leads to nothing hidden.
    pub fn prune(&mut self) {
        let mut useful = vec![false; self.nodes.len()];
        loop {
            let leads = |edge: &Edge<'_>, useful: &[bool]| {
                edge.hidden.is_some() || edge.to.is_some_and(|to| useful.get(to) == Some(&true))
            };
            let next: Vec<bool> =
                self.nodes.iter().map(|node| node.edges.iter().any(|edge| leads(edge, &useful))).collect();
            if next == useful {
                break;
            }
            useful = next;
        }
        for node in &mut self.nodes {
            for edge in &mut node.edges {
                edge.to = edge.to.filter(|to| useful.get(*to) == Some(&true));
            }
            node.edges.retain(|edge| edge.hidden.is_some() || edge.to.is_some());
        }
    }
}

/// What is in a shape.
fn steps(shape: &Value) -> Result<Vec<(Step, &Value)>> {
    let part = |name: &str| shape.get(name).with_context(|| format!("no {name}"));
    Ok(match shape.get("type").and_then(Value::as_str) {
        Some("structure") => {
            let members = shape.get("members").and_then(Value::as_object);
            members.into_iter().flatten().map(|(name, at)| (Step::Member(name.clone()), at)).collect()
        }
        Some("list") => vec![(Step::Item, part("member")?)],
        Some("map") => vec![(Step::Key, part("key")?), (Step::Value, part("value")?)],
        other => bail!("the type {other:?} has no parts"),
    })
}

/// What a member is called on the wire, where the model says something: in a list without an element around it, that
/// is the name of the items.
fn wire<'a>(at: &'a Value, shape: &'a Value) -> Option<&'a str> {
    let bare = flag(shape, "flattened") || flag(at, "flattened");
    let item = shape.pointer("/member/locationName").and_then(Value::as_str);
    item.filter(|_| bare).or_else(|| at.get("locationName").and_then(Value::as_str))
}

fn shape_name(at: &Value) -> Result<&str> {
    at.get("shape").and_then(Value::as_str).context("no shape")
}

/// Whether a trait is there.
pub fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}
