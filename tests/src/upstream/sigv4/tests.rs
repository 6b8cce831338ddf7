//! The verifier against AWS's published example and against the SDKs' signer.

use http::Request;
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{Claim, Key};
use crate::{
    load::{Coverage, sign},
    upstream::{RefusalKind, answer::Refusal},
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SKEW: Duration = Duration::minutes(15);

fn key() -> Key {
    Key { id: "AKIDEXAMPLE".into(), secret: SECRET.into(), session_token: None }
}

fn verify(request: Request<()>, key: &Key, body_sha256: &str, now: OffsetDateTime) -> Result<Claim, Refusal> {
    let (head, ()) = request.into_parts();
    let claim = Claim::read(&head, now, SKEW)?;
    claim.verify(&head, key, body_sha256)?;
    Ok(claim)
}

/// The `get-vanilla-query-order-key-case` example of AWS's signature test suite.
fn published(signature: &str) -> Request<()> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    Request::get("/?Param2=value2&Param1=value1")
        .header("host", "example.amazonaws.com")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", authorization)
        .body(())
        .unwrap()
}

const PUBLISHED: &str = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_published_example_verifies() {
    let claim = verify(published(PUBLISHED), &key(), EMPTY, datetime!(2015-08-30 12:40 UTC)).unwrap();
    assert_eq!((claim.region.as_str(), claim.service.as_str()), ("us-east-1", "service"));
}

/// Signs with the SDKs' signer, lets `change` tamper with the request, and verifies.
fn check(uri: &str, service: &str, change: impl FnOnce(&mut Request<()>), expected: Option<RefusalKind>) {
    let mut request = Request::get(uri)
        .header("host", "example.eu-central-1.amazonaws.com")
        .header("x-amz-meta", "  a   b ")
        .body(())
        .unwrap();
    sign(&mut request, service, &key(), Coverage::Body(b"")).unwrap();
    change(&mut request);
    let now = gateway_user::clock::Clock::system().now();
    let outcome = verify(request, &key(), EMPTY, now);
    assert_eq!(outcome.as_ref().err().map(|refusal| refusal.kind), expected, "{uri}: {outcome:?}");
}

#[test]
fn what_the_sdks_sign_verifies() {
    for uri in [
        "/",
        "/a/b",
        "/a%20b/%C3%A9",
        "/a//b/",
        "/model/anthropic.x%3A0/invoke",
        "/?list-type=2&prefix=a%2Fb&empty=&x-id=ListObjectsV2",
        "/?b=2&a=1&a=0",
        "/?uploads",
        "/~tilde-_.",
    ] {
        check(uri, "s3", |_| {}, None);
        check(uri, "bedrock", |_| {}, None);
    }
    check("/a/../b", "s3", |_| {}, None);
    check("/a/./../b", "execute-api", |_| {}, None);
}

#[test]
fn what_was_changed_after_signing_does_not() {
    use RefusalKind::{Incomplete, MissingToken, Signature, Skewed, UnknownKey};
    let set = |name: &'static str, value: &'static str| {
        move |request: &mut Request<()>| {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    };
    let add = |name: &'static str, value: &'static str| {
        move |request: &mut Request<()>| {
            request.headers_mut().append(name, value.parse().unwrap());
        }
    };
    check("/a", "s3", |request| *request.uri_mut() = "/b".parse().unwrap(), Some(Signature));
    check("/a?x=1", "s3", |request| *request.uri_mut() = "/a?x=2".parse().unwrap(), Some(Signature));
    check("/a", "s3", |request| *request.method_mut() = http::Method::DELETE, Some(Signature));
    check("/a", "s3", set("host", "other.amazonaws.com"), Some(Signature));
    check("/a", "s3", set("x-amz-meta", "c"), Some(Signature));
    check("/a", "s3", set("x-amz-acl", "public-read"), Some(Signature));
    check("/a", "s3", set("x-amz-date", "20150830T123600Z"), Some(Incomplete));
    check("/a", "s3", set("x-amz-security-token", "foreign"), Some(Signature));
    check("/a", "s3", add("authorization", "AWS4-HMAC-SHA256 x"), Some(Incomplete));
    check("/a", "s3", add("x-amz-date", "20150830T123600Z"), Some(Incomplete));
    check("/a", "s3", set("authorization", "Bearer x"), Some(Incomplete));
    check("/a", "s3", |request| drop(request.headers_mut().remove("authorization")), Some(MissingToken));

    let refused = |request, key: &Key, now| verify(request, key, EMPTY, now).unwrap_err().kind;
    let now = datetime!(2015-08-30 12:40 UTC);
    assert_eq!(refused(published(&PUBLISHED.replace('b', "c")), &key(), now), Signature);
    assert_eq!(refused(published("zz"), &key(), now), Incomplete);
    assert_eq!(refused(published(PUBLISHED), &key(), datetime!(2015-08-30 13:36 UTC)), Skewed);
    assert_eq!(refused(published(PUBLISHED), &key(), datetime!(2015-08-30 11:36 UTC)), Skewed);
    let with_token = Key { session_token: Some("t".into()), ..key() };
    assert_eq!(refused(published(PUBLISHED), &with_token, now), UnknownKey);
}
