//! Cedar text before it is parsed: what is comment, what is string, how deep it nests.
//!
//! Cedar's parser recurses, so text that nests without bound would overflow the stack of the
//! daemon instead of failing to load.

use std::borrow::Cow;

use super::error::Complaint;

/// How deep brackets may nest in a rule.
const MAX_BRACKETS: usize = 32;
/// How many operators one rule may have: a chain of them nests as deep.
const MAX_OPERATORS: usize = 400;
/// Bytes one rule may have.
const MAX_RULE_BYTES: usize = 64 * 1024;

/// `text` with comments blanked out, byte for byte, and with `strings` their insides too.
pub(super) fn blank(text: &str, strings: bool) -> String {
    let (mut in_string, mut in_comment, mut escaped) = (false, false, false);
    let mut blanked = text.as_bytes().to_vec();
    let mut previous = b'\0';
    for byte in &mut blanked {
        let seen = *byte;
        if in_comment {
            in_comment = seen != b'\n';
        } else if in_string {
            in_string = seen != b'"' || escaped;
            escaped = seen == b'\\' && !escaped;
        } else {
            in_string = seen == b'"';
            in_comment = seen == b'/' && previous == b'/';
        }
        if (in_comment || (strings && in_string)) && seen != b'\n' {
            *byte = b' ';
        }
        previous = seen;
    }
    // Only whole runs were blanked, so this is UTF-8 as before.
    match String::from_utf8_lossy(&blanked) {
        Cow::Borrowed(same) => same.to_owned(),
        Cow::Owned(replaced) => replaced,
    }
}

/// Checks every rule's bounds; the complaint comes with its byte offset.
pub(super) fn check_bounds(text: &str) -> Result<(), (usize, Complaint)> {
    let code = blank(text, true);
    let (mut start, mut brackets, mut operators) = (0, 0_usize, 0_usize);
    let mut previous = b' ';
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b';' => (start, brackets, operators) = (at + 1, 0, 0),
            b'(' | b'{' => brackets += 1,
            b')' | b'}' | b']' => brackets = brackets.saturating_sub(1),
            b'[' => {
                brackets += 1;
                operators += 1;
            }
            b'.' | b'+' | b'-' | b'*' | b'!' => operators += 1,
            b'&' | b'|' if previous == byte => operators += 1,
            b'f' if previous == b'i' && is_word(&code, at - 1, at + 1) => operators += 1,
            _ => {}
        }
        previous = byte;
        let complaint = if brackets > MAX_BRACKETS {
            Complaint::new(format!("brackets may nest {MAX_BRACKETS} deep"))
        } else if operators > MAX_OPERATORS {
            Complaint::new(format!("a rule may have at most {MAX_OPERATORS} operators"))
        } else if at.saturating_sub(start) > MAX_RULE_BYTES {
            Complaint::new(format!("a rule may have at most {MAX_RULE_BYTES} bytes"))
        } else {
            continue;
        };
        return Err((at, complaint.help("split it into several rules")));
    }
    Ok(())
}

/// Whether the bytes `start..end` are a word of their own.
fn is_word(code: &str, start: usize, end: usize) -> bool {
    let part_of_word =
        |at: usize| code.as_bytes().get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    !part_of_word(end) && !start.checked_sub(1).is_some_and(part_of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings() {
        let check = |text: &str, code: &str, bare: &str| {
            assert_eq!(blank(text, false), code);
            assert_eq!(blank(text, true), bare);
        };
        check("a // b\nc", "a /   \nc", "a /   \nc");
        check("a \"//\" b", "a \"//\" b", "a    \" b");
        check("\"\\\"//\" // ü", "\"\\\"//\" /    ", "     \" /    ");
        check("\"ü\"", "\"ü\"", "   \"");
        check("a / b", "a / b", "a / b");
    }

    #[test]
    fn bounds() {
        let check = |text: &str, expected: Option<(usize, &str)>| {
            let found = check_bounds(text).map_err(|(at, complaint)| (at, complaint.message)).err();
            assert_eq!(found.as_ref().map(|(at, message)| (*at, message.as_str())), expected);
        };
        let deep = "brackets may nest 32 deep";
        let long = "a rule may have at most 400 operators";
        check(&"(".repeat(32), None);
        check(&"(".repeat(33), Some((32, deep)));
        check(&"{".repeat(33), Some((32, deep)));
        check(&"[".repeat(33), Some((32, deep)));
        check(&"()".repeat(10_000), None);
        check(&"((;".repeat(10_000), None);
        check(&"[0]".repeat(401), Some((1200, long)));
        check(&"a || ".repeat(400), None);
        check(&"a || ".repeat(401), Some((2003, long)));
        check(&"if a ".repeat(401), Some((2001, long)));
        check(&"iff fif if_ ".repeat(401), None);
        check(&format!("\"{}\" // {}", "(".repeat(99), ".".repeat(999)), None);
        check(&"x".repeat(65_537), None);
        check(&"x".repeat(65_538), Some((65_537, "a rule may have at most 65536 bytes")));
    }
}
