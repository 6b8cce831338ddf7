//! What a former run left open, as the tables tell it.

use serde_json::Value;
use time::OffsetDateTime;

use super::Leftovers;
use crate::{
    identify::{EndReason, Identity, Launch},
    prim::{CgroupId, CgroupPath},
    record::{
        AcceptedToken, Event, KilledCgroup, OpenSession, Outcome, OutcomeKind,
        stamp::unstamp,
        stored::{EventRow, OutcomeRow, Unit},
    },
};

/// Event written at each start; its detail says where the next start has to look for open calls.
pub(in crate::record) const OPENED: &str = "record-opened";

/// Sessions without an end, of the host `$1` or, where it is NULL, of every host.
pub(super) const OPEN_SESSIONS: &str = "\
    SELECT s.id, s.started, s.workload, s.subject, s.issuer, s.groups, \
    coalesce(i.token_groups, '[]') AS token_groups, coalesce(i.truncated, '[]') AS identity_cut, s.claims, \
    s.token_expires, s.token_digest, s.hostname, s.boot_id, s.cgroup_path, s.cgroup_id, s.command, s.uid \
    FROM v_sessions AS s \
    LEFT JOIN identities AS i ON i.seq = (SELECT max(seq) FROM identities WHERE session = s.id) \
    WHERE s.ended IS NULL AND ($1 IS NULL OR s.hostname = $1) ORDER BY s.seq";

/// Cgroups whose session ended for the reason `$1`. Only those of this boot mean something: the caller knows
/// which it is.
pub(super) const ENDED_CGROUPS: &str = "\
    SELECT s.hostname, s.boot_id, s.cgroup_id FROM session_ends AS e JOIN sessions AS s ON s.id = e.session \
    WHERE e.reason = $1 ORDER BY e.seq DESC LIMIT 100000";

/// The reason that [`ENDED_CGROUPS`] is asked for.
pub(super) const KILLED: EndReason = EndReason::Killed;

/// A row of [`ENDED_CGROUPS`].
pub(super) type EndedCgroup = (String, String, i64);

/// Tokens accepted on the host `$1` or, where it is NULL, on every host, that live at `$2`, oldest first. Those of
/// sessions that have ended, too: a token outlives its session.
pub(super) const TOKENS: &str = "\
    SELECT i.token_digest, i.expires, s.workload, s.uid, s.hostname, s.boot_id, s.cgroup_id \
    FROM identities AS i JOIN sessions AS s ON s.id = i.session \
    WHERE i.token_digest IS NOT NULL AND i.expires > $2 AND ($1 IS NULL OR s.hostname = $1) ORDER BY i.seq";

/// The detail of the last event `$2`, that of a start, on the host `$1` or, where it is NULL, of the only one there is: of those that a log of that host
/// names, because anybody else's would have this start pass over calls.
pub(super) const LAST_START: &str = "\
    SELECT CAST(e.detail AS text) FROM events AS e WHERE e.kind = $2 AND (\
        SELECT $1 IS NULL OR g.hostname = $1 FROM log AS l JOIN logs AS g ON g.id = l.log_id \
        WHERE l.table_name = 'events' AND l.row_seq = e.seq) \
    ORDER BY e.seq DESC LIMIT 1";

/// A number of that detail; 0 where there is none.
pub(super) fn number(last_start: Option<&str>, name: &str) -> i64 {
    let detail = last_start.and_then(|detail| serde_json::from_str::<Value>(detail).ok());
    detail.and_then(|detail| detail.get(name)?.as_i64()).unwrap_or_default()
}

/// The event of this start. `detail` is an object with what the next one needs.
pub(super) fn opened(mut detail: Value) -> Event {
    if let Some(fields) = detail.as_object_mut() {
        fields.insert("pid".to_owned(), std::process::id().into());
        fields.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    }
    Event { detail, ..Event::new(OPENED, "the daemon opened the session database") }
}

/// What a start writes: that what was `open` ended unknown, and that there was a start.
pub(super) fn units(open: Vec<String>, opened: Event, now: OffsetDateTime) -> Vec<Unit> {
    let unknown =
        |call| Unit::Outcome(OutcomeRow::new(call, Outcome::new(OutcomeKind::Unknown), Vec::new(), now));
    open.into_iter().map(unknown).chain([Unit::Event(EventRow::new(opened, now))]).collect()
}

/// What the rows say.
pub(super) fn leftovers(
    open_sessions: Vec<OpenSessionRow>,
    killed: Vec<EndedCgroup>,
    tokens: Vec<TokenRow>,
    closed_calls: u64,
) -> Leftovers {
    let cgroup = |(hostname, boot_id, id): EndedCgroup| KilledCgroup {
        hostname,
        boot_id,
        cgroup_id: CgroupId(id.cast_unsigned()),
    };
    Leftovers {
        open_sessions: open_sessions.into_iter().filter_map(OpenSessionRow::into_open_session).collect(),
        killed: killed.into_iter().map(cgroup).collect(),
        tokens: tokens.into_iter().filter_map(TokenRow::read).collect(),
        closed_calls,
    }
}

/// A row of [`TOKENS`].
#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    token_digest: String,
    expires: String,
    workload: String,
    uid: Option<i64>,
    hostname: String,
    boot_id: String,
    cgroup_id: i64,
}

impl TokenRow {
    /// `None` for a row that this program did not write.
    fn read(self) -> Option<AcceptedToken> {
        Some(AcceptedToken {
            digest: self.token_digest,
            expires: unstamp(&self.expires)?,
            workload: self.workload.parse().ok()?,
            uid: self.uid.map(u32::try_from).transpose().ok()?,
            hostname: self.hostname,
            boot_id: self.boot_id,
            cgroup_id: CgroupId(self.cgroup_id.cast_unsigned()),
        })
    }
}

/// A row of [`OPEN_SESSIONS`].
#[derive(sqlx::FromRow)]
pub(super) struct OpenSessionRow {
    id: String,
    started: String,
    workload: String,
    subject: String,
    issuer: String,
    groups: String,
    token_groups: String,
    /// What of its identity did not fit.
    identity_cut: String,
    claims: String,
    token_expires: Option<String>,
    token_digest: Option<String>,
    hostname: String,
    boot_id: String,
    cgroup_path: String,
    cgroup_id: i64,
    command: String,
    uid: Option<i64>,
}

impl OpenSessionRow {
    /// `None`, and a warning, for a row that this program did not write.
    fn into_open_session(self) -> Option<OpenSession> {
        let id = self.id.clone();
        let read = self.read();
        if read.is_none() {
            tracing::warn!(session = %id, "an open session in the database cannot be read");
        }
        read
    }

    fn read(self) -> Option<OpenSession> {
        let command = serde_json::from_str(&self.command).ok()?;
        let uid = self.uid.map(u32::try_from).transpose().ok()?;
        let identity = Identity {
            issuer: self.issuer,
            subject: self.subject,
            groups: serde_json::from_str(&self.groups).ok()?,
            token_groups: serde_json::from_str(&self.token_groups).ok()?,
            claims: serde_json::from_str(&self.claims).ok()?,
            expires: match self.token_expires {
                None => None,
                // A group that is lost would be a rule that no longer forbids.
                Some(_) if self.identity_cut != "[]" => Some(OffsetDateTime::UNIX_EPOCH),
                Some(text) => Some(unstamp(&text)?),
            },
            issued: None,
            token_digest: self.token_digest,
            token: None,
        };
        Some(OpenSession {
            id: self.id.parse().ok()?,
            started: unstamp(&self.started)?,
            workload: self.workload.parse().ok()?,
            identity,
            launch: uid.map(|uid| Launch { command, uid }),
            hostname: self.hostname,
            boot_id: self.boot_id,
            cgroup_path: CgroupPath::new(&self.cgroup_path),
            cgroup_id: CgroupId(self.cgroup_id.cast_unsigned()),
        })
    }
}
