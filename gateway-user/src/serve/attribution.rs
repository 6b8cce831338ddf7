//! By the session's id rows of CloudTrail are found: an agent must not write that of another into them.

use crate::{
    classify::{Operation, Param},
    identify::Caller,
    prim::SessionId,
    tokens::is_token,
};

/// A call would name a session in AWS's records that is not the caller's.
#[derive(Debug, thiserror::Error)]
#[error("{member} {name:?} is how Chaperone names sessions, and this is another; use a name of another form")]
pub(super) struct OtherSession {
    member: &'static str,
    name: String,
}

/// What becomes part of the ARN of those who act: of an assumed role and of a federated user.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
const NAMES: [(&str, &str); 2] = [("", "RoleSessionName"), ("GetFederationToken", "Name")];

/// That the call names no session but the caller's.
pub(super) fn check(operation: &Operation, caller: &Caller) -> Result<(), OtherSession> {
    if operation.service != "sts" {
        return Ok(());
    }
    for (only, member) in NAMES {
        if !only.is_empty() && only != operation.name {
            continue;
        }
        let Some(Param::Text(name)) = operation.params.get(member) else { continue };
        // Who looks for rows may not look at case.
        let named: Option<SessionId> = name.to_ascii_lowercase().parse().ok();
        // What will stand in a token's place may be the name of any.
        if is_token(name) || named.is_some_and(|named| named != caller.session.id) {
            return Err(OtherSession { member, name: name.clone() });
        }
    }
    Ok(())
}
