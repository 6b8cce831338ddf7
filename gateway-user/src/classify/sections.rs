//! Data files of words in `[sections]`.

use std::collections::HashMap;

/// Reads such a file; `#` starts a comment line. Words are sorted.
pub(super) fn sections(text: &'static str) -> HashMap<&'static str, Vec<&'static str>> {
    let mut sections: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut current = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => current = name,
            None => sections.entry(current).or_default().extend(line.split_whitespace()),
        }
    }
    sections.values_mut().for_each(|words| words.sort_unstable());
    sections
}
