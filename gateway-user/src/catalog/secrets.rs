//! What is secret in a service's answers and requests, as a graph of shapes: a table of its own beside the catalogue.
//!
//! `cargo xtask codegen` makes it from the models' `sensitive` trait and our lists; [`read`](self) says what its lines
//! look like. A service's line is read when it is first asked for.
//! <https://smithy.io/2.0/spec/documentation-traits.html#sensitive-trait>

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use super::Location;

mod read;
#[cfg(test)]
mod tests;

/// What is secret at a service, by its name in botocore; `None` where nothing is.
///
/// The first call decompresses the table, which takes a millisecond or two.
#[must_use]
pub fn secrets(service: &str) -> Option<&'static Secrets> {
    static TABLE: LazyLock<Table> = LazyLock::new(|| read::table(read::SECRETS));
    TABLE.get(service)
}

/// Everything that a service's answers have, in the form of what is secret; `None` where they have nothing.
///
/// Only rules about what is not secret by itself need it: its text has some megabytes, which the first call
/// decompresses and nothing gives back.
#[must_use]
pub fn answers(service: &str) -> Option<&'static Secrets> {
    static TABLE: LazyLock<Table> = LazyLock::new(|| read::table(read::ANSWERS));
    TABLE.get(service)
}

/// By the services' names.
type Table = HashMap<&'static str, Secrets>;

/// How much a value is to be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secrecy {
    /// It says something about a person, or is free text: hidden where the configuration says so.
    Personal,
    /// It opens something: hidden.
    Secret,
}

/// What the model says that a hidden value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A truth value.
    Boolean,
    /// A moment, in whatever form.
    Timestamp,
    /// Bytes.
    Blob,
    /// A structure or a document: everything in it.
    Any,
}

/// A node of one service's graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretNodeId(u32);

/// What a member, item or value leads to: it is hidden itself, something in it is, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// What it is hidden as.
    pub hidden: Option<(Secrecy, SecretKind)>,
    /// What is in it. Beside something that is hidden as [`Secrecy::Personal`], what is to be hidden anyway.
    pub below: Option<SecretNodeId>,
}

impl Reach {
    /// All of it is secret.
    const EVERYTHING: Self = Self { hidden: Some((Secrecy::Secret, SecretKind::Any)), below: None };
}

/// What is known of a shape that leads to something hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretNode {
    /// Those of its members that lead to something hidden.
    Structure(Vec<SecretMember>),
    /// A list.
    List {
        /// Each item.
        item: Reach,
        /// In XML and forms without an element or name part around it.
        flattened: bool,
    },
    /// A map. Its keys are names, which are not hidden.
    Map {
        /// Each value.
        value: Reach,
        /// What a key is called in XML.
        key_name: &'static str,
        /// In XML and forms without an element or name part around it.
        flattened: bool,
    },
}

/// A member that leads to something hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMember {
    /// Its name in the model.
    pub name: &'static str,
    /// Its name on the wire.
    pub wire: &'static str,
    /// Where it is. In an event of a stream, [`Location::Payload`] is the whole payload, [`Location::Header`] one of
    /// the event's headers.
    pub at: Location,
    /// Whether it is a stream whose events are the members of its structure.
    pub events: bool,
    /// What it leads to.
    pub to: Reach,
}

/// What is secret at one service.
#[derive(Debug)]
pub struct Secrets {
    line: &'static str,
    body: OnceLock<Option<Body>>,
}

#[derive(Debug)]
struct Body {
    outputs: HashMap<&'static str, Reach>,
    inputs: HashMap<&'static str, Reach>,
    nodes: Vec<SecretNode>,
}

impl Secrets {
    /// What is secret in the answers of an operation; `None`: nothing.
    #[must_use]
    pub fn output(&self, operation: &str) -> Option<Reach> {
        self.body().map_or(Some(Reach::EVERYTHING), |body| body.outputs.get(operation).copied())
    }

    /// What is secret in the parameters of an operation; `None`: nothing.
    #[must_use]
    pub fn input(&self, operation: &str) -> Option<Reach> {
        self.body().map_or(Some(Reach::EVERYTHING), |body| body.inputs.get(operation).copied())
    }

    /// What is behind an id of this service.
    #[must_use]
    pub fn node(&self, id: SecretNodeId) -> &SecretNode {
        static NOTHING: SecretNode = SecretNode::Structure(Vec::new());
        // Every id was seen to be in the table when it was read.
        self.body()
            .and_then(|body| usize::try_from(id.0).ok().and_then(|at| body.nodes.get(at)))
            .unwrap_or(&NOTHING)
    }

    /// The operations that have something to hide in their answers, in no order.
    pub fn outputs(&self) -> impl Iterator<Item = &'static str> {
        self.body().into_iter().flat_map(|body| body.outputs.keys().copied())
    }

    /// The operations that have something to hide in their parameters, in no order.
    pub fn inputs(&self) -> impl Iterator<Item = &'static str> {
        self.body().into_iter().flat_map(|body| body.inputs.keys().copied())
    }

    /// A test reads every line. Of one that cannot be read, everything is secret.
    fn body(&self) -> Option<&Body> {
        self.body.get_or_init(|| read::body(self.line).ok()).as_ref()
    }
}
