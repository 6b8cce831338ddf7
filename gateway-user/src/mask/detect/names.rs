//! Members that are never looked through: a listing cannot go on without them.

/// Tokens of listings and ids of requests, by their name on the wire, in small letters.
const KEPT: [&[u8]; 36] = [
    b"clientrequesttoken",
    b"clienttoken",
    b"continuationtoken",
    b"cursor",
    b"etag",
    b"exclusivestartkey",
    b"idempotencytoken",
    b"keymarker",
    b"lastevaluatedbackuparn",
    b"lastevaluatedkey",
    b"lastevaluatedtablename",
    b"marker",
    b"next",
    b"nextbackwardtoken",
    b"nextcontinuationtoken",
    b"nextcursor",
    b"nextforwardtoken",
    b"nextkeymarker",
    b"nextmarker",
    b"nextpagemarker",
    b"nextpagetoken",
    b"nextpartnumbermarker",
    b"nextrecordidentifier",
    b"nextsequencetoken",
    b"nextsharditerator",
    b"nexttoken",
    b"nextuploadidmarker",
    b"nextversionidmarker",
    b"pagetoken",
    b"paginationtoken",
    b"position",
    b"requestid",
    b"sharditerator",
    b"uploadid",
    b"versionid",
    b"versionidmarker",
];

/// Those of them that have members themselves: keys of DynamoDB's tables.
const KEPT_WHOLE: [&[u8]; 2] = [b"exclusivestartkey", b"lastevaluatedkey"];

/// Whether a member of this name passes as it is, where no rule hides it.
pub(in crate::mask) fn is_kept(name: &[u8]) -> bool {
    is_one_of(&KEPT, name)
}

/// Whether all that is in a member of this name passes as it is, where no rule hides it.
pub(in crate::mask) fn is_kept_whole(name: &[u8]) -> bool {
    is_one_of(&KEPT_WHOLE, name)
}

/// Whether it is one of these, which are in order.
fn is_one_of(names: &[&[u8]], name: &[u8]) -> bool {
    let mut small = [0; 24];
    let letters = name.iter().filter(|b| !matches!(b, b'_' | b'-'));
    let mut length = 0;
    for letter in letters {
        let Some(to) = small.get_mut(length) else { return false };
        *to = letter.to_ascii_lowercase();
        length += 1;
    }
    small.get(..length).is_some_and(|small| names.binary_search(&small).is_ok())
}
