//! What AWS calls an error: read from the answer as it passes, for the record alone.
//!
//! JSON protocols name it in a header or as `__type`, the XML ones in `<Code>`, rpc-v2-cbor as the text
//! `__type` (<https://smithy.io/2.0/aws/protocols/index.html>). It stands near the start, so only that
//! much of a body is looked at. *pure*

use http::HeaderMap;

/// Bytes of an error's body that are looked at.
pub(super) const LOOKED_AT: usize = 4096;
/// Longer names are nobody's error codes.
const MAX_CODE: usize = 128;

/// The code in the headers, if it is there.
pub(super) fn in_headers(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let typed = text("x-amzn-errortype").and_then(|value| value.split(':').next());
    // Services that changed from query to JSON: `Code;Sender`.
    let query = || text("x-amzn-query-error").and_then(|value| value.split(';').next());
    code(typed.or_else(query)?)
}

/// The code in the first bytes of a body, if it is there.
pub(super) fn in_body(start: &[u8]) -> Option<String> {
    xml(start).or_else(|| json(start)).or_else(|| cbor(start))
}

fn xml(body: &[u8]) -> Option<String> {
    let after = after(body, b"<Code>")?;
    let end = after.iter().position(|byte| *byte == b'<')?;
    code(std::str::from_utf8(after.get(..end)?).ok()?)
}

fn json(body: &[u8]) -> Option<String> {
    let member = |name: &[u8]| {
        let value = after(body, name)?.trim_ascii_start().strip_prefix(b":")?;
        let value = value.trim_ascii_start().strip_prefix(b"\"")?;
        let end = value.iter().position(|byte| *byte == b'"')?;
        code(std::str::from_utf8(value.get(..end)?).ok()?)
    };
    member(b"\"__type\"").or_else(|| member(b"\"code\""))
}

/// A definite text of at most 255 bytes behind the key `__type` (RFC 8949 section 3).
fn cbor(body: &[u8]) -> Option<String> {
    let value = after(body, b"\x66__type")?;
    let (length, text) = match value {
        [0x78, length, text @ ..] => (usize::from(*length), text),
        [head @ 0x60..=0x77, text @ ..] => (usize::from(head - 0x60), text),
        _ => return None,
    };
    code(std::str::from_utf8(text.get(..length)?).ok()?)
}

fn after<'a>(body: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let at = body.windows(what.len()).position(|window| window == what)?;
    body.get(at + what.len()..)
}

/// Without the namespace (`com.amazonaws.dynamodb.v20120810#…`) and the address of its schema
/// (`…:http://…`); `None` for what is no code.
fn code(text: &str) -> Option<String> {
    let name = text.rsplit('#').next().unwrap_or(text).split(':').next().unwrap_or(text).trim();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (plain && (1..=MAX_CODE).contains(&name.len())).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_names_its_errors() {
        let check = |body: &[u8], expected: Option<&str>| {
            assert_eq!(in_body(body).as_deref(), expected, "{}", String::from_utf8_lossy(body));
        };
        check(
            b"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Key>x</Key></Error>",
            Some("NoSuchKey"),
        );
        check(b"<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>", Some("InvalidVpcID.NotFound"));
        check(
            br#"{"__type" : "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"m"}"#,
            Some("ResourceNotFoundException"),
        );
        check(br#"{"message":"m","code":"Throttling"}"#, Some("Throttling"));
        check(b"\xbf\x66__type\x78\x18aws.x#ResourceNotFound.1\xff", Some("ResourceNotFound.1"));
        check(b"\xbf\x66__type\x73ValidationException\x67message\x61x", Some("ValidationException"));
        check(b"\xbf\x66__type\x78\x13ValidationException\xff", Some("ValidationException"));
        for nothing in
            [&b""[..], b"<Code>", b"<Code>a b</Code>", b"{\"__type\":", b"{\"__type\":7}", b"\x66__type"]
        {
            check(nothing, None);
        }
    }

    #[test]
    fn headers_name_it_too() {
        let check = |name: &'static str, value: &'static str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            assert_eq!(in_headers(&headers).as_deref(), expected, "{value}");
        };
        check(
            "x-amzn-errortype",
            "ResourceNotFoundException:http://internal.amazon.com/",
            Some("ResourceNotFoundException"),
        );
        check(
            "x-amzn-query-error",
            "AWS.SimpleQueueService.NonExistentQueue;Sender",
            Some("AWS.SimpleQueueService.NonExistentQueue"),
        );
        check("x-amzn-errortype", "", None);
        check("content-type", "text/xml", None);
    }
}
