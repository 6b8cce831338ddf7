//! What the verdict must be: Cedar is asked about every rule, whatever it is about.
#![expect(clippy::unwrap_used, reason = "the rules are constants")]

use std::{collections::BTreeSet, sync::LazyLock};

use cedar_policy::{
    AuthorizationError, Context, Decision, Policy, PolicyId, PolicySet, Response, RestrictedExpression,
};

use super::{
    input::{Counters, Input},
    rules::{ASKING, REVEALING, RULES, Unknown},
};
use crate::{
    catalog::{AccessLevel, catalog},
    classify::{ActionOn, Operation, Param},
    decide::testing::{attributes, unsliced},
};

/// A verdict, by the ids of rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Allow(Vec<String>),
    Ask(Vec<String>),
    Forbidden(Vec<String>),
    Failed(Vec<String>),
    Nothing(String, String),
    /// It is not revealed, for this reason.
    Withheld(Box<Expected>),
}

/// All rules as they are written, and what is left of them where the resource is unknown.
static SETS: LazyLock<(PolicySet, PolicySet)> = LazyLock::new(|| {
    let left = RULES.iter().filter_map(|rule| match rule.unknown {
        Unknown::Same => Some(rule.text),
        Unknown::Never => None,
        Unknown::Fails(text) => Some(text),
    });
    (set(RULES.iter().map(|rule| rule.text)), set(left))
});

/// Those that fail where the resource is unknown.
static FAILING: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let failing = RULES.iter().filter_map(|rule| match rule.unknown {
        Unknown::Fails(text) => Some(text),
        Unknown::Same | Unknown::Never => None,
    });
    set(failing).policies().map(|policy| policy.id().to_string()).collect()
});

fn set<'a>(texts: impl Iterator<Item = &'a str>) -> PolicySet {
    let named = texts.map(|text| {
        let policy = Policy::parse(None, text).unwrap();
        let id = PolicyId::new(policy.annotation("id").unwrap());
        policy.new_id(id)
    });
    PolicySet::from_policies(named).unwrap()
}

/// What must be decided.
pub(super) fn expected(operation: &Operation, input: &Input) -> Expected {
    if operation.actions.is_empty() {
        return Expected::Nothing(format!("{}:{}", operation.service, operation.name), "*".to_owned());
    }
    let call = judged(&operation.actions, operation, input, None);
    if operation.withheld.is_empty() {
        return call;
    }
    let reveal = |pair: &ActionOn| ActionOn { action: "reveal".to_owned(), resource: pair.resource.clone() };
    let pairs: Vec<ActionOn> = operation.actions.iter().map(reveal).collect();
    match (call, judged(&pairs, operation, input, Some("*"))) {
        (Expected::Allow(mut rules), Expected::Allow(more)) => {
            rules.extend(more);
            Expected::Allow(rules)
        }
        (Expected::Ask(rules), Expected::Allow(_)) => Expected::Ask(rules),
        // No rule of these asks before it reveals.
        (Expected::Allow(_) | Expected::Ask(_), reason) => Expected::Withheld(Box::new(reason)),
        (denied, _) => denied,
    }
}

/// What the rules say to these pairs; with a `field` only those that are asked what is revealed.
fn judged(pairs: &[ActionOn], operation: &Operation, input: &Input, field: Option<&str>) -> Expected {
    let ask = |pair: &ActionOn, approved: Option<&[&str]>| {
        let level = catalog().action(&pair.action).map(|action| AccessLevel::name(action.access));
        let groups: Vec<&str> = input.groups.iter().map(String::as_str).collect();
        let set = if is_unknown(pair) { &SETS.1 } else { &SETS.0 };
        let revealing = |policy: &&Policy| REVEALING.contains(&AsRef::<str>::as_ref(policy.id()));
        let asked =
            field.map(|_| PolicySet::from_policies(set.policies().filter(revealing).cloned()).unwrap());
        let set = asked.as_ref().unwrap_or(set);
        unsliced(set, &groups, level, pair, context(operation, input, approved, field))
    };
    let (mut permits, mut forbids, mut failed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut unpermitted = Vec::new();
    for pair in pairs {
        let response = ask(pair, None);
        failed.extend(response.diagnostics().errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
        }));
        for rule in reasons(&response) {
            match response.decision() {
                Decision::Allow => permits.insert(rule),
                Decision::Deny if is_unknown(pair) && FAILING.contains(&rule) => failed.insert(rule),
                Decision::Deny => forbids.insert(rule),
            };
        }
        if response.decision() == Decision::Deny {
            unpermitted.push(pair);
        }
    }
    let all = |ids: BTreeSet<String>| ids.into_iter().collect();
    if !forbids.is_empty() {
        return Expected::Forbidden(all(forbids));
    }
    if !failed.is_empty() {
        return Expected::Failed(all(failed));
    }
    let Some(first) = unpermitted.first() else { return Expected::Allow(all(permits)) };
    let mut asking = BTreeSet::new();
    for pair in &unpermitted {
        let willing: Vec<String> = ASKING
            .into_iter()
            .filter(|(rule, reviewers)| reasons(&ask(pair, Some(reviewers))).any(|id| id == *rule))
            .map(|(rule, _)| rule.to_owned())
            .collect();
        if willing.is_empty() {
            return Expected::Nothing(first.action.clone(), first.resource.clone());
        }
        asking.extend(willing);
    }
    Expected::Ask(all(asking))
}

fn reasons(response: &Response) -> impl Iterator<Item = String> {
    response.diagnostics().reason().map(ToString::to_string)
}

fn is_unknown(pair: &ActionOn) -> bool {
    attributes(&pair.resource).len() == 1
}

fn context(operation: &Operation, input: &Input, approved: Option<&[&str]>, field: Option<&str>) -> Context {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let texts = |all: &[&str]| RestrictedExpression::new_set(all.iter().map(|one| text(one)));
    let unread: Vec<&str> = operation.unread.iter().map(String::as_str).collect();
    let params = operation.params.iter().map(|(name, param)| (name.clone(), value(param)));
    let attributes = [
        ("params", RestrictedExpression::new_record(params).unwrap()),
        ("region", text(operation.region.as_str())),
        ("operation", text(&format!("{}:{}", operation.service, operation.name))),
        ("unread", texts(&unread)),
        ("session", counters(&input.session)),
        ("workload_day", counters(&input.day)),
    ];
    let approval = approved.map(|groups| ("approval", record([("groups", texts(groups))])));
    let account = operation.account.as_ref().map(|account| ("account", text(account.as_str())));
    let field = field.map(|field| ("field", text(field)));
    let all = attributes
        .into_iter()
        .chain(account)
        .chain(approval)
        .chain(field)
        .map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(all).unwrap()
}

fn counters(counters: &Counters) -> RestrictedExpression {
    let count = |number: u64| RestrictedExpression::new_long(i64::try_from(number).unwrap_or(i64::MAX));
    record([
        ("calls", count(counters.calls)),
        ("calls_last_minute", count(counters.minute)),
        ("counts", record([("ec2:RunInstances", count(counters.runs))])),
        ("sums", record([("ec2:RunInstances/MaxCount", RestrictedExpression::new_long(counters.instances))])),
    ])
}

fn record<const N: usize>(fields: [(&str, RestrictedExpression); N]) -> RestrictedExpression {
    RestrictedExpression::new_record(fields.map(|(name, value)| (name.to_owned(), value))).unwrap()
}

fn value(param: &Param) -> RestrictedExpression {
    match param {
        Param::Text(text) => RestrictedExpression::new_string(text.clone()),
        Param::Number(number) => RestrictedExpression::new_long(*number),
        Param::Bool(truth) => RestrictedExpression::new_bool(*truth),
        Param::List(items) => RestrictedExpression::new_set(items.iter().map(value)),
        Param::Record(members) => {
            let members = members.iter().map(|(name, member)| (name.clone(), value(member)));
            RestrictedExpression::new_record(members).unwrap()
        }
    }
}
