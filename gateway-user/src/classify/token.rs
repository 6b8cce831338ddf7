//! Tokens in a call's parameters: where they stand, and that they stand nowhere else.
//!
//! A token is one only as the whole value of a text in the body. Anywhere else it is refused rather than passed on: who
//! writes one means the value that it stands for.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, sync::Arc};

use zeroize::Zeroize as _;

use super::{ActionOn, ClassifyError, Operation, Param};
use crate::{
    catalog::{
        Location, Operation as Modelled, Protocol, SecretNode, Service, Shape, ShapeId, catalog, secrets,
    },
    parse::AwsRequest,
    tokens::{PREFIX, Secret, is_token},
};

/// Tokens in one call: each is decided by itself.
const TOKENS_MAX: usize = 100;

/// How every token begins in base64: of [`PREFIX`], as much as does not depend on what follows.
const PREFIX_AS_BYTES: &str = "Y2hhcGVyb25lOnNlY3Jl";

/// A token in a call's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The parameter's place as masks write it: `Environment.Variables{}`.
    pub field: String,
    /// The same with the keys of maps and the numbers of items: `Environment.Variables.DB_PASSWORD`.
    pub path: String,
    /// The token.
    pub text: String,
    /// What it stands for; `None` while nobody has looked.
    pub secret: Option<Arc<Secret>>,
}

/// How a body is written, which a value is to be put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// JSON.
    Json,
    /// CBOR.
    Cbor,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// XML.
    Xml,
}

/// Refuses tokens in path, query and headers.
pub(super) fn none_in_head(head: &AwsRequest) -> Result<(), ClassifyError> {
    let refuse = |place: &str| Err(misplaced(place, "it is not in the body"));
    let path = percent_encoding::percent_decode_str(head.path()).decode_utf8_lossy();
    if path.contains(PREFIX) {
        return refuse("the path");
    }
    for (name, value) in head.query().pairs() {
        if name.contains(PREFIX) {
            return refuse("the query string");
        }
        if value.contains(PREFIX) {
            return refuse(name);
        }
    }
    for (name, value) in head.headers() {
        if memchr::memmem::find(value.as_bytes(), PREFIX.as_bytes()).is_some() {
            return refuse(name.as_str());
        }
    }
    Ok(())
}

/// The tokens among the parameters of an operation, and nothing that only looks like one.
pub(super) fn tokens_of(
    service: &'static Service,
    operation: &'static Modelled,
    params: &BTreeMap<String, Param>,
) -> Result<Vec<Token>, ClassifyError> {
    let mut found = Vec::new();
    let members = service.members(operation);
    for (name, value) in params {
        check_name(name)?;
        let member = members.iter().find(|member| member.name == name);
        let shape = member.map(|member| service.shape(member.shape));
        let trail = Trail { up: None, step: Step::Member(name) };
        let whole_text = match member {
            None => true,
            Some(member) => match member.at {
                Location::Body => true,
                // The body itself, of whatever type it is.
                Location::Payload => !matches!(shape, Some(Shape::Text | Shape::Blob)),
                _ => false,
            },
        };
        walk(
            service,
            operation,
            if whole_text { shape } else { Some(&Shape::Blob) },
            value,
            &trail,
            &mut found,
        )?;
    }
    Ok(found)
}

/// The tokens among parameters of whatever service with this prefix has the operation: for tests of policies.
///
/// # Errors
/// [`ClassifyError`]: one stands where it stands for nothing.
pub fn tokens_among(
    prefix: &str,
    operation: &str,
    params: &BTreeMap<String, Param>,
) -> Result<Vec<Token>, ClassifyError> {
    let mut services = catalog().services().iter().filter(|service| service.prefix == prefix);
    let found = services.find_map(|service| Some((service, service.operation(operation)?)));
    match found.filter(|_| prefix != "s3") {
        Some((service, operation)) => tokens_of(service, operation, params),
        None => none_of_s3(params).map(|()| Vec::new()),
    }
}

/// There are none in requests of S3's own API, whose bodies are data.
pub(super) fn none_of_s3(params: &BTreeMap<String, Param>) -> Result<(), ClassifyError> {
    fn any(param: &Param) -> bool {
        match param {
            Param::Text(text) => looks_like_one(text),
            Param::List(items) => items.iter().any(any),
            Param::Record(fields) => fields.iter().any(|(name, value)| looks_like_one(name) || any(value)),
            Param::Number(_) | Param::Bool(_) => false,
        }
    }
    match params.iter().find(|(_, value)| any(value)) {
        Some((name, _)) => Err(misplaced(name, "requests to S3 take none")),
        None => Ok(()),
    }
}

impl Operation {
    /// Looks up what its tokens stand for.
    ///
    /// # Errors
    /// [`ClassifyError::BadMember`]: one stands for nothing.
    pub fn resolve(&mut self, known: impl Fn(&str) -> Option<Arc<Secret>>) -> Result<(), ClassifyError> {
        for token in &mut self.tokens {
            token.secret = known(&token.text);
            if token.secret.is_none() {
                let why = "it is a token that is unknown in this session: read the secret again";
                return Err(ClassifyError::BadMember { member: token.path.clone(), why: why.to_owned() });
            }
        }
        Ok(())
    }

    /// Where the values in its answer come from, but for the field: its one resource, or `*`; and what it names it by, where
    /// that is one parameter of its model, and which version.
    #[must_use]
    pub fn origin(&self) -> Secret {
        let own = self.full_name();
        let has_own = self.actions.iter().any(|on| on.action == own);
        let mut resources =
            self.actions.iter().filter(|on| !has_own || on.action == own).map(|on| on.resource.as_str());
        let first = resources.next().unwrap_or("*");
        let resource = if resources.all(|other| other == first) { first } else { "*" }.to_owned();
        let Named { id, version, alone } = self.named();
        Secret {
            operation: own,
            field: String::new(),
            region: self.region.to_string(),
            account: self.account.as_ref().map(ToString::to_string).unwrap_or_default(),
            resource,
            id: id.unwrap_or_default().to_owned(),
            version,
            alone,
        }
    }

    fn named(&self) -> Named<'_> {
        const ENDINGS: [&str; 5] = ["Id", "Name", "Arn", "ARN", "Identifier"];
        const VERSIONS: [&str; 5] = ["Version", "Qualifier", "Revision", "Label", "Stage"];
        let services: Vec<_> =
            self.model.services.iter().filter_map(|service| catalog().service(service)).collect();
        let modelled = |name: &str| {
            let mut members =
                services.iter().filter_map(|service| Some((service, service.operation(&self.name)?)));
            members.any(|(service, operation)| {
                service.members(operation).iter().any(|member| member.name == name)
            })
        };
        let is_version = |name: &str| VERSIONS.iter().any(|word| name.contains(word));
        let (mut ids, mut versions, mut alone) = (Vec::new(), Vec::new(), true);
        // AWS may know by now what is no member yet, and a switch chooses none of several values.
        for (name, value) in &self.params {
            match value {
                _ if !modelled(name) => alone = false,
                _ if !name.starts_with("Version") && ENDINGS.iter().any(|ending| name.ends_with(ending)) => {
                    ids.push(value);
                }
                Param::Text(text) if is_version(name) => versions.push(text.clone()),
                Param::Number(number) if is_version(name) => versions.push(number.to_string()),
                Param::Bool(_) => {}
                _ => alone = false,
            }
        }
        let id = match ids.as_slice() {
            [Param::Text(text)] => Some(text.as_str()),
            _ => None,
        };
        Named { id, version: versions.join(" "), alone }
    }
}

/// What a call names.
struct Named<'o> {
    /// By one parameter of its model.
    id: Option<&'o str>,
    /// Which version of that.
    version: String,
    /// Nothing else is said.
    alone: bool,
}

/// What a request says and needs.
pub(crate) struct Reread {
    /// How its body is written.
    pub(crate) written: Written,
    /// What is in it.
    pub(crate) params: BTreeMap<String, Param>,
    /// The actions that it needs.
    pub(crate) actions: Vec<ActionOn>,
}

/// What the request of a call would say and need had it this body, which is not encoded.
///
/// # Errors
/// As [`super::classify`].
pub(crate) fn reread(head: &AwsRequest, call: &Operation, body: &[u8]) -> Result<Reread, ClassifyError> {
    let found = super::operation::identify(head, || Ok(Cow::Borrowed(body)))?;
    if found.operation.name != call.name {
        return Err(ClassifyError::Ambiguous("it is another operation".to_owned()));
    }
    let parts = (head, Some(body));
    let mut all = super::members_of(&found, parts)?;
    let params = all.values.clone();
    super::add_twins(&mut all, &found, parts);
    let arns = super::arns(head, call.account.as_ref());
    let needed = super::needed(&call.service, found.operation, &all.values, &arns);
    wipe(all.values);
    let actions = super::bounded(super::with_unknown(needed?, &all.unknown))?;
    let written = match found.protocol {
        Protocol::Json | Protocol::RestJson => Written::Json,
        Protocol::Cbor => Written::Cbor,
        Protocol::Query | Protocol::Ec2 => Written::Form,
        Protocol::RestXml => Written::Xml,
    };
    Ok(Reread { written, params, actions })
}

/// Zeroes parameters that may have values among them.
pub(crate) fn wipe(params: BTreeMap<String, Param>) {
    fn one(param: Param) {
        match param {
            Param::Text(mut text) => text.zeroize(),
            Param::List(items) => items.into_iter().for_each(one),
            Param::Record(fields) => wipe(fields),
            Param::Number(_) | Param::Bool(_) => {}
        }
    }
    params.into_values().for_each(one);
}

/// A step to a parameter.
enum Step<'a> {
    Member(&'a str),
    Key(&'a str),
    Item(usize),
}

/// The steps to a parameter, the last one first.
struct Trail<'a> {
    up: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

impl Trail<'_> {
    /// As masks write it, and with keys and numbers. Of what lies deeper than the table of requests, the table of secrets may
    /// know whether it is a map.
    fn names(&self, service: &Service, operation: &str) -> (String, String) {
        let steps: Vec<&Step<'_>> =
            std::iter::successors(Some(self), |trail| trail.up).map(|trail| &trail.step).collect();
        let table = secrets(service.name);
        let mut reach = table.and_then(|table| table.input(operation));
        let (mut field, mut path) = (String::new(), String::new());
        for step in steps.iter().rev() {
            let dot = if path.is_empty() { "" } else { "." };
            let node = table.zip(reach).and_then(|(table, reach)| Some(table.node(reach.below?)));
            let is_map = matches!(node, Some(SecretNode::Map { .. }));
            // Writing to a text does not fail.
            let _ = match step {
                Step::Member(name) if !is_map => {
                    let name = one_word(name);
                    write!(field, "{dot}{name}").and_then(|()| write!(path, "{dot}{name}"))
                }
                Step::Member(name) | Step::Key(name) => {
                    write!(field, "{{}}").and_then(|()| write!(path, "{dot}{}", one_word(name)))
                }
                Step::Item(at) => write!(field, "[]").and_then(|()| write!(path, "[{at}]")),
            };
            reach = match (node, step) {
                (Some(SecretNode::Structure(members)), Step::Member(name)) => {
                    members.iter().find(|member| member.name == *name).map(|member| member.to)
                }
                (Some(SecretNode::List { item, .. }), Step::Item(_)) => Some(*item),
                (Some(SecretNode::Map { value, .. }), Step::Member(_) | Step::Key(_)) => Some(*value),
                _ => None,
            };
        }
        (field, path)
    }
}

/// A name in a path: with quotation marks where it could be taken for more than one, or for a list or map. Agents choose
/// the names of what no model has.
fn one_word(name: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(serde_json::Value::from(name).to_string())
}

fn walk(
    service: &'static Service,
    operation: &'static Modelled,
    shape: Option<&'static Shape>,
    value: &Param,
    trail: &Trail<'_>,
    found: &mut Vec<Token>,
) -> Result<(), ClassifyError> {
    let of = |id: ShapeId| Some(service.shape(id));
    match value {
        Param::Number(_) | Param::Bool(_) => Ok(()),
        Param::Text(text) if !looks_like_one(text) => Ok(()),
        Param::Text(text) => {
            let (field, path) = trail.names(service, operation.name);
            let may_be = matches!(shape, None | Some(Shape::Text | Shape::Open));
            if !may_be {
                return Err(misplaced(&path, "it is no text in the body"));
            }
            if !is_token(text) {
                return Err(misplaced(&path, "it is only a part of the value"));
            }
            if found.len() >= TOKENS_MAX {
                return Err(ClassifyError::BadBody(format!("it has more than {TOKENS_MAX} tokens")));
            }
            found.push(Token { field, path, text: text.clone(), secret: None });
            Ok(())
        }
        Param::List(items) => {
            let item = match shape {
                Some(Shape::List { member, .. }) => of(*member),
                _ => None,
            };
            for (at, value) in items.iter().enumerate() {
                walk(
                    service,
                    operation,
                    item,
                    value,
                    &Trail { up: Some(trail), step: Step::Item(at) },
                    found,
                )?;
            }
            Ok(())
        }
        Param::Record(fields) => {
            for (name, value) in fields {
                check_name(name)?;
                let (step, shape) = match shape {
                    Some(Shape::Map { value, .. }) => (Step::Key(name), of(*value)),
                    Some(Shape::Structure(members)) => {
                        let member = members.iter().find(|member| member.name == name);
                        let attribute = member.is_some_and(|member| member.at == Location::Attribute);
                        let shape = member.and_then(|member| of(member.shape));
                        (Step::Member(name), if attribute { Some(&Shape::Blob) } else { shape })
                    }
                    _ => (Step::Member(name), None),
                };
                walk(service, operation, shape, value, &Trail { up: Some(trail), step }, found)?;
            }
            Ok(())
        }
    }
}

fn check_name(name: &str) -> Result<(), ClassifyError> {
    if name.contains(PREFIX) { Err(misplaced("a name", "it is a name, not a value")) } else { Ok(()) }
}

fn looks_like_one(text: &str) -> bool {
    text.contains(PREFIX) || text.contains(PREFIX_AS_BYTES)
}

fn misplaced(member: &str, why: &str) -> ClassifyError {
    let member = member.chars().take(100).collect();
    let why = format!(
        "a token ({PREFIX}…) stands for a value only as the whole of a text in the body of a request, and here {why}"
    );
    ClassifyError::BadMember { member, why }
}

#[cfg(test)]
mod tests;
