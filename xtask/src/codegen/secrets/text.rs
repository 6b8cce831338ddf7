//! The graph as texts: what they look like is written in `gateway-user/src/catalog/secrets/read.rs`.

use std::collections::HashMap;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{
    graph::{Edge, Graph, Node, Root, flag},
    lists::{Class, Step},
};
use crate::codegen::shapes::lower_first;

/// The texts of a service's nodes, and what refers to them.
#[derive(Default)]
pub struct Texts {
    /// The texts, by their numbers.
    pub texts: Vec<String>,
    ids: HashMap<String, usize>,
}

impl Texts {
    /// Adds the nodes of a graph that was pruned; gives what each root refers to, `None` for nothing hidden.
    pub fn add(&mut self, graph: &Graph<'_>, roots: &[Root]) -> Result<Vec<Option<String>>> {
        // What looks alike is one: first all are what they are, then ever more of them are told apart.
        let parts: Vec<Parts> = graph.nodes.iter().map(parts).collect::<Result<_>>()?;
        let mut groups = vec![0_usize; parts.len()];
        loop {
            let mut seen = HashMap::new();
            let next: Vec<usize> = parts
                .iter()
                .map(|parts| {
                    let fresh = seen.len();
                    *seen.entry(parts.with(|to| groups.get(to).map(ToString::to_string))).or_insert(fresh)
                })
                .collect();
            if next == groups {
                break;
            }
            groups = next;
        }
        let mut writer = Writer { parts: &parts, groups: &groups, numbers: HashMap::new(), all: self };
        let mut references = Vec::new();
        for (hidden, to) in roots {
            let to = to.filter(|to| parts.get(*to).is_some_and(|parts| !parts.0.is_empty()));
            let number = to.map(|to| writer.number(to)).transpose()?;
            let letter = hidden.map(|(class, _, letter)| cased(class, letter));
            references.push(match (letter, number) {
                (None, None) => None,
                (letter, number) => Some(reference(letter, number.map(|number| number.to_string()))),
            });
        }
        Ok(references)
    }
}

struct Writer<'a> {
    parts: &'a [Parts],
    groups: &'a [usize],
    /// By group.
    numbers: HashMap<usize, usize>,
    all: &'a mut Texts,
}

impl Writer<'_> {
    fn number(&mut self, node: usize) -> Result<usize> {
        let (Some(group), Some(parts)) = (self.groups.get(node), self.parts.get(node)) else {
            bail!("no such node")
        };
        if let Some(number) = self.numbers.get(group) {
            return Ok(*number);
        }
        // The number comes first: shapes may contain themselves.
        let number = self.all.texts.len();
        self.all.texts.push(String::new());
        self.numbers.insert(*group, number);
        let mut to_numbers = HashMap::new();
        for to in parts.0.iter().filter_map(|part| part.to) {
            to_numbers.insert(to, self.number(to)?);
        }
        let text = parts.with(|to| to_numbers.get(&to).map(ToString::to_string));
        // Requests often have the shapes of answers.
        if number + 1 == self.all.texts.len()
            && let Some(known) = self.all.ids.get(&text)
        {
            self.all.texts.pop();
            self.numbers.insert(*group, *known);
            return Ok(*known);
        }
        self.all.ids.insert(text.clone(), number);
        if let Some(place) = self.all.texts.get_mut(number) {
            *place = text;
        }
        Ok(number)
    }
}

/// A text in parts: before each reference, the reference, and what comes at the end.
struct Parts(Vec<Part>);

struct Part {
    before: String,
    letter: Option<char>,
    to: Option<usize>,
    after: String,
}

impl Parts {
    fn with(&self, number: impl Fn(usize) -> Option<String>) -> String {
        let text = |part: &Part| {
            let Part { before, letter, to, after } = part;
            let reference = reference(*letter, to.and_then(&number));
            // A secret text is what there is most of.
            let plain = before.ends_with(':') && reference == "s";
            let before = if plain { before.trim_end_matches(':') } else { before };
            format!("{before}{}{after}", if plain { "" } else { &reference })
        };
        self.0.iter().map(text).collect()
    }
}

fn reference(letter: Option<char>, number: Option<String>) -> String {
    let mut text: String = letter.into_iter().collect();
    text.push_str(&number.unwrap_or_default());
    text
}

fn cased(class: Class, letter: char) -> char {
    match class {
        Class::Secret => letter,
        Class::Personal => letter.to_ascii_uppercase(),
    }
}

fn parts(node: &Node<'_>) -> Result<Parts> {
    let mut parts = Vec::new();
    for (number, edge) in node.edges.iter().enumerate() {
        let letter = edge.hidden.map(|(class, _, letter)| cased(class, letter));
        let (before, after) = match &edge.step {
            Step::Member(name) => {
                (format!("{}{name}:", if number == 0 { "{" } else { " " }), place(node, edge, name)?)
            }
            Step::Item => (format!("[{}", flattened(node)), String::new()),
            Step::Key => continue,
            Step::Value => {
                let name = node.shape.pointer("/key/locationName").and_then(Value::as_str);
                let name = name.filter(|name| *name != "key");
                (format!("<{}", flattened(node)), name.map(|name| format!(" {name}")).unwrap_or_default())
            }
        };
        parts.push(Part { before, letter, to: edge.to, after });
    }
    Ok(Parts(parts))
}

fn flattened(node: &Node<'_>) -> &'static str {
    if node.flattened { "+" } else { "" }
}

/// What stands after a member's reference: where it is, and its name there.
fn place(node: &Node<'_>, edge: &Edge<'_>, name: &str) -> Result<String> {
    let at = edge.at;
    let wire = edge.wire.unwrap_or(name);
    let payload = node.shape.get("payload").and_then(Value::as_str) == Some(name);
    let mark = match at.get("location").and_then(Value::as_str) {
        _ if payload || flag(at, "eventpayload") => "&",
        _ if flag(at, "eventheader") => "^",
        Some("uri") => "/",
        Some("querystring") => "?",
        Some("header") => "^",
        Some("headers") => "^*",
        None => "=",
        Some(other) => bail!("{name}: the location {other} is not known"),
    };
    let wire = match wire {
        wire if wire == name => "",
        wire if lower_first(name) == wire => "_",
        wire => wire,
    };
    let mark = if mark == "=" && wire.is_empty() { "" } else { mark };
    let after = [if edge.events { "~" } else { "" }, mark, wire].concat();
    if after.contains(char::is_whitespace) {
        bail!("{after:?} has a space");
    }
    Ok(after)
}
