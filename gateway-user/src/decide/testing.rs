//! What tests and fuzz targets share: a caller, and what Cedar says when it is given every rule.
#![expect(clippy::unwrap_used, reason = "names that are written here are well-formed")]

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityUid, PolicySet, Request, Response,
    RestrictedExpression,
};
use time::OffsetDateTime;

use crate::{
    classify::ActionOn,
    identify::{self, Caller, WorkloadConfig},
};

/// A caller of workload `builds` in these groups.
pub(super) fn caller(groups: &[&str]) -> Caller {
    let workload = WorkloadConfig {
        tag: Some("builds".to_owned()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..WorkloadConfig::named("builds".parse().unwrap())
    };
    identify::testing::caller(workload, OffsetDateTime::UNIX_EPOCH)
}

/// The time of every decision.
pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

/// What Cedar itself says to one pair when it is given every rule, everything about the call, and the
/// word of who asks on the level of the action. Written down independently of what decides.
pub(super) fn unsliced(
    rules: &PolicySet,
    groups: &[&str],
    level: Option<&str>,
    pair: &ActionOn,
    context: Context,
) -> Response {
    let ActionOn { action, resource } = pair;
    let (principal, verb) = (uid("Workload", "builds"), uid("Action", action));
    let attributes = attributes(resource);
    let object = uid("Resource", attributes.get("arn").unwrap());
    let texts = attributes.into_iter().map(|(name, text)| (name, RestrictedExpression::new_string(text)));
    let service = action.split(':').next().unwrap();
    let levels = level.map(|level| [format!("*:{level}"), format!("{service}:{level}")]);
    let verbs = ["*".to_owned(), format!("{service}:*")].into_iter().chain(levels.into_iter().flatten());
    let entities = [
        Entity::new_no_attrs(principal.clone(), groups.iter().map(|group| uid("Group", group)).collect()),
        Entity::new_no_attrs(verb.clone(), verbs.map(|group| uid("Action", &group)).collect()),
        Entity::new(object.clone(), texts.collect(), Default::default()).unwrap(),
    ];
    let entities = Entities::from_entities(entities, None).unwrap();
    let request = Request::new(principal, verb, object, context, None).unwrap();
    Authorizer::new().is_authorized(&request, rules, &entities)
}

/// What rules can read of a resource.
pub(super) fn attributes(resource: &str) -> HashMap<String, String> {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let texts = match parts.as_slice() {
        ["arn", partition, service, region, account, rest]
            if [partition, service, rest].iter().all(|part| !part.is_empty()) =>
        {
            let word = rest.trim_start_matches('/').split(['/', ':']).next().unwrap_or_default();
            let kind = match *service {
                "sqs" => "queue",
                "sns" => "topic",
                "s3" if region.is_empty() && rest.contains('/') => "object",
                "s3" if region.is_empty() => "bucket",
                _ if rest.trim_start_matches('/') == word => "",
                _ => word,
            };
            vec![
                ("arn", resource),
                ("service", service),
                ("region", region),
                ("account", account),
                ("type", kind),
            ]
        }
        _ => vec![("arn", "*")],
    };
    let filled = texts.into_iter().filter(|(_, text)| !text.is_empty());
    filled.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

pub(super) fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), EntityId::new(id))
}
