//! What is hidden in answers and requests: the lines of `gateway-user/src/catalog/secrets.jsonl.zst`; and, in the same
//! form, everything that answers have: `answers.jsonl.zst`, which rules of the configuration are checked against.
//!
//! The models mark members as sensitive; our own lists (`unmarked.txt`, `opened.txt`, `noise.txt`, `personal.txt`) correct
//! them. Of
//! each service those shapes are left that lead from an operation to something hidden.

mod graph;
mod lists;
mod report;
mod text;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use self::{
    graph::{Graph, Root, Side},
    lists::Lists,
    text::Texts,
};
use super::{service, sources::Sources};

/// One line for each service that has something to hide.
pub fn lines(sources: &Sources) -> Result<Vec<Value>> {
    let lists = Lists::read()?;
    let mut lines = Vec::new();
    for (name, model) in &sources.models {
        let [output, input] = halves(name, model, &lists).with_context(|| name.clone())?;
        lines.extend(line(name, &[("out", &output), ("in", &input)]).with_context(|| name.clone())?);
    }
    lists.check()?;
    Ok(lines)
}

/// One line for each service that answers anything.
pub fn answer_lines(sources: &Sources) -> Result<Vec<Value>> {
    let lists = Lists::parse("", "", "", "")?;
    let mut lines = Vec::new();
    for (name, model) in &sources.models {
        let answers = half(name, model, &lists, Side::Whole).with_context(|| name.clone())?;
        lines.extend(line(name, &[("out", &answers)]).with_context(|| name.clone())?);
    }
    Ok(lines)
}

fn line(service: &str, halves: &[(&str, &Half<'_>)]) -> Result<Option<Value>> {
    let mut texts = Texts::default();
    let mut line = Map::from_iter([("service".to_owned(), json!(service))]);
    for (key, half) in halves {
        let roots: Vec<Root> = half.roots.iter().map(|(_, root)| *root).collect();
        let references = texts.add(&half.graph, &roots)?;
        let operations = half.roots.iter().zip(references);
        let operations: Vec<String> =
            operations.filter_map(|((operation, _), to)| Some(format!("{operation}:{}", to?))).collect();
        if !operations.is_empty() {
            line.insert((*key).to_owned(), json!(operations.join(" ")));
        }
    }
    if line.len() == 1 {
        return Ok(None);
    }
    line.insert("nodes".to_owned(), json!(texts.texts));
    Ok(Some(Value::Object(line)))
}

/// What is hidden, as a text for people.
pub fn report(sources: &Sources) -> Result<String> {
    let lists = Lists::read()?;
    let mut halves = BTreeMap::new();
    for (name, model) in &sources.models {
        halves.insert(name.as_str(), self::halves(name, model, &lists).with_context(|| name.clone())?);
    }
    lists.check()?;
    Ok(report::print(&halves))
}

/// All outputs or all inputs of a service.
struct Half<'a> {
    graph: Graph<'a>,
    /// By operation.
    roots: Vec<(&'a str, Root)>,
}

fn halves<'a>(name: &'a str, model: &'a Value, lists: &'a Lists) -> Result<[Half<'a>; 2]> {
    Ok([half(name, model, lists, Side::Output)?, half(name, model, lists, Side::Input)?])
}

fn half<'a>(name: &'a str, model: &'a Value, lists: &'a Lists, side: Side) -> Result<Half<'a>> {
    let protocols = service::protocols(model);
    let json = !["query", "ec2", "rest-xml"].iter().any(|xml| protocols.first() == Some(xml));
    let operations = model.get("operations").and_then(Value::as_object).context("no operations")?;
    let operations: BTreeMap<&String, &Value> = operations.iter().collect();
    let mut graph = Graph::new(name, model, lists, side, json);
    let mut roots = Vec::new();
    for (operation, value) in &operations {
        if let Some(at) = value.get(if side == Side::Input { "input" } else { "output" }) {
            roots.push((operation.as_str(), graph.root(at).with_context(|| operation.to_string())?));
        }
    }
    graph.prune();
    Ok(Half { graph, roots })
}
