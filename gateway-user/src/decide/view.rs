//! What Cedar is shown of a call: built only when a rule has a condition, and no more of it than the
//! rules in question read.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};

use super::{
    Facts,
    arn::Arn,
    meters::{COUNTS, Meters, SUMS},
    names::{ANY_RESOURCE, groups_of},
    reads::{ACCOUNT, APPROVAL, CONTEXT, FIELD, Reads, SECRET, SESSION, WORKLOAD_DAY},
    usage::Meter,
};
use crate::{
    classify::{ActionOn, Operation, Param},
    identify::{Identity, Session, WorkloadConfig},
    tokens::Secret,
};

/// How deep parameters may nest: DynamoDB's 32 levels take two each.
const MAX_PARAM_DEPTH: usize = 100;

/// One call, as rules see it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    session: &'a Session,
    /// Who the session is, the same for the whole call.
    identity: Arc<Identity>,
    operation: &'a Operation,
    facts: Facts<'a>,
    meters: &'a Meters,
    /// The groups of who approved; `None` where nobody did.
    approval: Option<&'a [String]>,
    /// The part of its answer that would be revealed, or the parameter that a secret would be put into; `None` where the
    /// call itself is decided.
    field: Option<&'a str>,
    /// The secret that would be put into a parameter.
    secret: Option<&'a Secret>,
    /// Kept from pair to pair: parameters may be large and pairs many.
    context: RefCell<Option<(Reads, Context)>>,
}

/// One pair of action and resource of a call.
#[derive(Debug)]
pub(super) struct View<'a> {
    call: &'a Call<'a>,
    pair: &'a ActionOn,
    arn: Option<Arn<'a>>,
    /// What any rule about this pair reads.
    reads: Reads,
    cedar: OnceCell<Result<(Request, Entities), String>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        session: &'a Session,
        operation: &'a Operation,
        facts: Facts<'a>,
        meters: &'a Meters,
    ) -> Self {
        let (identity, context) = (session.identity(), RefCell::default());
        let (approval, field, secret) = (None, None, None);
        Self { session, identity, operation, facts, meters, approval, field, secret, context }
    }

    /// The same call, had one member of each of these groups approved of it.
    pub(super) fn approved_by(&self, groups: &'a [String]) -> Self {
        let Self { session, operation, facts, meters, field, secret, .. } = *self;
        let (identity, approval, context) = (Arc::clone(&self.identity), Some(groups), RefCell::default());
        Self { session, identity, operation, facts, meters, approval, field, secret, context }
    }

    /// The question whether this part of the call's answer is revealed.
    pub(super) fn revealing(&self, field: &'a str) -> Self {
        let Self { session, operation, facts, meters, approval, .. } = *self;
        let (identity, context) = (Arc::clone(&self.identity), RefCell::default());
        let (field, secret) = (Some(field), None);
        Self { session, identity, operation, facts, meters, approval, field, secret, context }
    }

    /// The question whether this secret is put into this parameter of the call.
    pub(super) fn inserting(&self, field: &'a str, secret: &'a Secret) -> Self {
        Self { secret: Some(secret), ..self.revealing(field) }
    }

    pub(super) fn workload(&self) -> &WorkloadConfig {
        &self.session.workload
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    fn context(&self, reads: &Reads) -> Result<Context, String> {
        let mut kept = self.context.borrow_mut();
        if let Some((read, context)) = &*kept
            && read.covers_context(reads)
        {
            return Ok(context.clone());
        }
        let context = self.build_context(reads)?;
        *kept = Some((*reads, context.clone()));
        Ok(context)
    }

    fn build_context(&self, reads: &Reads) -> Result<Context, String> {
        let mut pairs = Vec::with_capacity(CONTEXT.len());
        for (name, read) in CONTEXT.into_iter().zip(reads.context) {
            if read && let Some(value) = self.attribute(name)? {
                pairs.push((name.to_owned(), value));
            }
        }
        Context::from_pairs(pairs).map_err(|error| error.to_string())
    }

    /// `None` for what is absent.
    fn attribute(&self, name: &str) -> Result<Option<RestrictedExpression>, String> {
        let text = RestrictedExpression::new_string;
        Ok(Some(match name {
            "params" => record(&self.operation.params, 0)?,
            "region" => text(self.operation.region.to_string()),
            ACCOUNT => match &self.operation.account {
                None => return Ok(None),
                Some(account) => text(account.to_string()),
            },
            "time" => datetime(self.facts.now),
            "workload" => text(self.workload().name.to_string()),
            "operation" => text(self.operation.full_name()),
            "unread" => texts(&self.operation.unread),
            SESSION => {
                let age = (self.facts.now - self.session.started).whole_seconds().max(0);
                self.counters(self.facts.session, Some(age))?
            }
            WORKLOAD_DAY => self.counters(self.facts.day, None)?,
            APPROVAL => match self.approval {
                None => return Ok(None),
                Some(groups) => fields([("groups".to_owned(), texts(groups))])?,
            },
            FIELD => match self.field {
                None => return Ok(None),
                Some(field) => text(field.to_owned()),
            },
            SECRET => match self.secret {
                None => return Ok(None),
                Some(secret) => {
                    fields(secret.parts().map(|(name, part)| (name.to_owned(), text(part.to_owned()))))?
                }
            },
            other => return Err(format!("`context.{other}` is not known")),
        }))
    }

    /// Only what rules read by name; what was never counted is 0.
    fn counters(&self, meter: &impl Meter, age: Option<i64>) -> Result<RestrictedExpression, String> {
        let count = |number: u64| RestrictedExpression::new_long(i64::try_from(number).unwrap_or(i64::MAX));
        let counts = self.meters.counts.iter().map(|name| (name.clone(), count(meter.count(name))));
        let sums = self
            .meters
            .sums
            .iter()
            .map(|name| (name.clone(), RestrictedExpression::new_long(meter.sum(name))));
        let mut all = vec![
            ("calls".to_owned(), count(meter.calls())),
            ("calls_last_minute".to_owned(), count(meter.calls_last_minute(self.facts.now))),
            (COUNTS.to_owned(), fields(counts)?),
            (SUMS.to_owned(), fields(sums)?),
        ];
        all.extend(age.map(|age| ("age".to_owned(), RestrictedExpression::new_long(age))));
        fields(all)
    }
}

impl<'a> View<'a> {
    pub(super) fn new(call: &'a Call<'a>, pair: &'a ActionOn, reads: Reads) -> Self {
        Self { call, pair, arn: Arn::parse(&pair.resource), reads, cedar: OnceCell::new() }
    }

    pub(super) fn action(&self) -> &str {
        &self.pair.action
    }

    /// The ARN, or `*` for anything that is none.
    pub(super) fn resource(&self) -> &str {
        if self.unknown_resource() { ANY_RESOURCE } else { &self.pair.resource }
    }

    /// Whether the resource is `*`, or anything else that is no ARN.
    pub(super) fn unknown_resource(&self) -> bool {
        self.arn.is_none()
    }

    /// The request and the entities Cedar evaluates a condition against.
    pub(super) fn cedar(&self) -> Result<(&Request, &Entities), String> {
        match self.cedar.get_or_init(|| Ok((self.request()?, self.entities()?))) {
            Ok((request, entities)) => Ok((request, entities)),
            Err(error) => Err(error.clone()),
        }
    }

    fn request(&self) -> Result<Request, String> {
        let principal = uid(&WORKLOAD, self.call.workload().name.as_str());
        let context = self.call.context(&self.reads)?;
        Request::new(principal, uid(&ACTION, self.action()), uid(&RESOURCE, self.resource()), context, None)
            .map_err(|error| error.to_string())
    }

    /// The entities whose attributes or groups are read; building them is most of a decision.
    fn entities(&self) -> Result<Entities, String> {
        let mut entities = Vec::with_capacity(3);
        if self.reads.caller {
            entities.extend([self.principal_entity()?, self.action_entity()]);
        }
        if self.reads.resource {
            entities.push(
                Entity::new(uid(&RESOURCE, self.resource()), self.resource_attributes(), HashSet::new())
                    .map_err(|error| error.to_string())?,
            );
        }
        Entities::from_entities(entities, None).map_err(|error| error.to_string())
    }

    /// With who vouches as attributes, and the further claims of its token as tags.
    fn principal_entity(&self) -> Result<Entity, String> {
        let (name, identity) = (self.call.workload().name.as_str(), self.call.identity());
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let attributes = [("issuer", text(&identity.issuer)), ("subject", text(&identity.subject))]
            .map(|(k, v)| (k.to_owned(), v));
        let groups: HashSet<_> = identity.groups.iter().map(|group| uid(&GROUP, group)).collect();
        let claims = identity.claims.iter().map(|(name, value)| (name.clone(), text(value)));
        Entity::new_with_tags(uid(&WORKLOAD, name), attributes, groups, claims)
            .map_err(|error| error.to_string())
    }

    fn action_entity(&self) -> Entity {
        let groups = groups_of(self.action()).iter().map(|group| uid(&ACTION, group)).collect();
        Entity::new_no_attrs(uid(&ACTION, self.action()), groups)
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

/// In UTC, to the second; Cedar's datetimes are written in ISO 8601.
fn datetime(time: time::OffsetDateTime) -> RestrictedExpression {
    let utc = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = (utc.year(), u8::from(utc.month()), utc.day());
    let (hour, minute, second) = utc.to_hms();
    RestrictedExpression::new_datetime(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> RestrictedExpression {
    RestrictedExpression::new_set(
        texts.into_iter().map(|text| RestrictedExpression::new_string(text.clone())),
    )
}

fn fields(
    fields: impl IntoIterator<Item = (String, RestrictedExpression)>,
) -> Result<RestrictedExpression, String> {
    RestrictedExpression::new_record(fields).map_err(|error| error.to_string())
}

fn record(members: &BTreeMap<String, Param>, depth: usize) -> Result<RestrictedExpression, String> {
    let members: Result<Vec<_>, String> =
        members.iter().map(|(name, value)| Ok((name.clone(), param(value, depth)?))).collect();
    fields(members?)
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
