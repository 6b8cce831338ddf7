//! The IAM prefix of a service.

use serde_json::Value;

use super::iam::Iam;

/// The prefix under which most of the service's operations have an action, out of the names that the
/// service goes by; empty where IAM has none of them.
pub fn of(service: &str, model: &Value, iam: &Iam) -> String {
    let metadata = |key: &str| model.get("metadata").and_then(|metadata| metadata.get(key)?.as_str());
    let names = [Some(service), metadata("signingName"), metadata("endpointPrefix")];
    let operations = model.get("operations").and_then(Value::as_object);
    let known = |prefix: &&str| {
        let actions = iam.service(prefix).map(|service| &service.actions);
        let operations = operations.into_iter().flatten();
        operations
            .filter(|(name, _)| actions.is_some_and(|all| all.contains_key(&name.to_lowercase())))
            .count()
    };
    let prefixes = names.into_iter().flatten().filter(|prefix| iam.service(prefix).is_some());
    // Of equals the first.
    let mut best = None;
    for prefix in prefixes {
        let count = known(&prefix);
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, prefix));
        }
    }
    best.map_or(String::new(), |(_, prefix)| prefix.to_owned())
}
