//! <https://smithy.io/2.0/spec/http-bindings.html>

use std::collections::BTreeMap;

use super::{Shapes, Written, json, members, percent_encoded, present, text, xml};
use crate::{
    catalog::{Location, Member, Operation, Protocol, Segment, Shape},
    classify::{Param, tests::corpus::decode_base64},
};

pub(super) fn write(
    shapes: Shapes,
    operation: &'static Operation,
    params: &BTreeMap<String, Param>,
) -> Written {
    let members = members(shapes.service, operation);
    let mut written = Written { method: operation.http.method, ..Written::default() };
    let (mut query, mut content_type) = (literals(operation), None);
    for (member, param) in present(members, params) {
        match member.at {
            Location::Query => query.extend(each(param).map(|one| pair(member.wire, &text(one)))),
            Location::QueryMap => {
                let Param::Record(entries) = param else { panic!("{param:?}") };
                let all = entries.iter().flat_map(|(key, values)| each(values).map(move |one| (key, one)));
                query.extend(all.map(|(key, one)| pair(key, &text(one))));
            }
            Location::Header => written.headers.push((member.wire.to_ascii_lowercase(), header(param))),
            Location::Headers => {
                let Param::Record(entries) = param else { panic!("{param:?}") };
                let name = |key: &str| format!("{}{key}", member.wire).to_ascii_lowercase();
                written.headers.extend(entries.iter().map(|(key, value)| (name(key), text(value))));
            }
            Location::Payload => {
                let (media, body) = payload(shapes, member, param);
                (content_type, written.body) = (Some(media), body);
            }
            // In the path, or in the body with others.
            Location::Path | Location::GreedyPath | Location::Body | Location::Attribute => {}
        }
    }
    let in_body = |member: &&Member| matches!(member.at, Location::Body | Location::Attribute);
    if members.iter().filter(in_body).any(|member| params.contains_key(member.name)) {
        let (media, body) = whole(shapes, operation, members, params);
        (content_type, written.body) = (Some(media), body);
    }
    // Where it is a parameter, nobody else says it.
    let own =
        |member: &Member| member.at != Location::Header || !member.wire.eq_ignore_ascii_case("content-type");
    let content_type = content_type.filter(|_| members.iter().all(own));
    written.headers.extend(content_type.map(|media| ("content-type".to_owned(), media.to_owned())));
    written.target = target(&path(operation, params), query);
    written
}

/// What the operation's URI has in its query string.
pub(super) fn literals(operation: &Operation) -> Vec<String> {
    let literals = operation.http.query.iter().map(|literal| match literal.value {
        "" => percent_encoded(literal.name),
        value => pair(literal.name, value),
    });
    literals.collect()
}

pub(super) fn target(path: &str, query: Vec<String>) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn path(operation: &Operation, params: &BTreeMap<String, Param>) -> String {
    let segments = operation.http.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => (*text).to_owned(),
        Segment::Label(name) => percent_encoded(&text(&params[*name])),
        Segment::Greedy(name) => percent_encoded(&text(&params[*name])).replace("%2F", "/"),
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

/// The items of a list, or the value.
fn each(param: &Param) -> impl Iterator<Item = &Param> {
    match param {
        Param::List(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    }
    .iter()
}

fn pair(name: &str, value: &str) -> String {
    format!("{}={}", percent_encoded(name), percent_encoded(value))
}

/// Items with a comma, a quote or a space at an end are quoted, and so are empty ones.
fn header(param: &Param) -> String {
    let Param::List(items) = param else { return text(param) };
    let quoted = |item: &Param| {
        let text = text(item);
        if text.is_empty() || text.contains([',', '"', '\\']) || text.trim() != text {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            text
        }
    };
    items.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn payload(shapes: Shapes, member: &'static Member, param: &Param) -> (&'static str, Vec<u8>) {
    match (shapes.get(member.shape), shapes.protocol) {
        (Shape::Blob, _) => ("application/octet-stream", decode_base64(&text(param))),
        (Shape::Text, _) => ("text/plain", text(param).into_bytes()),
        (shape, Protocol::RestXml) => {
            let mut body = String::new();
            xml::value(shapes, member.wire, shape, param, &mut body);
            ("application/xml", body.into_bytes())
        }
        (shape, _) => ("application/json", json::value(shapes, shape, param).to_string().into_bytes()),
    }
}

fn whole(
    shapes: Shapes,
    operation: &Operation,
    members: &'static [Member],
    params: &BTreeMap<String, Param>,
) -> (&'static str, Vec<u8>) {
    if shapes.protocol == Protocol::RestXml {
        let mut body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned();
        xml::structure(shapes, &format!("{}Request", operation.name), members, params, &mut body);
        return ("application/xml", body.into_bytes());
    }
    let in_body =
        |name: &String| members.iter().any(|member| member.at == Location::Body && member.name == name);
    let params = params.iter().filter(|(name, _)| in_body(name));
    let params = params.map(|(name, param)| (name.clone(), param.clone())).collect();
    ("application/json", json::structure(shapes, members, &params).to_string().into_bytes())
}
