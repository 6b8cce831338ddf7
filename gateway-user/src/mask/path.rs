//! Paths to fields of answers as people write them: `SecretString`, `Parameters[].Value`, `Environment.Variables{}`.

use std::fmt;

/// What stands for a whole answer.
pub(super) const WHOLE: &str = "*";
/// Bytes of a path.
const MAX: usize = 512;

/// A step into an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A member, by its name in the model.
    Member(String),
    /// Every item of a list.
    Item,
    /// Every value of a map.
    Value,
}

/// A path: no step at all is the whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// Reads a path; `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == WHOLE {
            return Some(Self::default());
        }
        if text.len() > MAX {
            return None;
        }
        let mut steps = Vec::new();
        for (number, part) in text.split('.').enumerate() {
            let end = part.find(['[', '{']).unwrap_or(part.len());
            let (name, mut rest) = part.split_at(end);
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            // An answer is a structure; what is in a list or map may be, too.
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            debug_assert!(number == 0 || !steps.is_empty());
            steps.push(Step::Member(name.to_owned()));
            while !rest.is_empty() {
                let (step, after) = match (rest.strip_prefix("[]"), rest.strip_prefix("{}")) {
                    (Some(after), _) => (Step::Item, after),
                    (None, Some(after)) => (Step::Value, after),
                    (None, None) => return None,
                };
                steps.push(step);
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// Whether `text`, the path of a field, is this or within this.
    pub(super) fn covers(&self, text: &str) -> bool {
        let own = self.to_string();
        let Some(rest) = text.strip_prefix(own.as_str()) else { return self.0.is_empty() };
        rest.is_empty() || rest.starts_with(['.', '[', '{'])
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(WHOLE);
        }
        let mut text = String::new();
        self.0.iter().for_each(|step| step.append(&mut text));
        f.write_str(&text)
    }
}

impl Step {
    /// Adds this step to a path.
    pub(super) fn append(&self, path: &mut String) {
        match self {
            Self::Member(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Self::Item => path.push_str("[]"),
            Self::Value => path.push_str("{}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written() {
        for text in ["*", "SecretString", "Parameters[].Value", "Environment.Variables{}", "A[][].b-c{}.D_e"]
        {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        let long = "a".repeat(MAX + 1);
        for wrong in
            ["", ".", "A.", ".A", "A..B", "A[", "A[0]", "A{x}", "A[]B", "[]", "**", "A*", "A B", "ä", &long]
        {
            assert_eq!(Path::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_path_covers_what_is_in_it() {
        for (path, field, expected) in [
            ("*", "A.B", true),
            ("*", "*", true),
            ("A", "A", true),
            ("A", "A.B", true),
            ("A", "A[].B", true),
            ("A", "A{}", true),
            ("A", "AB", false),
            ("A.B", "A", false),
            ("A[]", "A", false),
        ] {
            assert_eq!(Path::parse(path).unwrap().covers(field), expected, "{path} {field}");
        }
    }
}
