//! Members that are never looked through: a listing cannot go on without them.

/// Tokens of listings and ids of requests, by their name on the wire, in small letters.
const KEPT: [&[u8]; 31] = [
    b"clientrequesttoken",
    b"clienttoken",
    b"continuationtoken",
    b"cursor",
    b"etag",
    b"exclusivestartkey",
    b"idempotencytoken",
    b"keymarker",
    b"lastevaluatedkey",
    b"marker",
    b"next",
    b"nextbackwardtoken",
    b"nextcontinuationtoken",
    b"nextcursor",
    b"nextforwardtoken",
    b"nextkeymarker",
    b"nextmarker",
    b"nextpagetoken",
    b"nextrecordidentifier",
    b"nextsequencetoken",
    b"nextsharditerator",
    b"nexttoken",
    b"nextuploadidmarker",
    b"nextversionidmarker",
    b"pagetoken",
    b"paginationtoken",
    b"requestid",
    b"sharditerator",
    b"uploadid",
    b"versionid",
    b"versionidmarker",
];

/// Whether a member of this name passes as it is, where no rule hides it.
pub(in crate::mask) fn is_kept(name: &[u8]) -> bool {
    let mut small = [0; 24];
    let letters = name.iter().filter(|b| !matches!(b, b'_' | b'-'));
    let mut length = 0;
    for letter in letters {
        let Some(to) = small.get_mut(length) else { return false };
        *to = letter.to_ascii_lowercase();
        length += 1;
    }
    small.get(..length).is_some_and(|small| KEPT.binary_search(&small).is_ok())
}
