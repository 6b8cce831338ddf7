//! What the fuzz target calls (`fuzz/`), with what must hold whatever is answered.
#![expect(clippy::panic, reason = "a broken promise is what fuzzers look for")]

use super::{Answer, MintError, read};
use crate::{
    classify::answer::{Account, Format, Keys, LARGE, SMALL},
    identify::Placeholder,
    secret::SecretText,
};

/// An answer: a line that says how it is written (`xml1`, `xml2`, `json`, `json credentials`, `json Credentials`),
/// then the body. Returns whether it was read.
///
/// # Panics
/// When any part of its keys is left in what the agent would get, or that reads otherwise than the answer but for the keys.
pub fn answer(data: &[u8]) -> bool {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return false };
    let (line, body) = data.split_at(end);
    let format = match line {
        b"xml1" => Format::Xml { depth: 1 },
        b"xml2" => Format::Xml { depth: 2 },
        b"json" => Format::Json { within: &[], names: SMALL },
        b"json credentials" => Format::Json { within: &["credentials"], names: SMALL },
        b"json Credentials" => Format::Json { within: &["Credentials"], names: LARGE },
        _ => return false,
    };
    let place = Keys { format, account: Account::Told };
    let Ok(found) = read(place, body.get(1..).unwrap_or_default(), None) else { return false };
    check(place, &found)
}

/// Whether the answer is passed on; whatever is, keeps its promise.
///
/// # Panics
/// When it does not.
pub(super) fn check(place: Keys, found: &Answer<'_>) -> bool {
    let placeholder = placeholder();
    let out = match found.with(&placeholder) {
        Ok(out) => out,
        Err(MintError::Repeated) => return false,
        Err(error) => panic!("{error}"),
    };
    let text = String::from_utf8_lossy(&out);
    let keys = found.keys();
    for real in [&keys.access_key_id, keys.secret.expose(), keys.session_token.expose()] {
        assert!(!text.contains(real), "{real:?} in {text:?}");
    }
    let again = match read(place, &out, None) {
        Ok(again) => again,
        // The answer had a part of the placeholder in it already. This one is fixed; a real one is random.
        Err(MintError::Repeated) => return false,
        Err(error) => panic!("{error}: {text:?}"),
    };
    let new = again.keys();
    assert_eq!(new.access_key_id, placeholder.access_key_id);
    assert_eq!(new.secret.expose(), placeholder.secret.expose());
    assert_eq!(new.session_token.expose(), placeholder.session_token.expose());
    assert_eq!((new.expires, &new.account), (keys.expires, &keys.account));
    // What is between the values is what it was.
    let between = |answer: &Answer<'_>| {
        let mut spans = answer.spans.to_vec();
        spans.sort_by_key(|span| span.start);
        let starts = [0].into_iter().chain(spans.iter().map(|span| span.end));
        let ends = spans.iter().map(|span| span.start).chain([answer.text.len()]);
        starts
            .zip(ends)
            .map(|(start, end)| answer.text.get(start..end).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(between(found), between(&again));
    true
}

/// A fixed one: a finding must be found again.
pub(super) fn placeholder() -> Placeholder {
    Placeholder {
        access_key_id: "ASIACHAPAAAABBBBCCCC".to_owned(),
        secret: SecretText::new("placeholder/secret+of/40/characters/00001".to_owned()),
        session_token: SecretText::new("placeholder-token/".repeat(8)),
    }
}
