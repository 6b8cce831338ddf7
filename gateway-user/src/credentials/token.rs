//! The token by which a workload proved who it is, for roles that are assumed with it.

use crate::{identify::Caller, secret::SecretText};

/// The token of the caller's session, unexpired; `None` where it has none. Sessions for which the host
/// vouches have none.
pub(super) fn token(_caller: &Caller) -> Option<SecretText> {
    None
}
