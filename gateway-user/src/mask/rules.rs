//! What is hidden in which answers: the tables, and what the configuration changes of them.

use std::sync::Arc;

use moka::sync::Cache;

use super::{
    Pattern, REVERSIBLE_MAX,
    path::Path,
    plan::{Kind, Plan},
    tree::{self, Lost, Tree},
};
use crate::{
    catalog::{Protocol, Service, answers, catalog, secrets},
    classify::answer,
    meant::meant,
    tokens::Bounds,
};

/// Plans that are kept; others are made anew.
const PLANS: u64 = 512;
/// Rules in a configuration.
const RULES: usize = 1000;

/// `[mask]`: what is hidden in answers besides what always is.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether answers are looked through for what looks like a secret: access keys, private keys, JWTs, connection
    /// strings with passwords, and the patterns. Default: yes.
    pub detect: bool,
    /// Whether objects of S3 are looked through, too. Default: no.
    pub objects: bool,
    /// Whether personal data and free text that AWS's models mark as sensitive are hidden, too: names, addresses,
    /// descriptions, tags, what functions answer. Default: no.
    pub personal: bool,
    /// Values of one session that tokens may stand for at once; what is more is hidden for good.
    pub tokens_per_session: usize,
    /// Bytes of one such value.
    pub token_max_bytes: usize,
    /// Bytes of all such values of all sessions.
    pub tokens_memory_bytes: usize,
    /// What is hidden besides, and what is not.
    pub rule: Vec<Rule>,
    /// What looks like a secret besides.
    pub pattern: Vec<Pattern>,
}

impl Config {
    /// How much is kept for tokens.
    #[must_use]
    pub fn tokens(&self) -> Bounds {
        Bounds {
            per_session: self.tokens_per_session,
            value_max: self.token_max_bytes,
            memory: self.tokens_memory_bytes,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            detect: true,
            objects: false,
            personal: false,
            tokens_per_session: 256,
            token_max_bytes: REVERSIBLE_MAX,
            tokens_memory_bytes: 64 * 1024 * 1024,
            rule: Vec::new(),
            pattern: Vec::new(),
        }
    }
}

/// `[[mask.rule]]`: about one place in the answers of one operation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `ssm:GetParameter`: the prefix of the service's IAM actions, or its name in botocore, and the operation.
    pub operation: String,
    /// Where in the answer, by the names of the API: `Parameter.Value`, `Parameters[].Value`,
    /// `Environment.Variables{}`; `*` for all of it.
    pub path: String,
    /// What happens to it. Default: it is hidden.
    #[serde(default)]
    pub effect: Effect,
    /// Whether a token stands in its place that stands for the value again in later requests. Only texts have one.
    /// Default: no.
    #[serde(default)]
    pub reversible: bool,
}

/// What happens to a place in an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It is hidden.
    #[default]
    Hide,
    /// It is passed on to every agent, with all that is in it.
    Reveal,
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mask.rule[{rule}].{key}: {detail}")]
pub struct RuleError {
    /// Which rule, from 0.
    pub rule: usize,
    /// Which of its values.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// What is hidden, for every operation.
#[derive(Debug)]
pub struct Rules {
    personal: bool,
    rules: Vec<Checked>,
    plans: Cache<Asked, Option<Arc<Plan>>>,
}

/// Services, operation and protocol of an answer.
type Asked = (Whose, Box<[String]>, String, Protocol);

/// By whose word something is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    /// The tables' and the configuration's.
    All,
    /// The configuration's alone.
    Configured,
}

/// A rule that is about something.
#[derive(Debug)]
struct Checked {
    /// Which rule of the configuration, from 0.
    number: usize,
    /// Those that have the operation, by their names in botocore.
    services: Vec<&'static str>,
    operation: String,
    path: Path,
    effect: Effect,
    reversible: bool,
}

impl Rules {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Every rule that is about nothing: a secret that a rule was to hide would be shown.
    pub fn new(config: &Config) -> Result<Self, Vec<RuleError>> {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for (number, rule) in config.rule.iter().enumerate() {
            match rule.checked() {
                _ if number >= RULES => {
                    let detail = format!("more than {RULES} rules");
                    errors.push(RuleError { rule: number, key: "operation", detail });
                    break;
                }
                Ok(checked) => rules.push(Checked { number, ..checked }),
                Err((key, detail)) => errors.push(RuleError { rule: number, key, detail }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { personal: config.personal, rules, plans: Cache::new(PLANS) })
    }

    /// What is to be hidden in the answers of `operation`; `None`: nothing.
    ///
    /// `services`: botocore's names of all services that the call may be one of, because several share hosts and
    /// operations' names; what is secret at any of them is hidden.
    #[must_use]
    pub fn plan(&self, services: &[&str], operation: &str, protocol: Protocol) -> Option<Arc<Plan>> {
        self.made(Whose::All, services, operation, protocol)
    }

    /// What the configuration alone hides in the answers of `operation`: where policy reveals all that is hidden otherwise.
    #[must_use]
    pub fn own_plan(&self, services: &[&str], operation: &str, protocol: Protocol) -> Option<Arc<Plan>> {
        self.about(Effect::Hide, services, operation).next()?;
        self.made(Whose::Configured, services, operation, protocol)
    }

    fn made(
        &self,
        whose: Whose,
        services: &[&str],
        operation: &str,
        protocol: Protocol,
    ) -> Option<Arc<Plan>> {
        let names = services.iter().map(|name| (*name).to_owned()).collect();
        let asked: Asked = (whose, names, operation.to_owned(), protocol);
        self.plans.get_with(asked, || self.make(whose, services, operation, protocol).map(Arc::new))
    }

    /// Whether a rule of the configuration shows something of such answers that is hidden otherwise.
    #[must_use]
    pub fn reveals(&self, services: &[&str], operation: &str) -> bool {
        self.about(Effect::Reveal, services, operation).next().is_some()
    }

    /// What the configuration reveals of such answers: the path of each place, and the key of the rule.
    pub fn revealed(&self, services: &[&str], operation: &str) -> Vec<(String, String)> {
        let about = self.about(Effect::Reveal, services, operation);
        about.map(|rule| (rule.path.to_string(), format!("mask.rule[{}]", rule.number))).collect()
    }

    fn about<'r>(
        &'r self,
        effect: Effect,
        services: &'r [&str],
        operation: &'r str,
    ) -> impl Iterator<Item = &'r Checked> {
        self.rules.iter().filter(move |rule| {
            let service = rule.services.iter().any(|service| services.contains(service));
            rule.effect == effect && rule.operation == operation && service
        })
    }

    fn make(&self, whose: Whose, services: &[&str], operation: &str, protocol: Protocol) -> Option<Plan> {
        let mut tree = match whose {
            Whose::All => self.built_in(services, operation),
            Whose::Configured => Tree::default(),
        };
        self.hide(&mut tree, services, operation, protocol);
        // A test makes every plan. In answers for which there is none, everything is hidden.
        tree.plan(protocol).unwrap_or_else(|_| Some(everything()))
    }

    /// What is hidden by the tables, but for what a rule reveals.
    fn built_in(&self, services: &[&str], operation: &str) -> Tree {
        let mut tree = Tree::default();
        for (number, service) in services.iter().enumerate() {
            let Some(secrets) = secrets(service) else { continue };
            let next = Tree::unfold(secrets, operation, self.personal);
            if number == 0 {
                tree = next;
                continue;
            }
            for path in next.paths() {
                let path = Path::parse(path).unwrap_or_default();
                if !tree.hide(secrets, operation, &path, false) {
                    tree.hide_all();
                }
            }
        }
        // What is hidden by a rule stays hidden where another one reveals what it is in.
        for rule in self.about(Effect::Reveal, services, operation) {
            tree.reveal(&rule.path);
        }
        tree
    }

    /// What rules hide besides.
    fn hide(&self, tree: &mut Tree, services: &[&str], operation: &str, protocol: Protocol) {
        for rule in self.about(Effect::Hide, services, operation) {
            let about = rule.services.iter().filter(|service| services.contains(service));
            for (service, answers) in about.filter_map(|service| Some((service, answers(service)?))) {
                // Services of one rule need not agree on all members.
                let there = tree::check(answers, operation, &rule.path).is_ok();
                let named = !has_other_names(service, protocol);
                if there && !(named && tree.hide(answers, operation, &rule.path, rule.reversible)) {
                    tree.hide_all();
                }
            }
        }
    }
}

/// Whether answers in `protocol` may have other names than the model's. A service that was changed to JSON or CBOR goes on to
/// write XML for older clients, as an older model of it said, which need not name the elements of lists and maps
/// as members are named now: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait>
fn has_other_names(service: &str, protocol: Protocol) -> bool {
    let is_xml = |protocol| matches!(protocol, Protocol::Query | Protocol::Ec2 | Protocol::RestXml);
    let own = catalog().service(service).and_then(|service| service.protocols.first().copied());
    is_xml(protocol) && !own.is_some_and(is_xml)
}

/// All of an answer is hidden.
fn everything() -> Plan {
    let mut builder = Plan::builder();
    let field = builder.field(super::path::WHOLE, Kind::Any);
    let root = builder.secret(field);
    builder.build(root).unwrap_or_else(|_| Plan::nothing())
}

impl Rule {
    fn checked(&self) -> Result<Checked, (&'static str, String)> {
        let (services, operation) = self.operation().map_err(|detail| ("operation", detail))?;
        let is_replaced = |service: &&Service| {
            answer::TABLE.iter().any(|row| (row.service, row.operation) == (service.name, operation))
        };
        if services.iter().any(is_replaced) {
            let detail = format!(
                "answers of {} are written by the gateway itself: a placeholder stands for the keys in them, and no rule \
                 hides or reveals anything",
                self.operation
            );
            return Err(("operation", detail));
        }
        let path = Path::parse(&self.path).ok_or_else(|| {
            let form = "write names of members with dots between them, [] after a list, {} after a map, or * for all";
            ("path", format!("{:?} is no path: {form}", self.path))
        })?;
        if self.reversible && self.effect == Effect::Reveal {
            return Err(("reversible", "what is revealed has no token in its place".to_owned()));
        }
        let found: Vec<Result<Kind, Lost>> = services
            .iter()
            .map(|service| match answers(service.name) {
                Some(answers) => tree::check(answers, operation, &path),
                None => Err(Lost::Nothing),
            })
            .collect();
        if let (Some(Err(lost)), false) = (found.first(), found.iter().any(Result::is_ok)) {
            return Err(("path", self.lost(lost)));
        }
        if self.reversible && !found.iter().any(|kind| matches!(kind, Ok(Kind::Text))) {
            let detail = format!(
                "{} of {} is no text, and tokens stand for single texts only",
                self.path, self.operation
            );
            return Err(("reversible", detail));
        }
        let hidden = || {
            let trees = services.iter().filter_map(|service| secrets(service.name));
            trees.map(|secrets| Tree::unfold(secrets, operation, true))
        };
        if self.effect == Effect::Reveal {
            let mut paths: Vec<String> = hidden()
                .flat_map(|tree| tree.paths().into_iter().map(str::to_owned).collect::<Vec<_>>())
                .collect();
            if !paths.iter().any(|hidden| path.covers(hidden)) {
                paths.truncate(8);
                let others = if paths.is_empty() { "nothing is".to_owned() } else { paths.join(", ") };
                let detail =
                    format!("{} is not hidden in answers of {}: {others}", self.path, self.operation);
                return Err(("path", detail));
            }
        }
        Ok(Checked {
            number: 0,
            services: services.iter().map(|service| service.name).collect(),
            operation: operation.to_owned(),
            path,
            effect: self.effect,
            reversible: self.reversible,
        })
    }

    /// The services that have the operation, and its name.
    fn operation(&self) -> Result<(Vec<&'static Service>, &str), String> {
        let (prefix, name) = self.operation.split_once(':').ok_or_else(|| {
            format!("{:?} is no operation: write service:Operation, such as ssm:GetParameter", self.operation)
        })?;
        let services = catalog().services();
        let called: Vec<&Service> =
            services.iter().filter(|service| service.prefix == prefix || service.name == prefix).collect();
        if called.is_empty() || prefix.is_empty() {
            let known = services.iter().flat_map(|service| [service.prefix, service.name]);
            return Err(format!("there is no service {prefix:?}{}", guess(prefix, known)));
        }
        let with: Vec<&Service> =
            called.iter().copied().filter(|service| service.operation(name).is_some()).collect();
        if with.is_empty() {
            let known = called.iter().flat_map(|service| service.operations().iter().map(|known| known.name));
            return Err(format!("{prefix} has no operation {name:?}{}", guess(name, known)));
        }
        Ok((with, name))
    }

    fn lost(&self, lost: &Lost) -> String {
        let operation = &self.operation;
        match lost {
            Lost::NoMember(name, known) => {
                let guess = guess(name, known.iter().copied());
                format!("answers of {operation} have no {name:?} there{guess}")
            }
            Lost::Instead(path, what) if path.is_empty() => format!("the answer of {operation} is {what}"),
            Lost::Instead(path, what) => format!("in answers of {operation}, {path} is {what}"),
            Lost::Nothing => format!("{operation} answers nothing"),
        }
    }
}

/// `: did you mean X?`, or nothing where no name is near.
fn guess<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    meant(name, known).map(|known| format!(": did you mean {known}?")).unwrap_or_default()
}
