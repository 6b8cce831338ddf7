//! Bounds on what one row may hold. What is cut is named in the row's `truncated` column.

use serde_json::{Map, Value};

/// Bytes of a name, an id or a code.
pub(super) const NAME_MAX: usize = 256;
/// Bytes of a sentence for a person.
pub(super) const TEXT_MAX: usize = 4096;
/// Bytes of a list of names, ARNs or arguments as JSON: a thousand S3 keys of one DeleteObjects fit.
pub(super) const LIST_MAX: usize = 128 * 1024;
/// Bytes of one text inside JSON.
const LEAF_MAX: usize = 2048;

/// What stands for U+0000, which PostgreSQL does not store and at which tools that show SQLite's texts stop.
const NUL: &str = "\u{fffd}";

/// Cuts the columns of one row and remembers which.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    cut: Vec<&'static str>,
}

impl Cutter {
    /// At most `max` bytes of `text`, on a character boundary, without NUL.
    pub(super) fn text(&mut self, column: &'static str, mut text: String, max: usize) -> String {
        let (long, nul) = (text.len() > max, text.contains('\0'));
        if nul {
            text = text.replace('\0', NUL);
        }
        if text.len() > max {
            text.truncate(text.floor_char_boundary(max));
        }
        if long || nul {
            self.cut.push(column);
        }
        text
    }

    /// The same for a text that may be missing.
    pub(super) fn optional(
        &mut self,
        column: &'static str,
        text: Option<String>,
        max: usize,
    ) -> Option<String> {
        text.map(|text| self.text(column, text, max))
    }

    /// `value` as JSON of at most `max` bytes: long texts are cut, then what does not fit is left out.
    pub(super) fn json(&mut self, column: &'static str, value: &Value, max: usize) -> String {
        let mut budget = Budget { left: max, cut: false };
        let kept = budget.keep(value).unwrap_or(Value::Null);
        if budget.cut {
            self.cut.push(column);
        }
        kept.to_string()
    }

    /// The same for a list of texts.
    pub(super) fn list(&mut self, column: &'static str, texts: Vec<String>) -> String {
        self.json(column, &Value::from(texts), LIST_MAX)
    }

    /// Names something else that is missing.
    pub(super) fn note(&mut self, word: &'static str) {
        self.cut.push(word);
    }

    /// Whether this column was cut.
    pub(super) fn is_cut(&self, column: &str) -> bool {
        self.cut.contains(&column)
    }

    /// The `truncated` column: a JSON list of column names.
    pub(super) fn truncated(self) -> String {
        Value::from(self.cut).to_string()
    }
}

/// Walks a value and spends bytes on it.
struct Budget {
    left: usize,
    cut: bool,
}

impl Budget {
    /// The part of `value` that the rest of the budget pays for; `None` if that is nothing.
    fn keep(&mut self, value: &Value) -> Option<Value> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.pay(value.to_string().len() + 1).then(|| value.clone())
            }
            Value::String(text) => self.keep_text(text).map(Value::String),
            Value::Array(items) => {
                self.pay(3).then(|| Value::Array(items.iter().map_while(|item| self.keep(item)).collect()))
            }
            Value::Object(fields) => self.pay(3).then(|| {
                let mut kept = Map::new();
                // Numbers first: limits on their sums must outlive what else is cut.
                let is_number = |(_, field): &(&String, &Value)| field.is_number();
                let (numbers, others): (Vec<_>, Vec<_>) = fields.iter().partition(is_number);
                for (name, field) in numbers.into_iter().chain(others) {
                    let Some(name) = self.keep_text(name) else { break };
                    let Some(field) = self.keep(field) else { break };
                    kept.insert(name, field);
                }
                Value::Object(kept)
            }),
        }
    }

    fn keep_text(&mut self, text: &str) -> Option<String> {
        let (kept, _) = text.split_at(text.floor_char_boundary(LEAF_MAX));
        let nul = kept.contains('\0');
        self.cut |= nul || kept.len() < text.len();
        let kept = if nul { kept.replace('\0', NUL) } else { kept.to_owned() };
        // Escapes such as \u0001 make JSON longer than the text.
        self.pay(Value::from(kept.as_str()).to_string().len() + 1).then_some(kept)
    }

    /// Takes `bytes` from the budget, or notes that they are not there. The budget then stays
    /// empty, so that nothing after the first thing left out slips in.
    fn pay(&mut self, bytes: usize) -> bool {
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            true
        } else {
            self.left = 0;
            self.cut = true;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check_text(text: &str, max: usize, expected: &str, truncated: &str) {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.text("reason", text.to_owned(), max), expected);
        assert_eq!(cutter.truncated(), truncated);
    }

    #[test]
    fn texts_are_cut_on_a_character_boundary_and_flagged() {
        check_text("abc", 3, "abc", "[]");
        check_text("abcd", 3, "abc", r#"["reason"]"#);
        check_text("aéé", 4, "aé", r#"["reason"]"#);
        check_text("a\0b", 5, "a\u{fffd}b", r#"["reason"]"#);
        check_text("a\0b", 4, "a\u{fffd}", r#"["reason"]"#);
    }

    fn check_json(value: &Value, max: usize, expected: &Value, cut: bool) {
        let mut cutter = Cutter::default();
        let kept: Value = serde_json::from_str(&cutter.json("params", value, max)).unwrap();
        assert_eq!(&kept, expected);
        assert_eq!(cutter.truncated() == r#"["params"]"#, cut);
    }

    #[test]
    fn json_is_cut_to_valid_json_and_flagged() {
        check_json(&json!({"a": 1, "b": [true, null]}), 100, &json!({"a": 1, "b": [true, null]}), false);
        check_json(&json!([1, 2, 3, 4]), 8, &json!([1, 2]), true);
        check_json(&json!({"a": 1, "b": 2}), 12, &json!({"a": 1}), true);
        check_json(&json!("x".repeat(LEAF_MAX + 1)), 10_000, &json!("x".repeat(LEAF_MAX)), true);
        check_json(&json!("toolong"), 3, &Value::Null, true);
        check_json(
            &json!({"a\0": ["\\u0000", "\0"]}),
            100,
            &json!({"a\u{fffd}": ["\\u0000", "\u{fffd}"]}),
            true,
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_never_exceeds_its_bound(value in any_json(), max in 4_usize..400) {
            let mut cutter = Cutter::default();
            let text = cutter.json("params", &value, max);
            prop_assert!(text.len() <= max, "{} > {max}: {text}", text.len());
            let whole = serde_json::from_str::<Value>(&text).unwrap() == value;
            prop_assert_eq!(cutter.truncated() == "[]", whole);
            prop_assert!(!text.contains("\\u0000") || text.contains("\\\\u0000"), "{}", text);
        }
    }
}
