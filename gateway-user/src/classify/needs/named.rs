//! What a request names somewhere, however deep: roles that it hands to a service, objects of S3.
//! More than IAM asks for is possible, less is not.

use std::collections::{BTreeMap, BTreeSet};

use super::resource::Arns;
use crate::classify::Param;

const ANY: &str = "*";

/// Every role that the request hands to a service: the ARN of a role in any member, and what stands in a
/// member that is called a role. Which role is in an instance profile is not told.
pub(super) fn roles(params: &BTreeMap<String, Param>, arns: &Arns<'_>) -> Vec<String> {
    gather(params, |name, text| {
        if !text.starts_with("arn:") {
            // Some services take a role's mere name as well.
            return (!text.is_empty() && holds_role(name)).then(|| arns.role(text));
        }
        if text.contains(":iam:") && text.contains(":role/") {
            return Some(text.to_owned());
        }
        let profile = text.contains(":iam:") && text.contains(":instance-profile/");
        (profile || holds_role(name)).then(|| ANY.to_owned())
    })
}

/// Every object of S3 in any member, by `s3://BUCKET/KEY`. One by the URL of a host of S3 is not told.
pub(super) fn objects(params: &BTreeMap<String, Param>, arns: &Arns<'_>) -> Vec<String> {
    gather(params, |_, text| {
        let (scheme, rest) = text.split_once("://")?;
        let host = rest.split(['/', '?']).next().unwrap_or(rest);
        match scheme.trim_start().to_ascii_lowercase().as_str() {
            "s3" => Some(arns.object(rest).unwrap_or_else(|| ANY.to_owned())),
            "http" | "https" if host.to_ascii_lowercase().contains("s3") => Some(ANY.to_owned()),
            _ => None,
        }
    })
}

/// Whether a member of this name holds a role; `xtask`'s `roles` has the same list.
fn holds_role(name: &str) -> bool {
    const ENDS: [&str; 9] = [
        "role",
        "rolearn",
        "roles",
        "rolearns",
        "rolename",
        "iamroleid",
        "roleupdate",
        "rolearnupdate",
        "roleoverride",
    ];
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    ENDS.iter().any(|end| name.ends_with(end))
}

/// What `pick` makes of every text and the name of its member, once.
fn gather(params: &BTreeMap<String, Param>, pick: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let mut found = BTreeSet::new();
    params.iter().for_each(|(name, param)| collect(name, param, &pick, &mut found));
    found.into_iter().collect()
}

fn collect(
    name: &str,
    param: &Param,
    pick: &impl Fn(&str, &str) -> Option<String>,
    found: &mut BTreeSet<String>,
) {
    match param {
        Param::Text(text) => found.extend(pick(name, text)),
        Param::List(items) => items.iter().for_each(|item| collect(name, item, pick, found)),
        Param::Record(members) => {
            members.iter().for_each(|(name, member)| collect(name, member, pick, found));
        }
        Param::Number(_) | Param::Bool(_) => {}
    }
}
