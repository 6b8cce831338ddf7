//! What may go: said once, in SQL, for those who look for rows and for those who remove them.

use std::{collections::BTreeMap, sync::Arc};

use super::{Step, Tally, grounds::Memory, leaves};
use crate::record::{
    retention::STARTED,
    store::{
        book::{BEGUN, RESTARTED},
        columns::Leaves,
        pages::{Conn, Place},
        recover,
    },
};

/// How old what goes is, and why it goes.
#[derive(Debug, Clone)]
pub(in crate::record) struct Cut {
    /// The log whose rows go.
    pub(in crate::record) log: i64,
    /// The logs that vouch for rows, each with how many of its entries: this one, and those that it goes on from. What another one has of a row
    /// says nothing of its age.
    pub(in crate::record) own: BTreeMap<i64, u64>,
    /// Other hosts' logs, whose releases count.
    pub(in crate::record) others: Vec<i64>,
    /// Bodies of calls from before this go.
    pub(in crate::record) bodies_before: Option<String>,
    /// Sessions that ended before this go, and events from before it.
    pub(in crate::record) rows_before: Option<String>,
    pub(in crate::record) now: String,
    /// The running boot, whose killed sessions bar their cgroups.
    pub(in crate::record) boot: String,
    pub(in crate::record) actor: String,
    pub(in crate::record) reason: String,
    /// Rows of one transaction, about.
    pub(in crate::record) step_rows: usize,
    /// As many at most, where steps are short.
    pub(in crate::record) step_rows_max: usize,
    /// What the daemon remembers of its log; `None` where nobody writes.
    pub(in crate::record) memory: Option<Arc<tokio::sync::Mutex<Memory>>>,
    /// Nothing is removed: what would be gone by then is still there.
    pub(in crate::record) is_dry: bool,
}

impl Cut {
    /// Whether what is logged there says something of a row.
    pub(in crate::record) fn vouches(&self, place: &Place) -> bool {
        self.own.get(&place.log).is_some_and(|size| place.index < *size)
    }
}

/// What goes by itself; the rest belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) enum Kind {
    /// Bodies of calls.
    Bodies,
    /// Calls of sessions that have ended, with their outcomes, bodies and what was masked.
    Calls,
    /// Who sessions without calls were. A token that is renewed often leaves more of these than one step takes.
    Identities,
    /// Sessions without calls, with their ends.
    Sessions,
    /// Events that belong to no session that is kept.
    Events,
}

/// Events that tell what became of logs; they are few.
pub(super) const KEPT_EVENTS: [&str; 2] = [BEGUN, RESTARTED];

/// Events of which the newest is kept: the next start looks for them.
const OF_STARTS: [&str; 2] = [recover::OPENED, STARTED];

/// Bytes of what is removed in one transaction, about: they are overwritten, and calls wait meanwhile.
const STEP_BYTES: i64 = 4 << 20;

/// Bytes of texts that are taken out of SQLite's index of texts in one transaction, about: that costs much more than the rows.
const STEP_TEXTS: i64 = 256 << 10;

impl Kind {
    /// In the order in which they go.
    pub(in crate::record) const ALL: [Self; 5] =
        [Self::Bodies, Self::Calls, Self::Identities, Self::Sessions, Self::Events];

    pub(in crate::record) fn table(self) -> &'static str {
        match self {
            Self::Bodies => "call_bodies",
            Self::Calls => "calls",
            Self::Identities => "identities",
            Self::Sessions => "sessions",
            Self::Events => "events",
        }
    }

    /// The time up to which rows of this kind go.
    pub(in crate::record) fn before(self, cut: &Cut) -> Option<&str> {
        match self {
            Self::Bodies => cut.bodies_before.as_deref(),
            Self::Calls | Self::Identities | Self::Sessions | Self::Events => cut.rows_before.as_deref(),
        }
    }

    /// What a row `x` of its table is found in, and the time by which it is: an index has that.
    fn aged(self) -> (&'static str, &'static str) {
        match self {
            Self::Bodies => ("calls AS c JOIN call_bodies AS x ON x.call = c.id", "c.time"),
            Self::Calls => ("calls AS x", "x.time"),
            Self::Identities => ("sessions AS s JOIN identities AS x ON x.session = s.id", "s.started"),
            Self::Sessions => ("sessions AS x", "x.started"),
            Self::Events => ("events AS x", "x.time"),
        }
    }

    /// Whether a row `x` of its table may go.
    pub(in crate::record) fn goes(self, cut: &Cut) -> String {
        let before = literal(self.before(cut).unwrap_or_default());
        let ours = ours("x", self.table(), cut.log);
        match self {
            Self::Bodies => format!(
                "EXISTS (SELECT 1 FROM calls AS c JOIN sessions AS s ON s.id = c.session \
                 WHERE c.id = x.call AND c.time < {before} AND {} AND {} AND {} AND {}) AND {ours}",
                has_ended("c"),
                not_held("c.session", cut),
                vouched("c", "calls", cut),
                vouched("s", "sessions", cut),
            ),
            Self::Calls => format!(
                "x.time < {before} AND {} AND EXISTS (SELECT 1 FROM sessions AS s WHERE s.id = x.session AND {}) AND {ours}",
                has_ended("x"),
                session_goes("s", cut),
            ),
            Self::Identities => format!(
                "EXISTS (SELECT 1 FROM sessions AS s WHERE s.id = x.session AND {} AND {}) AND {ours}",
                session_goes("s", cut),
                has_no_calls("s", cut),
            ),
            Self::Sessions => {
                let left = match cut.is_dry {
                    true => "",
                    false => " AND NOT EXISTS (SELECT 1 FROM identities AS i WHERE i.session = x.id)",
                };
                format!("{} AND {}{left}", session_goes("x", cut), has_no_calls("x", cut))
            }
            Self::Events => {
                let gone = match cut.is_dry {
                    true => format!(" AND NOT ({} AND {})", session_goes("s", cut), has_no_calls("s", cut)),
                    false => String::new(),
                };
                let in_force = in_force(cut);
                let newer = self::ours("n", "events", cut.log);
                let (kept, of_starts) = (literals(&KEPT_EVENTS), literals(&OF_STARTS));
                format!(
                    "x.time < {before} AND x.kind NOT IN ({kept}) \
                     AND (x.kind NOT IN ({of_starts}) OR EXISTS (SELECT 1 FROM events AS n \
                          WHERE n.kind = x.kind AND n.seq > x.seq AND {newer})) \
                     AND NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.id = x.session{gone}) \
                     AND NOT EXISTS (SELECT 1 FROM {in_force} AS h WHERE h.session = x.session OR h.workload = x.workload \
                          OR ((h.since IS NOT NULL OR h.until IS NOT NULL) \
                              AND (h.until IS NULL OR x.time < h.until) AND (h.since IS NULL OR x.time >= h.since))) \
                     AND {ours}"
                )
            }
        }
    }

    /// Bytes of what goes with a row `x`, as far as they can be many.
    fn bytes(self) -> &'static str {
        match self {
            Self::Bodies => "(SELECT max(length(b.content)) FROM bodies AS b WHERE b.digest = x.kept)",
            Self::Calls => {
                "octet_length(x.params) + octet_length(x.resources) + octet_length(x.rules) \
                 + coalesce(octet_length(x.reason), 0) + coalesce((SELECT sum((SELECT max(length(b.content)) FROM bodies AS b \
                 WHERE b.digest = k.kept)) FROM call_bodies AS k WHERE k.call = x.id), 0)"
            }
            Self::Identities => "octet_length(x.claims)",
            Self::Sessions => "octet_length(x.command)",
            Self::Events => "octet_length(x.detail)",
        }
    }

    /// Bytes of what is taken out of the index of texts with a row `x`.
    fn texts(self) -> &'static str {
        match self {
            Self::Calls => {
                "coalesce(octet_length(x.operation), 0) + octet_length(x.params) + octet_length(x.resources) \
                 + octet_length(x.rules) + coalesce(octet_length(x.reason), 0) \
                 + coalesce((SELECT coalesce(octet_length(o.error_code), 0) + coalesce(octet_length(o.aws_request_id), 0) \
                    FROM outcomes AS o WHERE o.call = x.id), 0)"
            }
            Self::Bodies | Self::Identities | Self::Sessions | Self::Events => "0",
        }
    }

    /// Rows that go with a row `x`, itself included.
    fn weight(self) -> &'static str {
        match self {
            Self::Bodies | Self::Identities | Self::Events => "1",
            Self::Calls => {
                "2 + (SELECT count(*) FROM masked AS m WHERE m.call = x.id) \
                 + (SELECT count(*) FROM call_bodies AS b WHERE b.call = x.id)"
            }
            Self::Sessions => "2",
        }
    }

    /// The tables of what goes, children first, and how their rows refer to `x`.
    fn tables(self, cut: &Cut) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Bodies => &[("call_bodies", "t.seq = x.seq")],
            // They are counted already.
            Self::Calls if cut.is_dry && cut.bodies_before.is_some() => {
                &[("masked", "t.call = x.id"), ("outcomes", "t.call = x.id"), ("calls", "t.seq = x.seq")]
            }
            Self::Calls => &[
                ("masked", "t.call = x.id"),
                ("call_bodies", "t.call = x.id"),
                ("outcomes", "t.call = x.id"),
                ("calls", "t.seq = x.seq"),
            ],
            Self::Identities => &[("identities", "t.seq = x.seq")],
            Self::Sessions => &[("session_ends", "t.session = x.id"), ("sessions", "t.seq = x.seq")],
            Self::Events => &[("events", "t.seq = x.seq")],
        }
    }

    /// The next old rows, oldest first: their times, their numbers, and whether they may go.
    pub(in crate::record) async fn scan(
        self,
        conn: &mut Conn<'_>,
        cut: &Cut,
        after: Option<&(String, i64)>,
        limit: usize,
    ) -> Result<Vec<(String, i64, bool)>, sqlx::Error> {
        let ((from, time), goes) = (self.aged(), self.goes(cut));
        let before = literal(self.before(cut).unwrap_or_default());
        let beyond = after.map(|(at, row)| format!("AND ({time}, x.seq) > ({}, {row}) ", literal(at)));
        let sql = format!(
            "SELECT {time}, x.seq, CAST(CASE WHEN {goes} THEN 1 ELSE 0 END AS bigint) FROM {from} \
             WHERE {time} < {before} {}ORDER BY {time}, x.seq LIMIT {limit}",
            beyond.unwrap_or_default(),
        );
        let found: Vec<(String, i64, i64)> = conn.ask(sql).await?;
        Ok(found.into_iter().map(|(at, row, goes)| (at, row, goes != 0)).collect())
    }
}

/// What goes of a step.
#[derive(Debug)]
pub(super) struct Going {
    /// How many of the step's rows are done with.
    pub(super) done: usize,
    /// Those that go.
    pub(super) rows: Vec<i64>,
    /// Which rows of which tables go for them, children first.
    pub(super) tables: Vec<(&'static Leaves, Vec<i64>)>,
}

/// Which of the step's rows go, as many as one transaction takes, and what belongs to them.
pub(super) async fn which(conn: &mut Conn<'_>, cut: &Cut, step: &Step) -> Result<Going, sqlx::Error> {
    let (table, goes) = (step.kind.table(), step.kind.goes(cut));
    let (weight, bytes) = (step.kind.weight(), step.kind.bytes());
    let texts = if matches!(conn, Conn::Sqlite(_)) { step.kind.texts() } else { "0" };
    let sql = format!(
        "SELECT x.seq, CAST({weight} AS bigint), CAST(coalesce({bytes}, 0) AS bigint), \
         CAST(coalesce({texts}, 0) AS bigint) FROM {table} AS x WHERE x.seq {{rows}} AND {goes} ORDER BY x.seq"
    );
    let found: Vec<(i64, i64, i64, i64)> = conn.among(&sql, &step.rows).await?;
    let (mut going, mut weight, mut size, mut text) = (Vec::new(), 0, 0_i64, 0_i64);
    let mut done = step.rows.len();
    for (row, rows, bytes, texts) in found {
        weight += usize::try_from(rows).unwrap_or(usize::MAX);
        (size, text) = (size.saturating_add(bytes), text.saturating_add(texts));
        let is_much = weight > cut.step_rows || size > STEP_BYTES || text > STEP_TEXTS;
        if is_much && !going.is_empty() {
            done = step.rows.partition_point(|number| *number < row);
            break;
        }
        going.push(row);
    }
    let mut tables = Vec::new();
    for (child, refers) in step.kind.tables(cut) {
        let rows = if *child == table {
            going.clone()
        } else {
            let sql = format!(
                "SELECT t.seq FROM {table} AS x JOIN {child} AS t ON {refers} WHERE x.seq {{rows}} ORDER BY t.seq"
            );
            let rows: Vec<(i64,)> = conn.among(&sql, &going).await?;
            rows.into_iter().map(|(row,)| row).collect()
        };
        if let Some(leaves) = leaves(child).filter(|_| !rows.is_empty()) {
            tables.push((leaves, rows));
        }
    }
    Ok(Going { done, rows: going, tables })
}

/// The column by which a row of this table says which call or session it belongs to.
pub(super) fn owner_of(table: &str) -> &'static str {
    match table {
        "session_ends" => "session",
        _ => "call",
    }
}

/// The contents that these bodies keep.
pub(super) async fn contents_of(
    conn: &mut Conn<'_>,
    table: &str,
    rows: &[i64],
) -> Result<Vec<String>, sqlx::Error> {
    if table != Kind::Bodies.table() {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT kept FROM call_bodies WHERE seq {rows} AND kept IS NOT NULL ORDER BY kept";
    let found: Vec<(String,)> = conn.among(sql, rows).await?;
    Ok(found.into_iter().map(|(digest,)| digest).collect())
}

/// Removes those of the contents that nobody keeps any more: in PostgreSQL, the copies of this host.
pub(super) async fn remove_contents(
    conn: &mut Conn<'_>,
    host: Option<&str>,
    contents: &[String],
) -> Result<Tally, sqlx::Error> {
    let unneeded = match host {
        Some(host) => {
            format!("hostname = {host} AND NOT content_needed(digest, {host})", host = literal(host))
        }
        None => "NOT EXISTS (SELECT 1 FROM call_bodies AS b WHERE b.kept = bodies.digest)".to_owned(),
    };
    let sql = format!(
        "DELETE FROM bodies WHERE digest {{rows}} AND {unneeded} RETURNING CAST(length(content) AS bigint)"
    );
    let found: Vec<(i64,)> = conn.among_texts(&sql, contents).await?;
    Ok(contents_tally(found.len() as u64, found.iter().map(|(bytes,)| bytes.cast_unsigned()).sum()))
}

/// The contents that would go, of all bodies that would.
pub(in crate::record) async fn unneeded_contents(
    conn: &mut Conn<'_>,
    host: Option<&str>,
    cut: &Cut,
) -> Result<Tally, sqlx::Error> {
    let bodies = cut.bodies_before.as_ref().map(|_| Kind::Bodies.goes(cut));
    let calls = cut.rows_before.as_ref().map(|_| {
        let goes = Kind::Calls.goes(cut);
        format!("EXISTS (SELECT 1 FROM (SELECT * FROM calls WHERE id = k.call) AS x WHERE {goes})")
    });
    let bodies = bodies.map(|goes| {
        format!("EXISTS (SELECT 1 FROM (SELECT k.seq AS seq, k.call AS call) AS x WHERE {goes})")
    });
    let goes: Vec<String> = bodies.into_iter().chain(calls).collect();
    let own = host.map(|host| format!("b.hostname = {} AND ", literal(host))).unwrap_or_default();
    let of_log = host.map(|_| format!("AND {} ", ours("k", "call_bodies", cut.log))).unwrap_or_default();
    let sql = format!(
        "SELECT count(*), CAST(coalesce(sum(length(b.content)), 0) AS bigint) FROM bodies AS b WHERE {own}NOT EXISTS \
         (SELECT 1 FROM call_bodies AS k WHERE k.kept = b.digest {of_log}AND NOT ({}))",
        goes.join(" OR ")
    );
    let found: Vec<(i64, i64)> = conn.ask(sql).await?;
    let (rows, bytes) = found.into_iter().next().unwrap_or_default();
    Ok(contents_tally(rows.cast_unsigned(), bytes.cast_unsigned()))
}

fn contents_tally(rows: u64, bytes: u64) -> Tally {
    Tally { table: "bodies".to_owned(), rows, bytes, ..Tally::default() }
}

/// The time of a row `t`.
pub(super) fn time_of(table: &str) -> &'static str {
    match table {
        "sessions" => "t.started",
        "session_ends" | "outcomes" => "t.ended",
        "masked" | "call_bodies" => "(SELECT c.time FROM calls AS c WHERE c.id = t.call)",
        _ => "t.time",
    }
}

/// That the session `s` has ended long enough ago, is not held, and that nothing of it is needed by the daemon: no token that
/// was accepted lives, and it bars no cgroup.
fn session_goes(s: &str, cut: &Cut) -> String {
    let before = literal(cut.rows_before.as_deref().unwrap_or_default());
    let (now, boot, killed) = (literal(&cut.now), literal(&cut.boot), literal(recover::KILLED.as_str()));
    format!(
        "{s}.started < {before} AND EXISTS (SELECT 1 FROM session_ends AS e WHERE e.session = {s}.id AND e.ended < {before} \
            AND NOT (e.reason = {killed} AND {s}.boot_id = {boot})) \
         AND NOT EXISTS (SELECT 1 FROM identities AS i WHERE i.session = {s}.id \
            AND i.token_digest IS NOT NULL AND i.expires > {now}) \
         AND {} AND {}",
        not_held(&format!("{s}.id"), cut),
        ours(s, "sessions", cut.log),
    )
}

/// That all calls of the session `s` are gone, or would be.
fn has_no_calls(s: &str, cut: &Cut) -> String {
    let left = if cut.is_dry { format!(" AND NOT ({})", has_ended("c")) } else { String::new() };
    format!("NOT EXISTS (SELECT 1 FROM calls AS c WHERE c.session = {s}.id{left})")
}

/// That the call `c` has an outcome: one that has none would get it later.
fn has_ended(c: &str) -> String {
    format!("EXISTS (SELECT 1 FROM outcomes AS o WHERE o.call = {c}.id)")
}

fn not_held(session: &str, cut: &Cut) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM sessions AS hs LEFT JOIN session_ends AS he ON he.session = hs.id \
         JOIN {} AS h ON h.session = hs.id OR h.workload = hs.workload \
            OR ((h.since IS NOT NULL OR h.until IS NOT NULL) AND (h.until IS NULL OR hs.started < h.until) \
                AND (h.since IS NULL OR he.ended IS NULL OR he.ended >= h.since)) \
         WHERE hs.id = {session})",
        in_force(cut),
    )
}

/// The holds that nobody released. (A release that a log has which does not vouch is none. One that no log has ends the run.)
fn in_force(cut: &Cut) -> String {
    let others: Vec<String> = cut.others.iter().map(i64::to_string).collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!("AND l.log_id NOT IN ({}) ", others.join(", ")),
    };
    format!(
        "(SELECT f.session AS session, f.workload AS workload, f.since AS since, f.until AS until FROM holds AS f \
         WHERE NOT EXISTS (SELECT 1 FROM hold_releases AS r WHERE r.hold = f.id AND NOT EXISTS (SELECT 1 FROM log AS l \
            WHERE l.table_name = 'hold_releases' AND l.row_seq = r.seq {others}AND NOT ({}))))",
        within(cut)
    )
}

/// That the row `x` is of this log: of another nothing could be said that its verifier believes.
fn ours(x: &str, table: &str, log: i64) -> String {
    format!("(SELECT l.log_id FROM log AS l WHERE l.table_name = '{table}' AND l.row_seq = {x}.seq) = {log}")
}

/// That a log vouches for the row `x`. For a body after the beginning of a new log it is the former one that knows the session.
fn vouched(x: &str, table: &str, cut: &Cut) -> String {
    format!(
        "EXISTS (SELECT 1 FROM log AS l WHERE l.table_name = '{table}' AND l.row_seq = {x}.seq AND ({}))",
        within(cut)
    )
}

/// That the entry `l` is one that vouches.
fn within(cut: &Cut) -> String {
    let within = |(log, size): (&i64, &u64)| format!("(l.log_id = {log} AND l.leaf_index < {size})");
    cut.own.iter().map(within).collect::<Vec<_>>().join(" OR ")
}

fn literals(texts: &[&str]) -> String {
    texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", ")
}

/// A text in a statement.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\0', ""))
}
