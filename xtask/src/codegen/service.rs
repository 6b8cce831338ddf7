//! A service's line and those of its operations.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::{actions::Actions, hosts::Hosts, needs::Needs, places::Places, shapes::Shapes};

/// A text of a model's metadata.
pub fn metadata<'a>(model: &'a Value, name: &str) -> Option<&'a str> {
    model.pointer(&format!("/metadata/{name}"))?.as_str()
}

/// The protocols that a model lists, those of older clients included.
pub fn protocols(model: &Value) -> Vec<&str> {
    let listed = model.pointer("/metadata/protocols").and_then(Value::as_array);
    let mut protocols: Vec<&str> = match listed {
        Some(listed) => listed.iter().filter_map(Value::as_str).collect(),
        None => metadata(model, "protocol").into_iter().collect(),
    };
    // The service still answers clients from the time when it spoke query.
    let was_query = model.pointer("/metadata/awsQueryCompatible").is_some();
    if was_query && !protocols.contains(&"query") {
        protocols.push("query");
    }
    protocols
}

/// The line of the service `name`, and one for each of its operations.
pub fn lines(name: &str, model: &Value, prefix: &str, sources: &Joined<'_>) -> Result<Vec<Value>> {
    let endpoint = metadata(model, "endpointPrefix").context("no endpointPrefix")?;
    let protocols = protocols(model);
    let mut shapes = Shapes::new(model, &protocols);
    let operations = model.get("operations").and_then(Value::as_object).context("no operations")?;
    let operations: BTreeMap<&String, &Value> = operations.iter().collect();
    let needs_of = |operation: &String| sources.needs.get(&(name.to_owned(), operation.clone()));
    let places = Places::of(operations.keys().copied().filter_map(needs_of));
    let mut lines = Vec::new();
    for (operation, value) in &operations {
        let mut line =
            self::operation(operation, value, &mut shapes).with_context(|| operation.to_string())?;
        let own = format!("{prefix}:{operation} ");
        let guessed =
            needs_of(operation).is_some_and(|needs| needs.needs.iter().any(|need| need.starts_with(&own)));
        // An action that IAM's data does not have yet counts as writing.
        let level = sources.actions.level(prefix, operation).or(guessed.then_some('w'));
        let mut flags: String = level.into_iter().collect();
        flags.push_str(&self::flags(value));
        if let Some(needs) = needs_of(operation) {
            if needs.mints {
                flags.push('m');
            }
            let own = format!("{prefix}:{operation}");
            line.insert("a".to_owned(), json!(places.shortened(needs, &own)));
        }
        if !flags.is_empty() {
            line.insert("f".to_owned(), json!(flags));
        }
        lines.push(Value::Object(line));
    }
    let mut line = Map::new();
    let mut set = |name: &str, value: Value| line.insert(name.to_owned(), value);
    set("service", json!(name));
    set("prefix", json!(prefix));
    set("signing", json!(metadata(model, "signingName").unwrap_or(endpoint)));
    set("endpoint", json!(endpoint));
    set("protocols", json!(protocols));
    if let Some(target) = metadata(model, "targetPrefix") {
        set("target", json!(target));
    }
    set("version", json!(metadata(model, "apiVersion").context("no apiVersion")?));
    set("hosts", json!(sources.hosts.of(name)));
    set("shapes", json!(shapes.texts()));
    set("places", json!(places.texts()));
    lines.insert(0, Value::Object(line));
    Ok(lines)
}

/// What service lines are joined with.
pub struct Joined<'a> {
    /// IAM's actions.
    pub actions: &'a Actions,
    /// The endpoint rulesets.
    pub hosts: &'a Hosts,
    /// By service and operation.
    pub needs: &'a BTreeMap<(String, String), Needs>,
}

fn operation(name: &str, value: &Value, shapes: &mut Shapes<'_>) -> Result<Map<String, Value>> {
    let text = |place: &str| value.pointer(place).and_then(Value::as_str);
    let (method, uri) =
        (text("/http/method").context("no method")?, text("/http/requestUri").context("no requestUri")?);
    if uri.contains('#') || !uri.starts_with('/') {
        bail!("the path {uri} is not understood");
    }
    let mut line = Map::from_iter([("op".to_owned(), json!(name))]);
    let mut uri = uri.to_owned();
    if let Some(input) = text("/input/shape") {
        // Labels have no name on the wire, so that they can have the model's.
        for (wire, name) in shapes.labels(input) {
            uri = uri.replace(&format!("{{{wire}}}"), &format!("{{{name}}}"));
            uri = uri.replace(&format!("{{{wire}+}}"), &format!("{{{name}+}}"));
        }
        let members = shapes.members(input)?;
        if !members.is_empty() {
            line.insert("i".to_owned(), json!(members));
        }
    }
    if (method, uri.as_str()) != ("POST", "/") {
        line.insert("u".to_owned(), json!(format!("{method} {uri}")));
    }
    if let Some(prefix) = text("/endpoint/hostPrefix") {
        line.insert("h".to_owned(), json!(prefix));
    }
    Ok(line)
}

/// `b`: the signature leaves out the body.
fn flags(operation: &Value) -> String {
    let open_body = operation.get("authtype").and_then(Value::as_str) == Some("v4-unsigned-body")
        || operation.get("unsignedPayload").and_then(Value::as_bool).unwrap_or(false);
    if open_body { "b".to_owned() } else { String::new() }
}
