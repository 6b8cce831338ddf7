//! What `aws-sigv4` signs, `verify` accepts; and whatever is changed afterwards, it refuses.

use http::{HeaderValue, Method, request::Parts};
use proptest::{prelude::*, sample::select};

use crate::parse::{AwsRequest, testing::*};

/// Path segments and values that have broken signers before.
fn awkward() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._~-]{0,8}",
        select(vec![
            " ", "+", "%2F", ":", "/", "..", ".", "@", "*", "é", "日本", "%", "=", "&", "a b", "'()", ""
        ])
        .prop_map(str::to_owned),
    ]
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Paths as clients send them: encoded segments, but also bare `pchar`, `//` and dot segments.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        3 => awkward().prop_map(|text| encoded(&text)),
        1 => select(vec!["", ".", "..", "a:b", "x@y", "*", "a+b", "$&'()", "a=b,c"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(segment, 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn query() -> impl Strategy<Value = String> {
    let pair = ("[a-z-]{1,6}", awkward(), any::<bool>())
        .prop_map(|(name, value, bare)| if bare { name } else { format!("{name}={}", encoded(&value)) });
    prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
}

fn call() -> impl Strategy<Value = TestCall> {
    let endpoints = select(vec![
        ("s3", "bkt.s3.us-east-1.amazonaws.com"),
        ("s3", "s3.us-east-1.amazonaws.com"),
        ("dynamodb", "dynamodb.us-east-1.amazonaws.com"),
        ("sts", "sts.us-east-1.amazonaws.com"),
    ]);
    let methods = select(vec![Method::GET, Method::PUT, Method::POST, Method::DELETE]);
    let header = "[ -~]{0,12}".prop_map(|text| format!("a  b {text} c"));
    (endpoints, methods, path(), query(), header, prop::collection::vec(any::<u8>(), 0..20), any::<bool>())
        .prop_map(|((service, host), method, path, query, header, body, unsigned)| {
            let target = if query.is_empty() { path } else { format!("{path}?{query}") };
            let call = TestCall::new(method, service, host, &target)
                .header("x-amz-meta-note", &header)
                .header("x-amz-object-attributes", "ETag")
                .header("x-amz-object-attributes", "Checksum")
                .body(body);
            if unsigned && service == "s3" { call.payload("UNSIGNED-PAYLOAD") } else { call }
        })
}

/// One change of a signed request, by number. `None`: it would change nothing here.
fn tamper(call: &TestCall, parts: &mut Parts, body: &mut Vec<u8>, which: usize) -> Option<()> {
    let value = |text: &str| HeaderValue::from_str(text).unwrap();
    let target = parts.uri.path_and_query()?.as_str().to_owned();
    match which {
        0 => parts.method = if parts.method == Method::GET { Method::PUT } else { Method::GET },
        1 => {
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            parts.uri = format!("{path}x?{query}").parse().ok()?;
        }
        2 => {
            let separator = if target.contains('?') { '&' } else { '?' };
            parts.uri = format!("{target}{separator}zz").parse().ok()?;
        }
        3 => drop(parts.headers.insert("x-amz-meta-note", value("other"))),
        4 => {
            parts.headers.append("x-amz-object-attributes", value("more"));
        }
        5 if call.payload == "hash" && call.service != "s3" => body.push(b'x'),
        5 => return None,
        6 => drop(parts.headers.insert("x-amz-date", value("20250830T123601Z"))),
        7 => drop(parts.headers.insert("x-amz-security-token", value("other"))),
        8 if call.payload == "hash" && call.service == "s3" => {
            drop(parts.headers.insert("x-amz-content-sha256", value("UNSIGNED-PAYLOAD")));
        }
        8 => return None,
        _ => {
            let text = parts.headers.get("authorization")?.to_str().ok()?;
            let last = if text.ends_with('0') { '1' } else { '0' };
            let text = format!("{}{last}", text.get(..text.len() - 1)?);
            parts.headers.insert("authorization", value(&text));
        }
    }
    Some(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn accepts_what_the_sdk_signer_signs(call in call()) {
        let verified = call.verify();
        prop_assert!(verified.is_ok(), "{:?} {} {}", verified.err(), call.host, call.target);
    }

    #[test]
    fn refuses_every_change(call in call(), which in 0_usize..10) {
        let mut parts = call.sign();
        let mut body = call.body.clone();
        if tamper(&call, &mut parts, &mut body, which).is_some() {
            let refused = match AwsRequest::read(parts, &call.sni()) {
                Ok(request) => verify(request, &body).is_err(),
                Err(_) => true,
            };
            prop_assert!(refused, "change {which} of {} {}", call.host, call.target);
        }
    }
}

#[test]
fn scopes_cannot_be_moved() {
    let call = TestCall::new(Method::GET, "s3", "bkt.s3.amazonaws.com", "/k");
    let mut parts = call.sign();
    let text =
        parts.headers.get("authorization").unwrap().to_str().unwrap().replace("us-east-1", "us-west-2");
    parts.headers.insert("authorization", HeaderValue::from_str(&text).unwrap());
    let request = AwsRequest::read(parts, &call.sni()).unwrap();
    assert_eq!(verify(request, b"").unwrap_err(), crate::parse::SignatureError::Mismatch);
}
