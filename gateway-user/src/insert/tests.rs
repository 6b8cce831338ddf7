use http::Method;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::{
    classify::classify,
    decide::{DayUsage, Facts, Policies, SessionUsage, Verdict},
    identify::{self, WorkloadConfig},
    parse::testing::TestCall,
    tokens::{Bounds, PREFIX, Secret, Tokens},
};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const POLICIES: &str = r#"permit (principal, action in [Action::"*", Action::"insert"], resource);"#;
/// More than any value needs.
const MOST: usize = 1 << 20;

fn token(number: u8) -> String {
    format!("{PREFIX}{}", hex::encode([number; 16]))
}

/// Values with the tokens of these tests, whatever they are.
fn values(texts: &[&str]) -> HashMap<String, Arc<Value>> {
    let tokens = Tokens::new(Bounds { per_session: 99, value_max: MOST, memory: 8 * MOST });
    let session = identify::testing::caller(WorkloadConfig::named("builds".parse().unwrap()), NOW).session;
    let secret = Secret {
        operation: "secretsmanager:GetSecretValue".to_owned(),
        field: "SecretString".to_owned(),
        region: "us-east-1".to_owned(),
        account: String::new(),
        resource: "*".to_owned(),
        id: "db".to_owned(),
        version: String::new(),
        alone: true,
    };
    let value = |(number, text): (u8, &&str)| {
        let kept = tokens.keep(&session, NOW, &secret, [number; 16], text.as_bytes()).unwrap();
        (token(number), tokens.value(session.id, &kept).unwrap())
    };
    (1..).zip(texts).map(value).collect()
}

/// The new body of a call that policy permits, had its tokens these values.
fn inserted(call: &TestCall, texts: &[&str], most: usize) -> Result<Vec<u8>, InsertError> {
    inserted_body(call, texts, most).map(|body| body.to_vec())
}

fn inserted_body(call: &TestCall, texts: &[&str], most: usize) -> Result<Zeroizing<Vec<u8>>, InsertError> {
    let values = values(texts);
    let request = call.verify().unwrap();
    let mut operation = classify(&request, None).unwrap();
    operation.resolve(|text| values.get(text).map(|value| Arc::clone(&value.secret))).unwrap();
    let caller = identify::testing::caller(WorkloadConfig::named("builds".parse().unwrap()), NOW);
    let policies = Policies::parse([("p.cedar".into(), POLICIES.to_owned())]).unwrap();
    let facts = Facts { now: NOW, session: &SessionUsage::default(), day: &DayUsage::default() };
    let Verdict::Allow(permit) = policies.decide(&caller, operation, facts) else {
        panic!("it is permitted")
    };
    let found = Inserted::of(&permit, &request, |text| values.get(text).cloned(), most)?;
    Ok(found.unwrap().body)
}

fn lambda(body: &str) -> TestCall {
    let path = "/2015-03-31/functions/f/configuration";
    TestCall::new(Method::PUT, "lambda", "lambda.us-east-1.amazonaws.com", path)
        .header("content-type", "application/json")
        .body(body)
}

fn ssm(body: &str) -> TestCall {
    TestCall::json("ssm", "ssm.us-east-1.amazonaws.com", "AmazonSSM.PutParameter", body)
}

fn rds(body: &str) -> TestCall {
    TestCall::query("rds", "rds.us-east-1.amazonaws.com", body)
}

fn route53(body: &str) -> TestCall {
    TestCall::new(Method::POST, "route53", "route53.amazonaws.com", "/2013-04-01/hostedzone")
        .header("content-type", "application/xml")
        .body(body)
}

fn cloudwatch(body: &[u8]) -> TestCall {
    let (host, path) = (
        "monitoring.us-east-1.amazonaws.com",
        "/service/GraniteServiceVersion20100801/operation/PutDashboard",
    );
    TestCall::new(Method::POST, "monitoring", host, path)
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
        .body(body)
}

fn item(text: &str) -> Vec<u8> {
    cbor::written(text).unwrap().to_vec()
}

#[track_caller]
fn check(call: &TestCall, texts: &[&str], expected: &str) {
    assert_eq!(String::from_utf8(inserted(call, texts, MOST).unwrap()).unwrap(), expected);
}

#[test]
fn json_is_escaped_and_everything_else_stays() {
    let (one, two) = (token(1), token(2));
    let body = format!(
        r#"{{ "MemorySize":128 , "Environment":{{"Variables":{{"A":"{one}","B" : "x","C":"{two}","D":"{one}"}}}} }}"#
    );
    check(
        &lambda(&body),
        &["a\"b\\c\n\u{1}é", "plain"],
        "{ \"MemorySize\":128 , \"Environment\":{\"Variables\":{\"A\":\"a\\\"b\\\\c\\n\\u0001é\",\"B\" : \"x\",\
         \"C\":\"plain\",\"D\":\"a\\\"b\\\\c\\n\\u0001é\"}} }",
    );
    // However it is written.
    let escaped = one.replace('c', "\\u0063");
    check(&ssm(&format!(r#"{{"Name":"n","Value":"{escaped}"}}"#)), &["v"], r#"{"Name":"n","Value":"v"}"#);
    // A member that is null is none, whatever it is called.
    let body = format!(r#"{{"Environment":{{"Variables":{{"{one}":null,"A":"{one}"}}}}}}"#);
    let expected = format!(r#"{{"Environment":{{"Variables":{{"{one}":null,"A":"v"}}}}}}"#);
    check(&lambda(&body), &["v"], &expected);
}

#[test]
fn forms_are_encoded() {
    let body = format!(
        "Action=ModifyDBInstance&Version=2014-10-31&DBInstanceIdentifier=d&MasterUserPassword={}&ApplyImmediately=true",
        token(1).replace(':', "%3A")
    );
    let expected = "Action=ModifyDBInstance&Version=2014-10-31&DBInstanceIdentifier=d&MasterUserPassword=\
                    a%26b%3D%2B%20%25%3Bc%C3%A9-._~&ApplyImmediately=true";
    check(&rds(&body), &["a&b=+ %;cé-._~"], expected);
}

#[test]
fn xml_is_escaped() {
    let body = |text: &str| {
        format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><!-- {} -->\
             <Name>a.example</Name><CallerReference>{text}</CallerReference></CreateHostedZoneRequest>",
            token(1)
        )
    };
    let escaped = token(1).replace("secret", "s&#101;cret");
    for written in [token(1), escaped] {
        check(
            &route53(&body(&written)),
            &["a<b>&\"'\r\n ]]> é"],
            &body("a&lt;b&gt;&amp;\"'&#xD;\n ]]&gt; é"),
        );
    }
    // XML has no words for it.
    assert_eq!(inserted(&route53(&body(&token(1))), &["a\u{1}"], MOST), Err(InsertError::Unfaithful));
}

#[test]
fn cbor_texts_get_their_length() {
    let map = |value: &[u8]| {
        [b"\xbf".as_slice(), &item("DashboardName"), &item("n"), &item("DashboardBody"), value, b"\xff"]
            .concat()
    };
    let chunked =
        [b"\x7f".as_slice(), &item("chaperone:"), &item(&token(1)["chaperone:".len()..]), b"\xff"].concat();
    for written in [item(&token(1)), chunked] {
        for length in [0, 23, 24, 255, 256, 65_535, 65_536] {
            let value = "x".repeat(length);
            assert_eq!(inserted(&cloudwatch(&map(&written)), &[&value], MOST).unwrap(), map(&item(&value)));
        }
    }
}

#[test]
fn it_is_bounded() {
    let call = ssm(&format!(r#"{{"Name":"n","Value":"{}"}}"#, token(1)));
    let value = "\u{1}".repeat(100);
    let length = r#"{"Name":"n","Value":""}"#.len() + 600;
    assert_eq!(inserted(&call, &[&value], length).unwrap().len(), length);
    assert_eq!(inserted(&call, &[&value], length - 1), Err(InsertError::TooLong(length - 1)));
}

/// What only looks like a token takes no memory: as much is held as was taken for those that are permitted.
#[test]
fn copies_that_are_no_tokens_take_no_memory() {
    let copies = vec![format!("\"{}\"", hex::encode([1; 16])); 100].join(",");
    let call = ssm(&format!(r#"{{"Name":"n","Value":"{}","Other":[{copies}]}}"#, token(1)));
    let value = "x".repeat(10_000);
    let body = inserted_body(&call, &[&value], MOST).unwrap();
    assert!(body.capacity() < call.body.len() + value.len() + 100, "{}", body.capacity());
}

/// A value is not asked about: what it would name is decided in the clear, or not at all.
#[test]
fn a_value_names_nothing_that_was_not_decided() {
    let role = "arn:aws:iam::123456789012:role/admin";
    let names = |call: &TestCall, value: &str| inserted(call, &[value], MOST).map(drop);
    // A role in any member is passed; of a member that is called so it was said that it may be any.
    let variables = lambda(&format!(r#"{{"Environment":{{"Variables":{{"A":"{}"}}}}}}"#, token(1)));
    assert_eq!(names(&variables, role), Err(InsertError::Names));
    assert_eq!(names(&variables, "admin"), Ok(()));
    assert_eq!(names(&lambda(&format!(r#"{{"Role":"{}"}}"#, token(1))), role), Ok(()));
    // What is touched is anything while it is not known.
    assert_eq!(names(&ssm(&format!(r#"{{"Name":"{}","Value":"v"}}"#, token(1))), "a"), Ok(()));
}

proptest! {
    /// For any value, the new body says it, and nothing else than before: or there is none.
    #[test]
    fn any_value_arrives(text in any::<String>(), other in "[ -~]{0,8}") {
        let (one, two) = (token(1), token(2));
        let read = |call: &TestCall| classify(&call.verify().unwrap(), None).unwrap().params;
        let texts = [text.as_str(), other.as_str()];
        let put = |call: TestCall| Ok::<_, InsertError>(call.clone().body(inserted(&call, &texts, MOST)?));
        let own = |name: &str, params: &BTreeMap<String, Param>| params.get(name).cloned();

        let after = put(ssm(&format!(r#"{{"Name":"{two}","Value":"{one}"}}"#))).unwrap();
        prop_assert_eq!(own("Value", &read(&after)), Some(Param::Text(text.clone())));
        prop_assert_eq!(own("Name", &read(&after)), Some(Param::Text(other.clone())));

        let map = [b"\xa2".as_slice(), &item("DashboardName"), &item(&two), &item("DashboardBody"), &item(&one)];
        let after = put(cloudwatch(&map.concat())).unwrap();
        prop_assert_eq!(own("DashboardBody", &read(&after)), Some(Param::Text(text.clone())));

        let form = format!("Action=ModifyDBInstance&Version=2014-10-31&DBInstanceIdentifier=d&MasterUserPassword={one}");
        match put(rds(&form)) {
            Ok(after) => prop_assert_eq!(own("MasterUserPassword", &read(&after)), Some(Param::Text(text.clone()))),
            Err(error) => prop_assert!(text.contains('\0'), "{}", error),
        }
        let xml = format!("<CreateHostedZoneRequest><Name>n</Name><CallerReference>{one}</CallerReference></CreateHostedZoneRequest>");
        match put(route53(&xml)) {
            Ok(after) => prop_assert_eq!(own("CallerReference", &read(&after)), Some(Param::Text(text.clone()))),
            Err(error) => prop_assert_eq!(error, InsertError::Unfaithful),
        }
    }
}
