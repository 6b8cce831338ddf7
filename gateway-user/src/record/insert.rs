//! The INSERT statements: many rows each, in a few sizes, so that they are prepared once.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};

use super::stored::{CallRow, EventRow, IdentityRow, OutcomeRow, SessionEndRow, SessionRow, Unit};

/// Rows per statement. A batch is cut into these, largest first: few statements per table stay
/// prepared, whatever the batch, and few are executed, each of which is a turn to SQLite's thread.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// SQLite's default SQLITE_MAX_VARIABLE_NUMBER.
const BIND_MAX: usize = 32_766;

/// What one kind of row needs to be inserted.
trait Insert {
    /// The head of the statement.
    const INTO: &'static str;
    /// Columns per row.
    const COLUMNS: usize;
    /// Binds one row, in the order of the columns.
    fn bind(&self, values: Separated<'_, Sqlite, &'static str>);
}

/// Inserts every row of `units`; what others refer to comes first.
pub(super) async fn insert(conn: &mut SqliteConnection, units: &[Unit]) -> Result<(), sqlx::Error> {
    insert_rows(conn, units.iter().filter_map(Unit::session)).await?;
    insert_rows(conn, units.iter().filter_map(Unit::identity)).await?;
    insert_rows(conn, units.iter().filter_map(Unit::call)).await?;
    insert_rows(conn, units.iter().filter_map(Unit::outcome)).await?;
    insert_rows(conn, units.iter().filter_map(Unit::session_end)).await?;
    insert_rows(conn, units.iter().filter_map(Unit::event)).await
}

async fn insert_rows<'u, R: Insert + 'u>(
    conn: &mut SqliteConnection,
    rows: impl Iterator<Item = &'u R>,
) -> Result<(), sqlx::Error> {
    const { assert!(SIZES[0] * R::COLUMNS <= BIND_MAX, "one statement would have too many parameters") };
    let rows: Vec<&R> = rows.collect();
    let mut rest = rows.as_slice();
    for size in SIZES {
        while let Some((chunk, after)) = rest.split_at_checked(size) {
            QueryBuilder::<Sqlite>::new(R::INTO)
                .push_values(chunk, |values, row| row.bind(values))
                .build()
                .execute(&mut *conn)
                .await?;
            rest = after;
        }
    }
    Ok(())
}

impl Insert for SessionRow {
    const INTO: &'static str = "INSERT INTO sessions (id, started, workload, subject, issuer, hostname, boot_id, \
        cgroup_path, cgroup_id, command, uid, truncated) ";
    const COLUMNS: usize = 12;

    fn bind(&self, mut values: Separated<'_, Sqlite, &'static str>) {
        values
            .push_bind(self.id.as_str())
            .push_bind(self.started.as_str())
            .push_bind(self.workload.as_str())
            .push_bind(self.subject.as_str())
            .push_bind(self.issuer.as_str())
            .push_bind(self.hostname.as_str())
            .push_bind(self.boot_id.as_str())
            .push_bind(self.cgroup_path.as_str())
            .push_bind(self.cgroup_id)
            .push_bind(self.command.as_str())
            .push_bind(self.uid)
            .push_bind(self.truncated.as_str());
    }
}

impl Insert for IdentityRow {
    const INTO: &'static str = "INSERT INTO identities (session, time, issuer, subject, groups, token_groups, \
        claims, expires, token_digest, truncated) ";
    const COLUMNS: usize = 10;

    fn bind(&self, mut values: Separated<'_, Sqlite, &'static str>) {
        values
            .push_bind(self.session.as_str())
            .push_bind(self.time.as_str())
            .push_bind(self.issuer.as_str())
            .push_bind(self.subject.as_str())
            .push_bind(self.groups.as_str())
            .push_bind(self.token_groups.as_str())
            .push_bind(self.claims.as_str())
            .push_bind(self.expires.as_deref())
            .push_bind(self.token_digest.as_deref())
            .push_bind(self.truncated.as_str());
    }
}

impl Insert for SessionEndRow {
    const INTO: &'static str = "INSERT INTO session_ends (session, ended, reason) ";
    const COLUMNS: usize = 3;

    fn bind(&self, mut values: Separated<'_, Sqlite, &'static str>) {
        values
            .push_bind(self.session.as_str())
            .push_bind(self.ended.as_str())
            .push_bind(self.reason.as_str());
    }
}

impl Insert for CallRow {
    const INTO: &'static str = "INSERT INTO calls (id, session, time, pid, uid, account, region, host, service, \
        operation, method, actions, resources, params, decision, rules, reason, policy_digest, access_key_id, \
        request_digest, truncated) ";
    const COLUMNS: usize = 21;

    fn bind(&self, mut values: Separated<'_, Sqlite, &'static str>) {
        values
            .push_bind(self.id.as_str())
            .push_bind(self.session.as_str())
            .push_bind(self.time.as_str())
            .push_bind(self.pid)
            .push_bind(self.uid)
            .push_bind(self.account.as_deref())
            .push_bind(self.region.as_deref())
            .push_bind(self.host.as_deref())
            .push_bind(self.service.as_deref())
            .push_bind(self.operation.as_deref())
            .push_bind(self.method.as_deref())
            .push_bind(self.actions.as_str())
            .push_bind(self.resources.as_str())
            .push_bind(self.params.as_str())
            .push_bind(self.decision)
            .push_bind(self.rules.as_str())
            .push_bind(self.reason.as_deref())
            .push_bind(self.policy_digest.as_deref())
            .push_bind(self.access_key_id.as_deref())
            .push_bind(self.request_digest.as_deref())
            .push_bind(self.truncated.as_str());
    }
}

impl Insert for OutcomeRow {
    const INTO: &'static str = "INSERT INTO outcomes (call, ended, outcome, status, aws_request_id, error_code, \
        upstream_us, gateway_us, bytes_in, bytes_out, truncated) ";
    const COLUMNS: usize = 11;

    fn bind(&self, mut values: Separated<'_, Sqlite, &'static str>) {
        values
            .push_bind(self.call.as_str())
            .push_bind(self.ended.as_str())
            .push_bind(self.outcome)
            .push_bind(self.status)
            .push_bind(self.aws_request_id.as_deref())
            .push_bind(self.error_code.as_deref())
            .push_bind(self.upstream_us)
            .push_bind(self.gateway_us)
            .push_bind(self.bytes_in)
            .push_bind(self.bytes_out)
            .push_bind(self.truncated.as_str());
    }
}

impl Insert for EventRow {
    const INTO: &'static str =
        "INSERT INTO events (time, kind, session, workload, pid, uid, message, detail, truncated) ";
    const COLUMNS: usize = 9;

    fn bind(&self, mut values: Separated<'_, Sqlite, &'static str>) {
        values
            .push_bind(self.time.as_str())
            .push_bind(self.kind)
            .push_bind(self.session.as_deref())
            .push_bind(self.workload.as_deref())
            .push_bind(self.pid)
            .push_bind(self.uid)
            .push_bind(self.message.as_str())
            .push_bind(self.detail.as_str())
            .push_bind(self.truncated.as_str());
    }
}
