//! A call and what was allowed before it, as the fuzz target is told of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    catalog::catalog,
    classify::{ActionOn, Operation, Param, answer::WHOLE},
    decide::{DayUsage, Facts, SessionUsage, Supposed, testing::now},
    parse::RequestDigest,
};

/// Pairs of one call: more say nothing new.
const MAX_PAIRS: usize = 8;
/// How deep parameters nest; `classify` refuses what is deeper.
const MAX_DEPTH: usize = 33;

/// JSON, because it has words for every text.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Input {
    /// `service:Name`.
    operation: String,
    region: String,
    account: Option<String>,
    /// Action and resource.
    on: Vec<(String, String)>,
    params: Map<String, Value>,
    unread: Vec<String>,
    /// Whether its answer is withheld as a whole.
    withheld: bool,
    pub(super) groups: Vec<String>,
    pub(super) session: Counters,
    pub(super) day: Counters,
}

/// What was allowed before, as far as the rules read it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Counters {
    pub(super) calls: u64,
    pub(super) minute: u64,
    /// How often ec2:RunInstances.
    pub(super) runs: u64,
    /// The sum of its MaxCount.
    pub(super) instances: i64,
}

impl Input {
    /// `None` for what `classify` would not have said.
    pub(super) fn operation(&self) -> Option<Operation> {
        let (service, name) = self.operation.split_once(':')?;
        let on = |(action, resource): &(String, String)| ActionOn {
            action: action.clone(),
            resource: resource.clone(),
        };
        // Actions come from the catalogue, whatever the agent writes.
        let known = |action: &str| action == "new:Thing" || catalog().action(action).is_some();
        if self.on.len() > MAX_PAIRS || !self.on.iter().all(|(action, _)| known(action)) {
            return None;
        }
        Some(Operation {
            service: service.to_owned(),
            name: name.to_owned(),
            region: self.region.parse().ok()?,
            account: self.account.as_deref().map(str::parse).transpose().ok()?,
            actions: self.on.iter().map(on).collect(),
            params: record(&self.params, 0)?,
            unread: self.unread.iter().cloned().collect(),
            keys: None,
            withheld: if self.withheld { vec![WHOLE.into()] } else { Vec::new() },
            tokens: Vec::new(),
            model: Default::default(),
            digest: RequestDigest([7; 32]),
        })
    }
}

impl Counters {
    fn supposed(&self) -> Supposed {
        Supposed {
            calls: self.calls,
            calls_last_minute: self.minute,
            counts: [("ec2:RunInstances".to_owned(), self.runs)].into(),
            sums: [("ec2:RunInstances/MaxCount".to_owned(), self.instances)].into(),
        }
    }

    pub(super) fn of_session(&self) -> SessionUsage {
        SessionUsage::given(now(), &self.supposed())
    }

    pub(super) fn of_day(&self) -> DayUsage {
        DayUsage::given(now(), &self.supposed())
    }
}

/// The facts that go with them.
pub(super) fn facts<'a>(session: &'a SessionUsage, day: &'a DayUsage) -> Facts<'a> {
    Facts { now: now(), session, day }
}

fn record(members: &Map<String, Value>, depth: usize) -> Option<BTreeMap<String, Param>> {
    let present = members.iter().filter(|(_, value)| !value.is_null());
    present.map(|(name, value)| Some((name.clone(), param(value, depth)?))).collect()
}

fn param(value: &Value, depth: usize) -> Option<Param> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        Value::Null => Param::Text(String::new()),
        Value::Bool(truth) => Param::Bool(*truth),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Param::Text(number.to_string()), Param::Number)
        }
        Value::String(text) => Param::Text(text.clone()),
        Value::Array(items) => {
            Param::List(items.iter().map(|item| param(item, depth + 1)).collect::<Option<_>>()?)
        }
        Value::Object(members) => Param::Record(record(members, depth + 1)?),
    })
}
