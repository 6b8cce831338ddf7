use proptest::prelude::*;

use super::{HOST, PATH_HOST, call, check, classified};
use crate::parse::testing::TestCall;

#[test]
fn addresses() {
    let get = |host: &str, target: &str, expected: &str| {
        check(
            &TestCall::s3(http::Method::GET, host, target),
            "GetObject",
            &[&format!("s3:GetObject {expected}")],
        );
    };
    check(&TestCall::s3(http::Method::GET, PATH_HOST, "/"), "ListBuckets", &["s3:ListAllMyBuckets *"]);
    check(
        &TestCall::s3(http::Method::GET, PATH_HOST, "/bkt"),
        "ListObjects",
        &["s3:ListBucket arn:aws:s3:::bkt"],
    );
    get(HOST, "//a//b/", "arn:aws:s3:::bkt//a//b/");
    get(HOST, "/a%20b%2Fc%2Bd%C3%A9", "arn:aws:s3:::bkt/a b/c+dé");
    get(HOST, "/a+b:c@d*", "arn:aws:s3:::bkt/a+b:c@d*");
    get(PATH_HOST, "/my.dotted.bucket/k", "arn:aws:s3:::my.dotted.bucket/k");
    get("my.dotted.bucket.s3.us-east-1.amazonaws.com", "/k", "arn:aws:s3:::my.dotted.bucket/k");
    get("bkt.s3-accelerate.amazonaws.com", "/k", "arn:aws:s3:::bkt/k");
    let access_point = "arn:aws:s3:us-east-1:123456789012:accesspoint/ap";
    let through =
        TestCall::s3(http::Method::GET, "ap-123456789012.s3-accesspoint.us-east-1.amazonaws.com", "/k");
    check(&through, "GetObject", &[&format!("s3:GetObject {access_point}/object/k"), "s3:GetObject *"]);
    let cn = TestCall::s3(http::Method::GET, "bkt.s3.cn-north-1.amazonaws.com.cn", "/k").region("cn-north-1");
    check(&cn, "GetObject", &["s3:GetObject arn:aws-cn:s3:::bkt/k"]);
}

proptest! {
    #[test]
    fn any_key_is_read_back(key in "[ -~é]{1,40}") {
        prop_assume!(!key.split('/').any(|segment| matches!(segment, "." | "..")));
        let encoded = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
        let operation = classified(&call("GET", &format!("/{encoded}"))).unwrap();
        prop_assert_eq!(&operation.actions[0].resource, &format!("arn:aws:s3:::bkt/{key}"));
    }
}
