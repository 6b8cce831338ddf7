//! Roles that a request hands to a service: `iam:PassRole`.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>

use super::{iam::Iam, model::Input, names::plain, overlay::Overlay};

/// Adds what the operation needs to pass its roles. More than IAM asks for is possible, less is not.
pub fn add(
    iam: &Iam,
    prefix: &str,
    overlay: &Overlay,
    operation: &str,
    input: &Input<'_>,
    needs: &mut Vec<String>,
) {
    let said = overlay.operations.get(operation).is_some_and(|entry| entry.passes_nothing);
    if overlay.passes_nothing || said || needs.iter().any(|need| need.starts_with("iam:PassRole ")) {
        return;
    }
    let actions = needs.iter().filter_map(|need| iam.action(need.split(' ').next()?));
    let actions: Vec<_> = actions.collect();
    let depends = actions.iter().any(|action| action.dependent.contains("iam:PassRole"));
    let reads = !actions.is_empty()
        && actions.iter().all(|action| matches!(action.level.as_str(), "Read" | "List" | "Tagging, Write"));
    let roles = input.members_with(is_role);
    if depends || !reads && !roles.is_empty() && !matches!(prefix, "iam" | "sts") {
        needs.push("iam:PassRole roles".to_owned());
    }
    // The role is in something that the request only refers to.
    if depends && roles.is_empty() {
        needs.push("iam:PassRole *".to_owned());
    }
    if !reads && prefix != "iam" {
        for member in input.members_with(|name| plain(name).contains("instanceprofile")) {
            needs.push(format!("iam:PassRole * when {}", member.name));
        }
    }
}

/// Whether a member of this name holds a role.
fn is_role(name: &str) -> bool {
    let name = plain(name);
    ["role", "rolearn", "roles", "rolearns", "rolename", "iamroleid"]
        .iter()
        .any(|ending| name.ends_with(ending))
}
