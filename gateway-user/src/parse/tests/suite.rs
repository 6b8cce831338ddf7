//! AWS's own test suite, in both forms: verified, or refused for a reason.

use http::{HeaderName, HeaderValue, Request, request::Parts};

use crate::{
    identify::Placeholder,
    parse::{endpoint::Endpoint, strict, *},
    prim::HostName,
    secret::SecretText,
};

const SUITE: &str = include_str!("suite.txt");

/// What the gateway does not take, and why. A request line with spaces or unencoded text never comes from an SDK
/// and is read differently by servers; folded headers are obsolete (RFC 9112 section 5.2).
const REFUSED: [(&str, &str); 5] = [
    ("get-header-value-multiline", "no HTTP: a header is folded"),
    ("get-space-normalized", "no HTTP: a space in the request target"),
    ("get-space-unnormalized", "no HTTP: a space in the request target"),
    ("get-utf8", "the path is not valid: it has characters that must be percent-encoded"),
    ("get-vanilla-utf8-query", "the query string has a bare 'ሴ', which must be percent-encoded"),
];

struct Case {
    name: &'static str,
    /// Whether the path enters the canonical request as it is.
    as_sent: bool,
    forms: Vec<&'static str>,
}

fn cases() -> impl Iterator<Item = Case> {
    SUITE.split("\n=== ").skip(1).map(|section| {
        let (title, rest) = section.split_once('\n').unwrap();
        let (name, rule) = title.split_once(' ').unwrap();
        let forms = rest.split("--- ").skip(1).map(|form| {
            let (_, text) = form.split_once('\n').unwrap();
            text.split_once("\n---").unwrap().0
        });
        Case { name, as_sent: rule == "as-sent", forms: forms.collect() }
    })
}

/// Head and body; `None`: no server gets such a thing as a request.
fn request(text: &str) -> Result<(Parts, &[u8]), String> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    if target.contains(' ') {
        return Err("no HTTP: a space in the request target".to_owned());
    }
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let folded = || "no HTTP: a header is folded".to_owned();
        let (name, value) = line.split_once(':').ok_or_else(folded)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| folded())?;
        request = request.header(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    Ok((request.body(()).unwrap().into_parts().0, body.as_bytes()))
}

fn verify(case: &Case, text: &str) -> Result<(), String> {
    let (parts, body) = request(text)?;
    let host: HostName = "example.amazonaws.com".parse().unwrap();
    strict::check(&parts, &host).map_err(|error| error.to_string())?;
    // The suite's service does not exist; these have the rules for paths that it has.
    let like = if case.as_sent { "s3.us-east-1.amazonaws.com" } else { "sts.us-east-1.amazonaws.com" };
    let endpoint = Endpoint::read(&like.parse().unwrap()).unwrap();
    let request = AwsRequest::at(parts, host, endpoint).map_err(|error| error.to_string())?;
    let keys = Placeholder {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret: SecretText::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: SecretText::new(String::new()),
    };
    assert_eq!((request.access_key_id(), request.service()), ("AKIDEXAMPLE", "service"));
    let payload = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body));
    request.check_signature(&keys, &payload).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_case_is_verified_or_refused_for_a_reason() {
    let mut verified = 0;
    let mut refused = Vec::new();
    for case in cases() {
        assert_eq!(case.forms.len(), 2, "{}", case.name);
        for form in &case.forms {
            match verify(&case, form) {
                Ok(()) => verified += 1,
                Err(error) => refused.push((case.name, error)),
            }
        }
    }
    let expected: Vec<(&str, String)> =
        REFUSED.iter().flat_map(|(name, why)| vec![(*name, (*why).to_owned()); 2]).collect();
    assert_eq!(refused, expected);
    assert_eq!(verified, 2 * (38 - REFUSED.len()));
}

#[test]
fn no_case_is_verified_with_another_signature() {
    for case in cases() {
        for form in &case.forms {
            let spoiled = form.replace("Signature=", "Signature=0");
            let at = spoiled.find("Signature=0").unwrap() + "Signature=0".len() + 63;
            let spoiled = format!("{}{}", &spoiled[..at], &spoiled[at + 1..]);
            assert!(verify(&case, &spoiled).is_err(), "{}", case.name);
        }
    }
}
