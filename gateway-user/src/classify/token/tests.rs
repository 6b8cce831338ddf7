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
    let origin = |target: &str, service: &str, body: &str, account: Option<&str>| {
        let account = account.map(|account| account.parse().unwrap());
        let call = TestCall::json(service, &format!("{service}.us-east-1.amazonaws.com"), target, body);
        classify(&call.verify().unwrap(), account.as_ref()).unwrap().origin()
    };
    let check = |body: &str, resource: &str, id: &str, version: &str| {
        let get = "secretsmanager.GetSecretValue";
        let expected = Secret {
            operation: "secretsmanager:GetSecretValue".to_owned(),
            field: String::new(),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            resource: resource.to_owned(),
            id: id.to_owned(),
            version: version.to_owned(),
            alone: true,
        };
        assert_eq!(origin(get, "secretsmanager", body, Some("123456789012")), expected);
        assert_eq!(origin(get, "secretsmanager", body, None), Secret { account: String::new(), ..expected });
    };
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    check(r#"{"SecretId":"db"}"#, "*", "db", "");
    check(r#"{"SecretId":"db","VersionId":"v"}"#, "*", "db", "v");
    check(r#"{"SecretId":"db","VersionStage":"AWSPREVIOUS"}"#, "*", "db", "AWSPREVIOUS");
    check(r#"{"SecretId":"db","VersionStage":"s","VersionId":"v"}"#, "*", "db", "v s");
    check(&format!(r#"{{"SecretId":"{arn}"}}"#), arn, arn, "");
    // AWS may know what is no member of the operation, and mean another value by it.
    let other = r#"{"SecretId":"db","OtherName":"x","OtherVersion":"x"}"#;
    let other = origin("secretsmanager.GetSecretValue", "secretsmanager", other, None);
    assert_eq!((other.id.as_str(), other.version.as_str(), other.alone), ("db", "", false));
    let parameter = r#"{"Name":"db","WithDecryption":true}"#;
    let parameter = origin("AmazonSSM.GetParameter", "ssm", parameter, None);
    assert_eq!((parameter.id.as_str(), parameter.alone), ("db", true));
    let history = origin("AmazonSSM.GetParameterHistory", "ssm", r#"{"Name":"db","MaxResults":1}"#, None);
    assert_eq!((history.id.as_str(), history.alone), ("db", false));
    assert_eq!(origin("AmazonSSM.GetParameters", "ssm", r#"{"Names":["a","b"]}"#, None).id, "");
}

/// What no model has may be called anything: it must not be taken for what a model has.
#[test]
fn no_name_stands_for_another_place() {
    let field = |body: &str| {
        let operation = read(&lambda(body)).unwrap();
        let [token] = operation.tokens.as_slice() else { panic!("{:?}", operation.tokens) };
        (token.field.clone(), token.path.clone())
    };
    let check = |body: &str, field_: &str, path: &str| {
        let body = body.replace("TOKEN", TOKEN);
        assert_eq!(field(&body), (field_.to_owned(), path.to_owned()), "{body}");
    };
    check(
        r#"{"Environment.Variables{}":"TOKEN"}"#,
        r#""Environment.Variables{}""#,
        r#""Environment.Variables{}""#,
    );
    check(r#"{"Layers[]":"TOKEN"}"#, r#""Layers[]""#, r#""Layers[]""#);
    check(r#"{"New":{"a.b":"TOKEN"}}"#, r#"New."a.b""#, r#"New."a.b""#);
    check(r#"{"New":{"":"TOKEN"}}"#, r#"New."""#, r#"New."""#);
    check(r#"{"New":{"\"x":"TOKEN"}}"#, r#"New."\"x""#, r#"New."\"x""#);
    check(
        r#"{"Environment":{"Variables":{"A.B":"TOKEN"}}}"#,
        "Environment.Variables{}",
        r#"Environment.Variables."A.B""#,
    );
}
