//! Requests that botocore signs are verified, in the header and as presigned URLs; changed ones are not.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use chaperone_tests::corpus::{Arriving, Generated, Line, NOW, SKEW, placeholder};
use gateway_user::parse::{
    AuthorizationError, AwsRequest, BodyPlan, HeadError, ParseError, RequestDigest, SignatureError,
};

/// Why a request is not verified.
#[derive(Debug)]
enum Refused {
    Parse(ParseError),
    Signature(SignatureError),
}

fn verify(arriving: Arriving) -> Result<RequestDigest, Refused> {
    let Arriving { head, server_name, body, now } = arriving;
    let request = AwsRequest::read(head, &server_name).map_err(Refused::Parse)?;
    let body = (request.body_plan() == BodyPlan::Inspect).then_some(body);
    request
        .verify(body, &placeholder(), now, SKEW)
        .map(|verified| verified.digest())
        .map_err(Refused::Signature)
}

fn arriving(line: &Line) -> Result<Arriving> {
    Ok(Arriving { head: line.head()?, server_name: line.server_name()?, body: line.body()?, now: NOW })
}

fn lines() -> Result<Vec<Line>> {
    let mut generated = Generated::start("signatures.py", &[])?;
    let mut lines = Vec::new();
    while let Some(line) = generated.next_line()? {
        lines.push(line);
    }
    Ok(lines)
}

/// What is refused on purpose, by the words of the refusal, and how often: hosts of a region that does not exist,
/// which botocore makes for `aws-global`; operations of STS that nobody signs; a host of S3 Object Lambda that
/// only its own functions ask.
const ON_PURPOSE: [(&str, usize); 6] = [
    ("the AWS host name-1.s3-object-lambda-fips.aws-global.amazonaws.com is not in the catalogue", 1),
    ("the AWS host name-1.s3-object-lambda.aws-global.amazonaws.com is not in the catalogue", 1),
    ("the AWS host s3express-control-fips.aws-global.amazonaws.com is not in the catalogue", 1),
    ("the AWS host s3express-control.aws-global.amazonaws.com is not in the catalogue", 2),
    ("the request is not signed; unsigned (anonymous) requests are refused", 14),
    ("this form of S3 Object Lambda is not supported", 3),
];

#[test]
fn what_botocore_signs_is_verified() -> Result<()> {
    let (mut header, mut url) = (0, 0);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines()? {
        let presigned = line.truth.variant.starts_with("url-");
        match verify(arriving(&line)?) {
            Ok(_) if presigned => url += 1,
            Ok(_) => header += 1,
            Err(error) => {
                let text = match error {
                    Refused::Parse(error) => error.to_string(),
                    Refused::Signature(error) => error.to_string(),
                };
                refused.entry(text).or_default().push(line.call());
            }
        }
    }
    println!("verified: {header} signed in the header, {url} in the query string");
    for (why, calls) in &refused {
        println!("{} refused: {why}\n    {}", calls.len(), calls.first().context("none")?);
    }
    let counted: Vec<(&str, usize)> =
        refused.iter().map(|(why, calls)| (why.as_str(), calls.len())).collect();
    assert_eq!(counted, ON_PURPOSE);
    assert!(header >= 2000 && url >= 2000, "{header} {url}");
    Ok(())
}

/// The classes of refusals that tampering may end in.
fn class(refused: &Refused) -> &'static str {
    match refused {
        Refused::Signature(SignatureError::Mismatch) => "mismatch",
        Refused::Signature(SignatureError::UnknownAccessKey(_)) => "key",
        Refused::Signature(SignatureError::SessionToken) => "token",
        Refused::Signature(SignatureError::Skew { .. } | SignatureError::Expired { .. }) => "time",
        Refused::Signature(SignatureError::Service { .. } | SignatureError::Region { .. }) => "scope",
        Refused::Signature(SignatureError::BodyHash) => "body",
        Refused::Signature(_) => "other signature",
        Refused::Parse(ParseError::Head(HeadError::HostMismatch { .. } | HeadError::BadHost)) => "host",
        Refused::Parse(ParseError::Head(HeadError::DuplicateHeader(_))) => "twice",
        Refused::Parse(ParseError::Head(_)) => "head",
        Refused::Parse(ParseError::Endpoint(_)) => "endpoint",
        Refused::Parse(ParseError::Query(_)) => "query",
        Refused::Parse(ParseError::Authorization(
            AuthorizationError::SignedHeaderMissing(_) | AuthorizationError::HeaderNotSigned(_),
        )) => "coverage",
        Refused::Parse(ParseError::Authorization(AuthorizationError::Presigned { .. })) => "url",
        Refused::Parse(ParseError::Authorization(_)) => "form",
        Refused::Parse(ParseError::Payload(_)) => "payload",
    }
}

/// Of each part of a request, the classes in which its changes must end.
const CLASSES: [(&str, &[&str]); 24] = [
    ("access key", &["key"]),
    ("body", &["body", "mismatch"]),
    ("clock", &["time"]),
    ("date", &["form", "mismatch"]),
    ("expires", &["mismatch", "url"]),
    ("header added", &["coverage"]),
    ("header doubled", &["mismatch", "twice"]),
    ("header removed", &["coverage", "form"]),
    // What the head must be to be understood at all is looked at first.
    ("header value", &["head", "mismatch", "payload"]),
    ("host", &["host", "mismatch", "payload", "scope"]),
    ("method", &["mismatch"]),
    ("path", &["mismatch"]),
    ("payload hash", &["body", "mismatch", "payload"]),
    ("query added", &["mismatch"]),
    ("query doubled", &["mismatch"]),
    ("query name", &["mismatch"]),
    ("query removed", &["mismatch"]),
    ("query value", &["mismatch"]),
    ("scope date", &["form"]),
    ("scope region", &["mismatch", "scope"]),
    ("scope service", &["scope"]),
    ("signature bits", &["form", "mismatch"]),
    ("signed headers", &["coverage", "form", "mismatch", "query"]),
    ("token", &["coverage", "token"]),
];

/// The order of parameters has no meaning in Signature Version 4: the canonical request sorts them. So no order
/// may make another request of it, and a permit is good for each.
#[test]
fn the_order_of_parameters_is_no_change() -> Result<()> {
    let mut reordered = 0;
    for line in lines()?.into_iter().step_by(40) {
        let original = arriving(&line)?;
        let Some((path, query)) =
            original.head.uri.path_and_query().and_then(|target| target.as_str().split_once('?'))
        else {
            continue;
        };
        let backwards: Vec<&str> = query.split('&').rev().collect();
        let uri = format!("{path}?{}", backwards.join("&")).parse()?;
        let Ok(digest) = verify(original.clone()) else { continue };
        let mut other = original.clone();
        other.head.uri = uri;
        assert_eq!(verify(other).ok(), Some(digest), "{}", line.call());
        reordered += 1;
    }
    assert!(reordered >= 20, "{reordered}");
    Ok(())
}

/// How a request is signed: where the signature is, and what it says of the body.
fn form(arriving: &Arriving) -> &'static str {
    let in_header = arriving.head.headers.contains_key("authorization");
    let content = arriving.head.headers.get("x-amz-content-sha256").map(http::HeaderValue::as_bytes);
    match (in_header, content) {
        (true, None) => "header",
        (true, Some(content)) if content.starts_with(b"STREAMING-") => "header, chunks",
        (true, Some(b"UNSIGNED-PAYLOAD")) => "header, body not signed",
        (true, Some(_)) => "header, hash",
        (false, None) => "url",
        (false, Some(_)) => "url, hash",
    }
}

/// The parts that requests of a form have, so that each of them is changed.
const FORMS: [(&str, &[&str]); 5] = [
    (
        "header",
        &[
            "access key",
            "body",
            "clock",
            "date",
            "header added",
            "header doubled",
            "header removed",
            "header value",
            "host",
            "method",
            "path",
            "query added",
            "query doubled",
            "query name",
            "query removed",
            "query value",
            "scope date",
            "scope region",
            "scope service",
            "signature bits",
            "signed headers",
            "token",
        ],
    ),
    (
        "header, body not signed",
        &[
            "access key",
            "clock",
            "date",
            "header added",
            "header doubled",
            "header removed",
            "header value",
            "host",
            "method",
            "path",
            "payload hash",
            "query added",
            "query doubled",
            "query name",
            "query removed",
            "query value",
            "scope date",
            "scope region",
            "scope service",
            "signature bits",
            "signed headers",
            "token",
        ],
    ),
    (
        "header, chunks",
        &[
            "access key",
            "clock",
            "date",
            "header added",
            "header doubled",
            "header removed",
            "header value",
            "host",
            "method",
            "path",
            "payload hash",
            "query added",
            "query doubled",
            "query name",
            "query removed",
            "query value",
            "scope date",
            "scope region",
            "scope service",
            "signature bits",
            "signed headers",
            "token",
        ],
    ),
    (
        "header, hash",
        &[
            "access key",
            "body",
            "clock",
            "date",
            "header added",
            "header doubled",
            "header removed",
            "header value",
            "host",
            "method",
            "path",
            "payload hash",
            "query added",
            "query doubled",
            "query name",
            "query removed",
            "query value",
            "scope date",
            "scope region",
            "scope service",
            "signature bits",
            "signed headers",
            "token",
        ],
    ),
    (
        "url",
        &[
            "access key",
            "body",
            "clock",
            "date",
            "expires",
            "header added",
            "header doubled",
            "header removed",
            "header value",
            "host",
            "method",
            "path",
            "query added",
            "query doubled",
            "query name",
            "query removed",
            "query value",
            "scope date",
            "scope region",
            "scope service",
            "signature bits",
            "signed headers",
            "token",
        ],
    ),
];

/// Requests of one form that are changed.
const OF_A_FORM: usize = 120;

#[test]
fn no_change_of_a_signed_request_is_verified() -> Result<()> {
    let mut forms: BTreeMap<&str, Vec<(String, Arriving)>> = BTreeMap::new();
    for line in lines()? {
        let original = arriving(&line)?;
        if verify(original.clone()).is_ok() {
            forms.entry(form(&original)).or_default().push((line.call(), original));
        }
    }
    let mut seen: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    let mut accepted = Vec::new();
    for (form, requests) in forms {
        let every = requests.len().div_ceil(OF_A_FORM).max(1);
        for (call, original) in requests.into_iter().step_by(every) {
            for (part, tampered) in original.tampered() {
                match verify(tampered.clone()) {
                    Ok(_) => accepted.push(((form, part), call.clone(), tampered)),
                    Err(error) => {
                        *seen.entry((form, part)).or_default().entry(class(&error)).or_default() += 1;
                    }
                }
            }
        }
    }
    for ((form, part), classes) in &seen {
        println!("{form}: {part}: {classes:?}");
    }
    let parts: Vec<_> = accepted.iter().map(|(part, ..)| *part).collect();
    assert!(accepted.is_empty(), "{parts:?} were verified, such as {:#?}", accepted.first());
    let expected: BTreeMap<&str, &[&str]> = CLASSES.into_iter().collect();
    for ((form, part), classes) in &seen {
        let allowed = expected.get(part).with_context(|| (*part).to_owned())?;
        assert!(classes.keys().all(|class| allowed.contains(class)), "{form}: {part}: {classes:?}");
        assert!(classes.values().sum::<usize>() >= 20, "{form}: {part}: {classes:?}");
    }
    let changed: Vec<(&str, &str)> = seen.keys().copied().collect();
    let all: Vec<(&str, &str)> =
        FORMS.iter().flat_map(|(form, parts)| parts.iter().map(|part| (*form, *part))).collect();
    assert_eq!(changed, all, "some part was not changed");
    Ok(())
}
