//! Reading just enough Rust: code without comments and tests, and the paths it names; and just enough
//! Markdown: where its links lead.

/// The code of a file: no comments, and nothing of a closing `#[cfg(test)] mod … { … }`.
pub fn code(text: &str) -> String {
    let product = match text.find("#[cfg(test)]\nmod tests {") {
        Some(at) => text.get(..at).unwrap_or(text),
        None => text,
    };
    product.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// A line up to its `//`. A `//` inside a text such as a URL follows a colon and stays.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line.get(from..).and_then(|rest| rest.find("//")).map(|at| at + from) {
        if !line.get(..at).is_some_and(|before| before.ends_with(':')) {
            return line.get(..at).unwrap_or(line);
        }
        from = at + 2;
    }
    line
}

/// Every path in `code` that begins with the segment `root`, `use` groups spelt out:
/// `use std::{fmt, net::SocketAddr}` gives `std::fmt` and `std::net::SocketAddr`.
pub fn paths(code: &str, root: &str) -> Vec<String> {
    let start = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&start) {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        // `my_std::x` and `other::std::x` name something else; `::std` and `$crate` do not occur.
        if before.is_some_and(|c| is_word(c) || c == ':' || c == '$') {
            continue;
        }
        let mut tree = Tree { rest: code.get(at + start.len()..).unwrap_or_default() };
        tree.expand(root, &mut found);
    }
    found
}

/// The targets of the inline links `[…](target)` of a Markdown text, code left out.
pub fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Every second part of a line stands in code.
            for prose in line.split('`').step_by(2) {
                let ends = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
                found.extend(ends);
            }
        }
    }
    found
}

/// A `use` tree being read.
struct Tree<'a> {
    rest: &'a str,
}

impl Tree<'_> {
    /// Reads one branch that hangs below `prefix`.
    fn expand(&mut self, prefix: &str, found: &mut Vec<String>) {
        self.skip_space();
        if self.eat('{') {
            loop {
                self.skip_space();
                if self.rest.is_empty() || self.eat('}') {
                    return;
                }
                let before = self.rest.len();
                self.expand(prefix, found);
                self.skip_renaming();
                self.eat(',');
                if self.rest.len() == before {
                    return;
                }
            }
        }
        let word = self.word();
        let path = if word.is_empty() { prefix.to_owned() } else { format!("{prefix}::{word}") };
        match self.rest.strip_prefix("::") {
            Some(rest) if !word.is_empty() => {
                self.rest = rest;
                self.expand(&path, found);
            }
            _ => found.push(path),
        }
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        word.to_owned()
    }

    fn skip_renaming(&mut self) {
        self.skip_space();
        let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
        self.rest = self.rest.get(end..).unwrap_or_default();
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
