//! Rules that were made into session policies, kept as long as the rules are in force.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{
    CredentialsError,
    session_policy::{SessionPolicy, for_workload},
};
use crate::{decide::Policies, identify::Caller, prim::WorkloadName};

/// Policies that are kept: one for each workload, role and set of groups that calls come from. Of more, those are
/// made anew that were not asked for longest.
const MAX: usize = 256;

/// By all that they depend on.
#[derive(Debug, Default)]
pub(super) struct Compiled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Key, Kept>,
    /// Counts questions.
    asked: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    workload: WorkloadName,
    role: String,
    /// Digest of the rules.
    rules: String,
    groups: Vec<String>,
}

type Made = Result<Arc<SessionPolicy>, CredentialsError>;

#[derive(Debug, Default)]
struct Kept {
    /// Made by who asks first, while others who want the very same wait; those who want another do not.
    made: Arc<OnceLock<Made>>,
    /// At which question it was last asked for.
    asked: u64,
}

impl Compiled {
    /// What `policies` permit the caller's workload in this role.
    pub(super) fn get(&self, policies: &Policies, caller: &Caller, role: &str) -> Made {
        let (workload, identity) = (&caller.session.workload, caller.session.identity());
        let key = Key {
            workload: workload.name.clone(),
            role: role.to_owned(),
            rules: policies.digest().to_owned(),
            groups: identity.groups.clone(),
        };
        let make = || for_workload(policies, workload, &identity, role).map(Arc::new);
        self.place(key).get_or_init(make).clone()
    }

    fn place(&self, key: Key) -> Arc<OnceLock<Made>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        let asked = state.asked;
        if !state.kept.contains_key(&key) && state.kept.len() >= MAX {
            // Those of earlier rules are not asked for any more.
            state.kept.retain(|kept, _| kept.rules == key.rules);
            while state.kept.len() >= MAX {
                let oldest = state.kept.iter().min_by_key(|(_, kept)| kept.asked).map(|(key, _)| key.clone());
                let Some(oldest) = oldest else { break };
                state.kept.remove(&oldest);
            }
        }
        let kept = state.kept.entry(key).or_default();
        kept.asked = asked;
        Arc::clone(&kept.made)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::credentials::tests::{ROLE, caller_of};

    fn rules(text: &str) -> Policies {
        Policies::parse([(PathBuf::from("test.cedar"), text.to_owned())]).unwrap()
    }

    const READ: &str =
        r#"@id("r") permit (principal in Group::"readers", action == Action::"s3:GetObject", resource);"#;

    #[test]
    fn each_set_of_groups_has_its_own_and_is_made_once() {
        let (compiled, rules) = (Compiled::default(), rules(READ));
        let of = |groups: &[&str]| compiled.get(&rules, &caller_of(Some(ROLE), groups), ROLE).unwrap();
        let (readers, others) = (of(&["readers"]), of(&["others"]));
        assert!(readers.text().contains("s3:GetObject") && !others.text().contains("s3:GetObject"));
        assert!(Arc::ptr_eq(&readers, &of(&["readers"])) && Arc::ptr_eq(&others, &of(&["others"])));
    }

    #[test]
    fn other_rules_or_another_role_are_another_policy() {
        let compiled = Compiled::default();
        let caller = caller_of(Some(ROLE), &["readers"]);
        let of = |text: &str, role: &str| compiled.get(&rules(text), &caller, role).unwrap();
        let read = of(READ, ROLE);
        assert_ne!(read.text(), of(&READ.replace("GetObject", "PutObject"), ROLE).text());
        assert_ne!(read.text(), of(READ, "arn:aws:iam::222222222222:role/x").text());
        assert!(Arc::ptr_eq(&read, &of(READ, ROLE)));
    }

    #[test]
    fn only_so_many_are_kept_and_the_oldest_goes() {
        let (compiled, rules) = (Compiled::default(), rules(READ));
        let of =
            |group: &str| compiled.get(&rules, &caller_of(Some(ROLE), &["readers", group]), ROLE).unwrap();
        let (first, second) = (of("first"), of("second"));
        for number in 0..MAX - 1 {
            of(&number.to_string());
            // Asked for again and again, it stays.
            assert!(Arc::ptr_eq(&first, &of("first")));
        }
        assert_eq!(compiled.0.lock().unwrap().kept.len(), MAX);
        assert!(!Arc::ptr_eq(&second, &of("second")));
    }
}
