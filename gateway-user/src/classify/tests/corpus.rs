//! Requests that botocore's own serializers and signer made (`tests/corpus/sign_requests.py`).

use http::Request;

use super::classified_request;
use crate::{
    catalog::catalog,
    classify::ClassifyError,
    parse::{AwsRequest, testing::verify},
};

const CORPUS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/botocore.jsonl"));

#[derive(serde::Deserialize)]
struct Line {
    operation: String,
    service: String,
    method: String,
    host: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// S3 operations under a second name, and deprecated ones that share the wire with their successors.
const SAME_ON_THE_WIRE: [(&str, &str); 4] = [
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("GetBucketNotification", "GetBucketNotificationConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    ("PutBucketNotification", "PutBucketNotificationConfiguration"),
];

/// Operations of S3 that general purpose buckets do not have.
fn is_unknown_to_s3(operation: &str) -> bool {
    operation == "RenameObject"
}

#[test]
fn every_request_of_botocore_verifies_and_is_named_rightly_or_refused() {
    let (mut named, mut refused) = (0, Vec::new());
    for line in CORPUS.lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let name = format!("{}.{}", line.service, line.operation);
        let mut request =
            Request::builder().method(line.method.as_str()).uri(&line.target).header("host", &line.host);
        for (name, value) in &line.headers {
            request = request.header(name, value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let body = decode_base64(&line.body);
        let Ok(read) = AwsRequest::read(parts, &line.host.parse().unwrap()) else {
            refused.push(name);
            continue;
        };
        let verified = verify(read, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = SAME_ON_THE_WIRE.iter().find(|(old, _)| *old == line.operation).map(|(_, new)| *new);
        match classified_request(&verified) {
            Ok(operation) => {
                assert_eq!(operation.name, expected.unwrap_or(&line.operation), "{name}");
                assert!(!operation.actions.is_empty(), "{name}");
                named += 1;
            }
            Err(ClassifyError::MintsCredentials(_)) => named += 1,
            Err(ClassifyError::UnknownOperation { .. } | ClassifyError::UnknownAction(_)) => {
                refused.push(name)
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    let expected = |name: &&String| {
        let (service, operation) = name.split_once('.').unwrap();
        match service {
            "s3" => {
                is_unknown_to_s3(operation)
                    || operation == "ListDirectoryBuckets"
                    || operation == "WriteGetObjectResponse"
            }
            // These two are sent without a signature.
            "sts" => matches!(operation, "AssumeRoleWithSAML" | "AssumeRoleWithWebIdentity"),
            _ => {
                let known = catalog().service(service).unwrap().operation(operation);
                known.is_none_or(|operation| operation.needs.is_empty())
            }
        }
    };
    let surprising: Vec<&String> = refused.iter().filter(|name| !expected(name)).collect();
    assert!(surprising.is_empty(), "{surprising:?}");
    assert!(named > 150, "{named}");
}

pub(in crate::classify) fn decode_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| -> u32 {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        u32::try_from(alphabet.iter().position(|letter| *letter == byte).unwrap()).unwrap()
    };
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(digit).collect();
    digits
        .chunks(4)
        .flat_map(|group| {
            let bits = (0..4).fold(0, |bits, at| bits << 6 | group.get(at).copied().unwrap_or(0));
            bits.to_be_bytes()[1..].to_vec().into_iter().take(group.len() - 1)
        })
        .collect()
}
