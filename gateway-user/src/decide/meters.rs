//! Which counters rules read by name: only these are shown to them.

use std::collections::BTreeSet;

use cedar_policy::pst;

use super::{
    error::Complaint,
    names::ActionName,
    reads::{SESSION, WORKLOAD_DAY},
    syntax::context_accesses,
};

/// How often an action was allowed, by the action's name.
pub(super) const COUNTS: &str = "counts";
/// The sum of a parameter, by `action/parameter`.
pub(super) const SUMS: &str = "sums";

/// The names that rules read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Meters {
    /// Below `counts`.
    pub(super) counts: BTreeSet<String>,
    /// Below `sums`.
    pub(super) sums: BTreeSet<String>,
    /// Whether anything else of the session or the day is read.
    others: bool,
}

impl Meters {
    /// Of one rule.
    pub(super) fn of(rule: &pst::Template) -> Self {
        let mut meters = Self::default();
        meters.note(rule);
        meters
    }

    /// Adds what `rule` reads.
    pub(super) fn note(&mut self, rule: &pst::Template) {
        for access in context_accesses(rule) {
            match access.path.as_slice() {
                [SESSION | WORKLOAD_DAY, COUNTS, name, ..] => drop(self.counts.insert((*name).to_owned())),
                [SESSION | WORKLOAD_DAY, SUMS, name, ..] => drop(self.sums.insert((*name).to_owned())),
                [] | [SESSION | WORKLOAD_DAY, ..] => self.others = true,
                _ => {}
            }
        }
    }

    /// Whether no rule reads any counter.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.sums.is_empty() && !self.others
    }

    /// What is wrong with the names.
    pub(super) fn check(&self) -> Vec<Complaint> {
        let counts = self.counts.iter().map(|name| one_action(name, name));
        let sums = self.sums.iter().map(|name| match name.rsplit_once('/') {
            Some((action, param)) if !param.is_empty() => one_action(action, name),
            _ => Err(Complaint::new(format!("`{name}` is not a sum"))
                .about(name)
                .help("write `action/parameter`, e.g. `ec2:RunInstances/MaxCount`")),
        });
        counts.chain(sums).filter_map(Result::err).collect()
    }
}

fn one_action(action: &str, about: &str) -> Result<(), Complaint> {
    match ActionName::parse(action) {
        Ok(ActionName::One(_)) => Ok(()),
        Ok(ActionName::Reveal) => Err(Complaint::new("what is revealed is not counted")
            .about(about)
            .help("count the action of the call itself, e.g. `ecr:GetAuthorizationToken`")),
        Ok(ActionName::Insert) => Err(Complaint::new("what is put into requests is not counted")
            .about(about)
            .help("count the action of the call itself, e.g. `lambda:UpdateFunctionConfiguration`")),
        Ok(_) => Err(Complaint::new(format!("`{action}` is a group: only single actions are counted"))
            .about(about)
            .help("read the actions one by one and add them up")),
        Err(complaint) => Err(complaint.about(about)),
    }
}
