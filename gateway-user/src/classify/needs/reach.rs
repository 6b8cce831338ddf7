//! Parameters by the paths of needs.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{catalog::Path, classify::Param};

/// Where paths start.
pub(super) struct Scope<'a> {
    /// The request's parameters.
    pub(super) request: &'a BTreeMap<String, Param>,
    /// The item of the list that is gone through.
    pub(super) item: Option<&'a BTreeMap<String, Param>>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A text or number.
    Text(Cow<'a, str>),
    /// A structure or map.
    Record,
    /// Something that names nothing.
    Other,
}

/// Everything that a path leads to: a list stands for its items. Empty where there is nothing.
pub(super) fn find<'a>(path: &Path<'_>, scope: &Scope<'a>) -> Vec<Found<'a>> {
    let from = scope.item.filter(|_| !path.absolute).unwrap_or(scope.request);
    let mut found = Vec::new();
    if let Some((first, rest)) = path.names.split_first()
        && let Some(param) = from.get(*first)
    {
        walk(param, rest, &mut found);
    }
    found
}

/// The items of a list; `None` where there is none.
pub(super) fn items<'a>(path: &Path<'_>, params: &'a BTreeMap<String, Param>) -> Option<Vec<&'a Param>> {
    let (first, rest) = path.names.split_first()?;
    let mut lists = vec![params.get(*first)?];
    for name in rest {
        let inner = lists.into_iter().map(|param| match (param, *name) {
            (Param::List(items), "*") => Some(items.iter().collect()),
            (Param::Record(members), "*") => Some(members.values().collect()),
            (Param::Record(members), name) => members.get(name).map(|param| vec![param]),
            _ => None,
        });
        lists = inner.collect::<Option<Vec<Vec<&Param>>>>()?.concat();
    }
    let items = lists.into_iter().map(|list| match list {
        Param::List(items) => Some(items.iter().collect::<Vec<_>>()),
        _ => None,
    });
    Some(items.collect::<Option<Vec<_>>>()?.concat())
}

fn walk<'a>(param: &'a Param, names: &[&str], found: &mut Vec<Found<'a>>) {
    let Some((name, rest)) = names.split_first() else { return end(param, found) };
    match (param, *name) {
        (Param::List(items), "*") => items.iter().for_each(|item| each(item, rest, found)),
        (Param::Record(members), "*") if rest.is_empty() => {
            found.extend(members.keys().map(|key| Found::Text(Cow::Borrowed(key))));
        }
        (Param::Record(members), "*") => members.values().for_each(|value| each(value, rest, found)),
        (Param::Record(members), name) => {
            if let Some(member) = members.get(name) {
                walk(member, rest, found);
            }
        }
        _ => found.push(Found::Other),
    }
}

/// One of many; it counts also where it names nothing.
fn each<'a>(param: &'a Param, names: &[&str], found: &mut Vec<Found<'a>>) {
    let before = found.len();
    walk(param, names, found);
    if found.len() == before {
        found.push(Found::Other);
    }
}

fn end<'a>(param: &'a Param, found: &mut Vec<Found<'a>>) {
    match param {
        Param::Text(text) => found.push(Found::Text(Cow::Borrowed(text))),
        Param::Number(number) => found.push(Found::Text(Cow::Owned(number.to_string()))),
        Param::Record(_) => found.push(Found::Record),
        Param::Bool(_) => found.push(Found::Other),
        Param::List(items) => {
            for item in items {
                match item {
                    Param::List(_) => found.push(Found::Other),
                    item => end(item, found),
                }
            }
        }
    }
}
