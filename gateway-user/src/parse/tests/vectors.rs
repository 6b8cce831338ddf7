//! Signatures that AWS has published.

use http::{Method, Request};

use crate::{identify::Placeholder, parse::AwsRequest, secret::SecretText};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Vector {
    method: Method,
    host: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    credential: &'static str,
    signed_headers: &'static str,
    secret: &'static str,
    payload: &'static str,
    canonical_hash: Option<&'static str>,
    signature: &'static str,
}

fn check(vector: &Vector) {
    let mut request =
        Request::builder().method(vector.method.clone()).uri(vector.target).header("host", vector.host);
    for (name, value) in vector.headers {
        request = request.header(*name, *value);
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/aws4_request, SignedHeaders={}, Signature={}",
        vector.credential, vector.signed_headers, vector.signature,
    );
    let parts = request.header("authorization", authorization).body(()).unwrap().into_parts().0;
    let request = AwsRequest::read(parts, &vector.host.parse().unwrap()).unwrap();
    let keys = Placeholder {
        access_key_id: String::new(),
        secret: SecretText::new(vector.secret.to_owned()),
        session_token: SecretText::new(String::new()),
    };
    let canonical = request.canonical_request(vector.payload, true);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    if let Some(expected) = vector.canonical_hash {
        assert_eq!(hex::encode(hash), expected, "{canonical}");
    }
    let signature = request.signature_with(&keys, hash.as_ref());
    assert_eq!(hex::encode(signature), vector.signature, "{canonical}");
}

/// "Create a signed AWS API request" of the IAM User Guide.
#[test]
fn iam_list_users() {
    check(&Vector {
        method: Method::GET,
        host: "iam.amazonaws.com",
        target: "/?Action=ListUsers&Version=2010-05-08",
        headers: &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-amz-date", "20150830T123600Z"),
        ],
        credential: "AKIDEXAMPLE/20150830/us-east-1/iam",
        signed_headers: "content-type;host;x-amz-date",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        payload: EMPTY,
        canonical_hash: Some("f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"),
        signature: "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    });
}

/// "Signature Calculations for the Authorization Header" of the S3 API Reference.
#[test]
fn s3_examples() {
    let get = Vector {
        method: Method::GET,
        host: "examplebucket.s3.amazonaws.com",
        target: "/test.txt",
        headers: &[
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
        ],
        credential: "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3",
        signed_headers: "host;range;x-amz-content-sha256;x-amz-date",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        payload: EMPTY,
        canonical_hash: Some("7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"),
        signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    };
    check(&get);
    let put_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    check(&Vector {
        method: Method::PUT,
        target: "/test%24file.text",
        headers: &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
        signed_headers: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        payload: put_hash,
        canonical_hash: None,
        signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ..get
    });
    let headers = &[("x-amz-content-sha256", EMPTY), ("x-amz-date", "20130524T000000Z")];
    let signed_headers = "host;x-amz-content-sha256;x-amz-date";
    check(&Vector {
        target: "/?lifecycle",
        headers,
        signed_headers,
        canonical_hash: None,
        signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        method: Method::GET,
        ..get
    });
    check(&Vector {
        target: "/?max-keys=2&prefix=J",
        headers,
        signed_headers,
        canonical_hash: None,
        signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        method: Method::GET,
        ..get
    });
}
