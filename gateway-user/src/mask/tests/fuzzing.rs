//! What the fuzz targets call, on what is made of the words of each format: quicker than a fuzzer to the depth where
//! things go wrong.

use proptest::prelude::*;

use super::super::fuzzing;

fn words(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        20 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    (1_u8..9, prop::collection::vec(word, 0..40))
        .prop_map(|(size, words)| [vec![size], words.concat()].concat())
}

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"t\":",
    "\"a\":",
    "\"r\":",
    "\"lb\":",
    "\"mn\":",
    "\"x\":",
    "\"x\"",
    "\"\\u0041\\n\"",
    "1",
    "-0.5e3",
    "true",
    "false",
    "null",
    " ",
    "\"AKIAIOSFODNN7EXAMPLE\"",
    "\"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\"",
    "{\"a\":",
    "{\"r\":{\"t\":\"x\"}}",
    "\"d\":\"2030-01-01T\"",
    "\"\\ud83d\\ude00\"",
    "\"secretKey\":",
    "\"password=x y\"",
];

const XML: &[&str] = &[
    "<r>",
    "</r>",
    "<t>",
    "</t>",
    "<la>",
    "</la>",
    "<flb>",
    "</flb>",
    "<fmn>",
    "</fmn>",
    "<k>",
    "</k>",
    "<md/>",
    "<x a='b'>",
    "</x>",
    "text",
    " ",
    "\r\n",
    "&amp;",
    "&#x41;",
    "<![CDATA[",
    "]]>",
    "]",
    "<!-- ",
    " -->",
    "<?p ",
    "?>",
    "<a t=\"b\">",
    "</a>",
    "12",
    "true",
    "<Name>AWS_SECRET_KEY</Name>",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "<",
    ">",
    "/",
    "-",
    "password=x",
];

const CBOR: &[&str] = &[
    "\u{1}",
    "at",
    "aa",
    "ar",
    "bla",
    "bmb",
    "\x7f",
    "\x18\x20",
    "at\x7f",
    "at\x63abc",
    "ab\x43",
    "\x40",
    "\x41a",
    "\x61x",
    "\0",
    "\x20",
    "\x39\x01\x01",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn json_keeps_its_promises(data in words(JSON)) {
        fuzzing::json(&data);
    }

    #[test]
    fn xml_keeps_its_promises(mut data in words(XML), closed in any::<bool>()) {
        if closed {
            data.splice(1..1, *b"<R>");
            data.extend(b"</R>");
        }
        fuzzing::xml(&data);
    }

    #[test]
    fn cbor_keeps_its_promises(mut data in words(CBOR), opens in prop::collection::vec(prop::sample::select(vec![0xa1_u8, 0xbf, 0x9f, 0x81, 0x83, 0xff, 0xc1, 0xc2, 0xf5, 0xf6, 0xfb, 0x7f, 0x5f]), 0..12), at in 1_usize..20) {
        for (step, open) in opens.into_iter().enumerate() {
            let at = (1 + step * at).min(data.len());
            data.insert(at, open);
        }
        fuzzing::cbor(&data);
    }

    #[test]
    fn event_streams_keep_their_promises(name in prop::sample::select(vec!["t", "a", "e", "x"]), content in prop::sample::select(vec!["application/json", "application/cbor", "text/xml", "text/plain", "x"]), payload in words(JSON), more in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut headers = Vec::new();
        for (key, value) in [(":message-type", "event"), (":event-type", name), (":content-type", content), ("s", "x")] {
            headers.push(u8::try_from(key.len()).unwrap());
            headers.extend(key.bytes());
            headers.extend([7, 0, u8::try_from(value.len()).unwrap()]);
            headers.extend(value.bytes());
        }
        headers.extend(more);
        let payload: Vec<u8> = payload.into_iter().skip(1).take(255).collect();
        let mut data = vec![3, u8::try_from(headers.len()).unwrap(), u8::try_from(payload.len()).unwrap()];
        data.extend(headers);
        data.extend(payload);
        fuzzing::event_stream(&data);
    }

    #[test]
    fn texts_keep_their_promises(data in words(XML)) {
        fuzzing::text(&data);
    }
}

/// A target that reads nothing of what it begins with finds nothing.
#[test]
fn what_targets_begin_with_is_read() {
    assert!(fuzzing::json(b"\x03{\"r\":{\"t\":\"x\",\"la\":[1,{\"b\":null}]}}"));
    assert!(fuzzing::xml(b"\x03<R><r><t>x</t></r><fmn><k>a</k><v>1</v></fmn></R>"));
    assert!(fuzzing::cbor(b"\x03\xbf\x61t\x61x\x62la\x9f\x01\xf5\xff\xff"));
    assert!(fuzzing::event_stream(
        b"\x03\x26\x02\x0d:message-type\x07\0\x05event\x0b:event-type\x07\0\x01e{}"
    ));
    assert!(fuzzing::text(b"\x03password=x"));
    assert!(!fuzzing::json(b"\x03{") && !fuzzing::json(b""));
}
