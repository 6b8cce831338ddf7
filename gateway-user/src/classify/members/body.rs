//! What the body of a request is, and who reads it.

use http::Method;

use super::{
    Params, bad_body, cbor, form, json,
    structure::Structure,
    value::{self, base64},
    xml,
};
use crate::{
    catalog::{Location, Operation, Protocol, Shape},
    classify::{ClassifyError, Param, coding},
    parse::AwsRequest,
};

/// Members in the body. A stream is never read; nor is a body that was not inspected.
pub(super) fn read(
    input: Structure<'_>,
    operation: &Operation,
    head: &AwsRequest,
    body: Option<&[u8]>,
    params: &mut Params,
) -> Result<(), ClassifyError> {
    let inside =
        input.members.iter().filter(|member| matches!(member.at, Location::Body | Location::Payload));
    let streams = inside.clone().any(|member| member.streaming);
    let Some(body) = body.filter(|_| !streams) else {
        params.unread.extend(inside.map(|member| member.name.to_owned()));
        return Ok(());
    };
    let body = &*coding::of_operation(head, operation.name, body)?;
    if matches!(input.protocol, Protocol::Json | Protocol::Cbor) && !head.query().is_empty() {
        return Err(ClassifyError::Ambiguous("an RPC call with a query string".to_owned()));
    }
    match input.protocol {
        Protocol::Query | Protocol::Ec2 => return of_query(input, operation, head, body, params),
        Protocol::Json => {
            expect(head, body, &["application/x-amz-json-1.0", "application/x-amz-json-1.1"])?;
        }
        // Operations without input have neither body nor type.
        Protocol::Cbor if body.is_empty() && media_type(head)?.is_empty() => {}
        Protocol::Cbor if body.is_empty() => {
            return Err(ClassifyError::Ambiguous("rpc-v2-cbor with a body that is not CBOR".to_owned()));
        }
        Protocol::Cbor => expect(head, body, &["application/cbor"])?,
        Protocol::RestJson | Protocol::RestXml => return of_rest(input, head, body, params),
    }
    if body.is_empty() {
        return Ok(());
    }
    let value = if input.protocol == Protocol::Cbor { cbor::value(body)? } else { json::value(body)? };
    value::members(input, value, params)
}

/// A form by POST, or the same in the URL by GET; never some members here and some there.
fn of_query(
    input: Structure<'_>,
    operation: &Operation,
    head: &AwsRequest,
    body: &[u8],
    params: &mut Params,
) -> Result<(), ClassifyError> {
    let form = media_type(head)? == "application/x-www-form-urlencoded";
    // Not every SDK sends what the operation's URI has beside the form.
    let literals = || {
        let literals = operation.http.query.iter().map(|literal| (literal.name, literal.value));
        head.query().is_empty() || head.query().pairs().eq(literals)
    };
    let pairs = match *head.method() {
        Method::POST if form && literals() => form::pairs(body)?,
        Method::GET if body.is_empty() => {
            head.query().pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
        _ => {
            let why = "a query call that is neither a form nor a GET";
            return Err(ClassifyError::Ambiguous(why.to_owned()));
        }
    };
    form::members(input, &pairs, params)
}

/// The members that are not in the head: one that is the whole body, or all together.
fn of_rest(
    input: Structure<'_>,
    head: &AwsRequest,
    body: &[u8],
    params: &mut Params,
) -> Result<(), ClassifyError> {
    if body.is_empty() {
        return Ok(());
    }
    let xml = input.protocol == Protocol::RestXml;
    let Some(payload) = input.payload() else {
        expect_rest(head, body, xml)?;
        return if xml {
            xml::members(input, body, params)
        } else {
            value::members(input, json::value(body)?, params)
        };
    };
    let shape = input.shape(payload.shape);
    let param = match shape {
        // Of any type, and what it means is between the agent and the service.
        Shape::Blob => Some(Param::Text(base64(body))),
        Shape::Text => {
            check_charset(head)?;
            let text = std::str::from_utf8(body).map_err(|_| bad_body("it is not UTF-8"))?;
            Some(Param::Text(text.to_owned()))
        }
        shape => {
            expect_rest(head, body, xml)?;
            if xml {
                Some(xml::payload(input, payload, body)?)
            } else {
                value::shaped(payload.name, json::value(body)?, shape, input)?
            }
        }
    };
    param.map_or(Ok(()), |param| params.insert(payload.name, param))
}

/// Checks that a body has one of these types.
fn expect(head: &AwsRequest, body: &[u8], types: &[&str]) -> Result<(), ClassifyError> {
    let found = media_type(head)?;
    if body.is_empty() || types.contains(&found) {
        return Ok(());
    }
    let why =
        format!("a body of the type {:?} where {} is expected", super::shortened(found), types.join(" or "));
    Err(ClassifyError::Ambiguous(why))
}

/// SDKs do not always say what type a REST body has; then it is the protocol's own.
fn expect_rest(head: &AwsRequest, body: &[u8], xml: bool) -> Result<(), ClassifyError> {
    let types: &[&str] = if xml {
        &["", "application/xml", "text/xml"]
    } else {
        &["", "application/json", "application/x-amz-json-1.0", "application/x-amz-json-1.1"]
    };
    expect(head, body, types)
}

/// The media type in lower case, as SDKs write it, without a charset that is UTF-8. Anything else is
/// returned whole, so that it fits nothing.
fn media_type(head: &AwsRequest) -> Result<&str, ClassifyError> {
    let Some(value) = head.headers().get(http::header::CONTENT_TYPE) else { return Ok("") };
    let whole =
        value.to_str().map_err(|_| ClassifyError::Ambiguous("the content type is not ASCII".to_owned()))?;
    match whole.split_once(';') {
        Some((media, parameter)) if parameter.trim().eq_ignore_ascii_case("charset=utf-8") => Ok(media),
        Some(_) | None => Ok(whole),
    }
}

/// A text of any type is UTF-8.
fn check_charset(head: &AwsRequest) -> Result<(), ClassifyError> {
    let media = media_type(head)?;
    if media.to_ascii_lowercase().contains("charset") {
        return Err(ClassifyError::Ambiguous("a charset other than UTF-8".to_owned()));
    }
    Ok(())
}
