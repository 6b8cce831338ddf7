//! A loaded set of rules, indexed by the actions they are about.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use cedar_policy::Effect;

use super::{
    Reason,
    check::{check, check_id, no_templates},
    error::{Complaint, PolicyError, PolicyErrors},
    names::ActionName,
    reads::Reads,
    rule::{Applies, Rule},
    source::{Source, split},
    view::{Call, View},
};
use crate::classify::ActionOn;

/// A loaded set of policies. An empty set denies everything.
#[derive(Debug)]
pub struct Policies {
    rules: Vec<Rule>,
    index: Index,
    files: usize,
    digest: String,
}

/// Which rules are about which actions; each rule stands once for one action.
#[derive(Debug, Default)]
struct Index {
    any: Vec<usize>,
    by_service: HashMap<String, Vec<usize>>,
    by_action: HashMap<String, Vec<usize>>,
}

impl Policies {
    /// Loads the text of some policy files, in any order.
    ///
    /// A rule is known by its `@id`, or else as `file.cedar#3`, the third rule of that file; ids
    /// are unique over all files. `docs/policy-guide.md` lists what is refused and why.
    ///
    /// # Errors
    /// [`PolicyErrors`]: everything wrong with every file.
    pub fn parse(files: impl IntoIterator<Item = (PathBuf, String)>) -> Result<Self, PolicyErrors> {
        let mut files: Vec<(PathBuf, String)> = files.into_iter().collect();
        files.sort();
        let mut loader = Loader::default();
        for (path, text) in &files {
            loader.file(path, text);
        }
        if !loader.errors.is_empty() {
            return Err(PolicyErrors(loader.errors));
        }
        Ok(Self { rules: loader.rules, index: loader.index, files: files.len(), digest: digest(&files) })
    }

    /// Whether there is no rule at all, so that everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many rules there are.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// How many files they came from.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files
    }

    /// The ids of all rules, in file order.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    /// What identifies this set in records: the SHA-256, in lower-case hex, of its files in the
    /// order of their names, each as length and name, length and text (lengths as 8 bytes, big
    /// endian). The directory is not part of it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What all rules about one pair say.
    pub(super) fn judge(&self, call: &Call<'_>, pair: &ActionOn) -> Judgement<'_> {
        let about = self.index.about(&pair.action).filter_map(|number| self.rules.get(number));
        let rules: Vec<&Rule> = about.filter(|rule| rule.covers(call.workload())).collect();
        let reads = rules.iter().fold(Reads::default(), |reads, rule| reads | rule.reads());
        let view = View::new(call, pair, reads);
        let mut judgement = Judgement::default();
        for rule in rules {
            match (rule.applies(&view), rule.effect) {
                (Applies::No, _) => {}
                (Applies::Yes, Effect::Permit) => judgement.permits.push(&rule.id),
                (Applies::Yes, Effect::Forbid) => judgement.forbids.push(&rule.id),
                (Applies::Failed(detail), _) => judgement.failed.push((&rule.id, detail)),
            }
        }
        judgement
    }
}

/// What the rules say about one pair, or about all pairs of a call.
#[derive(Debug, Default)]
pub(super) struct Judgement<'a> {
    permits: Vec<&'a str>,
    forbids: Vec<&'a str>,
    failed: Vec<(&'a str, String)>,
    /// The first pair that no rule permits.
    unpermitted: Option<(&'a str, &'a str)>,
}

impl<'a> Judgement<'a> {
    /// Adds what was said about another pair.
    pub(super) fn add(&mut self, other: Judgement<'a>, pair: &'a ActionOn) {
        if other.permits.is_empty() && self.unpermitted.is_none() {
            self.unpermitted = Some((&pair.action, &pair.resource));
        }
        self.permits.extend(other.permits);
        self.forbids.extend(other.forbids);
        self.failed.extend(other.failed);
    }

    /// The permitting rules, or the gravest reason: a forbid, a failure, no permit.
    pub(super) fn conclude(self) -> Result<Vec<String>, Reason> {
        if !self.forbids.is_empty() {
            return Err(Reason::Forbidden { rules: distinct(self.forbids) });
        }
        if let Some((_, detail)) = self.failed.first() {
            let detail = detail.clone();
            return Err(Reason::EvaluationFailed {
                rules: distinct(self.failed.iter().map(|(id, _)| *id)),
                detail,
            });
        }
        match self.unpermitted {
            Some((action, resource)) => {
                Err(Reason::NothingPermits { action: action.to_owned(), resource: resource.to_owned() })
            }
            None => Ok(distinct(self.permits)),
        }
    }
}

fn distinct<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

impl Index {
    fn insert(&mut self, number: usize, actions: &[ActionName<'_>]) {
        if actions.contains(&ActionName::Any) {
            self.any.push(number);
            return;
        }
        let services: Vec<&str> = actions
            .iter()
            .filter_map(
                |action| if let ActionName::Service(service) = action { Some(*service) } else { None },
            )
            .collect();
        let add = |map: &mut HashMap<String, Vec<usize>>, key: &str| {
            let numbers = map.entry(key.to_owned()).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        };
        for service in &services {
            add(&mut self.by_service, service);
        }
        for action in actions {
            if let ActionName::One(action) = action
                && !services.contains(&service_of(action))
            {
                add(&mut self.by_action, action);
            }
        }
    }

    /// The rules about this action, each once.
    fn about(&self, action: &str) -> impl Iterator<Item = usize> {
        let one = self.by_action.get(action).into_iter().flatten();
        let service = self.by_service.get(service_of(action)).into_iter().flatten();
        one.chain(service).chain(&self.any).copied()
    }
}

fn service_of(action: &str) -> &str {
    action.split_once(':').map_or("", |(service, _)| service)
}

/// Collects rules and everything wrong with them.
#[derive(Debug, Default)]
struct Loader {
    rules: Vec<Rule>,
    index: Index,
    errors: Vec<PolicyError>,
    /// Where each id was first used.
    ids: BTreeMap<String, String>,
}

impl Loader {
    fn file(&mut self, path: &Path, text: &str) {
        match split(path, text) {
            Ok(sources) => sources.iter().for_each(|source| self.rule(source)),
            Err(errors) => self.errors.extend(errors),
        }
    }

    fn rule(&mut self, source: &Source<'_>) {
        let complaints = match &source.tree {
            None => vec![no_templates()],
            Some(tree) => match check(tree) {
                complaints if complaints.is_empty() => match self.add(source, tree) {
                    Ok(()) => return,
                    Err(complaint) => vec![complaint],
                },
                complaints => complaints,
            },
        };
        self.errors.extend(complaints.into_iter().map(|complaint| source.locate(complaint)));
    }

    fn add(&mut self, source: &Source<'_>, tree: &cedar_policy::pst::Template) -> Result<(), Complaint> {
        let id = match tree.annotations.get("id") {
            Some(id) => id.to_string(),
            None => default_id(source),
        };
        check_id(&id)?;
        let place = source.place();
        if let Some(first) = self.ids.insert(id.clone(), place) {
            return Err(Complaint::new(format!("the rule id `{id}` is already used at {first}"))
                .about(&id)
                .help("ids are unique over all files: refusals and records name them"));
        }
        let actions = Rule::actions(tree)?;
        let rule = Rule::new(id, tree)?;
        self.index.insert(self.rules.len(), &actions);
        self.rules.push(rule);
        Ok(())
    }
}

/// `file.cedar#3`; what a rule id cannot hold becomes `_`.
fn default_id(source: &Source<'_>) -> String {
    let name = source.file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    format!("{name}#{}", source.ordinal)
}

fn digest(files: &[(PathBuf, String)]) -> String {
    let mut named: Vec<(String, &str)> = files
        .iter()
        .map(|(path, text)| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name, text.as_str())
        })
        .collect();
    named.sort();
    let mut context = digest::Context::new(&digest::SHA256);
    for part in named.iter().flat_map(|(name, text)| [name.as_str(), text]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.finish())
}
