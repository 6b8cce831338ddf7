//! What is wanted, as types; turned into SQL with every value as a parameter.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

use super::{
    hints::{Few, SessionHints},
    statement::Statement,
};
use crate::record::{Decision, stamp::stamp};

/// What a search for a text looks at in a call, as PostgreSQL indexes it.
pub(super) const CALL_TEXT: &str = "(coalesce(operation, '') || ' ' || resources || ' ' || params || ' ' || rules || ' ' || \
                                    coalesce(reason, ''))";
/// The same in its outcome.
pub(super) const OUTCOME_TEXT: &str = "(coalesce(error_code, '') || ' ' || coalesce(aws_request_id, ''))";

/// Which sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Started at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Started before this time.
    pub until: Option<OffsetDateTime>,
    /// Of this workload.
    pub workload: Option<String>,
    /// Of this subject.
    pub subject: Option<String>,
    /// Not ended yet.
    pub open: bool,
    /// With this text in id, subject, command, claims, host name or end reason.
    pub text: Option<String>,
    /// With a call like this; its `session`, `workload`, `subject` and times are not looked at.
    pub calls: Option<CallFilter>,
}

/// Which calls.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// At this time or later.
    pub since: Option<OffsetDateTime>,
    /// Before this time.
    pub until: Option<OffsetDateTime>,
    /// Of sessions of this workload.
    pub workload: Option<String>,
    /// Of sessions of this subject.
    pub subject: Option<String>,
    /// Of this session: its id, or the beginning of it.
    pub session: Option<String>,
    /// Needing an action that matches this pattern; `*` and `?` are wild, case does not matter (as in IAM).
    pub action: Option<String>,
    /// Touching a resource whose ARN contains this.
    pub resource: Option<String>,
    /// Decided so.
    pub decision: Option<Decision>,
    /// Decided by a rule whose id matches this pattern; `*` and `?` are wild.
    pub rule: Option<String>,
    /// AWS account.
    pub account: Option<String>,
    /// IAM service prefix.
    pub service: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// Ended so: `open`, `forwarded`, `denied`, `failed`, `aborted` or `unknown`.
    pub outcome: Option<String>,
    /// HTTP status.
    pub status: Option<StatusFilter>,
    /// With this text in operation, resources, parameters, rules, reason, error code or AWS request id.
    pub text: Option<String>,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// At this time or later.
    pub since: Option<OffsetDateTime>,
    /// Before this time.
    pub until: Option<OffsetDateTime>,
    /// Of this kind; `*` and `?` are wild.
    pub kind: Option<String>,
    /// Concerning this session: its id, or the beginning of it.
    pub session: Option<String>,
    /// Concerning this workload.
    pub workload: Option<String>,
    /// With this text in message or detail.
    pub text: Option<String>,
}

/// One HTTP status, or a class of them: `403`, `4xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFilter {
    from: i64,
    to: i64,
}

/// A text that is neither a status nor a class of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an HTTP status such as 403 or a class such as 4xx")]
pub struct BadStatus(String);

impl FromStr for StatusFilter {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        let bad = || BadStatus(text.chars().take(80).collect());
        if let Some(class) = text.strip_suffix("xx") {
            let class: i64 = class.parse().map_err(|_| bad())?;
            return if (1..=5).contains(&class) {
                Ok(Self { from: class * 100, to: class * 100 + 99 })
            } else {
                Err(bad())
            };
        }
        match text.parse() {
            Ok(status @ 100..=599) if text.len() == 3 => Ok(Self { from: status, to: status }),
            Ok(_) | Err(_) => Err(bad()),
        }
    }
}

impl fmt::Display for StatusFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from == self.to {
            true => write!(f, "{}", self.from),
            false => write!(f, "{}xx", self.from / 100),
        }
    }
}

impl SessionFilter {
    pub(super) fn push(&self, hints: &SessionHints, query: &mut Statement) {
        push_times(query, "started", self.since, self.until);
        push_equal(query, "workload", self.workload.as_deref());
        push_equal(query, "subject", self.subject.as_deref());
        if self.open {
            query.push(" AND ended IS NULL");
        }
        push_text(
            query,
            "concat_ws(' ', id, subject, command, claims, hostname, end_reason)",
            self.text.as_deref(),
        );
        if let Some(calls) = &self.calls {
            match hints {
                SessionHints::Few(found) => {
                    query.push(" AND id IN (SELECT session FROM v_calls AS c WHERE TRUE");
                    for few in found {
                        query.seq_in(|query| few.push(query));
                    }
                }
                SessionHints::Each { actions: None, rules: None } => {
                    query.push(" AND EXISTS (SELECT 1 FROM v_calls AS c WHERE c.session = v_sessions.id");
                }
                SessionHints::Each { actions, rules } => {
                    // Found first, then read in full: joined in the order in which they are written, because SQLite would go through
                    // all calls of the session otherwise.
                    query.push(
                        " AND EXISTS (SELECT 1 FROM (SELECT seq AS found FROM calls WHERE session = v_sessions.id",
                    );
                    if let Some(lists) = actions {
                        query.push(" AND substr(actions, 1, 200)").one_of(lists);
                    }
                    if let Some(lists) = rules {
                        query.push(" AND substr(rules, 1, 200)").one_of(lists);
                    }
                    query.push(") AS few CROSS JOIN v_calls AS c WHERE c.seq = few.found");
                }
            }
            calls.push_what(query);
            query.push(")");
        }
    }
}

impl StatusFilter {
    pub(super) fn push(self, query: &mut Statement) {
        query.push(" BETWEEN ").bind(self.from).push(" AND ").bind(self.to);
    }
}

impl CallFilter {
    /// `session`: the whole id.
    pub(super) fn push(&self, session: Option<&str>, hints: &[Few], query: &mut Statement) {
        push_times(query, "time", self.since, self.until);
        push_equal(query, "session", session);
        for few in hints {
            query.seq_in(|query| few.push(query));
        }
        // What hints say of these is better than what an index of theirs would do.
        for (column, value) in [("workload", &self.workload), ("subject", &self.subject)] {
            if let Some(value) = value {
                query.push(" AND ").unindexed().push(column).push(" = ").bind(value.as_str());
            }
        }
        if let Some(status) = self.status {
            query.push(" AND ").unindexed().push("status");
            status.push(query);
        }
        self.push_what(query);
    }

    /// What the calls were, whosoever made them.
    fn push_what(&self, query: &mut Statement) {
        push_equal(query, "decision", self.decision.map(Decision::as_str));
        push_equal(query, "outcome", self.outcome.as_deref());
        push_equal(query, "account", self.account.as_deref());
        push_equal(query, "service", self.service.as_deref());
        push_equal(query, "region", self.region.as_deref());
        if let Some(action) = &self.action {
            push_any(query, "actions", &glob(action));
        }
        if let Some(resource) = &self.resource {
            push_any(query, "resources", &containing(resource));
        }
        if let Some(rule) = &self.rule {
            push_any(query, "rules", &glob(rule));
        }
        if let Some(text) = &self.text {
            let pattern = containing(text);
            query.push(" AND (").push(CALL_TEXT).like(&pattern);
            query.push(" OR ").push(OUTCOME_TEXT).like(&pattern).push(")");
        }
    }
}

impl EventFilter {
    pub(super) fn push(&self, query: &mut Statement) {
        push_times(query, "time", self.since, self.until);
        push_equal(query, "workload", self.workload.as_deref());
        if let Some(kind) = &self.kind {
            push_like(query, "kind", &glob(kind));
        }
        if let Some(session) = &self.session {
            // Ids are below `~`, and an index serves a range.
            query.push(" AND session >= ").bind(session.as_str());
            query.push(" AND session < ").bind(format!("{session}~"));
        }
        push_text(query, "concat_ws(' ', message, detail)", self.text.as_deref());
    }
}

fn push_times(
    query: &mut Statement,
    column: &'static str,
    since: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
) {
    if let Some(since) = since {
        query.push(" AND ").push(column).push(" >= ").bind(stamp(since));
    }
    if let Some(until) = until {
        query.push(" AND ").push(column).push(" < ").bind(stamp(until));
    }
}

pub(super) fn push_equal(query: &mut Statement, column: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        query.push(" AND ").push(column).push(" = ").bind(value);
    }
}

/// Some element of the JSON list in `column` is like `pattern`.
fn push_any(query: &mut Statement, column: &'static str, pattern: &str) {
    query.push(" AND EXISTS (SELECT 1 FROM json_each(").push(column).push(") AS item WHERE item.value");
    query.as_column().like(pattern).push(")");
}

fn push_text(query: &mut Statement, expression: &'static str, text: Option<&str>) {
    if let Some(text) = text {
        push_like(query, expression, &containing(text));
    }
}

fn push_like(query: &mut Statement, expression: &'static str, pattern: &str) {
    query.push(" AND ").push(expression).like(pattern);
}

/// A LIKE pattern from one with `*` and `?`.
pub(super) fn glob(pattern: &str) -> String {
    escape(pattern).replace('*', "%").replace('?', "_")
}

/// A LIKE pattern for a part of a text.
pub(super) fn containing(text: &str) -> String {
    format!("%{}%", escape(text))
}

/// A LIKE pattern for the text itself.
fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_status(text: &str, expected: Option<(i64, i64)>) {
        let parsed = text.parse::<StatusFilter>();
        assert_eq!(parsed.as_ref().ok().map(|status| (status.from, status.to)), expected, "{text}");
        assert_eq!(parsed.as_ref().ok().map(ToString::to_string), expected.map(|_| text.to_owned()));
        if expected.is_none() {
            assert_eq!(parsed, Err(BadStatus(text.to_owned())));
        }
    }

    #[test]
    fn statuses_and_classes() {
        check_status("200", Some((200, 200)));
        check_status("599", Some((599, 599)));
        check_status("4xx", Some((400, 499)));
        for bad in ["", "xx", "0xx", "6xx", "99", "600", "+403", "0403", "-4xx", "40x", "4XX", "four"] {
            check_status(bad, None);
        }
    }

    #[test]
    fn patterns_are_literal_but_for_their_wild_cards() {
        assert_eq!(glob("s3:Get*"), "s3:Get%");
        assert_eq!(glob(r"a_b%c\d?"), r"a\_b\%c\\d_");
        assert_eq!(containing("100%"), r"%100\%%");
    }
}
