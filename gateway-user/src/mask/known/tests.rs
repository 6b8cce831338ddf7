use proptest::prelude::*;

use super::*;

const DIGEST: [u8; DIGEST_LEN] = [7; DIGEST_LEN];
const VALUE: &str = "correct \"horse\"/<battery> & \\staple ü😀 100%+";

/// How a text is written, and what it says, for people.
type Writer = (&'static str, fn(&str) -> String);

const WRITERS: [Writer; 12] = [
    ("as it is", str::to_owned),
    ("json", json),
    ("json, all escaped", |text| text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()),
    ("json, slashes", |text| json(text).replace('/', "\\/").replace('<', "\\u003c")),
    ("json in json", |text| json(&json(text))),
    ("xml", xml),
    ("xml, numbers", |text| text.chars().map(|c| format!("&#{};", c as u32)).collect()),
    ("xml, hexadecimal", |text| text.chars().map(|c| format!("&#x{:X};", c as u32)).collect()),
    ("json in xml", |text| xml(&json(text))),
    ("xml in json", |text| json(&xml(text))),
    ("form", |text| form(text).replace("%20", "+")),
    ("form, all escaped", |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect()),
];

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
