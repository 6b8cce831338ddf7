//! A service's shapes as texts: what of a model is needed to read requests.
//!
//! Where bodies say themselves what is in them (JSON, CBOR), nested structures are left open; that is
//! what keeps the table small.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The shapes that were asked for so far.
pub struct Shapes<'a> {
    shapes: &'a Value,
    /// Bodies do not say what is in them: every nested shape is needed.
    whole: bool,
    ec2: bool,
    json: bool,
    texts: Vec<String>,
    ids: HashMap<String, usize>,
}

/// Where a value is, because timestamps and nested shapes depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Body,
    Header,
    /// Path or query.
    Uri,
    Payload,
}

impl<'a> Shapes<'a> {
    /// For the models of one service.
    pub fn new(model: &'a Value, protocols: &[&str]) -> Self {
        let speaks = |protocol: &str| protocols.contains(&protocol);
        Self {
            shapes: model.get("shapes").unwrap_or(&Value::Null),
            whole: speaks("query") || speaks("ec2") || speaks("rest-xml"),
            ec2: speaks("ec2"),
            json: !(speaks("query") || speaks("ec2") || speaks("rest-xml")),
            texts: Vec::new(),
            ids: HashMap::new(),
        }
    }

    /// All texts, by their numbers.
    pub fn texts(self) -> Vec<String> {
        self.texts
    }

    /// The members of an operation's input. Texts in the path are left out: the path has their names.
    pub fn members(&mut self, input: &str) -> Result<String> {
        self.text(input, true)
    }

    /// The labels of the path in an operation's input: names on the wire and in the model.
    pub fn labels(&self, input: &str) -> Vec<(&'a str, &'a str)> {
        let shape = self.shapes.get(input);
        let members = shape.and_then(|shape| shape.get("members")).and_then(Value::as_object);
        let in_path = members.into_iter().flatten().filter(|(_, member)| location(member) == Some("uri"));
        in_path.map(|(name, member)| (wire_name(member).unwrap_or(name), name.as_str())).collect()
    }

    fn is_stream(&self, member: &Value) -> bool {
        let shape = self.shape_of(member);
        flag(member, "streaming")
            || shape.is_some_and(|shape| flag(shape, "streaming") || flag(shape, "eventstream"))
    }

    fn structure(&mut self, name: &str) -> Result<usize> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        // The number comes first: structures may contain themselves.
        let id = self.texts.len();
        self.texts.push(String::new());
        self.ids.insert(name.to_owned(), id);
        let text = format!("{{{}", self.text(name, false)?);
        if let Some(place) = self.texts.get_mut(id) {
            *place = text;
        }
        Ok(id)
    }

    fn text(&mut self, name: &str, input: bool) -> Result<String> {
        let shapes = self.shapes;
        let shape = shapes.get(name).with_context(|| format!("no shape {name}"))?;
        let payload = shape.get("payload").and_then(Value::as_str);
        let mut members = Vec::new();
        for (name, member) in shape.get("members").and_then(Value::as_object).into_iter().flatten() {
            let text = self.member(name, member, payload == Some(name.as_str()));
            let text = text.with_context(|| name.clone())?;
            if !(input && text == format!("{name}/")) {
                members.push(text);
            }
        }
        Ok(members.join(" "))
    }

    fn member(&mut self, name: &str, member: &Value, payload: bool) -> Result<String> {
        let wire = wire_name(member).unwrap_or(name);
        let (mark, place, wire) = match location(member) {
            // The outermost element of an XML body has the member's name, or its shape's.
            _ if payload => {
                let element = self.shape_of(member).and_then(wire_name);
                ("&", Place::Payload, wire_name(member).or(element).unwrap_or(name))
            }
            // A label of the path, where its name in the model stands.
            Some("uri") => ("/", Place::Uri, name),
            Some("querystring") if self.is_map(member) => ("?*", Place::Uri, name),
            Some("querystring") => ("?", Place::Uri, wire),
            Some("header") => ("^", Place::Header, wire),
            Some("headers") => ("^*", Place::Header, wire),
            // Only answers have a status code.
            Some("statusCode") | None if flag(member, "xmlAttribute") => ("%", Place::Body, wire),
            Some("statusCode") | None => ("=", Place::Body, wire),
            Some(other) => bail!("the location {other} is not known"),
        };
        let wire = if self.ec2 { &ec2_name(name, member) } else { wire };
        let shape = self.reference(member, place)?;
        let stream = if self.is_stream(member) { "~" } else { "" };
        let host = if flag(member, "hostLabel") { "#" } else { "" };
        let wire = if wire == name {
            ""
        } else if lower_first(name) == *wire {
            "_"
        } else {
            wire
        };
        let mark = if mark == "=" && wire.is_empty() { "" } else { mark };
        let shape = if shape == "s" { String::new() } else { format!(":{shape}") };
        let out = [name, &shape, stream, host, mark, wire].concat();
        if out.contains(char::is_whitespace) {
            bail!("{out:?} has a space");
        }
        Ok(out)
    }

    fn shape_of(&self, member: &Value) -> Option<&'a Value> {
        self.shapes.get(member.get("shape")?.as_str()?)
    }

    fn is_map(&self, member: &Value) -> bool {
        let shape = self.shape_of(member);
        shape.and_then(|shape| shape.get("type")).is_some_and(|kind| kind == "map")
    }

    /// A letter or a number for what `at` refers to.
    fn reference(&mut self, at: &Value, place: Place) -> Result<String> {
        let name = at.get("shape").and_then(Value::as_str).context("no shape")?;
        let shapes = self.shapes;
        let shape = shapes.get(name).with_context(|| format!("no shape {name}"))?;
        let kind = shape.get("type").and_then(Value::as_str).context("no type")?;
        let open = flag(shape, "document") || flag(shape, "eventstream") || flag(at, "jsonvalue");
        if open {
            return Ok("o".to_owned());
        }
        Ok(match kind {
            "string" | "character" => "s".to_owned(),
            "integer" | "long" => "i".to_owned(),
            "float" | "double" => "f".to_owned(),
            "boolean" => "b".to_owned(),
            "blob" => "x".to_owned(),
            "timestamp" => self.timestamp(at, shape, place).to_owned(),
            "structure" if self.whole || place == Place::Payload => self.structure(name)?.to_string(),
            "list" => {
                let member = shape.get("member").context("no member")?;
                if place == Place::Body && !self.whole && !self.is_scalar(member) {
                    return Ok("o".to_owned());
                }
                let flattened = if flag(shape, "flattened") || flag(at, "flattened") { "+" } else { "" };
                let inner = self.reference(member, place)?;
                let item = member.get("locationName").and_then(Value::as_str).unwrap_or_default();
                let text = format!("[{flattened}{inner} {item}");
                self.numbered(text.trim_end())
            }
            "map" if self.whole || place != Place::Body => {
                let (key, value) =
                    (shape.get("key").context("no key")?, shape.get("value").context("no value")?);
                let flattened = if flag(shape, "flattened") || flag(at, "flattened") { "+" } else { "" };
                let (key_ref, value_ref) = (self.reference(key, place)?, self.reference(value, place)?);
                let name = |of: &Value| of.get("locationName").and_then(Value::as_str).map(str::to_owned);
                let (key_name, value_name) = (name(key), name(value));
                let text = match (key_name, value_name) {
                    (None, None) => format!("<{flattened}{key_ref} {value_ref}"),
                    (key_name, value_name) => format!(
                        "<{flattened}{key_ref} {value_ref} {} {}",
                        key_name.as_deref().unwrap_or("key"),
                        value_name.as_deref().unwrap_or("value")
                    ),
                };
                self.numbered(&text)
            }
            "structure" | "map" => "o".to_owned(),
            other => bail!("the type {other} is not known"),
        })
    }

    fn is_scalar(&self, at: &Value) -> bool {
        let kind = self.shape_of(at).and_then(|shape| shape.get("type")).and_then(Value::as_str);
        kind.is_some_and(|kind| !matches!(kind, "structure" | "list" | "map"))
    }

    fn numbered(&mut self, text: &str) -> String {
        // Not a shape's name: these begin with a bracket.
        if let Some(id) = self.ids.get(text) {
            return id.to_string();
        }
        let id = self.texts.len();
        self.texts.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id.to_string()
    }

    fn timestamp(&self, at: &Value, shape: &Value, place: Place) -> &'static str {
        let format = |of: &Value| of.get("timestampFormat").and_then(Value::as_str).map(str::to_owned);
        match format(at).or_else(|| format(shape)).as_deref() {
            Some("iso8601") => "t",
            Some("unixTimestamp") => "u",
            Some("rfc822") => "h",
            _ if place == Place::Header => "h",
            _ if place == Place::Uri || !self.json => "t",
            _ => "u",
        }
    }
}

fn location(member: &Value) -> Option<&str> {
    member.get("location").and_then(Value::as_str)
}

fn wire_name(member: &Value) -> Option<&str> {
    member.get("locationName").and_then(Value::as_str)
}

/// The EC2 protocol has rules of its own: <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>
fn ec2_name(name: &str, member: &Value) -> String {
    if let Some(query) = member.get("queryName").and_then(Value::as_str) {
        return query.to_owned();
    }
    let name = wire_name(member).unwrap_or(name);
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Many members differ from their names on the wire only in this.
pub fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}
