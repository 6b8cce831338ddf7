//! What is done with one answer: how it is read, and what of its head is true no longer.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    DIGEST_LEN, DetectError, Detectors, Digest, Format, Job, Kind, MASKED, MESSAGE_MAX, Plan, Revealed,
    Rules,
    path::WHOLE,
    plan::Node,
    rules::{Config, RuleError},
};
use crate::{
    catalog::{Location, Protocol, SecretMember, SecretNode, answers},
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
    /// A rule is about nothing.
    #[error(transparent)]
    Rule(#[from] RuleError),
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
        let rest = matches!(self.protocol, Protocol::RestJson | Protocol::RestXml);
        let payload = |member: &SecretMember| member.at == Location::Payload && member.to.below.is_none();
        let raw = |service: &&str| {
            let table = answers(service)?;
            match table.node(table.output(self.operation)?.below?) {
                SecretNode::Structure(members) => Some(members.iter().any(payload)),
                SecretNode::List { .. } | SecretNode::Map { .. } => None,
            }
        };
        rest && self.services.iter().any(|service| raw(service) == Some(true))
    }
}

impl Masks {
    /// Reads and checks the configuration. `key`: with which hidden values are recognised.
    ///
    /// # Errors
    /// [`MasksError`], for the first mistake.
    pub fn new(config: &Config, key: hmac::Key) -> Result<Self, MasksError> {
        let rules = Rules::new(config).map_err(|errors| match errors.into_iter().next() {
            Some(error) => MasksError::Rule(error),
            None => MasksError::Pattern(DetectError::TooMany),
        })?;
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

    /// How such an answer is masked, of which policy reveals these parts.
    pub fn of<'r>(&self, asked: Asked<'_>, revealed: impl Iterator<Item = &'r str>) -> Masking {
        let revealed: Vec<&str> = revealed.collect();
        let whole = revealed.contains(&WHOLE);
        let reveals = !revealed.is_empty() || self.rules.reveals(asked.services, asked.operation);
        let stored = asked.is_object() || asked.is_digested() || asked.is_raw();
        let plan = self.plan(asked).filter(|_| !whole);
        let revealed = revealed.into_iter();
        let fields = plan.as_deref().map(|plan| revealed.flat_map(|path| plan.fields_at(path)).collect());
        let detectors = self
            .detectors
            .clone()
            .filter(|_| !whole && !asked.is_digested() && (self.objects || !asked.is_object()));
        let revealed = fields.unwrap_or_default();
        let raw = detectors.is_some() && asked.is_raw();
        let object = asked.is_object();
        let (protocol, key) = (asked.protocol, self.key.clone());
        Masking { plan, revealed, reveals, detectors, protocol, raw, object, stored, key }
    }

    fn plan(&self, asked: Asked<'_>) -> Option<Arc<Plan>> {
        self.rules.plan(asked.services, asked.operation, asked.protocol)
    }
}

/// The first parameter of a call that has what stands in the place of a hidden value. Whoever reads, changes and writes
/// back would put it over the value itself.
#[must_use]
pub fn masked_param(operation: &Operation) -> Option<&str> {
    let as_bytes = STANDARD.encode(MASKED);
    let found = |text: &str| text.contains(MASKED) || text.contains(&as_bytes);
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

/// How one answer is masked.
#[derive(Debug)]
pub struct Masking {
    plan: Option<Arc<Plan>>,
    revealed: Revealed,
    /// Whether something passes that is hidden otherwise.
    reveals: bool,
    detectors: Option<Arc<Detectors>>,
    protocol: Protocol,
    /// Where no plan is about it, it need not be the document that its head says it is.
    raw: bool,
    object: bool,
    /// Whether its body is what somebody wrote who is not AWS.
    stored: bool,
    key: hmac::Key,
}

/// How the body of an answer passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is: nothing of it is hidden, and it is no text.
    AsItIs,
    /// It is masked, read so.
    Masked(Format),
    /// Not at all: it is compressed, and something of it is hidden.
    Withheld,
}

impl Masking {
    /// How the body passes.
    #[must_use]
    pub fn way(&self, status: StatusCode, headers: &HeaderMap) -> Way {
        match (self.planned(status).and_then(|plan| plan.format(self.protocol)), is_encoded(headers)) {
            (Some(_), true) => Way::Withheld,
            (Some(format), false) => Way::Masked(format),
            (None, true) => Way::AsItIs,
            (None, false) => match self.detectors.as_ref().and_then(|_| by_media_type(headers)) {
                Some(Format::Json | Format::Xml { .. } | Format::Cbor) if self.raw && status.is_success() => {
                    Way::Masked(Format::Text)
                }
                Some(format) => Way::Masked(format),
                None => Way::AsItIs,
            },
        }
    }

    /// Whether something of it passes that is hidden otherwise: because policy or the configuration reveals it.
    #[must_use]
    pub fn reveals(&self, status: StatusCode) -> bool {
        self.reveals && !is_error(status)
    }

    /// Whether its body is what somebody stored or wrote who is not AWS: an object, a message, what a function answers.
    #[must_use]
    pub fn is_stored(&self, status: StatusCode) -> bool {
        self.stored && !is_error(status)
    }

    /// Whether tokens may stand for some of its values.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.fields().iter().any(|field| field.reversible))
    }

    /// With what body and head are masked.
    #[must_use]
    pub fn job(&self, status: StatusCode) -> Job {
        let plan = self.planned(status).map_or_else(|| Arc::new(Plan::nothing()), Arc::clone);
        let context = hmac::Context::with_key(&self.key);
        Job {
            plan,
            revealed: self.revealed.clone(),
            detectors: self.detectors.clone(),
            digest: Box::new(Keyed { key: self.key.clone(), context }),
            replace: None,
        }
    }

    /// Makes the headers those of a body that AWS did not write: what is said of its bytes goes. `length`: its bytes,
    /// where that is known. An `ETag` is a version to whoever changes something, and of the bytes in objects alone.
    pub fn adapt(&self, headers: &mut HeaderMap, length: Option<usize>) {
        adapt(headers, length);
        if self.object {
            headers.remove(header::ETAG);
        }
    }

    /// The plan is about what the operation answers, not about errors.
    fn planned(&self, status: StatusCode) -> Option<&Arc<Plan>> {
        self.plan.as_ref().filter(|_| !is_error(status))
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Whether a body with this head is one that could be looked through for secrets: no compression, and a media type of text.
#[must_use]
pub fn is_readable(headers: &HeaderMap) -> bool {
    !is_encoded(headers) && by_media_type(headers).is_some()
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

impl Plan {
    /// How the body of an answer is read; `None` where nothing of it is hidden.
    fn format(&self, protocol: Protocol) -> Option<Format> {
        if self.has_events() {
            return Some(Format::EventStream { message_max: MESSAGE_MAX });
        }
        let kind = match self.node(self.root()) {
            Some(Node::Structure(members)) if members.is_empty() => return None,
            Some(Node::Secret(field)) => self.field(*field).map(|field| field.kind),
            _ => None,
        };
        Some(match (protocol, kind) {
            // The body is the member itself.
            (Protocol::RestJson | Protocol::RestXml, Some(Kind::Text | Kind::Blob)) => Format::Whole,
            (Protocol::Json | Protocol::RestJson, _) => Format::Json,
            (Protocol::Cbor, _) => Format::Cbor,
            (Protocol::Query, _) => Format::Xml { wrappers: 2 },
            (Protocol::Ec2 | Protocol::RestXml, _) => Format::Xml { wrappers: 1 },
        })
    }
}

/// How detectors read an answer of this media type; `None` for what is no text.
fn by_media_type(headers: &HeaderMap) -> Option<Format> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Some(Format::Text) };
    let value = value.to_str().ok()?.to_ascii_lowercase();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let (kind, sub) = essence.split_once('/')?;
    match (kind, sub) {
        ("application", "vnd.amazon.eventstream") => Some(Format::EventStream { message_max: MESSAGE_MAX }),
        ("application", "cbor") => Some(Format::Cbor),
        ("application", sub) if sub == "json" || sub.starts_with("x-amz-json-") || sub.ends_with("+json") => {
            Some(Format::Json)
        }
        ("application" | "text", sub) if sub == "xml" || sub.ends_with("+xml") => {
            Some(Format::Xml { wrappers: 1 })
        }
        // Events that somebody waits for, one by one: to look through them would be to hold them back.
        ("text", "event-stream") => None,
        ("text", _) => Some(Format::Text),
        ("application", "x-yaml" | "yaml" | "toml" | "x-ndjson" | "x-sh" | "javascript") => {
            Some(Format::Text)
        }
        _ => None,
    }
}

fn adapt(headers: &mut HeaderMap, length: Option<usize>) {
    const OF_THE_BYTES: [HeaderName; 7] = [
        header::TRAILER,
        header::CONTENT_LENGTH,
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("repr-digest"),
        HeaderName::from_static("x-amz-crc32"),
    ];
    for name in OF_THE_BYTES {
        headers.remove(name);
    }
    let checksums: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-checksum-")).cloned().collect();
    for name in checksums {
        headers.remove(name);
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// HMAC-SHA256, cut to [`DIGEST_LEN`] bytes.
struct Keyed {
    key: hmac::Key,
    context: hmac::Context,
}

impl Digest for Keyed {
    fn start(&mut self) {
        self.context = hmac::Context::with_key(&self.key);
    }

    fn update(&mut self, part: &[u8]) {
        self.context.update(part);
    }

    fn finish(&mut self) -> [u8; DIGEST_LEN] {
        let context = std::mem::replace(&mut self.context, hmac::Context::with_key(&self.key));
        let mut digest = [0; DIGEST_LEN];
        digest.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::answer::HIDDEN;

    const KEY: &[u8] = b"a key of tests that is long enough";

    fn key(bytes: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, bytes)
    }

    fn masks(toml: &str) -> Masks {
        Masks::new(&toml::from_str(toml).unwrap(), key(KEY)).unwrap()
    }

    fn asked(service: &'static str, operation: &'static str, protocol: Protocol) -> Asked<'static> {
        let services: &'static [&'static str] = vec![service].leak();
        Asked { services, operation, protocol }
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn way(masks: &Masks, asked: Asked<'_>, status: u16, lines: &[(&'static str, &'static str)]) -> Way {
        let status = StatusCode::from_u16(status).unwrap();
        masks.of(asked, std::iter::empty()).way(status, &headers(lines))
    }

    #[test]
    fn an_answer_with_secrets_is_read_as_its_protocol_writes_it() {
        let masks = masks("");
        let json = [("content-type", "application/x-amz-json-1.1")];
        let secret = asked("secretsmanager", "GetSecretValue", Protocol::Json);
        assert_eq!(way(&masks, secret, 200, &json), Way::Masked(Format::Json));
        // Whatever its head says.
        assert_eq!(way(&masks, secret, 200, &[("content-type", "image/png")]), Way::Masked(Format::Json));
        assert_eq!(way(&masks, secret, 200, &[("content-encoding", "gzip")]), Way::Withheld);
        let key = asked("iam", "CreateAccessKey", Protocol::Query);
        assert_eq!(way(&masks, key, 200, &[]), Way::Masked(Format::Xml { wrappers: 2 }));
        let metrics = asked("secretsmanager", "GetSecretValue", Protocol::Cbor);
        assert_eq!(way(&masks, metrics, 200, &[]), Way::Masked(Format::Cbor));
    }

    #[test]
    fn errors_and_answers_without_secrets_are_looked_through_as_what_they_are() {
        let masks = masks("");
        let secret = asked("secretsmanager", "GetSecretValue", Protocol::Json);
        let plain = asked("sqs", "GetQueueUrl", Protocol::Json);
        let check = |media: &'static str, expected: Way| {
            for (asked, status) in [(secret, 400), (plain, 200)] {
                assert_eq!(way(&masks, asked, status, &[("content-type", media)]), expected, "{media}");
            }
        };
        check("application/json; charset=utf-8", Way::Masked(Format::Json));
        check("text/xml", Way::Masked(Format::Xml { wrappers: 1 }));
        check("application/cbor", Way::Masked(Format::Cbor));
        check("text/html", Way::Masked(Format::Text));
        check("text/event-stream", Way::AsItIs);
        check("application/octet-stream", Way::AsItIs);
        assert_eq!(way(&masks, plain, 200, &[("content-encoding", "gzip")]), Way::AsItIs);
    }

    /// What a function or a model answers need not be what it says of itself.
    #[test]
    fn what_others_wrote_is_text() {
        let masks = masks("");
        let json = [("content-type", "application/json")];
        let model = asked("sagemaker-runtime", "InvokeEndpoint", Protocol::RestJson);
        assert_eq!(way(&masks, model, 200, &json), Way::Masked(Format::Text));
        assert_eq!(way(&masks, model, 400, &json), Way::Masked(Format::Json));
        let list = asked("lambda", "ListLayers", Protocol::RestJson);
        assert_eq!(way(&masks, list, 200, &json), Way::Masked(Format::Json));
    }

    #[test]
    fn objects_pass_unless_they_are_to_be_looked_through() {
        let object = asked("s3", "GetObject", Protocol::RestXml);
        let text = [("content-type", "text/plain")];
        assert_eq!(way(&masks(""), object, 200, &text), Way::AsItIs);
        assert_eq!(way(&masks("objects = true"), object, 200, &text), Way::Masked(Format::Text));
        let list = asked("s3", "ListObjectsV2", Protocol::RestXml);
        let xml = [("content-type", "application/xml")];
        assert_eq!(way(&masks(""), list, 200, &xml), Way::Masked(Format::Xml { wrappers: 1 }));
        assert_eq!(way(&masks("detect = false"), list, 200, &xml), Way::AsItIs);
    }

    #[test]
    fn messages_with_digests_of_their_own_pass() {
        let json = [("content-type", "application/x-amz-json-1.0")];
        let messages = asked("sqs", "ReceiveMessage", Protocol::Json);
        assert_eq!(way(&masks("objects = true"), messages, 200, &json), Way::AsItIs);
    }

    #[test]
    fn an_etag_is_a_version_but_of_an_object() {
        let check = |service, operation, protocol, expected: bool| {
            let masking = masks("objects = true").of(asked(service, operation, protocol), std::iter::empty());
            let mut found = headers(&[("etag", "\"v1\""), ("content-length", "7")]);
            masking.adapt(&mut found, None);
            assert_eq!((found.contains_key("etag"), found.len()), (expected, usize::from(expected)));
        };
        check("cloudfront", "GetDistribution", Protocol::RestXml, true);
        check("s3", "GetObject", Protocol::RestXml, false);
    }

    #[test]
    fn equal_values_are_known_by_their_digest_and_by_this_key_alone() {
        let digest = |bytes: &[u8], parts: &[&[u8]]| {
            let masks = Masks::new(&Config::default(), key(bytes)).unwrap();
            let asked = asked("s3", "GetObject", Protocol::RestXml);
            let mut digest = masks.of(asked, std::iter::empty()).job(StatusCode::OK).digest;
            digest.start();
            digest.update(b"forgotten");
            digest.start();
            parts.iter().for_each(|part| digest.update(part));
            digest.finish()
        };
        assert_eq!(digest(KEY, &[b"hunter2"]), digest(KEY, &[b"hun", b"ter2"]));
        assert_ne!(digest(KEY, &[b"hunter2"]), digest(KEY, &[b"hunter3"]));
        assert_ne!(digest(KEY, &[b"hunter2"]), digest(b"another key of tests, long enough", &[b"hunter2"]));
    }

    #[test]
    fn what_the_head_says_of_the_bytes_goes() {
        let before = [
            ("content-length", "7"),
            ("x-amz-crc32", "1"),
            ("x-amz-checksum-sha256", "y"),
            ("content-md5", "z"),
            ("x-amzn-requestid", "r"),
        ];
        let mut found = headers(&before);
        adapt(&mut found, Some(9));
        assert_eq!(found, headers(&[("content-length", "9"), ("x-amzn-requestid", "r")]));
        adapt(&mut found, None);
        assert_eq!(found, headers(&[("x-amzn-requestid", "r")]));
    }

    #[test]
    fn what_policy_reveals_passes() {
        let masks = masks("");
        let secret = asked("secretsmanager", "GetSecretValue", Protocol::Json);
        let of = |parts: &[&str]| {
            let masking = masks.of(secret, parts.iter().copied());
            let job = masking.job(StatusCode::OK);
            let hidden = |path: &str| job.plan.fields_at(path).any(|field| !job.revealed.contains(field));
            (hidden("SecretString"), hidden("SecretBinary"), job.detectors.is_some())
        };
        assert_eq!(of(&[]), (true, true, true));
        assert_eq!(of(&["SecretString"]), (false, true, true));
        assert_eq!(of(&["SecretStrin", "Name"]), (true, true, true));
        assert_eq!(of(&["*"]), (false, false, false));
    }

    /// They are answered, so nothing that opens anything may be outside of the plan.
    #[test]
    fn credentials_that_are_only_hidden_are_hidden() {
        let masks = masks("");
        for (service, operation) in HIDDEN {
            let paths = masks.hidden(asked(service, operation, Protocol::Query));
            let secrets = ["AccessKey.SecretAccessKey", "ServiceSpecificCredential.ServicePassword"];
            assert!(secrets.iter().any(|secret| paths.iter().any(|path| **path == **secret)), "{paths:?}");
        }
    }

    #[test]
    fn what_policy_may_reveal_is_told_by_its_paths() {
        let hidden = |toml: &str| {
            let mut paths = masks(toml).hidden(asked("ssm", "GetParameter", Protocol::Json));
            paths.sort_unstable();
            paths.iter().map(|path| path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(hidden(""), ["Parameter.Value"]);
        let all = "[[rule]]\noperation = \"ssm:GetParameter\"\npath = \"*\"";
        assert!(hidden(all).is_empty());
    }
}
