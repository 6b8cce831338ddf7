//! Reads the table: one line of JSON after the other, each of the kind its first key says.
//!
//! ```text
//! {"sources":[{"name":…,"version":…,"licence":…}…]}
//! {"partitions":[["aws","amazonaws.com","api.aws"]…]}
//! {"actions":"s3","l":"NAME NAME…","r":…,"w":…,"t":…,"p":…}
//! {"service":"lambda","prefix":"lambda","signing":"lambda","endpoint":"lambda","protocols":["rest-json"],
//!  "version":"2015-03-31","hosts":["lambda.{r}.d"…],"shapes":["{…","[…","<…"…],"places":["arn:…"…]}
//! {"op":"GetFunction","u":"GET /2015-03-31/functions/{FunctionName}","i":"Qualifier?","f":"r","a":["= 0"]}
//! ```
//! The operations of a service follow its line, by name. Of their keys only `op` must be there: `u` is
//! how it is asked for (else `POST /`), `i` its members without the texts in its path, `h` what stands
//! before the service's host, `a` what IAM wants: `ACTION RESOURCE`, where `=` is the action of the
//! operation's own name and a number is one of the service's `places`. `f` are flags: the access level
//! of the action of its own name (`l`ist, `r`ead, `w`rite, `t`agging, `p`ermissions management), `b`
//! its signature leaves out the body, `m` its answer carries credentials. The lines of `actions` have the actions that are no operations.
//!
//! `shape` and `hosts` say what their texts look like.

use std::{collections::BTreeSet, sync::OnceLock};

use serde::Deserialize;

use super::{
    AccessLevel, Action, Catalog, Partition, Provenance, Source,
    hosts::Hosts,
    need::Need,
    service::{Body, Http, Operation, Protocol, Service},
    shape::Shapes,
};

/// The committed table.
static TABLE: &[u8] = include_bytes!("catalog.jsonl.zst");

/// Bytes that the table's text may have.
const MAX_TEXT: usize = 8 << 20;

/// Why a table is not read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It is not zstd.
    #[error("it cannot be decompressed: {0}")]
    Compression(#[from] std::io::Error),
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// A line is not JSON of its kind.
    #[error("line {line}: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A text inside a line is not understood.
    #[error("{0:?} is not understood")]
    Text(String),
    /// The first line is not there.
    #[error("it does not say where it comes from")]
    NoProvenance,
}

/// The error for a text inside a line.
pub(super) fn bad(text: &str) -> CatalogError {
    CatalogError::Text(text.chars().take(80).collect())
}

/// Reads the table that is part of the program. Its text is never given back: everything points into it.
pub(super) fn embedded() -> Result<Catalog, CatalogError> {
    // In one piece: a stream would hold a window as large as the table beside it.
    let text = zstd::bulk::decompress(TABLE, MAX_TEXT)?;
    let text = String::from_utf8(text).map_err(|_| CatalogError::NotText)?;
    Catalog::read(Box::leak(text.into_boxed_str()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourcesLine<'a> {
    #[serde(borrow)]
    sources: Vec<SourceLine<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceLine<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceLine<'a> {
    service: &'a str,
    prefix: &'a str,
    signing: &'a str,
    endpoint: &'a str,
    protocols: Vec<Protocol>,
    #[serde(default)]
    target: Option<&'a str>,
    version: &'a str,
    #[serde(borrow)]
    hosts: Vec<&'a str>,
    #[serde(borrow)]
    shapes: Vec<&'a str>,
    #[serde(borrow)]
    places: Vec<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationLine<'a> {
    op: &'a str,
    #[serde(default)]
    u: Option<&'a str>,
    #[serde(default)]
    i: Option<&'a str>,
    #[serde(default)]
    h: &'a str,
    #[serde(default)]
    f: &'a str,
    #[serde(default, borrow)]
    a: Vec<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionsLine<'a> {
    actions: &'a str,
    #[serde(default)]
    l: &'a str,
    #[serde(default)]
    r: &'a str,
    #[serde(default)]
    w: &'a str,
    #[serde(default)]
    t: &'a str,
    #[serde(default)]
    p: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionsLine<'a> {
    #[serde(borrow)]
    partitions: Vec<(&'a str, &'a str, &'a str)>,
}

impl Catalog {
    /// Reads a whole table.
    ///
    /// # Errors
    /// [`CatalogError`] for the first line that is not understood.
    pub(super) fn read(text: &'static str) -> Result<Self, CatalogError> {
        let mut lines = text.lines().enumerate().peekable();
        let (_, first) = lines.next().ok_or(CatalogError::NoProvenance)?;
        let (mut services, mut actions, mut hosts) = (Vec::new(), Vec::new(), Hosts::default());
        while let Some((number, head)) = lines.next() {
            if head.starts_with("{\"service\"") {
                let line: ServiceLine<'static> = line(number, head)?;
                let (mut host_prefixes, mut last) = (BTreeSet::new(), head);
                while let Some((number, text)) = lines.next_if(|(_, text)| text.starts_with("{\"op\"")) {
                    let operation: OperationLine<'static> = self::line(number, text)?;
                    host_prefixes.insert(operation.h);
                    actions.extend(operation.own_action(line.prefix));
                    last = text;
                }
                let service = line.service(services.len(), between(text, head, last));
                hosts.add(&service, &host_prefixes, &line.hosts)?;
                services.push(service);
            } else if head.starts_with("{\"actions\"") {
                line::<ActionsLine<'static>>(number, head)?.add(&mut actions);
            } else {
                line::<PartitionsLine<'static>>(number, head)?.check()?;
            }
        }
        // They are looked up by bisection; services share prefixes and operations' names.
        actions.sort_unstable_by_key(|action: &Action| action.name);
        actions.dedup_by_key(|action| action.name);
        actions.shrink_to_fit();
        let by_name = services.iter().map(|service: &Service| (service.name, service.index)).collect();
        let provenance = line::<SourcesLine<'static>>(0, first)?.provenance();
        Ok(Self { provenance, services, by_name, actions, hosts })
    }
}

fn line<T: Deserialize<'static>>(number: usize, text: &'static str) -> Result<T, CatalogError> {
    serde_json::from_str(text).map_err(|error| CatalogError::Line { line: number + 1, error })
}

impl SourcesLine<'static> {
    fn provenance(&self) -> Provenance {
        let source = |line: &SourceLine<'static>| Source {
            name: line.name,
            version: line.version,
            licence: line.licence,
        };
        Provenance { sources: self.sources.iter().map(source).collect() }
    }
}

/// The part of `text` from the line `first` to the line `last`, both of which are parts of it.
fn between(text: &'static str, first: &'static str, last: &'static str) -> &'static str {
    let at = |line: &str| (line.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    text.get(at(first)..at(last) + last.len()).unwrap_or_default()
}

impl ServiceLine<'static> {
    fn service(&self, index: usize, lines: &'static str) -> Service {
        Service {
            index,
            name: self.service,
            prefix: self.prefix,
            signing_name: self.signing,
            endpoint_prefix: self.endpoint,
            protocols: self.protocols.clone(),
            target_prefix: self.target,
            version: self.version,
            lines,
            body: OnceLock::new(),
        }
    }
}

impl OperationLine<'static> {
    /// The action of its own name, if there is one.
    fn own_action(&self, prefix: &str) -> Option<Action> {
        let access = self.f.chars().find_map(AccessLevel::of_letter)?;
        Some(Action { name: String::leak(format!("{prefix}:{}", self.op)), access })
    }
}

/// Reads what a service can do: its line and those of its operations.
///
/// # Errors
/// [`CatalogError`] for the first line that is not understood.
pub(super) fn body(prefix: &'static str, lines: &'static str) -> Result<Body, CatalogError> {
    let mut lines = lines.lines().enumerate();
    let (number, first) = lines.next().ok_or_else(|| bad(prefix))?;
    let first: ServiceLine<'static> = line(number, first)?;
    let shapes = Shapes::read(&first.shapes)?;
    let mut building =
        Building { prefix, places: first.places, body: Body { operations: Vec::new(), shapes } };
    for (number, text) in lines {
        building.add(&line(number, text)?)?;
    }
    building.finish()
}

/// Each operation of a service's lines and each action it needs, by full name; where none is known, the
/// one of its own name. Nothing of it is kept.
pub(super) fn needs(prefix: &str, lines: &'static str) -> impl Iterator<Item = (&'static str, String)> {
    let operations = lines.lines().skip(1).filter_map(|text| line::<OperationLine<'static>>(0, text).ok());
    operations.flat_map(move |operation| {
        let own = format!("{prefix}:{}", operation.op);
        let action = |text: &&'static str| match text.split(' ').next() {
            None | Some("" | "=") => own.clone(),
            Some(action) => action.to_owned(),
        };
        let mut actions: Vec<String> = operation.a.iter().map(action).collect();
        if actions.is_empty() {
            actions.push(own.clone());
        }
        actions.sort_unstable();
        actions.dedup();
        actions.into_iter().map(move |action| (operation.op, action))
    })
}

/// The operations of a service's lines whose answers carry credentials. Nothing of it is kept.
pub(super) fn minting(lines: &'static str) -> impl Iterator<Item = &'static str> {
    let operations = lines.lines().skip(1).filter_map(|text| line::<OperationLine<'static>>(0, text).ok());
    operations.filter(|operation| operation.f.contains('m')).map(|operation| operation.op)
}

/// A service whose operations are still being read.
struct Building {
    prefix: &'static str,
    places: Vec<&'static str>,
    body: Body,
}

impl Building {
    fn add(&mut self, line: &OperationLine<'static>) -> Result<(), CatalogError> {
        let http = Http::read(line.u.unwrap_or("POST /"))?;
        let input = self.body.shapes.add_input(line.i, &http)?;
        let own = format!("{}:{}", self.prefix, line.op);
        let needs = line.a.iter().map(|text| self.need(text, &own)).collect::<Result<_, _>>()?;
        self.body.operations.push(Operation {
            name: line.op,
            http,
            input,
            host_prefix: line.h,
            unsigned_body: line.f.contains('b'),
            mints: line.f.contains('m'),
            needs,
        });
        Ok(())
    }

    fn need(&self, text: &'static str, own: &str) -> Result<Need<'static>, CatalogError> {
        let (action, place) = text.split_once(' ').ok_or_else(|| bad(text))?;
        let number: Option<usize> = place.parse().ok();
        let action = if action == "=" { own } else { action };
        let place = match number {
            Some(number) => self.places.get(number).copied().ok_or_else(|| bad(text))?,
            None => place,
        };
        Need::parse(String::leak(format!("{action} {place}"))).map_err(|_| bad(text))
    }

    fn finish(mut self) -> Result<Body, CatalogError> {
        self.body.shapes.check()?;
        // They are looked up by bisection.
        let operations = &self.body.operations;
        match operations.windows(2).find(|pair| !pair.is_sorted_by(|a, b| a.name < b.name)) {
            Some(pair) => Err(bad(pair.last().map_or("", |operation| operation.name))),
            None => {
                self.body.operations.shrink_to_fit();
                Ok(self.body)
            }
        }
    }
}

impl AccessLevel {
    fn of_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'l' => Self::List,
            'r' => Self::Read,
            'w' => Self::Write,
            't' => Self::Tagging,
            'p' => Self::PermissionsManagement,
            _ => return None,
        })
    }
}

impl ActionsLine<'static> {
    fn add(&self, actions: &mut Vec<Action>) {
        for (names, access) in [
            (self.l, AccessLevel::List),
            (self.r, AccessLevel::Read),
            (self.w, AccessLevel::Write),
            (self.t, AccessLevel::Tagging),
            (self.p, AccessLevel::PermissionsManagement),
        ] {
            let name = |name| &*String::leak(format!("{}:{name}", self.actions));
            actions.extend(names.split_ascii_whitespace().map(|text| Action { name: name(text), access }));
        }
    }
}

impl PartitionsLine<'static> {
    /// The partitions are code as well: see that both say the same.
    fn check(&self) -> Result<(), CatalogError> {
        for (name, plain, dual_stack) in &self.partitions {
            let partition = Partition::of_arn_name(name).ok_or_else(|| bad(name))?;
            if partition.suffixes() != [*plain, *dual_stack] {
                return Err(bad(name));
            }
        }
        Ok(())
    }
}
