//! Secret access keys of AWS: 40 characters that say nothing by themselves, so they need an access key id or a name
//! near them (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>).

use super::{Found, Name};

/// Characters of a secret access key.
const LENGTH: usize = 40;
/// Characters of the access key ids that are in use.
const ID_LENGTH: usize = 20;
/// Characters between an id or name and the key.
const GAP: usize = 100;
/// Characters of a value that is a name.
const NAME_MAX: usize = 128;

fn of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+')
}

/// Whether it looks random: hashes are hexadecimal, words and paths have no digits among large letters.
fn is_key(run: &[u8]) -> bool {
    let has = |what: fn(&u8) -> bool| run.iter().any(what);
    run.len() == LENGTH
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(|b| !b.is_ascii_alphabetic())
        && has(|b| !b.is_ascii_hexdigit())
}

/// The key near an access key id, which may begin at `start`: after it, or else before it.
pub(super) fn by_id(text: &[u8], start: usize, found: &mut Vec<Found>) {
    let end = start + ID_LENGTH;
    let Some(id) = text.get(start..end) else { return };
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    let inside = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    if !is_id(id) || inside(before) || inside(text.get(end)) {
        return;
    }
    if let Some(key) = after(text, end) {
        found.push(Found { start, hide: key, by: Name::AccessKey, open: false });
        return;
    }
    let from = start.saturating_sub(GAP + LENGTH);
    let mut at = start;
    while at > from {
        let run = text.get(from..at).unwrap_or_default().iter().rev().take_while(|b| of_key(**b)).count();
        if is_key(text.get(at - run..at).unwrap_or_default()) && !padded(text, at) {
            let hide = at - run..at;
            found.push(Found { start: hide.start, hide, by: Name::AccessKey, open: false });
            return;
        }
        at -= run.max(1);
    }
}

fn is_id(id: &[u8]) -> bool {
    id.len() == ID_LENGTH
        && (id.starts_with(b"AKIA") || id.starts_with(b"ASIA"))
        && id.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// The key after a name that may begin one before `start`: `SecretAccessKey`, `aws_secret_access_key`,
/// `secretKey` …
pub(super) fn by_name(text: &[u8], start: usize, found: &mut Vec<Found>) {
    let Some(end) = name_end(text, start) else { return };
    if let Some(hide) = after(text, end) {
        found.push(Found { start: start.saturating_sub(1), hide, by: Name::AccessKey, open: false });
    }
}

/// Where the name of a secret access key ends whose `ecret` begins at `start`.
fn name_end(text: &[u8], start: usize) -> Option<usize> {
    let first = text.get(start.checked_sub(1)?)?;
    if !first.eq_ignore_ascii_case(&b's') {
        return None;
    }
    let separated = |at: usize| match text.get(at) {
        Some(b'_' | b'-' | b'.' | b' ') => at + 1,
        _ => at,
    };
    let word = |at: usize, word: &[u8]| {
        let end = at + word.len();
        text.get(at..end).filter(|found| found.eq_ignore_ascii_case(word)).map(|_| end)
    };
    let at = separated(start + b"ecret".len());
    word(word(at, b"access").map_or(at, separated), b"key")
}

/// The first run of exactly as many characters as a key has, not far after `end`.
fn after(text: &[u8], end: usize) -> Option<std::ops::Range<usize>> {
    let mut at = end;
    // Letters of the name itself are no key.
    while at < end + GAP {
        let rest = text.get(at..)?;
        at += rest.iter().take(end + GAP - at).position(|b| of_key(*b))?;
        let run = text.get(at..)?.iter().take(LENGTH + 1).take_while(|b| of_key(**b)).count();
        let whole = at == end || !text.get(at - 1).is_some_and(|b| of_key(*b));
        if whole && is_key(text.get(at..at + run)?) && !padded(text, at + run) {
            return Some(at..at + run);
        }
        at += run;
    }
    None
}

/// Base64 of something else goes on.
fn padded(text: &[u8], end: usize) -> bool {
    text.get(end) == Some(&b'=')
}

/// Whether a name is that of a secret access key: as a member's, or as the value beside its value.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.len() <= NAME_MAX
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ' | b':' | b'/'))
        && (0..name.len()).any(|at| {
            let word = name.get(at..at + 5).is_some_and(|word| matches!(word, b"ecret" | b"ECRET"));
            word && name_end(name, at).is_some()
        })
}

/// Whether the value beside this one may be a secret access key.
pub(super) fn arms(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    is_id(text) || is_name(text)
}

/// The key, where a text is nothing else.
pub(super) fn only(text: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = text.len() - text.trim_ascii_start().len();
    let key = text.trim_ascii();
    is_key_alone(key).then(|| start..start + key.len())
}

fn is_key_alone(key: &[u8]) -> bool {
    is_key(key) && key.iter().all(|b| of_key(*b))
}
