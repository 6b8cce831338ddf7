//! What a service does in S3 with the rights of its caller, as far as the service authorization reference
//! says so among the actions that an action depends on.

use super::{iam::Iam, model::Input, names::plain};

/// Adds what is not there yet: on `*`, where the request has a member that has to do with S3, or always
/// where the operation has none.
pub fn add(iam: &Iam, input: &Input<'_>, needs: &mut Vec<String>) {
    let actions = needs.iter().filter_map(|need| iam.action(need.split(' ').next()?));
    let dependent = actions.flat_map(|action| &action.dependent).filter(|name| gives(iam, name));
    let mut dependent: Vec<&String> = dependent.collect();
    dependent.sort_unstable();
    dependent.dedup();
    let members = input.members_with(|name, _| says_where(&plain(name)));
    let members: Vec<&str> = members.into_iter().map(|member| member.name).collect();
    let when = if members.is_empty() { String::new() } else { format!(" when {}", members.join("|")) };
    for action in dependent {
        if !needs.iter().any(|need| need.split(' ').next() == Some(action)) {
            needs.push(format!("{action} *{when}"));
        }
    }
}

/// Whether a member of this name, in lower case, says where in S3 something is.
fn says_where(name: &str) -> bool {
    let within = ["s3", "bucket", "location"].iter().any(|word| name.contains(word));
    let ends = ["uri", "url", "uris", "urls"].iter().any(|end| name.ends_with(end));
    (within || ends) && !name.contains("owner")
}

/// Whether an action of S3 reads an object or changes something.
fn gives(iam: &Iam, name: &str) -> bool {
    let changes = |name: &str| iam.action(name).is_some_and(|action| action.level.contains("Write"));
    matches!(name, "s3:GetObject" | "s3:GetObjectVersion") || name.starts_with("s3:") && changes(name)
}
