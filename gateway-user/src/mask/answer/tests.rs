use http::{HeaderName, HeaderValue};

use super::*;
use crate::{
    classify::answer::HIDDEN,
    mask::{Asked, Config, MASKED, Masks},
};

const KEY: &[u8] = b"a key of tests that is long enough";

fn key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn masks(toml: &str) -> Masks {
    Masks::new(&toml::from_str(toml).unwrap(), key(KEY)).unwrap()
}

fn asked(service: &'static str, operation: &'static str, protocol: Protocol) -> Asked<'static> {
    let services: &'static [&'static str] = vec![service].leak();
    Asked { services, operation, protocol }
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn way(masks: &Masks, asked: Asked<'_>, status: u16, lines: &[(&'static str, &'static str)]) -> Way {
    let status = StatusCode::from_u16(status).unwrap();
    masks.of(asked, std::iter::empty()).way(status, &headers(lines))
}

#[test]
fn an_answer_with_secrets_is_read_as_its_protocol_writes_it() {
    let masks = masks("");
    let json = [("content-type", "application/x-amz-json-1.1")];
    let secret = asked("secretsmanager", "GetSecretValue", Protocol::Json);
    assert_eq!(way(&masks, secret, 200, &json), Way::Masked(Format::Json));
    // Whatever its head says.
    assert_eq!(way(&masks, secret, 200, &[("content-type", "image/png")]), Way::Masked(Format::Json));
    assert_eq!(way(&masks, secret, 200, &[("content-encoding", "gzip")]), Way::Withheld);
    let key = asked("iam", "CreateAccessKey", Protocol::Query);
    assert_eq!(way(&masks, key, 200, &[]), Way::Masked(Format::Xml { wrappers: 2 }));
    let metrics = asked("secretsmanager", "GetSecretValue", Protocol::Cbor);
    assert_eq!(way(&masks, metrics, 200, &[]), Way::Masked(Format::Cbor));
}

#[test]
fn errors_and_answers_without_secrets_are_looked_through_as_what_they_are() {
    let masks = masks("");
    let secret = asked("secretsmanager", "GetSecretValue", Protocol::Json);
    let plain = asked("sqs", "GetQueueUrl", Protocol::Json);
    let check = |media: &'static str, expected: Way| {
        for (asked, status) in [(secret, 400), (plain, 200)] {
            assert_eq!(way(&masks, asked, status, &[("content-type", media)]), expected, "{media}");
        }
    };
    check("application/json; charset=utf-8", Way::Masked(Format::Json));
    check("text/xml", Way::Masked(Format::Xml { wrappers: 1 }));
    check("application/cbor", Way::Masked(Format::Cbor));
    check("text/html", Way::Masked(Format::Text));
    check("text/event-stream", Way::AsItIs);
    check("application/octet-stream", Way::AsItIs);
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(way(&masks, plain, 200, &gzip), Way::AsItIs);
    // AWS's own words are read, or not passed on.
    for status in [400, 403, 500] {
        assert_eq!(way(&masks, plain, status, &gzip), Way::Withheld);
        assert_eq!(way(&masks, secret, status, &gzip), Way::Withheld);
    }
    let nobody_looks = self::masks("detect = false");
    assert_eq!(way(&nobody_looks, plain, 400, &gzip), Way::AsItIs);
    assert_eq!(way(&nobody_looks, secret, 400, &gzip), Way::AsItIs);
}

/// What a function or a model answers need not be what it says of itself.
#[test]
fn what_others_wrote_is_text() {
    let masks = masks("");
    let json = [("content-type", "application/json")];
    let model = asked("sagemaker-runtime", "InvokeEndpoint", Protocol::RestJson);
    assert_eq!(way(&masks, model, 200, &json), Way::Masked(Format::Text));
    assert_eq!(way(&masks, model, 400, &json), Way::Masked(Format::Json));
    let list = asked("lambda", "ListLayers", Protocol::RestJson);
    assert_eq!(way(&masks, list, 200, &json), Way::Masked(Format::Json));
}

#[test]
fn objects_pass_unless_they_are_to_be_looked_through() {
    let object = asked("s3", "GetObject", Protocol::RestXml);
    let text = [("content-type", "text/plain")];
    assert_eq!(way(&masks(""), object, 200, &text), Way::AsItIs);
    assert_eq!(way(&masks("objects = true"), object, 200, &text), Way::Masked(Format::Text));
    let list = asked("s3", "ListObjectsV2", Protocol::RestXml);
    let xml = [("content-type", "application/xml")];
    assert_eq!(way(&masks(""), list, 200, &xml), Way::Masked(Format::Xml { wrappers: 1 }));
    assert_eq!(way(&masks("detect = false"), list, 200, &xml), Way::AsItIs);
}

/// Of what somebody wrote who is not AWS the record has length and digest, whether it comes at once or in events.
#[test]
fn what_functions_and_models_answer_is_not_kept() {
    for (service, operation, protocol, is_stored) in [
        ("lambda", "Invoke", Protocol::RestJson, true),
        ("lambda", "InvokeWithResponseStream", Protocol::RestJson, true),
        ("bedrock-runtime", "InvokeModel", Protocol::RestJson, true),
        ("bedrock-runtime", "InvokeModelWithResponseStream", Protocol::RestJson, true),
        ("sagemaker-runtime", "InvokeEndpointWithResponseStream", Protocol::RestJson, true),
        ("s3", "GetObject", Protocol::RestXml, true),
        ("sqs", "ReceiveMessage", Protocol::Json, true),
        ("bedrock-runtime", "ConverseStream", Protocol::RestJson, false),
        ("lambda", "GetFunction", Protocol::RestJson, false),
        ("s3", "ListObjectsV2", Protocol::RestXml, false),
    ] {
        let masking = masks("").of(asked(service, operation, protocol), std::iter::empty());
        assert_eq!(masking.is_stored(StatusCode::OK), is_stored, "{service} {operation}");
    }
}

/// AWS's own words are looked through, whatever is asked for.
#[test]
fn errors_are_looked_through_where_answers_are_not() {
    let xml = [("content-type", "application/xml")];
    let json = [("content-type", "application/x-amz-json-1.0")];
    let object = asked("s3", "GetObject", Protocol::RestXml);
    let messages = asked("sqs", "ReceiveMessage", Protocol::Json);
    let login = asked("ecr", "GetAuthorizationToken", Protocol::Json);
    let check = |toml: &str, asked: Asked<'_>, revealed: &[&str], head: &[_], expected: Way| {
        let masking = masks(toml).of(asked, revealed.iter().copied());
        for status in [StatusCode::FORBIDDEN, StatusCode::INTERNAL_SERVER_ERROR] {
            assert_eq!(masking.way(status, &headers(head)), expected, "{}", asked.operation);
            assert_eq!(masking.job(status).detectors.is_some(), expected != Way::AsItIs);
            assert!(!masking.is_stored(status));
        }
        assert_eq!(masking.way(StatusCode::OK, &headers(head)), Way::AsItIs, "{}", asked.operation);
        assert!(masking.job(StatusCode::OK).detectors.is_none());
    };
    check("", object, &[], &xml, Way::Masked(Format::Xml { wrappers: 1 }));
    check("", messages, &[], &json, Way::Masked(Format::Json));
    check("", login, &["*"], &json, Way::Masked(Format::Json));
    check("detect = false", object, &[], &xml, Way::AsItIs);
}

/// The operator's word about every agent is not undone by one about some.
#[test]
fn what_the_configuration_hides_stays_hidden_where_policy_reveals_all() {
    let rule = |path: &str| format!("[[rule]]\noperation = \"ecr:GetAuthorizationToken\"\npath = \"{path}\"");
    let login = asked("ecr", "GetAuthorizationToken", Protocol::Json);
    let hidden = |toml: &str, revealed: &[&str]| {
        let masking = masks(toml).of(login, revealed.iter().copied());
        let job = masking.job(StatusCode::OK);
        let paths = job.plan.fields().iter().map(|field| field.path.to_string());
        let is_hidden = |path: &String| job.plan.fields_at(path).any(|field| !job.revealed.contains(field));
        paths.filter(is_hidden).collect::<Vec<_>>()
    };
    let endpoint = "authorizationData[].proxyEndpoint";
    assert_eq!(hidden("", &["*"]), [""; 0]);
    assert_eq!(hidden(&rule(endpoint), &["*"]), [endpoint]);
    assert_eq!(hidden(&rule("*"), &["*"]), ["*"]);
    assert!(hidden(&rule(endpoint), &[]).len() > 1);
    let shown = format!("{}\neffect = \"reveal\"", rule("authorizationData[].authorizationToken"));
    assert_eq!(hidden(&shown, &["*"]), [""; 0]);
}

#[test]
fn all_of_an_answer_is_its_headers_too() {
    let masks = masks("[[rule]]\noperation = \"lambda:Invoke\"\npath = \"*\"");
    let job = masks.of(asked("lambda", "Invoke", Protocol::RestJson), std::iter::empty());
    let before = [
        ("content-length", "7"),
        ("content-type", "application/json"),
        ("x-amz-executed-version", "$LATEST"),
        ("x-amz-log-result", "c2VjcmV0"),
        ("x-amzn-requestid", "r"),
    ];
    let mut found = headers(&before);
    let (job, report) = crate::mask::headers(job.job(StatusCode::OK), &mut found).unwrap();
    assert_eq!(report.count(), 2);
    let after = before.map(|(name, value)| match name {
        "x-amz-executed-version" | "x-amz-log-result" => (name, MASKED),
        _ => (name, value),
    });
    assert_eq!(found, headers(&after));
    // And so is the body.
    assert_eq!(job.plan.format(Protocol::RestJson), Some(Format::Json));
}

#[test]
fn messages_with_digests_of_their_own_pass() {
    let json = [("content-type", "application/x-amz-json-1.0")];
    let messages = asked("sqs", "ReceiveMessage", Protocol::Json);
    assert_eq!(way(&masks("objects = true"), messages, 200, &json), Way::AsItIs);
}

#[test]
fn an_etag_is_a_version_but_of_an_object() {
    let check = |service, operation, protocol, expected: bool| {
        let masking = masks("objects = true").of(asked(service, operation, protocol), std::iter::empty());
        let mut found = headers(&[("etag", "\"v1\""), ("content-length", "7")]);
        masking.adapt(&mut found, None);
        assert_eq!((found.contains_key("etag"), found.len()), (expected, usize::from(expected)));
    };
    check("cloudfront", "GetDistribution", Protocol::RestXml, true);
    check("s3", "GetObject", Protocol::RestXml, false);
}

#[test]
fn equal_values_are_known_by_their_digest_and_by_this_key_alone() {
    let digest = |bytes: &[u8], parts: &[&[u8]]| {
        let masks = Masks::new(&Config::default(), key(bytes)).unwrap();
        let asked = asked("s3", "GetObject", Protocol::RestXml);
        let mut digest = masks.of(asked, std::iter::empty()).job(StatusCode::OK).digest;
        digest.start();
        digest.update(b"forgotten");
        digest.start();
        parts.iter().for_each(|part| digest.update(part));
        digest.finish()
    };
    assert_eq!(digest(KEY, &[b"hunter2"]), digest(KEY, &[b"hun", b"ter2"]));
    assert_ne!(digest(KEY, &[b"hunter2"]), digest(KEY, &[b"hunter3"]));
    assert_ne!(digest(KEY, &[b"hunter2"]), digest(b"another key of tests, long enough", &[b"hunter2"]));
}

#[test]
fn what_policy_reveals_passes() {
    let masks = masks("");
    let secret = asked("secretsmanager", "GetSecretValue", Protocol::Json);
    let of = |parts: &[&str]| {
        let masking = masks.of(secret, parts.iter().copied());
        let job = masking.job(StatusCode::OK);
        let hidden = |path: &str| job.plan.fields_at(path).any(|field| !job.revealed.contains(field));
        (hidden("SecretString"), hidden("SecretBinary"), job.detectors.is_some())
    };
    assert_eq!(of(&[]), (true, true, true));
    assert_eq!(of(&["SecretString"]), (false, true, true));
    assert_eq!(of(&["SecretStrin", "Name"]), (true, true, true));
    assert_eq!(of(&["*"]), (false, false, false));
}

/// They are answered, so nothing that opens anything may be outside of the plan.
#[test]
fn credentials_that_are_only_hidden_are_hidden() {
    let masks = masks("");
    for (service, operation) in HIDDEN {
        let paths = masks.hidden(asked(service, operation, Protocol::Query));
        let secrets = ["AccessKey.SecretAccessKey", "ServiceSpecificCredential.ServicePassword"];
        assert!(secrets.iter().any(|secret| paths.iter().any(|path| **path == **secret)), "{paths:?}");
    }
}

#[test]
fn what_policy_may_reveal_is_told_by_its_paths() {
    let hidden = |toml: &str| {
        let mut paths = masks(toml).hidden(asked("ssm", "GetParameter", Protocol::Json));
        paths.sort_unstable();
        paths.iter().map(|path| path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(hidden(""), ["Parameter.Value"]);
    let all = "[[rule]]\noperation = \"ssm:GetParameter\"\npath = \"*\"";
    assert!(hidden(all).is_empty());
}
