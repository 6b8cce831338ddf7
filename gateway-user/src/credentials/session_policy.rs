//! What a role's keys are good for: a session policy, made from a permit or from a workload's rules.
//!
//! Keys with a session policy may do what the role *and* the policy allow.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use aws_lc_rs::digest;

use super::CredentialsError;
use crate::decide::Permit;

mod actions;
#[cfg(test)]
mod evaluate;
mod workload;

pub(super) use workload::for_workload;

/// Characters that STS takes.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const LIMIT: usize = 2048;

const ANY: &str = "*";

/// A policy of IAM in its JSON form, within STS's limit and in ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionPolicy {
    text: String,
    digest: Digest,
}

/// Tells session policies apart.
pub(super) type Digest = [u8; 32];

impl SessionPolicy {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }
}

/// A policy that allows the pairs of action and resource of a permit, and nothing else.
pub(super) fn for_call(permit: &Permit) -> Result<SessionPolicy, CredentialsError> {
    let pairs = &permit.operation().actions;
    let mut by_resource: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pair in pairs {
        let actions = by_resource.entry(&pair.resource).or_default();
        actions.insert(&pair.action);
        if pair.action == "sts:AssumeRole" {
            // The source identity that the gateway set goes along into the next role, and tags may: IAM asks for these
            // beside, and they do nothing by themselves.
            // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
            actions.extend(["sts:SetSourceIdentity", "sts:TagSession"]);
        }
    }
    // Resources with the same actions share a statement, which allows no further pair.
    let mut by_actions: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
    for (resource, actions) in by_resource {
        by_actions.entry(actions).or_default().push(one(resource));
    }
    let statements: Vec<Statement> = by_actions
        .into_iter()
        .map(|(actions, resources)| Statement {
            allows: true,
            actions: actions.into_iter().map(str::to_owned).collect(),
            resources,
        })
        .collect();
    write(&statements)
        .map_err(|characters| CredentialsError::PolicyTooLarge { pairs: pairs.len(), characters })
}

/// One of the policy's statements.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
}

/// The resource of a pair as IAM writes it. Only `*` alone stands for more than itself: whatever else
/// looks like a wildcard in an ARN was in the request, as in the key `a*b`.
fn one(resource: &str) -> String {
    if resource == ANY { ANY.to_owned() } else { literally(resource) }
}

/// A text that stands for itself alone.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars>
fn literally(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '*' | '?' | '$' => out.extend(['$', '{', c, '}']),
            other => out.push(other),
        }
        out
    })
}

/// The policy, or how many characters it would have.
fn write(statements: &[Statement]) -> Result<SessionPolicy, usize> {
    let mut text = r#"{"Version":"2012-10-17","Statement":["#.to_owned();
    for (number, statement) in statements.iter().enumerate() {
        text.push_str(if number > 0 { "," } else { "" });
        text.push_str(if statement.allows {
            r#"{"Effect":"Allow","Action":"#
        } else {
            r#"{"Effect":"Deny","Action":"#
        });
        list(&mut text, &statement.actions);
        text.push_str(r#","Resource":"#);
        list(&mut text, &statement.resources);
        text.push('}');
    }
    text.push_str("]}");
    if text.len() > LIMIT {
        return Err(text.len());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    Ok(SessionPolicy { text, digest })
}

fn list(out: &mut String, items: &[String]) {
    if let [item] = items {
        return string(out, item);
    }
    out.push('[');
    for (number, item) in items.iter().enumerate() {
        out.push_str(if number > 0 { "," } else { "" });
        string(out, item);
    }
    out.push(']');
}

/// JSON in ASCII: STS takes no character above U+00FF, and object keys have them.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
