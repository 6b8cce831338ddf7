//! Reads the tables of secrets and answers: a line of JSON for each service that has any.
//!
//! ```text
//! {"service":"lambda","out":"GetFunction:24 Invoke:28…","in":"CreateFunction:39…","nodes":["{…","[…","<…"…]}
//! ```
//! After the colon stands what an operation's output or input leads to, in the same form as in the nodes: the letter of
//! what is hidden, a node's number, or both. Small letters are secrets, capitals personal: `s` text, `i` `f` numbers,
//! `b` truth value, `t` `u` `h` moments, `x` bytes, `o` everything in it. Nodes are `{MEMBER MEMBER…`, `[ITEM`,
//! `<VALUE KEYNAME`; a `+` after the bracket: flattened. A member is `NAME:LEADSTO` (only `NAME` for a secret text), `~`
//! for a stream of events, and its location and wire name as in the catalogue (`shape`).

use std::{collections::HashMap, sync::OnceLock};

use serde::Deserialize;

use super::{
    super::{
        Location,
        load::{CatalogError, bad},
        shape::lower_first,
    },
    Body, Reach, Secrecy, SecretKind, SecretMember, SecretNode, SecretNodeId, Secrets, Table,
};

/// The committed table of secrets, and the bytes that its text may have.
pub(super) const SECRETS: (&[u8], usize) = (include_bytes!("../secrets.jsonl.zst"), 1 << 20);
/// The committed table of everything that answers have, likewise.
pub(super) const ANSWERS: (&[u8], usize) = (include_bytes!("../answers.jsonl.zst"), 4 << 20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "service")]
    _service: &'a str,
    #[serde(default)]
    out: &'a str,
    #[serde(default, rename = "in")]
    input: &'a str,
    #[serde(borrow)]
    nodes: Vec<&'a str>,
}

/// A table that is part of the program.
pub(super) fn table(table: (&[u8], usize)) -> Table {
    match index(table) {
        Ok(table) => table,
        #[expect(clippy::panic, reason = "the tables are part of the program; a test reads them")]
        Err(error) => panic!("a table of this program cannot be read: {error}"),
    }
}

/// Reads nothing of a table but the services' names. Its text is never given back: everything points into it.
pub(super) fn index((table, max): (&[u8], usize)) -> Result<Table, CatalogError> {
    let text = zstd::bulk::decompress(table, max)?;
    let text = String::from_utf8(text).map_err(|_| CatalogError::NotText)?;
    let text: &'static str = Box::leak(text.into_boxed_str());
    let service = |line: &'static str| {
        let name = line.strip_prefix("{\"service\":\"").and_then(|rest| rest.split_once('"'));
        let (name, _) = name.ok_or_else(|| bad(line))?;
        Ok((name, Secrets { line, body: OnceLock::new() }))
    };
    text.lines().map(service).collect()
}

/// Reads a service's line.
pub(super) fn body(text: &'static str) -> Result<Body, CatalogError> {
    let line: Line<'static> =
        serde_json::from_str(text).map_err(|error| CatalogError::Line { line: 1, error })?;
    let all = line.nodes.len();
    let nodes = line.nodes.iter().map(|text| node(text, all)).collect::<Result<_, _>>()?;
    Ok(Body { outputs: operations(line.out, all)?, inputs: operations(line.input, all)?, nodes })
}

fn operations(text: &'static str, all: usize) -> Result<HashMap<&'static str, Reach>, CatalogError> {
    let operation = |text: &'static str| {
        let (name, to) = text.split_once(':').ok_or_else(|| bad(text))?;
        Ok((name, reach(to, all).ok_or_else(|| bad(text))?))
    };
    text.split_ascii_whitespace().map(operation).collect()
}

fn node(text: &'static str, all: usize) -> Result<SecretNode, CatalogError> {
    if let Some(members) = text.strip_prefix('{') {
        let members = members.split_ascii_whitespace().map(|text| member(text, all));
        return members.collect::<Result<_, _>>().map(SecretNode::Structure);
    }
    let wrong = || bad(text);
    let (rest, list) = match (text.strip_prefix('['), text.strip_prefix('<')) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(wrong()),
    };
    let flattened = rest.starts_with('+');
    let rest = rest.strip_prefix('+').unwrap_or(rest);
    let (to, key_name) = rest.split_once(' ').unwrap_or((rest, "key"));
    let to = reach(to, all).ok_or_else(wrong)?;
    Ok(if list {
        SecretNode::List { item: to, flattened }
    } else {
        SecretNode::Map { value: to, key_name, flattened }
    })
}

fn member(text: &'static str, all: usize) -> Result<SecretMember, CatalogError> {
    let wrong = || bad(text);
    let word = |text: &'static str| {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        text.split_at(end.unwrap_or(text.len()))
    };
    let (name, rest) = word(text);
    let (to, rest) = match rest.strip_prefix(':') {
        Some(rest) => word(rest),
        None => ("s", rest),
    };
    let to = reach(to, all).ok_or_else(wrong)?;
    let (rest, events) = rest.strip_prefix('~').map_or((rest, false), |rest| (rest, true));
    let (at, wire) = Location::read(rest).ok_or_else(wrong)?;
    let wire = match wire {
        "" => name,
        "_" => lower_first(name),
        wire => wire,
    };
    if name.is_empty() { Err(wrong()) } else { Ok(SecretMember { name, wire, at, events, to }) }
}

/// A letter, the number of one of `all` nodes, or both.
fn reach(text: &str, all: usize) -> Option<Reach> {
    let number = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letter = text.strip_suffix(number)?;
    let mut letters = letter.chars();
    let hidden = match (letters.next(), letters.next()) {
        (None, _) => None,
        (Some(letter), None) => Some(kind(letter)?),
        (Some(_), Some(_)) => return None,
    };
    let below = match number {
        "" => None,
        number => {
            let number: u32 = number.parse().ok()?;
            usize::try_from(number).ok().filter(|at| *at < all)?;
            Some(SecretNodeId(number))
        }
    };
    (hidden.is_some() || below.is_some()).then_some(Reach { hidden, below })
}

fn kind(letter: char) -> Option<(Secrecy, SecretKind)> {
    let secrecy = if letter.is_ascii_uppercase() { Secrecy::Personal } else { Secrecy::Secret };
    Some((
        secrecy,
        match letter.to_ascii_lowercase() {
            's' => SecretKind::Text,
            'i' | 'f' => SecretKind::Number,
            'b' => SecretKind::Boolean,
            't' | 'u' | 'h' => SecretKind::Timestamp,
            'x' => SecretKind::Blob,
            'o' => SecretKind::Any,
            _ => return None,
        },
    ))
}
