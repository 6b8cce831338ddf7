//! Rows as columns, the same for every store.

use crate::record::stored::{
    BodyRow, CallRow, ContentRow, EventRow, IdentityRow, MaskedRow, OutcomeRow, SessionEndRow, SessionRow,
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
    /// One value for each of the columns.
    fn values(&self) -> impl Iterator<Item = Value<'_>>;
}

/// The fields carry the names of their columns.
macro_rules! table {
    ($row:ty, $name:literal: $($column:ident),+ $(; $unless:literal)?) => {
        impl Table for $row {
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
table!(ContentRow, "bodies": digest, length, content; "ON CONFLICT DO NOTHING");
table!(BodyRow, "call_bodies": call, side, media_type, digest, length, kept, truncated);
table!(EventRow, "events": time, kind, session, workload, pid, uid, message, detail, truncated);

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
