//! The resources of a service's actions, each written once: hundreds of operations act on the same.

use std::collections::BTreeMap;

use super::needs::Needs;

/// Texts after the action's name, by what they are replaced with.
pub struct Places(Vec<String>);

impl Places {
    /// What occurs more than once in these.
    pub fn of<'a>(needs: impl Iterator<Item = &'a Needs>) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, place) in needs.flat_map(|needs| &needs.needs).filter_map(|need| need.split_once(' ')) {
            *counts.entry(place).or_default() += 1;
        }
        Self(counts.into_iter().filter(|(_, n)| *n > 1).map(|(place, _)| place.to_owned()).collect())
    }

    /// The texts, in the order of their numbers.
    pub fn texts(&self) -> &[String] {
        &self.0
    }

    /// `=` for the action of the operation's own name, and the place's number if it has one.
    pub fn shortened(&self, needs: &Needs, own: &str) -> Vec<String> {
        let short = |need: &String| {
            let (action, place) = need.split_once(' ').unwrap_or((need, ""));
            let action = if action == own { "=" } else { action };
            match self.0.iter().position(|known| known == place) {
                Some(number) => format!("{action} {number}"),
                None => format!("{action} {place}"),
            }
        };
        needs.needs.iter().map(short).collect()
    }
}
