//! A call as the command of the AWS CLI that would make it. *pure*
//!
//! For people who read what an agent did: the command is exact enough to be run, and nothing is run here.
//! Commands and options are named by the CLI's rule, with its exceptions in `names`; scalars are plain, structures and
//! lists are JSON, blobs are base64 as version 2 of the CLI takes them, and what no option can carry is in `--cli-input-json`.
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-parameters.html>

use serde_json::{Map, Value};

use crate::catalog::{Member, Operation, Service, Shape, ShapeId, catalog};

mod names;

/// What stands for a value that is not in the record.
pub const HIDDEN: &str = "chaperone:masked";
/// How the record writes such a value.
const REDACTED: &str = "[redacted]";

/// What is known of a call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The prefix of its IAM actions: `elasticloadbalancing`.
    pub service: &'a str,
    /// The API operation: `DescribeLoadBalancers`.
    pub operation: &'a str,
    /// The name of the endpoint.
    pub host: Option<&'a str>,
    /// The region of the signature.
    pub region: Option<&'a str>,
    /// The parameters by their names in the API.
    pub params: &'a Map<String, Value>,
}

/// The command line, quoted for a POSIX shell; `None` where the AWS CLI has none for it.
///
/// It has no control characters. What is not a member of the API is not in it.
#[must_use]
pub fn command(call: &Call<'_>) -> Option<String> {
    let (service, operation) = find(call)?;
    let mut words = vec!["aws".to_owned(), service_name(service).to_owned()];
    words.push(operation_name(service.name, operation.name)?);
    let mut rest = Map::new();
    for member in service.members(operation) {
        let Some(value) = call.params.get(member.name) else { continue };
        let Some(value) = given(service, member, value) else { continue };
        match option(service.name, operation.name, member.name)
            .and_then(|option| words_of(service.name, &option, &value))
        {
            Some(option) => words.push(option),
            None => _ = rest.insert(member.name.to_owned(), value),
        }
    }
    if !rest.is_empty() {
        words.push(format!("--cli-input-json {}", quoted(&Value::Object(rest).to_string())));
    }
    if let Some(region) = call.region.filter(|region| !region.is_empty() && !steers(region)) {
        words.push(format!("--region {}", quoted(region)));
    }
    if has(names::TO_FILE, service.name, operation.name) {
        words.push("/dev/stdout".to_owned());
    }
    Some(words.join(" "))
}

/// The service and operation that the call was about: several services share a prefix, and the one whose operation has
/// the call's parameters, and then the one whose host it was, is it.
fn find(call: &Call<'_>) -> Option<(&'static Service, &'static Operation)> {
    let labels = call.host.unwrap_or_default();
    let fits = |service: &Service, operation: &Operation| {
        let members = service.members(operation);
        let unknown = call.params.keys().filter(|name| !members.iter().any(|member| member.name == **name));
        let elsewhere = !labels.split('.').any(|label| label == service.endpoint_prefix);
        // Where nothing else tells them apart, what is named as its actions are: `rds`, and not `neptune`.
        (unknown.count(), elsewhere, service.name != service.prefix)
    };
    catalog()
        .services()
        .iter()
        .filter(|service| service.prefix == call.service)
        .filter_map(|service| Some((service, service.operation(call.operation)?)))
        .min_by_key(|(service, operation)| fits(service, operation))
}

/// What the AWS CLI calls a service.
#[must_use]
pub fn service_name(service: &Service) -> &'static str {
    let renamed = names::SERVICES.iter().find(|(name, _)| *name == service.name);
    renamed.map_or(service.name, |(_, command)| command)
}

/// What the AWS CLI calls an operation of a service (by botocore's name); `None` where it has no command for it.
#[must_use]
pub fn operation_name(service: &str, operation: &str) -> Option<String> {
    if has(names::MISSING, service, operation) {
        return None;
    }
    let special = names::OPERATIONS.iter().find(|(of, name, _)| *of == service && *name == operation);
    Some(match special {
        Some((_, _, command)) => (*command).to_owned(),
        None => kebab(
            &names::WORDS.iter().fold(operation.to_owned(), |name, (word, one)| name.replace(word, one)),
        ),
    })
}

/// The option for a member, without its hyphens; `None` where there is none.
#[must_use]
pub fn option(service: &str, operation: &str, member: &str) -> Option<String> {
    let special = names::OPTIONS.iter().find(|(of, operations, name, _)| {
        *of == service && *name == member && operations.split(' ').any(|name| name == operation)
    });
    match special {
        Some((_, _, _, "")) => None,
        Some((_, _, _, option)) => Some((*option).to_owned()),
        None => Some(kebab(member)),
    }
}

/// The option that says the opposite of a flag.
#[must_use]
pub fn opposite(service: &str, option: &str) -> String {
    let special = names::OPPOSITES.iter().find(|(of, name, _)| *of == service && *name == option);
    special.map_or_else(|| format!("no-{option}"), |(_, _, opposite)| (*opposite).to_owned())
}

fn has(table: &[(&str, &str)], service: &str, operation: &str) -> bool {
    table.iter().any(|(of, operations)| *of == service && operations.split(' ').any(|name| name == operation))
}

/// `GetObject` → `get-object`, `DBInstanceARNs` → `db-instance-arns`: by the rule of botocore's `xform_name`.
fn kebab(name: &str) -> String {
    if name.contains('-') {
        return name.to_owned();
    }
    let mut chars: Vec<char> = name.chars().collect();
    // A plural of capitals at the end is one word.
    if let [start @ .., 's'] = chars.as_slice() {
        let capitals = start.iter().rev().take_while(|c| c.is_ascii_uppercase()).count();
        if capitals >= 2 {
            let at = start.len() - capitals;
            let plural: String = chars.drain(at..).collect();
            chars.push('-');
            chars.extend(plural.to_ascii_lowercase().chars());
        }
    }
    // A capital with small letters after it begins a word.
    let mut words = Vec::with_capacity(chars.len() + 8);
    let mut rest = chars.as_slice();
    while let Some((&first, after)) = rest.split_first() {
        words.push(first);
        rest = after;
        if let [capital, small, ..] = after
            && capital.is_ascii_uppercase()
            && small.is_ascii_lowercase()
        {
            words.extend(['-', *capital]);
            let end = after.iter().skip(1).take_while(|c| c.is_ascii_lowercase()).count() + 1;
            words.extend(after.get(1..end).unwrap_or_default());
            rest = after.get(end..).unwrap_or_default();
        }
    }
    // So does a capital after a small letter or a digit.
    let mut text = String::with_capacity(words.len() + 4);
    let mut before = ' ';
    for c in words {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
        before = c;
    }
    text
}

/// `--option value`; `None` for what the CLI would not take as it is: it reads `file://…` from a file, and shells and
/// terminals have their own ideas of control characters.
fn words_of(service: &str, option: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(true) => return Some(format!("--{option}")),
        Value::Bool(false) => return Some(format!("--{}", opposite(service, option))),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if steers(&text) || text.is_empty() || ["file://", "fileb://"].iter().any(|start| text.starts_with(start))
    {
        return None;
    }
    // An option would be seen in a value with a hyphen.
    let between = if text.starts_with('-') { '=' } else { ' ' };
    Some(format!("--{option}{between}{}", quoted(&text)))
}

fn steers(text: &str) -> bool {
    text.contains(|c: char| c.is_control())
}

/// In a form that a POSIX shell reads as one word.
///
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A member's value as somebody would give it; `None` for what the CLI adds by itself.
fn given(service: &Service, member: &Member, value: &Value) -> Option<Value> {
    if (service.name, member.name) == ("s3", "ContentEncoding") {
        // How S3's clients send a body in signed pieces.
        let codings = value.as_str()?.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked");
        let codings: Vec<&str> = codings.collect();
        return if codings.is_empty() { None } else { Some(codings.join(",").into()) };
    }
    Some(shaped(service, member.shape, value))
}

/// With hidden values named so, and fractions, which the record has as texts, as numbers.
fn shaped(service: &Service, shape: ShapeId, value: &Value) -> Value {
    match (value, service.shape(shape)) {
        (Value::String(text), _) if text == REDACTED => HIDDEN.into(),
        (Value::String(text), Shape::Float) => {
            let number = text.parse().ok().and_then(serde_json::Number::from_f64);
            number.map_or_else(|| value.clone(), Value::Number)
        }
        (Value::Array(items), shape) => {
            let member = match shape {
                Shape::List { member, .. } => Some(*member),
                _ => None,
            };
            items.iter().map(|item| inner(service, member, item)).collect()
        }
        (Value::Object(fields), shape) => {
            let of = |name: &str| match shape {
                Shape::Structure(members) => {
                    members.iter().find(|member| member.name == name).map(|member| member.shape)
                }
                Shape::Map { value, .. } => Some(*value),
                _ => None,
            };
            fields.iter().map(|(name, value)| (name.clone(), inner(service, of(name), value))).collect()
        }
        _ => value.clone(),
    }
}

/// The same for a part, whose shape need not be known.
fn inner(service: &Service, shape: Option<ShapeId>, value: &Value) -> Value {
    match (shape, value) {
        (Some(shape), value) => shaped(service, shape, value),
        (None, Value::String(text)) if text == REDACTED => HIDDEN.into(),
        (None, Value::Array(items)) => items.iter().map(|item| inner(service, None, item)).collect(),
        (None, Value::Object(fields)) => {
            fields.iter().map(|(name, value)| (name.clone(), inner(service, None, value))).collect()
        }
        (None, value) => value.clone(),
    }
}

#[cfg(test)]
mod tests;
