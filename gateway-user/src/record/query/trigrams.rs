//! Which trigrams a text must have that contains another (<https://www.sqlite.org/fts5.html#the_trigram_tokenizer>).

/// A condition for SQLite's index of trigrams that every text with `needle` in it meets; `None` where there is none. Every
/// third trigram and the last: they cover all signs, and the fewer lists of calls are compared the better.
///
/// `is_plain`: signs that the index has as they are; no trigram with another is asked for.
pub(super) fn of(needle: &str, is_plain: impl Fn(char) -> bool) -> Option<String> {
    let signs: Vec<char> = needle.chars().collect();
    let last = signs.len().checked_sub(3)?;
    let starts = (0..last).step_by(3).chain([last]);
    let wanted: Vec<String> = starts
        .filter_map(|start| signs.get(start..start + 3))
        .filter(|signs| signs.iter().all(|&sign| is_plain(sign)))
        .map(|signs| format!("\"{}\"", signs.iter().collect::<String>().replace('"', "\"\"")))
        .collect();
    (!wanted.is_empty()).then(|| wanted.join(" AND "))
}

/// Whether the text has three letters or digits in a row, without which PostgreSQL's index would be read as a whole
/// (<https://www.postgresql.org/docs/15/pgtrgm.html#PGTRGM-INDEX>).
pub(super) fn has_word(needle: &str) -> bool {
    needle.split(|sign: char| !sign.is_alphanumeric()).any(|word| word.chars().count() >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(needle: &str, expected: Option<&str>) {
        assert_eq!(of(needle, |sign| sign != '\\').as_deref(), expected, "{needle:?}");
    }

    #[test]
    fn all_signs_are_in_some_trigram() {
        check("ab", None);
        check("abc", Some(r#""abc""#));
        check("abcd", Some(r#""abc" AND "bcd""#));
        check("abcdef", Some(r#""abc" AND "def""#));
        check("abcdefg", Some(r#""abc" AND "def" AND "efg""#));
        check("ÄÖÜß", Some(r#""ÄÖÜ" AND "ÖÜß""#));
    }

    #[test]
    fn signs_of_the_language_are_literal_and_others_are_left_out() {
        check(r#"a"b"#, Some(r#""a""b""#));
        check("a OR b*", Some(r#""a O" AND "R b" AND " b*""#));
        check(r"abc\ef", Some(r#""abc""#));
        check(r"a\c", None);
    }

    #[test]
    fn words_have_three_signs() {
        for (text, expected) in
            [("", false), ("a-b", false), ("ab cd", false), ("a-bcd", true), ("#4711", true), ("äöü", true)]
        {
            assert_eq!(has_word(text), expected, "{text:?}");
        }
    }
}
