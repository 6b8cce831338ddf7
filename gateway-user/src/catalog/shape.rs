//! Shapes: of what an operation's input is made, and where on the wire each member is.
//!
//! Self-describing bodies (JSON, CBOR) need no shapes below their own members, so the table has
//! [`Shape::Open`] there. <https://smithy.io/2.0/spec/aggregate-types.html>

use super::{
    load::{CatalogError, bad},
    service::{Http, Segment},
};

/// A shape of one service: an index into its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShapeId(pub(super) u32);

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// `2025-08-30T12:36:00Z`.
    DateTime,
    /// Seconds since 1970, with a fraction or without.
    Epoch,
    /// `Sat, 30 Aug 2025 12:36:00 GMT`.
    HttpDate,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Members by name.
    Structure(Vec<Member>),
    /// Values of one shape, in order.
    List {
        /// The shape of each.
        member: ShapeId,
        /// What an item is called in XML and in lists of the query protocols: `member` unless the
        /// model says something else.
        item_name: &'static str,
        /// Without an element or name part around it.
        flattened: bool,
    },
    /// Values by text.
    Map {
        /// The shape of each key: a text.
        key: ShapeId,
        /// The shape of each value.
        value: ShapeId,
        /// What a key is called in XML and query: `key` unless the model says something else.
        key_name: &'static str,
        /// What a value is called in XML and query: `value` unless the model says something else.
        value_name: &'static str,
        /// Without an element or name part around it.
        flattened: bool,
    },
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// A truth value.
    Boolean,
    /// A moment.
    Timestamp(TimestampFormat),
    /// Bytes: base64 in JSON, XML, query and headers, raw as a payload and in CBOR.
    Blob,
    /// Anything: a document, or nested below what the table holds.
    Open,
}

/// Where on the wire a member is.
///
/// <https://smithy.io/2.0/spec/http-bindings.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the body (in the form, for the query protocols).
    Body,
    /// An attribute of the XML element.
    Attribute,
    /// One segment of the path.
    Path,
    /// Several segments of the path.
    GreedyPath,
    /// The value of a query parameter.
    Query,
    /// All query parameters that are nothing else.
    QueryMap,
    /// The value of a header.
    Header,
    /// All headers that begin with the wire name.
    Headers,
    /// The whole body.
    Payload,
}

/// A member of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in the model: what policies see.
    pub name: &'static str,
    /// Its name on the wire.
    pub wire: &'static str,
    /// Where it is.
    pub at: Location,
    /// What it is.
    pub shape: ShapeId,
    /// Whether there is no request without it: it is in the path.
    pub required: bool,
    /// Whether it is a stream, which is never read.
    pub streaming: bool,
    /// Whether it is a part of the host as well.
    pub host_label: bool,
}

/// The shapes that every service's table begins with, with their letters in the file.
const SCALARS: [(char, Shape); 9] = [
    ('s', Shape::Text),
    ('i', Shape::Integer),
    ('f', Shape::Float),
    ('b', Shape::Boolean),
    ('t', Shape::Timestamp(TimestampFormat::DateTime)),
    ('u', Shape::Timestamp(TimestampFormat::Epoch)),
    ('h', Shape::Timestamp(TimestampFormat::HttpDate)),
    ('x', Shape::Blob),
    ('o', Shape::Open),
];

/// A service's shapes: scalars first, then one per text of its line, then its operations' inputs.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Shape>);

impl Shapes {
    pub(super) fn read(texts: &[&'static str]) -> Result<Self, CatalogError> {
        let mut shapes = Self(SCALARS.iter().map(|(_, shape)| shape.clone()).collect());
        for text in texts {
            shapes.0.push(read(text)?);
        }
        Ok(shapes)
    }

    /// The structure of an operation's members: those of `text`, and the labels of the path that it
    /// does not name.
    pub(super) fn add_input(
        &mut self,
        text: Option<&'static str>,
        http: &Http,
    ) -> Result<Option<ShapeId>, CatalogError> {
        let mut members = members(text.unwrap_or_default())?;
        for segment in &http.segments {
            let (name, at) = match segment {
                Segment::Label(name) => (*name, Location::Path),
                Segment::Greedy(name) => (*name, Location::GreedyPath),
                Segment::Literal(_) => continue,
            };
            match members.iter_mut().find(|member| member.name == name) {
                Some(member) => (member.at, member.required) = (at, true),
                None => members.push(Member { at, required: true, ..Member::text(name) }),
            }
        }
        if members.is_empty() {
            return Ok(None);
        }
        let id = u32::try_from(self.0.len()).map_err(|_| bad("too many shapes"))?;
        self.0.push(Shape::Structure(members));
        Ok(Some(ShapeId(id)))
    }

    /// That every id is one.
    pub(super) fn check(&self) -> Result<(), CatalogError> {
        let known = |id: &ShapeId| usize::try_from(id.0).is_ok_and(|at| at < self.0.len());
        let all_known = |shape: &Shape| match shape {
            Shape::Structure(members) => members.iter().all(|member| known(&member.shape)),
            Shape::List { member, .. } => known(member),
            Shape::Map { key, value, .. } => known(key) && known(value),
            Shape::Text | Shape::Integer | Shape::Float | Shape::Boolean => true,
            Shape::Timestamp(_) | Shape::Blob | Shape::Open => true,
        };
        if self.0.iter().all(all_known) { Ok(()) } else { Err(bad("the number of a shape")) }
    }

    pub(super) fn get(&self, id: ShapeId) -> &Shape {
        // `check` has seen that every id is in the table.
        usize::try_from(id.0).ok().and_then(|at| self.0.get(at)).unwrap_or(&Shape::Open)
    }
}

/// `{MEMBER MEMBER…`, `[ITEM NAME`, `<KEY VALUE KEYNAME VALUENAME`; a `+` after the bracket: flattened.
fn read(text: &'static str) -> Result<Shape, CatalogError> {
    let wrong = || bad(text);
    if let Some(text) = text.strip_prefix('{') {
        return members(text).map(Shape::Structure);
    }
    let (rest, list) = match (text.strip_prefix('['), text.strip_prefix('<')) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(wrong()),
    };
    let flattened = rest.starts_with('+');
    let mut words = rest.trim_start_matches('+').split_ascii_whitespace();
    let first = words.next().and_then(reference).ok_or_else(wrong)?;
    let shape = if list {
        Shape::List { member: first, item_name: words.next().unwrap_or("member"), flattened }
    } else {
        Shape::Map {
            key: first,
            value: words.next().and_then(reference).ok_or_else(wrong)?,
            key_name: words.next().unwrap_or("key"),
            value_name: words.next().unwrap_or("value"),
            flattened,
        }
    };
    if words.next().is_some() { Err(wrong()) } else { Ok(shape) }
}

/// A letter or the number of a shape in its service's line.
fn reference(text: &str) -> Option<ShapeId> {
    let mut letters = text.chars();
    if let (Some(letter), None) = (letters.next(), letters.next())
        && let Some(at) = SCALARS.iter().position(|(known, _)| *known == letter)
    {
        return u32::try_from(at).ok().map(ShapeId);
    }
    let number: u32 = text.parse().ok()?;
    number.checked_add(u32::try_from(SCALARS.len()).ok()?).map(ShapeId)
}

fn members(text: &'static str) -> Result<Vec<Member>, CatalogError> {
    text.split_ascii_whitespace().map(Member::read).collect()
}

impl Member {
    /// A text in the body.
    fn text(name: &'static str) -> Self {
        Self {
            name,
            wire: name,
            at: Location::Body,
            shape: ShapeId(0),
            required: false,
            streaming: false,
            host_label: false,
        }
    }

    /// `NAME`, then `:SHAPE` unless it is a text, flags (`~` streaming, `#` host
    /// label), the location, and the wire name if it is not the same: `_` for the same with a small
    /// first letter.
    fn read(text: &'static str) -> Result<Self, CatalogError> {
        let wrong = || bad(text);
        let word = |text: &'static str| {
            let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
            text.split_at(end.unwrap_or(text.len()))
        };
        let (name, rest) = word(text);
        let (shape, rest) = match rest.strip_prefix(':') {
            Some(rest) => word(rest),
            None => ("s", rest),
        };
        let shape = reference(shape).ok_or_else(wrong)?;
        let end = rest.find(|c| !"~#".contains(c)).unwrap_or(rest.len());
        let (flags, rest) = rest.split_at(end);
        let (at, wire) = Location::read(rest).ok_or_else(wrong)?;
        let wire = match wire {
            "" => name,
            "_" => lower_first(name),
            wire => wire,
        };
        if name.is_empty() {
            return Err(wrong());
        }
        let (streaming, host_label) = (flags.contains('~'), flags.contains('#'));
        Ok(Self { wire, at, shape, streaming, host_label, ..Self::text(name) })
    }
}

pub(super) fn lower_first(name: &str) -> &'static str {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    String::leak(first.into_iter().chain(letters).collect())
}

impl Location {
    pub(super) fn read(text: &'static str) -> Option<(Self, &'static str)> {
        const MARKS: [(&str, Location); 8] = [
            ("/", Location::Path),
            ("?*", Location::QueryMap),
            ("?", Location::Query),
            ("^*", Location::Headers),
            ("^", Location::Header),
            ("&", Location::Payload),
            ("%", Location::Attribute),
            ("=", Location::Body),
        ];
        if text.is_empty() {
            return Some((Self::Body, ""));
        }
        MARKS.into_iter().find_map(|(mark, at)| text.strip_prefix(mark).map(|wire| (at, wire)))
    }
}
