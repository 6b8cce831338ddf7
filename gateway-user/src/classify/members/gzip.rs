//! Compressed requests.
//!
//! <https://smithy.io/2.0/spec/behavior-traits.html#requestcompression-trait>

use std::io::Read as _;

use super::bad_body;
use crate::classify::ClassifyError;

/// Bytes of a body once it is plain: CloudWatch takes 1 MB.
const MAX_PLAIN: u64 = 4 << 20;

/// Whether the model lets SDKs compress this operation's body: the one in all of botocore 1.44.5. The
/// service is the signature's, which has been verified.
pub(super) fn is_supported(operation: &str, signing_name: &str) -> bool {
    (signing_name, operation) == ("monitoring", "PutMetricData")
}

/// The bytes of exactly one gzip member with nothing after it: of several, some readers see only the
/// first.
pub(super) fn inflate(body: &[u8]) -> Result<Vec<u8>, ClassifyError> {
    let mut decoder = flate2::bufread::GzDecoder::new(body);
    let mut plain = Vec::new();
    let length = decoder.by_ref().take(MAX_PLAIN + 1).read_to_end(&mut plain);
    match length {
        Err(_) => Err(bad_body("it is not gzip")),
        Ok(length) if length as u64 > MAX_PLAIN => {
            Err(bad_body(format!("it has more than {MAX_PLAIN} bytes when it is unpacked")))
        }
        Ok(_) if !decoder.into_inner().is_empty() => Err(bad_body("trailing bytes after the gzip member")),
        Ok(_) => Ok(plain),
    }
}
