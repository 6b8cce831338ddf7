//! Which IAM prefix a service's operations have.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{actions::Actions, service::metadata};

/// What the data alone would get wrong: too few operations have an action of their own name, or
/// another service's actions have the same names.
const KNOWN: &[(&str, &str)] = &[("iot-jobs-data", "iotjobsdata")];

/// Of the names a service goes by, the one whose actions share most names with its operations; else
/// the prefix whose actions are nearly all of them; empty where IAM has none.
pub fn of(service: &str, model: &Value, actions: &Actions) -> String {
    if let Some((_, prefix)) = KNOWN.iter().find(|(known, _)| *known == service) {
        return (*prefix).to_owned();
    }
    let operations: BTreeSet<String> = model
        .get("operations")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|operations| operations.keys().map(|name| name.to_ascii_lowercase()))
        .collect();
    let endpoint = metadata(model, "endpointPrefix").unwrap_or_default();
    let own = [metadata(model, "signingName").unwrap_or(endpoint), endpoint, service];
    let shared = |names: &mut dyn Iterator<Item = &str>| {
        names.filter(|name| operations.contains(&name.to_ascii_lowercase())).count()
    };
    let mut counts: Vec<(usize, &str)> =
        actions.by_prefix().map(|(prefix, mut names)| (shared(&mut names), prefix)).collect();
    counts.sort_by_key(|(count, prefix)| {
        let place = own.iter().position(|own| own == prefix).unwrap_or(own.len());
        (std::cmp::Reverse(*count), place)
    });
    let best_own = counts.iter().find(|(_, prefix)| own.contains(prefix));
    let nearly_all = |count: &usize| count * 10 >= operations.len() * 9;
    match (best_own, counts.first()) {
        (Some((_, prefix)), _) => (*prefix).to_owned(),
        (None, Some((count, prefix))) if nearly_all(count) => (*prefix).to_owned(),
        (None, _) => String::new(),
    }
}
