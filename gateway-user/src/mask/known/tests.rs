use proptest::prelude::*;

use super::*;

const DIGEST: [u8; DIGEST_LEN] = [7; DIGEST_LEN];
const VALUE: &str = "correct \"horse\"/<battery> & \\staple ü😀 100%+";

/// How a text is written, and what it says, for people.
type Writer = (&'static str, fn(&str) -> String);

const WRITERS: [Writer; 20] = [
    ("as it is", str::to_owned),
    ("json", json),
    ("json, all escaped", units),
    ("json, slashes", |text| json(text).replace('/', "\\/").replace('<', "\\u003c")),
    ("json in json", |text| json(&json(text))),
    ("xml", xml),
    ("xml, numbers", numbers),
    ("xml, hexadecimal", |text| text.chars().map(|c| format!("&#x{:X};", c as u32)).collect()),
    ("json in xml", |text| xml(&json(text))),
    ("xml in json", |text| json(&xml(text))),
    ("form", |text| form(text).replace("%20", "+")),
    ("form, all escaped", |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect()),
    ("xml in xml", |text| xml(&xml(text))),
    ("xml in xml, numbers", |text| numbers(&numbers(text))),
    ("json in a form", |text| form(&json(text))),
    ("json in a form, all escaped", |text| form(&units(text))),
    ("xml in a form", |text| form(&xml(text))),
    ("a form in json", |text| units(&form(text))),
    ("a form in xml", |text| numbers(&form(text))),
    ("a form in a form", |text| form(&form(text))),
];

fn units(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

fn numbers(text: &str) -> String {
    text.chars().map(|c| format!("&#{};", c as u32)).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn form(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn known(values: &[&str]) -> Option<Arc<Known>> {
    let digest = |number: usize| [u8::try_from(number).unwrap(); DIGEST_LEN];
    let values = values.iter().enumerate().map(|(number, value)| (*value, digest(number)));
    Known::new(values).unwrap().map(Arc::new)
}

/// What is left of a text that comes in such chunks, and how often values were in it.
fn without(known: &Arc<Known>, text: &[u8], chunk: usize) -> (Vec<u8>, u64) {
    let (mut echo, mut out) = (Echo::new(Arc::clone(known)), Vec::new());
    text.chunks(chunk).for_each(|part| echo.push(part, &mut out));
    let found = echo.finish(&mut out);
    (out, found.iter().map(|(_, count)| count).sum())
}

#[test]
fn a_value_is_found_however_it_is_written() {
    let known = known(&[VALUE]).unwrap();
    for (name, write) in WRITERS {
        let written = write(VALUE);
        let text = format!(r#"{{"message":"Value '{written}' is wrong, {written}"}}"#);
        let hidden = format!("{MASKED}{}", "*".repeat(written.len() - MASKED.len()));
        let expected = text.replace(&written, &hidden);
        for chunk in [1, 2, 7, 4096] {
            let (out, found) = without(&known, text.as_bytes(), chunk);
            assert_eq!((String::from_utf8(out).unwrap(), found), (expected.clone(), 2), "{name} {chunk}");
        }
    }
}

/// The beginning of an escape is none where another one begins: that one is read all the same.
#[test]
fn a_value_is_found_behind_what_is_no_escape() {
    let value = "\"quoted\" and <more>";
    let known = known(&[value]).unwrap();
    for (before, write) in [
        ("\\ud83d", units as fn(&str) -> String),
        ("\\ud83d", json),
        ("\\udc00", units),
        ("\\ud83d\\ud83d", units),
        ("\\ud83d\\u00", units),
        ("\\u12", units),
        ("&", numbers),
        ("&am", xml),
        ("&#x1f6", numbers),
        ("%", form),
        ("%4", form),
    ] {
        let text = format!("{before}{}.", write(value));
        for chunk in [1, 3, 4096] {
            let (out, found) = without(&known, text.as_bytes(), chunk);
            let hidden = format!("{before}{MASKED}*");
            let out = String::from_utf8(out).unwrap();
            assert!(out.starts_with(&hidden) && out.ends_with("*."), "{text}: {out}");
            assert_eq!((out.len(), found), (text.len(), 1), "{text}");
        }
    }
}

/// Each reading that is left out would be a way for a value to pass.
#[test]
fn there_is_a_reading_for_each_coding_within_each() {
    let all: Vec<Vec<Coding>> = ways().collect();
    assert_eq!(all.len(), READINGS);
    for outer in CODINGS {
        assert!(all.contains(&vec![outer]));
        assert!(CODINGS.iter().all(|inner| all.contains(&vec![outer, *inner])));
    }
}

/// What can be no beginning of a value passes at once.
#[test]
fn nothing_is_held_back_that_begins_no_value() {
    let known = known(&["hunter22", &"x".repeat(4000)]).unwrap();
    let mut echo = Echo::new(Arc::clone(&known));
    let mut out = Vec::new();
    for (pushed, passed) in [
        ("data: {\"a\": 1}\n\n", "data: {\"a\": 1}\n\n"),
        ("the hunt", "the "),
        ("ing of hu", "hunting of "),
        ("nter22 \\u00", "******** "),
        ("68 &am", "\\u0068 "),
    ] {
        out.clear();
        echo.push(pushed.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), passed, "{pushed}");
    }
    out.clear();
    echo.finish(&mut out);
    assert_eq!(out, b"&am");
}

fn message(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 16).unwrap();
    [&length.to_be_bytes(), &[0; 8][..], payload, &[b'h'; 4]].concat()
}

/// Whoever waits for an event gets it when it has come, however it ends.
#[test]
fn a_message_of_an_event_stream_passes_when_it_has_ended() {
    let known = known(&["hunter22"]).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/vnd.amazon.eventstream".parse().unwrap());
    let messages = [message(b"it is hunter22, \\u00"), message(b""), message(b"hunter2"), message(b"hunte")];
    let all = messages.concat();
    for chunk in [1, 3, 16, 17, 4096] {
        let mut echo = Echo::of_body(Arc::clone(&known), &headers);
        let (mut out, mut taken) = (Vec::new(), 0);
        for part in all.chunks(chunk) {
            echo.push(part, &mut out);
            taken += part.len();
            // What ended by now is there.
            let mut ended = 0;
            for message in &messages {
                let end = ended + message.len();
                ended = if end <= taken { end } else { break };
            }
            assert!(out.len() >= ended, "{chunk}: {} of {ended}", out.len());
        }
        let found = echo.finish(&mut out);
        let expected = String::from_utf8_lossy(&all).replace("hunter22", "********");
        assert_eq!((String::from_utf8_lossy(&out).into_owned(), found.len()), (expected, 1), "{chunk}");
    }
    // A stream that is none is held back as any text.
    let mut echo = Echo::of_body(Arc::clone(&known), &headers);
    let mut out = Vec::new();
    echo.push(b"\0\0\0\x0fabchun", &mut out);
    echo.push(b"ter22", &mut out);
    echo.finish(&mut out);
    assert_eq!(out, b"\0\0\0\x0fabc********");
    let mut plain = Echo::of_body(known, &HeaderMap::new());
    out.clear();
    plain.push(&message(b""), &mut out);
    assert!(out.len() < 16, "its end may begin a value");
}

/// Records know a value by one digest, however it is written and in however many pieces.
#[test]
fn what_is_found_is_known_by_the_digest_of_the_value() {
    let long: String = (0..1000).map(|number| format!("{number},")).collect();
    let known = known(&["a \"quoted\" one", &long]).unwrap();
    for (text, value) in [
        ("<a \"quoted\" one>".to_owned(), 0),
        (format!("<{}>", json("a \"quoted\" one")), 0),
        (format!("<{long}>"), 1),
    ] {
        let found = known.find(text.as_bytes(), 0);
        assert_eq!(found, [(1..text.len() - 1, Some([value; DIGEST_LEN]))], "{text}");
    }
    // A piece alone is hidden, too.
    let piece = &long[long.len() - PIECE..];
    assert_eq!(known.find(piece.as_bytes(), 0).len(), 1);
    assert!(known.find(piece.as_bytes(), 0).iter().all(|(_, digest)| digest.is_none()));
}

#[test]
fn everything_else_stays() {
    let known = known(&[VALUE, "12345678"]).unwrap();
    let almost = &VALUE[..VALUE.len() - 1];
    for text in [
        "",
        "\\",
        "&",
        "%",
        "\\u",
        "\\ud83d",
        "\\ud83d\\u00",
        "&#x1f600",
        "&am&lt;",
        "%4%41",
        "1234567",
        almost,
    ] {
        for text in [text.to_owned(), format!("{text}{text}x")] {
            for chunk in [1, 4096] {
                assert_eq!(without(&known, text.as_bytes(), chunk), (text.clone().into_bytes(), 0), "{text}");
            }
        }
    }
}

#[test]
fn which_values_are_looked_for() {
    assert!(known(&[]).is_none());
    assert!(known(&["1234567", "  1234567  "]).is_none());
    let some = known(&["1234567", " hunter2! \n"]).unwrap();
    assert_eq!(without(&some, b"it is hunter2!", 99), (b"it is ********".to_vec(), 1));
    let most = "x".repeat(KNOWN_MAX);
    assert!(Known::new([(most.as_str(), DIGEST)]).is_ok());
    assert_eq!(Known::new([(most.as_str(), DIGEST), (VALUE, DIGEST)]).err(), Some(KnownError::TooMuch));
    assert!(Known::new([(most.as_str(), DIGEST), (most.as_str(), DIGEST)]).is_ok(), "the same");
    assert!(!format!("{some:?}").contains("hunter"));
}

#[test]
fn long_values_are_found_in_pieces() {
    for length in [PIECE, PIECE + 1, 3 * PIECE - 1, 64 * 1024] {
        let value: String =
            (0..length).map(|number| format!("{number},")).collect::<String>()[..length].to_owned();
        let known = known(&[&value]).unwrap();
        let text = format!("<a>{value}</a>");
        let (out, found) = without(&known, text.as_bytes(), 1000);
        let out = String::from_utf8(out).unwrap();
        assert_eq!((out.len(), found), (text.len(), 1));
        assert!(out.starts_with(&format!("<a>{MASKED}*")) && out.ends_with("*</a>"));
        assert!(!out.contains(|c: char| c.is_ascii_digit()), "{length}");
    }
}

#[test]
fn overlapping_values_are_hidden_both() {
    let known = known(&["abcdefgh", "efghijkl", "fghijklm"]).unwrap();
    assert_eq!(without(&known, b"<abcdefghijklm>", 1), (format!("<{}>", "*".repeat(13)).into_bytes(), 1));
    let (out, _) = without(&known, "abcdefgh".repeat(100_000).as_bytes(), 4096);
    assert_eq!(out.len(), 800_000);
    assert!(!out.windows(8).any(|window| window == b"abcdefgh"));
}

proptest! {
    /// Whatever the value and what is around it: nothing of it is left, and nothing changes its length.
    #[test]
    fn no_value_passes(
        value in "[a-z\"\\\\&<>%+/ ü\n]{8,40}",
        before in "[ -~]{0,20}",
        chunk in 1_usize..50,
        writer in 0..WRITERS.len(),
    ) {
        let value = format!("k{}k", value);
        let known = known(&[&value]).unwrap();
        let written = WRITERS[writer].1(&value);
        // What stands before may not be half an escape.
        let text = format!("{before}. {written}");
        let (out, found) = without(&known, text.as_bytes(), chunk);
        prop_assert_eq!(out.len(), text.len());
        prop_assert!(found >= 1);
        prop_assert!(!String::from_utf8_lossy(&out).contains(&written));
    }
}
