//! Bodies, whole and in pieces of every size.

use http::HeaderMap;

use super::{Payload, Receiver};
use crate::upstream::RefusalKind;

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Pushes `wire` in pieces of every length and expects the same each time.
fn check(kind: &Payload, headers: &[(&'static str, &str)], wire: &str, expected: Result<u64, RefusalKind>) {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    for size in 1..=wire.len().max(1) {
        let outcome = Receiver::new(kind, &headers, true).and_then(|mut receiver| {
            wire.as_bytes().chunks(size).try_for_each(|piece| receiver.push(piece))?;
            receiver.finish(kind)
        });
        let outcome = outcome.map(|payload| payload.length).map_err(|refusal| refusal.kind);
        assert_eq!(outcome, expected, "pieces of {size} of {wire:?}");
    }
}

#[test]
fn whole_bodies() {
    use RefusalKind::ContentMismatch;
    check(&Payload::Absent, &[], "hello", Ok(5));
    check(&Payload::Unsigned, &[], "hello", Ok(5));
    check(&Payload::Sha256(HELLO.into()), &[], "hello", Ok(5));
    check(&Payload::Sha256(HELLO.into()), &[], "hellp", Err(ContentMismatch));
    check(&Payload::Sha256(HELLO.into()), &[], "", Err(ContentMismatch));
}

const CHUNKED: &[(&str, &str)] = &[
    ("content-encoding", "aws-chunked"),
    ("x-amz-decoded-content-length", "5"),
    ("x-amz-trailer", "x-amz-checksum-crc32"),
];

#[test]
fn aws_chunked_bodies() {
    use RefusalKind::{BadBody, BadDigest, NotImplemented};
    let check = |wire: &str, expected| check(&Payload::UnsignedTrailer, CHUNKED, wire, expected);
    // crc32("hello") is 3610a686.
    check("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Ok(5));
    check("2\r\nhe\r\n3\r\nllo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Ok(5));
    check("5\r\nhellp\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Err(BadDigest));
    check("5\r\nhello\r\n0\r\n\r\n", Err(BadDigest));
    check("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n", Err(BadBody));
    check("5\r\nhello\r\n0\r\nx-amz-meta:1\r\n\r\n", Err(BadBody));
    check("4\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Err(BadBody));
    check("4\r\nhell\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Err(BadBody));
    check("z\r\nhello\r\n", Err(BadBody));
    check("5\nhello\r\n", Err(BadBody));
    check("", Err(BadBody));
    check("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\nmore\r\n", Err(BadBody));

    let with = |headers: &[(&'static str, &str)], expected| {
        super::tests::check(&Payload::UnsignedTrailer, headers, "", expected);
    };
    with(&[], Err(BadBody));
    with(&CHUNKED[1..], Err(BadBody));
    with(&CHUNKED[..2], Err(BadBody));
    with(&[CHUNKED[0], CHUNKED[1], ("x-amz-trailer", "x-amz-checksum-sha1")], Err(NotImplemented));
}

#[test]
fn a_line_without_end_is_refused() {
    let headers: HeaderMap =
        CHUNKED.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let mut receiver = Receiver::new(&Payload::UnsignedTrailer, &headers, false).unwrap();
    let outcome = (0..100).try_for_each(|_| receiver.push(&[b'0'; 100]));
    assert_eq!(outcome.unwrap_err().kind, RefusalKind::BadBody);
}
