//! Requests signed with keys that the gateway does not know.

use http::Method;
use time::Duration;

use crate::{
    parse::{testing::*, *},
    secret::SecretText,
};

fn owned(call: TestCall) -> TestCall {
    let keys = crate::identify::Placeholder {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: SecretText::new("nobody here knows it".to_owned()),
        session_token: SecretText::new(String::new()),
    };
    TestCall { keys, ..call }
}

fn dynamodb() -> TestCall {
    owned(TestCall::json(
        "dynamodb",
        "dynamodb.us-east-1.amazonaws.com",
        "DynamoDB_20120810.ListTables",
        "{}",
    ))
}

fn accept(call: &TestCall) -> Result<VerifiedRequest, SignatureError> {
    let request = call.read().unwrap();
    let body = (request.body_plan() == BodyPlan::Inspect).then(|| call.body.clone().into());
    request.verify(body, Signer::Owner, NOW, SKEW)
}

#[test]
fn all_but_the_signature_is_checked() {
    let verified = accept(&dynamodb()).unwrap();
    assert_eq!(verified.verified_by(), VerifiedBy::Owner);
    assert!(dynamodb().read().unwrap().check_claims(Signer::Owner, NOW, SKEW).is_ok());
    let late = TestCall { at: NOW - Duration::hours(1), ..dynamodb() };
    assert!(matches!(accept(&late), Err(SignatureError::Skew { .. })));
    let elsewhere = dynamodb().region("eu-west-1");
    assert!(matches!(accept(&elsewhere), Err(SignatureError::Region { .. })));
    let other = TestCall { service: "sqs".to_owned(), ..dynamodb() };
    assert!(matches!(accept(&other), Err(SignatureError::Service { .. })));
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert!(accept(&dynamodb().payload(hash)).is_ok());
    assert_eq!(accept(&dynamodb().payload(hash).body("{ }")).unwrap_err(), SignatureError::BodyHash);
}

#[test]
fn placeholders_never_leave_the_host() {
    for id in ["ASIACHAPAAAAAAAAAAAA", "ASIACHAP", "ASIACHAPX"] {
        let mut call = dynamodb();
        call.keys.access_key_id = id.to_owned();
        assert_eq!(accept(&call).unwrap_err(), SignatureError::PlaceholderKey(id.to_owned()));
    }
}

#[test]
fn signed_chunks_may_pass() {
    let mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let put = TestCall::s3(Method::PUT, "bkt.s3.us-east-1.amazonaws.com", "/k").payload(mode);
    let call = owned(put.header("x-amz-decoded-content-length", "5"));
    let verified = accept(&call).unwrap();
    assert_eq!(verified.request().body_plan(), BodyPlan::Stream);
    assert_eq!(verified.request().payload(), &PayloadMode::SignedChunks(mode.to_owned()));
}
