//! Every bad input with its exact error.

use http::{HeaderMap, HeaderValue, Method, Uri, Version, request::Parts};
use time::Duration;

use crate::parse::{testing::*, *};

fn dynamodb() -> TestCall {
    TestCall::json("dynamodb", "dynamodb.us-east-1.amazonaws.com", "DynamoDB_20120810.ListTables", "{}")
}

fn put_object() -> TestCall {
    TestCall::s3(Method::PUT, "bkt.s3.us-east-1.amazonaws.com", "/a/key").body("hello")
}

/// Reads `call` after `spoil` changed its signed head.
fn spoiled(call: &TestCall, spoil: impl FnOnce(&mut Parts)) -> Result<AwsRequest, ParseError> {
    let mut parts = call.sign();
    spoil(&mut parts);
    AwsRequest::read(parts, &call.sni())
}

#[track_caller]
fn check(spoil: impl FnOnce(&mut Parts), expected: impl Into<ParseError>) {
    assert_eq!(spoiled(&dynamodb(), spoil).unwrap_err(), expected.into());
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap()
}

/// Sets a header.
fn with<'a>(name: &'static str, text: &'a str) -> impl FnOnce(&mut Parts) + use<'a> {
    move |parts| drop(parts.headers.insert(name, value(text)))
}

/// Adds one more header of a name.
fn and<'a>(name: &'static str, text: &'a str) -> impl FnOnce(&mut Parts) + use<'a> {
    move |parts| {
        parts.headers.append(name, value(text));
    }
}

/// Removes a header.
fn without(name: &'static str) -> impl FnOnce(&mut Parts) {
    move |parts| drop(parts.headers.remove(name))
}

/// Replaces `from` by `to` in the Authorization header.
fn authorization(parts: &mut Parts, from: &str, to: &str) {
    let old = parts.headers.get("authorization").unwrap().to_str().unwrap().to_owned();
    assert!(old.contains(from), "{old}");
    parts.headers.insert("authorization", value(&old.replace(from, to)));
}

#[test]
fn heads_that_are_not_http_as_aws_clients_speak_it() {
    check(|parts| parts.version = Version::HTTP_10, HeadError::Version);
    check(|parts| parts.version = Version::HTTP_3, HeadError::Version);
    for method in ["CONNECT", "TRACE", "OPTIONS", "get", "PROPFIND"] {
        check(|parts| parts.method = method.parse().unwrap(), HeadError::Method(method.to_owned()));
    }
    let absolute = "https://dynamodb.us-east-1.amazonaws.com/";
    check(|parts| parts.uri = Uri::from_static(absolute), HeadError::TargetForm);
    check(|parts| parts.uri = Uri::from_static("*"), HeadError::TargetForm);
    check(
        |parts| parts.uri = Uri::from_static("dynamodb.us-east-1.amazonaws.com:443"),
        HeadError::TargetForm,
    );
    let broken = HeadError::Path("a percent-encoding is broken");
    check(|parts| parts.uri = Uri::from_static("/%2"), broken.clone());
    check(|parts| parts.uri = Uri::from_static("/%zz"), broken);
    check(|parts| parts.uri = Uri::from_static("/%ff"), HeadError::Path("it is not UTF-8"));
    check(|parts| parts.uri = Uri::from_static("/%00"), HeadError::Path("it contains a NUL"));
    let raw = HeadError::Path("it has characters that must be percent-encoded");
    check(|parts| parts.uri = Uri::from_static("/a\\b"), raw.clone());
    check(|parts| parts.uri = Uri::from_static("/a|b"), raw.clone());
    check(|parts| parts.uri = "/é".parse().unwrap(), raw);
    check(with("upgrade", "h2c"), HeadError::RefusedHeader("upgrade"));
    check(with("connection", "keep-alive, x-amz-acl"), HeadError::RefusedHeader("connection"));
    check(with("x-http-method-override", "DELETE"), HeadError::RefusedHeader("x-http-method-override"));
}

#[test]
fn hosts_that_do_not_agree() {
    check(without("host"), HeadError::NoHost);
    let mismatch =
        |host: &str, sni: &str| HeadError::HostMismatch { host: host.to_owned(), sni: sni.to_owned() };
    let sni = "dynamodb.us-east-1.amazonaws.com";
    check(with("host", "sts.amazonaws.com"), mismatch("sts.amazonaws.com", sni));
    for host in
        ["192.0.2.1", "[::1]", "user@sts.amazonaws.com", "sts.amazonaws.com.", "sts.amazonaws.com:8443", ""]
    {
        check(with("host", host), HeadError::BadHost);
    }
    check(and("host", sni), HeadError::DuplicateHeader("host".to_owned()));
    // HTTP/2: Host must agree with :authority.
    check(
        |parts| {
            parts.version = Version::HTTP_2;
            parts.uri = Uri::from_static("https://sts.amazonaws.com/");
        },
        mismatch(sni, "sts.amazonaws.com"),
    );
    check(
        |parts| {
            parts.version = Version::HTTP_2;
            parts.headers.remove("host");
            parts.uri = Uri::from_static("https://sts.amazonaws.com/");
        },
        mismatch("sts.amazonaws.com", sni),
    );
    check(
        |parts| {
            parts.version = Version::HTTP_2;
            parts.uri = Uri::from_static("http://dynamodb.us-east-1.amazonaws.com/");
        },
        HeadError::TargetForm,
    );
}

#[test]
fn headers_that_can_be_read_in_two_ways() {
    let duplicate = |name: &str| HeadError::DuplicateHeader(name.to_owned());
    for name in ["x-amz-target", "x-amz-date", "content-type", "x-amz-security-token"] {
        check(and(name, "x"), duplicate(name));
    }
    check(
        |parts| {
            parts.headers.insert("content-length", value("2"));
            parts.headers.append("content-length", value("2"));
        },
        duplicate("content-length"),
    );
    check(
        |parts| {
            parts.headers.insert("content-length", value("2"));
            parts.headers.insert("transfer-encoding", value("chunked"));
        },
        HeadError::TwoLengths,
    );
    for coding in ["gzip, chunked", "identity", "chunked, chunked", "xchunked"] {
        check(with("transfer-encoding", coding), HeadError::Framing);
    }
    for length in ["+2", "-1", "", "0x2", "99999999999999999999"] {
        check(with("content-length", length), HeadError::Framing);
    }
    let bad_value = |name: &str| HeadError::HeaderValue(name.to_owned());
    let bytes = |bytes: &'static [u8]| HeaderValue::from_bytes(bytes).unwrap();
    check(|parts| drop(parts.headers.insert("x-amz-target", bytes(b"a\xff"))), bad_value("x-amz-target"));
    check(|parts| drop(parts.headers.insert("user-agent", bytes(b"a\tb"))), bad_value("user-agent"));
}

#[test]
fn query_strings_that_can_be_read_in_two_ways() {
    let check = |query: &str, error: QueryError| {
        let expected = ParseError::Query(error);
        let error =
            spoiled(&dynamodb(), |parts| parts.uri = format!("/?{query}").parse().unwrap()).unwrap_err();
        assert_eq!(error, expected, "{query}");
    };
    check("a=b+c", QueryError::BareCharacter('+'));
    check("a=b;c=d", QueryError::BareCharacter(';'));
    check("a=é", QueryError::BareCharacter('é'));
    check("a=%", QueryError::PercentEncoding);
    check("a=%g0", QueryError::PercentEncoding);
    check("a=%ff", QueryError::NotText);
    check("a=%00", QueryError::NotText);
    check("a&&b", QueryError::EmptyPair);
    check("&a", QueryError::EmptyPair);
    check("=b", QueryError::EmptyPair);
}

#[test]
fn every_other_way_to_sign_has_its_own_refusal() {
    use AuthorizationError::*;
    check(without("authorization"), Unsigned);
    check(and("authorization", "Basic eDp5"), Duplicate);
    let presigned = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    check(|parts| parts.uri = presigned.parse().unwrap(), DoublySigned);
    check(|parts| parts.uri = "/?x-amz-security-token=t".parse().unwrap(), DoublySigned);
    check(|parts| parts.uri = "/?AWSAccessKeyId=A&Signature=B".parse().unwrap(), DoublySigned);
    let unsigned = |target: &'static str| {
        move |parts: &mut Parts| {
            parts.uri = Uri::from_static(target);
            parts.headers.remove("authorization");
        }
    };
    check(unsigned("/?x-amz-acl=private"), Unsigned);
    check(unsigned("/?AWSAccessKeyId=A&Signature=B&Expires=1"), SigV2);
    check(unsigned("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&awsaccesskeyid=A"), SigV2);
    check(unsigned("/?Signature=B"), Unsigned);
    check(|parts| parts.uri = "/?Signature=B".parse().unwrap(), DoublySigned);
    check(|parts| authorization(parts, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), SigV4a);
    for scheme in ["Bearer abc", "Basic eDp5", "AWS AKIA:c2ln", "AWS4-HMAC-SHA1 x", "", "aws4-hmac-sha256 x"]
    {
        check(with("authorization", scheme), Scheme);
    }
}

#[test]
fn authorization_headers_that_are_not_well_formed() {
    use AuthorizationError::{Date, HeaderNotSigned, Malformed, SignedHeaderMissing};
    let auth = |from: &'static str, to: &'static str| move |parts: &mut Parts| authorization(parts, from, to);
    check(auth("Credential=", "Credential"), Malformed("a field has no value"));
    check(auth("Credential=", "Kredential="), Malformed("an unknown field"));
    check(auth("SignedHeaders=", "Signature=00, SignedHeaders="), Malformed("a field is there twice"));
    check(auth(", Signature=", ", Signature"), Malformed("a field has no value"));
    check(auth("ASIAPLACEHOLDER00001/", "ASIA-/"), Malformed("the access key id is not one"));
    check(auth("/aws4_request", ""), Malformed("the credential scope is too short"));
    check(auth("/aws4_request", "/aws4_request/x"), Malformed("the credential scope is too long"));
    check(
        auth("aws4_request", "aws4_Request"),
        Malformed("the credential scope does not end in aws4_request"),
    );
    check(auth("/20250830/", "/20250831/"), Malformed("the date of the scope is not that of x-amz-date"));
    check(auth("/us-east-1/", "/US/"), Malformed("the region of the scope is not one"));
    check(auth("/dynamodb/", "//"), Malformed("the service of the scope is not one"));
    check(auth("host;", "Host;"), Malformed("a name in SignedHeaders is not one in lower case"));
    let order = Malformed("SignedHeaders is not sorted or names a header twice");
    check(auth("content-type;host", "host;content-type"), order.clone());
    check(auth("host;", "host;host;"), order);
    let signature = Malformed("the signature is not 64 lower-case hexadecimal digits");
    check(auth("Signature=", "Signature=0"), signature.clone());
    check(auth("Signature=", "Signature=Z"), signature);
    check(auth("host;", ""), HeaderNotSigned("host".to_owned()));
    check(auth(";x-amz-date", ""), HeaderNotSigned("x-amz-date".to_owned()));
    check(auth(";x-amz-target", ""), HeaderNotSigned("x-amz-target".to_owned()));
    check(with("x-amz-acl", "public-read"), HeaderNotSigned("x-amz-acl".to_owned()));
    check(auth("content-type;", "content-md5;content-type;"), SignedHeaderMissing("content-md5".to_owned()));
    check(without("x-amz-date"), Date);
    for date in ["20250830T123600", "2025-08-30T12:36Z", "20250830T1236000", "20250830t123600z"] {
        check(with("x-amz-date", date), Date);
    }
}

#[test]
fn payload_modes_that_are_refused() {
    use PayloadError::*;
    let check = |call: TestCall, expected: PayloadError| {
        assert_eq!(call.read().unwrap_err(), ParseError::Payload(expected));
    };
    let signed = |mode: &'static str| put_object().payload(mode).header("x-amz-decoded-content-length", "5");
    for mode in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        let refused = SignatureError::Payload(SignedChunks(mode.to_owned()));
        assert_eq!(signed(mode).verify().unwrap_err(), refused);
    }
    let other = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
    check(signed(other), SignedChunks(other.to_owned()));
    check(put_object().payload("STREAMING-AWS4-HMAC-SHA256-EVENTS"), EventStream);
    check(put_object().payload("unsigned-payload"), Unknown);
    check(put_object().payload(""), Unknown);
    let upper = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
    check(put_object().payload(upper), Unknown);
    check(dynamodb().payload("UNSIGNED-PAYLOAD"), MustBeSigned);
    let trailer = || put_object().payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    check(trailer(), Chunked("content-encoding is not aws-chunked"));
    check(
        trailer().header("content-encoding", "aws-chunked"),
        Chunked("x-amz-decoded-content-length is missing"),
    );
    check(
        put_object().header("content-encoding", "gzip, aws-chunked"),
        Chunked("content-encoding is aws-chunked, x-amz-content-sha256 is not"),
    );
    check(
        put_object().header("x-amz-trailer", "x-amz-checksum-crc32"),
        Chunked("x-amz-trailer without a trailer"),
    );
}

#[test]
fn hosts_outside_the_catalogue() {
    let call = TestCall::new(Method::GET, "x", "nosuch.us-east-1.amazonaws.com", "/");
    let expected = EndpointError::Unknown("nosuch.us-east-1.amazonaws.com".to_owned());
    assert_eq!(call.read().unwrap_err(), ParseError::Endpoint(expected));
}

#[test]
fn signatures_that_do_not_verify() {
    let check = |call: TestCall, expected: SignatureError| assert_eq!(call.verify().unwrap_err(), expected);
    let changed = |change: &dyn Fn(&mut TestCall)| {
        let mut call = dynamodb();
        change(&mut call);
        call
    };
    let secret = |text: &str| crate::secret::SecretText::new(text.to_owned());
    check(
        changed(&|call| call.keys.access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned()),
        SignatureError::UnknownAccessKey("AKIAIOSFODNN7EXAMPLE".to_owned()),
    );
    check(changed(&|call| call.keys.secret = secret("another")), SignatureError::Mismatch);
    check(changed(&|call| call.keys.session_token = secret("another")), SignatureError::SessionToken);
    check(changed(&|call| call.keys.session_token = secret("")), SignatureError::SessionToken);
    let skew = |sent: &str| SignatureError::Skew {
        sent: sent.to_owned(),
        now: "20250830T123600Z".to_owned(),
        max_skew_secs: 300,
    };
    check(changed(&|call| call.at = NOW + Duration::hours(1)), skew("20250830T133600Z"));
    check(changed(&|call| call.at = NOW - Duration::seconds(301)), skew("20250830T123059Z"));
    assert!(changed(&|call| call.at = NOW - Duration::seconds(300)).verify().is_ok());
    let host = "dynamodb.us-east-1.amazonaws.com".to_owned();
    check(
        changed(&|call| call.service = "sqs".to_owned()),
        SignatureError::Service { scope: "sqs".to_owned(), host: host.clone() },
    );
    check(dynamodb().region("eu-west-1"), SignatureError::Region { scope: "eu-west-1".to_owned(), host });
    let global = TestCall::s3(Method::GET, "bkt.s3.amazonaws.com", "/k");
    assert!(global.clone().region("eu-west-1").verify().is_ok());
    check(
        global.region("cn-north-1"),
        SignatureError::Region { scope: "cn-north-1".to_owned(), host: "bkt.s3.amazonaws.com".to_owned() },
    );
}

#[test]
fn a_date_that_does_not_exist_is_skew() {
    let mut parts = dynamodb().sign();
    parts.headers.insert("x-amz-date", value("20250230T123600Z"));
    authorization(&mut parts, "/20250830/", "/20250230/");
    let request = AwsRequest::read(parts, &dynamodb().sni()).unwrap();
    assert!(matches!(verify(request, b"{}"), Err(SignatureError::Skew { .. })));
}

#[test]
fn bodies_are_covered() {
    let read = |call: &TestCall| call.read().unwrap();
    let call = dynamodb();
    assert_eq!(read(&call).body_plan(), BodyPlan::Inspect);
    assert_eq!(verify(read(&call), b"{ }").unwrap_err(), SignatureError::Mismatch);
    let unread = read(&call).verify(None, &placeholder(), NOW, SKEW);
    assert_eq!(unread.unwrap_err(), SignatureError::BodyMissing);
    // With an announced hash, as the JavaScript SDK sends it.
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let announced = dynamodb().payload(hash);
    assert_eq!(read(&announced).payload(), &PayloadMode::Hash(hash.to_owned()));
    assert!(verify(read(&announced), b"{}").is_ok());
    assert_eq!(verify(read(&announced), b"{ }").unwrap_err(), SignatureError::BodyHash);
}

#[test]
fn s3_data_streams_and_keeps_its_mode() {
    let check = |call: TestCall, plan: BodyPlan, mode: &PayloadMode| {
        let request = call.read().unwrap();
        assert_eq!((request.body_plan(), request.payload()), (plan, mode));
        assert!(call.verify().is_ok());
    };
    let hash =
        PayloadMode::Hash("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".to_owned());
    check(put_object(), BodyPlan::Stream, &hash);
    check(put_object().payload("UNSIGNED-PAYLOAD"), BodyPlan::Stream, &PayloadMode::Unsigned);
    check(put_object().payload("absent"), BodyPlan::Inspect, &PayloadMode::Absent);
    let trailer = put_object()
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked")
        .header("transfer-encoding", "chunked")
        .header("x-amz-decoded-content-length", "5")
        .header("x-amz-trailer", "x-amz-checksum-crc32");
    check(trailer, BodyPlan::Stream, &PayloadMode::StreamingUnsignedTrailer);
    let delete = TestCall::s3(Method::POST, "bkt.s3.us-east-1.amazonaws.com", "/?delete").body("<Delete/>");
    assert_eq!(delete.read().unwrap().body_plan(), BodyPlan::Inspect);
}

#[test]
fn http2_has_its_host_in_the_authority() {
    let call = dynamodb();
    let mut parts = call.sign();
    parts.version = Version::HTTP_2;
    parts.headers.remove("host");
    parts.uri = Uri::from_static("https://dynamodb.us-east-1.amazonaws.com/");
    let request = AwsRequest::read(parts, &call.sni()).unwrap();
    assert!(verify(request, &call.body).is_ok());
}

#[test]
fn debug_output_carries_no_placeholder_secret() {
    let verified = dynamodb().verify().unwrap();
    assert!(!format!("{verified:?}").contains(placeholder().secret.expose()));
    assert_eq!(verified.request().headers().get_all("host").iter().count(), 1);
    let _: &HeaderMap = verified.request().headers();
}
