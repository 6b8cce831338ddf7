//! Rules that were made into session policies, kept as long as the rules are in force.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    CredentialsError,
    session_policy::{SessionPolicy, for_workload},
};
use crate::{decide::Policies, identify::Caller, prim::WorkloadName};

/// By workload and role; what made them is kept with them.
#[derive(Debug, Default)]
pub(super) struct Compiled(Mutex<HashMap<(WorkloadName, String), Kept>>);

#[derive(Debug)]
struct Kept {
    rules: String,
    groups: Vec<String>,
    policy: Result<Arc<SessionPolicy>, CredentialsError>,
}

impl Compiled {
    /// What `policies` permit the caller's workload in this role.
    pub(super) fn get(
        &self,
        policies: &Policies,
        caller: &Caller,
        role: &str,
    ) -> Result<Arc<SessionPolicy>, CredentialsError> {
        let (workload, identity) = (&caller.session.workload, caller.session.identity());
        let place = (workload.name.clone(), role.to_owned());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get(&place)
            && kept.rules == policies.digest()
            && kept.groups == identity.groups
        {
            return kept.policy.clone();
        }
        // As many as there are workloads and roles in the rules; those of earlier rules go.
        all.retain(|_, kept| kept.rules == policies.digest());
        let policy = for_workload(policies, workload, &identity, role).map(Arc::new);
        let kept = Kept {
            rules: policies.digest().to_owned(),
            groups: identity.groups.clone(),
            policy: policy.clone(),
        };
        all.insert(place, kept);
        policy
    }
}
