//! The bodies and headers of errors, protocol by protocol.
//!
//! Shapes: Smithy's AWS protocol pages (<https://smithy.io/2.0/aws/protocols/>), S3's and EC2's
//! API references.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, header};
use serde::Serialize;

use super::Refusal;
use crate::parse::ErrorShape;

pub(super) fn response(refusal: &Refusal, shape: ErrorShape, method: &Method) -> Response<Bytes> {
    let code = refusal.kind.code(shape);
    let id = refusal.call.to_string();
    let body = match shape {
        ErrorShape::AwsJson { .. } => json(&Typed { code, message: &refusal.message }),
        ErrorShape::RestJson => json(&Untyped { message: &refusal.message }),
        ErrorShape::Cbor { .. } => cbor(&Typed { code, message: &refusal.message }),
        ErrorShape::Query | ErrorShape::RestXml => format!(
            "<ErrorResponse><Error><Type>{}</Type><Code>{code}</Code><Message>{}</Message></Error>\
             <RequestId>{id}</RequestId></ErrorResponse>",
            refusal.kind.fault(),
            xml_text(&refusal.message),
        )
        .into(),
        ErrorShape::Ec2 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
             <Message>{}</Message></Error></Errors><RequestID>{id}</RequestID></Response>",
            xml_text(&refusal.message),
        )
        .into(),
        ErrorShape::S3 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message>\
             <RequestId>{id}</RequestId><HostId>chaperone</HostId></Error>",
            xml_text(&refusal.message),
        )
        .into(),
    };
    let mut response = Response::new(if *method == Method::HEAD { Bytes::new() } else { body });
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(shape)));
    // An id is always plain text.
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id.clone());
        if shape == ErrorShape::S3 {
            headers.insert(HeaderName::from_static("x-amz-request-id"), id);
        }
    }
    match shape {
        ErrorShape::RestJson => {
            headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(code));
        }
        ErrorShape::Cbor { .. } => {
            headers
                .insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
        }
        ErrorShape::AwsJson { .. }
        | ErrorShape::Query
        | ErrorShape::Ec2
        | ErrorShape::RestXml
        | ErrorShape::S3 => {}
    }
    let query_error = format!("{};{}", refusal.kind.code(ErrorShape::Query), refusal.kind.fault());
    // Code and fault are words.
    if let Ok(value) = HeaderValue::from_str(&query_error)
        && shape.was_query()
    {
        headers.insert(HeaderName::from_static("x-amzn-query-error"), value);
    }
    response
}

fn content_type(shape: ErrorShape) -> &'static str {
    match shape {
        ErrorShape::AwsJson { .. } => "application/x-amz-json-1.1",
        ErrorShape::RestJson => "application/json",
        ErrorShape::Query | ErrorShape::Ec2 | ErrorShape::RestXml => "text/xml",
        ErrorShape::S3 => "application/xml",
        ErrorShape::Cbor { .. } => "application/cbor",
    }
}

#[derive(Serialize)]
struct Typed<'a> {
    #[serde(rename = "__type")]
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Untyped<'a> {
    message: &'a str,
}

/// Texts always serialise; an empty body would still carry status and code of the head.
fn json(error: &impl Serialize) -> Bytes {
    serde_json::to_vec(error).unwrap_or_default().into()
}

fn cbor(error: &impl Serialize) -> Bytes {
    let mut body = Vec::new();
    match ciborium::into_writer(error, &mut body) {
        Ok(()) => body.into(),
        Err(_) => Bytes::new(),
    }
}

/// Escaped, and without the control characters that XML 1.0 cannot carry.
fn xml_text(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    quick_xml::escape::escape(&plain).into_owned()
}
