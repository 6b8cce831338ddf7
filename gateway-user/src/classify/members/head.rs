//! Members of the REST protocols in path, query and headers.
//!
//! <https://smithy.io/2.0/spec/http-bindings.html>

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};

use super::{
    Params, bad_member, scalar,
    structure::{Structure, mismatch, unique},
    twice,
};
use crate::{
    catalog::{Location, Member, Operation, Shape},
    classify::{ClassifyError, Param},
    parse::Query,
};

/// Members in the path.
pub(super) fn labels(
    input: Structure<'_>,
    labels: &[(&str, String)],
    params: &mut Params,
) -> Result<(), ClassifyError> {
    for member in at(input, |at| matches!(at, Location::Path | Location::GreedyPath)) {
        if let Some(text) = label(labels, member) {
            check_label(member.name, text)?;
            params.insert(member.name, scalar::from_text(member.name, text, input.shape(member.shape))?)?;
        }
    }
    Ok(())
}

fn label<'l>(labels: &'l [(&str, String)], member: &Member) -> Option<&'l str> {
    labels.iter().find(|(name, _)| *name == member.name).map(|(_, text)| text.as_str())
}

/// Dot segments are a way up for many HTTP libraries, percent-encoded or not, and no segment at all is
/// another path.
fn check_label(name: &str, text: &str) -> Result<(), ClassifyError> {
    if text.is_empty() {
        return Err(bad_member(name, "it is a label without text"));
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(ClassifyError::Ambiguous(format!("the label {name:?} has a dot segment")));
    }
    Ok(())
}

/// Members in the query string; what the operation's own URI demands is none.
pub(super) fn query(
    input: Structure<'_>,
    operation: &Operation,
    query: &Query,
    params: &mut Params,
) -> Result<(), ClassifyError> {
    let all = at(input, |at| at == Location::QueryMap).next();
    let mut lists: BTreeMap<&str, (&Member, Vec<Param>)> = BTreeMap::new();
    let mut rest: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut once = Vec::new();
    for (name, value) in query.pairs() {
        let literal = operation.http.query.iter().find(|literal| literal.name.eq_ignore_ascii_case(name));
        let written = at(input, |at| at == Location::Query).find(|member| member.wire == name);
        match (written, literal) {
            (Some(member), None) => match input.shape(member.shape) {
                Shape::List { member: item, .. } => {
                    let param = scalar::from_text(member.name, value, input.shape(*item))?;
                    lists.entry(name).or_insert_with(|| (member, Vec::new())).1.push(param);
                }
                shape => {
                    once.push(name);
                    params.insert(member.name, scalar::from_text(member.name, value, shape)?)?;
                }
            },
            (_, Some(literal)) if literal.name == name && literal.value == value => once.push(name),
            (_, Some(literal)) => {
                return Err(ClassifyError::Ambiguous(format!(
                    "{:?} is not as {} has it",
                    literal.name, operation.name
                )));
            }
            // SDKs add the operation's name.
            (None, None) if name == "x-id" => {
                once.push(name);
                if value != operation.name {
                    let why = format!("x-id says {value:?}, the request is {}", operation.name);
                    return Err(ClassifyError::Ambiguous(why));
                }
            }
            (None, None) if all.is_some() => {
                let mut others = at(input, |at| at == Location::Query);
                if others.any(|member| member.wire.eq_ignore_ascii_case(name)) {
                    return Err(twice(name));
                }
                rest.entry(name).or_default().push(value);
            }
            (None, None) => {
                // An error if it belongs to a member after all.
                input.find(name, Location::Query)?;
                once.push(name);
                params.insert_unknown(name, Param::Text(value.to_owned()))?;
            }
        }
    }
    // A list's name may be repeated, but not in another spelling.
    unique(once.into_iter().chain(lists.keys().copied()).chain(rest.keys().copied()))?;
    for (member, items) in lists.into_values() {
        params.insert(member.name, Param::List(items))?;
    }
    match all {
        Some(member) if !rest.is_empty() => {
            params.insert(member.name, map(member.name, input, input.shape(member.shape), rest)?)
        }
        _ => Ok(()),
    }
}

/// Every parameter that is nothing else, as a map of texts or of lists of texts.
fn map(
    name: &str,
    input: Structure<'_>,
    shape: &Shape,
    rest: BTreeMap<&str, Vec<&str>>,
) -> Result<Param, ClassifyError> {
    let Shape::Map { value, .. } = shape else { return Err(mismatch(name, "a map", shape)) };
    let entry = |(key, texts): (&str, Vec<&str>)| {
        let param = match (input.shape(*value), texts.as_slice()) {
            (Shape::List { member, .. }, texts) => {
                let items = texts.iter().map(|text| scalar::from_text(name, text, input.shape(*member)));
                Param::List(items.collect::<Result<_, _>>()?)
            }
            (shape, [text]) => scalar::from_text(name, text, shape)?,
            _ => return Err(twice(key)),
        };
        Ok((key.to_owned(), param))
    };
    rest.into_iter().map(entry).collect::<Result<_, _>>().map(Param::Record)
}

/// Members in headers. Other headers belong to the transport; they are not kept, because the
/// signature's own are secrets.
pub(super) fn headers(
    input: Structure<'_>,
    labels: &[(&str, String)],
    headers: &HeaderMap,
    params: &mut Params,
) -> Result<(), ClassifyError> {
    for member in at(input, |at| at == Location::Header) {
        let found = header(member, input.shape(member.shape), headers)?;
        let of_host = if member.host_label { label(labels, member) } else { None };
        let text = match (found, of_host) {
            (Some(text), Some(label)) if text != label => {
                let why = format!("the host and the header say different things of {:?}", member.name);
                return Err(ClassifyError::Ambiguous(why));
            }
            (None, Some(label)) => label.to_owned(),
            (Some(text), _) => text,
            (None, None) => continue,
        };
        let param = match input.shape(member.shape) {
            Shape::List { member: item, .. } => {
                let items = list(member.name, &text)?;
                let items = items.iter().map(|text| scalar::from_text(member.name, text, input.shape(*item)));
                Param::List(items.collect::<Result<_, _>>()?)
            }
            shape => scalar::from_text(member.name, &text, shape)?,
        };
        params.insert(member.name, param)?;
    }
    for member in at(input, |at| at == Location::Headers) {
        let entries = with_prefix(member, headers)?;
        if !entries.is_empty() {
            params.insert(member.name, Param::Record(entries))?;
        }
    }
    Ok(())
}

/// The one value of a member's header. Only a list may have several lines (RFC 9110 section 5.3).
fn header(member: &Member, shape: &Shape, headers: &HeaderMap) -> Result<Option<String>, ClassifyError> {
    let Ok(name) = HeaderName::from_bytes(member.wire.as_bytes()) else { return Ok(None) };
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| text(member.name, line)).collect::<Result<_, _>>()?;
    match (lines.as_slice(), shape) {
        ([], _) => Ok(None),
        ([line], _) => Ok(Some((*line).to_owned())),
        (lines, Shape::List { .. }) => Ok(Some(lines.join(","))),
        _ => Err(twice(member.wire)),
    }
}

fn text<'h>(name: &str, value: &'h http::HeaderValue) -> Result<&'h str, ClassifyError> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| bad_member(name, "its header is not UTF-8"))
}

/// The items of a header that is a list: separated by commas, in quotes where they have one themselves.
///
/// <https://smithy.io/2.0/spec/http-bindings.html#httpheader-serialization-rules>
fn list(name: &str, text: &str) -> Result<Vec<String>, ClassifyError> {
    let bad = |why: &str| Err(bad_member(name, why));
    let mut items = Vec::new();
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return Ok(items);
    }
    loop {
        let (item, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted_item(quoted) {
                Some(found) => found,
                None => return bad("a quote in it has no end"),
            },
            None => {
                let (item, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (item.trim_ascii_end().to_owned(), after)
            }
        };
        if !rest.starts_with('"') && (item.is_empty() || item.contains('"')) {
            return bad("an item of it is empty or has a quote inside");
        }
        items.push(item);
        let after = after.trim_ascii_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_ascii_start(),
            None if after.is_empty() => return Ok(items),
            None => return bad("there is text after a quote in it"),
        }
    }
}

/// A quoted text after its first quote, and what follows its last one.
fn quoted_item(text: &str) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((item, text.get(at + 1..)?)),
            (_, '\\') => item.push(chars.next()?.1),
            (_, c) => item.push(c),
        }
    }
}

/// Headers whose names begin with the member's, by the rest of their names.
fn with_prefix(member: &Member, headers: &HeaderMap) -> Result<BTreeMap<String, Param>, ClassifyError> {
    let prefix = member.wire.to_ascii_lowercase();
    let mut entries = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(&prefix) else { continue };
        if key.is_empty() {
            return Err(bad_member(member.name, "a header is only its prefix"));
        }
        let param = Param::Text(text(member.name, value)?.to_owned());
        if entries.insert(key.to_owned(), param).is_some() {
            return Err(twice(name.as_str()));
        }
    }
    Ok(entries)
}

fn at<'a>(input: Structure<'a>, is: impl Fn(Location) -> bool) -> impl Iterator<Item = &'a Member> {
    input.members.iter().filter(move |member| is(member.at))
}
