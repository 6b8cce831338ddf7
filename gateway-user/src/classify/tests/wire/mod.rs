//! Serializers of every protocol, as the SDKs have them: an operation and its parameters → the request. They
//! follow Smithy's pages on the protocols and share nothing with the readers but the catalogue.

use std::collections::BTreeMap;

use crate::{
    catalog::{Member, Operation, Protocol, Service, Shape, ShapeId},
    classify::Param,
};

mod cbor;
mod form;
mod json;
mod rest;
mod xml;

/// A request without host and signature.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Writes a call of `operation`.
pub(crate) fn write(
    service: &'static Service,
    operation: &'static Operation,
    protocol: Protocol,
    params: &BTreeMap<String, Param>,
) -> Written {
    let shapes = Shapes { service, protocol };
    let members = members(service, operation);
    let header = |name: &str, value: String| (name.to_owned(), value);
    let target_prefix = service.target_prefix.unwrap_or_default();
    let post = Written { method: "POST", target: "/".to_owned(), ..Written::default() };
    match protocol {
        Protocol::RestJson | Protocol::RestXml => rest::write(shapes, operation, params),
        Protocol::Json => Written {
            headers: vec![
                header("content-type", "application/x-amz-json-1.1".to_owned()),
                header("x-amz-target", format!("{target_prefix}.{}", operation.name)),
            ],
            body: json::structure(shapes, members, params).to_string().into_bytes(),
            ..post
        },
        Protocol::Cbor => {
            let name = target_prefix.rsplit('.').next().unwrap();
            let mut body = Vec::new();
            cbor::structure(shapes, members, params, &mut body);
            Written {
                target: format!("/service/{name}/operation/{}", operation.name),
                headers: vec![
                    header("content-type", "application/cbor".to_owned()),
                    header("smithy-protocol", "rpc-v2-cbor".to_owned()),
                ],
                body,
                ..post
            }
        }
        Protocol::Query | Protocol::Ec2 => Written {
            headers: vec![header(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
            )],
            body: form::body(shapes, operation, params).into_bytes(),
            // One old service has a query string in its operations' URIs.
            target: rest::target("/", rest::literals(operation)),
            ..post
        },
    }
}

/// The members of an operation.
pub(crate) fn members(service: &'static Service, operation: &Operation) -> &'static [Member] {
    match operation.input.map(|input| service.shape(input)) {
        Some(Shape::Structure(members)) => members,
        _ => &[],
    }
}

/// Whose shapes they are, and for whom they are written.
#[derive(Debug, Clone, Copy)]
struct Shapes {
    service: &'static Service,
    protocol: Protocol,
}

impl Shapes {
    fn get(self, id: ShapeId) -> &'static Shape {
        self.service.shape(id)
    }
}

/// The members that are there.
fn present<'p>(
    members: &'static [Member],
    params: &'p BTreeMap<String, Param>,
) -> impl Iterator<Item = (&'static Member, &'p Param)> {
    members.iter().filter_map(|member| Some((member, params.get(member.name)?)))
}

/// A value that is no collection, as a text.
fn text(param: &Param) -> String {
    match param {
        Param::Text(text) => text.clone(),
        Param::Number(number) => number.to_string(),
        Param::Bool(truth) => truth.to_string(),
        Param::List(_) | Param::Record(_) => panic!("{param:?} is no text"),
    }
}

/// Everything but what RFC 3986 calls unreserved is encoded.
fn percent_encoded(text: &str) -> String {
    const SET: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, SET).to_string()
}

/// RFC 4648 section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let digit =
        |bits: &[bool]| (0..6).fold(0, |digit, at| digit << 1 | usize::from(bits.get(at) == Some(&true)));
    let mut text: String = bits.chunks(6).map(|bits| char::from(ALPHABET[digit(bits)])).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
