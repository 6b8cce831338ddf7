//! The query protocols (AWS query and EC2 query): `Action`, `Version` and flattened members.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

use std::collections::{BTreeMap, HashMap};

use http::Method;

use super::{
    ClassifyError, Param,
    protocol::{self, content_type},
    sections::sections,
    value::{MAX_DEPTH, MAX_VALUES},
};
use crate::parse::{AwsRequest, Query, VerifiedRequest};

/// `Action` and `Version` of a call: a form by POST, or the same in the URL by GET.
pub(super) fn action(head: &AwsRequest, body: &[u8]) -> Result<(String, String), ClassifyError> {
    let mut members = pairs(head, body)?;
    let mut take = |name: &str| members.remove(name).unwrap_or_default();
    Ok((take("Action"), take("Version")))
}

/// All other members of a call to the service with this IAM prefix.
pub(super) fn members(
    prefix: &str,
    request: &VerifiedRequest,
) -> Result<BTreeMap<String, Param>, ClassifyError> {
    let mut members = pairs(request.request(), protocol::plain_body(request)?)?;
    members.retain(|name, _| !matches!(name.as_str(), "Action" | "Version"));
    nested(prefix, members)
}

fn pairs(head: &AwsRequest, body: &[u8]) -> Result<BTreeMap<String, String>, ClassifyError> {
    let form = content_type(head) == "application/x-www-form-urlencoded";
    match *head.method() {
        Method::POST if form && head.query().is_empty() => unique(form_pairs(body)?),
        Method::GET if body.is_empty() => unique(own(head.query())),
        _ => Err(ClassifyError::Ambiguous("a query call that is neither a form nor a GET".to_owned())),
    }
}

fn own(query: &Query) -> Vec<(String, String)> {
    query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `application/x-www-form-urlencoded`, where `+` is a space for everyone.
fn form_pairs(body: &[u8]) -> Result<Vec<(String, String)>, ClassifyError> {
    let bad = |what: &str| ClassifyError::BadBody(what.to_owned());
    let text = std::str::from_utf8(body).map_err(|_| bad("it is not UTF-8"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic() || *c == ';') {
        return Err(bad(&format!("the form has a bare {c:?}")));
    }
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        if text
            .split('%')
            .skip(1)
            .any(|rest| !rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())))
        {
            return Err(bad("a percent-encoding is broken"));
        }
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
        decoded.map(|text| text.into_owned()).map_err(|_| bad("a value is not UTF-8"))
    };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad("a pair has no value"))?;
        if name.is_empty() {
            return Err(bad("a pair has no name"));
        }
        Ok((decode(name)?, decode(value)?))
    };
    // One more than allowed, so that `unique` sees that there are too many.
    text.split('&').take(MAX_VALUES + 1).map(pair).collect()
}

fn unique(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, ClassifyError> {
    if pairs.len() > MAX_VALUES {
        return Err(ClassifyError::BadBody(format!("more than {MAX_VALUES} values")));
    }
    let mut seen = BTreeMap::new();
    for (name, value) in pairs {
        let folded = name.to_ascii_lowercase();
        if seen.insert(folded, (name.clone(), value)).is_some() {
            return Err(ClassifyError::Ambiguous(format!("the parameter {name:?} is there twice")));
        }
    }
    Ok(seen.into_values().collect())
}

/// Dotted names become structures, numbered ones lists: `Filter.1.Value.2`, `Tags.member.1.Key`.
fn nested(prefix: &str, members: BTreeMap<String, String>) -> Result<BTreeMap<String, Param>, ClassifyError> {
    let mut root = Node::default();
    for (name, value) in members {
        let mut node = &mut root;
        for (depth, part) in name.split('.').enumerate() {
            if depth >= MAX_DEPTH {
                return Err(ClassifyError::BadBody(format!("nested deeper than {MAX_DEPTH} levels")));
            }
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.value = Some(value);
    }
    let types = Types::of(prefix);
    let mut params = BTreeMap::new();
    for (name, child) in root.children {
        let param = match child {
            Node { value: Some(text), children } if children.is_empty() => types.typed(&name, text),
            child => child.into_param(&name)?,
        };
        params.insert(name, param);
    }
    Ok(params)
}

#[derive(Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn into_param(mut self, name: &str) -> Result<Param, ClassifyError> {
        match (self.value.take(), self.children.is_empty()) {
            (Some(text), true) => return Ok(Param::Text(text)),
            (None, _) => {}
            (Some(_), false) => {
                return Err(ClassifyError::Ambiguous(format!(
                    "the parameter {name:?} is a value and a structure"
                )));
            }
        }
        // The list wrappers of the query protocol carry no meaning.
        for wrapper in ["member", "entry"] {
            if self.children.len() == 1
                && let Some(wrapped) = self.children.remove(wrapper)
            {
                if wrapped.value.is_none() && wrapped.indexes().is_some() {
                    return wrapped.into_param(name);
                }
                self.children.insert(wrapper.to_owned(), wrapped);
            }
        }
        if let Some(indexes) = self.indexes() {
            let items = indexes.into_iter().filter_map(|index| self.children.remove(&index));
            let items: Vec<Node> = items.collect();
            return items
                .into_iter()
                .map(|item| item.into_param(name))
                .collect::<Result<_, _>>()
                .map(Param::List);
        }
        let record =
            self.children.into_iter().map(|(name, child)| Ok((name.clone(), child.into_param(&name)?)));
        record.collect::<Result<_, ClassifyError>>().map(Param::Record)
    }

    /// The children's names in the order of their numbers, if all are numbers without leading zero.
    fn indexes(&self) -> Option<Vec<String>> {
        let number = |name: &String| {
            let number: u32 = name.parse().ok()?;
            (number.to_string() == *name).then_some((number, name.clone()))
        };
        let mut indexes: Vec<_> = self.children.keys().map(number).collect::<Option<_>>()?;
        indexes.sort_unstable();
        (!indexes.is_empty()).then(|| indexes.into_iter().map(|(_, name)| name).collect())
    }
}

/// Which top-level members are numbers and truth values: the wire does not say.
struct Types {
    numbers: Option<&'static Vec<&'static str>>,
    booleans: Option<&'static Vec<&'static str>>,
}

impl Types {
    fn of(prefix: &str) -> Self {
        static TYPES: std::sync::LazyLock<HashMap<&'static str, Vec<&'static str>>> =
            std::sync::LazyLock::new(|| sections(include_str!("query_types.txt")));
        let of_kind = |kind: &str| TYPES.get(format!("{prefix} {kind}").as_str());
        Self { numbers: of_kind("numbers"), booleans: of_kind("booleans") }
    }

    fn typed(&self, name: &str, text: String) -> Param {
        let is = |names: Option<&Vec<&str>>| names.is_some_and(|names| names.binary_search(&name).is_ok());
        if is(self.numbers)
            && let Ok(number) = text.parse()
        {
            return Param::Number(number);
        }
        match text.as_str() {
            "true" if is(self.booleans) => Param::Bool(true),
            "false" if is(self.booleans) => Param::Bool(false),
            _ => Param::Text(text),
        }
    }
}
