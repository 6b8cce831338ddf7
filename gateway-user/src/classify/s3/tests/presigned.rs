//! Calls that are signed with more than a header and its keys: presigned URLs, sessions of directory buckets.

use super::{
    beyond::{known, other},
    call,
};
use crate::{
    classify::{ClassifyError, classify},
    parse::{AwsRequest, testing::verify},
};

#[test]
fn sessions_of_directory_buckets_are_understood() {
    let host = "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
    let token = crate::parse::testing::placeholder().session_token;
    let mut call = other("s3express", "GET", host, "/k").header("x-amz-s3session-token", token.expose());
    call.keys.session_token = crate::secret::SecretText::new(String::new());
    assert_eq!(known(&call), Ok(vec!["s3express:CreateSession *".to_owned()]));
}

/// A presigned call as `serve` reads it.
fn presigned(method: &str, target: &str) -> Result<Vec<String>, ClassifyError> {
    let call = call(method, target).payload("UNSIGNED-PAYLOAD");
    let request = AwsRequest::read(call.presign(60), &call.sni()).unwrap();
    let operation = classify(&verify(request, b"").unwrap(), None)?;
    let actions = operation.actions.iter().map(|on| format!("{} {}", on.action, on.resource));
    Ok(std::iter::once(operation.name.clone()).chain(actions).collect())
}

#[test]
fn headers_in_the_query_string_of_a_presigned_url_count_as_headers() {
    let check = |method: &str, target: &str, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(presigned(method, target), Ok(expected), "{target}");
    };
    let object = "arn:aws:s3:::bkt/k";
    let on = |action: &str| format!("s3:{action} {object}");
    check("GET", "/k", &["GetObject", &on("GetObject")]);
    check("GET", "/k?x-amz-checksum-mode=ENABLED&x-id=GetObject", &["GetObject", &on("GetObject")]);
    check("GET", "/k?versionId=v", &["GetObject", &on("GetObjectVersion")]);
    let whole = "/k?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-sdk-checksum-algorithm=CRC32\
                 &x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Meta-A=b&x-amz-acl=private&x-amz-tagging=a%3Db";
    check("PUT", whole, &["PutObject", &on("PutObject"), &on("PutObjectAcl"), &on("PutObjectTagging")]);
    let source = "s3:GetObject arn:aws:s3:::src/a";
    check("PUT", "/k?x-amz-copy-source=src%2Fa", &["CopyObject", source, &on("PutObject")]);
    for (method, target, header, operation) in [
        ("GET", "/k?x-amz-acl=private", "x-amz-acl", "GetObject"),
        ("PUT", "/k?x-amz-decoded-content-length=5", "x-amz-decoded-content-length", "PutObject"),
        ("PUT", "/k?x-amz-unheard-of=1", "x-amz-unheard-of", "PutObject"),
        ("PUT", "/k?x-amz-user-agent=1", "x-amz-user-agent", "PutObject"),
    ] {
        let why = format!("the query parameter {header:?} is no header of {operation}");
        assert_eq!(presigned(method, target), Err(ClassifyError::Ambiguous(why)));
    }
    // A name that is a header of the operation, but no `x-amz-`, stays what it is: nothing that is known.
    assert!(matches!(presigned("PUT", "/k?content-type=a"), Err(ClassifyError::UnknownOperation { .. })));
}
