//! Notes as the specification has them, and what is not one.

use proptest::prelude::*;

use super::*;
use crate::record::log::key::LogKey;

/// The example of the specification.
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn key(name: &str, seed: u8) -> LogKey {
    LogKey::from_seed(&[seed; 32], name.parse().unwrap()).unwrap()
}

fn signed(text: &str, keys: &[&LogKey]) -> String {
    let keys: Vec<&dyn Sign> = keys.iter().map(|key| *key as &dyn Sign).collect();
    Note::sign(text, &keys).unwrap().to_string()
}

#[test]
fn the_example_of_the_specification() {
    let key: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    assert_eq!(key.to_string(), EXAMPLE_KEY);
    let note = Note::parse(EXAMPLE_NOTE.as_bytes()).unwrap();
    let opened = note.open(&[key]).unwrap();
    assert_eq!(opened.text(), "This is an example message.\n");
    assert_eq!(opened.signers().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["example.com/foo"]);
    assert_eq!(note.to_string(), EXAMPLE_NOTE);
}

/// Known answers: RFC 8032 §7.1, the first test's key, over a text of our own, by OpenSSL.
#[test]
fn ours_is_everybodys_ed25519() {
    let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let key =
        LogKey::from_seed(seed.as_slice().try_into().unwrap(), "log.example/1".parse().unwrap()).unwrap();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(hex::encode(key.verifier().public), public);
    assert_eq!(
        key.verifier().to_string(),
        "log.example/1+dd8b4c84+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
    );
    assert_eq!(
        signed("hello\n", &[&key]),
        "hello\n\n\u{2014} log.example/1 3YtMhJPmG4k+VmrGuim+eTdowHtZ/Y5nbtP/nUovqs9nve54dHzSKA3ZeKCwmHAOQL5ZowfunqKi14b6Ox1m5NhLJgU=\n"
    );
}

#[test]
fn whose_signatures_count() {
    let (old, new, other) = (key("a/log", 1), key("a/log", 2), key("b/log", 3));
    let text = "first\n\nlast\n";
    let check = |note: &str, keys: &[&LogKey], expected: Result<usize, NoteError>| {
        let keys: Vec<VerifierKey> = keys.iter().map(|key| key.verifier().clone()).collect();
        let opened = Note::parse(note.as_bytes()).and_then(|note| {
            note.open(&keys).map(|opened| {
                assert_eq!(opened.text(), text);
                opened.signers().len()
            })
        });
        assert_eq!(opened, expected, "{note}");
    };
    let name = || old.verifier().name().clone();
    let both = signed(text, &[&old, &new]);
    check(&both, &[&old], Ok(1));
    check(&both, &[&new], Ok(1));
    check(&both, &[&new, &old, &new], Ok(2));
    check(&both, &[&other], Err(NoteError::Unknown));
    check(&both, &[], Err(NoteError::Unknown));
    // One good signature does not make up for a wrong one.
    let wrong = signed("first\n\nother\n", &[&new]);
    let wrong = format!("{}{}", signed(text, &[&old]), wrong.lines().last().unwrap().to_owned() + "\n");
    check(&wrong, &[&old], Ok(1));
    check(&wrong, &[&old, &new], Err(NoteError::Wrong(name())));
    // A key that is known signs once; others may do as they like.
    let twice = signed(text, &[&old, &new, &old]);
    check(&twice, &[&old], Err(NoteError::Repeated(name())));
    check(&twice, &[&new], Ok(1));
    // The id alone does not make it a key that is known, nor does the name.
    let renamed = signed(text, &[&old]).replace("a/log", "a/lot");
    check(&renamed, &[&old], Err(NoteError::Unknown));
    // Signatures of other kinds and lengths are other people's.
    let more = format!("{both}\u{2014} w/1 {}\n", BASE64.encode([0; 3000]));
    check(&more, &[&old], Ok(1));
    // Same name and id, other length: known, and wrong.
    let short = [old.verifier().id().as_slice(), &[1; 63]].concat();
    check(
        &format!("{text}\n\u{2014} a/log {}\n", BASE64.encode(short)),
        &[&old],
        Err(NoteError::Wrong(name())),
    );
}

#[test]
fn sixteen_signatures_of_the_largest_kind_fit() {
    let largest = BASE64.encode([7; 4 + 4900]);
    let lines: String = (0..16).map(|at| format!("\u{2014} w/{at} {largest}\n")).collect();
    let log = key("a/log", 1);
    let note = signed("x\n", &[&log]) + &lines;
    assert!(Note::parse(note.as_bytes()).unwrap().open(&[log.verifier().clone()]).is_ok());
}

#[test]
fn what_is_not_a_note() {
    let line = "\u{2014} a/log AAAAAAA=";
    let check = |note: &str, expected: NoteError| {
        assert_eq!(Note::parse(note.as_bytes()), Err(expected), "{note:?}");
    };
    assert!(Note::parse(format!("x\n\n{line}\n").as_bytes()).is_ok());
    assert!(Note::parse(format!("\n\n{line}\n").as_bytes()).is_ok());
    check("", NoteError::NotSigned);
    check("x\n", NoteError::NotSigned);
    check("x\n\n", NoteError::NotSigned);
    check(&format!("x\n{line}\n"), NoteError::NotSigned);
    check(&format!("\n{line}\n"), NoteError::NotSigned);
    check(&format!("{line}\n"), NoteError::NotSigned);
    check(&format!("x\n\n{line}"), NoteError::NotSigned);
    check(&format!("x\n\n{line}\n\n"), NoteError::NotSigned);
    check(&format!("x\n\n{line}\n\n{line}\n\n"), NoteError::NotSigned);
    check(&format!("x\r\n\r\n{line}\r\n"), NoteError::NotText);
    check(&format!("x\t\n\n{line}\n"), NoteError::NotText);
    check(&format!("x\0\n\n{line}\n"), NoteError::NotText);
    assert_eq!(Note::parse(b"x\xff\n\n"), Err(NoteError::NotText));
    for wrong in [
        "- a/log AAAAAAA=",
        "\u{2014}a/log AAAAAAA=",
        "\u{2014}  a/log AAAAAAA=",
        "\u{2014} a/log  AAAAAAA=",
        "\u{2014} a/log AAAAAAA= ",
        "\u{2014} a/log AAAAAAA",
        "\u{2014} a/log AAAAAAB=",
        "\u{2014} a/log AAAAAA==",
        "\u{2014} a/log AAA-AAA=",
        "\u{2014} a/log ",
        "\u{2014} a/log",
        "\u{2014}  AAAAAAA=",
        "\u{2014} a+log AAAAAAA=",
        "\u{2014} a\u{a0}log AAAAAAA=",
        "\u{2014} a\u{2003}log AAAAAAA=",
    ] {
        check(&format!("x\n\n{wrong}\n"), NoteError::Signature(1));
        check(&format!("x\n\n{line}\n{wrong}\n"), NoteError::Signature(2));
    }
    let many = |count: usize| format!("x\n\n{}", format!("{line}\n").repeat(count));
    assert!(Note::parse(many(SIGNATURES_MAX).as_bytes()).is_ok());
    check(&many(SIGNATURES_MAX + 1), NoteError::TooLong);
    check(&format!("{}\n\n{line}\n", "x".repeat(NOTE_MAX)), NoteError::TooLong);
}

#[test]
fn what_is_not_signed() {
    let log = key("a/log", 1);
    let sign = |text: &str| Note::sign(text, &[&log]).map(|note| note.to_string());
    assert_eq!(sign("no line feed"), Err(NoteError::NotText));
    assert_eq!(sign(""), Err(NoteError::NotText));
    assert_eq!(sign("a\rb\n"), Err(NoteError::NotText));
    assert_eq!(sign(&("x".repeat(NOTE_MAX) + "\n")), Err(NoteError::TooLong));
    assert_eq!(Note::sign("x\n", &[]), Err(NoteError::NotSigned));
}

#[test]
fn what_is_not_a_verifier_key() {
    let check = |text: &str, expected: KeyError| {
        assert_eq!(text.parse::<VerifierKey>(), Err(expected), "{text}");
    };
    let key = EXAMPLE_KEY;
    check("", KeyError::Shape);
    check("example.com/foo+530d903a", KeyError::Shape);
    check(&key.replace("foo", "fo o"), KeyError::Name(NameError));
    check(key.strip_prefix("example.com/foo").unwrap(), KeyError::Name(NameError));
    check(&key.replace("foo", "bar"), KeyError::Id);
    check(&key.replace("530d", "530D"), KeyError::Id);
    check(&key.replace("530d903a", "0530d903a"), KeyError::Id);
    check(&key.replace("U2k", "U2l"), KeyError::Id);
    check(&key.replace("U2k", "U2"), KeyError::Shape);
    check(&key.replace("AekyeR", "AekzeR"), KeyError::Id);
    check(&key.replace("AekyeR", "BOkyeR"), KeyError::Kind);
    check(&format!("{key} "), KeyError::Shape);
    check(&format!("a+00000000+{}", BASE64.encode([1; 32])), KeyError::Kind);
    check(&format!("a+00000000+{}", BASE64.encode([1; 34])), KeyError::Kind);
    check("a+00000000+", KeyError::Kind);
}

/// An id is short: somebody can make a key with the same one. Two such keys were found by trying seeds.
#[test]
fn two_keys_of_one_name_and_id_are_refused() {
    let key = |number: u64| {
        let mut seed = [0; 32];
        seed[24..].copy_from_slice(&number.to_be_bytes());
        LogKey::from_seed(&seed, "a/log".parse().unwrap()).unwrap()
    };
    let (log, twin) = (key(6207), key(101744));
    let verifier = |key: &LogKey| key.verifier().clone();
    assert_eq!(verifier(&log).id(), verifier(&twin).id());
    assert_ne!(verifier(&log), verifier(&twin));
    let note = Note::parse(signed("x\n", &[&log]).as_bytes()).unwrap();
    assert!(note.open(&[verifier(&log), verifier(&log)]).is_ok());
    assert_eq!(note.open(&[verifier(&twin)]), Err(NoteError::Wrong(verifier(&log).name)));
    let both = [verifier(&twin), verifier(&log)];
    assert_eq!(note.open(&both), Err(NoteError::Ambiguous(verifier(&log).name)));
}

proptest! {
    /// A changed byte anywhere leaves no note with this text and another one is never believed.
    #[test]
    fn no_byte_can_be_changed(
        text in "[a-z\n]{0,40}", at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let log = key("a/log", 1);
        let text = text + "\n";
        let mut bytes = signed(&text, &[&log]).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let note = Note::parse(&bytes);
        prop_assert!(!note.is_ok_and(|note| note.open(&[log.verifier().clone()]).is_ok()));
    }

    #[test]
    fn whatever_is_signed_is_read(text in "[ -~\u{e9}\u{2014}\n]{0,200}") {
        let log = key("a/log", 1);
        let text = text + "\n";
        let note = Note::parse(signed(&text, &[&log]).as_bytes()).unwrap();
        let opened = note.open(&[log.verifier().clone()]);
        prop_assert_eq!(opened.map(|opened| opened.text().to_owned()), Ok(text));
    }
}
