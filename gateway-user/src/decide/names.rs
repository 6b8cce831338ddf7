//! The entity names a policy may write: actions and resources.
//!
//! A name that can never match is refused: in a `forbid` it would silently forbid nothing.

use super::{arn::Arn, error::Complaint};

/// The group that holds every action.
pub(super) const ANY_ACTION: &str = "*";

/// The resource that cannot be computed, or that is no single resource.
pub(super) const ANY_RESOURCE: &str = "*";

/// IAM's access levels, groups that come with the catalogue of all services.
const ACCESS_LEVELS: [&str; 5] = ["List", "Read", "Write", "Tagging", "PermissionsManagement"];

/// What an `Action::"…"` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionName<'a> {
    /// `*`: every action of every service.
    Any,
    /// `s3:*`: every action of a service.
    Service(&'a str),
    /// `s3:GetObject`.
    One(&'a str),
}

impl<'a> ActionName<'a> {
    /// Reads the text of an action literal.
    pub(super) fn parse(text: &'a str) -> Result<Self, Complaint> {
        if text == ANY_ACTION {
            return Ok(Self::Any);
        }
        let refuse = |message: String, help: &str| Err(Complaint::new(message).about(text).help(help));
        let Some((service, name)) = text.split_once(':') else {
            return refuse(
                format!("`{text}` is not an action"),
                "write `service:Name` as IAM does, e.g. `s3:GetObject`, or `s3:*`, or `*`",
            );
        };
        if ACCESS_LEVELS.contains(&name) {
            return refuse(
                format!("access-level groups such as `{text}` are not available yet"),
                "list the actions: action in [Action::\"s3:GetObject\", …]",
            );
        }
        if service == "*" {
            return refuse(format!("`{text}` is not a group of actions"), "write `*` for every action");
        }
        let service_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if service.is_empty() || !service.bytes().all(service_ok) {
            return refuse(
                format!("`{service}` is not a service prefix"),
                "IAM writes service prefixes in lower case, e.g. `s3`, `execute-api`",
            );
        }
        if name == "*" {
            return Ok(Self::Service(service));
        }
        if name.contains(['*', '?']) {
            return refuse(
                format!("wildcards inside an action name, as in `{text}`, are not supported"),
                "list the actions, or take the whole service: `s3:*`",
            );
        }
        if !name.starts_with(|c: char| c.is_ascii_uppercase())
            || !name.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return refuse(
                format!("`{text}` is not an action"),
                "action names are case-sensitive and written as IAM does, e.g. `s3:GetObject`",
            );
        }
        Ok(Self::One(text))
    }
}

/// Checks the text of a resource literal: a whole ARN without wildcards, or `*`.
pub(super) fn check_resource(text: &str) -> Result<(), Complaint> {
    if text == ANY_RESOURCE {
        return Ok(());
    }
    if text.contains('*') {
        return Err(Complaint::new(format!(
            "`{text}` names no single resource: wildcards match nothing here"
        ))
        .about(text)
        .help(format!("write it as a condition: when {{ resource.arn like \"{text}\" }}")));
    }
    if Arn::parse(text).is_none() {
        return Err(Complaint::new(format!("`{text}` is not an ARN"))
            .about(text)
            .help("write the whole ARN, e.g. Resource::\"arn:aws:s3:::bucket/key\", or \"*\""));
    }
    Ok(())
}
