//! A loaded set of rules, indexed by the actions they are about.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use aws_lc_rs::digest;
use cedar_policy::{Effect, pst::Template};
use time::OffsetDateTime;

use super::{
    Reason,
    check::{check, check_id, inserts_anywhere, no_templates},
    error::{Complaint, PolicyError, PolicyErrors},
    meters::Meters,
    names::{ActionName, INSERT, REVEAL, level_of, service_of},
    never,
    question::Approvable,
    reads::Reads,
    rule::{Applies, Rule, is_asked_to_insert, is_asked_to_reveal},
    source::{Source, split},
    typed,
    usage::Charge,
    view::{Call, View},
};
use crate::{
    catalog::AccessLevel,
    classify::{ActionOn, Operation},
};

/// A loaded set of policies. An empty set denies everything.
#[derive(Debug)]
pub struct Policies {
    rules: Vec<Rule>,
    index: Index,
    /// The counters that any rule reads.
    meters: Meters,
    warnings: Vec<PolicyError>,
    files: usize,
    digest: String,
}

/// Which rules are about which actions; each rule stands once for one action.
#[derive(Debug, Default)]
struct Index {
    any: Vec<usize>,
    by_level: BTreeMap<AccessLevel, Vec<usize>>,
    by_service: HashMap<String, Vec<usize>>,
    by_service_level: HashMap<String, BTreeMap<AccessLevel, Vec<usize>>>,
    by_action: HashMap<String, Vec<usize>>,
    /// What is asked before anything is revealed: rules that name it, and what forbids everything.
    reveal: Vec<usize>,
    /// The same of what is put into requests.
    insert: Vec<usize>,
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
        Self::load(files, Loader { typed: true, ..Loader::default() })
    }

    /// Loads rules whose conditions may fail, to see what happens when they do.
    #[cfg(test)]
    pub(super) fn parse_untyped(text: &str) -> Result<Self, PolicyErrors> {
        Self::load([("p.cedar".into(), text.to_owned())], Loader::default())
    }

    fn load(
        files: impl IntoIterator<Item = (PathBuf, String)>,
        mut loader: Loader,
    ) -> Result<Self, PolicyErrors> {
        let mut files: Vec<(PathBuf, String)> = files.into_iter().collect();
        files.sort();
        let mut written = Vec::new();
        for (path, text) in &files {
            match split(path, text) {
                Ok(sources) => written.extend(sources),
                Err(errors) => loader.errors.extend(errors),
            }
        }
        written.iter().for_each(|source| loader.rule(source));
        if !loader.errors.is_empty() {
            // By file: errors of syntax were found first.
            loader.errors.sort_by(|a, b| a.file.cmp(&b.file));
            return Err(PolicyErrors(loader.errors));
        }
        loader.never_fire(&written);
        Ok(Self {
            rules: loader.rules,
            index: loader.index,
            meters: loader.meters,
            warnings: loader.warnings,
            files: files.len(),
            digest: digest(&files),
        })
    }

    /// What loads, but is hardly meant so: rules that can never have an effect, or have more than is good. In file order.
    #[must_use]
    pub fn warnings(&self) -> &[PolicyError] {
        &self.warnings
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

    /// Whether the decision depends on what was allowed before, so that it must be counted before
    /// the next one is made.
    #[must_use]
    pub fn counts(&self, operation: &Operation) -> bool {
        let reveal = (!operation.withheld.is_empty()).then_some(REVEAL);
        let insert = (!operation.tokens.is_empty()).then_some(INSERT);
        let own = reveal.into_iter().chain(insert);
        let mut actions = operation.actions.iter().map(|pair| pair.action.as_str()).chain(own);
        self.limits() && actions.any(|action| self.about(action).any(|rule| rule.reads().counts()))
    }

    /// Whether any rule is about revealing.
    pub(super) fn reveal_anything(&self) -> bool {
        !self.index.reveal.is_empty()
    }

    /// What `operation` adds to the counters once it is allowed.
    #[must_use]
    pub fn charge(&self, operation: &Operation, at: OffsetDateTime) -> Charge {
        Charge::of(operation, at, &self.meters.sums)
    }

    /// Whether any rule reads what was allowed before.
    #[must_use]
    pub fn limits(&self) -> bool {
        !self.meters.is_empty()
    }

    /// The parameters whose sums any rule reads.
    pub fn summed(&self) -> impl Iterator<Item = &str> {
        self.meters.sums.iter().filter_map(|name| Some(name.rsplit_once('/')?.1))
    }

    /// The counters that any rule reads.
    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Every rule, in file order.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    fn about(&self, action: &str) -> impl Iterator<Item = &Rule> {
        self.index.about(action).into_iter().filter_map(|number| self.rules.get(number))
    }

    fn about_caller(&self, action: &str, call: &Call<'_>) -> Vec<&Rule> {
        self.about(action).filter(|rule| rule.covers(&call.workload().name, call.identity())).collect()
    }

    /// What all rules about one pair say.
    pub(super) fn judge(&self, call: &Call<'_>, pair: &ActionOn) -> Judgement<'_> {
        let rules = self.about_caller(&pair.action, call);
        let reads = rules.iter().fold(Reads::default(), |reads, rule| reads | rule.reads());
        let view = View::new(call, pair, reads);
        let mut judgement = Judgement::default();
        for rule in rules {
            match (rule.applies(&view), rule.effect) {
                (Applies::No, _) => {}
                (Applies::Yes, Effect::Permit) => {
                    judgement.permits.push(&rule.id);
                    judgement.roles.insert(rule.role.as_deref());
                }
                (Applies::Yes, Effect::Forbid) => judgement.forbids.push(&rule.id),
                (Applies::Failed(detail), _) => judgement.failed.push((&rule.id, detail)),
            }
        }
        judgement
    }

    /// Who could permit this pair, which no rule permits without an approval.
    pub(super) fn approvable(&self, call: &Call<'_>, pair: &ActionOn) -> Vec<Approvable> {
        let mut found = Vec::new();
        for rule in self.about_caller(&pair.action, call) {
            let Some(terms) = &rule.terms else { continue };
            let permits = |groups: &[String]| {
                let approved = call.approved_by(groups);
                rule.applies(&View::new(&approved, pair, rule.reads())) == Applies::Yes
            };
            let alone = terms.reviewers.iter().filter(|group| permits(std::slice::from_ref(*group)));
            let enough: Vec<String> = alone.cloned().collect();
            if !enough.is_empty() || permits(&terms.reviewers) {
                found.push(Approvable { rule: rule.id.clone(), terms: terms.clone(), enough });
            }
        }
        found.sort_by(|a: &Approvable, b| a.rule.cmp(&b.rule));
        found
    }
}

/// What the rules say about one pair, or about all pairs of a call.
#[derive(Debug, Default)]
pub(super) struct Judgement<'a> {
    permits: Vec<&'a str>,
    forbids: Vec<&'a str>,
    failed: Vec<(&'a str, String)>,
    /// The pairs that no rule permits.
    unpermitted: Vec<&'a ActionOn>,
    /// The roles that permitting rules name; `None`: one of them names none.
    roles: BTreeSet<Option<&'a str>>,
}

impl<'a> Judgement<'a> {
    /// Adds what was said about another pair.
    pub(super) fn add(&mut self, other: Judgement<'a>, pair: &'a ActionOn) {
        if other.permits.is_empty() {
            self.unpermitted.push(pair);
        }
        // Of the rules that permit a pair, those that name a role say in which it is done.
        let named = other.roles.iter().any(Option::is_some);
        self.roles.extend(other.roles.into_iter().filter(|role| role.is_some() || !named));
        self.permits.extend(other.permits);
        self.forbids.extend(other.forbids);
        self.failed.extend(other.failed);
    }

    /// The pairs that no rule permits, in order.
    pub(super) fn unpermitted(&self) -> Vec<&'a ActionOn> {
        self.unpermitted.clone()
    }

    /// The permitting rules and the role that they name, or the gravest reason: a forbid, a failure,
    /// no permit, several roles. `own` is the workload's role: naming it is naming none.
    pub(super) fn conclude(self, own: Option<&str>) -> Result<Allowed, Reason> {
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
        match self.unpermitted.first() {
            Some(ActionOn { action, resource }) => {
                Err(Reason::NothingPermits { action: action.clone(), resource: resource.clone() })
            }
            None => Ok(Allowed { role: only(&self.roles, own)?, rules: distinct(self.permits) }),
        }
    }
}

/// What the role is called that no rule names.
pub(super) const OWN_ROLE: &str = "the workload's own";

/// What was allowed, and how.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) rules: Vec<String>,
    pub(super) role: Option<String>,
}

/// The one role of all pairs; `None`: the workload's own. A call is signed once, so it has one.
fn only(roles: &BTreeSet<Option<&str>>, own: Option<&str>) -> Result<Option<String>, Reason> {
    let roles: BTreeSet<Option<&str>> =
        roles.iter().map(|role| role.filter(|role| Some(*role) != own)).collect();
    if roles.len() > 1 {
        let name = |role: Option<&str>| role.unwrap_or(OWN_ROLE).to_owned();
        return Err(Reason::DifferentRoles { roles: roles.into_iter().map(name).collect() });
    }
    Ok(roles.into_iter().flatten().next().map(str::to_owned))
}

fn distinct<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

impl Index {
    fn insert(&mut self, number: usize, actions: &[ActionName<'_>], tree: &Template) {
        if is_asked_to_reveal(tree) {
            self.reveal.push(number);
        }
        if is_asked_to_insert(tree) {
            self.insert.push(number);
        }
        if actions.contains(&ActionName::Any) {
            self.any.push(number);
            return;
        }
        for action in actions {
            let numbers = match *action {
                ActionName::Any => &mut self.any,
                ActionName::Level(level) => self.by_level.entry(level).or_default(),
                ActionName::Service(service) => self.by_service.entry(service.to_owned()).or_default(),
                ActionName::ServiceLevel(service, level) => {
                    self.by_service_level.entry(service.to_owned()).or_default().entry(level).or_default()
                }
                // Noted above.
                ActionName::Reveal | ActionName::Insert => continue,
                ActionName::One(action) => self.by_action.entry(action.to_owned()).or_default(),
            };
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
    }

    /// The rules about this action, each once, in file order.
    fn about(&self, action: &str) -> Vec<usize> {
        if action == REVEAL {
            return self.reveal.clone();
        }
        if action == INSERT {
            return self.insert.clone();
        }
        let service = service_of(action);
        let mut numbers: Vec<usize> = self.any.clone();
        numbers.extend(self.by_action.get(action).into_iter().flatten());
        numbers.extend(self.by_service.get(service).into_iter().flatten());
        if let Some(level) = level_of(action) {
            numbers.extend(self.by_level.get(&level).into_iter().flatten());
            let of_service = self.by_service_level.get(service);
            numbers.extend(of_service.and_then(|levels| levels.get(&level)).into_iter().flatten());
        }
        // A rule that lists several groups stands in several lists.
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Collects rules and everything wrong with them.
#[derive(Debug, Default)]
struct Loader {
    rules: Vec<Rule>,
    index: Index,
    meters: Meters,
    /// Whether conditions are held to the types of what they read.
    typed: bool,
    errors: Vec<PolicyError>,
    warnings: Vec<PolicyError>,
    /// Where each id was first used.
    ids: BTreeMap<String, String>,
}

impl Loader {
    fn rule(&mut self, source: &Source<'_>) {
        let complaints = match &source.tree {
            None => vec![no_templates()],
            Some(tree) => match self.check(tree, source) {
                complaints if complaints.is_empty() => match self.add(source, tree) {
                    Ok(()) => return,
                    Err(complaint) => vec![complaint],
                },
                complaints => complaints,
            },
        };
        self.errors.extend(complaints.into_iter().map(|complaint| source.locate(complaint)));
    }

    fn check(&mut self, tree: &Template, source: &Source<'_>) -> Vec<Complaint> {
        let complaints = check(tree);
        if !complaints.is_empty() || !self.typed {
            return complaints;
        }
        let typed::Checked { complaints, warning } = typed::check(tree);
        let wide = inserts_anywhere(tree);
        self.warnings.extend([warning, wide].into_iter().flatten().map(|warning| source.locate(warning)));
        complaints
    }

    /// Notes what can never have an effect; every source has become a rule.
    fn never_fire(&mut self, sources: &[Source<'_>]) {
        if !self.typed {
            return;
        }
        let trees: Vec<(&Template, &str)> = sources
            .iter()
            .zip(&self.rules)
            .filter_map(|(source, rule)| Some((source.tree.as_ref()?, rule.id.as_str())))
            .collect();
        for (number, warning) in never::warnings(&trees) {
            self.warnings.extend(sources.get(number).map(|source| source.locate(warning)));
        }
        self.warnings
            .sort_by(|a, b| (&a.file, a.at.line, a.at.column).cmp(&(&b.file, b.at.line, b.at.column)));
    }

    fn add(&mut self, source: &Source<'_>, tree: &Template) -> Result<(), Complaint> {
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
        self.meters.note(tree);
        let rule = Rule::new(id, tree)?;
        self.index.insert(self.rules.len(), &actions, tree);
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
