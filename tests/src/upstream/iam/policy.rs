//! Policies of IAM without conditions and principals.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use serde_json::{Map, Value};

/// A policy that was understood.
#[derive(Debug)]
pub(super) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug)]
struct Statement {
    allows: bool,
    actions: Vec<Pattern>,
    resources: Vec<Vec<Pattern>>,
}

impl Policy {
    /// Reads its JSON; what is not known here is refused, not passed over.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut policy: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if policy.remove("Version") != Some("2012-10-17".into()) {
            return Err("its variables need Version 2012-10-17".to_owned());
        }
        let statements = match policy.remove("Statement") {
            Some(Value::Array(statements)) if !statements.is_empty() => statements,
            _ => return Err("it has no Statement".to_owned()),
        };
        if let Some(more) = policy.keys().next() {
            return Err(format!("{more} is not known here"));
        }
        Ok(Self { statements: statements.into_iter().map(Statement::read).collect::<Result<_, _>>()? })
    }

    /// Whether one statement allows it and none denies it.
    pub(super) fn allows(&self, action: &str, resource: &str) -> bool {
        let about = || self.statements.iter().filter(|statement| statement.is_about(action, resource));
        about().any(|statement| statement.allows) && about().all(|statement| statement.allows)
    }
}

impl Statement {
    fn read(statement: Value) -> Result<Self, String> {
        let Value::Object(mut statement) = statement else { return Err("a statement is none".to_owned()) };
        let allows = match statement.remove("Effect").as_ref().and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            other => return Err(format!("the effect {other:?}")),
        };
        let actions = texts(statement.remove("Action"))?;
        let resources = texts(statement.remove("Resource"))?;
        if let Some(more) = statement.keys().next() {
            return Err(format!("{more} is not known here"));
        }
        if let Some(wrong) = actions.iter().find(|text| *text != "*" && !is_action(text)) {
            return Err(format!("{wrong} is not an action"));
        }
        let resources = resources.iter().map(|text| arn(text)).collect::<Result<_, _>>()?;
        let actions = actions.iter().map(|text| Pattern::read(&text.to_ascii_lowercase(), false));
        Ok(Self { allows, actions: actions.collect::<Result<_, _>>()?, resources })
    }

    fn is_about(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.actions.iter().any(|pattern| pattern.fits(&action))
            && self.resources.iter().any(|pattern| fits_arn(pattern, resource))
    }
}

/// `service:Name`; wildcards stand in the name alone.
fn is_action(text: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.split_once(':').is_some_and(|(service, name)| {
        plain(service) && !service.is_empty() && plain(&name.replace(['*', '?'], "")) && !name.is_empty()
    })
}

/// The six parts of an ARN's pattern; one part for `*`.
fn arn(text: &str) -> Result<Vec<Pattern>, String> {
    if text == "*" {
        return Ok(vec![Pattern::read("*", true)?]);
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, _, _, resource] = parts.as_slice() else {
        return Err(format!("Resource {text} must be in ARN format or \"*\""));
    };
    if [partition, service].iter().any(|part| part.is_empty() || part.contains(['*', '?', '$']))
        || resource.is_empty()
    {
        return Err(format!("Resource {text}: partition and vendor must be valid"));
    }
    parts.iter().map(|part| Pattern::read(part, true)).collect()
}

fn fits_arn(pattern: &[Pattern], resource: &str) -> bool {
    if let [any] = pattern {
        return any.fits(resource);
    }
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    parts.len() == pattern.len() && pattern.iter().zip(parts).all(|(pattern, part)| pattern.fits(part))
}

fn texts(value: Option<Value>) -> Result<Vec<String>, String> {
    let items = match value {
        Some(Value::String(text)) => return Ok(vec![text]),
        Some(Value::Array(items)) if !items.is_empty() => items,
        other => return Err(format!("{other:?} in the place of texts")),
    };
    let text = |item| match item {
        Value::String(text) => Ok(text),
        other => Err(format!("{other} in the place of a text")),
    };
    items.into_iter().map(text).collect()
}

/// Characters and wildcards.
#[derive(Debug)]
struct Pattern(Vec<Sign>);

#[derive(Debug, Clone, Copy)]
enum Sign {
    Many,
    One,
    Char(char),
}

impl Pattern {
    /// `variables`: whether `${*}`, `${?}` and `${$}` stand for these characters.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
    fn read(text: &str, variables: bool) -> Result<Self, String> {
        let mut signs = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            signs.push(match c {
                '$' if variables && chars.as_str().starts_with('{') => {
                    let name: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    match name.as_str() {
                        "*" => Sign::Char('*'),
                        "?" => Sign::Char('?'),
                        "$" => Sign::Char('$'),
                        other => return Err(format!("the variable {other:?} is not known here")),
                    }
                }
                '*' => Sign::Many,
                '?' => Sign::One,
                other => Sign::Char(other),
            });
        }
        Ok(Self(signs))
    }

    fn fits(&self, text: &str) -> bool {
        fn fits(signs: &[Sign], text: &str) -> bool {
            let Some((sign, rest)) = signs.split_first() else { return text.is_empty() };
            let mut chars = text.chars();
            match sign {
                Sign::Many => fits(rest, text) || chars.next().is_some() && fits(signs, chars.as_str()),
                Sign::One => chars.next().is_some() && fits(rest, chars.as_str()),
                Sign::Char(c) => chars.next() == Some(*c) && fits(rest, chars.as_str()),
            }
        }
        fits(&self.0, text)
    }
}
