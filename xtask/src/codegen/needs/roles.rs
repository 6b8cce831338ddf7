//! Roles that a request hands to a service: `iam:PassRole`.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>

use super::{
    iam::{Action, Iam},
    model::Input,
    names::plain,
    overlay::Overlay,
};

/// Adds what the operation needs to pass its roles. More than IAM asks for is possible, less is not: a
/// member is one of a role where it is called so and where its documentation says so.
///
/// Returns what is wrong: an overlay says of the whole service that it passes nothing, and this operation
/// has a member that is documented to hold a role.
pub fn add(
    iam: &Iam,
    prefix: &str,
    overlay: &Overlay,
    operation: &str,
    input: &Input<'_>,
    needs: &mut Vec<String>,
) -> Option<String> {
    let said = overlay.operations.get(operation).is_some_and(|entry| entry.passes_nothing);
    let passes = |needs: &[String], what: &str| needs.iter().any(|need| need.starts_with(what));
    if said || passes(needs, "iam:PassRole roles") {
        return None;
    }
    let actions = needs.iter().filter_map(|need| iam.action(need.split(' ').next()?));
    let actions: Vec<_> = actions.collect();
    let depends = actions.iter().any(|action| action.dependent.contains("iam:PassRole"));
    // Some that make something have the level of the tags that they take.
    let reads = |action: &&Action| match action.level.as_str() {
        "Read" | "List" => true,
        "Tagging, Write" => operation.contains("Tag"),
        _ => false,
    };
    let reads = !actions.is_empty() && actions.iter().all(reads);
    // Who has roles of his own.
    let own = matches!(prefix, "iam" | "sts");
    let documented = input.members_with(|_, documented| documented);
    let named = input.members_with(|name, _| is_role(name));
    let some = !named.is_empty() || !documented.is_empty();
    // Whichever else may be passed, those that are named are.
    if passes(needs, "iam:PassRole ") {
        if some && !reads && !own {
            needs.push("iam:PassRole roles".to_owned());
        }
        return None;
    }
    if overlay.passes_nothing {
        let member = documented.first().filter(|_| !own && !reads)?;
        return Some(format!("{} may hold a role: say that the operation passes it or nothing", member.name));
    }
    if depends || some && !reads && !own {
        needs.push("iam:PassRole roles".to_owned());
    }
    // The role is in something that the request only refers to.
    if depends && named.is_empty() {
        needs.push("iam:PassRole *".to_owned());
    }
    if !reads && prefix != "iam" {
        for member in input.members_with(|name, _| plain(name).contains("instanceprofile")) {
            needs.push(format!("iam:PassRole * when {}", member.name));
        }
    }
    None
}

/// Whether a member of this name holds a role; the gateway's `holds_role` has the same list.
fn is_role(name: &str) -> bool {
    const ENDS: [&str; 9] = [
        "role",
        "rolearn",
        "roles",
        "rolearns",
        "rolename",
        "iamroleid",
        "roleupdate",
        "rolearnupdate",
        "roleoverride",
    ];
    let name = plain(name);
    ENDS.iter().any(|end| name.ends_with(end))
}
