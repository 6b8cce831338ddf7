use proptest::prelude::*;
use serde_json::json;

use super::*;

fn room(max: usize, memory: usize) -> Room {
    Room::new(&Config { body_max_bytes: max, capture_memory_bytes: memory, ..Config::default() })
}

fn sha256(data: &[u8]) -> Digest {
    bytes(&digest::digest(&SHA256, data))
}

fn unpacked(content: &Content) -> Vec<u8> {
    zstd::bulk::decompress(&content.compressed, content.length).unwrap()
}

/// What becomes of `data` that comes in such pieces.
fn captured(room: &Room, holds: Holds, data: &[u8], piece: usize) -> Body {
    let capture = room.capture(SessionId::generate(), holds, None);
    data.chunks(piece).for_each(|part| capture.push(part));
    capture.end();
    capture.finish().unwrap()
}

proptest! {
    #[test]
    fn however_it_comes_the_head_is_kept_and_all_of_it_is_hashed(
        data in prop::collection::vec(any::<u8>(), 1..5000),
        pieces in prop::collection::vec(1_usize..900, 1..20),
        max in 0_usize..4000,
    ) {
        let room = room(max, 1 << 20);
        let capture = room.capture(SessionId::generate(), Holds::Document, Some("text/plain"));
        let (mut rest, mut pieces) = (data.as_slice(), pieces.into_iter().cycle());
        while !rest.is_empty() {
            let (part, after) = rest.split_at(pieces.next().unwrap().min(rest.len()));
            capture.push(part);
            rest = after;
        }
        capture.end();
        let body = capture.finish().unwrap();
        prop_assert_eq!((body.length, body.digest), (data.len() as u64, Some(sha256(&data))));
        prop_assert_eq!(body.media_type.as_deref(), Some("text/plain"));
        let head = &data[..max.min(data.len())];
        prop_assert_eq!(body.content.as_ref().map_or(Vec::new(), unpacked), head);
        if let Some(content) = &body.content {
            prop_assert_eq!(content.digest, sha256(head));
            let held = room.memory.in_use();
            prop_assert!(held <= content.compressed.len().min(max), "{} for {}", held, content.compressed.len());
        }
        let missing: &[&str] = if max < data.len() { &["too-long"] } else { &[] };
        prop_assert_eq!(&body.missing, missing);
        drop(body);
        prop_assert_eq!(room.memory.in_use(), 0);
    }
}

#[test]
fn what_is_kept_depends_on_what_it_holds() {
    let data = b"what somebody wrote".repeat(10);
    let check = |room: &Room, holds, kept: bool, digest: bool, missing: &[&str]| {
        let body = captured(room, holds, &data, 7);
        assert_eq!((body.content.is_some(), body.digest.is_some()), (kept, digest), "{holds:?}");
        assert_eq!((body.missing.as_slice(), body.length), (missing, data.len() as u64), "{holds:?}");
    };
    let usual = room(1000, 1 << 20);
    check(&usual, Holds::Document, true, true, &[]);
    check(&usual, Holds::Object, false, true, &["object"]);
    check(&usual, Holds::Unreadable, false, true, &["unreadable"]);
    check(&usual, Holds::Revealed, false, false, &["revealed"]);
    let objects = Room::new(&Config { objects: true, ..Config::default() });
    check(&objects, Holds::Object, true, true, &[]);
    check(&objects, Holds::Unreadable, false, true, &["unreadable"]);
    check(&objects, Holds::Revealed, false, false, &["revealed"]);
}

#[test]
fn what_breaks_off_says_so_and_what_is_empty_is_nothing() {
    let room = room(1000, 1 << 20);
    let capture = room.capture(SessionId::generate(), Holds::Document, None);
    capture.push(b"half");
    let body = capture.finish().unwrap();
    assert_eq!((body.missing, body.length), (vec!["broken-off"], 4));
    capture.push(b"too late");
    assert!(capture.finish().is_none());
    let empty = room.capture(SessionId::generate(), Holds::Document, None);
    empty.end();
    assert!(empty.finish().is_none());
}

/// Nobody can take it all, what does not fit is flagged, and everything comes back.
#[test]
fn memory_is_bounded_in_all_and_by_session() {
    let room = room(8192, 16 * 1024);
    let (greedy, modest) = (SessionId::generate(), SessionId::generate());
    let capture = |session| {
        let capture = room.capture(session, Holds::Document, None);
        capture.push(&[b'x'; 3000]);
        capture.end();
        capture
    };
    let (first, second, other) = (capture(greedy), capture(greedy), capture(modest));
    assert_eq!(room.memory.in_use(), 8192, "the share of one session is one capture of 4 KiB");
    let refused = second.finish().unwrap();
    assert_eq!((refused.missing.as_slice(), refused.content.is_none()), (["memory"].as_slice(), true));
    assert_eq!((refused.length, refused.digest), (3000, Some(sha256(&[b'x'; 3000]))));
    // What outgrows its share loses what it had: a head without its middle would be none.
    other.push(&[b'x'; 3000]);
    assert_eq!(room.memory.in_use(), 4096);
    assert_eq!(other.finish().unwrap().missing, ["memory"]);
    let kept = first.finish().unwrap();
    assert!(room.memory.in_use() < 100, "compressed, it takes less: {}", room.memory.in_use());
    drop(kept);
    assert_eq!(room.memory.in_use(), 0);
}

#[test]
fn parameters_are_sorted_and_complete() {
    let params = json!({"b": "x".repeat(5000), "a": {"d": 1, "c": "\0"}});
    let body = room(1 << 20, 1 << 23).params(SessionId::generate(), &params).unwrap();
    let text = unpacked(body.content.as_ref().unwrap());
    assert!(text.starts_with(br#"{"a":{"c":"\u0000","d":1},"b":"xxx"#), "{text:?}");
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), params);
    assert_eq!((body.media_type.as_deref(), body.missing.len()), (Some(PARAMS), 0));
}
