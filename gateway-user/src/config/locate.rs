//! Where in the file a value stands, and what the TOML reader's words mean.

use std::fmt;

use toml::de::{DeTable, DeValue};

use crate::meant::meant;

/// One step into a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The value of a key.
    Key(&'static str),
    /// The item of an array, from 0.
    Item(usize),
}

/// A path into the document, as admins write it: `workload[1].cgroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

impl KeyPath {
    pub(super) fn of(section: &'static str, key: &'static str) -> Self {
        Self(vec![Step::Key(section), Step::Key(key)])
    }
    pub(super) fn item(mut self, number: usize) -> Self {
        self.0.push(Step::Item(number));
        self
    }
    pub(super) fn key(mut self, key: &'static str) -> Self {
        self.0.push(Step::Key(key));
        self
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(number) => write!(f, "[{number}]")?,
            }
        }
        Ok(())
    }
}

/// A parsed document that still knows where everything stands.
#[derive(Debug)]
pub(super) struct Document<'a> {
    table: Option<DeTable<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        Self { table: DeTable::parse(text).ok().map(toml::Spanned::into_inner) }
    }

    /// The byte offset of the value at `path`; where it is not written down, that of what should
    /// hold it.
    pub(super) fn offset(&self, path: &KeyPath) -> usize {
        let mut steps = path.0.iter();
        let Some(table) = &self.table else { return 0 };
        let Some(Step::Key(first)) = steps.next() else { return 0 };
        let Some(mut value) = table.get(*first) else { return 0 };
        for step in steps {
            let next = match (step, value.get_ref()) {
                (Step::Key(key), DeValue::Table(table)) => table.get(*key),
                (Step::Item(number), DeValue::Array(items)) => items.get(*number),
                _ => None,
            };
            match next {
                Some(next) => value = next,
                None => break,
            }
        }
        value.span().start
    }
}

/// The TOML reader's words, with a guess at what was meant where a key is unknown.
pub(super) fn explain(message: &str) -> String {
    let Some((unknown, expected)) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, expected "))
    else {
        return message.trim_end().to_owned();
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let begun = known.iter().copied().filter(|key| unknown.len() > 2 && key.starts_with(unknown)).min();
    match begun.or_else(|| meant(unknown, known.iter().copied())) {
        Some(key) => format!("unknown key `{unknown}`: did you mean `{key}`?"),
        None => format!("unknown key `{unknown}`; known here: {}", known.join(", ")),
    }
}
