//! The members of an operation's input, as far as the join looks at them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::codegen::sources::SPEAKS_OF_ROLE;

/// An operation's input.
pub struct Input<'a> {
    model: &'a Value,
    /// Its own members.
    pub members: Vec<Member<'a>>,
    /// What AWS insists on within those that are structures or lists of them.
    pub inner: Vec<Member<'a>>,
}

/// A member of an input.
pub struct Member<'a> {
    /// Its name in the model.
    pub name: &'a str,
    /// The way to it: names with dots between them, `*` for the items of a list.
    pub path: String,
    /// Its name on the wire.
    pub wire: &'a str,
    /// Whether AWS refuses requests without it.
    pub required: bool,
    /// Whether it is part of the path.
    pub label: bool,
    /// What it is.
    pub kind: Kind,
    of: Of<'a>,
}

/// What a reference in a model is to.
struct Of<'a> {
    /// The name of the shape.
    shape: &'a str,
    /// Whether it is documented to hold the ARN of a role, here or at the shape.
    speaks_of_role: bool,
}

impl<'a> Of<'a> {
    fn read(model: &Value, reference: &'a Value) -> Option<Self> {
        let shape = reference.get("shape").and_then(Value::as_str)?;
        let said = |value: &Value| value.get(SPEAKS_OF_ROLE).is_some();
        let speaks_of_role = said(reference) || shape_of(model, shape).is_some_and(said);
        Some(Self { shape, speaks_of_role })
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text or number.
    Scalar,
    /// A list of texts.
    Texts,
    /// Anything else.
    Other,
}

impl<'a> Input<'a> {
    /// The input of an operation in a botocore model.
    pub fn of(model: &'a Value, operation: &'a Value) -> Self {
        let shape = operation.get("input").and_then(|input| input.get("shape")).and_then(Value::as_str);
        let shape = shape.and_then(|name| shape_of(model, name));
        let Some(shape) = shape else { return Self { model, members: Vec::new(), inner: Vec::new() } };
        let members = members(model, shape);
        // Bodies of JSON have the names of the wire below the first level.
        let protocol = model.get("metadata").and_then(|metadata| metadata.get("protocol")?.as_str());
        let json = matches!(protocol, Some("json" | "rest-json"));
        let mut inner = Vec::new();
        for outer in members.iter().filter(|member| member.required && member.kind == Kind::Other) {
            let Some(of) = shape_of(model, outer.of.shape) else { continue };
            let item = of.get("member").and_then(|item| shape_of(model, item.get("shape")?.as_str()?));
            let (of, between) = item.map_or((of, "."), |item| (item, ".*."));
            for mut member in self::members(model, of).into_iter().filter(|member| member.required) {
                let name = if json { member.wire } else { member.name };
                member.path = format!("{}{between}{name}", outer.path);
                inner.push(member);
            }
        }
        Self { model, members, inner }
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The own members in which, however deep, a member fits: by its name and by whether its
    /// documentation speaks of a role.
    pub fn members_with(&self, fits: impl Fn(&str, bool) -> bool) -> Vec<&Member<'a>> {
        let fits = |name: &str, of: &Of<'_>| fits(name, of.speaks_of_role);
        self.members
            .iter()
            .filter(|member| {
                fits(member.name, &member.of) || self.contains(member.of.shape, &fits, &mut BTreeSet::new())
            })
            .collect()
    }

    fn contains(
        &self,
        shape: &'a str,
        fits: &impl Fn(&str, &Of<'_>) -> bool,
        seen: &mut BTreeSet<&'a str>,
    ) -> bool {
        if !seen.insert(shape) {
            return false;
        }
        let Some(of) = shape_of(self.model, shape) else { return false };
        let members = of.get("members").and_then(Value::as_object).into_iter().flatten();
        let named = members.map(|(name, member)| (name.as_str(), member));
        // The items of lists and the values of maps have no name.
        let unnamed = ["member", "value"].into_iter().filter_map(|part| Some(("", of.get(part)?)));
        let parts: Vec<(&str, Of<'a>)> = named
            .chain(unnamed)
            .filter_map(|(name, part)| Some((name, Of::read(self.model, part)?)))
            .collect();
        parts.iter().any(|(name, of)| fits(name, of))
            || parts.iter().any(|(_, of)| self.contains(of.shape, fits, seen))
    }

    /// Whether a path of member names exists: `*` are the items of a list or map.
    pub fn has(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        let Some(member) = self.member(first) else { return false };
        rest.iter()
            .try_fold(member.of.shape, |shape, name| {
                let of = shape_of(self.model, shape)?;
                let part = match (*name, of.get("type").and_then(Value::as_str)) {
                    ("*", Some("list")) => of.get("member"),
                    ("*", Some("map")) => of.get("value"),
                    (name, Some("structure")) => {
                        let members = of.get("members").and_then(Value::as_object).into_iter().flatten();
                        let named = |(known, member): &(&String, &Value)| {
                            known.as_str() == name
                                || member.get("locationName").and_then(Value::as_str) == Some(name)
                        };
                        members.into_iter().find(named).map(|(_, member)| member)
                    }
                    _ => None,
                };
                part?.get("shape").and_then(Value::as_str)
            })
            .is_some()
    }
}

fn members<'a>(model: &'a Value, shape: &'a Value) -> Vec<Member<'a>> {
    let required = texts(shape.get("required"));
    let members = shape.get("members").and_then(Value::as_object).into_iter().flatten();
    let member = |(name, member): (&'a String, &'a Value)| {
        let of = Of::read(model, member)?;
        Some(Member {
            name,
            path: name.clone(),
            wire: member.get("locationName").and_then(Value::as_str).unwrap_or(name),
            required: required.contains(name.as_str()),
            label: member.get("location").and_then(Value::as_str) == Some("uri"),
            kind: kind(model, of.shape),
            of,
        })
    };
    members.filter_map(member).collect()
}

fn shape_of<'a>(model: &'a Value, name: &str) -> Option<&'a Value> {
    model.get("shapes")?.get(name)
}

fn kind(model: &Value, shape: &str) -> Kind {
    let of = shape_of(model, shape);
    match of.and_then(|of| of.get("type")).and_then(Value::as_str) {
        Some("string" | "integer" | "long" | "character") => Kind::Scalar,
        Some("list") => {
            let item = of.and_then(|of| of.get("member")?.get("shape")?.as_str());
            match item.map(|item| kind(model, item)) {
                Some(Kind::Scalar) => Kind::Texts,
                _ => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

fn texts(value: Option<&Value>) -> BTreeSet<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
