//! The token by which a workload proved who it is, for roles that are assumed with it.

use crate::{identify::Caller, secret::SecretText};

/// The token of the caller's session; `None` where it has none. Sessions for which the host vouches have none,
/// and after a restart of the daemon those whose token was presented have none until it is presented again.
pub(super) fn token(caller: &Caller) -> Option<SecretText> {
    caller.session.identity().token.clone()
}
