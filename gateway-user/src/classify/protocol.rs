//! What the protocols have in common.

use http::Method;

use super::ClassifyError;
use crate::parse::AwsRequest;

/// The media type, lower case as SDKs write it, without parameters other than UTF-8. Anything else
/// is returned whole, so that it fits nothing.
pub(super) fn content_type(head: &AwsRequest) -> &str {
    let whole = text_header(head, "content-type");
    match whole.split_once(';') {
        Some((media, parameter)) if parameter.trim().eq_ignore_ascii_case("charset=utf-8") => media,
        Some(_) | None => whole,
    }
}

/// A header as text; empty where it is missing or not ASCII.
pub(super) fn text_header<'a>(head: &'a AwsRequest, name: &str) -> &'a str {
    head.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn require_post(head: &AwsRequest) -> Result<(), ClassifyError> {
    if *head.method() == Method::POST {
        return Ok(());
    }
    Err(ClassifyError::Ambiguous(format!("an RPC call with the method {}", head.method())))
}

/// RPC protocols post to `/`, without a query string.
pub(super) fn require_plain_post(head: &AwsRequest) -> Result<(), ClassifyError> {
    require_post(head)?;
    if head.path() != "/" {
        return Err(ClassifyError::Ambiguous("an RPC call to a path other than /".to_owned()));
    }
    if !head.query().is_empty() {
        return Err(ClassifyError::Ambiguous("an RPC call with a query string".to_owned()));
    }
    Ok(())
}
