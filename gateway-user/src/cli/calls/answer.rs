//! What AWS answered, for people: a document in lines, or why it is not there.

use crate::record::query::Answer;

/// Signs of a line that are shown, unless all are wanted.
const WIDE: usize = 160;

/// An answer in lines, of which only the first are wanted.
pub(in crate::cli) struct Lines {
    /// The first lines, no longer than people read.
    pub(in crate::cli) shown: Vec<String>,
    /// What is missing of it, and why.
    pub(in crate::cli) missing: Option<String>,
}

/// Cuts an answer to `lines` lines; `None`: all of it.
pub(in crate::cli) fn lines(answer: &Answer, lines: Option<usize>) -> Lines {
    let kept = answer.text();
    let text = kept.as_deref().map(document).unwrap_or_default();
    let all = text.lines().count();
    let shown: Vec<String> =
        text.lines().take(lines.unwrap_or(usize::MAX)).map(|line| cut(line, lines)).collect();
    let mut missing = Vec::new();
    if let (Some(content), None) = (&answer.content, &kept) {
        missing.push(format!("{} bytes that are no text", content.len()));
    }
    if shown.len() < all {
        missing.push(format!("{} more lines (--full)", all - shown.len()));
    }
    if !answer.missing.is_empty() {
        let kept = if answer.content.is_some() { "only its beginning is" } else { "not" };
        missing.push(format!("of {} bytes, {kept} kept: {}", answer.length, answer.missing.join(", ")));
    }
    Lines { shown, missing: (!missing.is_empty()).then(|| missing.join("; ")) }
}

/// JSON with a line for each member; anything else as it is.
fn document(text: &str) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.unwrap_or_else(|| text.to_owned())
}

fn cut(line: &str, lines: Option<usize>) -> String {
    match line.char_indices().nth(WIDE) {
        Some((end, _)) if lines.is_some() => format!("{}…", line.get(..end).unwrap_or(line)),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content: Option<&[u8]>, missing: &[&str]) -> Answer {
        Answer {
            media_type: None,
            digest: None,
            length: 9000,
            content: content.map(<[u8]>::to_vec),
            missing: missing.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn an_answer_is_cut_to_what_people_read() {
        let told = lines(&answer(Some(br#"{"a":{"b":1},"c":[]}"#), &[]), Some(3));
        assert_eq!(told.shown, ["{", "  \"a\": {", "    \"b\": 1"]);
        assert_eq!(told.missing.as_deref(), Some("3 more lines (--full)"));
        let long = "x".repeat(500);
        let told = lines(&answer(Some(long.as_bytes()), &["too-long"]), Some(3));
        assert_eq!(told.shown, [format!("{}…", "x".repeat(160))]);
        assert_eq!(told.missing.as_deref(), Some("of 9000 bytes, only its beginning is kept: too-long"));
        assert_eq!(lines(&answer(Some(long.as_bytes()), &[]), None).shown, [long]);
    }

    #[test]
    fn cbor_is_shown_as_json_and_what_is_no_text_is_counted() {
        let mut bytes = Vec::new();
        let value = serde_json::json!({"MetricName": "cpu", "Values": [1, 2.5, null, true]});
        ciborium::into_writer(&value, &mut bytes).unwrap();
        let cbor = Answer { media_type: Some("application/cbor".to_owned()), ..answer(Some(&bytes), &[]) };
        let told = lines(&cbor, None);
        let shown: serde_json::Value = serde_json::from_str(&told.shown.join("")).unwrap();
        assert_eq!((shown, told.missing), (value, None));
        let cut = Answer { content: bytes.get(..9).map(<[u8]>::to_vec), ..cbor };
        assert_eq!(lines(&cut, None).missing.as_deref(), Some("9 bytes that are no text"));
        let told = lines(&answer(Some(b"\xff\xfe\x00"), &[]), Some(3));
        assert_eq!((told.shown.len(), told.missing.as_deref()), (0, Some("3 bytes that are no text")));
        // The beginning of a long text may end within a character.
        assert_eq!(lines(&answer(Some("naïve".as_bytes().split_at(3).0), &[]), None).shown, ["na"]);
    }

    #[test]
    fn what_is_not_kept_says_why() {
        let told = lines(&answer(None, &["object", "broken-off"]), Some(3));
        assert!(told.shown.is_empty());
        assert_eq!(told.missing.as_deref(), Some("of 9000 bytes, not kept: object, broken-off"));
        assert!(lines(&answer(Some(b""), &[]), Some(3)).missing.is_none());
    }
}
