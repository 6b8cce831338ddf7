//! `VerifiedRequest` → `Operation`: IAM actions, resources, parameters. *pure*
//!
//! `operation` finds out what is called, `members` what with; `needs` turns both into what IAM decides
//! on. `s3` is a world of its own. Whatever is not in the catalogue is refused.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    catalog::{Operation as Modelled, Partition, Protocol, catalog},
    parse::{AwsRequest, RequestDigest, VerifiedRequest},
    prim::{AccountId, Region},
};

/// Answers that carry keys: which operations have them, and where.
pub mod answer;
mod coding;
mod members;
mod needs;
mod operation;
mod own_host;
mod protocol;
mod query;
mod s3;
mod token;

use members::Params;
use operation::Found;
pub(crate) use token::{Reread, Written, reread, wipe};
pub use token::{Token, tokens_among};

/// An IAM action and the resource it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionOn {
    /// `service:Name` as IAM writes it, e.g. `s3:PutObject`.
    pub action: String,
    /// An ARN, or `*` where it cannot be computed.
    pub resource: String,
}

/// A request parameter that policies can read.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// A text; also fractions, timestamps and blobs (base64).
    Text(String),
    /// A whole number.
    Number(i64),
    /// A truth value.
    Bool(bool),
    /// A list.
    List(Vec<Param>),
    /// A structure or map.
    Record(BTreeMap<String, Param>),
}

impl Param {
    /// As JSON, for records and people.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(number) => Value::from(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::List(items) => Value::Array(items.iter().map(Self::json).collect()),
            Self::Record(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), value.json())).collect())
            }
        }
    }
}

/// What a request would do, known beyond doubt. Nothing but [`classify`] makes one, so a decision is
/// always about a request that was understood:
///
/// ```compile_fail,E0451
/// use gateway_user::classify::Operation;
/// let forge = |known: Operation, digest| Operation { digest, ..known };
/// ```
/// What it says may be looked at:
/// ```
/// use gateway_user::classify::Operation;
/// let look = |known: Operation| known.name;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// IAM service prefix, e.g. `s3`, `dynamodb`.
    pub service: String,
    /// API operation, e.g. `PutObject`.
    pub name: String,
    /// The region of the signature scope.
    pub region: Region,
    /// The account, where it is configured.
    pub account: Option<AccountId>,
    /// Every action it needs; never empty. All must be allowed.
    pub actions: Vec<ActionOn>,
    /// Its parameters by their names in the API; null members are absent, and so is what sits in an
    /// unread streaming body. S3's `Bucket` is the ARN where it is addressed by an access point.
    pub params: BTreeMap<String, Param>,
    /// The parameters that could not be read, because they are in a body that streams.
    pub unread: BTreeSet<String>,
    /// Where its answer carries keys, which the gateway replaces: they must not reach an agent.
    pub(crate) keys: Option<answer::Keys>,
    /// The parts of its answer that an agent gets only where policy reveals them: paths, or
    /// [`answer::WHOLE`], without which the call is not made.
    pub withheld: Vec<Arc<str>>,
    /// The tokens among its parameters, in whose place policy may let values be put.
    pub tokens: Vec<Token>,
    /// What its answer is a model of.
    pub(crate) model: Model,
    /// The canonical request this was read from.
    pub(crate) digest: RequestDigest,
}

/// How an answer is written, and which services' models may be of it: several share hosts and operations' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// By their names in botocore.
    pub(crate) services: Vec<&'static str>,
    /// The protocol of the request, which is that of the answer.
    pub(crate) protocol: Protocol,
}

impl Default for Model {
    /// Of nothing.
    fn default() -> Self {
        Self { services: Vec::new(), protocol: Protocol::Json }
    }
}

impl Operation {
    /// `service:Operation`, as rules and records write it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}:{}", self.service, self.name)
    }

    /// What it touches: each ARN once, in order, and `*` where one is not known.
    #[must_use]
    pub fn resources(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.actions.iter().map(|on| &on.resource).collect();
        all.into_iter().cloned().collect()
    }

    /// Whether its answer is withheld as a whole unless policy reveals it: without, the call is not made.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.withheld.iter().any(|part| **part == *answer::WHOLE)
    }

    /// Of its answer, these parts are hidden unless policy reveals them. Those of an answer that is withheld as a whole, or
    /// whose keys are replaced, need no word of their own.
    pub fn hide(&mut self, parts: impl IntoIterator<Item = Arc<str>>) {
        if !self.is_withheld() && self.keys.is_none() {
            self.withheld.extend(parts);
        }
    }
}

/// Why a request is not understood; always a Deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassifyError {
    /// The operation is not in the catalogue, or the request fits none.
    #[error("no operation of {service} fits this request: {detail}")]
    UnknownOperation {
        /// IAM service prefix.
        service: String,
        /// What was looked for.
        detail: String,
    },
    /// It is known which operation this is, but not which IAM actions it needs: `service:Operation`.
    #[error("which IAM actions {0} needs is not known")]
    UnknownAction(String),
    /// Two readings are possible.
    #[error("the request can be read in two ways: {0}")]
    Ambiguous(String),
    /// The body of an operation that must be inspected cannot be parsed.
    #[error("the body cannot be read: {0}")]
    BadBody(String),
    /// A member of the operation does not have the form that its model demands.
    #[error("the member {member:?} cannot be read: {why}")]
    BadMember {
        /// Its name in the model, or on the wire where the model does not have it.
        member: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is understood, but is too much at once to decide on.
    #[error("it needs more than {0} actions on resources; send several smaller requests")]
    TooManyActions(usize),
    /// The answer would carry keys, and a placeholder for them would be of no use to who asks.
    #[error("{0} answers with credentials, which must not reach an agent")]
    MintsCredentials(String),
}

/// Reads operation, actions, resources and parameters. `account` is the workload's, where it is
/// configured; without it, ARNs that need an account become `*`.
///
/// # Errors
/// [`ClassifyError`]: whatever is unknown or could be read in two ways.
pub fn classify(request: &VerifiedRequest, account: Option<&AccountId>) -> Result<Operation, ClassifyError> {
    let head = request.request();
    token::none_in_head(head)?;
    let arns = arns(head, account);
    let (service, name, actions, params, keys, withheld, tokens, model) = if head.is_s3() {
        let call = s3::read(head, request.body().map(|body| &**body), &arns)?;
        token::none_of_s3(&call.params.values)?;
        let keys = answer::keys_of("s3", call.operation);
        let model = Model { services: vec!["s3"], protocol: Protocol::RestXml };
        // Of S3, only sessions of directory buckets carry keys, and these are replaced.
        ("s3", call.operation, call.actions, call.params, keys, Vec::new(), Vec::new(), model)
    } else {
        let found = operation::find(request)?;
        let (prefix, operation) = (found.service.prefix, found.operation.name);
        let keys = answer::keys_of(found.service.name, operation);
        let withheld = answer::withheld(found.service.name, found.operation);
        let body = request.body().map(|body| &**body);
        let mut params = members_of(&found, (head, body))?;
        let tokens = token::tokens_of(found.service, found.operation, &params.values)?;
        add_twins(&mut params, &found, (head, body));
        own_host::check(head.endpoint(), &found, &params.values, account)?;
        let service = if prefix.is_empty() { found.service.name } else { prefix };
        let actions = needed(service, found.operation, &params.values, &arns)?;
        // The same names at S3 Express are other actions on other things; only some are known.
        let foreign = |on: &ActionOn| !on.action.starts_with("s3express:");
        if head.endpoint().is_s3_express() && actions.iter().any(foreign) {
            return Err(ClassifyError::UnknownAction(format!("{service}:{operation}")));
        }
        let twins = found.twins.iter().map(|twin| twin.service.name);
        let services = std::iter::once(found.service.name).chain(twins).collect();
        let model = Model { services, protocol: found.protocol };
        (prefix, operation, actions, params, keys, withheld, tokens, model)
    };
    let actions = bounded(with_unknown(actions, &params.unknown))?;
    Ok(Operation {
        service: service.to_owned(),
        name: name.to_owned(),
        region: head.region().clone(),
        account: account.cloned(),
        actions,
        params: params.values,
        unread: params.unread,
        keys,
        withheld,
        tokens,
        model,
        digest: request.digest(),
    })
}

/// The ARNs that a call with this head may be about.
fn arns<'a>(head: &'a AwsRequest, account: Option<&'a AccountId>) -> needs::Arns<'a> {
    // Hosts without region may stand for two partitions.
    let partition = Partition::of_region(head.region().as_str());
    let partition = partition.unwrap_or(head.endpoint().partition());
    needs::Arns::new(partition, head.region(), account)
}

/// The members of a call.
fn members_of(found: &Found, parts: (&AwsRequest, Option<&[u8]>)) -> Result<Params, ClassifyError> {
    members::read(found.service, found.operation, found.protocol, &found.labels, parts)
}

/// The same by the other names that they have in twins: rules may be written with any.
fn add_twins(params: &mut Params, found: &Found, parts: (&AwsRequest, Option<&[u8]>)) {
    for also in found.twins.iter().filter_map(|twin| members_of(twin, parts).ok()) {
        params.unknown.retain(|name| also.unknown.contains(name));
        for (name, value) in also.values {
            params.values.entry(name).or_insert(value);
        }
    }
}

/// What a call of an operation needs, told without a request: for tests of policies.
///
/// `service` is botocore's name of it, e.g. `lambda`; `params` have the model's names. Without an
/// `account`, ARNs that need one become `*`.
///
/// # Errors
/// [`ClassifyError`]: it is not in the catalogue, IAM's action for it is not known, or these cannot be its
/// parameters.
pub fn needs_of(
    service: &str,
    operation: &str,
    params: &BTreeMap<String, Param>,
    region: &Region,
    account: Option<&AccountId>,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let unknown =
        || ClassifyError::UnknownOperation { service: service.to_owned(), detail: operation.to_owned() };
    let partition = Partition::of_region(region.as_str()).ok_or_else(unknown)?;
    let arns = needs::Arns::new(partition, region, account);
    if service == "s3" {
        return bounded(s3::needs_of(operation, params, &arns)?);
    }
    let found = catalog().service(service).and_then(|service| service.operation(operation));
    bounded(needed(service, found.ok_or_else(unknown)?, params, &arns)?)
}

/// The actions of an operation of any service but S3; one at least.
fn needed(
    service: &str,
    operation: &Modelled,
    params: &BTreeMap<String, Param>,
    arns: &needs::Arns<'_>,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let actions = needs::of(&operation.needs, params, arns);
    if actions.is_empty() {
        return Err(ClassifyError::UnknownAction(format!("{service}:{}", operation.name)));
    }
    Ok(actions)
}

/// A member that the models do not have may name another resource: AWS may know it by now.
fn with_unknown(mut actions: Vec<ActionOn>, unknown: &BTreeSet<String>) -> Vec<ActionOn> {
    if !unknown.is_empty() {
        let names: BTreeSet<String> = actions.iter().map(|on| on.action.clone()).collect();
        actions.extend(names.into_iter().map(|action| ActionOn { action, resource: "*".to_owned() }));
    }
    actions
}

/// Actions that one request may need: DeleteObjects has up to 1,000 keys.
const MAX_ACTIONS: usize = 1_100;

/// Each pair once, in order, and not too many of them to decide on.
fn bounded(actions: Vec<ActionOn>) -> Result<Vec<ActionOn>, ClassifyError> {
    let mut seen = HashSet::with_capacity(actions.len());
    let first: Vec<bool> = actions.iter().map(|on| seen.insert((&on.action, &on.resource))).collect();
    if seen.len() > MAX_ACTIONS {
        return Err(ClassifyError::TooManyActions(MAX_ACTIONS));
    }
    Ok(actions.into_iter().zip(first).filter_map(|(on, first)| first.then_some(on)).collect())
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
pub(crate) mod tests;
