//! What was allowed lately: so that limits on it outlive the daemon.

use time::{Duration, OffsetDateTime};

use super::{QueryError, Reader, read};
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
/// time of AWS's. `?1`: how far back; `?2`: from when on by the second;
/// `?3`: the parameters that are summed, as JSON.
macro_rules! used {
    ($columns:literal, $from:literal, $also:literal, $group:literal) => {
        concat!(
            "SELECT c.session, s.workload, \
             CASE WHEN c.time >= ?2 THEN substr(c.time, 1, 19) ELSE substr(c.time, 1, 13) || ':00:00' END AS slot, \
             c.actions, ", $columns, " \
             FROM calls AS c JOIN sessions AS s ON s.id = c.session \
             LEFT JOIN outcomes AS o ON o.call = c.id", $from, " \
             WHERE c.decision IN ('allow', 'observed') \
             AND NOT (coalesce(o.outcome, 'open') = 'failed' AND o.upstream_us IS NULL) \
             AND (c.time >= ?1 OR c.session IN (SELECT id FROM sessions WHERE NOT EXISTS \
                  (SELECT 1 FROM session_ends AS e WHERE e.session = sessions.id)))", $also, " \
             GROUP BY c.session, slot, c.actions", $group
        )
    };
}

const CALLS: &str = used!("count(*), NULL, 0.0", "", "", "");
const SUMS: &str = used!(
    "0, p.key, total(p.value)",
    ", json_each(c.params) AS p",
    " AND p.type = 'integer' AND p.value > 0 AND p.key IN (SELECT value FROM json_each(?3))",
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
        let mut all = Vec::new();
        for statement in [CALLS, SUMS] {
            if statement == SUMS && params.is_empty() {
                continue;
            }
            let rows: Vec<Row> = sqlx::query_as(statement)
                .bind(stamp(now - WORKLOAD))
                .bind(stamp(now - EXACT))
                .bind(serde_json::Value::from(params.to_vec()).to_string())
                .fetch_all(&self.pool)
                .await
                .map_err(read)?;
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
