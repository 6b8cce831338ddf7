//! Who may do what: roles, the keys that STS gives for them, and what their policies allow.
//!
//! Written from the AWS documentation alone: what a request asks for is read here from the request, and
//! shares no code with the gateway.

mod asked;
mod policy;
mod sts;

use std::{collections::VecDeque, sync::Mutex};

use http::{StatusCode, request::Parts};
use time::OffsetDateTime;

use self::policy::Policy;
use super::{Key, answer::Refusal, lock, sigv4::Claim};

pub(super) use self::sts::{EXPRESS, answer as sts_answer, express_session};

/// The account of keys that were not issued here.
const ACCOUNT: &str = "123456789012";

/// A role that can be assumed.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What it allows: a policy of IAM.
    pub policy: String,
}

impl Role {
    /// A role that allows these actions (patterns of IAM) on everything.
    #[must_use]
    pub fn allowing(arn: &str, actions: &[&str]) -> Self {
        let statement = serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] });
        Self { arn: arn.to_owned(), policy: policy.to_string() }
    }
}

/// Keys that STS gave, and what for.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The keys.
    pub key: Key,
    /// The ARN of their role; empty for those that do what keys of the configuration do.
    pub role: String,
    /// RoleSessionName.
    pub session_name: String,
    /// SourceIdentity.
    pub source_identity: Option<String>,
    /// Tags of the session.
    pub tags: Vec<(String, String)>,
    /// The session policy.
    pub policy: Option<String>,
    /// Who assumed the role: an access key id, or the web identity's token.
    pub by: String,
    /// When they stop working.
    pub expires: OffsetDateTime,
}

/// The roles, and the keys that were given for them.
#[derive(Debug, Default)]
pub(super) struct Iam {
    roles: Vec<Role>,
    issued: Mutex<Vec<Issued>>,
    /// What STS refuses the next requests with, one each.
    refusals: Mutex<VecDeque<(StatusCode, &'static str)>>,
}

impl Iam {
    pub(super) fn new(roles: Vec<Role>) -> Self {
        Self { roles, ..Self::default() }
    }

    /// Whether there is anything to decide.
    pub(super) fn is_on(&self) -> bool {
        !self.roles.is_empty()
    }

    pub(super) fn refuse(&self, status: StatusCode, code: &'static str) {
        lock(&self.refusals).push_back((status, code));
    }

    pub(super) fn issued(&self) -> Vec<Issued> {
        lock(&self.issued).clone()
    }

    pub(super) fn key(&self, id: &str, now: OffsetDateTime) -> Option<Key> {
        let issued = lock(&self.issued);
        let issued = issued.iter().find(|issued| issued.key.id == id && now < issued.expires);
        issued.map(|issued| issued.key.clone())
    }

    /// Whether the holder of the key may do what the request asks for. Keys of the configuration may do
    /// everything.
    pub(super) fn decide(&self, head: &Parts, claim: &Claim, body: &[u8]) -> Result<(), Refusal> {
        let issued = self.issued().into_iter().find(|issued| issued.key.id == claim.key_id);
        let Some(issued) = issued.filter(|issued| !issued.role.is_empty()) else { return Ok(()) };
        let denied = |what: &str| {
            let who = format!("{}/{}", issued.role.replace(":role/", ":assumed-role/"), issued.session_name);
            Refusal::access_denied(&format!("User: {who} is not authorized to perform: {what}"))
        };
        let account = issued.role.split(':').nth(4).unwrap_or(ACCOUNT);
        let asked = asked::of(head, claim, account, body).ok_or_else(|| denied("something unknown"))?;
        let role = self.roles.iter().find(|role| role.arn == issued.role);
        let role = role.ok_or_else(|| denied("anything: the role is gone"))?;
        let mut policies = vec![&role.policy];
        policies.extend(&issued.policy);
        for (action, resource) in asked {
            for policy in &policies {
                let policy = Policy::read(policy).map_err(|why| denied(&why))?;
                if !policy.allows(&action, &resource) {
                    return Err(denied(&format!("{action} on resource: {resource}")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
