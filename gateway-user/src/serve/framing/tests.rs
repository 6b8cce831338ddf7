use proptest::prelude::*;

use super::*;

/// The same verdict, however the bytes are cut.
fn check(input: &str, expected: Result<(), Violation>) {
    for step in [1, 2, 7, usize::MAX] {
        let mut framing = Framing::new(256);
        let seen =
            input.as_bytes().chunks(step.min(input.len().max(1))).try_for_each(|cut| framing.observe(cut));
        assert_eq!(seen, expected, "{input:?} in steps of {step}");
    }
}

const NEXT: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn well_framed_requests_pass() {
    check(NEXT, Ok(()));
    check(&format!("\r\n{NEXT}"), Ok(()));
    check(&format!("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc{NEXT}"), Ok(()));
    check(&format!("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n{NEXT}"), Ok(()));
    check(
        &format!("PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n{NEXT}"),
        Ok(()),
    );
}

#[test]
fn what_two_parsers_could_read_differently_is_stopped() {
    let head = |lines: &str| format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
    check(&head("Content-Length: 3\r\nTransfer-Encoding: chunked"), Err(Violation::TwoLengths));
    check(&head("Transfer-Encoding: chunked\r\nContent-Length: 3"), Err(Violation::TwoLengths));
    check(&head("Content-Length: 3\r\nContent-Length: 3"), Err(Violation::Repeated("Content-Length")));
    check(
        &head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        Err(Violation::Repeated("Transfer-Encoding")),
    );
    check(&head("Content-Length: +3"), Err(Violation::BadLength));
    check(&head("Content-Length: 3, 3"), Err(Violation::BadLength));
    check(&head("Content-Length: 99999999999999999999"), Err(Violation::BadLength));
    check(&head("Transfer-Encoding: gzip, chunked"), Err(Violation::BadCoding));
    check("GET / HTTP/1.0\r\nHost: a\r\n\r\n", Err(Violation::Http10));
    check(&head("Host: a\r\n folded"), Err(Violation::BadHead("invalid header name".to_owned())));
    check(&head("Host : a"), Err(Violation::BadHead("invalid header name".to_owned())));
    check(&format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(300)), Err(Violation::HeadTooLarge(256)));
    let bare = Err(Violation::BadHead("a line ends without CR".to_owned()));
    check("GET / HTTP/1.1\nHost: a\n\n", bare.clone());
    check("GET / HTTP/1.1\r\nHost: a\n\r\n", bare);
    let chunked = |body: &str| head("Transfer-Encoding: chunked") + body;
    check(&chunked("3;ext=1\r\nabc\r\n"), Err(Violation::BadChunk));
    check(&chunked("3\nabc\r\n"), Err(Violation::BadChunk));
    check(&chunked("\r\n"), Err(Violation::BadChunk));
    check(&chunked("3\r\nabcd\r\n"), Err(Violation::BadChunk));
    check(&chunked("ffffffffffffffff\r\n"), Err(Violation::BadChunk));
    check(&chunked("0\r\nX-Trailer: 1\r\n\r\n"), Err(Violation::BadChunk));
}

proptest! {
    #[test]
    fn never_panics_and_never_depends_on_the_cut(bytes in prop::collection::vec(any::<u8>(), 0..512), cut in 1usize..64) {
        let whole = Framing::new(256).observe(&bytes);
        let mut framing = Framing::new(256);
        prop_assert_eq!(bytes.chunks(cut).try_for_each(|part| framing.observe(part)), whole);
    }

    #[test]
    fn bodies_are_skipped_whatever_they_contain(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut framing = Framing::new(256);
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        prop_assert_eq!(framing.observe(head.as_bytes()), Ok(()));
        prop_assert_eq!(framing.observe(&body), Ok(()));
        prop_assert_eq!(framing.observe(NEXT.as_bytes()), Ok(()));
    }
}
