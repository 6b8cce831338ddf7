//! The actions of IAM with their access levels.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::sources::{self, Sources};

/// Access levels, as letters: `l`ist, `r`ead, `w`rite, `t`agging, `p`ermissions management.
pub type Level = char;

/// Every action's level, by IAM prefix and name.
pub struct Actions(BTreeMap<String, BTreeMap<String, Level>>);

impl Actions {
    /// Reads iam-data; the Service Reference, where there is one, knows better.
    pub fn read(sources: &Sources) -> Result<Self> {
        let mut actions = Self(BTreeMap::new());
        let dir = sources.iam_data.join("data/actions");
        for file in sources::entries(&dir)? {
            let Some(prefix) = file.strip_suffix(".json") else { continue };
            let data = sources::json(&dir.join(&file))?;
            for action in data.as_object().into_iter().flat_map(|data| data.values()) {
                let (name, level) = (text(action, "name")?, text(action, "accessLevel")?);
                actions.add(prefix, name, level_named(level)?);
            }
        }
        for (file, reference) in sources.references()? {
            actions.reference(&reference).with_context(|| file)?;
        }
        Ok(actions)
    }

    /// Every prefix with its actions' names.
    pub fn by_prefix(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.0.iter().map(|(prefix, actions)| (prefix.as_str(), actions.keys().map(String::as_str)))
    }

    /// The level of an action, if IAM has it.
    pub fn level(&self, prefix: &str, name: &str) -> Option<Level> {
        self.0.get(prefix)?.get(name).copied()
    }

    /// One line per prefix, without the actions that have the name of an operation in `said`: their
    /// lines have the level.
    pub fn lines(&self, said: &BTreeSet<(String, String)>) -> Vec<Value> {
        let mut lines = Vec::new();
        for (prefix, actions) in &self.0 {
            let mut line = Map::from_iter([("actions".to_owned(), json!(prefix))]);
            for level in ['l', 'r', 'w', 't', 'p'] {
                let of_level = actions.iter().filter(|(_, of)| **of == level).map(|(name, _)| name.as_str());
                let others = of_level.filter(|name| !said.contains(&(prefix.clone(), (*name).to_owned())));
                let names: Vec<&str> = others.collect();
                if !names.is_empty() {
                    line.insert(level.to_string(), json!(names.join(" ")));
                }
            }
            if line.len() > 1 {
                lines.push(Value::Object(line));
            }
        }
        lines
    }

    fn add(&mut self, prefix: &str, name: &str, level: Level) {
        let level = if level == 'w' && shares(prefix, name) { 'p' } else { level };
        self.0.entry(prefix.to_owned()).or_default().insert(name.to_owned(), level);
    }

    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/service-reference.html>
    fn reference(&mut self, service: &Value) -> Result<()> {
        let prefix = text(service, "Name")?.to_owned();
        for action in service.get("Actions").and_then(Value::as_array).into_iter().flatten() {
            let name = text(action, "Name")?;
            match sources::reference_level(action) {
                Some(level) => self.add(&prefix, name, level_named(level)?),
                // Nothing is known: the old level stays.
                None => {
                    let known = self.0.entry(prefix.clone()).or_default();
                    known.entry(name.to_owned()).or_insert('w');
                }
            }
        }
        Ok(())
    }
}

/// Whether an action that IAM counts as writing says who else may use a resource. IAM itself is not agreed on
/// it: `PutResourcePolicy` manages permissions for half of the services.
fn shares(prefix: &str, name: &str) -> bool {
    const SHARES: [(&str, &[&str]); 5] = [
        ("ds", &["AcceptSharedDirectory", "ShareDirectory", "UnshareDirectory"]),
        ("ec2", &["ModifyFpgaImageAttribute", "ModifyImageAttribute", "ResetImageAttribute"]),
        ("ram", &["*"]),
        ("rds", &["ModifyDBClusterSnapshotAttribute", "ModifyDBSnapshotAttribute"]),
        ("servicecatalog", &["CreatePortfolioShare", "DeletePortfolioShare", "UpdatePortfolioShare"]),
    ];
    let listed = SHARES.iter().find(|(of, _)| *of == prefix).map_or(&[][..], |(_, names)| names);
    matches!(name, "PutResourcePolicy" | "DeleteResourcePolicy")
        || listed.iter().any(|of| matches!(*of, "*") || *of == name)
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("{name} is missing"))
}

/// iam-data adds `, Write` to the levels that IAM counts as writing.
fn level_named(name: &str) -> Result<Level> {
    Ok(match name.split(", ").next().unwrap_or_default() {
        "List" => 'l',
        "Read" => 'r',
        "Write" => 'w',
        "Tagging" => 't',
        "Permissions management" => 'p',
        other => bail!("the access level {other:?} is not known"),
    })
}
