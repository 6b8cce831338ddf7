//! Whom a rule asks: the annotations of a `permit` that waits for an approval.

use std::{collections::BTreeSet, fmt, time::Duration};

use cedar_policy::pst;

use super::{
    error::Complaint,
    names::{INSERT, REVEAL},
};
use crate::classify::{ActionOn, Operation};

/// The groups of people who may approve.
pub(super) const REVIEWERS: &str = "reviewers";
/// How far an approval reaches.
pub(super) const GRANT: &str = "grant";
/// Whether an approval needs a reason.
pub(super) const REASON: &str = "reason";
/// How long an approval, and the question, lasts.
pub(super) const TTL: &str = "ttl";

/// A call that would be allowed if somebody approved of it.
#[derive(Debug, Clone)]
pub struct Question {
    /// What was asked for.
    pub operation: Operation,
    /// Who would have to.
    pub approvals: Approvals,
    /// Whether the workload is only observed: it is asked all the same, because observing reveals nothing.
    pub observed: bool,
}

impl Question {
    /// Whether an approval is wanted because the call's answer would be revealed.
    #[must_use]
    pub fn reveals(&self) -> bool {
        self.approvals.each().iter().any(|wanted| wanted.pair.action == REVEAL)
    }

    /// Whether an approval is wanted because a secret would be put into the call.
    #[must_use]
    pub fn inserts(&self) -> bool {
        self.approvals.each().iter().any(|wanted| wanted.pair.action == INSERT)
    }
}

/// Every approval that a call needs; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals(Vec<Wanted>);

/// One approval that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For what: the first pair of action and resource that needs it.
    pub pair: ActionOn,
    /// Rules of which one is enough; never empty.
    pub any_of: Vec<Approvable>,
}

impl Approvals {
    /// `None` where nothing is wanted. Pairs that the same rules would permit are one approval.
    pub(super) fn of(wanted: Vec<Wanted>) -> Option<Self> {
        let mut each: Vec<Wanted> = Vec::new();
        for one in wanted {
            if !each.iter().any(|earlier| earlier.any_of == one.any_of) {
                each.push(one);
            }
        }
        (!each.is_empty()).then_some(Self(each))
    }

    /// These and those.
    pub(super) fn and(mut self, other: Self) -> Self {
        for one in other.0 {
            if !self.0.iter().any(|earlier| earlier.any_of == one.any_of) {
                self.0.push(one);
            }
        }
        self
    }

    /// Each approval that is needed.
    #[must_use]
    pub fn each(&self) -> &[Wanted] {
        &self.0
    }

    /// The ids of all rules, in order and once.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        let all: BTreeSet<&str> =
            self.0.iter().flat_map(|wanted| &wanted.any_of).map(|rule| rule.rule.as_str()).collect();
        all.into_iter().map(str::to_owned).collect()
    }
}

/// In words: `oncall (rule "a") or leads (rule "b"), and owners (rule "c")`.
impl fmt::Display for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let either =
            |wanted: &Wanted| wanted.any_of.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        f.write_str(&self.0.iter().map(either).collect::<Vec<_>>().join(", and "))
    }
}

/// A rule that permits what somebody approves of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvable {
    /// The rule's id.
    pub rule: String,
    /// Whom it asks, and for what.
    pub terms: Terms,
    /// The groups of which one member's approval is enough; none: one of each group of the terms.
    pub enough: Vec<String>,
}

/// What a rule says of the approval it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// `@reviewers`: groups of people who may approve; never empty.
    pub reviewers: Vec<String>,
    /// `@grant`: how many calls an approval is good for; `None` for as many as `ttl` lets through.
    pub uses: Option<u32>,
    /// `@reason("required")`: the reviewer must say why.
    pub reason_required: bool,
    /// `@ttl`: how long the approval is good for.
    pub ttl: Option<Duration>,
}

/// In words: `platform-oncall (rule "delete-bucket")`.
impl fmt::Display for Approvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.enough.is_empty() {
            self.terms.reviewers.join(" together with ")
        } else {
            self.enough.join(" or ")
        };
        write!(f, "{who} (rule {:?})", self.rule)
    }
}

impl Terms {
    /// From a rule's annotations; `None` where it asks nobody.
    pub(super) fn read(rule: &pst::Template) -> Result<Option<Self>, Complaint> {
        let text = |name: &str| rule.annotations.get(name).map(|value| value.as_str());
        let Some(reviewers) = text(REVIEWERS) else { return Ok(None) };
        Ok(Some(Self {
            reviewers: groups(reviewers)?,
            uses: text(GRANT).map_or(Ok(Some(1)), uses)?,
            reason_required: text(REASON).map_or(Ok(false), required)?,
            ttl: text(TTL).map(duration).transpose()?,
        }))
    }
}

fn wrong(name: &str, value: &str, help: &str) -> Complaint {
    Complaint::new(format!("`@{name}(\"{value}\")` is not understood")).about(format!("@{name}")).help(help)
}

fn groups(text: &str) -> Result<Vec<String>, Complaint> {
    let groups: Vec<String> = text.split(',').map(|group| group.trim_matches(' ').to_owned()).collect();
    if groups.iter().any(|group| group.is_empty() || group.chars().any(char::is_control)) {
        return Err(wrong(REVIEWERS, text, "write the groups of the people who may approve, with commas"));
    }
    Ok(groups)
}

fn uses(text: &str) -> Result<Option<u32>, Complaint> {
    match text {
        "once" => Ok(Some(1)),
        "until" => Ok(None),
        _ => match text.strip_suffix(" uses").map(str::parse) {
            Some(Ok(uses @ 1..)) => Ok(Some(uses)),
            _ => Err(wrong(GRANT, text, "write \"once\", \"5 uses\", or \"until\" (as long as @ttl says)")),
        },
    }
}

fn required(text: &str) -> Result<bool, Complaint> {
    match text {
        "required" => Ok(true),
        "optional" => Ok(false),
        _ => Err(wrong(REASON, text, "write \"required\" or \"optional\"")),
    }
}

fn duration(text: &str) -> Result<Duration, Complaint> {
    let refuse = || wrong(TTL, text, "write a whole number with s, m, h or d, up to 365d: \"15m\", \"8h\"");
    let unit = text.char_indices().next_back().ok_or_else(refuse)?;
    let seconds = match unit.1 {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(refuse()),
    };
    let number: u64 = text.get(..unit.0).and_then(|digits| digits.parse().ok()).ok_or_else(refuse)?;
    match number.checked_mul(seconds) {
        Some(total @ 1..=31_536_000) => Ok(Duration::from_secs(total)),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_annotations() {
        assert_eq!(groups("a").unwrap(), ["a"]);
        assert_eq!(groups("a, b").unwrap(), ["a", "b"]);
        for bad in ["", "a,", "a\n"] {
            assert!(groups(bad).is_err(), "{bad:?}");
        }
        for (text, expected) in [("once", Some(1)), ("5 uses", Some(5)), ("until", None)] {
            assert_eq!(uses(text).unwrap(), expected);
        }
        for bad in ["0 uses", "-1 uses", "twice", "", "uses"] {
            assert!(uses(bad).is_err(), "{bad:?}");
        }
        for (text, seconds) in [("30s", 30), ("15m", 900), ("8h", 28_800), ("365d", 31_536_000)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds);
        }
        for bad in ["", "m", "0m", "366d", "1", "1w", "-1m", "99999999999999999999d", "1ü"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
