//! What the fuzz target calls (`fuzz/`), with what must hold whatever it sends. It returns whether the input was
//! read: a target that reads nothing finds nothing.

use http::Request;

use super::{AwsRequest, query::Query};

/// A head as it arrives: lines of host, method, request target, `name: value` of each header.
///
/// # Panics
/// When what is read of a presigned request still has what signs it, or a parameter is lost.
pub fn head(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default();
    let (host, method, target) = (next(), next(), next());
    let mut request = Request::builder().method(method).uri(target).header("host", host);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let (Ok(request), Ok(name)) = (request.body(()), host.parse()) else { return false };
    let parts = request.into_parts().0;
    let sent = Query::read(parts.uri.query());
    let Ok(read) = AwsRequest::read(parts, &name) else { return false };
    let Ok(sent) = sent else { return false };
    let Some(presigned) = &read.presigned else {
        assert_eq!(*read.query(), sent);
        return true;
    };
    assert!(read.query().pairs().all(|(name, _)| !name.to_ascii_lowercase().starts_with("x-amz-")));
    assert_eq!(Query::read(presigned.target.query()).as_ref(), Ok(read.query()), "the target is the query");
    assert_eq!(presigned.target.path(), read.path());
    // Six sign, and one may be the token.
    let signing = sent.pairs().count() - read.query().pairs().count() - presigned.moved.len();
    assert_eq!(signing, 6 + usize::from(presigned.token.is_some()));
    assert_eq!(presigned.signed.pairs().count() + 1, sent.pairs().count());
    for name in &presigned.moved {
        assert_eq!(read.headers().get_all(name).iter().count(), 1, "{name} has two readings");
    }
    true
}
