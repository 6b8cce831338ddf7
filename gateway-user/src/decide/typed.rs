//! Conditions against the types of what they read, so that a rule that would fail does not load.
//!
//! Cedar's validator is asked, with a schema made for the rule at hand: one for every kind of call
//! that the rule can be about. Two calls are of one kind where the rule cannot tell them apart: the
//! same of the actions it names, the same types of the parameters it reads. That are few, however
//! many actions the rule covers. Every parameter is optional: a request is what the agent wrote.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Policy, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
    pst::{self, ActionConstraint, Expr, Literal, Template},
};
use miette::Diagnostic as _;
use serde_json::{Map, Value, json};

use super::{
    error::Complaint,
    infer::{Needed, needed},
    members::{self, Kind, Members},
    meters::{COUNTS, Meters, SUMS},
    names::{ActionName, INSERT, REVEAL, is_own},
    reads::{ACCOUNT, APPROVAL, FIELD, SECRET, SESSION, WORKLOAD_DAY},
    rule::{is_asked_to_insert, is_asked_to_reveal},
    syntax::{Access, context_accesses, each_clause, each_part, names_any_resource},
};
use crate::{catalog::catalog, meant::meant, tokens::Secret};

/// Attributes in one chain: DynamoDB's 32 levels take two each.
const MAX_PATH: usize = 72;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Why the rule does not load.
    pub(super) complaints: Vec<Complaint>,
    /// What is odd about a rule that loads.
    pub(super) warning: Option<Complaint>,
}

/// Checks the conditions of a rule whose names are known to exist.
pub(super) fn check(rule: &Template) -> Checked {
    if rule.clauses().is_empty() {
        return Checked::default();
    }
    let accesses = context_accesses(rule);
    let meters = Meters::of(rule);
    let mut complaints: Vec<Complaint> = accesses.iter().filter_map(whole).collect();
    complaints.extend(meters.check());
    complaints.dedup();
    if !complaints.is_empty() {
        return Checked { complaints, warning: None };
    }
    if accesses.iter().any(|access| access.path.len() > MAX_PATH) {
        let complaint =
            Complaint::new(format!("parameters are read at most {MAX_PATH} levels deep")).about("context");
        return Checked { complaints: vec![complaint], warning: None };
    }
    let needed = needed(rule);
    let kinds = kinds_of_calls(rule, &needed);
    complaints.extend(unknown_params(rule, &needed, &kinds));
    if !complaints.is_empty() {
        return Checked { complaints, warning: None };
    }
    validate(rule, &kinds, &Fixed { meters, needed, any_resource: names_any_resource(rule) })
}

/// `context`, `context.session` and the like: only single values are read.
fn whole(access: &Access<'_>) -> Option<Complaint> {
    let complain = |what: String, help: &str| Some(Complaint::new(what).about("context").help(help));
    match access.path.as_slice() {
        [] => complain(
            "`context` as a whole cannot be read".to_owned(),
            "read its attributes: context.params, context.region, …",
        ),
        [name @ (SESSION | WORKLOAD_DAY | APPROVAL | SECRET)] if !access.asks => complain(
            format!("`context.{name}` as a whole cannot be read"),
            "read its attributes, e.g. context.session.calls, context.approval.groups",
        ),
        [name @ (SESSION | WORKLOAD_DAY), what @ (COUNTS | SUMS)] if !access.asks => complain(
            format!("`context.{name}.{what}` as a whole cannot be read"),
            "read one: context.session.counts[\"ec2:RunInstances\"], \
             context.session.sums[\"ec2:RunInstances/MaxCount\"]",
        ),
        _ => None,
    }
}

/// One kind of call, as far as the rule can tell.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// The action, where the rule names it; [`REVEAL`] and [`INSERT`] always.
    action: Option<String>,
    /// The groups of actions, of those that the rule names.
    groups: Vec<String>,
    /// The parameters that the rule reads; `None` where their types are not known.
    params: Option<Members>,
}

fn kinds_of_calls(rule: &Template, needed: &Needed) -> BTreeSet<Call> {
    let scope: Vec<ActionName<'_>> = match &rule.action {
        ActionConstraint::Any => vec![ActionName::Any],
        ActionConstraint::Eq(uid) => ActionName::parse(&uid.eid).into_iter().collect(),
        ActionConstraint::In(uids) => {
            uids.iter().filter_map(|uid| ActionName::parse(&uid.eid).ok()).collect()
        }
    };
    let named = named_actions(rule);
    let (groups, ones): (Vec<_>, Vec<_>) = named
        .iter()
        .filter_map(|id| ActionName::parse(id).ok().map(|name| (id, name)))
        .partition(|(_, name)| name.is_group());
    let read: Vec<&str> = needed.0.keys().map(String::as_str).collect();
    let mut kinds = BTreeSet::new();
    let mut add = |action: &str| {
        let named = is_own(action) || ones.iter().any(|(id, _)| id.as_str() == action);
        let one = named.then(|| action.to_owned());
        let groups: Vec<String> =
            groups.iter().filter(|(_, group)| group.covers(action)).map(|(id, _)| (*id).clone()).collect();
        let params = if read.is_empty() { Vec::new() } else { members::of(action, &read) };
        if params.is_empty() {
            kinds.insert(Call { action: one, groups, params: None });
            return;
        }
        for params in params {
            kinds.insert(Call { action: one.clone(), groups: groups.clone(), params: Some(params) });
        }
    };
    if is_asked_to_reveal(rule) {
        add(REVEAL);
    }
    if is_asked_to_insert(rule) {
        add(INSERT);
    }
    if scope.iter().all(|name| !name.is_group()) {
        for name in &scope {
            if let ActionName::One(action) = name {
                add(action);
            }
        }
    } else {
        for action in catalog().actions() {
            if scope.iter().any(|name| name.covers(action.name)) {
                add(action.name);
            }
        }
    }
    kinds
}

/// Every action and group of actions that the rule names anywhere.
fn named_actions(rule: &Template) -> BTreeSet<String> {
    let scope: Vec<&pst::EntityUID> = match &rule.action {
        ActionConstraint::Any => Vec::new(),
        ActionConstraint::Eq(uid) => vec![uid],
        ActionConstraint::In(uids) => uids.iter().collect(),
    };
    let conditions = each_clause(rule).flat_map(each_part).filter_map(|part| match part {
        Expr::Literal(Literal::EntityUID(uid)) if uid.ty.to_string() == "Action" => Some(uid),
        _ => None,
    });
    scope.into_iter().chain(conditions).map(|uid| uid.eid.to_string()).collect()
}

/// Parameters that no call of the rule has.
fn unknown_params(rule: &Template, needed: &Needed, kinds: &BTreeSet<Call>) -> Vec<Complaint> {
    let known = |name: &String| {
        kinds.iter().any(|call| call.params.as_ref().is_none_or(|params| params.contains_key(name)))
    };
    let actions: Vec<&str> = match &rule.action {
        ActionConstraint::Eq(uid) => vec![&uid.eid],
        ActionConstraint::In(uids) => uids.iter().map(|uid| uid.eid.as_str()).collect(),
        ActionConstraint::Any => Vec::new(),
    };
    let missing = needed.0.keys().filter(|name| !known(name));
    missing
        .map(|name| {
            let names: BTreeSet<&str> = actions.iter().flat_map(|action| members::names_of(action)).collect();
            let complaint =
                Complaint::new(format!("no call that this rule is about has a parameter `{name}`"))
                    .about(name);
            match meant(name, names) {
                Some(close) => complaint.help(format!("did you mean `{close}`?")),
                None => complaint.help("parameters are called as in the API reference, e.g. MaxCount"),
            }
        })
        .collect()
}

/// What is the same for every kind of call.
struct Fixed {
    meters: Meters,
    needed: Needed,
    any_resource: bool,
}

fn validate(rule: &Template, kinds: &BTreeSet<Call>, fixed: &Fixed) -> Checked {
    let set = match policy_set(rule) {
        Ok(set) => set,
        Err(complaint) => return Checked { complaints: vec![complaint], warning: None },
    };
    let mut found: BTreeMap<String, Complaint> = BTreeMap::new();
    let mut impossible = 0;
    for call in kinds {
        let schema = match Schema::from_json_value(schema(call, fixed)) {
            Ok(schema) => schema,
            Err(error) => {
                // Nothing that a rule says leads here; if something does, it must not load unchecked.
                let complaint = Complaint::new(format!("no schema can be made for this rule: {error}"));
                return Checked { complaints: vec![complaint], warning: None };
            }
        };
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        for error in result.validation_errors() {
            let complaint = in_our_words(&error.to_string(), error.help().map(|help| help.to_string()));
            found.entry(complaint.message.clone()).or_insert(complaint);
        }
        impossible += usize::from(
            result
                .validation_warnings()
                .any(|warning| matches!(warning, ValidationWarning::ImpossiblePolicy(_))),
        );
    }
    let warning = (impossible == kinds.len() && found.is_empty()).then(|| {
        Complaint::new("this rule never applies: its conditions hold for no call that it is about")
            .help("what it compares can never be equal, or it says `false`")
    });
    Checked { complaints: found.into_values().collect(), warning }
}

/// The rule alone, about every action: the schema has only those that it is about.
fn policy_set(rule: &Template) -> Result<PolicySet, Complaint> {
    let refuse = |error: &dyn std::fmt::Display| Complaint::new(error.to_string());
    let mut rule = rule.clone();
    rule.action = ActionConstraint::Any;
    let rule = pst::StaticPolicy::try_from(rule).map_err(|error| refuse(&error))?;
    let policy = Policy::from_pst(pst::Policy::Static(rule)).map_err(|error| refuse(&error))?;
    PolicySet::from_policies([policy]).map_err(|error| refuse(&error))
}

/// `for policy `x`, unable to …` without what does not help here.
fn in_our_words(error: &str, help: Option<String>) -> Complaint {
    let text = error
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "))
        .map_or(error, |(_, text)| text);
    let quoted = text.split('`').nth(1).unwrap_or_default();
    let last = quoted.rsplit('.').next().unwrap_or_default().trim_matches(['[', ']', '"']);
    let about = |complaint: Complaint| if last.is_empty() { complaint } else { complaint.about(last) };
    const OPTIONAL: &str = "unable to guarantee safety of access to optional attribute ";
    if text.starts_with(OPTIONAL) {
        let of = if text.contains(" in context") { "context." } else { "" };
        return about(Complaint::new(format!("`{of}{quoted}` is read without asking whether it is there")))
            .help("ask first, with `has` and `&&`: not every call has it");
    }
    for (name, asked) in [(FIELD, "`reveal` or `insert`"), (SECRET, "`insert`")] {
        if text.starts_with(&format!("attribute `{name}`")) {
            return about(Complaint::new(format!(
                "`context.{name}` is read without asking whether it is there"
            )))
            .help(format!(
                "ask first, `context has {name} && …`: the rule is about other actions than {asked}, too"
            ));
        }
    }
    // Which kind of call it was is of no use: the action may be one that stands for many.
    let text = match text.split_once(" in context for Action::\"") {
        Some((before, rest)) => format!("{before}{}", rest.split_once('"').map_or("", |(_, after)| after)),
        None => text.to_owned(),
    };
    let complaint = about(Complaint::new(text));
    match help {
        Some(help) => complaint.help(help),
        None => complaint,
    }
}

fn schema(call: &Call, fixed: &Fixed) -> Value {
    let mut actions = Map::new();
    for group in &call.groups {
        actions.insert(group.clone(), json!({}));
    }
    let groups: Vec<Value> = call.groups.iter().map(|group| json!({ "id": group })).collect();
    // No action of IAM is called so.
    let id = call.action.clone().unwrap_or_else(|| "any other".to_owned());
    actions.insert(
        id,
        json!({
            "memberOf": groups,
            "appliesTo": {
                "principalTypes": ["Workload"],
                "resourceTypes": ["Resource"],
                "context": { "type": "Record", "attributes": context(call, fixed) },
            },
        }),
    );
    // What else the rule compares with is some other action.
    for named in &fixed.needed.1 {
        actions.entry(named.clone()).or_insert_with(|| json!({}));
    }
    json!({ "": {
        "entityTypes": {
            "Group": {},
            "Workload": {
                "memberOfTypes": ["Group"],
                "shape": { "type": "Record", "attributes": { "issuer": of("String"), "subject": of("String") } },
                "tags": of("String"),
            },
            "Resource": { "shape": { "type": "Record", "attributes": {
                "arn": of("String"),
                "service": { "type": "String", "required": !fixed.any_resource },
                "account": optional(of("String")),
                "region": optional(of("String")),
                "type": optional(of("String")),
            } } },
        },
        "actions": actions,
    } })
}

fn context(call: &Call, fixed: &Fixed) -> Value {
    let texts = || json!({ "type": "Set", "element": of("String") });
    let numbers =
        |names: &BTreeSet<String>| -> Value { record(names.iter().map(|name| (name.clone(), of("Long")))) };
    let counters = |more: &[&str]| {
        let plain = ["calls", "calls_last_minute"].iter().chain(more);
        let fields = plain.map(|name| ((*name).to_owned(), of("Long"))).chain([
            (COUNTS.to_owned(), numbers(&fixed.meters.counts)),
            (SUMS.to_owned(), numbers(&fixed.meters.sums)),
        ]);
        record(fields)
    };
    let params = fixed.needed.0.iter().filter_map(|(name, inferred)| {
        let kind = match &call.params {
            None => inferred.clone(),
            Some(params) => refine(params.get(name)?, inferred),
        };
        Some((name.clone(), optional(value(&kind))))
    });
    let mut attributes = json!({
        "params": record(params),
        "region": of("String"),
        ACCOUNT: optional(of("String")),
        "time": { "type": "Extension", "name": "datetime" },
        "workload": of("String"),
        "operation": of("String"),
        "unread": texts(),
        SESSION: counters(&["age"]),
        WORKLOAD_DAY: counters(&[]),
        APPROVAL: optional(record([("groups".to_owned(), texts())])),
    });
    if let Some(attributes) = attributes.as_object_mut()
        && call.action.as_deref().is_some_and(is_own)
    {
        attributes.insert(FIELD.to_owned(), of("String"));
        if call.action.as_deref() == Some(INSERT) {
            let secret = Secret::default();
            let secret = record(secret.parts().map(|(name, _)| (name.to_owned(), of("String"))));
            attributes.insert(SECRET.to_owned(), secret);
        }
    }
    attributes
}

/// What the table says, and where it says nothing, what the rule makes of it.
fn refine(known: &Kind, inferred: &Kind) -> Kind {
    match (known, inferred) {
        (Kind::Open, inferred) => inferred.clone(),
        (Kind::Record(known), Kind::Record(inferred)) => Kind::Record(
            inferred
                .iter()
                .filter_map(|(name, kind)| Some((name.clone(), refine(known.get(name)?, kind))))
                .collect(),
        ),
        (Kind::Map(value), Kind::Record(inferred)) => {
            Kind::Record(inferred.iter().map(|(name, kind)| (name.clone(), refine(value, kind))).collect())
        }
        (Kind::List(known), Kind::List(inferred)) => Kind::List(Box::new(refine(known, inferred))),
        (known, _) => known.clone(),
    }
}

/// A type in Cedar's JSON schema.
fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Open => of("String"),
        Kind::Number => of("Long"),
        Kind::Bool => of("Boolean"),
        Kind::List(element) => json!({ "type": "Set", "element": value(element) }),
        Kind::Record(members) => {
            record(members.iter().map(|(name, kind)| (name.clone(), optional(value(kind)))))
        }
        // Its keys are not read.
        Kind::Map(_) => record([]),
    }
}

fn of(name: &str) -> Value {
    json!({ "type": name })
}

fn record(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    json!({ "type": "Record", "attributes": fields.into_iter().collect::<Map<_, _>>() })
}

fn optional(mut kind: Value) -> Value {
    if let Some(object) = kind.as_object_mut() {
        object.insert("required".to_owned(), Value::Bool(false));
    }
    kind
}
