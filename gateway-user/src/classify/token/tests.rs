use http::Method;

use super::*;
use crate::{classify::classify, parse::testing::TestCall};

const TOKEN: &str = "chaperone:secret:0123456789abcdef0123456789abcdef";

fn call(method: Method, service: &str, target: &str) -> TestCall {
    TestCall::new(method, service, &format!("{service}.us-east-1.amazonaws.com"), target)
}

fn lambda(body: &str) -> TestCall {
    call(Method::PUT, "lambda", "/2015-03-31/functions/f/configuration")
        .header("content-type", "application/json")
        .body(body)
}

fn read(call: &TestCall) -> Result<Operation, ClassifyError> {
    classify(&call.verify().unwrap(), None)
}

#[test]
fn a_token_is_a_whole_text_in_the_body() {
    let body = format!(
        r#"{{"Environment":{{"Variables":{{"DB":"{TOKEN}"}}}},"Layers":["{TOKEN}"],"New":{{"a":"{TOKEN}"}}}}"#
    );
    let operation = read(&lambda(&body)).unwrap();
    let found: Vec<(&str, &str)> =
        operation.tokens.iter().map(|token| (token.field.as_str(), token.path.as_str())).collect();
    assert_eq!(
        found,
        [
            ("Environment.Variables{}", "Environment.Variables.DB"),
            ("Layers[]", "Layers[0]"),
            ("New.a", "New.a")
        ]
    );
    assert!(operation.tokens.iter().all(|token| token.text == TOKEN && token.secret.is_none()));
    let mut operation = operation;
    let error = operation.resolve(|_| None).unwrap_err().to_string();
    assert!(error.contains("unknown in this session: read the secret again"), "{error}");
}

#[test]
fn anywhere_else_it_is_refused() {
    let variables = |text: &str| lambda(&format!(r#"{{"Environment":{{"Variables":{{{text}}}}}}}"#));
    let base64 = "Y2hhcGVyb25lOnNlY3JldDowMTIz";
    let json = |service: &str, target: &str, body: &str| {
        TestCall::json(service, &format!("{service}.us-east-1.amazonaws.com"), target, body)
    };
    for refused in [
        variables(&format!(r#""DB":"{TOKEN} ""#)),
        variables(&format!(r#""DB":"postgres://u:{TOKEN}@h""#)),
        variables(&format!(r#""DB":"{TOKEN}{TOKEN}""#)),
        variables(r#""DB":"chaperone:secret:""#),
        variables(&format!(r#""{TOKEN}":"x""#)),
        lambda(&format!(r#"{{"New{TOKEN}":"x"}}"#)),
        lambda("{}").header("x-amz-other", TOKEN),
        call(Method::PUT, "lambda", &format!("/2015-03-31/functions/{TOKEN}/configuration")).body("{}"),
        call(Method::GET, "lambda", &format!("/2015-03-31/functions?Marker={}", TOKEN.replace(':', "%3A"))),
        json("kms", "TrentService.Encrypt", &format!(r#"{{"KeyId":"k","Plaintext":"{base64}"}}"#)),
        json("kms", "TrentService.Encrypt", &format!(r#"{{"KeyId":"k","Plaintext":"{TOKEN}"}}"#)),
        // The body is the parameter.
        call(Method::PUT, "s3", "/bucket?policy").body(TOKEN),
        call(Method::POST, "lambda", "/2015-03-31/functions/f/invocations").body(TOKEN),
    ] {
        let error = read(&refused).expect_err(&format!("{refused:?}")).to_string();
        assert!(error.contains("only as the whole of a text in the body"), "{refused:?}: {error}");
    }
}

#[test]
fn there_are_not_too_many_of_them() {
    let body = |count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!(r#""V{number}":"{TOKEN}""#)).collect();
        lambda(&format!(r#"{{"Environment":{{"Variables":{{{}}}}}}}"#, all.join(",")))
    };
    assert_eq!(read(&body(TOKENS_MAX)).unwrap().tokens.len(), TOKENS_MAX);
    assert!(read(&body(TOKENS_MAX + 1)).is_err());
}

#[test]
fn where_a_value_comes_from() {
    let json = |target: &str, service: &str, body: &str| {
        read(&TestCall::json(service, &format!("{service}.us-east-1.amazonaws.com"), target, body))
            .unwrap()
            .origin()
    };
    let origin = |resource: &str, id: &str| (resource.to_owned(), id.to_owned());
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    let get = "secretsmanager.GetSecretValue";
    assert_eq!(json(get, "secretsmanager", r#"{"SecretId":"db","VersionId":"v"}"#), origin("*", "db"));
    assert_eq!(json(get, "secretsmanager", &format!(r#"{{"SecretId":"{arn}"}}"#)), origin(arn, arn));
    // What is no member of the operation names nothing.
    assert_eq!(json(get, "secretsmanager", r#"{"SecretId":"db","OtherName":"x"}"#), origin("*", "db"));
    assert_eq!(json("AmazonSSM.GetParameters", "ssm", r#"{"Names":["a","b"]}"#).1, "");
}
