//! What is secret in the answers of one operation, as a graph: the shapes of AWS's models may contain
//! themselves.

use std::sync::Arc;

/// Bytes of the longest name in a plan. A longer name of an answer is therefore none of the plan's.
pub const NAME_MAX: usize = 96;

/// A node of a [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

/// A field of a [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u32);

impl NodeId {
    fn at(self) -> usize {
        self.0 as usize
    }
}

impl FieldId {
    /// Its place in [`Plan::fields`].
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// What the model says a secret is, which decides what stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A text.
    Text,
    /// Bytes: base64 where the format has only text.
    Blob,
    /// A number.
    Number,
    /// A truth value.
    Boolean,
    /// A time, in whatever form the protocol writes it.
    Timestamp,
    /// A structure, list or map, or unknown: every leaf is taken for what it looks like.
    Any,
}

/// One secret place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its path as people and policies write it: `SecretString`, `Parameters[].Value`.
    pub path: Arc<str>,
    /// What the model says it is.
    pub kind: Kind,
    /// Whether [`super::Replace`] is asked for what stands in its place. Its value is then held.
    pub reversible: bool,
}

/// What is known of a place in an answer. Only what leads to something secret has a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Members by their name on the wire, sorted.
    Structure(Vec<(Box<[u8]>, NodeId)>),
    /// A list of these. In XML, every child is an element of it, whatever it is called.
    List {
        /// What is known of each element.
        element: NodeId,
        /// In XML, the member itself is an element, and is repeated.
        flat: bool,
    },
    /// A map to these. In XML, every child is an entry, and every child of that but the key is a value.
    Map {
        /// What is known of each value.
        value: NodeId,
        /// In XML, the name of an entry's key.
        key: Box<[u8]>,
        /// In XML, the member itself is an entry, and is repeated.
        flat: bool,
    },
    /// Everything from here on is hidden.
    Secret(FieldId),
}

/// A secret in a header of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    /// In small letters; all headers that begin so, where it ends in `*`.
    pub name: Box<str>,
    /// Which field it is.
    pub field: FieldId,
}

/// What is secret in one type of event of an event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRule {
    /// What `:event-type` or `:exception-type` says; `initial-response` for what comes before the events.
    pub name: Box<str>,
    /// What is known of the payload.
    pub payload: Option<NodeId>,
    /// Headers of the event by name.
    pub headers: Vec<HeaderRule>,
}

/// What is secret in the answers of one operation in one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    nodes: Vec<Node>,
    root: NodeId,
    fields: Vec<Field>,
    headers: Vec<HeaderRule>,
    events: Vec<EventRule>,
}

/// Why a plan cannot be used. Plans come from tables and configuration, not from answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// An id is none of this plan's.
    #[error("a node or field is none of this plan's")]
    Dangling,
    /// A member was given to what is no structure, or a key to what is no map.
    #[error("{0:?} was given to a node that cannot have it")]
    NotInside(String),
    /// A name is empty or longer than [`NAME_MAX`].
    #[error("{0:?} is no name: it is empty or has more than {NAME_MAX} bytes")]
    Name(String),
    /// A structure has two members of one name, or the plan two events or headers.
    #[error("{0:?} is there twice")]
    Twice(String),
}

impl Plan {
    /// A plan to fill.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The plan of an operation without secrets: only detectors look at its answers.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            nodes: vec![Node::Structure(Vec::new())],
            root: NodeId(0),
            fields: Vec::new(),
            headers: Vec::new(),
            events: Vec::new(),
        }
    }

    /// All secret places, by [`FieldId`].
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The ids of the fields whose path is this one.
    pub fn fields_at(&self, path: &str) -> impl Iterator<Item = FieldId> {
        let found = self.fields.iter().zip(0..).filter(move |(field, _)| *field.path == *path);
        found.map(|(_, id)| FieldId(id))
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    /// `None` only for an id of another plan.
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.at())
    }

    pub(super) fn field(&self, id: FieldId) -> Option<&Field> {
        self.fields.get(id.at())
    }

    pub(super) fn headers(&self) -> &[HeaderRule] {
        &self.headers
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn event(&self, name: &[u8]) -> Option<&EventRule> {
        self.events.iter().find(|event| event.name.as_bytes() == name)
    }

    /// The member of a structure.
    pub(super) fn member(&self, structure: NodeId, name: &[u8]) -> Option<NodeId> {
        let Some(Node::Structure(members)) = self.node(structure) else { return None };
        if members.len() <= 8 {
            return members.iter().find(|(wire, _)| **wire == *name).map(|(_, node)| *node);
        }
        let at = members.binary_search_by(|(wire, _)| (**wire).cmp(name)).ok()?;
        members.get(at).map(|(_, node)| *node)
    }
}

/// The fields of a plan that a caller may see: they pass as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revealed(Vec<u64>);

impl Revealed {
    /// Adds a field.
    pub fn insert(&mut self, field: FieldId) {
        let (word, bit) = (field.at() / 64, field.at() % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    /// Whether it passes.
    #[must_use]
    pub fn contains(&self, field: FieldId) -> bool {
        self.0.get(field.at() / 64).is_some_and(|word| word >> (field.at() % 64) & 1 == 1)
    }
}

impl FromIterator<FieldId> for Revealed {
    fn from_iter<I: IntoIterator<Item = FieldId>>(fields: I) -> Self {
        let mut revealed = Self::default();
        fields.into_iter().for_each(|field| revealed.insert(field));
        revealed
    }
}

/// Makes a [`Plan`]. Structures are made empty and filled afterwards, so that they may contain themselves.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    fields: Vec<Field>,
    headers: Vec<HeaderRule>,
    events: Vec<EventRule>,
    /// The first mistake, which [`Builder::build`] tells.
    mistake: Option<PlanError>,
}

impl Builder {
    /// A secret place, at this path.
    pub fn field(&mut self, path: &str, kind: Kind) -> FieldId {
        self.add_field(Field { path: path.into(), kind, reversible: false })
    }

    /// A secret place whose value [`super::Replace`] puts something in the place of.
    pub fn reversible_field(&mut self, path: &str, kind: Kind) -> FieldId {
        self.add_field(Field { path: path.into(), kind, reversible: true })
    }

    fn add_field(&mut self, field: Field) -> FieldId {
        let id = FieldId(u32::try_from(self.fields.len()).unwrap_or(u32::MAX));
        self.fields.push(field);
        id
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    /// Everything at this node is this field.
    pub fn secret(&mut self, field: FieldId) -> NodeId {
        self.add(Node::Secret(field))
    }

    /// A structure or union without members so far.
    pub fn structure(&mut self) -> NodeId {
        self.add(Node::Structure(Vec::new()))
    }

    /// Gives a structure a member, by its name on the wire.
    pub fn member(&mut self, structure: NodeId, wire: &str, node: NodeId) -> &mut Self {
        match self.nodes.get_mut(structure.at()) {
            Some(Node::Structure(members)) => members.push((wire.as_bytes().into(), node)),
            _ => self.mistaken(PlanError::NotInside(wire.to_owned())),
        }
        self
    }

    /// A list.
    pub fn list(&mut self, element: NodeId) -> NodeId {
        self.add(Node::List { element, flat: false })
    }

    /// A list that XML writes by repeating the member (`xmlFlattened`). In other formats it is a list.
    pub fn flat_list(&mut self, element: NodeId) -> NodeId {
        self.add(Node::List { element, flat: true })
    }

    /// A map. Its keys are called `key` in XML.
    pub fn map(&mut self, value: NodeId) -> NodeId {
        self.add(Node::Map { value, key: b"key".as_slice().into(), flat: false })
    }

    /// A map that XML writes by repeating the member, with this name of its keys.
    pub fn flat_map(&mut self, value: NodeId, key: &str) -> NodeId {
        self.add(Node::Map { value, key: key.as_bytes().into(), flat: true })
    }

    /// Names the keys of a map in XML (`xmlName`).
    pub fn map_key(&mut self, map: NodeId, name: &str) -> &mut Self {
        match self.nodes.get_mut(map.at()) {
            Some(Node::Map { key, .. }) => *key = name.as_bytes().into(),
            _ => self.mistaken(PlanError::NotInside(name.to_owned())),
        }
        self
    }

    /// A header of the answer; all that begin so, where `name` ends in `*`.
    pub fn header(&mut self, name: &str, field: FieldId) -> &mut Self {
        self.headers.push(HeaderRule { name: name.to_ascii_lowercase().into(), field });
        self
    }

    /// A type of event of an event stream. `headers`: names and fields of those that are secret.
    pub fn event(&mut self, name: &str, payload: Option<NodeId>, headers: &[(&str, FieldId)]) -> &mut Self {
        let header = |(name, field): &(&str, FieldId)| HeaderRule { name: (*name).into(), field: *field };
        let headers = headers.iter().map(header).collect();
        self.events.push(EventRule { name: name.into(), payload, headers });
        self
    }

    fn mistaken(&mut self, mistake: PlanError) {
        self.mistake.get_or_insert(mistake);
    }

    /// The plan, whose answers are `root`.
    ///
    /// # Errors
    /// [`PlanError`], for the first mistake.
    pub fn build(mut self, root: NodeId) -> Result<Plan, PlanError> {
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        let field = |id: FieldId| self.fields.get(id.at()).map(drop).ok_or(PlanError::Dangling);
        let known = self.nodes.len();
        let node = |id: NodeId| if id.at() < known { Ok(()) } else { Err(PlanError::Dangling) };
        node(root)?;
        for at in &mut self.nodes {
            match at {
                Node::Structure(members) => {
                    members.sort_by(|a, b| a.0.cmp(&b.0));
                    members.iter().try_for_each(|(name, id)| check_name(name).and(node(*id)))?;
                    unique(members.iter().map(|(name, _)| &**name))?;
                }
                Node::List { element, .. } => node(*element)?,
                Node::Map { value, key, .. } => check_name(key).and(node(*value))?,
                Node::Secret(id) => field(*id)?,
            }
        }
        let rules = |rules: &[HeaderRule]| -> Result<(), PlanError> {
            for rule in rules {
                check_name(rule.name.trim_end_matches('*').as_bytes()).and(field(rule.field))?;
            }
            let mut names: Vec<&[u8]> = rules.iter().map(|rule| rule.name.as_bytes()).collect();
            names.sort_unstable();
            unique(names.into_iter())
        };
        rules(&self.headers)?;
        for event in &self.events {
            check_name(event.name.as_bytes())?;
            event.payload.map_or(Ok(()), node)?;
            rules(&event.headers)?;
        }
        let mut names: Vec<&[u8]> = self.events.iter().map(|event| event.name.as_bytes()).collect();
        names.sort_unstable();
        unique(names.into_iter())?;
        let Self { nodes, fields, headers, events, .. } = self;
        Ok(Plan { nodes, root, fields, headers, events })
    }
}

fn check_name(name: &[u8]) -> Result<(), PlanError> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(PlanError::Name(String::from_utf8_lossy(name).into_owned()));
    }
    Ok(())
}

/// Sorted names, each once.
fn unique<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<(), PlanError> {
    let mut before: Option<&[u8]> = None;
    for name in names {
        if before == Some(name) {
            return Err(PlanError::Twice(String::from_utf8_lossy(name).into_owned()));
        }
        before = Some(name);
    }
    Ok(())
}
