//! Names of actions, said in few words: `s3:List*` where every action that begins so is meant.

use std::collections::BTreeSet;

use crate::catalog::catalog;

/// The names, with a wildcard in place of names that begin alike where the catalogue has no further
/// name that does. In order; IAM does not tell capitals from small letters.
pub(super) fn short(names: &BTreeSet<&'static str>) -> Vec<String> {
    let mut services: Vec<&str> = names.iter().filter_map(|name| Some(name.split_once(':')?.0)).collect();
    services.dedup();
    let mut found = Vec::new();
    for service in services {
        let prefix = format!("{service}:");
        let all = catalog().actions().map(|action| action.name).filter(|name| name.starts_with(&prefix));
        let mut all: Vec<Name> = all.map(|name| Name::new(name, names.contains(name))).collect();
        all.sort_by(|a, b| a.lower.cmp(&b.lower));
        // Two names that differ in case alone are one to IAM.
        all.dedup_by(|later, first| {
            let same = later.lower == first.lower;
            first.meant |= same && later.meant;
            same
        });
        cover(&all, prefix.len(), &mut found);
    }
    found
}

/// A name of the catalogue.
struct Name {
    name: &'static str,
    lower: String,
    meant: bool,
}

impl Name {
    fn new(name: &'static str, meant: bool) -> Self {
        Self { name, lower: name.to_ascii_lowercase(), meant }
    }
}

/// Covers the meant ones of `names`, which are sorted and begin alike for `common` bytes.
fn cover(names: &[Name], common: usize, found: &mut Vec<String>) {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return };
    if names.iter().all(|name| !name.meant) {
        return;
    }
    if names.len() == 1 {
        found.push(first.name.to_owned());
        return;
    }
    // Sorted: what first and last have in common, all have.
    let alike = first.lower.bytes().zip(last.lower.bytes()).take_while(|(a, b)| a == b).count().max(common);
    if names.iter().all(|name| name.meant) {
        found.push(format!("{}*", first.name.get(..alike).unwrap_or(first.name)));
        return;
    }
    let next = |name: &Name| name.lower.as_bytes().get(alike).copied();
    for branch in names.chunk_by(|a, b| next(a) == next(b)) {
        match branch {
            // The name that all others begin with.
            [only] => found.extend(only.meant.then(|| only.name.to_owned())),
            several => cover(several, alike + 1, found),
        }
    }
}
