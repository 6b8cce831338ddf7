//! The golden file: AWS CLI commands and the IAM actions and resources that they need, written by hand.
//!
//! ```text
//! [s3]
//! aws s3api get-object --bucket reports --key a.csv out.csv
//!     GetObject
//!     s3:GetObject arn:aws:s3:::reports/a.csv
//!     ? kms:Decrypt *    # may be needed or not
//! ```
//! A heading is the IAM prefix of the operation's service. Below a command stand its operation and
//! every action with its resource, `*` where IAM knows none. `A | B` are two ways to write one resource.
//! `?` marks what is not certain: it may be there or not. `#` begins a comment.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use gateway_user::classify::ActionOn;

/// Every case of the file, in order.
#[derive(Debug)]
pub struct Golden {
    /// The cases.
    pub cases: Vec<Case>,
}

/// One command.
#[derive(Debug)]
pub struct Case {
    /// Where it stands.
    pub line: usize,
    /// The command line.
    pub command: String,
    /// IAM prefix of the service.
    pub prefix: String,
    /// The API operation.
    pub operation: String,
    /// The pairs that IAM decides on.
    pub expected: Vec<Expected>,
}

/// An action with its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `service:Name`.
    pub action: String,
    /// The resource; several where it can be written in several ways.
    pub resources: Vec<String>,
    /// Whether it must be there; otherwise it may.
    pub certain: bool,
}

/// How what was read compares with what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same actions on the same resources.
    Exact,
    /// The same actions, but `*` instead of a resource that could have been named: only rules that say
    /// `*` allow it, so this is safe, and less useful. Which actions.
    Coarse(Vec<String>),
    /// Anything else: what is missing or too much.
    Wrong(Vec<String>),
}

impl Golden {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When a line is none of those described above.
    pub fn parse(text: &str) -> Result<Self> {
        let mut cases: Vec<Case> = Vec::new();
        let mut prefix = String::new();
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            if let Some(heading) = line.strip_prefix('[') {
                heading.trim_end().trim_end_matches(']').clone_into(&mut prefix);
            } else if line.starts_with("aws ") {
                let (command, prefix) = (line.trim_end().to_owned(), prefix.clone());
                cases.push(Case {
                    line: number,
                    command,
                    prefix,
                    operation: String::new(),
                    expected: Vec::new(),
                });
            } else if line.starts_with(' ') {
                let case = cases.last_mut().with_context(|| format!("line {number} is below no command"))?;
                case.read(without_comment(line)).with_context(|| format!("line {number}"))?;
            } else {
                ensure!(without_comment(line).is_empty(), "line {number} is not understood: {line}");
            }
        }
        for case in &cases {
            ensure!(!case.prefix.is_empty(), "line {} is below no heading", case.line);
            ensure!(case.expected.iter().any(|on| on.certain), "line {} expects no action", case.line);
        }
        Ok(Self { cases })
    }

    /// How many cases each service has.
    #[must_use]
    pub fn by_service(&self) -> BTreeMap<&str, usize> {
        let mut count = BTreeMap::new();
        for case in &self.cases {
            *count.entry(case.prefix.as_str()).or_default() += 1;
        }
        count
    }
}

impl Case {
    fn read(&mut self, line: &str) -> Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        let (certain, line) = match line.strip_prefix("? ") {
            Some(rest) => (false, rest),
            None => (true, line),
        };
        let Some((action, resources)) = line.split_once(' ') else {
            ensure!(self.operation.is_empty() && certain, "an action has no resource: {line}");
            line.clone_into(&mut self.operation);
            return Ok(());
        };
        ensure!(!self.operation.is_empty(), "the operation is missing");
        ensure!(action.contains(':'), "{action} is no action");
        let resources: Vec<String> = resources.split(" | ").map(|text| text.trim().to_owned()).collect();
        if let Some(odd) = resources.iter().find(|text| *text != "*" && !text.starts_with("arn:")) {
            bail!("{odd} is no resource");
        }
        self.expected.push(Expected { action: action.to_owned(), resources, certain });
        Ok(())
    }

    /// Holds the operation that was read (`prefix:Operation`) and its actions against what stands here.
    #[must_use]
    pub fn judge(&self, read: &str, actions: &[ActionOn]) -> Verdict {
        let mut wrong = Vec::new();
        if read != format!("{}:{}", self.prefix, self.operation) {
            wrong.push(format!("read as {read}"));
        }
        let mut coarse = Vec::new();
        let mut met = vec![false; self.expected.len()];
        for pair in actions {
            let same = |on: &Expected| on.action == pair.action && on.resources.contains(&pair.resource);
            let named = |on: &Expected| on.action == pair.action && pair.resource == "*";
            if self.expected.iter().any(same) {
                mark(&mut met, &self.expected, same);
            } else if self.expected.iter().any(named) {
                mark(&mut met, &self.expected, named);
                coarse.push(pair.action.clone());
            } else {
                wrong.push(format!("not expected: {} {}", pair.action, pair.resource));
            }
        }
        for (on, _) in self.expected.iter().zip(&met).filter(|(on, met)| on.certain && !**met) {
            wrong.push(format!("missing: {} {}", on.action, on.resources.join(" | ")));
        }
        match (wrong.is_empty(), coarse.is_empty()) {
            (false, _) => Verdict::Wrong(wrong),
            (true, false) => Verdict::Coarse(coarse),
            (true, true) => Verdict::Exact,
        }
    }
}

fn mark(met: &mut [bool], expected: &[Expected], which: impl Fn(&Expected) -> bool) {
    met.iter_mut().zip(expected).filter(|(_, on)| which(on)).for_each(|(met, _)| *met = true);
}

/// A line without comment and spaces around it. A `#` begins a comment only after a space or at the
/// beginning.
fn without_comment(line: &str) -> &str {
    if line.starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(before, _)| before).trim()
}

#[cfg(test)]
mod tests;
