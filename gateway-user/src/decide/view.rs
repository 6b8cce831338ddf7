//! What Cedar is shown of a call: built only when a rule has a condition.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap, HashSet},
    sync::LazyLock,
};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};

use super::{Facts, arn::Arn, names::ANY_ACTION};
use crate::{
    classify::{ActionOn, Operation, Param},
    identify::WorkloadConfig,
};

/// How deep parameters may nest: DynamoDB's 32 levels take two each.
const MAX_PARAM_DEPTH: usize = 100;

/// One call, as rules see it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    workload: &'a WorkloadConfig,
    operation: &'a Operation,
    facts: Facts,
    context: OnceCell<Result<Context, String>>,
}

/// One pair of action and resource of a call.
#[derive(Debug)]
pub(super) struct View<'a> {
    call: &'a Call<'a>,
    pair: &'a ActionOn,
    arn: Option<Arn<'a>>,
    entities: OnceCell<Result<Entities, String>>,
    /// Without and with the context: large parameters are converted only when a rule reads them.
    bare: OnceCell<Result<Request, String>>,
    full: OnceCell<Result<Request, String>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(workload: &'a WorkloadConfig, operation: &'a Operation, facts: Facts) -> Self {
        Self { workload, operation, facts, context: OnceCell::new() }
    }

    pub(super) fn workload(&self) -> &WorkloadConfig {
        self.workload
    }

    fn context(&self) -> Result<Context, String> {
        self.context.get_or_init(|| self.build_context()).clone()
    }

    fn build_context(&self) -> Result<Context, String> {
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let operation = format!("{}:{}", self.operation.service, self.operation.name);
        Context::from_pairs([
            ("params".to_owned(), record(&self.operation.params, 0)?),
            ("region".to_owned(), text(self.operation.region.as_str())),
            ("time".to_owned(), RestrictedExpression::new_long(self.facts.now.unix_timestamp())),
            ("workload".to_owned(), text(self.workload.name.as_str())),
            ("operation".to_owned(), text(&operation)),
        ])
        .map_err(|error| error.to_string())
    }
}

impl<'a> View<'a> {
    pub(super) fn new(call: &'a Call<'a>, pair: &'a ActionOn) -> Self {
        Self {
            call,
            pair,
            arn: Arn::parse(&pair.resource),
            entities: OnceCell::new(),
            bare: OnceCell::new(),
            full: OnceCell::new(),
        }
    }

    pub(super) fn action(&self) -> &str {
        &self.pair.action
    }

    pub(super) fn resource(&self) -> &str {
        &self.pair.resource
    }

    /// Whether the resource is `*`, or anything else that is no ARN.
    pub(super) fn unknown_resource(&self) -> bool {
        self.arn.is_none()
    }

    /// The request and the entities Cedar evaluates a rule against.
    pub(super) fn cedar(&self, with_context: bool) -> Result<(&Request, &Entities), String> {
        let request = if with_context {
            self.full.get_or_init(|| self.request(self.call.context()?))
        } else {
            self.bare.get_or_init(|| self.request(Context::empty()))
        };
        let entities = self.entities.get_or_init(|| self.build_entities());
        Ok((request.as_ref().map_err(Clone::clone)?, entities.as_ref().map_err(Clone::clone)?))
    }

    fn request(&self, context: Context) -> Result<Request, String> {
        let principal = uid(&WORKLOAD, self.call.workload.name.as_str());
        Request::new(principal, uid(&ACTION, self.action()), uid(&RESOURCE, self.resource()), context, None)
            .map_err(|error| error.to_string())
    }

    fn build_entities(&self) -> Result<Entities, String> {
        let workload = self.call.workload;
        let groups = workload.groups.iter().map(|group| uid(&GROUP, group)).collect();
        let principal = Entity::new_no_attrs(uid(&WORKLOAD, workload.name.as_str()), groups);

        let service = self.action().split_once(':').map(|(service, _)| format!("{service}:*"));
        let groups = service.as_deref().into_iter().chain([ANY_ACTION]).map(|group| uid(&ACTION, group));
        let action = Entity::new_no_attrs(uid(&ACTION, self.action()), groups.collect());

        let resource =
            Entity::new(uid(&RESOURCE, self.resource()), self.resource_attributes(), HashSet::new())
                .map_err(|error| error.to_string())?;
        Entities::from_entities([principal, action, resource], None).map_err(|error| error.to_string())
    }

    fn resource_attributes(&self) -> HashMap<String, RestrictedExpression> {
        let parts = match self.arn {
            None => [None; 4],
            Some(arn) => [
                Some(("service", arn.service)),
                arn.region.map(|region| ("region", region)),
                arn.account.map(|account| ("account", account)),
                arn.kind.map(|kind| ("type", kind)),
            ],
        };
        let arn = ("arn", self.resource());
        std::iter::once(arn)
            .chain(parts.into_iter().flatten())
            .map(|(name, value)| (name.to_owned(), RestrictedExpression::new_string(value.to_owned())))
            .collect()
    }
}

static WORKLOAD: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Workload"));
static GROUP: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Group"));
static ACTION: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Action"));
static RESOURCE: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Resource"));

#[expect(clippy::expect_used, reason = "four constants, each used by every test of this module")]
fn type_name(name: &str) -> EntityTypeName {
    name.parse().expect("an identifier")
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn record(fields: &BTreeMap<String, Param>, depth: usize) -> Result<RestrictedExpression, String> {
    let fields: Result<Vec<_>, String> =
        fields.iter().map(|(name, value)| Ok((name.clone(), param(value, depth)?))).collect();
    RestrictedExpression::new_record(fields?).map_err(|error| error.to_string())
}

fn param(value: &Param, depth: usize) -> Result<RestrictedExpression, String> {
    if depth > MAX_PARAM_DEPTH {
        return Err(format!("the parameters nest deeper than {MAX_PARAM_DEPTH} levels"));
    }
    match value {
        Param::Text(text) => Ok(RestrictedExpression::new_string(text.clone())),
        Param::Number(number) => Ok(RestrictedExpression::new_long(*number)),
        Param::Bool(truth) => Ok(RestrictedExpression::new_bool(*truth)),
        Param::List(items) => {
            let items: Result<Vec<_>, String> = items.iter().map(|item| param(item, depth + 1)).collect();
            items.map(RestrictedExpression::new_set)
        }
        Param::Record(fields) => record(fields, depth + 1),
    }
}
