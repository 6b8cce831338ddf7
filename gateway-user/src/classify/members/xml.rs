//! XML bodies: plain elements, text and the attributes of the model.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html> and <https://www.w3.org/TR/xml/>. There
//! are no document types, entities of one's own, processing instructions, CDATA, or element names with a
//! prefix: AWS's clients write none, and XML libraries differ most in these.

use std::collections::BTreeMap;

use super::{
    Budget, Params, bad_body, bad_member, scalar,
    structure::{Structure, mismatch, unique},
    twice,
};
use crate::{
    catalog::{Location, Member, Shape},
    classify::{ClassifyError, Param},
};

mod document;

use document::Element;

/// The members of `input` that are in its body. What the outermost element is called is not in the
/// model's members, and nothing else can be in its place.
pub(super) fn members(input: Structure<'_>, body: &[u8], params: &mut Params) -> Result<(), ClassifyError> {
    let root = document::read(body, &Budget::new())?;
    for (found, elements) in children(input, &root)? {
        match found {
            Found::Member(member) => params.insert(member.name, several(input, member, &elements)?)?,
            Found::Unknown(name) => params.insert_unknown(name, open_all(&elements))?,
        }
    }
    attributes(input, &root, |member, param| params.insert(member.name, param))
}

/// The member that is the whole body.
pub(super) fn payload(input: Structure<'_>, member: &Member, body: &[u8]) -> Result<Param, ClassifyError> {
    let root = document::read(body, &Budget::new())?;
    if root.name != member.wire {
        let why =
            format!("the outermost element is {:?}, not {:?}", super::shortened(&root.name), member.wire);
        return Err(bad_body(why));
    }
    shaped(input, member.name, &root, input.shape(member.shape))
}

/// What an element's name stands for.
enum Found<'m, 'e> {
    Member(&'m Member),
    Unknown(&'e str),
}

/// The child elements of a structure by member. Only flattened lists and maps have several.
fn children<'m, 'e>(
    within: Structure<'m>,
    element: &'e Element,
) -> Result<Vec<(Found<'m, 'e>, Vec<&'e Element>)>, ClassifyError> {
    if !element.text.trim_ascii().is_empty() {
        return Err(bad_member(&element.name, "it is a plain value, not a structure"));
    }
    let mut by_name: BTreeMap<&str, Vec<&Element>> = BTreeMap::new();
    for child in &element.children {
        by_name.entry(&child.name).or_default().push(child);
    }
    unique(by_name.keys().copied())?;
    let mut found = Vec::with_capacity(by_name.len());
    for (name, elements) in by_name {
        let member = within.find(name, Location::Body)?;
        found.push((member.map_or(Found::Unknown(name), Found::Member), elements));
    }
    Ok(found)
}

/// The attributes of a structure.
fn attributes<'m>(
    within: Structure<'m>,
    element: &Element,
    mut insert: impl FnMut(&'m Member, Param) -> Result<(), ClassifyError>,
) -> Result<(), ClassifyError> {
    for (name, value) in &element.attributes {
        let Some(member) = within.find(name, Location::Attribute)? else {
            return Err(bad_body(format!("the attribute {:?}", super::shortened(name))));
        };
        insert(member, scalar::from_text(member.name, value, within.shape(member.shape))?)?;
    }
    Ok(())
}

/// The elements of one member.
fn several(within: Structure<'_>, member: &Member, elements: &[&Element]) -> Result<Param, ClassifyError> {
    let name = member.name;
    match (within.shape(member.shape), elements) {
        (Shape::List { member: item, flattened: true, .. }, elements) => {
            list(within, name, elements.iter().copied(), within.shape(*item))
        }
        (Shape::Map { value, key_name, value_name, flattened: true, .. }, elements) => {
            map(within, name, elements.iter().copied(), within.shape(*value), (key_name, value_name))
        }
        (shape, [element]) => shaped(within, name, element, shape),
        _ => Err(twice(name)),
    }
}

fn shaped(
    within: Structure<'_>,
    name: &str,
    element: &Element,
    shape: &Shape,
) -> Result<Param, ClassifyError> {
    match shape {
        Shape::Structure(members) => structure(within.with(members), element),
        Shape::List { member, item_name, .. } => {
            list(within, name, only(name, element, item_name, shape)?, within.shape(*member))
        }
        Shape::Map { value, key_name, value_name, .. } => {
            let entries = only(name, element, "entry", shape)?;
            map(within, name, entries, within.shape(*value), (key_name, value_name))
        }
        Shape::Open => Ok(open(element)),
        Shape::Text | Shape::Integer | Shape::Float | Shape::Boolean | Shape::Timestamp(_) | Shape::Blob => {
            if !element.attributes.is_empty() || !element.children.is_empty() {
                return Err(mismatch(name, "a structure", shape));
            }
            scalar::from_text(name, &element.text, shape)
        }
    }
}

/// A structure below the top: unknown members stay, under their names on the wire.
fn structure(within: Structure<'_>, element: &Element) -> Result<Param, ClassifyError> {
    let mut record = BTreeMap::new();
    let mut insert = |name: &str, param| match record.insert(name.to_owned(), param) {
        None => Ok(()),
        Some(_) => Err(twice(name)),
    };
    for (found, elements) in children(within, element)? {
        match found {
            Found::Member(member) => insert(member.name, several(within, member, &elements)?)?,
            Found::Unknown(name) => insert(name, open_all(&elements))?,
        }
    }
    attributes(within, element, |member, param| insert(member.name, param))?;
    Ok(Param::Record(record))
}

/// The children of an element that has only children of this name.
fn only<'e>(
    name: &str,
    element: &'e Element,
    item_name: &str,
    shape: &Shape,
) -> Result<impl Iterator<Item = &'e Element>, ClassifyError> {
    let plain = element.attributes.is_empty() && element.text.trim_ascii().is_empty();
    if plain && element.children.iter().all(|child| child.name == item_name) {
        return Ok(element.children.iter());
    }
    Err(mismatch(name, "something else", shape))
}

fn list<'e>(
    within: Structure<'_>,
    name: &str,
    elements: impl Iterator<Item = &'e Element>,
    shape: &Shape,
) -> Result<Param, ClassifyError> {
    elements.map(|item| shaped(within, name, item, shape)).collect::<Result<_, _>>().map(Param::List)
}

fn map<'e>(
    within: Structure<'_>,
    name: &str,
    entries: impl Iterator<Item = &'e Element>,
    shape: &Shape,
    (key_name, value_name): (&str, &str),
) -> Result<Param, ClassifyError> {
    let mut record = BTreeMap::new();
    for entry in entries {
        let bad = || bad_member(name, "an entry of it is not one key and one value");
        let (key, value) = match entry.children.as_slice() {
            [key, value] | [value, key] if key.name == key_name && value.name == value_name => (key, value),
            _ => return Err(bad()),
        };
        let plain = [entry, key].iter().all(|element| element.attributes.is_empty());
        if !plain || !key.children.is_empty() || !entry.text.trim_ascii().is_empty() {
            return Err(bad());
        }
        if record.insert(key.text.clone(), shaped(within, name, value, shape)?).is_some() {
            return Err(twice(&key.text));
        }
    }
    Ok(Param::Record(record))
}

fn open_all(elements: &[&Element]) -> Param {
    match elements {
        [element] => open(element),
        elements => Param::List(elements.iter().map(|element| open(element)).collect()),
    }
}

/// What the table knows nothing of: texts, and structures with lists where a name is repeated.
fn open(element: &Element) -> Param {
    if element.children.is_empty() && element.attributes.is_empty() {
        return Param::Text(element.text.clone());
    }
    let mut by_name: BTreeMap<&str, Vec<&Element>> = BTreeMap::new();
    for child in &element.children {
        by_name.entry(&child.name).or_default().push(child);
    }
    let children = by_name.into_iter().map(|(name, elements)| (name.to_owned(), open_all(&elements)));
    let attributes =
        element.attributes.iter().map(|(name, value)| (name.clone(), Param::Text(value.clone())));
    Param::Record(attributes.chain(children).collect())
}
