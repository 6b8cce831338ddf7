//! Calls that a rule wants done in a role of another account: there they touch other ARNs, so they are
//! decided once more.

use super::{Denial, Reason, Verdict, policies::OWN_ROLE};
use crate::{identify::role_account, prim::AccountId};

impl Verdict {
    /// The role that the call is permitted in and its account, where that is not the account it was
    /// decided for: it must be classified and decided again, and [`Verdict::in_role`] asked.
    #[must_use]
    pub fn elsewhere(&self) -> Option<(String, AccountId)> {
        let Self::Allow(permit) = self else { return None };
        let role = permit.role()?;
        let account = role_account(role)?;
        (permit.operation().account.as_ref() != Some(&account)).then(|| (role.to_owned(), account))
    }

    /// The verdict in the account of `role`, which holds only if it names that very role again.
    #[must_use]
    pub fn in_role(self, role: &str) -> Self {
        match self {
            Self::Allow(permit) if permit.role() != Some(role) => {
                let other = permit.role().unwrap_or(OWN_ROLE).to_owned();
                let reason = Reason::DifferentRoles { roles: vec![role.to_owned(), other] };
                Self::Deny(Denial { operation: permit.operation, reason })
            }
            same => same,
        }
    }
}
