//! The members of a structure, looked up strictly.

use super::{bad_member, shortened, twice};
use crate::{
    catalog::{Location, Member, Operation, Protocol, Service, Shape, ShapeId},
    classify::ClassifyError,
};

/// The members of a structure and what is needed to read them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Structure<'a> {
    service: &'a Service,
    /// How the request is written.
    pub(super) protocol: Protocol,
    /// In the order of the model.
    pub(super) members: &'a [Member],
}

impl<'a> Structure<'a> {
    /// The members of an operation's input; none if it has no input.
    pub(super) fn input(service: &'a Service, operation: &Operation, protocol: Protocol) -> Self {
        Self { service, protocol, members: service.members(operation) }
    }

    /// Another structure of the same service.
    pub(super) fn with(self, members: &'a [Member]) -> Self {
        Self { members, ..self }
    }

    /// A shape of the service.
    pub(super) fn shape(self, id: ShapeId) -> &'a Shape {
        self.service.shape(id)
    }

    /// The member that is the body.
    pub(super) fn payload(self) -> Option<&'a Member> {
        self.members.iter().find(|member| member.at == Location::Payload)
    }

    /// The member written as `name` at `at`; `None` for a name that has nothing to do with any member.
    ///
    /// # Errors
    /// [`ClassifyError::Ambiguous`]: the name differs from a member's only in case, is its name in the
    /// model but not on the wire, or belongs elsewhere in the request. Services are not agreed on what
    /// that means.
    pub(super) fn find(self, name: &str, at: Location) -> Result<Option<&'a Member>, ClassifyError> {
        if let Some(member) =
            self.members.iter().find(|member| member.at == at && self.written(member) == name)
        {
            return Ok(Some(member));
        }
        let similar = |member: &&Member| {
            self.written(member).eq_ignore_ascii_case(name)
                || member.wire.eq_ignore_ascii_case(name)
                || member.name.eq_ignore_ascii_case(name)
        };
        match self.members.iter().find(similar) {
            None => Ok(None),
            Some(member) => Err(ClassifyError::Ambiguous(format!(
                "the member {:?} is not written {:?} in this place",
                member.name,
                shortened(name)
            ))),
        }
    }

    /// What a member is called on the wire: in AWS query a flattened list is called like its items.
    fn written(self, member: &'a Member) -> &'a str {
        match self.shape(member.shape) {
            Shape::List { item_name, flattened: true, .. }
                if self.protocol == Protocol::Query && *item_name != "member" =>
            {
                item_name
            }
            _ => member.wire,
        }
    }
}

/// Checks that no name is there twice; names that differ only in case count as the same, because
/// services are not agreed on whether they are.
pub(super) fn unique<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), ClassifyError> {
    let mut names: Vec<(String, &str)> = names.map(|name| (name.to_ascii_lowercase(), name)).collect();
    names.sort_unstable();
    let double = names.windows(2).find_map(|pair| match pair {
        [(one, _), (two, name)] if one == two => Some(*name),
        _ => None,
    });
    double.map_or(Ok(()), |name| Err(twice(name)))
}

/// The error for a member that does not have its shape.
pub(super) fn mismatch(name: &str, found: &str, shape: &Shape) -> ClassifyError {
    let expected = match shape {
        Shape::Structure(_) => "a structure",
        Shape::List { .. } => "a list",
        Shape::Map { .. } => "a map",
        Shape::Text => "a text",
        Shape::Integer => "a whole number",
        Shape::Float => "a number",
        Shape::Boolean => "true or false",
        Shape::Timestamp(_) => "a timestamp",
        Shape::Blob => "bytes",
        Shape::Open => "a value",
    };
    bad_member(name, format!("it is {found}, not {expected}"))
}
