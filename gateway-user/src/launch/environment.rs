//! The launcher's environment, changed as the daemon says.

use std::{collections::BTreeMap, ffi::OsString};

use crate::api::wire::Environment;

/// Variables by name.
pub type Variables = BTreeMap<OsString, OsString>;

/// The command's environment, and the names of those of `own` that it does not get.
#[must_use]
pub fn apply(
    changes: &Environment,
    own: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Variables, Vec<String>) {
    let mut variables: Variables = own.into_iter().collect();
    let removed: Vec<String> = changes
        .remove
        .iter()
        .filter(|name| variables.remove(&OsString::from(name)).is_some())
        .cloned()
        .collect();
    for (name, value) in &changes.set {
        variables.insert(name.into(), value.into());
    }
    for (name, value) in &changes.default {
        // An empty value counts as unset, as SDKs treat it.
        let current = variables.entry(name.into()).or_default();
        if current.is_empty() {
            *current = value.into();
        }
    }
    (variables, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_then_set_then_defaulted() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let changes = Environment {
            remove: vec!["KEY".to_owned(), "ABSENT".to_owned(), "BOTH".to_owned()],
            set: pairs(&[("CA", "ours"), ("BOTH", "new")]),
            default: pairs(&[("REGION", "eu-west-1"), ("EMPTY", "filled"), ("UNSET", "given")]),
        };
        let own = [
            ("KEY", "k"),
            ("CA", "theirs"),
            ("BOTH", "old"),
            ("REGION", "us-east-1"),
            ("EMPTY", ""),
            ("HOME", "/"),
        ];
        let (variables, removed) = apply(&changes, own.map(|(name, value)| (name.into(), value.into())));
        let expected = [
            ("BOTH", "new"),
            ("CA", "ours"),
            ("EMPTY", "filled"),
            ("HOME", "/"),
            ("REGION", "us-east-1"),
            ("UNSET", "given"),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(removed, ["KEY", "BOTH"]);
    }
}
