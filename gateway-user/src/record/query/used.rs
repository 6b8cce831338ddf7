//! What was allowed lately: so that limits on it outlive the daemon.

use time::{Duration, OffsetDateTime};

use super::{
    QueryError, Reader, read,
    statement::{Pool, Statement},
};
use crate::{
    prim::{SessionId, WorkloadName},
    record::stamp::stamp,
};

/// How far back the calls of a workload are counted.
const WORKLOAD: Duration = Duration::hours(25);
/// How far back calls are counted by the second.
const EXACT: Duration = Duration::minutes(1);

/// Some calls that were made: of one session, within one hour (those of the last minute: within one
/// second), needing the same actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Whose calls.
    pub session: SessionId,
    /// Its workload.
    pub workload: WorkloadName,
    /// The beginning of that hour or second.
    pub at: OffsetDateTime,
    /// The IAM actions each of them needed.
    pub actions: Vec<String>,
    /// How many; or what they add up to.
    pub amount: Amount,
}

/// How much was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// So many calls.
    Calls(u64),
    /// The sum of a parameter's whole numbers above 0.
    Sum(String, i64),
}

/// What counts: calls that were made, or may have been. A call that failed before it was sent has no
/// time of AWS's. `$1`: how far back; `$2`: from when on by the second; `$3`: of which host, or NULL;
/// `$4`: the parameters that are summed, as JSON.
macro_rules! used {
    ($columns:literal, $from:literal, $also:expr, $group:literal) => {
        concat!(
            "SELECT c.session, s.workload, \
             CASE WHEN c.time >= $2 THEN substr(c.time, 1, 19) ELSE substr(c.time, 1, 13) || ':00:00' END AS slot, \
             c.actions, ", $columns, " \
             FROM calls AS c JOIN sessions AS s ON s.id = c.session \
             LEFT JOIN outcomes AS o ON o.call = c.id", $from, " \
             WHERE c.decision IN ('allow', 'observed') \
             AND NOT (coalesce(o.outcome, 'open') = 'failed' AND o.upstream_us IS NULL) \
             AND ($3 = '' OR s.hostname = $3)", $also, " \
             GROUP BY c.session, s.workload, slot, c.actions", $group
        )
    };
}

/// Of lately, or of sessions that are open: SQLite looks both up.
macro_rules! recent_sqlite {
    () => {
        " AND (c.time >= $1 OR c.session IN (SELECT id FROM sessions WHERE NOT EXISTS \
         (SELECT 1 FROM session_ends AS e WHERE e.session = sessions.id)))"
    };
}

/// The same for PostgreSQL, where most of what is of lately is other hosts': by way of this host's sessions.
macro_rules! recent_postgres {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM session_ends AS e WHERE e.session = s.id AND e.ended < $1) \
         AND (c.time >= $1 OR NOT EXISTS (SELECT 1 FROM session_ends AS e WHERE e.session = s.id))"
    };
}

/// How many, of what parameter, how much of it.
const CALLS_SQLITE: &str = used!("count(*), NULL, 0.0", "", recent_sqlite!(), "");
const SUMS_SQLITE: &str = used!(
    "0, p.key, total(p.value)",
    ", json_each(c.params) AS p",
    concat!(
        recent_sqlite!(),
        " AND p.type = 'integer' AND p.value > 0 AND p.key IN (SELECT value FROM json_each($4))"
    ),
    ", p.key"
);
const CALLS_POSTGRES: &str =
    used!("count(*), CAST(NULL AS text), CAST(0 AS double precision)", "", recent_postgres!(), "");
const SUMS_POSTGRES: &str = used!(
    "CAST(0 AS bigint), p.key, CAST(sum(CAST(p.value AS numeric)) AS double precision)",
    ", json_each(c.params) AS p",
    concat!(
        recent_postgres!(),
        // CASE keeps the order: what is no number is never taken for one.
        " AND CASE WHEN p.type = 'integer' THEN CAST(p.value AS numeric) > 0 ELSE FALSE END \
         AND p.key IN (SELECT value FROM json_each($4))"
    ),
    ", p.key"
);

type Row = (String, String, String, String, i64, Option<String>, f64);

impl Reader {
    /// Everything that counts: of open sessions from their start, of workloads within a day. Summed are
    /// these parameters only: their names in records are the agents' choice, and may be many.
    ///
    /// # Errors
    /// Reading.
    pub async fn used(&self, now: OffsetDateTime, params: &[&str]) -> Result<Vec<Used>, QueryError> {
        let host = self.host.as_deref().unwrap_or_default();
        let bind = |mut statement: Statement| {
            statement.values([stamp(now - WORKLOAD), stamp(now - EXACT), host.to_owned()]);
            statement
        };
        let (calls, sums) = match self.pool {
            Pool::Sqlite(_) => (CALLS_SQLITE, SUMS_SQLITE),
            Pool::Postgres(_) => (CALLS_POSTGRES, SUMS_POSTGRES),
        };
        let mut statements = vec![bind(self.pool.statement(calls))];
        if !params.is_empty() {
            let mut sums = bind(self.pool.statement(sums));
            sums.values([serde_json::Value::from(params.to_vec()).to_string()]);
            statements.push(sums);
        }
        let mut all = Vec::new();
        for statement in statements {
            let rows: Vec<Row> = self.pool.all(statement).await.map_err(read)?;
            all.extend(rows.into_iter().filter_map(from_row));
        }
        Ok(all)
    }
}

/// `None`, and a warning, for a row that this program did not write.
fn from_row((session, workload, slot, actions, calls, param, sum): Row) -> Option<Used> {
    use time::format_description::well_known::Rfc3339;
    let parsed = (
        session.parse(),
        workload.parse(),
        OffsetDateTime::parse(&format!("{slot}Z"), &Rfc3339),
        serde_json::from_str::<Vec<String>>(&actions),
    );
    let (Ok(session), Ok(workload), Ok(at), Ok(mut actions)) = parsed else {
        tracing::warn!(session, "calls in the database cannot be counted");
        return None;
    };
    actions.sort();
    actions.dedup();
    let amount = match param {
        None => Amount::Calls(calls.max(0).cast_unsigned()),
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as a limit should")]
        Some(param) => Amount::Sum(param, sum as i64),
    };
    Some(Used { session, workload, at, actions, amount })
}
