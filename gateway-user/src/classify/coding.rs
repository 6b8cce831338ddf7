//! Content coding: a body as its readers must see it.
//!
//! RFC 9110 section 8.4; <https://smithy.io/2.0/spec/behavior-traits.html#requestcompression-trait>

use std::{borrow::Cow, io::Read as _};

use http::header::CONTENT_ENCODING;

use super::ClassifyError;
use crate::parse::{AwsRequest, PayloadMode};

/// Bytes of a body once it is plain: CloudWatch takes 1 MB.
const MAX_PLAIN: u64 = 4 << 20;

/// Whose body SDKs may compress, by the models: signing name and operation, all of botocore 1.44.5.
const PACKED: [(&str, &str); 1] = [("monitoring", "PutMetricData")];

/// The body of a request whose operation is named in it. Whether that one may be compressed is for
/// [`of_operation`] to say, which sees every body that is read.
pub(super) fn of_service<'b>(head: &AwsRequest, body: &'b [u8]) -> Result<Cow<'b, [u8]>, ClassifyError> {
    plain(head, body, PACKED.iter().any(|(service, _)| *service == head.service()))
}

/// The body of a call of `operation`. Its service is the signature's, which has been verified.
pub(super) fn of_operation<'b>(
    head: &AwsRequest,
    operation: &str,
    body: &'b [u8],
) -> Result<Cow<'b, [u8]>, ClassifyError> {
    plain(head, body, PACKED.contains(&(head.service(), operation)))
}

/// The body without its coding, of which there is one at the most: who undoes them in another order, or not
/// all of them, sees another body.
fn plain<'b>(head: &AwsRequest, body: &'b [u8], may_be_packed: bool) -> Result<Cow<'b, [u8]>, ClassifyError> {
    if *head.payload() == PayloadMode::StreamingUnsignedTrailer {
        return Err(bad("it is aws-chunked"));
    }
    let coding = match head.headers().get(CONTENT_ENCODING) {
        // S3 keeps it as a property of an object whose parts come later.
        Some(_) if body.is_empty() => return Ok(Cow::Borrowed(body)),
        None => return Ok(Cow::Borrowed(body)),
        Some(coding) => coding.to_str().unwrap_or("?"),
    };
    match coding {
        "identity" => Ok(Cow::Borrowed(body)),
        "gzip" if may_be_packed => inflate(body).map(Cow::Owned),
        _ => {
            let shortened: String = coding.chars().take(100).collect();
            Err(bad(format!("it is encoded as {shortened:?}; only plain bodies are read")))
        }
    }
}

/// The bytes of exactly one gzip member with nothing after it: of several, some readers see only the
/// first.
fn inflate(body: &[u8]) -> Result<Vec<u8>, ClassifyError> {
    let mut decoder = flate2::bufread::GzDecoder::new(body);
    let mut plain = Vec::new();
    let length = decoder.by_ref().take(MAX_PLAIN + 1).read_to_end(&mut plain);
    match length {
        Err(_) => Err(bad("it is not gzip")),
        Ok(length) if length as u64 > MAX_PLAIN => {
            Err(bad(format!("it has more than {MAX_PLAIN} bytes when it is unpacked")))
        }
        Ok(_) if !decoder.into_inner().is_empty() => Err(bad("trailing bytes after the gzip member")),
        Ok(_) => Ok(plain),
    }
}

fn bad(why: impl Into<String>) -> ClassifyError {
    ClassifyError::BadBody(why.into())
}

#[cfg(test)]
mod tests;
