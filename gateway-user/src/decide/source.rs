//! One policy file → its rules as text, each with its place in the file.

use std::path::Path;

use cedar_policy::{PolicySet, pst};
use miette::Diagnostic as _;

use super::{
    error::{Complaint, PolicyError, Position},
    lexical::{blank, check_bounds},
};

/// A rule as written.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    file_text: &'a str,
    /// Byte range of the rule in the file.
    start: usize,
    end: usize,
    /// Its number in the file, from 1.
    pub(super) ordinal: usize,
    /// Its syntax tree; `None` for a template.
    pub(super) tree: Option<pst::Template>,
}

impl Source<'_> {
    /// `file:line` of the rule.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file.display(), Position::of(self.file_text, self.start).line)
    }

    /// `complaint` with its place: the words it is about, else the start of the rule.
    pub(super) fn locate(&self, complaint: Complaint) -> PolicyError {
        let text = self.file_text.get(self.start..self.end).unwrap_or_default();
        let offset = complaint.about.as_deref().and_then(|words| blank(text, false).find(words));
        PolicyError {
            file: self.file.to_owned(),
            at: Position::of(self.file_text, self.start + offset.unwrap_or(0)),
            message: complaint.message,
            help: complaint.help,
        }
    }
}

/// Splits a file into its rules.
pub(super) fn split<'a>(file: &'a Path, text: &'a str) -> Result<Vec<Source<'a>>, Vec<PolicyError>> {
    let at = |offset: usize, message: String, help: Option<String>| {
        vec![PolicyError { file: file.to_owned(), at: Position::of(text, offset), message, help }]
    };
    let at_start = |message: String| at(0, message, None);
    check_bounds(text).map_err(|(offset, complaint)| at(offset, complaint.message, complaint.help))?;
    let set: PolicySet = text.parse().map_err(|errors| syntax_errors(file, text, &errors))?;

    // Cedar numbers static policies and templates together, in file order.
    let mut parts: Vec<(usize, String, Option<pst::Template>)> = Vec::new();
    for policy in set.policies() {
        let number = cedar_number(policy.id()).ok_or_else(|| at_start("a rule has no number".to_owned()))?;
        let written = policy.to_cedar().unwrap_or_default();
        let tree = match policy.to_pst() {
            Ok(pst::Policy::Static(policy)) => policy.body().clone(),
            Ok(pst::Policy::Linked(_)) => return Err(at_start("a file cannot link templates".to_owned())),
            Err(error) => return Err(at_start(error.to_string())),
        };
        parts.push((number, written, Some(tree)));
    }
    for template in set.templates() {
        let number =
            cedar_number(template.id()).ok_or_else(|| at_start("a template has no number".to_owned()))?;
        parts.push((number, template.to_cedar(), None));
    }
    parts.sort_by_key(|(number, ..)| *number);

    let mut sources = Vec::with_capacity(parts.len());
    let mut from = 0;
    for (ordinal, (_, written, tree)) in (1..).zip(parts) {
        let found = text.get(from..).and_then(|rest| rest.find(&written)).unwrap_or(0);
        let (start, end) = (from + found, from + found + written.len());
        from = end;
        sources.push(Source { file, file_text: text, start, end, ordinal, tree });
    }
    Ok(sources)
}

/// Cedar calls the rules of one text `policy0`, `policy1`, …
fn cedar_number(id: &cedar_policy::PolicyId) -> Option<usize> {
    let id: &str = id.as_ref();
    id.strip_prefix("policy")?.parse().ok()
}

fn syntax_errors(file: &Path, text: &str, errors: &cedar_policy::ParseErrors) -> Vec<PolicyError> {
    let one = |error: &cedar_policy::ParseError| PolicyError {
        file: file.to_owned(),
        at: Position::of(
            text,
            error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset()),
        ),
        message: error.to_string(),
        help: error.help().map(|help| help.to_string()),
    };
    errors.iter().map(one).collect()
}
