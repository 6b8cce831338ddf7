use std::collections::BTreeMap;

use http::{Method, Version};
use proptest::prelude::*;

use super::*;
use crate::{
    classify::{ActionOn, Operation},
    identify::Placeholder,
    parse::{AwsRequest, BodyPlan, RequestDigest, testing::*},
    secret::SecretText,
};

fn keys() -> Keys {
    Keys {
        access_key_id: "ASIAGATEWAY000000001".to_owned(),
        secret: SecretText::new("gateway-secret".to_owned()),
        session_token: Some(SecretText::new("gateway-token".to_owned())),
        expires: None,
    }
}

/// The gateway's keys in the form that `verify` takes, to act as AWS.
fn keys_as_placeholder() -> Placeholder {
    Placeholder {
        access_key_id: keys().access_key_id,
        secret: keys().secret,
        session_token: keys().session_token.unwrap(),
    }
}

fn permit(digest: RequestDigest) -> Permit {
    let operation = Operation {
        service: "s3".to_owned(),
        name: "PutObject".to_owned(),
        region: "us-east-1".parse().unwrap(),
        account: None,
        actions: vec![ActionOn { action: "s3:PutObject".to_owned(), resource: "*".to_owned() }],
        params: BTreeMap::new(),
        unread: Default::default(),
        keys: None,
        withheld: Vec::new(),
        tokens: Vec::new(),
        model: Default::default(),
        digest,
    };
    Permit::for_tests(operation, Vec::new())
}

fn session() -> SessionId {
    "s-0190a0a0a0a07a0a8a0a0a0a0a0a0a0a".parse().unwrap()
}

fn signed(call: &TestCall) -> http::Request<Body> {
    let request = call.verify().unwrap();
    let stream = request.body().is_none().then(|| body::full(call.body.clone()));
    let digest = request.digest();
    sign(permit(digest), request, None, stream, &keys(), session(), NOW).unwrap().into_http()
}

/// Verifies an outgoing request as AWS does, with our own verifier and the gateway's keys.
fn accepted_by_aws(call: &TestCall) -> Parts {
    let (parts, _) = signed(call).into_parts();
    let mut received = parts.clone();
    // As an HTTP/2 client would send it.
    received.version = Version::HTTP_2;
    let request = AwsRequest::read(received, &call.sni()).unwrap();
    let body = (request.body_plan() == BodyPlan::Inspect).then(|| call.body.clone().into());
    request.verify(body, &keys_as_placeholder(), NOW, SKEW).unwrap();
    parts
}

fn put_object() -> TestCall {
    TestCall::s3(Method::PUT, "bkt.s3.us-east-1.amazonaws.com", "/a%20b//c%2Fd?x-id=PutObject").body("hello")
}

#[test]
fn every_payload_mode_is_re_signed_as_it_came() {
    let check = |call: TestCall, mode: Option<&str>| {
        let parts = accepted_by_aws(&call);
        let sent = parts.headers.get("x-amz-content-sha256").map(|value| value.to_str().unwrap());
        assert_eq!(sent, mode);
    };
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    check(put_object(), Some(hash));
    check(put_object().payload("absent"), Some(hash));
    check(put_object().payload("UNSIGNED-PAYLOAD"), Some("UNSIGNED-PAYLOAD"));
    for (service, host) in [
        ("s3express", "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com"),
        ("s3-outposts", "ap-123456789012.op-01.s3-outposts.us-east-1.amazonaws.com"),
        ("s3-object-lambda", "ol-123456789012.s3-object-lambda.us-east-1.amazonaws.com"),
        ("mediastore", "a1b2c3d4.data.mediastore.us-east-1.amazonaws.com"),
    ] {
        let put = TestCall { host: host.to_owned(), service: service.to_owned(), ..put_object() };
        check(put.payload("UNSIGNED-PAYLOAD"), Some("UNSIGNED-PAYLOAD"));
    }
    let trailer = put_object()
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked")
        .header("transfer-encoding", "chunked")
        .header("expect", "100-continue")
        .header("x-amz-decoded-content-length", "5")
        .header("x-amz-trailer", "x-amz-checksum-crc32");
    check(trailer.clone(), Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
    let parts = accepted_by_aws(&trailer);
    for (name, kept) in [
        ("content-encoding", true),
        ("x-amz-decoded-content-length", true),
        ("x-amz-trailer", true),
        ("transfer-encoding", false),
        ("expect", false),
    ] {
        assert_eq!(parts.headers.contains_key(name), kept, "{name}");
    }
    let json = TestCall::json("kms", "kms.us-east-1.amazonaws.com", "TrentService.ListKeys", "{}");
    check(json.clone(), None);
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    check(json.payload(hash), Some(hash));
}

#[test]
fn nothing_of_the_agents_signature_or_connection_is_left() {
    let call = put_object()
        .header("connection", "keep-alive")
        .header("te", "trailers")
        .header("date", "Sat, 30 Aug 2025 12:36:00 GMT")
        .header("content-length", "5")
        .header("x-amz-meta-note", "kept");
    let parts = accepted_by_aws(&call);
    for name in ["connection", "te", "date", "host"] {
        assert!(!parts.headers.contains_key(name), "{name}");
    }
    assert_eq!(parts.headers.get("x-amz-security-token").unwrap(), "gateway-token");
    assert!(parts.headers.get("x-amz-security-token").unwrap().is_sensitive());
    assert_eq!(parts.headers.get("x-amz-meta-note").unwrap(), "kept");
    assert_eq!(parts.headers.get("content-length").unwrap(), "5");
    let everything = format!("{parts:?}");
    assert!(!everything.contains("PLACEHOLDER"), "{everything}");
    assert_eq!(parts.headers.get_all("authorization").iter().count(), 1);
}

#[test]
fn the_agents_token_does_not_go_out_with_keys_that_have_none() {
    let request = put_object().verify().unwrap();
    let digest = request.digest();
    let keys = Keys { session_token: None, ..keys() };
    let signed =
        sign(permit(digest), request, None, Some(body::full("hello")), &keys, session(), NOW).unwrap();
    assert!(!signed.into_http().headers().contains_key("x-amz-security-token"));
}

#[test]
fn the_target_is_untouched_and_the_session_is_named() {
    let parts = accepted_by_aws(&put_object());
    assert_eq!(parts.uri, "https://bkt.s3.us-east-1.amazonaws.com/a%20b//c%2Fd?x-id=PutObject");
    let agent = parts.headers.get("user-agent").unwrap().to_str().unwrap();
    assert_eq!(agent, format!("test/1 chaperone/{}", session()));
    let authorization = parts.headers.get("authorization").unwrap().to_str().unwrap();
    assert!(!authorization.contains("user-agent"), "{authorization}");
}

#[test]
fn no_other_session_is_named() {
    let other = "s-0190b0b0b0b07b0b8b0b0b0b0b0b0b0b";
    let check = |name: &str, sent: &str, expected: &str| {
        let call = TestCall::new(Method::GET, "s3", "bkt.s3.us-east-1.amazonaws.com", "/k");
        let parts = accepted_by_aws(&call.header(name, sent));
        // The call has a user agent of its own already.
        let (first, ours) = match name {
            "user-agent" => ("test/1", format!("chaperone/{}", session())),
            _ => ("", String::new()),
        };
        let expected: Vec<&str> =
            [first, expected, &ours].into_iter().filter(|part| !part.is_empty()).collect();
        assert_eq!(parts.headers.get(name).unwrap(), expected.join(" ").as_str(), "{sent}");
    };
    for name in ["user-agent", "x-amz-user-agent"] {
        check(name, &format!("me/1 chaperone/{other} x"), "me/1 x");
        check(name, &format!("me/1 (CHAPERONE/{other}) xchaperone/s-"), "me/1");
        check(name, &format!("chapechaperone/rone/{other} chape chaperone/s- rone/s-"), "chape rone/s-");
    }
    check("x-amz-user-agent", "aws-chaperone  Chaperone (x)", "aws-chaperone  Chaperone (x)");
    check("user-agent", &format!("chaperone/{other}"), "");
}

#[test]
fn signing_uses_the_time_of_release() {
    let request = put_object().verify().unwrap();
    let digest = request.digest();
    let later = NOW + time::Duration::minutes(50);
    let signed = sign(permit(digest), request, None, Some(body::full("hello")), &keys(), session(), later)
        .unwrap()
        .into_http();
    assert_eq!(signed.headers().get("x-amz-date").unwrap(), "20250830T132600Z");
}

#[test]
fn a_permit_for_another_request_is_refused() {
    let request = put_object().verify().unwrap();
    let other = permit(TestCall { target: "/other".to_owned(), ..put_object() }.verify().unwrap().digest());
    let error = sign(other, request, None, Some(body::empty()), &keys(), session(), NOW).unwrap_err();
    assert!(matches!(error, SignError::PermitMismatch));
}

#[test]
fn a_body_is_inspected_or_streamed_never_both_or_neither() {
    let check = |call: TestCall, stream: Option<Body>| {
        let request = call.verify().unwrap();
        let digest = request.digest();
        let error = sign(permit(digest), request, None, stream, &keys(), session(), NOW).unwrap_err();
        assert!(matches!(error, SignError::Body));
    };
    check(put_object(), None);
    check(put_object().payload("absent"), Some(body::empty()));
}

/// A presigned call as it leaves the host, after AWS has accepted it.
fn presigned(call: &TestCall) -> Parts {
    let read = || AwsRequest::read(call.presign(60), &call.sni()).unwrap();
    let request = verify(read(), &call.body).unwrap();
    let stream = request.body().is_none().then(|| body::full(call.body.clone()));
    let digest = request.digest();
    let (parts, _) = sign(permit(digest), request, None, stream, &keys(), session(), NOW)
        .unwrap()
        .into_http()
        .into_parts();
    let mut received = parts.clone();
    received.version = Version::HTTP_2;
    let received = AwsRequest::read(received, &call.sni()).unwrap();
    let body = (received.body_plan() == BodyPlan::Inspect).then(|| call.body.clone().into());
    received.verify(body, &keys_as_placeholder(), NOW, SKEW).unwrap();
    assert!(!format!("{parts:?}").contains("PLACEHOLDER"), "{parts:?}");
    parts
}

#[test]
fn a_presigned_request_is_signed_in_the_header_and_means_the_same() {
    let host = "bkt.s3.us-east-1.amazonaws.com";
    let s3 = |method, target: &str| TestCall::s3(method, host, target).payload("UNSIGNED-PAYLOAD");
    let parts = presigned(&s3(
        Method::GET,
        "/a%20b//c+d%2Fe?response-content-disposition=attachment%3B%20filename%3Da&uploads",
    ));
    let target = "/a%20b//c+d%2Fe?response-content-disposition=attachment%3B%20filename%3Da&uploads";
    assert_eq!(parts.uri.to_string(), format!("https://{host}{target}"));
    assert_eq!(parts.headers.get("x-amz-content-sha256").unwrap(), "UNSIGNED-PAYLOAD");
    let put = s3(Method::PUT, "/k?x-amz-acl=private&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-meta-a=b");
    let parts = presigned(&put.header("content-type", "text/plain").body("hello"));
    assert_eq!(parts.uri.to_string(), format!("https://{host}/k"));
    for (name, value) in [("x-amz-acl", "private"), ("x-amz-meta-a", "b"), ("content-type", "text/plain")] {
        assert_eq!(parts.headers.get(name).unwrap(), value);
    }
    let target = "/?Action=GetCallerIdentity&Version=2011-06-15";
    let parts = presigned(&TestCall::new(Method::GET, "sts", "sts.us-east-1.amazonaws.com", target));
    assert_eq!(parts.uri.to_string(), format!("https://sts.us-east-1.amazonaws.com{target}"));
    assert!(!parts.headers.contains_key("x-amz-content-sha256"));
}

#[test]
fn a_session_of_a_directory_bucket_is_replaced_by_the_gateways() {
    let host = "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
    let mut call = TestCall::new(Method::GET, "s3express", host, "/k")
        .header("x-amz-s3session-token", placeholder().session_token.expose());
    call.keys.session_token = SecretText::new(String::new());
    let parts = accepted_by_aws(&call);
    assert_eq!(parts.headers.get("x-amz-s3session-token").unwrap(), "gateway-token");
    assert!(!parts.headers.contains_key("x-amz-security-token"));
    let authorization = parts.headers.get("authorization").unwrap().to_str().unwrap();
    assert!(authorization.contains(";x-amz-s3session-token"), "{authorization}");
}

/// A request signed with the agent's own keys.
fn owned(parts: Parts, call: &TestCall) -> VerifiedRequest {
    let request = AwsRequest::read(parts, &call.sni()).unwrap();
    let body = (request.body_plan() == BodyPlan::Inspect).then(|| call.body.clone().into());
    request.verify(body, crate::parse::Signer::Owner, NOW, SKEW).unwrap()
}

fn as_received(parts: Parts, call: &TestCall) -> Parts {
    let request = owned(parts, call);
    let stream = request.body().is_none().then(|| body::full(call.body.clone()));
    let digest = request.digest();
    SignedRequest::as_received(permit(digest), request, stream).unwrap().into_http().into_parts().0
}

#[test]
fn a_request_of_its_owner_stays_as_it_is() {
    let call = put_object()
        .header("connection", "keep-alive")
        .header("te", "trailers")
        .header("transfer-encoding", "chunked");
    // The signer leaves `transfer-encoding` out, and signs the other two.
    let received = call.sign();
    let parts = as_received(received.clone(), &call);
    assert_eq!(parts.uri, "https://bkt.s3.us-east-1.amazonaws.com/a%20b//c%2Fd?x-id=PutObject");
    let mut named = received.clone();
    named.headers.insert("user-agent", "me/1 chaperone/s-0190b0b0b0b07b0b8b0b0b0b0b0b0b0b".parse().unwrap());
    assert_eq!(as_received(named, &call).headers.get("user-agent").unwrap(), "me/1");
    let mut expected = received.headers;
    for name in ["host", "transfer-encoding"] {
        expected.remove(name);
    }
    // It is not signed, and in a compressed answer nothing could be hidden.
    expected.insert("accept-encoding", "identity".parse().unwrap());
    assert_eq!(parts.headers, expected);
    assert_eq!(parts.headers.get("user-agent").unwrap(), "test/1");

    // A host with its port is what was signed.
    let mut received = put_object().sign();
    received.headers.insert("host", "bkt.s3.us-east-1.amazonaws.com:443".parse().unwrap());
    let parts = as_received(received, &put_object());
    assert_eq!(parts.headers.get("host").unwrap(), "bkt.s3.us-east-1.amazonaws.com:443");

    // A presigned URL keeps its signature.
    let call = put_object().payload("UNSIGNED-PAYLOAD");
    let received = call.presign(60);
    let parts = as_received(received.clone(), &call);
    assert_eq!(parts.uri.path_and_query(), received.uri.path_and_query());
    assert!(!parts.headers.contains_key("x-amz-security-token"));
}

#[test]
fn who_signed_decides_how_it_leaves() {
    let call = put_object();
    let request = owned(call.sign(), &call);
    let digest = request.digest();
    let error =
        sign(permit(digest), request, None, Some(body::empty()), &keys(), session(), NOW).unwrap_err();
    assert!(matches!(error, SignError::ByOwner));
    let request = call.verify().unwrap();
    let digest = request.digest();
    let error = SignedRequest::as_received(permit(digest), request, Some(body::empty())).unwrap_err();
    assert!(matches!(error, SignError::NotByOwner));
    let other = permit(TestCall { target: "/other".to_owned(), ..put_object() }.verify().unwrap().digest());
    let error = SignedRequest::as_received(other, owned(call.sign(), &call), None).unwrap_err();
    assert!(matches!(error, SignError::PermitMismatch));
}

proptest! {
    #[test]
    fn every_target_survives(path in "(/[a-zA-Z0-9:@.+*~_-]{0,6}(%20|%2F|%C3%A9)?){1,4}", query in "([a-z]{1,4}=(%2B|%20|[a-z0-9])*&){0,3}", s3 in any::<bool>()) {
        let target = format!("{path}?{}", query.trim_end_matches('&'));
        let call = if s3 {
            TestCall::s3(Method::GET, "bkt.s3.us-east-1.amazonaws.com", &target)
        } else {
            TestCall::new(Method::GET, "sts", "sts.us-east-1.amazonaws.com", &target)
        };
        let parts = accepted_by_aws(&call);
        prop_assert_eq!(parts.uri.path_and_query().unwrap().as_str(), target);
    }
}

/// What the doctest of [`SignedRequest`] must not write compiles here, where its fields are to be seen: privacy alone forbids it.
#[test]
fn only_privacy_forbids_to_forge_a_signed_request() {
    let _forge = |parts, body, host| SignedRequest { parts, body, host };
}
