//! Forms of the query protocols: dotted names are structures, numbered ones lists.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html> and
//! <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>

use std::collections::BTreeMap;

use super::{
    Budget, Params, bad_body,
    budget::{MAX_DEPTH, MAX_VALUES, check_name, check_text},
    scalar, shortened,
    structure::{Structure, mismatch, unique},
    twice,
};
use crate::{
    catalog::{Location, Member, Protocol, Shape},
    classify::{ClassifyError, Param},
};

/// The pairs of `application/x-www-form-urlencoded`, where `+` is a space for everyone, decoded.
pub(in crate::classify) fn pairs(body: &[u8]) -> Result<Vec<(String, String)>, ClassifyError> {
    let text = std::str::from_utf8(body).map_err(|_| bad_body("it is not UTF-8"))?;
    if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic() || *c == ';') {
        return Err(bad_body(format!("the form has a bare {c:?}")));
    }
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad_body("a pair has no value"))?;
        if name.is_empty() {
            return Err(bad_body("a pair has no name"));
        }
        Ok((decode(name)?, decode(value)?))
    };
    // One more than allowed, so that `members` sees that there are too many.
    text.split('&').take(MAX_VALUES + 1).map(pair).collect()
}

fn decode(text: &str) -> Result<String, ClassifyError> {
    let text = text.replace('+', " ");
    let is_whole = |rest: &str| rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !text.split('%').skip(1).all(is_whole) {
        return Err(bad_body("a percent-encoding is broken"));
    }
    let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
    match decoded {
        Ok(text) if text.contains('\0') => Err(bad_body("a value has a NUL")),
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(bad_body("a value is not UTF-8")),
    }
}

/// The members among decoded pairs; `Action` and `Version` are none.
pub(super) fn members(
    input: Structure<'_>,
    pairs: &[(String, String)],
    params: &mut Params,
) -> Result<(), ClassifyError> {
    if pairs.len() > MAX_VALUES {
        return Err(bad_body(format!("more than {MAX_VALUES} values")));
    }
    unique(pairs.iter().map(|(name, _)| name.as_str()))?;
    let mut named = Vec::with_capacity(pairs.len());
    for (name, value) in pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "Action" | "Version")) {
        check_name(name).and_then(|()| check_text(value)).map_err(bad_body)?;
        if name.split('.').nth(MAX_DEPTH).is_some() {
            return Err(bad_body(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        named.push(Pair { path: name.split('.').collect(), value });
    }
    named.sort_unstable_by(|one, two| one.path.cmp(&two.path));
    let reader = Reader { within: input, budget: &Budget::new() };
    for (name, node) in (Node { name: "", pairs: &named, depth: 0 }).children() {
        match reader.find(name, node)? {
            Some(member) => {
                params.insert(member.name, reader.param(member.name, node, input.shape(member.shape))?)?;
            }
            None if is_authentication(name) => {
                return Err(ClassifyError::Ambiguous(format!("{name:?} is in the form")));
            }
            None => params.insert_unknown(name, reader.open(node)?)?,
        }
    }
    Ok(())
}

/// Names that a second way of signing has. Of two signatures a service may take either; and their
/// values are secrets.
fn is_authentication(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["AWSAccessKeyId", "SecurityToken", "Signature", "SignatureMethod", "SignatureVersion"];
    let starts = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
    starts || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A decoded pair: `Filter.1.Name=x`.
struct Pair<'a> {
    path: Vec<&'a str>,
    value: &'a str,
}

/// All pairs whose names begin with the same parts: `Filter`, `Filter.1`.
#[derive(Clone, Copy)]
struct Node<'p, 'a> {
    name: &'a str,
    /// Sorted by their paths.
    pairs: &'p [Pair<'a>],
    /// Parts of the names up to here.
    depth: usize,
}

impl<'p, 'a> Node<'p, 'a> {
    /// The value of the pair whose name ends here.
    fn value(self) -> Option<&'a str> {
        self.pairs.first().filter(|pair| pair.path.len() == self.depth).map(|pair| pair.value)
    }

    fn children(self) -> impl Iterator<Item = (&'a str, Self)> {
        let part = move |pair: &Pair<'a>| pair.path.get(self.depth).copied();
        let longer = match self.pairs {
            [first, rest @ ..] if first.path.len() == self.depth => rest,
            pairs => pairs,
        };
        longer.chunk_by(move |one, two| part(one) == part(two)).filter_map(move |pairs| {
            let name = part(pairs.first()?)?;
            Some((name, Node { name, pairs, depth: self.depth + 1 }))
        })
    }

    /// The only child, if it has this name and there is no value.
    fn only(self, name: &str) -> Option<Self> {
        let mut children = self.children();
        match (children.next(), children.next(), self.value()) {
            (Some((found, child)), None, None) if found == name => Some(child),
            _ => None,
        }
    }

    /// The children in the order of their numbers, if these are 1, 2, 3… without a gap.
    fn numbered(self) -> Option<Vec<Self>> {
        let mut items = Vec::new();
        for (name, child) in self.children() {
            let number: usize = name.parse().ok()?;
            if number == 0 || number.to_string() != name {
                return None;
            }
            items.push((number, child));
        }
        items.sort_unstable_by_key(|(number, _)| *number);
        let whole = items.iter().enumerate().all(|(at, (number, _))| at + 1 == *number);
        (whole && !items.is_empty()).then(|| items.into_iter().map(|(_, child)| child).collect())
    }
}

struct Reader<'a> {
    within: Structure<'a>,
    budget: &'a Budget,
}

impl<'a> Reader<'a> {
    /// The member called `name`; an empty list goes by its own name even where its items have another.
    fn find(&self, name: &str, node: Node<'_, '_>) -> Result<Option<&'a Member>, ClassifyError> {
        let empty = node.value() == Some("") && node.children().next().is_none();
        let is_list = |member: &&Member| matches!(self.within.shape(member.shape), Shape::List { .. });
        let own = self.within.members.iter().find(|member| member.wire == name).filter(is_list);
        match own {
            Some(member) if empty => Ok(Some(member)),
            _ => self.within.find(name, Location::Body),
        }
    }

    fn pay(&self, node: Node<'_, '_>) -> Result<(), ClassifyError> {
        self.budget.value(node.depth).map_err(bad_body)
    }

    fn param(&self, name: &str, node: Node<'_, '_>, shape: &'a Shape) -> Result<Param, ClassifyError> {
        self.pay(node)?;
        match shape {
            Shape::Structure(members) => {
                if node.value().is_some() {
                    return Err(mismatch(name, "a plain value", shape));
                }
                Reader { within: self.within.with(members), budget: self.budget }.structure(node)
            }
            Shape::List { member, item_name, flattened } => {
                let flattened = *flattened || self.within.protocol == Protocol::Ec2;
                let items = self.items(name, node, shape, if flattened { None } else { Some(item_name) })?;
                let shape = self.within.shape(*member);
                items
                    .into_iter()
                    .map(|item| self.param(name, item, shape))
                    .collect::<Result<_, _>>()
                    .map(Param::List)
            }
            Shape::Map { value, key_name, value_name, flattened, .. } => {
                let entries = self.items(name, node, shape, if *flattened { None } else { Some("entry") })?;
                let shape = self.within.shape(*value);
                let mut record = BTreeMap::new();
                for entry in entries {
                    let (key, item) = pair(name, entry, key_name, value_name)?;
                    if record.insert(key.to_owned(), self.param(name, item, shape)?).is_some() {
                        return Err(twice(key));
                    }
                }
                Ok(Param::Record(record))
            }
            Shape::Open => self.open_paid(node),
            Shape::Text
            | Shape::Integer
            | Shape::Float
            | Shape::Boolean
            | Shape::Timestamp(_)
            | Shape::Blob => match (node.value(), node.children().next()) {
                (Some(text), None) => scalar::from_text(name, text, shape),
                (Some(_), Some(_)) => Err(two_kinds(name)),
                (None, _) => Err(mismatch(name, "a structure", shape)),
            },
        }
    }

    /// A structure below the top: unknown members stay, under their names on the wire.
    fn structure(&self, node: Node<'_, '_>) -> Result<Param, ClassifyError> {
        let mut record = BTreeMap::new();
        for (wire, child) in node.children() {
            let (name, param) = match self.find(wire, child)? {
                Some(member) => {
                    let shape = self.within.shape(member.shape);
                    (member.name, self.param(member.name, child, shape)?)
                }
                None => (wire, self.open(child)?),
            };
            if record.insert(name.to_owned(), param).is_some() {
                return Err(twice(name));
            }
        }
        Ok(Param::Record(record))
    }

    /// The items of a list or entries of a map, below `wrapper` where there is one.
    fn items<'p, 'n>(
        &self,
        name: &str,
        node: Node<'p, 'n>,
        shape: &Shape,
        wrapper: Option<&str>,
    ) -> Result<Vec<Node<'p, 'n>>, ClassifyError> {
        // The query protocol writes an empty list as an empty text.
        if node.value() == Some("") && node.children().next().is_none() {
            return Ok(Vec::new());
        }
        let inner = match wrapper {
            Some(wrapper) => node.only(wrapper),
            None => Some(node),
        };
        let items = inner.filter(|inner| inner.value().is_none()).and_then(Node::numbered);
        items.ok_or_else(|| mismatch(name, "numbered in another way, or not at all", shape))
    }

    /// What the table knows nothing of: texts, lists where all names are numbers, structures.
    fn open(&self, node: Node<'_, '_>) -> Result<Param, ClassifyError> {
        self.pay(node)?;
        self.open_paid(node)
    }

    fn open_paid(&self, node: Node<'_, '_>) -> Result<Param, ClassifyError> {
        match (node.value(), node.children().next()) {
            (Some(text), None) => return Ok(Param::Text(text.to_owned())),
            (Some(_), Some(_)) => return Err(two_kinds(node.name)),
            (None, _) => {}
        }
        if let Some(items) = node.numbered() {
            return items.into_iter().map(|item| self.open(item)).collect::<Result<_, _>>().map(Param::List);
        }
        let member = |(name, child): (&str, Node<'_, '_>)| Ok((name.to_owned(), self.open(child)?));
        node.children().map(member).collect::<Result<_, _>>().map(Param::Record)
    }
}

/// Key and value of a map's entry, which has nothing else.
fn pair<'p, 'a>(
    name: &str,
    entry: Node<'p, 'a>,
    key_name: &str,
    value_name: &str,
) -> Result<(&'a str, Node<'p, 'a>), ClassifyError> {
    let mut children: Vec<(&str, Node<'p, 'a>)> = entry.children().collect();
    // Sorted by name, and `key` is not always before `value`.
    children.sort_by_key(|(found, _)| *found != key_name);
    match children.as_slice() {
        [(key, one), (value, two)] if *key == key_name && *value == value_name && entry.value().is_none() => {
            let key = one.value().filter(|_| one.children().next().is_none());
            key.map(|key| (key, *two)).ok_or_else(|| two_kinds(name))
        }
        _ => Err(super::bad_member(name, "an entry of it is not one key and one value")),
    }
}

fn two_kinds(name: &str) -> ClassifyError {
    ClassifyError::Ambiguous(format!("the parameter {:?} is a value and a structure", shortened(name)))
}
