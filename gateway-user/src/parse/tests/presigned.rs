//! Presigned URLs, made by `aws-sigv4`.

use aws_sigv4::http_request::SessionTokenMode;
use http::{HeaderValue, Method, request::Parts};
use time::Duration;

use crate::parse::{testing::*, *};

const HOST: &str = "bkt.s3.us-east-1.amazonaws.com";
const HOUR: u64 = 3600;

fn get() -> TestCall {
    object(Method::GET, "/a%20b//c+d%2Fe?response-content-type=text%2Fplain&versionId=")
}

/// A request for an object, presigned as for S3.
fn object(method: Method, target: &str) -> TestCall {
    TestCall::s3(method, HOST, target).payload("UNSIGNED-PAYLOAD")
}

fn whoami() -> TestCall {
    let target = "/?Action=GetCallerIdentity&Version=2011-06-15";
    TestCall::new(Method::GET, "sts", "sts.us-east-1.amazonaws.com", target)
}

/// Reads a presigned `call` after its target was changed.
fn changed(call: &TestCall, change: impl FnOnce(String) -> String) -> Result<AwsRequest, ParseError> {
    let mut parts = call.presign(HOUR);
    let target = change(parts.uri.to_string());
    parts.uri = target.parse().unwrap();
    AwsRequest::read(parts, &call.sni())
}

fn read(call: &TestCall) -> AwsRequest {
    AwsRequest::read(call.presign(HOUR), &call.sni()).unwrap()
}

#[test]
fn what_is_read_is_the_request_without_its_signature() {
    let call = get().header("x-amz-request-payer", "requester").header("range", "bytes=0-9");
    let request = read(&call);
    let query: Vec<_> = request.query().pairs().collect();
    assert_eq!(query, [("response-content-type", "text/plain"), ("versionId", "")]);
    assert_eq!((request.payload(), request.body_plan()), (&PayloadMode::Unsigned, BodyPlan::Inspect));
    assert_eq!(request.path(), "/a%20b//c+d%2Fe");
    assert_eq!(request.access_key_id(), placeholder().access_key_id);
    assert!(verify(request, b"").is_ok());

    let request = read(&whoami());
    assert_eq!((request.payload(), request.body_plan()), (&PayloadMode::Absent, BodyPlan::Inspect));
    assert!(verify(request, b"").is_ok());
    assert_eq!(verify(read(&whoami()), b"Action=x").unwrap_err(), SignatureError::Mismatch);
}

#[test]
fn headers_in_the_query_string_are_headers() {
    let target =
        "/k?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-acl=public-read&x-amz-meta-a=b%20c&x-id=PutObject";
    let request = read(&object(Method::PUT, target));
    assert_eq!(request.query().pairs().collect::<Vec<_>>(), [("x-id", "PutObject")]);
    assert_eq!(request.headers().get("x-amz-acl").unwrap(), "public-read");
    assert_eq!(request.headers().get("x-amz-meta-a").unwrap(), "b c");
    let moved: Vec<_> = request.moved_headers().collect();
    assert_eq!(moved, ["x-amz-content-sha256", "x-amz-acl", "x-amz-meta-a"]);
    assert!(verify(request, b"body").is_ok());
    // With another payload, the signature is over that.
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let target = format!("/k?X-Amz-Content-Sha256={hash}");
    let call = TestCall::s3(Method::PUT, HOST, &target).body("hello");
    let request = read(&call);
    assert_eq!(request.payload(), &PayloadMode::Hash(hash.to_owned()));
    assert!(verify(request, b"hello").is_ok());
}

/// What the gateway does not sign anew must mean the same to AWS.
#[test]
fn with_keys_of_ones_own_nothing_in_the_query_string_stands_for_a_header() {
    let owned = |target: &str| {
        let request = read(&object(Method::PUT, target));
        let body = (request.body_plan() == BodyPlan::Inspect).then(Bytes::new);
        request.verify(body, Signer::Owner, NOW, SKEW).map(|verified| verified.verified_by())
    };
    for target in ["/k", "/k?x-id=PutObject", "/k?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"] {
        assert_eq!(owned(target), Ok(VerifiedBy::Owner), "{target}");
    }
    for name in ["x-amz-acl", "x-amz-copy-source", "x-amz-meta-a", "x-amz-sdk-checksum-algorithm"] {
        let refused = Err(SignatureError::HeaderInQuery(name.to_owned()));
        let target = format!("/k?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&{name}=private");
        assert_eq!(owned(&target), refused, "{target}");
        // The gateway's own signature is made of the headers.
        assert!(verify(read(&object(Method::PUT, &target)), b"").is_ok());
    }
}

#[test]
fn the_moment_of_use_counts() {
    let used = |seconds: u64, age: Duration| {
        let call = TestCall { at: NOW - age, ..get() };
        let request = AwsRequest::read(call.presign(seconds), &call.sni()).unwrap();
        verify(request, b"").map(|verified| verified.verified_by())
    };
    let second = Duration::SECOND;
    assert_eq!(used(HOUR, Duration::HOUR), Ok(VerifiedBy::Placeholder));
    let expired = |until: &str| {
        Err(SignatureError::Expired { until: until.to_owned(), now: "20250830T123600Z".to_owned() })
    };
    assert_eq!(used(HOUR, Duration::HOUR + second), expired("20250830T123559Z"));
    assert_eq!(used(1, second), Ok(VerifiedBy::Placeholder));
    assert_eq!(used(1, second * 2), expired("20250830T123559Z"));
    assert_eq!(used(604_800, Duration::DAY * 7), Ok(VerifiedBy::Placeholder));
    assert_eq!(used(604_800, Duration::DAY * 7 + second), expired("20250830T123559Z"));
    assert_eq!(used(HOUR, -SKEW), Ok(VerifiedBy::Placeholder));
    let sent = "20250830T124101Z".to_owned();
    let skew = SignatureError::Skew { sent, now: "20250830T123600Z".to_owned(), max_skew_secs: 300 };
    assert_eq!(used(HOUR, -SKEW - second), Err(skew));
}

#[test]
fn a_token_may_be_added_after_signing() {
    let parts = whoami().presign_as(HOUR, SessionTokenMode::Exclude);
    assert!(parts.uri.to_string().contains("X-Amz-Security-Token=placeholder%2Dtoken"));
    let request = AwsRequest::read(parts, &whoami().sni()).unwrap();
    assert!(verify(request, b"").is_ok());
    let request = changed(&whoami(), |target| target.replace("placeholder%2Dtoken", "other")).unwrap();
    assert_eq!(verify(request, b"").unwrap_err(), SignatureError::SessionToken);
    let missing = |target: String| {
        let kept: Vec<&str> = target.split('&').filter(|pair| !pair.contains("Security-Token")).collect();
        kept.join("&")
    };
    let request = changed(&whoami(), missing).unwrap();
    assert_eq!(verify(request, b"").unwrap_err(), SignatureError::SessionToken);
}

#[track_caller]
fn refused(call: &TestCall, change: impl FnOnce(String) -> String, parameter: &str, why: &'static str) {
    let expected = AuthorizationError::Presigned { parameter: parameter.to_owned(), why };
    assert_eq!(changed(call, change).unwrap_err(), ParseError::Authorization(expected));
}

const TWICE: &str = "it is there more than once, or in a header, too";

#[test]
fn every_parameter_is_there_once_and_well_formed() {
    let drop = |name: &'static str| {
        move |target: String| {
            let (path, query) = target.split_once('?').unwrap();
            let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(name)).collect();
            format!("{path}?{}", kept.join("&"))
        }
    };
    let names = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"];
    for name in names.map(|name| format!("X-Amz-{name}")) {
        refused(&get(), drop(name.clone().leak()), &name, "it is missing");
        refused(&get(), |target| format!("{target}&{name}=x"), &name, TWICE);
        let lower = name.to_lowercase();
        refused(
            &get(),
            |target| target.replace(&format!("{name}="), &format!("{lower}=")),
            &lower,
            "it is not written as AWS writes it",
        );
    }
    let expires = "it is not a number from 1 to 604800";
    for bad in ["0", "604801", "-1", "%2B60", "060", "", "1.5", "99999999999999999999", "3600s"] {
        let bad = format!("X-Amz-Expires={bad}");
        refused(&get(), |target| target.replace("X-Amz-Expires=3600", &bad), "X-Amz-Expires", expires);
    }
    let other = |from: &'static str, to: &'static str, expected: AuthorizationError| {
        let error = changed(&get(), |target| target.replace(from, to)).unwrap_err();
        assert_eq!(error, ParseError::Authorization(expected));
    };
    other("AWS4%2DHMAC%2DSHA256", "AWS4-ECDSA-P256-SHA256", AuthorizationError::SigV4a);
    other("AWS4%2DHMAC%2DSHA256", "AWS4-HMAC-SHA1", AuthorizationError::Scheme);
    other("X-Amz-Date=2025", "X-Amz-Date=25", AuthorizationError::Date);
    let date = "the date of the scope is not that of x-amz-date";
    other("X-Amz-Date=2025", "X-Amz-Date=2024", AuthorizationError::Malformed(date));
    other("SignedHeaders=host", "SignedHeaders=", {
        AuthorizationError::Malformed("a name in SignedHeaders is not one in lower case")
    });
    other("SignedHeaders=host", "SignedHeaders=range", {
        AuthorizationError::SignedHeaderMissing("range".to_owned())
    });
    let call = get().header("range", "bytes=0-9");
    let unsigned = changed(&call, |target| target.replace("host%3Brange", "range"));
    let host = AuthorizationError::HeaderNotSigned("host".to_owned());
    assert_eq!(unsigned.unwrap_err(), ParseError::Authorization(host));
}

#[test]
fn what_is_not_known_is_refused() {
    let with = |parameter: &'static str| move |target: String| format!("{target}&{parameter}");
    let no_header = "its value cannot stand in a header";
    for value in ["", "%20a", "a%20", "%C3%A9", "a%0Ab"] {
        let parameter = format!("x-amz-meta-a={value}");
        refused(&get(), |target| format!("{target}&{parameter}"), "x-amz-meta-a", no_header);
    }
    refused(&get(), with("x-amz-meta-a=1&X-Amz-Meta-A=2"), "X-Amz-Meta-A", TWICE);
    refused(&get(), with("x-amz-%20=1"), "x-amz- ", "it is no name of a header");
    refused(
        &get(),
        with("X-Amz-S3session-Token=t"),
        "X-Amz-S3session-Token",
        "this host has no such sessions",
    );
    refused(&whoami(), with("x-amz-target=x"), "x-amz-target", "it is not known");
    refused(
        &whoami(),
        with("X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"),
        "X-Amz-Content-Sha256",
        "it is not known",
    );
    let error = changed(&get(), with("X-Amz-Region-Set=*")).unwrap_err();
    assert_eq!(error, ParseError::Authorization(AuthorizationError::SigV4a));
    let error = changed(&get(), with("AWSAccessKeyId=x")).unwrap_err();
    assert_eq!(error, ParseError::Authorization(AuthorizationError::SigV2));
}

#[test]
fn what_is_in_a_header_is_not_in_the_query_string() {
    let check = |name: &'static str, text: &str, expected: AuthorizationError| {
        let call = object(Method::PUT, "/k?x-amz-acl=private");
        let mut parts: Parts = call.presign(HOUR);
        parts.headers.insert(name, HeaderValue::from_str(text).unwrap());
        let error = AwsRequest::read(parts, &call.sni()).unwrap_err();
        assert_eq!(error, ParseError::Authorization(expected), "{name}");
    };
    let twice =
        |parameter: &str| AuthorizationError::Presigned { parameter: parameter.to_owned(), why: TWICE };
    check("x-amz-acl", "public-read", twice("x-amz-acl"));
    check("x-amz-date", "20250830T123600Z", twice("X-Amz-Date"));
    check("x-amz-security-token", "placeholder-token", twice("X-Amz-Security-Token"));
    check("x-amz-signature", "0", twice("X-Amz-Signature"));
    check("authorization", "AWS4-HMAC-SHA256 x", AuthorizationError::DoublySigned);
    for name in ["x-amz-storage-class", "x-amz-content-sha256"] {
        check(name, "x", AuthorizationError::HeaderNotSigned(name.to_owned()));
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html>
#[test]
fn sessions_of_directory_buckets_have_a_token_of_their_own() {
    let host = "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
    let call = |token: &str| {
        let mut call =
            TestCall::new(Method::GET, "s3express", host, "/k").header("x-amz-s3session-token", token);
        call.keys.session_token = crate::secret::SecretText::new(String::new());
        call
    };
    let token = placeholder().session_token.expose().to_owned();
    let request = call(&token).read().unwrap();
    assert_eq!(request.token_place(), Token::S3Session);
    assert!(verify(request, b"").is_ok());
    assert_eq!(verify(call("other").read().unwrap(), b"").unwrap_err(), SignatureError::SessionToken);
    // Beside the usual token it is none, and elsewhere it never is.
    let both = TestCall { keys: placeholder(), ..call(&token) }.read().unwrap();
    assert_eq!(both.token_place(), Token::Security);
    let elsewhere = TestCall { host: HOST.to_owned(), service: "s3".to_owned(), ..call(&token) };
    assert_eq!(verify(elsewhere.read().unwrap(), b"").unwrap_err(), SignatureError::SessionToken);
    let unsigned = |parts: &mut Parts| {
        let text = parts.headers.get("authorization").unwrap().to_str().unwrap();
        let text = text.replace(";x-amz-s3session-token", "");
        parts.headers.insert("authorization", HeaderValue::from_str(&text).unwrap());
    };
    let mut parts = call(&token).sign();
    unsigned(&mut parts);
    let expected = AuthorizationError::HeaderNotSigned("x-amz-s3session-token".to_owned());
    assert_eq!(
        AwsRequest::read(parts, &call(&token).sni()).unwrap_err(),
        ParseError::Authorization(expected)
    );
}

/// As the JavaScript SDK's signer (`@smithy/signature-v4` 5.7.5) presigns: what S3 takes from the query string is
/// there, what it does not take is left as a signed header.
const BY_JAVASCRIPT: &str = "/a%20b/c%2Bd?x-id=PutObject&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-acl=private\
    &x-amz-meta-note=a%20b&x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-crc32=AAAAAA%3D%3D\
    &X-Amz-Security-Token=placeholder-token&X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=ASIAPLACEHOLDER00001%2F20250830%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20250830T123600Z\
    &X-Amz-Expires=900&X-Amz-SignedHeaders=host%3Bx-amz-server-side-encryption\
    &X-Amz-Signature=f348e97b922a787b798c734e5ca121a17a5ac8cffc37f5b5907c956f242a2350";

#[test]
fn urls_of_the_javascript_sdk_are_verified() {
    let read = |target: &str| {
        let request = http::Request::builder()
            .method(Method::PUT)
            .uri(target)
            .header("host", HOST)
            .header("content-type", "text/plain")
            .header("x-amz-server-side-encryption", "AES256");
        AwsRequest::read(request.body(()).unwrap().into_parts().0, &HOST.parse().unwrap()).unwrap()
    };
    let request = read(BY_JAVASCRIPT);
    assert_eq!(request.body_plan(), BodyPlan::Stream);
    assert_eq!(request.moved_headers().count(), 5);
    assert_eq!(request.headers().get("x-amz-server-side-encryption").unwrap(), "AES256");
    assert!(verify(request, b"anything").is_ok());
    let other = read(&BY_JAVASCRIPT.replace("x-amz-acl=private", "x-amz-acl=public-read"));
    assert_eq!(verify(other, b"anything").unwrap_err(), SignatureError::Mismatch);
}
