//! The entity names a policy may write: actions and resources.
//!
//! A name that can never match is refused: in a `forbid` it would silently forbid nothing.

use super::{arn::Arn, error::Complaint};
use crate::catalog::{AccessLevel, catalog};

/// The group that holds every action.
pub(super) const ANY_ACTION: &str = "*";

/// The action of showing an agent what is withheld of an answer. It is no action of IAM's and in no group: only
/// a rule that names it reveals.
pub(super) const REVEAL: &str = "reveal";

/// The action of putting a secret into a request in the place of its token. As [`REVEAL`], it is in no group.
pub(super) const INSERT: &str = "insert";

/// The resource that cannot be computed, or that is no single resource.
pub(super) const ANY_RESOURCE: &str = "*";

/// What an `Action::"…"` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionName<'a> {
    /// `*`: every action of every service.
    Any,
    /// `*:Read`: every action of this level.
    Level(AccessLevel),
    /// `s3:*`: every action of a service.
    Service(&'a str),
    /// `s3:Read`: every action of a service and level.
    ServiceLevel(&'a str, AccessLevel),
    /// `s3:GetObject`.
    One(&'a str),
    /// [`REVEAL`].
    Reveal,
    /// [`INSERT`].
    Insert,
}

impl<'a> ActionName<'a> {
    /// Reads the text of an action literal; what the catalogue does not know is refused.
    pub(super) fn parse(text: &'a str) -> Result<Self, Complaint> {
        if text == ANY_ACTION {
            return Ok(Self::Any);
        }
        if text == REVEAL {
            return Ok(Self::Reveal);
        }
        if text == INSERT {
            return Ok(Self::Insert);
        }
        let refuse = |message: String, help: &str| Err(Complaint::new(message).about(text).help(help));
        if text.rsplit(':').next().is_some_and(known::is_like_reveal) {
            return refuse(
                format!("`{text}` is not an action"),
                "revealing is one action for all services: `Action::\"reveal\"`, \
                 when { context.operation == \"ecr:GetAuthorizationToken\" }",
            );
        }
        if text.rsplit(':').next().is_some_and(known::is_like_insert) {
            return refuse(
                format!("`{text}` is not an action"),
                "putting secrets into requests is one action for all services: `Action::\"insert\"`, \
                 when { context.operation == \"lambda:UpdateFunctionConfiguration\" }",
            );
        }
        let Some((service, name)) = text.split_once(':') else {
            return refuse(
                format!("`{text}` is not an action"),
                "write `service:Name` as IAM does, e.g. `s3:GetObject`, or `s3:*`, `s3:Read`, `*:Read`, `*`",
            );
        };
        let level = level_called(name);
        if service == "*" {
            return match level {
                Some(level) => Ok(Self::Level(level)),
                None if name == "*" => {
                    refuse(format!("`{text}` is not a group of actions"), "write `*` for every action")
                }
                None => refuse(
                    format!("`{text}` is not a group of actions"),
                    "groups over all services: `*:List`, `*:Read`, `*:Write`, `*:Tagging`, `*:PermissionsManagement`",
                ),
            };
        }
        known::check_service(service).map_err(|complaint| complaint.about(text))?;
        if name == "*" {
            return Ok(Self::Service(service));
        }
        if let Some(level) = level {
            return match known::has_level(service, level) {
                true => Ok(Self::ServiceLevel(service, level)),
                false => refuse(format!("no action of `{service}` has the access level {name}"), "remove it"),
            };
        }
        if name.contains(['*', '?']) {
            return refuse(
                format!("wildcards inside an action name, as in `{text}`, are not supported"),
                "list the actions, or take a group: `s3:*`, `s3:Read`",
            );
        }
        known::check_action(text).map_err(|complaint| complaint.about(text))?;
        Ok(Self::One(text))
    }

    /// Whether `action` is this action, or in this group.
    pub(super) fn covers(self, action: &str) -> bool {
        match self {
            Self::Any => !is_own(action),
            Self::Reveal => action == REVEAL,
            Self::Insert => action == INSERT,
            Self::One(name) => name == action,
            Self::Service(service) => service_of(action) == service,
            Self::Level(level) => level_of(action) == Some(level),
            Self::ServiceLevel(service, level) => {
                service_of(action) == service && level_of(action) == Some(level)
            }
        }
    }

    /// Whether this is a group.
    pub(super) fn is_group(self) -> bool {
        !matches!(self, Self::One(_) | Self::Reveal | Self::Insert)
    }
}

/// Whether it is an action of the gateway's own, which is in no group.
pub(super) fn is_own(action: &str) -> bool {
    action == REVEAL || action == INSERT
}

/// The service prefix of an action.
pub(super) fn service_of(action: &str) -> &str {
    action.split_once(':').map_or("", |(service, _)| service)
}

/// The access level of an action; an action that the catalogue does not know has none.
pub(super) fn level_of(action: &str) -> Option<AccessLevel> {
    catalog().action(action).map(|action| action.access)
}

/// The groups that an action is in.
pub(super) fn groups_of(action: &str) -> Vec<String> {
    if is_own(action) {
        return Vec::new();
    }
    let service = service_of(action);
    let mut groups = vec![ANY_ACTION.to_owned()];
    if !service.is_empty() {
        groups.push(format!("{service}:*"));
    }
    if let Some(level) = level_of(action).map(AccessLevel::name) {
        groups.extend([format!("*:{level}"), format!("{service}:{level}")]);
    }
    groups
}

fn level_called(name: &str) -> Option<AccessLevel> {
    AccessLevel::ALL.into_iter().find(|level| level.name() == name)
}

/// What the catalogue knows, and the closest of it to what somebody wrote.
mod known {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::LazyLock,
    };

    use super::{AccessLevel, Complaint, catalog, service_of};
    use crate::meant::meant;

    /// Per service prefix: the access levels of its actions.
    static SERVICES: LazyLock<BTreeMap<&'static str, BTreeSet<AccessLevel>>> = LazyLock::new(|| {
        let mut services: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for action in catalog().actions() {
            services.entry(service_of(action.name)).or_default().insert(action.access);
        }
        services
    });

    /// What is no action of IAM's and may be meant as [`REVEAL`](super::REVEAL).
    pub(super) fn is_like_reveal(name: &str) -> bool {
        meant(name, [super::REVEAL]).is_some()
    }

    /// The same for [`INSERT`](super::INSERT).
    pub(super) fn is_like_insert(name: &str) -> bool {
        meant(name, [super::INSERT]).is_some()
    }

    pub(super) fn has_level(service: &str, level: AccessLevel) -> bool {
        SERVICES.get(service).is_some_and(|levels| levels.contains(&level))
    }

    pub(super) fn check_service(service: &str) -> Result<(), Complaint> {
        if SERVICES.contains_key(service) {
            return Ok(());
        }
        let complaint = Complaint::new(format!("`{service}` is not a service prefix"));
        Err(match meant(service, SERVICES.keys().copied()) {
            Some(close) => complaint.help(format!("did you mean `{close}`?")),
            None => complaint
                .help("IAM writes service prefixes in lower case, e.g. `s3`, `execute-api`; the name may differ from the SDK's"),
        })
    }

    pub(super) fn check_action(action: &str) -> Result<(), Complaint> {
        if catalog().action(action).is_some() {
            return Ok(());
        }
        let service = service_of(action);
        let complaint = Complaint::new(format!("`{action}` is not an action"));
        let names = catalog().actions().map(|known| known.name).filter(|name| service_of(name) == service);
        Err(match meant(action, names) {
            Some(close) => complaint.help(format!("did you mean `{close}`? (names are case-sensitive)")),
            None => complaint.help(
                "IAM's names are not always those of the API operations: the Service Authorization Reference lists them",
            ),
        })
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
