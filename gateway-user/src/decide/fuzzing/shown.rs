//! What Cedar is shown of a call, held against the call: whatever a text says, it is that text and
//! nothing else changes.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a broken promise is what fuzzers look for")]

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityUid, EvalResult};

use super::input::{Counters, Input};
use crate::{
    classify::{Operation, Param},
    decide::{
        reads::{CONTEXT, Reads},
        testing::{attributes, now, uid},
        view::{Call, View},
    },
    identify::Session,
};

/// A value, of Cedar's or of ours.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    /// Lists become sets.
    Set(BTreeSet<Value>),
    Record(BTreeMap<String, Value>),
    Other(String),
}

/// Checks all that rules can read of a call.
///
/// # Panics
/// When any of it is not what the call says.
pub(super) fn check(call: &Call<'_>, session: &Session, operation: &Operation, input: &Input) {
    let everything = Reads { caller: true, resource: true, context: [true; CONTEXT.len()] };
    let expected = context(session, operation, input);
    for pair in &operation.actions {
        let view = View::new(call, pair, everything);
        let (request, entities) = view.cedar().unwrap_or_else(|error| panic!("{error}"));
        for name in CONTEXT {
            let shown = request.context().unwrap().get(name).map(|value| Value::from(&value));
            match name {
                "time" => assert!(matches!(shown, Some(Value::Other(_))), "{shown:?}"),
                name => assert_eq!(shown.as_ref(), expected.get(name), "{name}"),
            }
        }
        let attributes = attributes(&pair.resource);
        let resource = uid("Resource", attributes.get("arn").unwrap());
        let (principal, action) = (uid("Workload", "builds"), uid("Action", &pair.action));
        assert_eq!(request.principal(), Some(&principal));
        assert_eq!(request.action(), Some(&action));
        assert_eq!(request.resource(), Some(&resource));
        let shown = entities.get(&resource).unwrap().attrs().map(|(name, value)| {
            let Ok(EvalResult::String(text)) = value else { panic!("{name} is {value:?}") };
            (name.to_owned(), text)
        });
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), attributes.into_iter().collect());
        let groups: BTreeSet<EntityUid> = input.groups.iter().map(|group| uid("Group", group)).collect();
        assert_eq!(entities.ancestors(&principal).unwrap().cloned().collect::<BTreeSet<_>>(), groups);
    }
}

fn context(session: &Session, operation: &Operation, input: &Input) -> BTreeMap<&'static str, Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let params = operation.params.iter().map(|(name, param)| (name.clone(), Value::from(param)));
    let age = (now() - session.started).whole_seconds();
    let account = operation.account.as_ref().map(|account| ("account", text(account.as_str())));
    [
        ("params", Value::Record(params.collect())),
        ("region", text(operation.region.as_str())),
        ("workload", text("builds")),
        ("operation", Value::Text(format!("{}:{}", operation.service, operation.name))),
        ("unread", Value::Set(operation.unread.iter().map(|name| text(name)).collect())),
        ("session", counters(&input.session, Some(age))),
        ("workload_day", counters(&input.day, None)),
    ]
    .into_iter()
    .chain(account)
    .collect()
}

fn counters(counters: &Counters, age: Option<i64>) -> Value {
    let count = |number: u64| Value::Number(i64::try_from(number).unwrap_or(i64::MAX));
    let one = |name: &str, value| Value::Record([(name.to_owned(), value)].into());
    let fields = [
        ("calls", count(counters.calls)),
        ("calls_last_minute", count(counters.minute)),
        ("counts", one("ec2:RunInstances", count(counters.runs))),
        ("sums", one("ec2:RunInstances/MaxCount", Value::Number(counters.instances))),
    ];
    let age = age.map(|age| ("age", Value::Number(age)));
    Value::Record(fields.into_iter().chain(age).map(|(name, value)| (name.to_owned(), value)).collect())
}

impl From<&Param> for Value {
    fn from(param: &Param) -> Self {
        match param {
            Param::Text(text) => Self::Text(text.clone()),
            Param::Number(number) => Self::Number(*number),
            Param::Bool(truth) => Self::Bool(*truth),
            Param::List(items) => Self::Set(items.iter().map(Self::from).collect()),
            Param::Record(members) => {
                Self::Record(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        }
    }
}

impl From<&EvalResult> for Value {
    fn from(value: &EvalResult) -> Self {
        match value {
            EvalResult::String(text) => Self::Text(text.clone()),
            EvalResult::Long(number) => Self::Number(*number),
            EvalResult::Bool(truth) => Self::Bool(*truth),
            EvalResult::Set(items) => Self::Set(items.iter().map(Self::from).collect()),
            EvalResult::Record(members) => {
                Self::Record(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
            EvalResult::EntityUid(uid) => Self::Other(uid.to_string()),
            EvalResult::ExtensionValue(text) => Self::Other(text.clone()),
        }
    }
}
