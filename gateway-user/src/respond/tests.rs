use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    classify::{ActionOn, Operation},
    parse::{HeadError, RequestDigest},
};

const JSON: ErrorShape = ErrorShape::AwsJson { was_query: false };
const JSON_AFTER_QUERY: ErrorShape = ErrorShape::AwsJson { was_query: true };
const CBOR: ErrorShape = ErrorShape::Cbor { was_query: false };
const CBOR_AFTER_QUERY: ErrorShape = ErrorShape::Cbor { was_query: true };

const SHAPES: [ErrorShape; 9] = [
    JSON,
    JSON_AFTER_QUERY,
    ErrorShape::RestJson,
    ErrorShape::Query,
    ErrorShape::Ec2,
    ErrorShape::RestXml,
    ErrorShape::S3,
    CBOR,
    CBOR_AFTER_QUERY,
];

fn session() -> SessionId {
    "s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a".parse().unwrap()
}

fn call() -> CallId {
    "c-0190b0b0b0b07b0b8b0b0b0b0b0b0b0b".parse().unwrap()
}

fn refusal(message: &str) -> Refusal {
    Refusal { kind: Kind::Denied, message: message.to_owned(), log: String::new(), call: call() }
}

fn denial(reason: Reason) -> Denial {
    let operation = Operation {
        service: "s3".to_owned(),
        name: "PutObject".to_owned(),
        region: "us-east-1".parse().unwrap(),
        account: None,
        actions: vec![ActionOn {
            action: "s3:PutObject".to_owned(),
            resource: "arn:aws:s3:::b/k".to_owned(),
        }],
        params: BTreeMap::new(),
        unread: Default::default(),
        keys: None,
        withheld: Vec::new(),
        tokens: Vec::new(),
        model: Default::default(),
        digest: RequestDigest([0; 32]),
    };
    Denial { operation, reason }
}

#[test]
fn every_shape_on_the_wire() {
    let check = |shape: ErrorShape, content_type: &str, body: &[u8]| {
        let response = refusal("no <b> & \"c\"\n").into_response(shape, &Method::POST);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers().get("content-type").unwrap(), content_type);
        assert_eq!(response.headers().get("x-amzn-requestid").unwrap(), &call().to_string());
        assert_eq!(response.body().as_ref(), body, "{shape:?} {}", String::from_utf8_lossy(response.body()));
    };
    let id = call();
    let json = br#"{"__type":"AccessDeniedException","message":"no <b> & \"c\"\n"}"#;
    for shape in [JSON, JSON_AFTER_QUERY] {
        check(shape, "application/x-amz-json-1.1", json);
    }
    check(ErrorShape::RestJson, "application/json", br#"{"message":"no <b> & \"c\"\n"}"#);
    let text = "no &lt;b&gt; &amp; &quot;c&quot;\u{fffd}";
    let query = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>\
         <RequestId>{id}</RequestId></ErrorResponse>"
    );
    check(ErrorShape::Query, "text/xml", query.as_bytes());
    check(ErrorShape::RestXml, "text/xml", query.as_bytes());
    let ec2 = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>UnauthorizedOperation</Code>\
         <Message>{text}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
    );
    check(ErrorShape::Ec2, "text/xml", ec2.as_bytes());
    let s3 = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>{text}</Message>\
         <RequestId>{id}</RequestId><HostId>chaperone</HostId></Error>"
    );
    check(ErrorShape::S3, "application/xml", s3.as_bytes());
    let cbor = b"\xa2\x66__type\x75AccessDeniedException\x67message\x6dno <b> & \"c\"\n";
    for shape in [CBOR, CBOR_AFTER_QUERY] {
        check(shape, "application/cbor", cbor);
    }
}

#[test]
fn headers_that_some_shapes_need() {
    let header = |shape: ErrorShape, name: &str| {
        let response = refusal("x").into_response(shape, &Method::POST);
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(ErrorShape::RestJson, "x-amzn-errortype").as_deref(), Some("AccessDeniedException"));
    assert_eq!(header(CBOR, "smithy-protocol").as_deref(), Some("rpc-v2-cbor"));
    assert_eq!(header(ErrorShape::S3, "x-amz-request-id"), Some(call().to_string()));
    assert_eq!(header(JSON, "x-amzn-errortype"), None);
}

/// The SDKs of services that spoke query take the code of an error from there.
#[test]
fn errors_of_services_that_spoke_query_have_its_codes() {
    for shape in SHAPES {
        let query_error = |kind: Kind| {
            let response = Refusal { kind, ..refusal("x") }.into_response(shape, &Method::POST);
            response.headers().get("x-amzn-query-error").map(|value| value.to_str().unwrap().to_owned())
        };
        let expected =
            |text: &str| [JSON_AFTER_QUERY, CBOR_AFTER_QUERY].contains(&shape).then(|| text.to_owned());
        assert_eq!(query_error(Kind::Denied), expected("AccessDenied;Sender"), "{shape:?}");
        assert_eq!(query_error(Kind::UnknownKey), expected("InvalidClientTokenId;Sender"), "{shape:?}");
        assert_eq!(query_error(Kind::Unavailable), expected("ServiceUnavailable;Receiver"), "{shape:?}");
    }
}

#[test]
fn head_gets_no_body() {
    for shape in SHAPES {
        let response = refusal("x").into_response(shape, &Method::HEAD);
        assert_eq!((response.status().as_u16(), response.body().len()), (403, 0));
    }
}

#[test]
fn messages_name_rule_session_and_remedy() {
    let check = |reason: Reason, message: &str, log: &str| {
        let refusal = Refusal::denied(&denial(reason), session(), call());
        assert_eq!((refusal.message.as_str(), refusal.log.as_str()), (message, log));
        assert_eq!(refusal.status(), 403);
    };
    check(
        Reason::Forbidden { rules: vec!["no-writes".to_owned()] },
        "Denied by Chaperone policy: s3:PutObject is forbidden by the rule \"no-writes\" \
         (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; ask the administrator if this rule should \
         not apply.",
        "s3:PutObject is forbidden by the rule \"no-writes\"",
    );
    check(
        Reason::NothingPermits { action: "s3:PutObject".to_owned(), resource: "arn:aws:s3:::b/k".to_owned() },
        "Denied by Chaperone policy: s3:PutObject needs s3:PutObject on arn:aws:s3:::b/k, which no rule permits \
         (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; ask the administrator for a rule that \
         permits it.",
        "s3:PutObject needs s3:PutObject on arn:aws:s3:::b/k, which no rule permits",
    );
    let nothing = Reason::NothingPermits { action: "reveal".to_owned(), resource: "*".to_owned() };
    let withheld = |reason: Reason, observed| Reason::NotRevealed { reason: Box::new(reason), observed };
    check(
        withheld(nothing.clone(), false),
        "Denied by Chaperone policy: s3:PutObject answers with credentials that cannot be replaced, and no rule \
         reveals them (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; ask the administrator for a rule on \
         Action::\"reveal\" that permits it.",
        "s3:PutObject answers with credentials that cannot be replaced, and no rule reveals them: no rule permits \
         reveal on *",
    );
    check(
        withheld(nothing, true),
        "Denied by Chaperone policy: s3:PutObject answers with credentials that cannot be replaced, and no rule \
         reveals them (the workload is only observed, but observing reveals nothing) \
         (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; ask the administrator for a rule on \
         Action::\"reveal\" that permits it.",
        "s3:PutObject answers with credentials that cannot be replaced, and no rule reveals them (the workload is only \
         observed, but observing reveals nothing): no rule permits reveal on *",
    );
    let (action, resource) = ("insert".to_owned(), "*".to_owned());
    check(
        Reason::NotInserted {
            field: "Environment.Variables.DB".to_owned(),
            secret: "SecretString of secretsmanager:GetSecretValue (db)".to_owned(),
            reason: Box::new(Reason::NothingPermits { action, resource }),
            observed: true,
        },
        "Denied by Chaperone policy: s3:PutObject would put SecretString of secretsmanager:GetSecretValue (db) into \
         Environment.Variables.DB in the place of a token, and that is permitted by no rule (the workload is only \
         observed, but observing inserts nothing) (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; ask the \
         administrator for a rule on Action::\"insert\" that permits it.",
        "s3:PutObject would put SecretString of secretsmanager:GetSecretValue (db) into Environment.Variables.DB in the \
         place of a token, and that is permitted by no rule (the workload is only observed, but observing inserts \
         nothing): no rule permits insert on *",
    );
    check(
        withheld(Reason::Forbidden { rules: vec!["no-keys".to_owned()] }, false),
        "Denied by Chaperone policy: s3:PutObject answers with credentials that cannot be replaced, and to reveal \
         them is forbidden by the rule \"no-keys\" (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; ask the \
         administrator if this rule should not apply.",
        "s3:PutObject answers with credentials that cannot be replaced, and to reveal them is forbidden by the rule \
         \"no-keys\": forbidden by no-keys",
    );
    check(
        Reason::EvaluationFailed {
            rules: vec!["a".to_owned(), "b".to_owned()],
            detail: "type error".to_owned(),
        },
        "Denied by Chaperone policy: s3:PutObject cannot be decided, because the rules \"a\", \"b\" failed to \
         evaluate (session s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a). Do not retry; tell the administrator.",
        "s3:PutObject cannot be decided, because the rules \"a\", \"b\" failed to evaluate: type error",
    );
}

#[test]
fn every_error_has_its_status() {
    let check = |refusal: Refusal, status: u16| {
        assert_eq!(refusal.status(), status, "{refusal:?}");
        assert!(refusal.message.contains(&session().to_string()), "{refusal:?}");
    };
    let parse = |error: ParseError| Refusal::parse(&error, session(), call());
    check(parse(HeadError::Version.into()), 400);
    check(parse(QueryError::EmptyPair.into()), 400);
    check(parse(EndpointError::Unknown("h".to_owned()).into()), 403);
    check(parse(EndpointError::Unsupported("x").into()), 501);
    check(parse(AuthorizationError::Unsigned.into()), 403);
    let parameter = "X-Amz-Expires".to_owned();
    check(parse(AuthorizationError::Presigned { parameter, why: "it is missing" }.into()), 400);
    check(parse(AuthorizationError::SigV2.into()), 501);
    check(parse(AuthorizationError::SigV4a.into()), 501);
    check(parse(AuthorizationError::Duplicate.into()), 400);
    check(parse(PayloadError::EventStream.into()), 501);
    check(parse(PayloadError::Unknown.into()), 400);
    let signature = |error: SignatureError| Refusal::signature(&error, session(), call());
    check(signature(SignatureError::UnknownAccessKey("A".to_owned())), 403);
    check(signature(SignatureError::PlaceholderKey("A".to_owned())), 403);
    check(signature(SignatureError::HeaderInQuery("a".to_owned())), 403);
    check(signature(SignatureError::Expired { until: "u".to_owned(), now: "n".to_owned() }), 403);
    check(signature(SignatureError::Payload(PayloadError::SignedChunks("x".to_owned()))), 501);
    check(signature(SignatureError::Mismatch), 403);
    check(signature(SignatureError::BodyMissing), 500);
    let classify = |error: ClassifyError| Refusal::classify(&error, session(), call());
    check(classify(ClassifyError::MintsCredentials("x".to_owned())), 403);
    check(classify(ClassifyError::Ambiguous("x".to_owned())), 400);
    check(classify(ClassifyError::BadBody("x".to_owned())), 400);
    check(Refusal::body(&CollectError::TooLarge { limit: 1 }, session(), call()), 413);
    check(Refusal::body(&CollectError::Trailers, session(), call()), 400);
    check(Refusal::sign(&SignError::PermitMismatch, session(), call()), 500);
    check(Refusal::record(&RecordError::Stopped, session(), call()), 503);
    let credentials = CredentialsError::Timeout(Duration::from_secs(1));
    check(Refusal::credentials(&credentials, session(), call()), 503);
    let credentials = |error: CredentialsError| Refusal::credentials(&error, session(), call());
    let (role, detail) = (String::new, String::new);
    check(credentials(CredentialsError::NoSource(String::new())), 503);
    check(credentials(CredentialsError::AssumeRole { role: role(), detail: detail() }), 503);
    check(credentials(CredentialsError::RoleRefused { role: role(), detail: detail() }), 403);
    check(credentials(CredentialsError::PackedTooLarge { role: role(), detail: detail() }), 403);
    check(credentials(CredentialsError::TokenRefused { role: role(), detail: detail() }), 403);
    check(credentials(CredentialsError::NoToken), 403);
    let decided = "123456789012".parse().unwrap();
    check(credentials(CredentialsError::OtherAccount { decided, keys: "an unknown one".to_owned() }), 403);
    let workload = "w".parse().unwrap();
    check(credentials(CredentialsError::RulesTooLarge { workload, statements: 1, characters: 1 }), 403);
    check(credentials(CredentialsError::PolicyTooLarge { pairs: 1, characters: 1 }), 400);
    check(Refusal::internal(Kind::Upstream, "AWS did not answer", "reset", session(), call()), 502);
}

#[test]
fn internals_are_for_the_log_only() {
    let error = CredentialsError::AssumeRole {
        role: "arn:aws:iam::1:role/x".to_owned(),
        detail: "denied".to_owned(),
    };
    let refusal = Refusal::credentials(&error, session(), call());
    assert!(!refusal.message.contains("role/x"));
    assert!(refusal.log.contains("role/x"));
}

/// What botocore, the JavaScript SDK and the Rust SDK retry by code, whatever the status.
const RETRIED: [&str; 12] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

#[test]
fn refusals_are_not_retried() {
    for kind in [
        Kind::Denied,
        Kind::UnknownKey,
        Kind::BadSignature,
        Kind::Skew,
        Kind::BadAuthorization,
        Kind::Malformed,
        Kind::TooLarge,
        Kind::NotImplemented,
    ] {
        for shape in SHAPES {
            assert!(!RETRIED.contains(&kind.code(shape)), "{kind:?} {shape:?}");
            assert!(![408, 429, 500, 502, 503, 504].contains(&kind.status().as_u16()), "{kind:?}");
        }
    }
}
