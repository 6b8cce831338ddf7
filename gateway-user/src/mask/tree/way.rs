//! A path, held against what an operation answers.

use super::{
    super::{
        path::{Path, Step},
        plan::Kind,
    },
    kind_of,
};
use crate::catalog::{SecretMember, SecretNode, Secrets};

/// The steps of a path with what the model says of them.
pub(super) struct Way {
    pub(super) steps: Vec<Stone>,
    pub(super) kind: Kind,
}

/// A step that is there.
pub(super) enum Stone {
    Member(SecretMember),
    List { flat: bool },
    Map { key: &'static str, flat: bool },
}

/// Why an answer has no such path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Lost {
    /// There is no member of this name; these are there.
    NoMember(String, Vec<&'static str>),
    /// What stands before this is of another kind: how it goes on.
    Instead(String, &'static str),
    /// The operation answers nothing.
    Nothing,
}

impl Way {
    pub(super) fn find(answers: &Secrets, operation: &str, path: &Path) -> Result<Self, Lost> {
        let mut reach = answers.output(operation).ok_or(Lost::Nothing)?;
        let (mut steps, mut so_far) = (Vec::new(), String::new());
        for step in &path.0 {
            let Some(node) = reach.below.map(|id| answers.node(id)) else {
                return Err(Lost::Instead(so_far, "a value without parts"));
            };
            let (stone, next) = match (node, step) {
                (SecretNode::Structure(members), Step::Member(name)) => {
                    let Some(member) = members.iter().find(|member| member.name == name) else {
                        let known = members.iter().map(|member| member.name).collect();
                        return Err(Lost::NoMember(name.clone(), known));
                    };
                    (Stone::Member(member.clone()), member.to)
                }
                (SecretNode::List { item, flattened }, Step::Item) => {
                    (Stone::List { flat: *flattened }, *item)
                }
                (SecretNode::Map { value, key_name, flattened }, Step::Value) => {
                    (Stone::Map { key: key_name, flat: *flattened }, *value)
                }
                (SecretNode::Structure(_), _) => {
                    return Err(Lost::Instead(so_far, "a structure: its members follow after a dot"));
                }
                (SecretNode::List { .. }, _) => {
                    return Err(Lost::Instead(so_far, "a list: what is in it follows after []"));
                }
                (SecretNode::Map { .. }, _) => {
                    return Err(Lost::Instead(so_far, "a map: its values follow after {}"));
                }
            };
            step.append(&mut so_far);
            steps.push(stone);
            reach = next;
        }
        let kind = reach.hidden.map_or(Kind::Any, |(_, kind)| kind_of(kind));
        Ok(Self { steps, kind })
    }
}
