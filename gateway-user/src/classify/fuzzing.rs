//! What the fuzz targets call (`fuzz/`), with what must hold whatever they send. Each returns whether the
//! input was read: a target that reads nothing finds nothing.
#![expect(clippy::panic, reason = "a broken promise is what fuzzers look for")]

use http::Request;

use super::{Param, members, needs};
use crate::{
    catalog::{Location, Member, Operation, Protocol, Service, Shape, catalog},
    parse::{AwsRequest, BodyPlan},
};

const HOST: &str = "kinesis.us-east-1.amazonaws.com";

/// The body readers: `service.Operation`, a line feed, the body.
///
/// # Panics
/// When what is read breaks a promise of its reader.
pub fn body(protocol: Protocol, data: &[u8]) -> bool {
    let Some((service, operation, body)) = asked(data) else { return false };
    if !service.speaks(protocol) {
        return false;
    }
    let content_type = match protocol {
        Protocol::Json => "application/x-amz-json-1.1",
        Protocol::Cbor => "application/cbor",
        Protocol::Query | Protocol::Ec2 => "application/x-www-form-urlencoded",
        Protocol::RestJson => "application/json",
        Protocol::RestXml => "application/xml",
    };
    let Some(head) = head("POST", "/", &[("content-type", content_type)]) else { return false };
    read(service, operation, protocol, &[], &head, Some(body))
}

/// Labels, query and headers: `service.Operation`, then lines: the request target, the first label,
/// and `name: value` of each header.
///
/// # Panics
/// When what is read breaks a promise of its reader.
pub fn rest_head(data: &[u8]) -> bool {
    let Some((service, operation, rest)) = asked(data) else { return false };
    let Ok(text) = std::str::from_utf8(rest) else { return false };
    let mut lines = text.lines();
    let (target, label) = (lines.next().unwrap_or("/"), lines.next().unwrap_or_default());
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some(head) = head("GET", target, &headers) else { return false };
    let in_path = |member: &&Member| matches!(member.at, Location::Path | Location::GreedyPath);
    let names = service.members(operation).iter().filter(in_path).map(|member| member.name);
    let labels: Vec<(&str, String)> = names.map(|name| (name, label.to_owned())).collect();
    let read = |protocol| read(service, operation, protocol, &labels, &head, None);
    read(Protocol::RestJson) & read(Protocol::RestXml)
}

/// Which operation a request is: lines of host, signing name, method, request target, `name: value` of each
/// header, an empty line, the body.
///
/// # Panics
/// When the operation found has other labels than its path.
pub fn operation(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (lines, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = lines.lines();
    let mut next = || lines.next().unwrap_or_default();
    let (host, service, method, target) = (next(), next(), next(), next());
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some(head) = head_for(host, service, method, target, &headers) else { return false };
    let Ok(found) = super::operation::identify(&head, || Ok(body.as_bytes().into())) else { return false };
    assert!(found.service.operation(found.operation.name).is_some());
    assert!(found.labels.iter().all(|(_, text)| !text.is_empty()), "an empty label");
    read(found.service, found.operation, found.protocol, &found.labels, &head, Some(body.as_bytes()))
}

/// Which S3 call a request is: lines of host, method, request target, `name: value` of each header, an empty
/// line, the body.
///
/// # Panics
/// When it is decided on another object than the path has, or a secret key is a parameter.
pub fn s3(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (lines, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = lines.lines();
    let mut next = || lines.next().unwrap_or_default();
    let (host, method, target) = (next(), next(), next());
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some(head) = head_for(host, "s3", method, target, &headers) else { return false };
    if !head.is_s3() {
        return false;
    }
    let inspected = (head.body_plan() == BodyPlan::Inspect).then_some(body.as_bytes());
    let arns = needs::Arns::new(head.endpoint().partition(), head.region(), None);
    let Ok(call) = super::s3::read(&head, inspected, &arns) else { return false };
    let params = &call.params.values;
    assert!(params.keys().all(|name| !name.ends_with("SSECustomerKey")), "{params:?}");
    assert!(call.actions.iter().all(|on| on.resource == "*" || on.resource.starts_with("arn:")));
    let decoded = |path: &str| percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let (_, key) = head.endpoint().bucket_and_key(head.path());
    match (params.get("Bucket"), params.get("Key")) {
        (Some(Param::Text(bucket)), Some(Param::Text(read))) => {
            assert_eq!(*read, decoded(key));
            let own = format!("{bucket}/{read}");
            let named =
                |resource: &str| resource == "*" || resource.ends_with(&own) || bucket.starts_with("arn:");
            let zonal = bucket.ends_with("--x-s3");
            assert!(zonal || call.actions.iter().any(|on| named(&on.resource)), "{:?}", call.actions);
        }
        (_, read) => assert!(read.is_none() && key.is_empty(), "{read:?} {key:?}"),
    }
    true
}

/// The operation that the first line names, and the rest.
fn asked(data: &[u8]) -> Option<(&'static Service, &'static Operation, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    let (name, rest) = (data.get(..end)?, data.get(end + 1..)?);
    let (service, operation) = std::str::from_utf8(name).ok()?.split_once('.')?;
    let service = catalog().service(service)?;
    Some((service, service.operation(operation)?, rest))
}

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<AwsRequest> {
    head_for(HOST, "kinesis", method, target, headers)
}

/// A head that is signed as far as one can see without the key.
fn head_for(
    host: &str,
    service: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Option<AwsRequest> {
    let mut signed: Vec<String> = vec!["host".to_owned(), "x-amz-date".to_owned()];
    signed.extend(headers.iter().map(|(name, _)| name.to_ascii_lowercase()));
    signed.sort_unstable();
    signed.dedup();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=ASIAPLACEHOLDER00001/20250830/us-east-1/{service}/aws4_request, \
         SignedHeaders={}, Signature={}",
        signed.join(";"),
        "0".repeat(64)
    );
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", host)
        .header("x-amz-date", "20250830T123600Z")
        .header("authorization", authorization);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    AwsRequest::read(request.body(()).ok()?.into_parts().0, &host.parse().ok()?).ok()
}

/// Reads, and checks what must hold of everything that is read.
fn read(
    service: &Service,
    operation: &Operation,
    protocol: Protocol,
    labels: &[(&str, String)],
    head: &AwsRequest,
    body: Option<&[u8]>,
) -> bool {
    let Ok(params) = members::read(service, operation, protocol, labels, (head, body)) else {
        return false;
    };
    let known = service.members(operation);
    for (name, param) in &params.values {
        let member = known.iter().find(|member| member.name == name);
        assert_eq!(member.is_none(), params.unknown.contains(name), "{name:?} is marked wrongly");
        let similar = |wire: &str| wire.eq_ignore_ascii_case(name);
        match member {
            Some(member) => check_shape(service, param, service.shape(member.shape)),
            None => assert!(!known.iter().any(|member| similar(member.name) || similar(member.wire))),
        }
    }
    assert!(params.unread.iter().all(|name| !params.values.contains_key(name)));
    let mut values = 0;
    count(&params.values.into_iter().collect::<Param>(), 0, &mut values);
    assert!(values <= 100_100, "{values} values");
    if let (Protocol::Json, Some(body)) = (protocol, body.filter(|body| !body.is_empty())) {
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok(), "another reader refuses it");
    }
    if let (Protocol::Cbor, Some(body)) = (protocol, body.filter(|body| !body.is_empty())) {
        assert!(ciborium::from_reader::<ciborium::Value, _>(body).is_ok(), "another reader refuses it");
    }
    true
}

impl FromIterator<(String, Param)> for Param {
    fn from_iter<T: IntoIterator<Item = (String, Param)>>(members: T) -> Self {
        Self::Record(members.into_iter().collect())
    }
}

/// That types are those of the shapes.
fn check_shape(service: &Service, param: &Param, shape: &Shape) {
    match (shape, param) {
        (Shape::Open, _)
        | (Shape::Integer, Param::Number(_))
        | (Shape::Boolean, Param::Bool(_))
        | (Shape::Text | Shape::Float | Shape::Timestamp(_) | Shape::Blob, Param::Text(_)) => {}
        (Shape::List { member, .. }, Param::List(items)) => {
            items.iter().for_each(|item| check_shape(service, item, service.shape(*member)));
        }
        (Shape::Map { value, .. }, Param::Record(entries)) => {
            entries.values().for_each(|item| check_shape(service, item, service.shape(*value)));
        }
        (Shape::Structure(members), Param::Record(record)) => {
            for member in members {
                if let Some(param) = record.get(member.name) {
                    check_shape(service, param, service.shape(member.shape));
                }
            }
        }
        (shape, param) => panic!("{param:?} for {shape:?}"),
    }
}

/// Counts values and checks how deep they are.
fn count(param: &Param, depth: usize, values: &mut usize) {
    // One level more than the body's own: a payload is a member.
    assert!(depth <= 33, "{depth} levels");
    *values += 1;
    match param {
        Param::List(items) => items.iter().for_each(|item| count(item, depth + 1, values)),
        Param::Record(members) => members.values().for_each(|item| count(item, depth + 1, values)),
        Param::Text(_) | Param::Number(_) | Param::Bool(_) => {}
    }
}
