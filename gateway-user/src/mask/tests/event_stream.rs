use super::{plans::sample, *};

const STREAM: Format = Format::EventStream { message_max: MESSAGE_MAX };

/// A message by the specification, with headers as they are written.
fn framed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = (u32::try_from(16 + headers.len() + payload.len()).unwrap()).to_be_bytes().to_vec();
    out.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(name.len()).unwrap()];
    out.extend(name.bytes());
    out.push(7);
    out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    out.extend(value.bytes());
    out
}

fn event(name: &str, content: &str, more: &[u8], payload: &str) -> Vec<u8> {
    let headers = [
        text(":message-type", "event"),
        text(":event-type", name),
        text(":content-type", content),
        more.to_vec(),
    ];
    framed(&headers.concat(), payload.as_bytes())
}

fn plan() -> Plan {
    let mut plan = Plan::builder();
    let field = plan.field("Secret", Kind::Text);
    let blob = plan.field("Chunk", Kind::Blob);
    let secret = plan.secret(field);
    let chunk = plan.secret(blob);
    let structure = plan.structure();
    plan.member(structure, "Secret", secret);
    plan.event(
        "Message",
        Some(structure),
        &[("token", field), ("count", field), ("flag", field), ("raw", blob)],
    )
    .event("Chunk", Some(chunk), &[])
    .event("Busy", Some(structure), &[]);
    let root = plan.structure();
    plan.build(root).unwrap()
}

#[test]
fn messages_are_masked_by_their_type() {
    let number = |name: &str, value: &[u8]| {
        let mut out = vec![u8::try_from(name.len()).unwrap()];
        out.extend(name.bytes());
        out.extend(value);
        out
    };
    let raw = |value: &[u8]| {
        let mut out = number("raw", &[6]);
        out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        out.extend(value);
        out
    };
    let more = [
        text("token", "abc"),
        number("count", &[4, 0, 0, 1, 2]),
        number("flag", &[0]),
        raw(b"abc"),
        text("other", "abc"),
    ];
    let masked_more = [
        text("token", MASKED),
        number("count", &[4, 0, 0, 0, 0]),
        number("flag", &[1]),
        raw(MASKED.as_bytes()),
        text("other", "abc"),
    ];
    let exception = |payload: &str| {
        let headers = [
            text(":message-type", "exception"),
            text(":exception-type", "Busy"),
            text(":content-type", "application/json"),
        ];
        framed(&headers.concat(), payload.as_bytes())
    };
    let error = framed(&[text(":message-type", "error"), text(":error-code", "x")].concat(), b"");
    let body = [
        event("Message", "application/json", &more.concat(), r#"{"Secret":"abc"}"#),
        event("Message", "application/JSON; charset=utf-8", b"", r#"{"a":"abc"}"#),
        event("Message", "text/xml", b"", "<M><Secret>abc</Secret></M>"),
        event("Message", "application/cbor", b"", "\u{a1}").replace_payload(b"\xa1\x66Secret\x61a"),
        event("Other", "application/json", b"", r#"{"Secret":"abc"}"#),
        event("Chunk", "application/octet-stream", b"", "abc"),
        event("Chunk", "text/plain", b"", "abc"),
        event("Message", "application/octet-stream", b"", "abc"),
        event("Other", "application/octet-stream", b"", "abc"),
        exception(r#"{"Secret":"abc"}"#),
        error.clone(),
    ];
    let expected = [
        event("Message", "application/json", &masked_more.concat(), r#"{"Secret":"chaperone:masked"}"#),
        body[1].clone(),
        event("Message", "text/xml", b"", "<M><Secret>chaperone:masked</Secret></M>"),
        event("Message", "application/cbor", b"", "").replace_payload(b"\xa1\x66Secret\x70chaperone:masked"),
        body[4].clone(),
        event("Chunk", "application/octet-stream", b"", MASKED),
        event("Chunk", "text/plain", b"", MASKED),
        event("Message", "application/octet-stream", b"", MASKED),
        body[8].clone(),
        exception(r#"{"Secret":"chaperone:masked"}"#),
        error,
    ];
    let (out, report) = check(STREAM, &plan(), &body.concat()).unwrap();
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected.concat()));
    assert!(out == expected.concat());
    let paths: Vec<&str> = report.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "Message.token",
            "Message.count",
            "Message.flag",
            "Message.raw",
            "Message.Secret",
            "Message.Secret",
            "Message.Secret",
            "Chunk",
            "Chunk",
            "Message",
            "Busy.Secret"
        ]
    );
}

trait Payload {
    fn replace_payload(self, payload: &[u8]) -> Vec<u8>;
}

impl Payload for Vec<u8> {
    fn replace_payload(self, payload: &[u8]) -> Vec<u8> {
        let headers = u32::from_be_bytes(self[4..8].try_into().unwrap()) as usize;
        framed(&self[12..12 + headers], payload)
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let bad = |body: &[u8], expected: MaskError| refused(STREAM, &plan(), body, expected);
    let good = event("Message", "application/json", b"", r#"{"Secret":"abc"}"#);
    for at in 0..good.len() {
        let mut wrong = good.clone();
        wrong[at] ^= 1;
        bad(&wrong, MaskError::Checksum);
    }
    for end in 1..good.len() {
        bad(&good[..end], MaskError::Broken);
    }
    let prelude = |total: u32, headers: u32| {
        let mut out = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        out.extend(crc32fast::hash(&out).to_be_bytes());
        out
    };
    let lengths = MaskError::Malformed("the lengths of a message");
    for (total, headers, expected) in [
        (15, 0, lengths),
        (0, 0, lengths),
        (16, 1, lengths),
        (u32::MAX, 0, MaskError::TooLong),
        (1024 * 1024 + 1, 0, MaskError::TooLong),
        (1024 * 1024, 200_000, MaskError::TooLong),
        (1024 * 1024, 0, MaskError::Broken),
    ] {
        bad(&prelude(total, headers), expected);
    }
    let typed = |more: &[u8]| framed(&[text(":message-type", "event"), more.to_vec()].concat(), b"");
    let untyped = MaskError::Malformed("a message of no type");
    bad(&framed(b"", b""), untyped);
    bad(&typed(b""), untyped);
    bad(&framed(&text(":message-type", "other"), b""), untyped);
    bad(
        &typed(&[text(":event-type", "a"), text(":event-type", "b")].concat()),
        MaskError::Malformed("a header twice in a message"),
    );
    for more in
        [b"\x01".as_slice(), b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00\x02b", b"\x01a\x04\0\0\0", b"\x00\x00"]
    {
        bad(&typed(more), MaskError::Malformed("the headers of a message"));
    }
    bad(&event("Message", "application/json", b"", "{"), MaskError::Broken);
    let small = Format::EventStream { message_max: good.len() };
    assert!(check(small, &plan(), &good).is_ok());
    let smaller = Format::EventStream { message_max: good.len() - 1 };
    refused(smaller, &plan(), &good, MaskError::TooLong);
}

#[test]
fn headers_of_answers_are_masked() {
    let mut plan = Plan::builder();
    let field = plan.field("Token", Kind::Text);
    let meta = plan.field("Metadata{}", Kind::Text);
    let pin = plan.field("Pin", Kind::Number);
    let due = plan.field("Due", Kind::Timestamp);
    plan.header("X-Amz-Token", field).header("x-amz-meta-*", meta).header("x-pin", pin).header("x-due", due);
    let root = plan.structure();
    let plan = plan.build(root).unwrap();
    let mut map = http::HeaderMap::new();
    for (name, value) in [
        ("x-amz-token", "a"),
        ("x-amz-token", "b"),
        ("x-amz-meta-c", "d"),
        ("x-amz-metadata", "e"),
        ("x-pin", "12"),
        ("x-due", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("etag", "f"),
    ] {
        map.append(name, value.parse().unwrap());
    }
    let (_, report) = headers(job(&plan), &mut map).unwrap();
    let found: Vec<(&str, &str)> =
        map.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        found,
        [
            ("x-amz-token", MASKED),
            ("x-amz-token", MASKED),
            ("x-amz-meta-c", MASKED),
            ("x-amz-metadata", "e"),
            ("x-pin", "0"),
            ("x-due", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("etag", "f"),
        ]
    );
    assert_eq!(report.count(), 5);
    assert_eq!(report.entries[1].digest, digest(b"b"));
}

#[test]
fn whole_bodies_are_masked() {
    let whole = |kind: Kind| {
        let mut plan = Plan::builder();
        let field = plan.field("Payload", kind);
        let root = plan.secret(field);
        plan.build(root).unwrap()
    };
    let (out, report) = check(Format::Whole, &whole(Kind::Text), b"secret text").unwrap();
    assert_eq!((out.as_slice(), report.count()), (MASKED.as_bytes(), 1));
    assert_eq!(report.entries[0].digest, digest(b"secret text"));
    let (out, report) = check(Format::Whole, &whole(Kind::Blob), b"\0\x01\x02\xff").unwrap();
    assert_eq!((out.as_slice(), report.count()), (MASKED.as_bytes(), 1));
    assert_eq!(report.entries[0].digest, digest(b"AAEC/w=="));
    let (out, report) = check(Format::Whole, &whole(Kind::Blob), b"").unwrap();
    assert_eq!((out.as_slice(), report.count()), (b"".as_slice(), 0));
    let plan = whole(Kind::Text);
    let revealing = || Job { revealed: plan.fields_at("Payload").collect(), ..job(&plan) };
    assert_eq!(masked(Format::Whole, revealing(), [b"a".as_slice(), b"b"]).unwrap().0, b"ab");
    // A plan of what is inside knows nothing of bytes.
    assert_eq!(check(Format::Whole, &sample(), b"a").unwrap().0, MASKED.as_bytes());
    assert_eq!(check(Format::Whole, &Plan::nothing(), b"a").unwrap().0, b"a");
}

proptest! {
    #[test]
    fn nothing_panics(headers in prop::collection::vec(any::<u8>(), 0..40), payload in prop::collection::vec(any::<u8>(), 0..40)) {
        let headers = [text(":message-type", "event"), text(":event-type", "Message"), headers].concat();
        let _ = in_all_chunks(STREAM, &|| watched(&plan()), &framed(&headers, &payload), &[2, 5]);
    }

    #[test]
    fn long_bytes_have_the_digest_of_their_base64(body in prop::collection::vec(any::<u8>(), 0..3000), sizes in prop::collection::vec(1_usize..900, 1..5)) {
        let mut plan = Plan::builder();
        let field = plan.field("Payload", Kind::Blob);
        let root = plan.secret(field);
        let plan = plan.build(root).unwrap();
        let mut chunks = Vec::new();
        let mut rest = body.as_slice();
        for size in sizes.iter().cycle().take(body.len()) {
            let (chunk, others) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = others;
        }
        let (_, report) = masked(Format::Whole, job(&plan), chunks).unwrap();
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &body);
        prop_assert!(report.entries.iter().all(|entry| entry.digest == digest(base64.as_bytes())));
    }
}
