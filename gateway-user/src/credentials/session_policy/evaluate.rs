//! What IAM says to a policy, as far as session policies go: for tests, and written apart from what
//! writes the policies.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use serde_json::Value;

/// Whether a policy allows an action on a resource. An explicit Deny wins.
pub(in crate::credentials) fn allows(policy: &str, action: &str, resource: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Version"], "2012-10-17", "variables need this version");
    let mut allowed = false;
    for statement in policy["Statement"].as_array().unwrap() {
        let action_fits = texts(&statement["Action"])
            .iter()
            .any(|pattern| fits(&plain(&pattern.to_lowercase()), &action.to_lowercase()));
        let resource_fits =
            texts(&statement["Resource"]).iter().any(|pattern| fits(&variables(pattern), resource));
        if action_fits && resource_fits {
            match statement["Effect"].as_str().unwrap() {
                "Allow" => allowed = true,
                "Deny" => return false,
                other => panic!("{other}"),
            }
        }
    }
    allowed
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        other => panic!("{other}"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Char(char),
}

fn plain(pattern: &str) -> Vec<Part> {
    let part = |c| match c {
        '*' => Part::Any,
        '?' => Part::One,
        other => Part::Char(other),
    };
    pattern.chars().map(part).collect()
}

/// With `${*}`, `${?}` and `${$}`, which stand for these characters.
fn variables(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        parts.extend(plain(before));
        let (name, after) = after.split_once('}').expect("a variable has an end");
        assert!(["*", "?", "$"].contains(&name), "a variable {name:?} would be looked up");
        parts.extend(name.chars().map(Part::Char));
        rest = after;
    }
    parts.extend(plain(rest));
    parts
}

fn fits(pattern: &[Part], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Which beginnings of the text the pattern so far fits.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for part in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match part {
                Part::Any => ends[at] || at > 0 && next[at - 1],
                Part::One => at > 0 && ends[at - 1],
                Part::Char(c) => at > 0 && ends[at - 1] && text[at - 1] == *c,
            };
        }
        ends = next;
    }
    ends[text.len()]
}

#[test]
fn patterns() {
    for (pattern, text, expected) in [
        ("a*b", "ab", true),
        ("a*b", "axxb", true),
        ("a*b", "axxc", false),
        ("a?b", "axb", true),
        ("a?b", "ab", false),
        ("a${*}b", "a*b", true),
        ("a${*}b", "axb", false),
        ("a${$}{x}", "a${x}", true),
        ("*", "", true),
    ] {
        assert_eq!(fits(&variables(pattern), text), expected, "{pattern} {text}");
    }
}
