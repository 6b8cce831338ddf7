//! Rows as columns, the same for every store.

use crate::record::{
    log::{leaf::Form, tombstone},
    stored::{
        BodyRow, CallRow, ContentRow, EventRow, HoldRow, IdentityRow, MaskedRow, OutcomeRow, ReleaseRow,
        SessionEndRow, SessionRow,
    },
};

/// What is in one column of one row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'r> {
    Text(Option<&'r str>),
    Number(Option<i64>),
    Bytes(&'r [u8]),
}

/// A kind of row, and the table it goes to.
pub(super) trait Table {
    const NAME: &'static str;
    /// The columns that are written; the database fills the others.
    const COLUMNS: &'static [&'static str];
    /// What ends the statement: where a row may be there already.
    const UNLESS: &'static str = "";
    /// Whether each row is a leaf of the log.
    const LEAF: bool = true;
    /// Whether PostgreSQL adds the name of the host, in the column [`HOST`].
    const HOSTED: bool = false;
    /// One value for each of the columns.
    fn values(&self) -> impl Iterator<Item = Value<'_>>;
}

/// The fields carry the names of their columns.
macro_rules! table {
    ($row:ty, $name:literal $(, $constant:ident = $value:literal)*: $($column:ident),+ $(; $unless:literal)?) => {
        impl Table for $row {
            $(const $constant: bool = $value;)*
            const NAME: &'static str = $name;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];
            $(const UNLESS: &'static str = $unless;)?

            fn values(&self) -> impl Iterator<Item = Value<'_>> {
                [$(Value::from(&self.$column)),+].into_iter()
            }
        }
    };
}

table!(SessionRow, "sessions": id, started, workload, subject, issuer, hostname, boot_id, cgroup_path, cgroup_id,
    command, uid, truncated);
table!(IdentityRow, "identities": session, time, issuer, subject, groups, token_groups, claims, expires,
    token_digest, truncated);
table!(SessionEndRow, "session_ends": session, ended, reason);
table!(CallRow, "calls": id, session, time, pid, uid, account, region, host, service, operation, method, actions,
    resources, params, decision, rules, reason, policy_digest, access_key_id, request_digest, truncated);
table!(OutcomeRow, "outcomes": call, ended, outcome, status, aws_request_id, error_code, upstream_us, gateway_us,
    bytes_in, bytes_out, truncated);
table!(MaskedRow, "masked": call, path, cause, digest, count, truncated);
table!(ContentRow, "bodies", LEAF = false: digest, length, content; "ON CONFLICT DO NOTHING");
table!(BodyRow, "call_bodies": call, side, media_type, digest, length, kept, truncated);
table!(EventRow, "events", HOSTED = true: time, kind, session, workload, pid, uid, message, detail, truncated);
table!(HoldRow, "holds": id, time, actor, reason, session, workload, since, until);
table!(ReleaseRow, "hold_releases": hold, time, actor, reason);

/// The column of PostgreSQL that says which host an event is of. Its table was given it after others, so it is in the form
/// of a row only where there is one.
pub(in crate::record) const HOST: &str = "hostname";

/// The columns of a table whose rows are leaves, in the order in which its first version declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) struct Leaves {
    pub(in crate::record) table: &'static str,
    pub(in crate::record) columns: &'static [&'static str],
    /// See [`Table::HOSTED`].
    pub(in crate::record) hosted: bool,
}

/// Every table whose rows are leaves, in an order in which what others refer to comes first.
pub(in crate::record) const LEAVES: &[Leaves] = &[
    leaves::<SessionRow>(),
    leaves::<IdentityRow>(),
    leaves::<CallRow>(),
    leaves::<OutcomeRow>(),
    leaves::<MaskedRow>(),
    leaves::<BodyRow>(),
    leaves::<SessionEndRow>(),
    leaves::<EventRow>(),
    Leaves {
        table: tombstone::TABLE,
        columns: &[
            "time",
            "table_name",
            "first_row",
            "last_row",
            "row_count",
            "digest",
            "actor",
            "reason",
            "note",
            "spans",
        ],
        hosted: false,
    },
    leaves::<HoldRow>(),
    leaves::<ReleaseRow>(),
];

const fn leaves<T: Table>() -> Leaves {
    assert!(T::LEAF, "the rows of this table are no leaves");
    Leaves { table: T::NAME, columns: T::COLUMNS, hosted: T::HOSTED }
}

/// The canonical form of a row that gets this number.
pub(super) fn form<T: Table>(row: &T, seq: i64, host: Option<&str>) -> Form {
    let form =
        T::COLUMNS.iter().zip(row.values()).fold(
            Form::new(T::NAME, seq),
            |form, (name, value)| match value {
                Value::Text(text) => form.column(name, text),
                Value::Number(number) => form.column(name, number),
                Value::Bytes(bytes) => form.column(name, bytes),
            },
        );
    if T::HOSTED { form.later_column(HOST, host) } else { form }
}

impl<'r> From<&'r String> for Value<'r> {
    fn from(text: &'r String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'r> From<&'r &'static str> for Value<'r> {
    fn from(text: &'r &'static str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'r> From<&'r Option<String>> for Value<'r> {
    fn from(text: &'r Option<String>) -> Self {
        Self::Text(text.as_deref())
    }
}

impl<'r> From<&'r Vec<u8>> for Value<'r> {
    fn from(bytes: &'r Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&i64> for Value<'_> {
    fn from(number: &i64) -> Self {
        Self::Number(Some(*number))
    }
}

impl From<&Option<i64>> for Value<'_> {
    fn from(number: &Option<i64>) -> Self {
        Self::Number(*number)
    }
}
