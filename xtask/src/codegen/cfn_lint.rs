//! Names of actions that cfn-lint knows and iam-data does not yet.
//!
//! cfn-lint (MIT-0) carries two things of AWS: what the console's policy editor offers, with the names of actions
//! in lower case and without levels, and the schemas of CloudFormation's resource types, each with the actions
//! that its handlers need. Both only bear witness that an action of an operation's name exists: they say
//! nothing of its level, so that it counts as writing, and cut ARNs off where the first variable begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    service::metadata,
    sources::{entries, json},
};

/// The actions named like an operation, one value of each prefix in the form of the Service Reference.
///
/// `data` is the package's folder `cfnlint/data`.
///
/// # Errors
/// When a file is not there or is another than expected.
pub fn references(data: &Path, models: &BTreeMap<String, Value>) -> Result<Vec<(String, Value)>> {
    let editor = json(&data.join("AdditionalSpecs/Policies.json"))?;
    let mut schemas = Vec::new();
    let dir = data.join("schemas/resources");
    for file in entries(&dir)?.into_iter().filter(|file| file.ends_with(".json")) {
        schemas.push(json(&dir.join(file))?);
    }
    witnessed(&editor, &schemas, &operations(models))
}

/// The operations of the services that go by each prefix: their names by their names in lower case.
type Operations<'a> = BTreeMap<&'a str, BTreeMap<String, &'a str>>;

fn operations(models: &BTreeMap<String, Value>) -> Operations<'_> {
    let mut all = Operations::new();
    for (service, model) in models {
        let names =
            [Some(service.as_str()), metadata(model, "signingName"), metadata(model, "endpointPrefix")];
        for prefix in names.into_iter().flatten() {
            let operations = model.get("operations").and_then(Value::as_object).into_iter().flatten();
            let known = all.entry(prefix).or_default();
            known.extend(operations.map(|(name, _)| (name.to_lowercase(), name.as_str())));
        }
    }
    all
}

fn witnessed(editor: &Value, schemas: &[Value], operations: &Operations<'_>) -> Result<Vec<(String, Value)>> {
    let named = |prefix: &str, action: &str| operations.get(prefix)?.get(&action.to_lowercase()).copied();
    // By prefix and name: the types of the resources.
    let mut actions: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (prefix, service) in editor.as_object().context("the policy editor's services are no object")? {
        for (action, of) in service.get("Actions").and_then(Value::as_object).into_iter().flatten() {
            let Some(name) = named(prefix, action) else { continue };
            let types = of.get("Resources").and_then(Value::as_array).into_iter().flatten();
            let known = actions.entry(prefix).or_default().entry(name).or_default();
            known.extend(types.filter_map(Value::as_str));
        }
    }
    for schema in schemas {
        let handlers = schema.get("handlers").and_then(Value::as_object).into_iter().flatten();
        let permissions = handlers.filter_map(|(_, handler)| handler.get("permissions")?.as_array());
        for (prefix, action) in permissions.flatten().filter_map(|of| of.as_str()?.split_once(':')) {
            if let Some(name) = named(prefix, action) {
                actions.entry(prefix).or_default().entry(name).or_default();
            }
        }
    }
    let action = |(name, types): (&str, BTreeSet<&str>)| {
        let types: Vec<Value> = types.iter().map(|name| json!({ "Name": name })).collect();
        json!({ "Name": name, "Resources": types })
    };
    let service = |(prefix, actions): (&str, BTreeMap<&str, BTreeSet<&str>>)| {
        let actions: Vec<Value> = actions.into_iter().map(action).collect();
        (format!("cfn-lint's {prefix}"), json!({ "Name": prefix, "Actions": actions }))
    };
    Ok(actions.into_iter().map(service).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_prefix_s_operations_count() {
        let models = BTreeMap::from([
            (
                "one".to_owned(),
                json!({ "metadata": { "signingName": "a" }, "operations": { "GetIt": {}, "PutIt": {} } }),
            ),
            ("b".to_owned(), json!({ "operations": { "Getit": {} } })),
        ]);
        let editor = json!({ "a": { "Actions": {
            "getit": { "Resources": ["thing"] },
            "nobodysoperation": {},
        } } });
        let schemas = [
            json!({ "handlers": { "create": { "permissions": ["a:PutIt", "a:Get*", "b:GetIt", "c:GetIt"] } } }),
        ];
        let named = witnessed(&editor, &schemas, &operations(&models)).unwrap();
        let references: Vec<Value> = named.into_iter().map(|(_, reference)| reference).collect();
        let (get, put) = (
            json!({ "Name": "GetIt", "Resources": [{ "Name": "thing" }] }),
            json!({ "Name": "PutIt", "Resources": [] }),
        );
        assert_eq!(
            references,
            [
                json!({ "Name": "a", "Actions": [get, put] }),
                json!({ "Name": "b", "Actions": [{ "Name": "Getit", "Resources": [] }] }),
            ]
        );
    }
}
