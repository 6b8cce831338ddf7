//! Our own, reviewed additions: one text file per service.
//!
//! ```text
//! # A comment.
//! prefix cassandra            the IAM prefix, where no name of the service is
//! actions Invoke=InvokeFunction   the action of an operation; with another prefix, written out; `*`: of all
//! verbs /v2                   actions are HTTP methods, resources are paths without this beginning
//! passes-nothing              its requests hand over no roles, whatever is written in them
//! names Member Type…          a member is also called so: a placeholder of ARNs, or a resource type;
//!                             `arn:Type`: it is the ARN of such a resource
//! account Member              says in whose account the resource is; nothing else it says is
//! form Member path            the form of a member's texts, see `catalog::need`
//! unsigned                    its requests are not signed with SigV4
//! mints Op Op…                answers carry credentials, or credentials are set
//!
//! Operation Operation…        these operations need what follows, and nothing else
//!     ACTION RESOURCE …       a need, see `gateway-user/src/catalog/need.rs`; without a prefix: the service's
//!     = RESOURCE …            the same; the action is called as the operation
//! Operation + …               these need it besides what is found by name
//!     passes-nothing
//!     lends-nothing           its service does nothing in S3 with the rights of the caller
//! ```

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};

use super::{
    fill::{Aliases, Forms},
    iam::Iam,
    model::Input,
    names::plain,
};

/// The overlay of one service.
#[derive(Default)]
pub struct Overlay {
    /// How many lines say something.
    pub entries: usize,
    /// The IAM prefix.
    pub prefix: Option<String>,
    /// Actions of operations, with prefix.
    pub actions: BTreeMap<String, String>,
    /// Actions are HTTP methods; what is dropped from the beginning of paths.
    pub verbs: Option<String>,
    /// No request hands over a role.
    pub passes_nothing: bool,
    /// What members are also called.
    pub aliases: Aliases,
    /// Members that say in whose account resources are.
    pub accounts: Vec<String>,
    /// Forms of members.
    pub forms: Forms,
    /// Requests are not signed.
    pub unsigned: bool,
    /// By name.
    pub operations: BTreeMap<String, Entry>,
}

/// What an overlay says about an operation.
#[derive(Default, Clone)]
pub struct Entry {
    /// Needs.
    pub lines: Vec<String>,
    /// How many blocks are about it; more than one is a mistake.
    blocks: usize,
    /// Whether they come on top.
    pub adds: bool,
    /// Whether it answers with credentials.
    pub mints: bool,
    /// Whether it hands over no role.
    pub passes_nothing: bool,
    /// Whether nothing is done in S3 with the rights of the caller.
    pub lends_nothing: bool,
}

/// Reads every `SERVICE.txt` of a folder.
pub fn read(folder: &Path, prefix: impl Fn(&str) -> String) -> Result<BTreeMap<String, Overlay>> {
    let mut overlays = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let overlay =
            parse(prefix(name), &fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        overlays.insert(name.to_owned(), overlay);
    }
    Ok(overlays)
}

/// Reads one overlay; `prefix` is that of its service.
pub fn parse(mut prefix: String, text: &str) -> Result<Overlay> {
    let mut overlay = Overlay::default();
    let mut current: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = || format!("line {}: {line}", number + 1);
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        overlay.entries += 1;
        let words: Vec<&str> = line.split_whitespace().collect();
        let (first, rest) = words.split_first().context("an empty line")?;
        if line.starts_with(' ') {
            if current.is_empty() {
                bail!("{}: no operation stands before it", at());
            }
            for operation in &current {
                let entry = overlay.operations.entry(operation.clone()).or_default();
                if *first == "passes-nothing" {
                    entry.passes_nothing = true;
                } else if *first == "lends-nothing" {
                    entry.lends_nothing = true;
                } else {
                    let action = if *first == "=" { operation } else { *first };
                    let action = with_prefix(&prefix, action);
                    entry.lines.push(format!("{action} {}", rest.join(" ")));
                }
            }
            continue;
        }
        current = Vec::new();
        match (*first, rest) {
            ("prefix", [name]) => {
                prefix = (*name).to_owned();
                overlay.prefix = Some(prefix.clone());
            }
            ("actions", pairs) => {
                for pair in pairs {
                    let (operation, action) = pair.split_once('=').with_context(at)?;
                    overlay.actions.insert(operation.to_owned(), with_prefix(&prefix, action));
                }
            }
            ("verbs", rest) => overlay.verbs = Some(rest.concat()),
            ("passes-nothing", []) => overlay.passes_nothing = true,
            ("names", [member, names @ ..]) => {
                let names = names.iter().map(|name| match name.strip_prefix("arn:") {
                    Some(name) => format!("arn:{}", plain(name)),
                    None => plain(name),
                });
                overlay.aliases.entry((*member).to_owned()).or_default().extend(names);
            }
            ("account", [member]) => overlay.accounts.push((*member).to_owned()),
            ("form", [member, form]) => {
                overlay.forms.insert((*member).to_owned(), (*form).to_owned());
            }
            ("unsigned", []) => overlay.unsigned = true,
            ("mints", operations) => {
                for operation in operations {
                    overlay.operations.entry((*operation).to_owned()).or_default().mints = true;
                }
            }
            _ => {
                for operation in words.iter().filter(|word| **word != "+") {
                    if !operation.starts_with(|c: char| c.is_ascii_uppercase()) {
                        bail!("{}: {operation} is no operation", at());
                    }
                    let entry = overlay.operations.entry((*operation).to_owned()).or_default();
                    if entry.blocks > 0 {
                        bail!("{}: {operation} is there twice", at());
                    }
                    entry.blocks += 1;
                    entry.adds = words.last() == Some(&"+");
                    current.push((*operation).to_owned());
                }
            }
        }
    }
    Ok(overlay)
}

fn with_prefix(prefix: &str, action: &str) -> String {
    if action.contains(':') { action.to_owned() } else { format!("{prefix}:{action}") }
}

/// What is wrong: an action that IAM does not know, a member that the input does not have.
pub fn faults(needs: &[String], input: &Input<'_>, iam: &Iam) -> Vec<String> {
    let mut faults = Vec::new();
    for need in needs {
        let action = need.split(' ').next().unwrap_or("");
        if iam.action(action).is_none_or(|known| !action.ends_with(&known.name)) {
            faults.push(format!("{need}: IAM has no such action"));
        }
        let unknown = paths(need).into_iter().filter(|path| !input.has(&path.split('.').collect::<Vec<_>>()));
        faults.extend(unknown.map(|path| format!("{need}: the input has no {path}")));
    }
    faults
}

/// The paths in a need, from the request inwards.
pub fn paths(need: &str) -> Vec<String> {
    let words: Vec<&str> = need.split(' ').collect();
    let mut found: Vec<&str> = Vec::new();
    let mut each = None;
    for pair in words.windows(2) {
        match pair {
            ["each", list] => each = Some(*list),
            ["when" | "unless", tests] => {
                found.extend(tests.split('|').map(|test| test.split(['=', '~']).next().unwrap_or(test)));
            }
            _ => {}
        }
    }
    let mut rest = need;
    while let Some((_, after)) = rest.split_once("${") {
        let (inner, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        let inner = inner.split('=').next().unwrap_or(inner);
        match inner.split_once('|') {
            Some(("Account" | "Region", path)) | Some((path, _)) => found.push(path),
            None if matches!(inner, "Partition" | "Region" | "Account") => {}
            None => found.push(inner),
        }
    }
    let whole = |path: &str| match (path.strip_prefix('/'), each) {
        (Some(path), _) => path.to_owned(),
        (None, Some(list)) => format!("{list}.*.{path}"),
        (None, None) => path.to_owned(),
    };
    // At its end, `*` are the keys of a map.
    let paths = found.into_iter().map(whole).chain(each.map(str::to_owned));
    paths.map(|path| path.strip_suffix(".*").map_or(path.clone(), str::to_owned)).collect()
}
