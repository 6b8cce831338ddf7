//! With what answers are masked: what is asked for, what the configuration and policy say of it.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::{
    DetectError, Detectors, MASKED, Masking, Rules,
    path::WHOLE,
    plan::Plan,
    rules::{Config, RuleError},
};
use crate::{
    catalog::{Location, Protocol, Reach, SecretKind, SecretMember, SecretNode, Secrets, answers},
    classify::{Operation, Param},
};

/// With what all answers are masked.
#[derive(Debug)]
pub struct Masks {
    rules: Rules,
    detectors: Option<Arc<Detectors>>,
    objects: bool,
    key: hmac::Key,
}

/// Why answers cannot be masked as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasksError {
    /// Rules are about nothing.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rules(Vec<RuleError>),
    /// A pattern cannot be used.
    #[error("mask.pattern: {0}")]
    Pattern(#[from] DetectError),
}

/// Which answer it is: botocore's names of the services that the call may be one of, the operation, the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Several share hosts and operations' names; what is secret at any of them is hidden.
    pub services: &'a [&'static str],
    /// The operation.
    pub operation: &'a str,
    /// How it answers.
    pub protocol: Protocol,
}

impl<'a> Asked<'a> {
    /// The answer to this call.
    #[must_use]
    pub fn of(operation: &'a Operation) -> Self {
        let model = &operation.model;
        Self { services: &model.services, operation: &operation.name, protocol: model.protocol }
    }

    /// Whether its answer is what somebody stored in S3.
    fn is_object(&self) -> bool {
        let objects = ["GetObject", "GetObjectTorrent", "SelectObjectContent"];
        self.services == ["s3"] && objects.contains(&self.operation)
    }

    /// Whether it carries digests of its own parts, which SDKs check: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Message.html>
    fn is_digested(&self) -> bool {
        self.services == ["sqs"] && self.operation == "ReceiveMessage"
    }

    /// Whether its body is what a member holds, written by somebody who is not AWS: a function, a model, a person.
    fn is_raw(&self) -> bool {
        let payload = |member: &SecretMember| member.at == Location::Payload && member.to.below.is_none();
        let raw = |service: &&str| {
            let table = answers(service)?;
            Some(members(table, table.output(self.operation)?).iter().any(payload))
        };
        self.is_rest() && self.services.iter().any(|service| raw(service) == Some(true))
    }

    /// Whether it is a stream of events some of which carry the bytes of such a body.
    fn has_raw_events(&self) -> bool {
        let is_bytes = |member: &SecretMember| matches!(member.to.hidden, Some((_, SecretKind::Blob)));
        let raw = |service: &&str| {
            let table = answers(service)?;
            let stream = members(table, table.output(self.operation)?).iter().find(|member| member.events)?;
            let mut events = members(table, stream.to).iter();
            Some(events.any(|event| members(table, event.to).iter().any(is_bytes)))
        };
        self.is_rest() && self.services.iter().any(|service| raw(service) == Some(true))
    }

    /// Of others no body is what a member holds, and their tables are not read for that.
    fn is_rest(&self) -> bool {
        matches!(self.protocol, Protocol::RestJson | Protocol::RestXml)
    }
}

impl Masks {
    /// Reads and checks the configuration. `key`: with which hidden values are recognised.
    ///
    /// # Errors
    /// [`MasksError`].
    pub fn new(config: &Config, key: hmac::Key) -> Result<Self, MasksError> {
        let rules = Rules::new(config).map_err(MasksError::Rules)?;
        let detectors = Detectors::new(&config.pattern)?;
        Ok(Self {
            rules,
            detectors: config.detect.then(|| Arc::new(detectors)),
            objects: config.objects,
            key,
        })
    }

    /// The paths of what is hidden in such an answer, each of which policy may reveal. What a rule of the configuration
    /// hides as a whole is not among them.
    pub fn hidden(&self, asked: Asked<'_>) -> Vec<Arc<str>> {
        let plan = self.plan(asked);
        let fields = plan.iter().flat_map(|plan| plan.fields());
        fields.map(|field| Arc::clone(&field.path)).filter(|path| **path != *WHOLE).collect()
    }

    /// What the configuration reveals of such an answer, to everybody: the path of each place, and which rule does.
    pub fn revealed(&self, asked: Asked<'_>) -> Vec<(String, String)> {
        self.rules.revealed(asked.services, asked.operation)
    }

    /// How such an answer is masked, of which policy reveals these parts.
    pub fn of<'r>(&self, asked: Asked<'_>, revealed: impl Iterator<Item = &'r str>) -> Masking {
        let revealed: Vec<&str> = revealed.collect();
        let whole = revealed.contains(&WHOLE);
        let reveals = !revealed.is_empty() || self.rules.reveals(asked.services, asked.operation);
        let stored = asked.is_object() || asked.is_digested() || asked.is_raw() || asked.has_raw_events();
        // What the configuration hides besides is hidden from everybody.
        let Asked { services, operation, protocol } = asked;
        let plan = if whole { self.rules.own_plan(services, operation, protocol) } else { self.plan(asked) };
        // All of it: what the configuration hides as a whole has the same name.
        let revealed = revealed.into_iter().filter(|path| *path != WHOLE);
        let fields = plan.as_deref().map(|plan| revealed.flat_map(|path| plan.fields_at(path)).collect());
        let detectors = self
            .detectors
            .clone()
            .filter(|_| !whole && !asked.is_digested() && (self.objects || !asked.is_object()));
        let revealed = fields.unwrap_or_default();
        let raw = detectors.is_some() && asked.is_raw();
        let object = asked.is_object();
        let (on_errors, key, known) = (self.detectors.clone(), self.key.clone(), None);
        Masking { plan, revealed, reveals, detectors, on_errors, protocol, raw, object, stored, key, known }
    }

    fn plan(&self, asked: Asked<'_>) -> Option<Arc<Plan>> {
        self.rules.plan(asked.services, asked.operation, asked.protocol)
    }
}

/// The members of a structure; none of anything else.
fn members(table: &'static Secrets, of: Reach) -> &'static [SecretMember] {
    match of.below.map(|node| table.node(node)) {
        Some(SecretNode::Structure(members)) => members,
        Some(SecretNode::List { .. } | SecretNode::Map { .. }) | None => &[],
    }
}

/// [`MASKED`] in base64.
const MASKED_AS_BYTES: &str = "Y2hhcGVyb25lOm1hc2tlZA==";

/// The first parameter of a call that has what stands in the place of a hidden value. Whoever reads, changes and writes
/// back would put it over the value itself.
#[must_use]
pub fn masked_param(operation: &Operation) -> Option<&str> {
    let found = |text: &str| text.contains(MASKED) || text.contains(MASKED_AS_BYTES);
    fn any(param: &Param, found: &dyn Fn(&str) -> bool) -> bool {
        match param {
            Param::Text(text) => found(text),
            Param::List(items) => items.iter().any(|item| any(item, found)),
            Param::Record(fields) => fields.iter().any(|(name, value)| found(name) || any(value, found)),
            Param::Number(_) | Param::Bool(_) => false,
        }
    }
    operation.params.iter().find(|(_, value)| any(value, &found)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn what_stands_for_bytes_is_known_in_base64() {
        assert_eq!(STANDARD.encode(MASKED), MASKED_AS_BYTES);
    }
}
